from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.repositories.restic_location import (
    has_no_keys,
    is_certainly_empty,
    local_path,
)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/srv/restic", "/srv/restic"),
        ("local:/srv/restic", "/srv/restic"),
        ("/srv/rest:1", "/srv/rest:1"),
        ("rest:https://host/x", None),
        ("s3:https://host/bucket", None),
        ("sftp:user@host:/x", None),
        ("rclone:remote:x", None),
        ("b2:bucket:x", None),
    ],
)
def test_local_path_is_none_when_the_repository_is_elsewhere(
    location: str, expected: str | None
) -> None:
    assert local_path(location) == (None if expected is None else Path(expected))


def test_is_certainly_empty_when_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "folder" / "lost+found").mkdir(parents=True)

    assert is_certainly_empty(tmp_path / "missing")
    assert is_certainly_empty(tmp_path / "missing" / "below")
    assert is_certainly_empty(tmp_path / "folder")


def test_is_not_certainly_empty_when_something_is_there_or_unknown(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "unmounted" / "disk")

    assert not is_certainly_empty(tmp_path / "folder")
    assert not is_certainly_empty(tmp_path / "folder" / "file")
    assert not is_certainly_empty(tmp_path / "folder" / "file" / "below")
    assert not is_certainly_empty(tmp_path / "dangling")


def test_has_no_keys_when_the_folder_is_empty_or_gone(tmp_path: Path) -> None:
    assert has_no_keys(tmp_path)
    (tmp_path / "keys").mkdir()
    assert has_no_keys(tmp_path)
    (tmp_path / "keys" / "0ab1").touch()
    assert not has_no_keys(tmp_path)
