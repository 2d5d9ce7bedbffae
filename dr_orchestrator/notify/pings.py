"""A dead-man's switch is told of each backup's start and end, so that silence is noticed there.

Nothing of it is recorded: what is not sent is what the switch is there for. A success is only told
while it is fresh, and only where no backup it stands for is failing: a late or a half sign of life
would be a false one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.notify.channel import Channel

FRESH = timedelta(minutes=15)


@dataclass(frozen=True)
class Ping:
    """One sign to one switch."""

    channel: Channel
    run: str
    ending: str
    """What the URL ends with: `start`, `fail`, or nothing for success."""


def pings(
    channels: Iterable[Channel],
    *,
    running: Iterable[Run],
    last: Iterable[Run],
    failing: frozenset[str],
    now: datetime,
) -> Iterator[Ping]:
    """Yield the signs that these backups give, the earlier run first.

    `running` are open runs, `last` the newest ended ones, `failing` the systems whose backup is an
    open problem.
    """
    runs = sorted((*last, *running), key=lambda run: (run.finished_at or run.started_at, run.id))
    backups = [run for run in runs if run.operation is Operation.BACKUP]
    for channel in channels:
        systems = channel.spec.systems
        if channel.spec.ping is None:
            continue
        for run in backups:
            if not systems or run.system in systems:
                failed = failing & frozenset(systems) if systems else failing
                if (ending := _ending(run, failed, now)) is not None:
                    yield Ping(channel, run.id, ending)


def _ending(run: Run, failing: frozenset[str], now: datetime) -> str | None:
    if run.finished_at is None:
        return "start"
    if run.system in failing:
        return "fail"
    is_good = run.outcome is Outcome.DONE and not failing and now - run.finished_at <= FRESH
    return "" if is_good else None
