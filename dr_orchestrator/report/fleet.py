"""The report on many practices, for whoever looks after them all: what needs a person first, then
what was proven month by month, over years. Pure.

The page of sites (`dro report --from`) shows what other machines publish; this one shows the record
of this machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from dr_orchestrator import __version__
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.compliance.vouched import is_doubted
from dr_orchestrator.core.finding import Finding, Verdict, worst
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import (
    date_words,
    instant_words,
    some_names,
    verdict_words,
)
from dr_orchestrator.report.document import (
    Cell,
    Column,
    Commands,
    Document,
    Fact,
    Paragraph,
    Section,
    Table,
    Tone,
)
from dr_orchestrator.report.engineer import advice_words, commands_for, promise_words
from dr_orchestrator.report.exact import columns
from dr_orchestrator.report.say import count, say
from dr_orchestrator.report.view import View
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from dr_orchestrator.report.subject import Fleet, Subject
    from dr_orchestrator.store.base import MonthOfTests

_MONTHS = 12
_OF_PRACTICE = ("practice", ("state", 2), "tested", "actions", "promise", ("evidence", 2))
_TO_DO = ("practice", "system", "promise", ("state", 2), ("do", 2))


class _Need(StrEnum):
    """How soon a practice needs a person; the most urgent first."""

    BREACHED = "breached"
    OVERDUE = "overdue"
    TROUBLE = "trouble"
    """Kept, and something beside that is to be done."""
    QUIET = "quiet"
    KEPT = "kept"


_ORDER = tuple(_Need)
_TONES = {_Need.BREACHED: Tone.BAD, _Need.KEPT: Tone.GOOD}


def fleet_document(fleet: Fleet) -> Document:
    """Return the report on many practices."""
    practices = sorted(
        map(_Practice, fleet.subjects), key=lambda each: (_ORDER.index(each.need), each.id)
    )
    made = instant_words(fleet.now, UTC)
    verdict = worst(tuple(each.verdict for each in practices))
    return printable_parts(
        Document(
            reader="fleet",
            practice="",
            name=say("fleet.name"),
            title=say("fleet.title"),
            made=made,
            verdict=verdict,
            verdict_words=verdict_words(verdict),
            summary=_summary(practices),
            sections=tuple(_sections(practices, fleet.months)),
            footer=(
                Fact(label=say("fleet.footer.practices"), text=str(len(practices))),
                Fact(
                    label=say("fleet.footer.made"),
                    text=say("fleet.footer.made_by", moment=made, version=__version__),
                ),
            ),
            head="",
            notice=_notice(practices),
        )
    )


class _Practice:
    """One practice, and how it stands."""

    def __init__(self, subject: Subject) -> None:
        self._at = subject
        self._view = View(subject)
        self.verdict = self._view.practice_verdict
        self.is_altered = self._view.is_altered
        self.id = subject.plan.practice.id
        self.name = subject.plan.practice.name

    @cached_property
    def urgent(self) -> tuple[Finding, ...]:
        found = [
            each
            for each in self._view.findings
            if not is_doubted(each)
            and (each.verdict is Verdict.BREACHED or is_overdue(each, self._at.now))
        ]
        return tuple(sorted(found, key=lambda each: each.verdict is not Verdict.BREACHED))

    @cached_property
    def need(self) -> _Need:
        if self.verdict is Verdict.BREACHED:
            return _Need.BREACHED
        if self.urgent:
            return _Need.OVERDUE
        if self.verdict is Verdict.UNPROVEN:
            return _Need.QUIET
        return _Need.TROUBLE if self._overdue else _Need.KEPT

    @property
    def _overdue(self) -> int:
        actions = self._at.record.actions
        return sum(1 for each in actions if each.is_open and each.due <= self._at.now)

    def row(self) -> tuple[Cell, ...]:
        return (
            Cell(text=self.name, detail=self.id),
            Cell(
                text=say(f"fleet.need.{self.need.value}"),
                tone=_TONES.get(self.need, Tone.OPEN),
                detail=promise_words(self.urgent[0]) if self.urgent else "",
            ),
            self._tested(),
            self._actions(),
            self._promise(),
            self._evidence(),
        )

    def to_do(self) -> Iterator[tuple[Cell, ...]]:
        for each in self.urgent:
            late = each.verdict is Verdict.UNPROVEN
            words = say("fleet.need.overdue") if late else verdict_words(each.verdict)
            yield (
                Cell(text=self.name),
                Cell(text=self._view.title(each.system)),
                Cell(text=promise_words(each)),
                Cell(text=words, tone=Tone.OPEN if late else Tone.BAD, detail=each.reason),
                Cell(text=advice_words(each, self.id)),
            )

    def _tested(self) -> Cell:
        passed = [
            each.finished_at
            for each in self._view.all_tests
            if each.result is Result.PASSED and each.follow_up_of is None
        ]
        if not passed:
            return Cell(text=say("fleet.practices.never"), tone=Tone.OPEN)
        return Cell(text=self._day(max(passed)))

    def _actions(self) -> Cell:
        still_open = sum(1 for each in self._at.record.actions if each.is_open)
        if not still_open:
            return Cell(text=say("fleet.practices.no_action"))
        if self._overdue:
            return Cell(text=count("fleet.practices.overdue", self._overdue), tone=Tone.BAD)
        return Cell(text=count("fleet.practices.open", still_open), tone=Tone.OPEN)

    def _promise(self) -> Cell:
        if loosened := len(self._view.loosened):
            return Cell(text=count("fleet.practices.changed", loosened), tone=Tone.OPEN)
        signed = self._view.sign_offs
        if not signed:
            return Cell(text=say("fleet.practices.unsigned"))
        return Cell(text=say("fleet.practices.signed", day=self._day(signed[-1].at)))

    def _evidence(self) -> Cell:
        seen = self._at.evidence
        if self.is_altered:
            return Cell(text=say("fleet.practices.altered"), tone=Tone.BAD)
        if not seen.chain:
            return Cell(text=say("fleet.practices.no_evidence"), tone=Tone.OPEN)
        saved = [
            each.finished_at
            for each in self._at.record.last_runs
            if each.operation is Operation.EVIDENCE
            and each.outcome is Outcome.DONE
            and each.finished_at
        ]
        anchored = [each.at for each in seen.anchors if not each.reason]
        parts = (
            say("fleet.practices.saved", day=self._day(max(saved)))
            if saved
            else say("fleet.practices.not_saved"),
            say("fleet.practices.anchored", day=self._day(max(anchored)))
            if anchored
            else say("fleet.practices.not_anchored"),
        )
        return Cell(
            text=say("fleet.practices.lines", lines=f"{seen.number:,}"),
            tone=Tone.PLAIN if saved and anchored else Tone.OPEN,
            detail=", ".join(parts),
        )

    def _day(self, instant: datetime) -> str:
        return date_words(instant, self._at.plan.practice.timezone)


def _notice(practices: Sequence[_Practice]) -> str:
    altered = [each.id for each in practices if each.is_altered]
    return say("fleet.notice", practices=some_names(altered)) if altered else ""


def _summary(practices: Sequence[_Practice]) -> str:
    if not practices:
        return say("fleet.summary.nobody")
    counted = Counter(each.need for each in practices)
    needs = [f"{counted[need]} {say(f'fleet.need.{need}')}" for need in _Need if counted[need]]
    return say(
        "fleet.summary.joined",
        practices=count("fleet.summary.practices", len(practices)),
        needs=", ".join(needs),
    )


def _sections(practices: Sequence[_Practice], months: Sequence[MonthOfTests]) -> Iterator[Section]:
    yield Section(
        id="practices",
        title=say("fleet.practices.title"),
        blocks=(
            Table(
                caption=say("fleet.practices.caption"),
                columns=columns("fleet.practices", *_OF_PRACTICE),
                rows=tuple(each.row() for each in practices),
                empty=say("fleet.practices.empty"),
            ),
        ),
    )
    yield Section(
        id="todo",
        title=say("fleet.todo.title"),
        blocks=(
            Table(
                caption=say("fleet.todo.caption"),
                columns=columns("fleet.todo", *_TO_DO),
                rows=tuple(row for each in practices for row in each.to_do()),
                empty=say("fleet.todo.empty"),
            ),
            *_commands(practices),
        ),
    )
    yield Section(id="months", title=say("fleet.months.title"), blocks=(_months(months),))
    for each in practices:
        of_practice = [month for month in months if month.practice == each.id]
        yield Section(id=f"practice-{each.id}", title=each.name, blocks=(_months(of_practice),))


def _commands(practices: Sequence[_Practice]) -> Iterator[Paragraph | Commands]:
    found = [line for each in practices for line in commands_for(each.urgent, each.id)]
    if found:
        yield Paragraph(text=say("engineer.todo.type"))
        yield Commands(lines=tuple(found))


def _months(months: Iterable[MonthOfTests]) -> Table:
    """Return what became of tests, a row a year."""
    totals: dict[str, Counter[str]] = {}
    for each in months:
        counted = Counter(
            passed=each.passed,
            failed=each.failed,
            no_result=each.no_result,
            missed=each.missed,
            skipped=each.skipped,
            by_hand=each.by_hand,
        )
        totals.setdefault(each.month, Counter()).update(counted)
    years = sorted({month[:4] for month in totals}, reverse=True)
    names = say("fleet.month_names").split()
    return Table(
        caption=say("fleet.months.caption"),
        columns=(
            Column(title=say("fleet.months.year")),
            *(Column(title=name, is_number=True) for name in names),
        ),
        rows=tuple(
            (
                Cell(text=year),
                *(_month(totals.get(f"{year}-{number:02}")) for number in range(1, _MONTHS + 1)),
            )
            for year in years
        ),
        empty=say("fleet.months.empty"),
    )


def _month(counted: Counter[str] | None) -> Cell:
    """Return what became of the tests of a month, of all that were made or missed."""
    if counted is None:
        return Cell(text=say("fleet.nothing"))
    of = sum(counted[what] for what in ("passed", "failed", "no_result", "missed"))
    others = ("failed", "no_result", "missed", "skipped", "by_hand")
    detail = ", ".join(
        say(f"fleet.months.{what}", n=f"{counted[what]:,}") for what in others if counted[what]
    )
    tone = Tone.OPEN if counted["no_result"] or counted["missed"] else Tone.PLAIN
    return Cell(
        text=f"{of:,}"
        if counted["passed"] == of
        else say("fleet.months.passed", passed=f"{counted['passed']:,}", of=f"{of:,}"),
        tone=Tone.BAD if counted["failed"] else tone,
        detail=detail,
    )
