"""A run as it looks from here and now: whether it still runs, is told by its process.

The record alone cannot tell a run that is under way from one that was killed. Nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING

from dr_orchestrator.cli.output import Span
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.core.wording import duration_words, instant_words
from dr_orchestrator.process import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """Whether a run has ended, as far as can be told from this machine."""

    ENDED = "ended"
    RUNNING = "running"
    GONE = "gone"
    """Open, and its process is gone: interrupted, not yet closed."""
    UNKNOWN = "unknown"
    """Open, on another machine."""


@dataclass(frozen=True)
class Seen:
    """A run, as it looks from here and now."""

    run: Run
    state: State
    now: datetime
    zone: tzinfo

    @property
    def seconds(self) -> float | None:
        """How long it took, or has been running; `None` where nobody can know."""
        if self.state not in {State.ENDED, State.RUNNING}:
            return None
        return ((self.run.finished_at or self.now) - self.run.started_at).total_seconds()

    @property
    def took(self) -> str:
        """The same in words."""
        return "" if self.seconds is None else duration_words(timedelta(seconds=self.seconds))

    @property
    def when(self) -> str:
        """When it started, in the practice's time zone."""
        return instant_words(self.run.started_at, self.zone)

    @property
    def mark(self) -> Span:
        """How it ended: in capitals where it needs a look."""
        outcome = Outcome.INTERRUPTED if self.state is State.GONE else self.run.outcome
        if outcome is None:
            return Span("running" if self.state is State.RUNNING else "OPEN", "yellow")
        if outcome is Outcome.DONE:
            return Span("done", "green")
        return Span(outcome.value.upper(), "bold red" if outcome is Outcome.FAILED else "yellow")

    @property
    def reason(self) -> str:
        """Why it is not done; of a run that is open, what is known of that."""
        if self.state is State.GONE:
            return "interrupted, not yet closed: its process is gone"
        if self.state is State.UNKNOWN:
            return f"not closed; whether it still runs is seen only on {self.run.host}"
        return self.run.reason


def see(run: Run, now: datetime, zones: Mapping[str, tzinfo]) -> Seen:
    """Return `run` as it looks from here; in UTC where its practice has no zone in `zones`."""
    states = {True: State.RUNNING, False: State.GONE, None: State.UNKNOWN}
    state = State.ENDED if run.finished_at else states[process_of(run).alive]
    return Seen(run, state, now, zones.get(run.practice, UTC))


def process_of(run: Run) -> ProcessIdentity:
    """Return the process that `run` ran in."""
    return ProcessIdentity(run.host, run.pid, run.pid_started)


def run_json(seen: Seen) -> dict[str, object]:
    """Return a run as other programs read it; times in UTC."""
    run = seen.run
    return {
        "id": run.id,
        "operation": run.operation.value,
        "practice": run.practice,
        "system": run.system or None,
        "repository": run.repository,
        "state": seen.state.value,
        "outcome": run.outcome.value if run.outcome else None,
        "reason": seen.reason,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": seen.seconds,
        "host": run.host,
        "pid": run.pid,
        "schedule_id": run.schedule_id,
        "due_at": run.due_at,
        "attempt": run.attempt,
    }
