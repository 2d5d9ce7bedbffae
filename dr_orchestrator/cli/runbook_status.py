"""`dro runbook status`: you are here, for whoever joins late. Reads the record only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import TITLE, Span, print_lines
from dr_orchestrator.cli.runbook_standing import standing_json, standing_of, to_go_on_with
from dr_orchestrator.cli.runbook_words import (
    DOT,
    behind_words,
    clock_time,
    clock_words,
    limit_words,
    load_words,
    wrapped_words,
)
from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.core.wording import duration_words, instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.runbook.elsewhere import people_work_again

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.cli.runbook_standing import Standing

_BEHIND = 4
_AFTER = 2


@click.command(
    epilog="""\b
Examples:
  dro runbook status
  dro runbook status riverside
  dro runbook status 20261121-0214 --json
"""
)
@click.argument("which", metavar="[PRACTICE|RUN]", required=False)
@click.option("--all", "_all", is_flag=True, help="those that are over too")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, which: str | None, *, _all: bool, _json: bool) -> ExitCode:
    """Say which runbooks are being followed, and where each stands: the step, who is on it, the
    clock against the RTO, what is due, and the command to join. Of one RUN also what to do with
    what was restored: a command a line, to be copied from here.

    Exit codes: 0 said; 2 there is no such practice or run.
    """
    standings = _wanted(context, which, over_too=_all)
    waiting = {each.run.id for each in to_go_on_with(context.store())}
    now = context.clock.now()
    if not standings:
        context.say("nothing is being followed")
    for standing in standings:
        again = tuple(people_work_again(standing.run, context.store(), now))
        lines = _lines(standing, now, again, is_waiting=standing.run.id in waiting)
        wrapped = (each for line in lines for each in _wrapped(line))
        print_lines(wrapped, err=context.json)
        if standing.run.id.startswith(which or " "):
            print_lines(_loads(standing), err=context.json)
    context.print_json_if_asked({"runs": [_json_of(each, now) for each in standings]})
    return ExitCode.OK


def _wanted(context: Context, which: str | None, *, over_too: bool) -> tuple[Standing, ...]:
    """Return the runs that are asked for, oldest first.

    Raises:
        UsageMistake: there is neither a practice nor a run of this name.
    """
    store = context.store()
    if which is not None and which not in {each.practice for each in store.followed.runs()}:
        try:
            return (standing_of(store.followed.find(which), store),)
        except UsageMistake:
            context.plans((which,))
            return ()
    if not over_too:
        return to_go_on_with(store, which)
    runs = (each for each in store.followed.runs(which) if each.mode is not Mode.DRILL)
    return tuple(standing_of(each, store) for each in runs)


def _wrapped(line: tuple[Span, ...]) -> Iterator[tuple[Span, ...]]:
    (span,) = line
    indent = span.text[: len(span.text) - len(span.text.lstrip())]
    for each in wrapped_words(span.text.lstrip(), indent=indent, hanging="  "):
        yield (Span(each, span.style),)


def _loads(standing: Standing) -> Iterator[tuple[Span, ...]]:
    """Yield what to do with what was restored: never wrapped, so that it can be copied."""
    for loads in standing.loads:
        yield ()
        yield (Span(f"load {printable(loads.of)}:", TITLE),)
        yield from ((Span(load_words(each)),) for each in loads.lines)


def _lines(
    standing: Standing, now: datetime, again: tuple[str, ...], *, is_waiting: bool
) -> Iterator[tuple[Span, ...]]:
    """Yield what is said of a run, a line each; `again` is what others say of the outage."""
    run, progress, zone = standing.run, standing.progress, standing.plan.practice.timezone
    yield (Span(f"{standing.title}{DOT}{printable(standing.plan.practice.name)}", TITLE),)
    began, left = clock_words(run.outage_at, standing.rto, progress.people_at or now, zone)
    if progress.people_at is not None:
        yield (Span(f"  {_recovered(standing)}"),)
    elif not again:
        yield (Span(f"  {began}{DOT}{left}" if left else f"  {began}"),)
    yield from ((Span(f"  {printable(line)}"),) for line in again)
    step = standing.step
    if step is None:
        ended = standing.here if is_waiting else standing.place
        yield (Span(f"  {ended}, {instant_words(standing.moves[-1].at, zone)}"),)
    else:
        yield (Span(f"  you are here: {standing.here}", TITLE),)
        since = progress.begun_at or run.opened_at
        who = f"{printable(standing.by)} on {printable(standing.host)}"
        yield (Span(f"  since {clock_time(since, now, zone)}: {who}"),)
    for limit in progress.limits:
        yield (Span(f"  {limit_words(limit, now, zone)}"),)
    for behind in progress.behind[-_BEHIND:]:
        yield (Span("  behind: {}  {}  {}".format(*behind_words(behind, now, zone))),)
    for step_id in _after(standing)[:_AFTER]:
        yield (Span(f"  then: {printable(standing.filled(step_id).do)}"),)
    verb = "join" if is_waiting else "all that was done"
    yield (Span(f"  {verb}: dro runbook {'resume' if is_waiting else 'timeline'} {run.id}"),)


def _recovered(standing: Standing) -> str:
    lasted = standing.progress.rta_drill(standing.run.outage_at)
    if lasted is None or standing.rto is None:
        return "people work again"
    kept = "within" if lasted <= standing.rto else "OVER"
    return (
        f"people work again, {duration_words(lasted)} after the outage: "
        f"{kept} the RTO of {duration_words(standing.rto)}"
    )


def _after(standing: Standing) -> tuple[str, ...]:
    ids = [each.id for each in standing.runbook.of_lane(standing.run.lane)]
    at = standing.progress.step
    return tuple(ids[ids.index(at) + 1 :]) if at in ids else ()


def _json_of(standing: Standing, now: datetime) -> dict[str, object]:
    run, progress, step = standing.run, standing.progress, standing.step
    lasted, rto = progress.rta_drill(run.outage_at), standing.rto
    left = run.outage_at + rto - now if rto is not None and lasted is None else None
    ids = [each.id for each in standing.runbook.of_lane(run.lane)]
    return {
        **standing_json(standing),
        "incident": run.incident,
        "practice": run.practice,
        "mode": run.mode.value,
        "state": progress.state.value,
        "step": step.id if step else None,
        "number": ids.index(step.id) + 1 if step else None,
        "total": len(ids),
        "do": step.do if step else None,
        "since": progress.begun_at,
        "by": standing.by,
        "host": standing.host,
        "outage_at": run.outage_at,
        "rto_left_seconds": left.total_seconds() if left is not None else None,
        "behind": [
            {
                "step": each.step,
                "visit": each.visit,
                "result": each.result.value,
                "at": each.ended_at,
            }
            for each in progress.behind
        ],
    }
