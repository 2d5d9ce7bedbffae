"""Which endings are tried again, and when: a pure function of how an attempt ended.

A newer occurrence of the same schedule takes the place of one that waits for its next attempt; that
is the ledger's to see to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dr_orchestrator.core.run import Outcome
from dr_orchestrator.store.base import MOST_ATTEMPTS, Claim

_BUSY = tuple(timedelta(minutes=each) for each in (1, 2, 5, 10))
"""After so long it is looked whether somebody else is done; then every 10 minutes."""
_FAILED = tuple(timedelta(minutes=each) for each in (5, 15))


class Again(StrEnum):
    """Whether another attempt may end otherwise."""

    NO = "no"
    """It is a result, or a mistake that only a person can mend."""
    ONCE = "once"
    SOME = "some"
    """What was in the way may pass: a server that restarts, a line that is down."""
    WHEN_FREE = "when free"
    """Somebody else was at work there: none of the attempts that count."""
    AT_ONCE = "at once"
    """It was stopped for a reason of ours, as by a restart: no attempt that counts either."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How an attempt at an occurrence ended."""

    outcome: Outcome | None
    """`None`: nothing was attempted, since nobody wants it any more."""
    reason: str = ""
    """One sentence for a person, where the outcome is not `done`."""
    again: Again = Again.NO


@dataclass(frozen=True, kw_only=True)
class NextAttempt:
    """When the next attempt may begin."""

    not_before: datetime
    counts: bool
    """Whether the attempt that ended is one of `MOST_ATTEMPTS`."""


def next_attempt(ended: Ended, claim: Claim, now: datetime) -> NextAttempt | None:
    """Return when an occurrence is attempted again; `None` where this was the last attempt."""
    if ended.again is Again.AT_ONCE:
        return NextAttempt(not_before=now, counts=False)
    if ended.again is Again.WHEN_FREE:
        delay = _BUSY[min(claim.spared, len(_BUSY) - 1)]
        return NextAttempt(not_before=now + delay, counts=False)
    counted = claim.attempt - claim.spared
    most = {Again.NO: 1, Again.ONCE: 2, Again.SOME: MOST_ATTEMPTS}[ended.again]
    if counted >= most:
        return None
    delay = _FAILED[min(counted, len(_FAILED)) - 1]
    return NextAttempt(not_before=now + delay, counts=True)
