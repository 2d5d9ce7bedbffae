from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.record import RepositoryChecked, RetentionFrozen
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.report.document import Commands, Document, Table, Tone
from dr_orchestrator.report.engineer import engineer_document
from dr_orchestrator.report.subject import StepsDone, Subject
from tests.support import practices
from tests.support.evidence import make_run
from tests.support.practices import NOW, Practice
from tests.support.promises import make_action

DAY = timedelta(days=1)


def subject_of(practice: Practice) -> Subject:
    return replace(practice.subject(), tests=practice.record.tests)


def table(document: Document, section: str) -> Table:
    (found,) = (each for each in document.sections if each.id == section)
    return next(each for each in found.blocks if isinstance(each, Table))


def texts(of: Table) -> list[tuple[str, ...]]:
    return [tuple(cell.text for cell in row) for row in of.rows]


def test_what_needs_a_person_comes_worst_first_with_the_command_to_type() -> None:
    document = engineer_document(subject_of(practices.broken()))
    rows = table(document, "todo").rows
    assert document.verdict is Verdict.BREACHED
    assert document.summary == f"{len(rows)} things need a person."
    assert {row[2].tone for row in rows} == {Tone.BAD}
    assert all(row[2].detail for row in rows)
    assert any("comes back from offsite: restore from there" in row[3].text for row in rows)
    untimed = next(row for row in rows if row[1].text == "recovery time, onsite")
    assert "comes back from offsite" in untimed[3].text
    (section,) = (each for each in document.sections if each.id == "todo")
    (commands,) = (each for each in section.blocks if isinstance(each, Commands))
    assert "dro repository check riverside --repository onsite" in commands.lines


def test_what_is_not_due_yet_is_listed_and_needs_nobody() -> None:
    document = engineer_document(subject_of(practices.first_day()))
    rows = table(document, "todo").rows
    assert document.summary == f"Nothing is overdue; {len(rows)} promises are not proven yet."
    assert {(row[2].text, row[2].tone) for row in rows} == {("not proven yet", Tone.OPEN)}


def test_verdict_is_the_one_of_the_managers_page() -> None:
    document = engineer_document(subject_of(practices.loosened()))
    assert document.verdict is Verdict.UNPROVEN


def test_open_actions_are_told_with_how_to_close_them() -> None:
    subject = subject_of(practices.healthy())
    late = make_action(NOW - 8 * DAY, due=NOW - DAY)
    later = replace(late, id="other", due=NOW + DAY)
    closed = replace(late, id="closed", closed_at=NOW - DAY)
    record = replace(subject.record, actions=(later, late, closed))
    document = engineer_document(replace(subject, record=record))
    rows = table(document, "actions").rows
    assert [(row[3].detail, row[3].tone) for row in rows] == [
        ("overdue", Tone.BAD),
        ("open", Tone.OPEN),
    ]
    (section,) = (each for each in document.sections if each.id == "actions")
    (commands,) = (each for each in section.blocks if isinstance(each, Commands))
    assert len(commands.lines) == 2
    assert f"dro action close riverside {late.id} --done TEXT" in commands.lines


def test_runs_that_did_not_end_well_come_first() -> None:
    subject = subject_of(practices.healthy())
    done = make_run(NOW - DAY, finished_at=NOW - DAY + timedelta(minutes=2), outcome=Outcome.DONE)
    failed = replace(
        done,
        id="failed",
        operation=Operation.CHECK,
        repository="onsite",
        outcome=Outcome.FAILED,
        reason="onsite: unreachable",
    )
    record = replace(subject.record, last_runs=(done, failed))
    document = engineer_document(replace(subject, record=record))
    first, second = table(document, "runs").rows
    assert (first[0].text, first[4].text, first[4].tone) == ("check", "failed", Tone.BAD)
    assert first[4].detail == "onsite: unreachable"
    assert (second[3].text, second[4].text, second[4].tone) == ("2 min", "done", Tone.GOOD)
    (section,) = (each for each in document.sections if each.id == "runs")
    assert section.blocks[-1] == Commands(lines=("dro runs show failed",))


def test_repositories_say_what_they_hold_and_what_is_wrong_with_them() -> None:
    subject = replace(
        subject_of(practices.healthy()), disks={"onsite": (200 * 2**30, 1024 * 2**30)}
    )
    damaged = RepositoryChecked(
        practice="riverside",
        repository="onsite",
        run="r",
        at=NOW - DAY,
        part=2,
        parts=5,
        sound=False,
        reason="a pack is damaged",
    )
    sound = replace(damaged, part=1, at=NOW - 2 * DAY, sound=True, reason="")
    frozen = RetentionFrozen(practice="riverside", repository="onsite", at=NOW, why="much is new")
    record = replace(subject.record, checks=(sound, damaged), frozen={"onsite": frozen})
    document = engineer_document(replace(subject, record=record))
    onsite = table(document, "repositories").rows[0]
    assert (onsite[0].text, onsite[0].tone) == ("onsite", Tone.BAD)
    assert "much is new" in onsite[0].detail
    assert "points, newest 2026-11-2" in onsite[1].text
    assert onsite[3].text == "200 GiB of 1.0 TiB free"
    assert onsite[4].text.startswith("2 of 5 parts read back, last 2026-11-20")
    assert (onsite[4].detail, onsite[4].tone) == ("DAMAGED: a pack is damaged", Tone.BAD)


def test_steps_say_how_much_of_each_runbook_was_really_done() -> None:
    steps = (
        StepsDone(runbook="triage", system="", steps=4, done=4),
        StepsDone(runbook="server-lost", system="emr", steps=9, done=0),
    )
    document = engineer_document(replace(subject_of(practices.one_system()), steps=steps))
    found = table(document, "steps")
    assert texts(found) == [
        ("triage", "the practice", "4 of 4"),
        ("server-lost", "Electronic medical record", "0 of 9"),
    ]
    assert [row[2].tone for row in found.rows] == [Tone.GOOD, Tone.OPEN]


def test_document_of_a_practice_without_any_record_says_so_everywhere() -> None:
    practice = practices.first_day()
    subject = replace(practice.subject(), record=practices.record(()), findings=())
    document = engineer_document(subject)
    assert document == engineer_document(subject)
    for section in ("todo", "actions", "runs", "tests", "growth", "steps"):
        found = table(document, section)
        assert found.rows == ()
        assert found.empty
    assert document.head == ""
