"""The folder of a recovery is gone on with, and nothing else is ever written over."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from dr_orchestrator.errors import TargetRefused
from dr_orchestrator.settings import settings_in
from dr_orchestrator.takeover.recovered_folder import Origin, RecoveredFolder

ORIGIN = Origin(location="/media/usb", practice="riverside", point="p1")


@pytest.fixture
def folder(tmp_path: Path) -> RecoveredFolder:
    return RecoveredFolder(tmp_path / "recovered")


def test_begun_tells_nothing_of_a_folder_that_is_empty_or_not_there(
    folder: RecoveredFolder,
) -> None:
    assert folder.begun("/media/usb") is None
    folder.path.mkdir()
    assert folder.begun("/media/usb") is None


def test_what_was_begun_is_gone_on_with(folder: RecoveredFolder) -> None:
    folder.write(ORIGIN, {"plans/riverside.yaml": b"first", "runbooks/old.yaml": b"x"})
    (folder.path / "state" / "kept").touch()

    assert folder.begun("/media/usb") == ORIGIN
    folder.write(ORIGIN, {"plans/riverside.yaml": b"second"})

    assert (folder.path / "plans" / "riverside.yaml").read_bytes() == b"second"
    assert not (folder.path / "runbooks" / "old.yaml").exists()
    assert (folder.path / "state" / "kept").exists()


def test_only_the_owner_looks_into_what_is_private(folder: RecoveredFolder) -> None:
    folder.write(ORIGIN, {"keys/onsite": b"secret", "dro.yaml": b"state: /x\n"})

    modes = {
        each.name: stat.S_IMODE(each.stat().st_mode)
        for each in (folder.path, *folder.path.iterdir(), folder.key("onsite"))
    }
    assert modes.pop("recovered") == 0o711
    assert {modes.pop(name) for name in ("dro.yaml", "recovered.json", "onsite")} == {0o600}
    assert set(modes.values()) == {0o700}
    assert settings_in(folder.settings).state == Path("/x")


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        (replace(ORIGIN, location="/media/other"), "is of a recovery from /media/other"),
        (replace(ORIGIN, finished=True), "riverside was recovered to"),
    ],
)
def test_begun_refuses_what_is_of_something_else(
    folder: RecoveredFolder, origin: Origin, why: str
) -> None:
    folder.write(origin, {})

    with pytest.raises(TargetRefused, match=why):
        folder.begun("/media/usb")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"location": "/media/usb"}'])
def test_begun_refuses_a_folder_that_holds_anything_else(
    folder: RecoveredFolder, content: str
) -> None:
    folder.path.mkdir()
    name = "recovered.json" if content else "letter.txt"
    (folder.path / name).write_text(content)

    with pytest.raises(TargetRefused, match="no folder of a recovery"):
        folder.begun("/media/usb")


def test_write_says_what_is_in_the_way(folder: RecoveredFolder) -> None:
    with pytest.raises(TargetRefused, match="cannot be written"):
        RecoveredFolder(folder.path / "above").write(ORIGIN, {})
