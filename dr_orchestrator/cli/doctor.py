"""`dro doctor`: what would make tonight's run fail, why it matters, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import TITLE, Span, print_lines
from dr_orchestrator.core.wording import count_words, printable
from dr_orchestrator.doctor.complaint import Complaint, Severity
from dr_orchestrator.doctor.cost import MonthOfTests, cost_words
from dr_orchestrator.errors import ExitCode, most_important

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.doctor.examine import Examination

_STYLES = {
    Severity.FAILS: "bold red",
    Severity.UNKNOWN: "yellow",
    Severity.SOON: "yellow",
    Severity.NOTE: "dim",
}
_WORDS = {
    Severity.FAILS: "FAILS",
    Severity.UNKNOWN: "unknown",
    Severity.SOON: "soon",
    Severity.NOTE: "note",
}
_WIDTH = max(len(words) for words in _WORDS.values()) + 2
_EXIT = {Severity.FAILS: ExitCode.FAILED, Severity.UNKNOWN: ExitCode.UNPROVEN}

Line = tuple[Span, ...]


@click.command(
    epilog="""\b
Examples:
  dro doctor
  dro doctor riverside --json
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, practices: tuple[str, ...], *, _json: bool) -> ExitCode:
    """Say what would make tonight's run fail, on this machine and for each PRACTICE.

    All practices, if none is named. Changes nothing: no repository is made, no lock removed,
    nothing recorded, and no patient data read.

    Exit codes: 0 nothing would fail tonight; 1 something would; 4 something could not be looked at.
    """
    examination = context.app.examine(practices)
    print_lines(_lines(examination), err=context.json)
    context.print_json_if_asked(
        {
            "practices": list(examination.practices),
            "complaints": [_complaint_json(each) for each in examination.complaints],
            "restore_tests_a_month": [
                _cost_json(practice, each)
                for practice, costs in examination.costs.items()
                for each in costs
            ],
        }
    )
    return most_important(
        _EXIT[each.severity] for each in examination.complaints if each.severity in _EXIT
    )


def _lines(examination: Examination) -> Iterator[Line]:
    for name in ("", *examination.practices):
        complaints = [each for each in examination.complaints if each.practice == name]
        yield (Span(f"{name or 'this machine'}: ", TITLE), *_verdict(complaints))
        for complaint in complaints:
            yield from _complaint_lines(complaint)
        for cost in examination.costs.get(name, ()):
            yield (Span(f"  restore tests a month, {printable(cost_words(cost))}"),)


def _verdict(complaints: list[Complaint]) -> Iterator[Span]:
    counts = {
        severity: sum(each.severity is severity for each in complaints) for severity in Severity
    }
    if not any(counts[each] for each in Severity if each is not Severity.NOTE):
        yield Span("healthy", "green")
        return
    said = (
        (Severity.FAILS, "would fail tonight"),
        (Severity.UNKNOWN, "could not be looked at"),
        (Severity.SOON, "will fail soon"),
    )
    parts = [
        f"{count_words(counts[each], 'thing')} {words}" for each, words in said if counts[each]
    ]
    yield Span(", ".join(parts), next(_STYLES[each] for each, _ in said if counts[each]))


def _complaint_lines(complaint: Complaint) -> Iterator[Line]:
    where = f" ({complaint.line})" if complaint.line else ""
    mark = Span(f"  {_WORDS[complaint.severity]:{_WIDTH}}", _STYLES[complaint.severity])
    yield (mark, Span(f"{printable(complaint.what)}{where}"))
    yield (Span(f"  {'':{_WIDTH}}so: {printable(complaint.so_what)}"),)
    yield (Span(f"  {'':{_WIDTH}}do: {printable(complaint.do)}"),)


def _complaint_json(complaint: Complaint) -> dict[str, object]:
    return {
        "kind": complaint.kind.slug,
        "severity": complaint.severity.value,
        "practice": complaint.practice or None,
        "what": complaint.what,
        "so_what": complaint.so_what,
        "do": complaint.do,
        "line": complaint.line or None,
    }


def _cost_json(practice: str, cost: MonthOfTests) -> dict[str, object]:
    return {
        "practice": practice,
        "system": cost.system,
        "repository": cost.repository,
        "times": cost.times,
        "bytes": cost.bytes,
        "seconds": cost.seconds,
        "requests": cost.requests,
    }
