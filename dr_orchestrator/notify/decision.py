"""Who is to be told what now: a pure function of the problems, of what was told, and of now.

One message a problem, then a reminder at its interval until somebody acknowledges it, then one
that it is over: to those who were told of it, and to nobody else. A problem is over for good when
it was gone for `LASTING`, or `FLAPPING` times that; one that comes back sooner is the same one, and
nobody is told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dr_orchestrator.core.problem import (
    Occasion,
    OpenProblem,
    Problem,
    ProblemKind,
    Telling,
    is_worse,
)
from dr_orchestrator.notify.channel import UNDELIVERED, Channel

LASTING = timedelta(hours=1)
"""So long a problem must be gone before it is said to be over."""
FLAPPING = 24
"""So many times as long, where it had come back within as long: what fails every other hour is one
problem, not twelve a day."""
STALE = timedelta(days=7)
"""A recovery that could not be told for so long is no news any more."""
SILENT_LIMIT = timedelta(minutes=15)
"""So long a channel may fail before others are told: a server may be restarted."""
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 30))


@dataclass(frozen=True, kw_only=True)
class Duty:
    """Somebody is to be told of a problem."""

    channel: Channel
    occasion: Occasion
    problem: OpenProblem
    number: int
    """How many messages of this problem the channel took, this one included."""


def duties(
    problems: Iterable[OpenProblem],
    tellings: Mapping[str, tuple[Telling, ...]],
    channels: Iterable[Channel],
    now: datetime,
    *,
    because: Mapping[str, frozenset[str]],
    lasting: timedelta = LASTING,
) -> tuple[Duty, ...]:
    """Return what is to be told now, problems as they were opened.

    `problems` are those that are open and those that were over not long ago, `tellings` by their
    ids whom each was told; `because` has by key the keys of what a problem follows from: whoever
    hears of one of these hears nothing of it, as long as they are open.
    """
    known = tuple(problems)
    is_open = {each.problem.key: each.problem for each in known if each.closed_at is None}
    found = []
    for channel in channels:
        if channel.spec.ping is not None:
            continue
        heard = {key for key, problem in is_open.items() if channel.hears(problem)}
        for each in known:
            if each.closed_at is not None and each.problem.key in is_open:
                continue
            took = [
                telling
                for telling in tellings.get(each.id, ())
                if telling.channel == channel.name and telling.delivered
            ]
            implied = bool(because.get(each.problem.key, frozenset()) & heard)
            gone = _lasting(each, known, lasting)
            occasion = _occasion(channel, each, took, now, implied=implied, lasting=gone)
            if occasion is not None:
                number = len(took) + 1
                found.append(Duty(channel=channel, occasion=occasion, problem=each, number=number))
    return tuple(found)


def _occasion(
    channel: Channel,
    problem: OpenProblem,
    took: list[Telling],
    now: datetime,
    *,
    implied: bool,
    lasting: timedelta,
) -> Occasion | None:
    if problem.closed_at is not None:
        lasted = abs(now - problem.closed_at) >= lasting  # the clock may have been ahead
        told_so = any(telling.occasion is Occasion.RECOVERED for telling in took)
        is_due = took and not told_so and lasted and "recovery" in channel.spec.on
        return Occasion.RECOVERED if is_due else None
    if problem.acknowledged_at is not None:
        return None
    if took:
        # What is dated in the future, the clock having been ahead, keeps nobody from being told.
        lately = [telling.at for telling in took if telling.at - now < lasting]
        is_due = not lately or now - max(lately) >= channel.spec.remind_every
        return Occasion.REMINDER if is_due and channel.hears(problem.problem) else None
    if implied or not channel.hears(problem.problem):
        return None
    if channel.spec.after is None:
        return Occasion.OPENED
    waited = abs(now - problem.opened_at)
    return Occasion.ESCALATION if waited >= channel.spec.after else None


def _lasting(problem: OpenProblem, known: Iterable[OpenProblem], lasting: timedelta) -> timedelta:
    """Return how long a problem must be gone to be over.

    One that somebody looks after is soon over: what comes back then is news.
    """
    flaps = problem.acknowledged_at is None and any(
        each.problem.key == problem.problem.key
        and each.closed_at is not None
        and timedelta(0) < problem.opened_at - each.closed_at < FLAPPING * lasting
        for each in known
    )
    return FLAPPING * lasting if flaps else lasting


def as_it_is(
    found: Iterable[Problem],
    known: Iterable[OpenProblem],
    now: datetime,
    *,
    new_id: Callable[[], str],
    lasting: timedelta = LASTING,
) -> tuple[OpenProblem, ...]:
    """Return the problems as they are with what was found now: open, open again, new, or over.

    `known` are those that were open, and those that were over not long ago, oldest first.
    """
    left = {each.key: each for each in found}
    known, result = tuple(known), []
    for each in sorted(known, key=lambda known: (known.closed_at is not None, known.opened_at)):
        gone = _lasting(each, known, lasting)
        lasts = each.closed_at is None or abs(now - each.closed_at) < gone
        seen = left.get(each.problem.key) if lasts else None
        if seen and each.acknowledged_at and is_worse(seen, each.problem):
            seen = None  # nobody said to look after this: it is told anew
        if seen is not None:
            del left[each.problem.key]
            result.append(replace(each, problem=seen, closed_at=None))
        else:
            result.append(replace(each, closed_at=each.closed_at or now))
    new = (OpenProblem(id=new_id(), problem=each, opened_at=now) for each in left.values())
    return tuple(sorted((*result, *new), key=lambda each: (each.opened_at, each.id)))


def unreached(
    practice: str,
    channels: Iterable[Channel],
    tellings: Iterable[Telling],
    known: Iterable[OpenProblem],
    now: datetime,
) -> Iterator[Problem]:
    """Yield a problem for each channel that does not get its messages.

    It lasts until the channel takes one again.
    """
    told = sorted(tellings, key=lambda telling: telling.at)
    opened = {each.problem.key: each.problem.since for each in known if each.closed_at is None}
    for channel in channels:
        key = f"{UNDELIVERED}{channel.name}"
        failing: list[Telling] = []
        reached = None
        for telling in told:
            if telling.channel == channel.name:
                failing = [] if telling.delivered else [*failing, telling]
                reached = telling.at if telling.delivered else reached
        since = failing[0].at if failing else opened.get(key)
        if since is None or (not failing and reached is not None and reached >= since):
            continue
        if key in opened or now - since >= SILENT_LIMIT:
            why = failing[-1].reason if failing else ""
            yield unreached_problem(practice, channel, opened.get(key) or since, why)


def unreached_problem(practice: str, channel: Channel, since: datetime, why: str) -> Problem:
    """Return the problem that a channel does not get what is sent to it."""
    return Problem(
        key=f"{UNDELIVERED}{channel.name}",
        kind=ProblemKind.UNDELIVERED,
        practice=practice,
        system="",
        what=f"{channel.name} could not be told" + (f": {why}" if why else ""),
        next="see whether that server runs and the address in `notify` is right; it is tried again",
        since=since,
    )


def next_try(failures: int, last: datetime) -> datetime:
    """Return when a place that did not answer `failures` times, at last at `last`, is tried."""
    return last + _WAITS[min(failures, len(_WAITS)) - 1]
