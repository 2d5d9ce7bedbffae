"""Policy packs held against what is known, in words: the control matrix."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.case import open_case
from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.sign_off import HowGiven
from dr_orchestrator.core.wording import duration_words, printable, some_names
from dr_orchestrator.policies.controls import judge_policy
from dr_orchestrator.policies.known import Known
from dr_orchestrator.policies.load import load_policy
from dr_orchestrator.report.document import Cell, Table
from dr_orchestrator.report.exact import TONES, columns, row
from dr_orchestrator.report.say import count, say
from dr_orchestrator.report.subject import HEAD_SHOWN

if TYPE_CHECKING:
    from dr_orchestrator.policies.model import Found, Judged, Policy, Value
    from dr_orchestrator.report.exact import Exact

_IDS_SHOWN = 2


def judged_by(exact: Exact, name: str) -> tuple[Policy, tuple[Judged, ...]]:
    """Return a pack and what came of each of its controls."""
    policy = load_policy(name)
    return policy, judge_policy(policy, _known(exact))


def _known(exact: Exact) -> Known:
    subject = exact.subject
    return Known(
        plan=subject.plan,
        record=replace(subject.record, sign_offs=exact.view.sign_offs),
        findings=exact.view.findings,
        now=subject.now,
        tests=exact.tests,
        due=subject.due,
        damaged=frozenset(
            copy
            for name in subject.plan.protected
            for copy in open_case(subject.plan, name, subject.record, subject.now).damaged
        ),
        drills=subject.drills,
        followed=subject.followed,
        exercised=subject.exercised,
        kit=subject.kit,
        head=subject.evidence.head,
        anchors=subject.evidence.anchors,
        custody=exact.view.custody,
        is_altered=exact.view.is_altered,
    )


def reason(exact: Exact, found: Found) -> str:
    """Return what came of a control, as a sentence."""
    values = {name: _words(exact, name, value) for name, value in found.values.items()}
    if "how" in values:
        values["how"] = exact.given(HowGiven(values["how"]), values["recorded_by"])
    number = found.values.get("n")
    if isinstance(number, int):
        values.pop("n")
        return count(f"controls.{found.says}", number, **values)
    return say(f"controls.{found.says}", **values)


def _words(exact: Exact, name: str, value: Value) -> str:
    match value:
        case datetime():
            return exact.at(value)
        case timedelta():
            return duration_words(value)
        case int():
            return f"{value:,}"
        case tuple():
            if name == "systems":
                return exact.systems(value)
            words = [exact.who(each) for each in value] if name == "people" else list(value)
            return some_names([printable(each) for each in words])
        case _:
            return printable(value).rstrip(".") or say("auditor.no_reason")


def matrix(exact: Exact, policy: Policy, judged: tuple[Judged, ...]) -> Table:
    """Return the control matrix of a pack."""
    return Table(
        caption=say("auditor.controls.table")
        if policy.is_law
        else say("auditor.controls.marked_table", standing=policy.standing),
        columns=columns(
            "auditor.controls",
            ("citation", 4),
            ("asked", 5),
            ("verdict", 3),
            ("shown", 8),
            ("since", 3),
        ),
        rows=tuple(
            row(
                Cell(text=each.control.citation, detail=each.control.also),
                Cell(text=each.control.title, detail=each.control.note),
                _verdict(policy, each),
                Cell(text=reason(exact, each.found), detail=_records(each.found)),
                exact.at(each.found.since),
            )
            for each in judged
        ),
        empty=say("auditor.controls.empty"),
    )


def _verdict(policy: Policy, judged: Judged) -> Cell:
    """Return what came of it, and of a rule whether it is required; else what is asked then."""
    verdict = judged.verdict
    if not policy.is_law:
        kind = ""
    elif judged.control.required:
        kind = say("auditor.controls.required")
    elif verdict is Verdict.MET:
        kind = say("auditor.controls.addressable")
    else:
        kind = say("auditor.controls.addressable_open")
    return Cell(text=say(f"auditor.verdict.{verdict.value}"), tone=TONES[verdict], detail=kind)


def _records(found: Found) -> str:
    return "" if not found.records else say("auditor.records", ids=ids(found.records))


def ids(records: tuple[str, ...]) -> str:
    """Return the ids of records; of many the first, and how many more; of a hash its begin."""
    shown = [each[:HEAD_SHOWN] if len(each) == 64 else each for each in records]  # noqa: PLR2004 - SHA-256
    left_out = len(shown) - _IDS_SHOWN
    named = ", ".join(shown[:_IDS_SHOWN])
    return count("auditor.more_ids", left_out, ids=named) if left_out > 0 else named
