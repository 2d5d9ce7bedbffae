"""The page that both sides sign says what goes along, open ends included, and where secrets are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr_orchestrator.core.custody import HeldKey
from dr_orchestrator.core.problem import OpenProblem, Problem, ProblemKind
from dr_orchestrator.core.record import HoldPlaced, SystemPaused
from dr_orchestrator.plan.credentials import credentials_of
from dr_orchestrator.report.document import Document, Facts, Paragraph, Table
from dr_orchestrator.report.handover import Handover, handover_document, handover_text
from dr_orchestrator.report.html import render_document
from dr_orchestrator.report.subject import EvidenceSeen, Subject
from tests.support import practices
from tests.support.practices import NOW
from tests.support.promises import make_action

DAY = timedelta(days=1)


def _subject(**changes: Any) -> Subject:
    practice = practices.healthy()
    record = replace(practice.record, **changes)
    return replace(practice, record=record).subject()


def _handover(subject: Subject, **changes: Any) -> Handover:
    plain = Handover(
        at=NOW,
        by="Ada",
        to="Lakeview IT",
        why="the contract ends.",
        host="clinic-box",
        chain="c" * 32,
        number=1234,
        head="a" * 64,
        fingerprint="b" * 64,
        credentials=tuple(credentials_of(subject.plan)),
        of_machine=(),
        problems=(),
        notes=(),
    )
    return replace(plain, **changes)


def _said(document: Document, section: str) -> str:
    (found,) = (each for each in document.sections if each.id == section)
    words: list[str] = []
    for block in found.blocks:
        match block:
            case Paragraph():
                words.append(block.text)
            case Facts():
                words += [f"{each.label}: {each.text}" for each in block.facts]
            case Table():
                words += [" | ".join(cell.text for cell in row) for row in block.rows]
                words += [block.empty] if not block.rows else []
            case _:
                raise AssertionError(block)
    return "\n".join(words)


def test_page_says_who_gives_what_to_whom_and_what_was_signed() -> None:
    subject = _subject()
    document = handover_document(subject, _handover(subject))

    assert "go to Lakeview IT on 21 November 2026" in document.summary
    assert document.summary.endswith("The reason given: the contract ends.")
    assert "a" * 64 in _said(document, "sign")
    assert "b" * 64 in _said(document, "sign")
    assert "entry 1,234" in _said(document, "sign")
    assert "repositories.onsite.password | file " in _said(document, "revoke")
    assert "No action, problem, pause or hold is open." in _said(document, "open")
    assert "confidential" in _said(document, "folder")


def test_what_is_open_goes_along() -> None:
    by: dict[str, Any] = {"practice": "riverside", "at": NOW, "by": "Ada", "why": "because"}
    problem = Problem(
        key="k",
        kind=ProblemKind.FAILURE,
        practice="riverside",
        system="emr",
        what="the copy to offsite failed",
        next="look",
        since=NOW,
    )
    subject = _subject(
        actions=(make_action(NOW - 30 * DAY),),
        pauses={"": SystemPaused(system="", until=NOW + DAY, **by)},
        holds={"p1": HoldPlaced(point="p1", until=None, **by)},
        keys=(
            HeldKey(
                practice="riverside",
                repository="onsite",
                key="0123456789ab",
                holder="manager",
                form="sealed sheet",
                made_at=NOW,
                made_by="Ada",
            ),
        ),
    )
    over = _handover(
        subject,
        problems=(OpenProblem(id="x", problem=problem, opened_at=NOW),),
        notes=("the repository offsite did not answer",),
    )
    document = handover_document(subject, over)

    said = _said(document, "open")
    for words in (
        "find out why the restore test of emr failed",
        "the copy to offsite failed",
        "everything: because (Ada)",
        "recovery point p1",
        "the repository offsite did not answer",
    ):
        assert words in said
    assert "01234567 | onsite" in _said(document, "custody")


def test_record_that_was_altered_is_said_before_all_else() -> None:
    subject = replace(_subject(), evidence=EvidenceSeen(faults=("it differs",)))

    assert handover_document(subject, _handover(subject)).notice.startswith("THE RECORD WAS FOUND")


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "a\x1b[31mb"])
def test_what_people_typed_is_safe_to_show(hostile: str) -> None:
    subject = _subject()
    over = _handover(subject, to=hostile, why=hostile)

    html = render_document(handover_document(subject, over)).decode()

    assert hostile not in html
    assert "\x1b" not in handover_text(subject, over)
