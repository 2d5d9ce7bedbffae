"""`dro status`: which promises are kept, not kept or not proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import STYLES, TITLE, Span, print_lines
from dr_orchestrator.compliance.verdict import is_overdue, practice_verdict
from dr_orchestrator.core.finding import Finding, Verdict, worst
from dr_orchestrator.core.wording import instant_words, objective_words, printable, verdict_words
from dr_orchestrator.errors import ExitCode, most_important

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan

_WORST_FIRST = (Verdict.BREACHED, Verdict.UNPROVEN, Verdict.MET)
_VERDICT_WIDTH = max(len(verdict_words(verdict)) for verdict in Verdict) + 2

Line = tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class PracticeStatus:
    """A practice and what was found on it."""

    plan: Plan
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of any finding."""
        return practice_verdict(self.findings)


@click.command(
    epilog="""\b
Examples:
  dro status
  dro status riverside --json
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, practices: tuple[str, ...], *, _json: bool) -> ExitCode:
    """Say which promises to each PRACTICE are kept, not kept or not proven; all, if none is named.

    Exit codes: 0 every promise is kept, or its proof is not due yet; 4 a proof is overdue;
    5 a promise is not kept.
    """
    from dr_orchestrator.compliance.judge import judge

    now = context.clock.now()
    store = context.store()
    statuses = sorted(
        (
            PracticeStatus(
                plan=loaded.plan,
                findings=judge(loaded.plan, store.practice_record(loaded.plan.practice.id), now),
            )
            for loaded in context.plans(practices)
        ),
        key=lambda status: _WORST_FIRST.index(status.verdict),
    )
    print_lines(status_lines(statuses), err=context.json)
    context.print_json_if_asked({"practices": [status_json(status) for status in statuses]})
    return exit_code(statuses, now)


def exit_code(statuses: Iterable[PracticeStatus], now: datetime) -> ExitCode:
    """Return 5 for a broken promise, 4 for one that is unproven and not merely not due yet.

    A finding without a date by which it is due does not wait for anything, so it counts as overdue.
    """
    codes = []
    for status in statuses:
        if not status.findings:
            codes.append(ExitCode.UNPROVEN)
        for finding in status.findings:
            if finding.verdict is Verdict.BREACHED:
                codes.append(ExitCode.BREACHED)
            elif is_overdue(finding, now):
                codes.append(ExitCode.UNPROVEN)
    return most_important(codes)


def status_json(status: PracticeStatus) -> dict[str, object]:
    """Return one practice as other programs read it; times in UTC."""
    return {
        "practice": status.plan.practice.id,
        "verdict": status.verdict.value,
        "findings": [_finding_json(finding) for finding in status.findings],
    }


def _finding_json(finding: Finding) -> dict[str, object]:
    return {
        "system": finding.system,
        "objective": finding.objective.value,
        "repository": finding.repository,
        "verdict": finding.verdict.value,
        "promised": finding.promised,
        "achieved": finding.achieved,
        "reason": finding.reason,
        "since": finding.since.isoformat() if finding.since else None,
        "due": finding.due.isoformat() if finding.due else None,
    }


def status_lines(statuses: Iterable[PracticeStatus]) -> Iterator[Line]:
    """Return one block of lines a practice, its worst system first."""
    for number, status in enumerate(statuses):
        if number:
            yield ()
        name = printable(status.plan.practice.name)
        yield (
            Span(f"{name} ({status.plan.practice.id}): ", TITLE),
            Span(verdict_words(status.verdict), STYLES[status.verdict]),
        )
        if not status.findings:
            yield (Span("  this plan promises nothing"),)
        for system in _systems(status):
            yield from _system_lines(status, system)


def _systems(status: PracticeStatus) -> list[str]:
    verdicts: dict[str, tuple[Verdict, ...]] = {}
    for finding in status.findings:
        verdicts[finding.system] = (*verdicts.get(finding.system, ()), finding.verdict)
    return sorted(verdicts, key=lambda system: _WORST_FIRST.index(worst(verdicts[system])))


def _system_lines(status: PracticeStatus, system: str) -> Iterator[Line]:
    findings = [finding for finding in status.findings if finding.system == system]
    width = max(len(_objective(finding)) for finding in status.findings) + 2
    spec = status.plan.systems.get(system)
    yield (Span(f"  {printable((spec.title if spec else '') or system)}"),)
    for finding in findings:
        yield (
            Span(f"    {verdict_words(finding.verdict):{_VERDICT_WIDTH}}", STYLES[finding.verdict]),
            Span(f"{_objective(finding):{width}}"),
            Span(printable(_measured(finding))),
        )
        if explanation := _explanation(status, finding):
            yield (Span(f"    {'':{_VERDICT_WIDTH}}{explanation}"),)


def _objective(finding: Finding) -> str:
    words = objective_words(finding.objective)
    return f"{words}, {finding.repository}" if finding.repository else words


def _measured(finding: Finding) -> str:
    if not finding.achieved:
        return f"promised: {finding.promised}"
    return f"{finding.achieved} (promised: {finding.promised})"


def _explanation(status: PracticeStatus, finding: Finding) -> str:
    """Return why, since when and until when; nothing for a promise that is kept."""
    if finding.verdict is Verdict.MET:
        return ""
    zone = status.plan.practice.timezone
    parts = [printable(finding.reason)]
    if finding.since:
        parts.append(f"since {instant_words(finding.since, zone)}")
    if finding.due and finding.verdict is Verdict.UNPROVEN:
        parts.append(f"due {instant_words(finding.due, zone)}")
    return "; ".join(part for part in parts if part)
