"""`dro runs`: what happened last night, what did not, and why it failed.

Reads the record only: a run whose process is gone is said to be so, and left for a command that
writes to close. Plans are asked for nothing but the time zone.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import Span, print_lines
from dr_orchestrator.cli.run_fold import Idle, Told, fold, idle_of
from dr_orchestrator.cli.run_seen import Seen, State, run_json, see
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.core.wording import count_words, instant_words, printable
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake
from dr_orchestrator.plan.quantity import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState
    from dr_orchestrator.store.base import RunHistory, Store

_NOT_DONE = tuple(outcome for outcome in Outcome if outcome is not Outcome.DONE)
_FOLDED = 10_000
"""Runs that are read to be folded: a night of a hundred systems."""
_NAMED = 5
"""So many ids are named where a prefix stands for several."""
_SHORTEST_REASON = 24
"""Where a narrow terminal leaves less for a reason, the line is wrapped instead."""
_WORDS: dict[str, str] = {
    State.GONE: "interrupted, not yet closed",
    State.UNKNOWN: "open on another machine",
}


class _Runs(click.Group):
    """Lists, unless the first word is a command of its own: so `dro runs PRACTICE` lists."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Runs,
    epilog="""\b
Examples:
  dro runs
  dro runs riverside --since 7d --failed
  dro runs --all
  dro runs show 20261121-1915
""",
)
def command() -> None:
    """Say what was attempted, how it ended, why it failed, and what was never started.

    `dro runs [PRACTICE]...` is short for `dro runs list`, and takes its options.
    """


def _since(_ctx: click.Context, _param: click.Parameter, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text} {error}: write 90m, 24h or 7d") from None


@command.command(
    name="list",
    epilog="""\b
Examples:
  dro runs list riverside --system emr
  dro runs list --since 7d --failed --json
""",
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option(
    "--since", metavar="AGE", default="24h", callback=_since, help="how far back; 24h unless stated"
)
@click.option("--system", metavar="ID", help="only this system")
@click.option("--failed", is_flag=True, help="only what did not end as done")
@click.option("--all", "unfolded", is_flag=True, help="a line for each run and each occurrence")
@click.option(
    "--limit",
    metavar="N",
    default=50,
    type=click.IntRange(min=1),
    help="the newest N; 50 unless stated",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def list_(
    context: Context,
    practices: tuple[str, ...],
    since: timedelta,
    system: str | None,
    *,
    failed: bool,
    unfolded: bool,
    limit: int,
    _json: bool,
) -> ExitCode:
    """List what was attempted for each PRACTICE, newest first; for all, if none is named.

    What was retried is one line, and so are backups in a row that went well. What came due and was
    skipped, waits, or was never started is listed too; so are runs that were never closed, however
    old they are. A practice whose id is `list` or `show` is named by the path of its plan, or after
    `dro runs list`.

    Exit codes: 0 listed, however the runs ended; 2 there is no such practice.
    """
    zones = _zones(context, practices, required=bool(practices))
    now = context.clock.now()
    named = tuple(zones) if practices else None
    history = context.store().runs(
        named,
        system,
        since=now - since,
        outcomes=_NOT_DONE if failed else None,
        limit=limit if context.json or unfolded else _FOLDED,
    )
    states = [
        each
        for each in context.store().occurrences(named, since=now - since, limit=_FOLDED)
        if system in {None, each.occurrence.system}
    ]
    seen = [see(run, now, zones) for run in (*history.open, *history.closed)]
    seen.sort(key=lambda each: (each.run.started_at, each.run.id), reverse=True)
    wanted = [each for each in seen if not (failed and each.state is State.RUNNING)]
    counts, idle = _counts(history, seen), _idle(states, now)
    pauses = context.store().pauses(named)
    lines = fold(wanted, states, now, zones, pauses=pauses, in_rows=not unfolded)
    lines = tuple(each for each in lines if not failed or each.needs_a_look)
    shown = lines[:limit]
    print_lines(_table(shown, err=context.json), err=context.json)
    context.say(_total(counts, idle, system, _moment(now - since, now, _one_zone(shown, zones))))
    left_out = _countable(counts, failed=failed) - len(wanted)
    if hidden := len(lines) - len(shown) + left_out:
        context.say(f"{hidden:,} more are not shown: `--limit {len(shown) + hidden}`")
    told = wanted[:limit]
    context.print_json_if_asked(
        {
            "since": now - since,
            "runs": [run_json(each) for each in told],
            "counts": counts,
            "left_out": _countable(counts, failed=failed) - len(told),
            "occurrences": [
                _occurrence_json(each, why)
                for each in states
                if (why := idle_of(each, now)) is not None and not (failed and why is Idle.WAITING)
            ],
        }
    )
    return ExitCode.OK


def _idle(states: Iterable[OccurrenceState], now: datetime) -> dict[str, int]:
    """Return how much came due and has no run, by why."""
    found = Counter(idle_of(each, now) for each in states)
    return {idle.value: found[idle] for idle in Idle}


def _occurrence_json(state: OccurrenceState, idle: Idle) -> dict[str, object]:
    due = state.occurrence
    return {
        "practice": due.practice,
        "operation": due.operation.value,
        "system": due.system or None,
        "repository": due.repository,
        "schedule_id": due.schedule_id,
        "due_at": due.due_at,
        "state": idle.value,
        "reason": state.reason or due.skipped,
        "not_before": state.not_before,
    }


def _zones(context: Context, practices: tuple[str, ...], *, required: bool) -> Mapping[str, tzinfo]:
    """Return the time zone of each practice; a plan that cannot be read hides no run."""
    try:
        plans = [loaded.plan for loaded in context.plans(practices)]
    except DroError:
        if required:
            raise
        click.echo("warning: times are in UTC: plans are missing or cannot be read", err=True)
        click.echo("hint: `dro plan validate` says what is wrong", err=True)
        return {}
    return {plan.practice.id: plan.practice.timezone for plan in plans}


def _counts(history: RunHistory, seen: Iterable[Seen]) -> dict[str, int]:
    """Return how many runs are in each state, in the order they are told."""
    states = Counter(each.state for each in seen)
    ended = {outcome.value: history.ended.get(outcome, 0) for outcome in Outcome}
    return ended | {state.value: states[state] for state in State if state is not State.ENDED}


def _countable(counts: Mapping[str, int], *, failed: bool) -> int:
    harmless = counts[Outcome.DONE] + counts[State.RUNNING] if failed else 0
    return sum(counts.values()) - harmless


def _total(
    counts: Mapping[str, int], idle: Mapping[str, int], system: str | None, since: str
) -> str:
    parts = ", ".join(
        f"{count:,} {_WORDS.get(name, name)}" for name, count in counts.items() if count
    )
    without = ", ".join(f"{count:,} {name}" for name, count in idle.items() if count)
    of = f" of {system}" if system else ""
    count = sum(counts.values())
    runs = count_words(count, "run") if count else "no run"
    said = f"{runs}{of} since {since}" + (f": {parts}" if parts else "")
    return f"{said}; without a run: {without}" if without else said


def _one_zone(shown: Iterable[Told], zones: Mapping[str, tzinfo]) -> tzinfo:
    """Return the zone of all that is shown, or of all practices; UTC where they have several."""
    found = {each.zone for each in shown} or set(zones.values())
    return found.pop() if len(found) == 1 else UTC


def _moment(instant: datetime, now: datetime, zone: tzinfo) -> str:
    """Return `today 03:15`, `yesterday 18:00`, or the whole of an older instant."""
    days = (now.astimezone(zone).date() - instant.astimezone(zone).date()).days
    if days > 1:
        return instant_words(instant, zone)
    clock = f"{instant.astimezone(zone):%H:%M}"
    name = f" {instant.astimezone(zone):%Z}" if zone is UTC else ""
    return f"{'yesterday' if days else 'today'} {clock}{name}"


def _table(shown: Sequence[Told], *, err: bool) -> Iterator[tuple[Span, ...]]:
    """Return one line each; a column that nothing stands in is left out."""
    several = len({_subject(each).practice for each in shown}) > 1
    rows = [_cells(each, several=several) for each in shown]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))] if rows else []
    width = _terminal_width(err=err)
    for each, cells in zip(shown, rows, strict=True):
        used = [(cell, width) for cell, width in zip(cells, widths, strict=True) if width]
        first, mark, *rest = [f"{cell:{width}}  " for cell, width in used]
        after = "".join(rest)
        room = width and max(width - len(first + mark + after), _SHORTEST_REASON)
        reason = _cut(printable(each.reason), room)
        yield (Span(first), Span(mark, each.mark.style), Span(after + reason))


def _subject(told: Told) -> Run | Occurrence:
    """Return what names practice, operation, system and repository."""
    subject = told.seen.run if told.seen else told.occurrence
    if subject is None:
        raise TypeError("a line is of a run or of an occurrence")
    return subject


def _cells(told: Told, *, several: bool) -> tuple[str, ...]:
    subject = _subject(told)
    return (
        told.when,
        told.mark.text,
        told.took,
        printable(subject.practice) if several else "",
        subject.operation.value,
        printable(subject.system),
        printable(subject.repository or ""),
        told.seen.run.id if told.seen else "",
    )


def _cut(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: room - 1]}…"


def _terminal_width(*, err: bool) -> int | None:
    """Return how wide the terminal is; `None` where a file or a program reads."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        return None
    return os.get_terminal_size(stream.fileno()).columns or None


@command.command(
    epilog="""\b
Examples:
  dro runs show 20261121-191500-4k7q2z
  dro runs show 20261121-1915 --json
"""
)
@click.argument("run_id", metavar="ID")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def show(context: Context, run_id: str, *, _json: bool) -> ExitCode:
    """Show all that is known of the run ID, and what to do next; its beginning will do.

    Exit codes: 0 shown, however it ended; 2 there is no such run, or more than one.
    """
    from dr_orchestrator.cli.run_story import story_json, story_lines, story_of

    store = context.store()
    run = _one_run(store, run_id)
    story = story_of(
        store, run, context.clock.now(), _zones(context, (run.practice,), required=False)
    )
    print_lines(story_lines(story), err=context.json)
    context.print_json_if_asked(story_json(story))
    return ExitCode.OK


def _one_run(store: Store, prefix: str) -> Run:
    found = store.find_runs(prefix, limit=_NAMED + 1)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageMistake(
            f"no run has an id that begins with {prefix}", hint="`dro runs --since 7d` lists them"
        )
    named = ", ".join(run.id for run in found[:_NAMED])
    raise UsageMistake(
        f"several runs have an id that begins with {prefix or 'nothing'}",
        hint=f"give more of it: {named}{', …' if len(found) > _NAMED else ''}",
    )
