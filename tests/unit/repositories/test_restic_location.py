from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.repositories.restic_location import (
    has_no_keys,
    is_certainly_empty,
    local_path,
    with_login,
)
from dr_orchestrator.repositories.s3_place import stated_region


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


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("rest:https://host/dr", "rest:https://d%20r:p%40%2F%3A%25@host/dr"),
        ("rest:http://host:8000/", "rest:http://d%20r:p%40%2F%3A%25@host:8000/"),
        ("rest:http://[::1]:8000/a/", "rest:http://d%20r:p%40%2F%3A%25@[::1]:8000/a/"),
    ],
)
def test_login_is_part_of_the_location(location: str, expected: str) -> None:
    found = with_login(location, "d r", Secret("p@/:%"))
    assert found.reveal() == expected
    assert "p%40" not in str(found)


@pytest.mark.parametrize(
    ("location", "region"),
    [
        ("s3:https://s3.us-east-2.amazonaws.com/dr", None),
        ("s3:s3.amazonaws.com/dr", "eu-west-1"),
        ("s3:https://storage.example/dr", "eu-west-1"),
        ("/srv/dr", None),
    ],
)
def test_region_is_stated_where_the_host_does_not_say_it(location: str, region: str | None) -> None:
    assert stated_region(location, "eu-west-1") == region
