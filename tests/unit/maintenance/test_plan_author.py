"""What git says of a plan, and what is made of it when it says nothing."""

from __future__ import annotations

import getpass
import os
from dataclasses import replace
from pathlib import Path

import pytest

from dr_orchestrator.errors import ProgramMissing, ProgramTimedOut
from dr_orchestrator.maintenance.plan_author import Author, author_of
from dr_orchestrator.plan.load import LoadedPlan, load_plan, read_plan
from tests.support.launcher import Answer, ScriptedLauncher

_BLOB = "9b5b0f7c8a1de3c6d9c4dfb0f3e8d8b0c0ffee00"


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedPlan:
    example = Path(__file__).parents[3] / "plans" / "least.yaml"
    plan = tmp_path / "riverside.yaml"
    plan.write_bytes(example.read_bytes())
    return load_plan(plan)


def _git(said: str = "", **more: object) -> ScriptedLauncher:
    return ScriptedLauncher(Answer(("git", "log"), stdout=said.encode(), **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "launcher",
    [
        _git(),
        _git(returncode=128),
        _git(error=ProgramMissing("the program git is not installed on this machine")),
        _git(error=ProgramTimedOut("git took longer than 10 s")),
        _git(f"1a2b3c4\t1790000000\tSam\n\n:100644 100644 {_BLOB} {_BLOB} M\triverside.yaml\n"),
    ],
    ids=["not committed", "no repository", "no git", "too slow", "changed since"],
)
def test_author_of_is_the_owner_of_the_file_when_git_does_not_know(
    loaded: LoadedPlan, launcher: ScriptedLauncher
) -> None:
    assert author_of(loaded, launcher) == Author(
        name=getpass.getuser(), known_by=f"owner of the file {loaded.path}"
    )


def test_author_of_is_nobody_when_the_file_says_something_else_by_now(loaded: LoadedPlan) -> None:
    loaded.path.write_text(f"{loaded.text}\n# another word\n")

    assert author_of(loaded, _git()).name == ""


def test_author_of_is_nobody_when_the_file_is_gone(loaded: LoadedPlan) -> None:
    gone = replace(loaded, path=loaded.path.with_name("gone.yaml"))

    assert author_of(gone, _git()) == Author(name="", known_by="its file is gone")


def test_author_of_a_version_that_is_kept_is_whoever_changed_plan_or_template_last(
    loaded: LoadedPlan,
) -> None:
    template = loaded.path.with_name("template.yml")
    template.write_text(loaded.text.replace("id: riverside, ", "").replace("rto: 4h", "rto: 6h"))
    loaded.path.write_text("extends: template.yml\npractice: {id: riverside}\n")
    os.utime(loaded.path, (0, 0))
    kept = read_plan(load_plan(loaded.path).text.encode(), "kept.yaml")

    nothing = Answer(("git", "log"))
    author = author_of(replace(kept, path=loaded.path), ScriptedLauncher(nothing, nothing))

    assert author.known_by == f"owner of the file {template}"
