"""`dro runbook list`: which runbooks a practice has, and how much of each was really done."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import TITLE, Span, print_lines
from dr_orchestrator.core.wording import count_words, date_words, printable
from dr_orchestrator.errors import ExitCode
from dr_orchestrator.plan.problem import report
from dr_orchestrator.runbook.coverage import Standing, coverage, followed_for
from dr_orchestrator.runbook.shelf import TRIAGE, shelf_of, shipped_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.runbook.coverage import RunbookCoverage
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.shelf import Shelf

_WIDTH = 79


@click.command(
    epilog="""\b
Examples:
  dro runbook list
  dro runbook list riverside --json
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, practices: tuple[str, ...], *, _json: bool) -> ExitCode:
    """List the runbooks of each PRACTICE; of all, if none is named.

    Of each: when it is the right one, for which systems, and how many of its steps were really
    done, not only simulated, as they are now. What was changed since counts as not verified from
    there on.

    Exit codes: 0 all are valid; 2 at least one is not, or does not fit the plan.
    """
    shown = [_Shown(context, loaded) for loaded in context.plans(practices)]
    for each in shown:
        print_lines(each.lines(), err=context.json)
        if each.shelf.problems:
            click.echo(report(each.shelf.problems), err=True)
    context.print_json_if_asked({"practices": [each.as_json() for each in shown]})
    return ExitCode.USAGE if any(each.shelf.problems for each in shown) else ExitCode.OK


class _Shown:
    """What is said of the runbooks of one practice."""

    def __init__(self, context: Context, loaded: LoadedPlan) -> None:
        plan = loaded.plan
        self._practice = plan.practice
        self.shelf: Shelf = shelf_of(loaded)
        exercised = context.store().followed.exercised(plan.practice.id)
        now = context.clock.now()
        self._rows = [
            (
                runbook,
                [
                    coverage(runbook, plan, system, exercised, now)
                    for system in followed_for(runbook, plan)
                ],
            )
            for _, runbook in sorted(
                self.shelf.runbooks.items(), key=lambda each: (each[0] != TRIAGE, each[0])
            )
        ]

    def lines(self) -> Iterator[tuple[Span, ...]]:
        yield (Span(printable(self._practice.name), TITLE), Span(f" ({self._practice.id})"))
        for runbook, covers in self._rows:
            yield ()
            yield (Span(f"  {runbook.name}", TITLE), Span(f"  {printable(runbook.runbook.title)}"))
            for text in self._said(runbook, covers):
                for line in textwrap.wrap(text, _WIDTH - 6, subsequent_indent="  "):
                    yield (Span(f"      {line}"),)

    def _said(self, runbook: LoadedRunbook, covers: list[RunbookCoverage]) -> Iterator[str]:
        yield f"when {printable(runbook.runbook.when)}"
        steps = count_words(len(runbook.runbook.steps), "step")
        yield f"{steps}, {_where_from(runbook)}"
        alike: dict[str, list[str]] = {}
        for cover in covers:
            standing = _standing(cover, self._practice.timezone)
            alike.setdefault(standing, []).append(cover.system or "the practice")
        for standing, subjects in alike.items():
            yield f"{', '.join(subjects)}: {standing}"

    def as_json(self) -> dict[str, object]:
        return {
            "practice": self._practice.id,
            "runbooks": [_runbook_json(*row) for row in self._rows],
            "problems": [each.as_dict() for each in self.shelf.problems],
        }


def _where_from(runbook: LoadedRunbook) -> str:
    if _is_shipped(runbook):
        return "shipped with dro"
    why_not = f"; its commands ask first: {runbook.why_not}" if runbook.why_not else ""
    return f"of {printable(runbook.origin)}{why_not}"


def _is_shipped(runbook: LoadedRunbook) -> bool:
    return Path(runbook.origin).parent == shipped_folder()


def _standing(cover: RunbookCoverage, zone: tzinfo) -> str:
    """Return how much of a runbook is verified, when last, and why the rest is not."""
    last = max((each.last for each in cover.steps if each.last), default=None)
    if last is None:
        return "never followed"
    of = [each.standing for each in cover.steps]
    said = [
        f"{of.count(Standing.VERIFIED)} of {len(of)} steps verified, last {date_words(last, zone)}"
    ]
    if Standing.CHANGED in of:
        number = of.index(Standing.CHANGED)
        where = f"step {number + 1} ({cover.steps[number].step})"
        said.append(f"not verified from {where} on: it changed")
    for standing, words in ((Standing.STALE, "too long ago"), (Standing.NEVER, "never done")):
        if count := of.count(standing):
            said.append(f"{count} {words}")
    return "; ".join(said)


def _runbook_json(runbook: LoadedRunbook, covers: list[RunbookCoverage]) -> dict[str, object]:
    described = runbook.runbook
    return {
        "name": runbook.name,
        "title": described.title,
        "when": described.when,
        "about": described.about,
        "opens": list(described.opens),
        "reviewed": described.reviewed or None,
        "origin": runbook.origin,
        "shipped": _is_shipped(runbook),
        "sha256": runbook.sha256,
        "trusted": runbook.trusted,
        "systems": [
            {
                "system": cover.system or None,
                "verified": cover.share,
                "steps": [
                    {
                        "step": each.step,
                        "standing": each.standing.value,
                        "last": each.last,
                        "seconds": each.seconds,
                    }
                    for each in cover.steps
                ],
            }
            for cover in covers
        ],
    }
