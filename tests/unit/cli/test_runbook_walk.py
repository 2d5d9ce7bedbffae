from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dr_orchestrator.cli.main import Context
from dr_orchestrator.cli.runbook_resume import _found
from dr_orchestrator.cli.runbook_walk import Sitting, outage_time, outage_words
from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.errors import PlanInvalid, RunbookInvalid, UsageMistake
from dr_orchestrator.runbook.shelf import shelf_of
from tests.support.practices import NOW

CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("typed", "ago"),
    [
        ("18:15", timedelta(hours=1)),
        ("19:16", timedelta(hours=23, minutes=59)),
        ("2026-11-21 19:15", timedelta()),
        ("now", timedelta()),
    ],
)
def test_outage_time_is_the_practices_own_and_the_last_one_that_was(
    typed: str, ago: timedelta
) -> None:
    assert NOW - outage_time(typed, NOW, CHICAGO) == ago


def test_outage_time_knows_that_a_clock_was_set_back_over_night() -> None:
    morning = datetime(2026, 11, 1, 14, tzinfo=UTC)  # 08:00 in Chicago, which was 25 h long
    assert morning - outage_time("20:00", morning, CHICAGO) == timedelta(hours=13)


@pytest.mark.parametrize("typed", ["2026-11-21 19:16", "25:00", "yesterday"])
def test_outage_time_takes_nothing_later_and_nothing_unreadable(typed: str) -> None:
    with pytest.raises(UsageMistake):
        outage_time(typed, NOW, CHICAGO)


# --- what there is to follow at night ------------------------------------------------------------

PLAN = (Path(__file__).parents[3] / "plans" / "least.yaml").read_text()


@pytest.fixture
def sitting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sitting]:
    """Make a machine with one plan, which a scheduler keeps too, and sit down before it."""
    for name in ("plans/riverside.yaml", "state/plans/riverside/riverside.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(PLAN)
    (tmp_path / "dro.yaml").write_text(f"plans: {tmp_path}/plans\nstate: {tmp_path}/state\n")
    monkeypatch.setenv("DRO_SETTINGS", str(tmp_path / "dro.yaml"))
    context = Context()
    yield Sitting(context=context, plain=True, by="Ada")
    context.close()


@pytest.mark.parametrize("now", ["version: 7\n", "practice: [\n", None])
def test_incident_goes_by_the_plan_before_where_the_file_cannot_be_used(
    sitting: Sitting, tmp_path: Path, capsys: pytest.CaptureFixture[str], now: str | None
) -> None:
    assert sitting.plan("riverside", Mode.INCIDENT).plan.practice.id == "riverside"
    assert capsys.readouterr().out == ""
    file = tmp_path / "plans/riverside.yaml"
    file.unlink() if now is None else file.write_text(now)

    loaded = sitting.plan("riverside", Mode.INCIDENT)

    assert (loaded.text, loaded.path) == (PLAN, file)
    assert "the version before is used instead" in capsys.readouterr().out
    with pytest.raises((UsageMistake, PlanInvalid)):
        sitting.plan("riverside", Mode.REHEARSAL)


def test_incident_without_any_plan_says_what_needs_none(sitting: Sitting, tmp_path: Path) -> None:
    (tmp_path / "plans/riverside.yaml").write_text(PLAN.replace("version: 1", "version: 7"))
    shutil.rmtree(tmp_path / "state/plans")

    with pytest.raises(PlanInvalid) as caught:
        sitting.plan("riverside", Mode.INCIDENT)

    assert "START-HERE.html" in caught.value.hint
    assert "dro-kit.py" in caught.value.hint


def test_incident_says_what_is_wrong_with_a_runbook_and_goes_on(
    sitting: Sitting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks/triage.yaml").write_text("version: 2\n")
    shelf = shelf_of(sitting.plan("riverside", Mode.INCIDENT))

    assert sitting.runbook(shelf, "triage", Mode.INCIDENT).name == "triage"

    assert "that we ship is followed instead" in capsys.readouterr().out
    with pytest.raises(RunbookInvalid):
        sitting.runbook(shelf, "triage", Mode.REHEARSAL)


def test_folder_that_is_proposed_is_made_and_no_other_one(
    sitting: Sitting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = iter([str(tmp_path / "wrong"), ""])
    monkeypatch.setattr(Sitting, "ask", lambda _self, _text, default: next(answers) or default)

    folder = sitting._folder(CHICAGO)

    assert (folder.parent, folder.stat().st_mode & 0o777) == (tmp_path, 0o700)
    assert not (tmp_path / "wrong").exists()


def test_outage_of_another_day_says_so() -> None:
    at = outage_time("19:16", NOW, CHICAGO)

    assert "(NOT TODAY, 23 h 59 min ago)" in outage_words(at, NOW, CHICAGO)


@pytest.mark.parametrize("word", ["./nothere.json", "nothere.json", "/mnt/stick/state"])
def test_resume_says_that_a_file_is_not_there(sitting: Sitting, word: str) -> None:
    with pytest.raises(UsageMistake, match="no such file") as caught:
        _found(sitting.context, word, as_new=False)

    assert "stick" in caught.value.hint
