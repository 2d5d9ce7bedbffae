"""Something that needs a person: what is wrong, since when, and what to do about it.

It holds sentences of ours and ids of the plan: no patient data, no secret, and nothing of another
practice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ProblemKind(StrEnum):
    """What kind of trouble, as a plan's `notify` names it."""

    FAILURE = "failure"
    """An operation failed, in part or wholly, and no further attempt mended it."""
    BREACH = "breach"
    """A promise is not kept."""
    NEVER_STARTED = "never_started"
    """Something came due and was not started."""
    TEST_OVERDUE = "test_overdue"
    """Restoring should have been proven by now, and was not."""
    SUSPICIOUS = "suspicious"
    """A backup unlike those before it, or a repository that holds what we did not make."""
    UNDELIVERED = "undelivered"
    """Somebody could not be told of a problem."""
    SITE = "site"
    """This machine: a plan that cannot be used, a disk that fills up."""


IN_PART = "failed in part"
"""How the words of a failure tell that some of it was done."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong at an instant. The same trouble a minute later has the same key."""

    key: str
    """What it is about, stable while it lasts: `breach/emr/rpo`, `failure/emr/backup`."""
    kind: ProblemKind
    practice: str
    """Empty where it is this machine's and no practice's."""
    system: str
    """Empty where it is the whole practice's."""
    what: str
    """One sentence: what is wrong."""
    next: str
    """One sentence: what to do now."""
    since: datetime | None
    """From when on it has been so, where that is known."""


def site_problem(
    about: str,
    what: str,
    *,
    advice: str,
    practice: str = "",
    since: datetime | None = None,
) -> Problem:
    """Return a problem of this machine; `about` tells it from the others, and stays the same."""
    return Problem(
        key=f"site/{about}",
        kind=ProblemKind.SITE,
        practice=practice,
        system="",
        what=what,
        next=advice,
        since=since,
    )


def is_worse(now: Problem, before: Problem) -> bool:
    """Return whether it became something else than what somebody said to look after."""
    if now.kind is ProblemKind.SUSPICIOUS:
        return now.what != before.what  # each sign says what it is, and no more
    return (
        now.kind is ProblemKind.FAILURE
        and f" {IN_PART}" in before.what
        and f" {IN_PART}" not in now.what
    )


@dataclass(frozen=True, kw_only=True)
class OpenProblem:
    """A problem on record, from when it was first seen until it is over."""

    id: str
    """Short enough to be typed: what `dro ack` takes."""
    problem: Problem
    """As it was last seen."""
    opened_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    closed_at: datetime | None = None


class Occasion(StrEnum):
    """Why somebody is told of a problem now."""

    OPENED = "opened"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    """Whoever should have acted did not say so: the next person is told."""
    RECOVERED = "recovered"


@dataclass(frozen=True, kw_only=True)
class Telling:
    """One attempt to tell somebody."""

    practice: str
    problem: str
    """The id of the open problem."""
    channel: str
    """Which entry of `notify`, by what it says, without its secret: `manager`, `webhook 2`."""
    occasion: Occasion
    at: datetime
    delivered: bool
    reason: str = ""
    """Why it could not be delivered."""
