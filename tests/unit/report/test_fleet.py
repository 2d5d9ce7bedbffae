from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dr_orchestrator.core.record import Anchored
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.report.document import Cell, Commands, Document, Table, Tone
from dr_orchestrator.report.fleet import fleet_document
from dr_orchestrator.report.subject import EvidenceSeen, Fleet, Subject
from dr_orchestrator.store.base import MonthOfTests
from tests.support import practices
from tests.support.evidence import make_run
from tests.support.practices import NOW, Practice
from tests.support.promises import make_action

DAY = timedelta(days=1)


def called(practice: Practice, name: str) -> Subject:
    subject = practice.subject()
    given = subject.plan.practice.model_copy(update={"id": name, "name": name.title()})
    return replace(subject, plan=subject.plan.model_copy(update={"practice": given}))


def fleet(*subjects: Subject, months: tuple[MonthOfTests, ...] = ()) -> Document:
    return fleet_document(Fleet(subjects=subjects, months=months, now=NOW))


def table(document: Document, section: str) -> Table:
    (found,) = (each for each in document.sections if each.id == section)
    return next(each for each in found.blocks if isinstance(each, Table))


def of_one(subject: Subject) -> tuple[Cell, ...]:
    (row,) = table(fleet(subject), "practices").rows
    return row


def month(name: str, **counts: int) -> MonthOfTests:
    nothing = dict.fromkeys(("passed", "failed", "no_result", "missed", "skipped", "by_hand"), 0)
    return MonthOfTests(practice="oaks", month=name, **(nothing | counts))


def test_what_needs_a_person_comes_first() -> None:
    document = fleet(
        called(practices.healthy(), "ashes"),
        called(practices.first_day(), "birches"),
        called(practices.broken(), "oaks"),
    )
    rows = table(document, "practices").rows
    assert [(row[0].text, row[1].text, row[1].tone) for row in rows] == [
        ("Oaks", "not kept", Tone.BAD),
        ("Birches", "not proven yet", Tone.OPEN),
        ("Ashes", "kept", Tone.GOOD),
    ]
    assert document.summary == "3 practices: 1 not kept, 1 not proven yet, 1 kept."
    todo = table(document, "todo").rows
    assert {row[0].text for row in todo} == {"Oaks"}
    (section,) = (each for each in document.sections if each.id == "todo")
    (commands,) = (each for each in section.blocks if isinstance(each, Commands))
    assert "dro test oaks --system emr --repository onsite" in commands.lines
    assert all(" oaks " in line for line in commands.lines)


def test_practice_with_an_overdue_action_is_not_just_kept() -> None:
    subject = called(practices.healthy(), "ashes")
    late = make_action(NOW - 8 * DAY, due=NOW - DAY)
    row = of_one(replace(subject, record=replace(subject.record, actions=(late,))))
    assert (row[1].text, row[3].text, row[3].tone) == (
        "kept, with something to do",
        "1 overdue",
        Tone.BAD,
    )


def test_loosened_promise_is_never_called_kept() -> None:
    row = of_one(called(practices.loosened(), "ashes"))
    assert "kept" not in row[1].text
    assert row[4].text.endswith("loosened, not accepted")


def test_last_test_is_none_of_the_future_and_none_that_looked_for_damage() -> None:
    ahead = practices.restored("emr", at=NOW + 9 * DAY)
    follow_up = practices.restored("emr", at=NOW - DAY, follow_up_of="20261120-033000-abcdef")
    subject = called(practices.healthy(), "ashes")
    row = of_one(replace(subject, record=replace(subject.record, tests=(follow_up, ahead))))
    assert row[2].text == "never"


def test_promise_that_nobody_signed_is_not_called_accepted() -> None:
    assert of_one(called(practices.healthy(), "ashes"))[4].text == "never signed"


def test_evidence_says_whether_it_was_saved_and_anchored() -> None:
    subject = called(practices.healthy(), "ashes")
    assert of_one(subject)[5] == Cell(text="none yet", tone=Tone.OPEN)
    anchored = Anchored(
        practice="ashes",
        at=NOW - DAY,
        chain="c",
        number=3,
        head="ab" * 32,
        place="the mailbox of manager",
    )
    failed = replace(anchored, at=NOW, reason="refused")
    saved = make_run(
        NOW - 2 * DAY,
        operation=Operation.EVIDENCE,
        finished_at=NOW - 2 * DAY,
        outcome=Outcome.DONE,
    )
    seen = EvidenceSeen(chain="c", number=1234, head="ab" * 32, anchors=(anchored, failed))
    record = replace(subject.record, last_runs=(saved,))
    cell = of_one(replace(subject, record=record, evidence=seen))[5]
    assert cell.text == "1,234 lines"
    assert cell.detail == "saved 19 November 2026, anchored 20 November 2026"
    only_failed = replace(seen, anchors=(failed,))
    cell = of_one(replace(subject, record=record, evidence=only_failed))[5]
    assert (cell.tone, cell.detail) == (Tone.OPEN, "saved 19 November 2026, not anchored")


def test_months_count_all_practices_and_each_of_them() -> None:
    months = (
        month("2026-03", passed=30, by_hand=2),
        month("2026-04", passed=28, failed=1, missed=2, skipped=3),
        month("2025-12", passed=30, no_result=1),
        replace(month("2026-03", passed=1, missed=1), practice="ashes"),
    )
    oaks, ashes = called(practices.healthy(), "oaks"), called(practices.healthy(), "ashes")
    document = fleet(oaks, ashes, months=months)
    this_year, last_year = table(document, "months").rows
    assert (this_year[0].text, last_year[0].text) == ("2026", "2025")
    assert this_year[3] == Cell(text="31/32", tone=Tone.OPEN, detail="1 missed, 2 by hand")
    assert this_year[4] == Cell(text="28/31", tone=Tone.BAD, detail="1 failed, 2 missed, 3 skipped")
    assert last_year[12] == Cell(text="30/31", tone=Tone.OPEN, detail="1 without result")
    assert this_year[5] == Cell(text="–")
    (of_oaks, _) = table(document, "practice-oaks").rows
    assert of_oaks[3] == Cell(text="30", detail="2 by hand")


def test_fleet_of_nobody_says_so() -> None:
    document = fleet()
    assert document.summary == "There is no practice."
    assert table(document, "practices").rows == ()
