"""Who changed a plan, asked of git itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.maintenance.plan_author import author_of
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.process import SystemLauncher
from tests.support.tools import require_tool

_LEAST = (Path(__file__).parents[2] / "plans" / "least.yaml").read_text()


class Plans:
    """A folder of plans that is kept in git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "riverside.yaml"
        self.git("init", "-q")

    def git(self, *words: str, by: str = "Sam Engineer") -> str:
        named = {f"GIT_{role}_NAME": by for role in ("AUTHOR", "COMMITTER")}
        mails = {f"GIT_{role}_EMAIL": "sam@msp.example" for role in ("AUTHOR", "COMMITTER")}
        done = subprocess.run(
            ("git", "-c", "safe.directory=*", *words),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **named, **mails},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, text: str, *, by: str) -> str:
        """Write the plan and commit it; return the commit."""
        self.plan.write_text(text)
        self.git("add", ".", by=by)
        self.git("commit", "-q", "-m", "a change", by=by)
        return self.git("rev-parse", "--short=12", "HEAD")


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    require_tool("git")
    return Plans(tmp_path)


@pytest.fixture
def launcher() -> Iterator[SystemLauncher]:
    with contextlib.closing(SystemLauncher(os.environ["PATH"])) as launcher:
        yield launcher


def test_author_of_is_whoever_committed_the_file_last(
    plans: Plans, launcher: SystemLauncher
) -> None:
    commit = plans.commit(_LEAST, by="Zoë Engineer")
    (plans.folder / "other.yaml").write_text("another file")
    plans.git("add", ".")
    plans.git("commit", "-q", "-m", "something else")

    author = author_of(load_plan(plans.plan), launcher)

    assert (author.name, author.known_by) == ("Zoë Engineer", f"git commit {commit}")


def test_author_of_knows_the_version_that_goes_on_while_the_file_is_being_edited(
    plans: Plans, launcher: SystemLauncher
) -> None:
    plans.commit(_LEAST, by="Sam Engineer")
    runs = load_plan(plans.plan)
    plans.plan.write_text("version: nonsense")

    assert author_of(runs, launcher).name == "Sam Engineer"


def test_author_of_is_not_the_last_committer_when_the_file_was_edited_since(
    plans: Plans, launcher: SystemLauncher
) -> None:
    plans.commit(_LEAST, by="Sam Engineer")
    plans.plan.write_text(_LEAST.replace("4h", "24h"))

    assert author_of(load_plan(plans.plan), launcher).known_by.startswith("owner of the file ")


def test_author_of_reads_a_folder_of_another_user_and_runs_nothing_that_it_names(
    plans: Plans, launcher: SystemLauncher, tmp_path: Path
) -> None:
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\n")
    trap.chmod(0o755)
    plans.commit(_LEAST, by="Sam Engineer")
    for key in ("core.fsmonitor", "core.pager", "pager.log", "diff.external", "gpg.program"):
        plans.git("config", key, str(trap))
    plans.git("config", "log.showSignature", "true")
    plans.git("config", "diff.trap.textconv", str(trap))
    (plans.folder / ".gitattributes").write_text("* diff=trap\n")
    if os.geteuid() == 0:
        for path in (plans.folder, *plans.folder.rglob("*")):
            os.chown(path, 65534, 65534)

    author = author_of(load_plan(plans.plan), launcher)

    assert author.name == "Sam Engineer"
    assert not sprung.exists()
