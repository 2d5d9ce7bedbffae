"""The plans that run, while their files are edited, broken, taken away and put back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.schedule.plan_shelf import PlanShelf, kept_plan, read_plans
from tests.support.clock import FakeClock

PLAN = """\
version: 1
practice: {{id: {practice}, name: Riverside, timezone: America/Chicago}}
repositories: {{onsite: {{location: /srv/r, password: {{file: /etc/dro/key}}}}}}
systems:
  emr: {{rto: {rto}, rpo: 1h, assets: {{docs: {{kind: files, path: /srv/d, marker: m}}}}}}
"""


class Desk:
    def __init__(self, folder: Path) -> None:
        self.plans, self.kept = folder / "plans", folder / "kept"
        self.plans.mkdir(mode=0o755)
        self.kept.mkdir()
        self.clock = FakeClock(datetime.now(UTC))  # files bear the machine's own time
        self.shelf = self.another()

    def another(self) -> PlanShelf:
        return PlanShelf(self.plans, self.kept, self.clock)

    def write(self, name: str = "riverside", *, rto: str = "4h", practice: str = "") -> Path:
        path = self.plans / f"{name}.yaml"
        path.write_text(PLAN.format(practice=practice or name, rto=rto))
        path.chmod(0o644)
        return path

    def let_settle(self) -> None:
        self.clock.advance(timedelta(minutes=2))

    def rto(self, practice: str = "riverside") -> timedelta:
        return self.shelf.plans[practice].plan.protected["emr"].rto


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_shelf_takes_over_a_new_version(desk: Desk) -> None:
    desk.write()
    assert desk.shelf.refresh() == ("riverside: runs now",)
    assert desk.shelf.refresh() == ()
    desk.write(rto="8h")
    assert desk.shelf.refresh() == ("riverside: a new version runs",)
    assert desk.rto() == timedelta(hours=8)
    assert desk.shelf.problems() == ()


def test_shelf_takes_over_what_a_template_says_and_keeps_both_as_one_file(desk: Desk) -> None:
    template = desk.plans / "templates" / "small.yaml"
    template.parent.mkdir(mode=0o755)
    template.write_text(desk.write(rto="4h").read_text().replace("id: riverside, ", ""))
    plan = desk.plans / "riverside.yaml"
    plan.write_text("extends: templates/small.yaml\npractice: {id: riverside}\n")
    desk.shelf.refresh()
    template.write_text(template.read_text().replace("rto: 4h", "rto: 8h"))

    assert desk.shelf.refresh() == ("riverside: a new version runs",)
    assert desk.shelf.refresh() == ()
    assert desk.rto() == timedelta(hours=8)
    kept = kept_plan(desk.kept, "riverside", desk.plans)
    assert kept is not None
    assert kept.sha256 == desk.shelf.plans["riverside"].sha256

    template.write_text("rto: [")
    desk.shelf.refresh()
    (problem,) = desk.shelf.problems()
    assert "the version before goes on" in problem.what
    assert desk.another().refresh() == ()


def test_shelf_goes_on_with_the_version_before_and_tells(desk: Desk) -> None:
    desk.write()
    desk.shelf.refresh()
    desk.write(rto="soon")
    assert desk.shelf.refresh() == ()
    assert desk.rto() == timedelta(hours=4)
    (problem,) = desk.shelf.problems()
    assert problem.practice == "riverside"
    assert "riverside.yaml: 1 mistake: the version before goes on" in problem.what
    assert "dro plan validate" in problem.next
    desk.write(rto="6h")
    desk.shelf.refresh()
    assert desk.shelf.problems() == ()


@pytest.mark.parametrize("name", ["riverside", "riverside [new] **"])
def test_shelf_goes_on_with_the_version_before_also_after_a_restart(desk: Desk, name: str) -> None:
    path = desk.write(name, practice="riverside")
    desk.shelf.refresh()
    desk.write(name, practice="riverside", rto="soon")
    desk.shelf = desk.another()
    desk.shelf.refresh()
    assert desk.rto() == timedelta(hours=4)
    assert desk.shelf.plans["riverside"].path == path
    assert len(desk.shelf.problems()) == 1


def test_shelf_runs_nothing_of_a_file_that_was_never_valid(desk: Desk) -> None:
    desk.write(rto="soon")
    desk.shelf.refresh()
    assert desk.shelf.plans == {}
    (problem,) = desk.shelf.problems()
    assert "nothing of it runs" in problem.what


def test_shelf_lets_go_of_a_file_only_once_its_folder_was_left_alone(desk: Desk) -> None:
    desk.write()
    other = desk.write("hillside")
    desk.shelf.refresh()
    other.unlink()
    assert desk.shelf.refresh() == ()
    assert "hillside" in desk.shelf.plans
    desk.let_settle()
    assert desk.shelf.refresh() == ("hillside: runs no more",)
    assert kept_plan(desk.kept, "hillside", desk.plans) is None


def test_shelf_keeps_everything_when_all_plans_are_gone(desk: Desk) -> None:
    path = desk.write()
    desk.shelf.refresh()
    path.unlink()
    desk.let_settle()
    assert desk.shelf.refresh() == ()
    assert "riverside" in desk.shelf.plans
    assert "all plans are gone" in desk.shelf.problems()[0].what


def test_shelf_keeps_everything_when_the_folder_cannot_be_read(desk: Desk) -> None:
    desk.write()
    desk.shelf.refresh()
    desk.plans.rename(desk.plans.with_name("away"))
    assert desk.shelf.refresh() == ()
    assert "riverside" in desk.shelf.plans
    assert "cannot be read" in desk.shelf.problems()[0].what


def test_shelf_goes_on_after_a_restart_without_a_plan_in_its_folder(desk: Desk) -> None:
    path = desk.write()
    desk.shelf.refresh()
    desk.plans.rename(desk.plans.with_name("away"))
    desk.shelf = desk.another()
    desk.shelf.refresh()
    assert desk.shelf.plans["riverside"].path == path
    assert "cannot be read" in desk.shelf.problems()[0].what
    desk.plans.mkdir()  # as a mount point that nothing is mounted on
    desk.shelf = desk.another()
    desk.shelf.refresh()
    assert "riverside" in desk.shelf.plans
    assert "all plans are gone" in desk.shelf.problems()[0].what


def test_shelf_says_that_there_is_no_plan_at_all(desk: Desk) -> None:
    desk.shelf.refresh()
    assert "there is no plan" in desk.shelf.problems()[0].what


def test_shelf_uses_the_first_of_two_files_for_one_practice(desk: Desk) -> None:
    desk.write()
    desk.shelf.refresh()
    desk.write("a-copy", practice="riverside", rto="9h")
    assert desk.shelf.refresh() == ()
    assert desk.rto() == timedelta(hours=4)
    assert "a-copy.yaml is not used" in desk.shelf.problems()[0].what
    desk.shelf = desk.another()
    desk.shelf.refresh()
    assert desk.rto() == timedelta(hours=4)


def test_shelf_follows_a_file_that_was_renamed(desk: Desk) -> None:
    path = desk.write()
    desk.shelf.refresh()
    renamed = path.rename(desk.plans / "riverside-family.yaml")
    assert desk.shelf.refresh() == ()
    assert desk.shelf.problems() == ()
    desk.let_settle()
    desk.shelf.refresh()
    assert desk.shelf.plans["riverside"].path == renamed
    kept = kept_plan(desk.kept, "riverside", desk.plans)
    assert kept is not None
    assert kept.path == renamed
    assert desk.shelf.problems() == ()


def test_kept_plan_is_what_runs_and_nobody_else_can_read_it(desk: Desk) -> None:
    path = desk.write()
    desk.shelf.refresh()
    desk.write(rto="soon")
    desk.shelf.refresh()
    kept = kept_plan(desk.kept, "riverside", desk.plans)
    assert kept is not None
    assert kept.plan == desk.shelf.plans["riverside"].plan
    assert kept.path == path
    assert (desk.kept / "riverside").stat().st_mode & 0o077 == 0
    assert kept_plan(desk.kept, "hillside", desk.plans) is None


def test_shelf_says_after_a_restart_only_what_changed(desk: Desk) -> None:
    desk.write()
    desk.write("hillside")
    desk.shelf.refresh()
    assert desk.another().refresh() == ()
    desk.write(rto="8h")
    assert desk.another().refresh() == ("riverside: a new version runs",)


def test_plans_are_read_beside_one_with_a_mistake(desk: Desk) -> None:
    good, bad = desk.write("lakeside"), desk.write("hill", rto="soon")
    read = read_plans((bad, good), desk.kept)
    assert [each.plan.practice.id for each in read.plans] == ["lakeside"]
    (mistake,) = read.mistakes
    assert mistake.message.startswith(f"{bad}: 1 mistake: nothing of it runs\n{bad}:5:")


def test_plan_with_a_mistake_is_read_as_the_version_that_goes_on(desk: Desk) -> None:
    path = desk.write()
    desk.shelf.refresh()
    desk.write(rto="soon")
    read = read_plans((path,), desk.kept)
    (loaded,) = read.plans
    assert (loaded.plan.protected["emr"].rto, loaded.path) == (timedelta(hours=4), path)
    assert "1 mistake: the version before goes on\n" in read.mistakes[0].message
