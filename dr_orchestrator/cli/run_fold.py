"""Last night in few lines: what was retried is one of them, and so is a row of backups that went
well; and what came due but never ran is told beside what did.

Nothing that needs a look is folded away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

from dr_orchestrator.cli.output import Span
from dr_orchestrator.cli.run_seen import Seen, State
from dr_orchestrator.core.occurrence import OccurrenceState, Progress
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.schedule.planner import paused
from dr_orchestrator.store.base import PATIENCE

if TYPE_CHECKING:
    from dr_orchestrator.core.occurrence import Occurrence
    from dr_orchestrator.core.record import SystemPaused


class Idle(StrEnum):
    """Why an occurrence has no run."""

    SKIPPED = "skipped"
    WAITING = "waiting"
    NOT_STARTED = "not started"
    """It should have been begun by now, and nobody did."""


_STYLES = {Idle.SKIPPED: "yellow", Idle.WAITING: "", Idle.NOT_STARTED: "bold red"}


@dataclass(frozen=True, kw_only=True)
class Told:
    """One line: one or more runs, or something that came due and has none."""

    at: datetime
    mark: Span
    took: str
    occurrence: Occurrence | None
    runs: tuple[Seen, ...]
    """The newest last; empty where there was none."""
    reason: str
    zone: tzinfo
    idle: Idle | None = None
    stands_for: int = 1
    """How many occurrences are told in this line."""

    @property
    def seen(self) -> Seen | None:
        """The run that decides."""
        return self.runs[-1] if self.runs else None

    @property
    def when(self) -> str:
        """When it began, else when it was due, in the practice's time zone."""
        return instant_words(self.at, self.zone)

    @property
    def needs_a_look(self) -> bool:
        """Whether it is none of: done, running, waiting in order."""
        if self.seen is None:
            return self.idle is not Idle.WAITING
        return self.seen.state is not State.RUNNING and self.seen.run.outcome is not Outcome.DONE


def idle_of(state: OccurrenceState, now: datetime) -> Idle | None:
    """Return why nothing runs of an occurrence; `None` where something does, or did."""
    if state.progress is Progress.SKIPPED:
        return Idle.SKIPPED
    if state.progress is not Progress.WAITING or state.attempt:
        return None
    begins = max(state.occurrence.due_at, state.not_before or state.occurrence.due_at)
    return Idle.NOT_STARTED if now - begins > PATIENCE else Idle.WAITING


def fold(
    seen: Iterable[Seen],
    states: Iterable[OccurrenceState],
    now: datetime,
    zones: Mapping[str, tzinfo],
    *,
    pauses: Sequence[SystemPaused] = (),
    in_rows: bool,
) -> tuple[Told, ...]:
    """Return a line for each of what was attempted and what came due, the newest first.

    With `in_rows` one line stands for all that followed each other and went well.
    """
    by_occurrence: dict[object, OccurrenceState] = {
        (each.occurrence.schedule_id, each.occurrence.due_at): each for each in states
    }
    attempts: dict[object, list[Seen]] = {}
    for each in sorted(seen, key=lambda each: (each.run.started_at, each.run.id)):
        run = each.run
        key: object = (run.schedule_id, run.due_at) if run.schedule_id else run.id
        attempts.setdefault(key, []).append(each)
    lines = [_of_runs(runs, by_occurrence.get(key), now, pauses) for key, runs in attempts.items()]
    lines += [
        _of_none(state, idle, now, zones.get(state.occurrence.practice, UTC), pauses)
        for key, state in by_occurrence.items()
        if key not in attempts and (idle := idle_of(state, now)) is not None
    ]
    lines = list(_in_rows(lines)) if in_rows else lines
    return tuple(sorted(lines, key=_newest_first, reverse=True))


def _newest_first(line: Told) -> tuple[datetime, str]:
    return line.at, line.seen.run.id if line.seen else ""


def _of_runs(
    runs: Sequence[Seen],
    state: OccurrenceState | None,
    now: datetime,
    pauses: Sequence[SystemPaused],
) -> Told:
    last = runs[-1]
    notes = [last.reason] if last.reason else []
    if len(runs) > 1:
        before = ", ".join(each.mark.text.lower() for each in runs[:-1])
        notes.append(f"attempt {last.run.attempt}, before it: {before}")
    if state is not None and state.progress is Progress.WAITING:
        begins = next_words(state, now, last.zone)
        notes.append(held_back(state, now, last.zone, pauses) or f"next attempt: {begins}")
    return Told(
        at=last.run.started_at,
        mark=last.mark,
        took=last.took,
        occurrence=state.occurrence if state else None,
        runs=tuple(runs),
        reason="; ".join(notes),
        zone=last.zone,
    )


def held_back(
    state: OccurrenceState, now: datetime, zone: tzinfo, pauses: Iterable[SystemPaused]
) -> str:
    """Return until when a pause keeps an occurrence that waits from its next attempt, and why;
    empty where none does.
    """
    due = state.occurrence
    of_practice = [each for each in pauses if each.practice == due.practice]
    begins = max(now, state.not_before or now)
    return paused(due.operation, due.system, of_practice, begins, zone)


def next_words(state: OccurrenceState, now: datetime, zone: tzinfo) -> str:
    """Return when the next attempt at an occurrence begins, that waits."""
    if state.not_before is None or state.not_before <= now:
        return "as soon as there is room"
    return f"at {instant_words(state.not_before, zone)}"


def _of_none(
    state: OccurrenceState,
    idle: Idle,
    now: datetime,
    zone: tzinfo,
    pauses: Sequence[SystemPaused],
) -> Told:
    text = idle.value if idle is Idle.WAITING else idle.value.upper()
    reason = state.reason or state.occurrence.skipped
    if idle is not Idle.SKIPPED:
        reason = held_back(state, now, zone, pauses) or reason
    if idle is Idle.NOT_STARTED:
        reason = reason or "nobody took it: does `dro schedule run` run?"
    return Told(
        at=state.occurrence.due_at,
        mark=Span(text, _STYLES[idle]),
        took="",
        occurrence=state.occurrence,
        runs=(),
        reason=reason,
        zone=zone,
        idle=idle,
    )


def _in_rows(lines: Iterable[Told]) -> Iterator[Told]:
    """Fold those that followed each other on one schedule and went well at once."""
    by_schedule: dict[str, list[Told]] = {}
    for line in sorted(lines, key=_newest_first):
        schedule = line.seen.run.schedule_id if line.seen else None
        if schedule is None and line.occurrence is not None:
            schedule = line.occurrence.schedule_id
        if schedule is None:
            yield line
        else:
            by_schedule.setdefault(schedule, []).append(line)
    for row in by_schedule.values():
        for _, group in groupby(row, key=_alike):
            yield _one_of(tuple(group))


def _alike(line: Told) -> object:
    """Return what lines have in common that may be one; failures never are."""
    if line.seen is not None:
        is_plain = line.seen.run.outcome is Outcome.DONE and not line.reason
        return Outcome.DONE if is_plain else line
    return line.idle, line.reason


def _one_of(group: Sequence[Told]) -> Told:
    first, last = group[0], group[-1]
    if len(group) == 1:
        return last
    is_long = last.at - first.at >= timedelta(days=1)
    since = first.when if is_long else f"{first.at.astimezone(first.zone):%H:%M}"
    more = f"and {len(group) - 1:,} more since {since}"
    return replace(
        last,
        runs=tuple(each for line in group for each in line.runs),
        reason=f"{last.reason} ({more})" if last.reason else more,
        stands_for=len(group),
    )
