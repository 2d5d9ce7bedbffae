"""Where a restore may land."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.core import target
from dr_orchestrator.core.target import (
    LabTarget,
    NewDirectoryTarget,
    SandboxTarget,
    claim_new_directory,
)
from dr_orchestrator.errors import TargetRefused


def test_claim_new_directory_makes_it_private(tmp_path: Path) -> None:
    target = claim_new_directory(tmp_path / "restored")
    assert target.path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("there", ["directory", "file", "dangling link"])
def test_claim_new_directory_refuses_anything_that_is_there(tmp_path: Path, there: str) -> None:
    path = tmp_path / "restored"
    if there == "directory":
        path.mkdir()
    elif there == "file":
        path.touch()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(TargetRefused, match="exists already"):
        claim_new_directory(path)


def test_claim_new_directory_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TargetRefused, match="does not exist"):
        claim_new_directory(tmp_path / "no" / "restored")


@pytest.mark.parametrize("kind", [SandboxTarget, LabTarget, NewDirectoryTarget])
def test_a_target_cannot_be_made_from_a_plain_path(tmp_path: Path, kind: Any) -> None:
    arguments = (tmp_path,) if kind is NewDirectoryTarget else (tmp_path, "strong")
    with pytest.raises(TypeError):
        kind(*arguments, seal=object())


def test_nothing_but_a_sandbox_driver_vouches_for_a_target() -> None:
    core = Path(target.__file__)
    package = core.parents[1]
    vouching = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if path != core and any(f"{kind}_target" in path.read_text() for kind in ("sandbox", "lab"))
    }
    assert vouching == {"sandbox"}
