"""Telling people: find what is wrong, write it down, send, and write down who was told.

Asked every minute, never by the thread of a backup. A crash between sending and writing down can
only make a message come twice (with the same id), never get lost. Any number of schedulers may ask
at once: one of them tells.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from dr_orchestrator.clock import Clock
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.suspicion import suspicions
from dr_orchestrator.core.identity import short_id
from dr_orchestrator.core.occurrence import OccurrenceState, Progress
from dr_orchestrator.core.problem import Occasion, OpenProblem, Problem, Telling, site_problem
from dr_orchestrator.core.record import Entry, PracticeRecord, ProblemOver, ProblemSeen, Told
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import Busy, DroError
from dr_orchestrator.notify.channel import Channel, channels_of, channels_of_machine
from dr_orchestrator.notify.decision import (
    LASTING,
    SILENT_LIMIT,
    STALE,
    Duty,
    as_it_is,
    duties,
    next_try,
    unreached,
)
from dr_orchestrator.notify.deliver import Post, deliver, ping
from dr_orchestrator.notify.message import UNRECORDED, Sender, messages
from dr_orchestrator.notify.pings import pings
from dr_orchestrator.notify.problems import Situation, Trouble, run_key, troubles
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.store.base import Store

_FAR, _NEAR = timedelta(days=32), timedelta(days=1)
"""How far occurrences are looked back for: after a start, what a monthly schedule may have missed
while the machine was off."""
_SETTLED = timedelta(hours=1)
"""So long after a start all that came due before it was handed out."""
_MOST_OCCURRENCES = 10_000
_WAITS_IN_ALL = 6
"""So many times the patience for one answer a whole delivery may take."""
_AGAIN_UNRECORDED = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class TellTools:
    """What telling needs."""

    store: Store
    clock: Clock
    post: Post
    notify: tuple[Notification, ...]
    """Who is told of everything on this machine: `notify` of its settings."""
    site: str
    lasting: timedelta = LASTING
    """So long a problem must be gone before it is said to be over."""


@dataclass(frozen=True)
class _Decision:
    entries: tuple[Entry, ...]
    duties: tuple[Duty, ...]
    tellings: dict[str, tuple[Telling, ...]]


@dataclass(frozen=True, kw_only=True)
class _Audience:
    practice: str
    channels: tuple[Channel, ...]
    sender: Sender
    signs: tuple[Telling, ...] = ()
    """What became of pings."""


class Teller:
    """Tells, and remembers from one minute to the next what is not worth being recorded."""

    def __init__(self, tools: TellTools) -> None:
        self._tools = tools
        self._failures: dict[str, tuple[int, datetime]] = {}
        """Place -> how often in a row it did not answer, and when last."""
        self._waiting: dict[str, dict[str, datetime]] = {}
        """Practice -> occurrence -> when it, or what it took the place of, was seen to wait."""
        self._looked: dict[str, tuple[datetime, datetime]] = {}
        """Practice -> when it was looked at last, and until when far back."""
        self._pinged: dict[str, set[tuple[str, str]]] = {}
        self._sending: dict[str, threading.Thread] = {}
        """Place -> who last sent there, perhaps still: a server may drip."""
        self._fails_since: tuple[float, datetime] | None = None
        """Since when telling does not work."""
        self._said_unrecorded: dict[str, float] = {}
        """Place -> when it was told that."""
        self._signs: dict[str, Telling] = {}
        """What became of the last ping of a channel, or of the first of those that failed."""

    def tell(self, plans: Iterable[Plan], of_machine: Iterable[Problem] = ()) -> None:
        """Tell whoever is to be told of what is wrong now, with each practice and this machine.

        `of_machine` is what is wrong with the machine: what concerns one of the practices is told
        to its people too, all else to those in the machine's settings alone.

        Raises:
            StoreUnusable: the record cannot be read or written; after a while people are told that.
        """
        left, plans = list(of_machine), tuple(plans)
        failed: list[Exception] = []
        for plan in plans:
            practice = plan.practice.id
            try:
                self._tell_practice(plan, [each for each in left if each.practice == practice])
            except Exception as error:  # noqa: BLE001 - one practice must not silence the others
                failed.append(error)
            left = [each for each in left if each.practice != practice]
        try:
            self._tell_machine(left)
        except Exception as error:  # noqa: BLE001 - said below
            failed.append(error)
        self._say_that_it_fails(plans, failed)
        if failed:
            raise failed[0]

    def _tell_machine(self, found: Iterable[Problem]) -> None:
        self._tell(
            tuple(_plain(replace(each, practice="")) for each in found),
            _Audience(
                practice="",
                channels=channels_of_machine(self._tools.notify),
                sender=self._of_machine,
            ),
            self._tools.clock.now(),
        )

    def _say_that_it_fails(self, plans: Iterable[Plan], failed: list[Exception]) -> None:
        """Say once a day to everybody, without a record, that problems cannot be recorded: a disk
        that is full would make us silent just when everything stops.
        """
        passed = self._tools.clock.monotonic()
        if not failed:
            self._fails_since = None
            return
        self._fails_since = since = self._fails_since or (passed, self._tools.clock.now())
        channels = (
            *channels_of_machine(self._tools.notify),
            *(each for plan in plans for each in channels_of(plan, ())),
        )
        places = {each.place: each for each in channels if each.spec.ping is None}
        problem = _unrecorded(failed[0], since[1])
        for place, channel in places.items():
            said = self._said_unrecorded.get(place)
            is_due = passed - since[0] >= SILENT_LIMIT.total_seconds() and (
                said is None or passed - said >= _AGAIN_UNRECORDED.total_seconds()
            )
            now = self._tools.clock.now()
            if not is_due or not channel.hears(problem.problem) or not self._may_try(place, now):
                continue
            duty = Duty(channel=channel, occasion=Occasion.OPENED, problem=problem, number=1)
            for _, message in messages([duty], self._of_machine, now):
                send = partial(deliver, message, channel, self._tools.post, now)
                if not self._reached(place, send):
                    self._said_unrecorded[place] = passed

    @property
    def _of_machine(self) -> Sender:
        return Sender(site=self._tools.site, titles={})

    def _tell_practice(self, plan: Plan, site: Iterable[Problem]) -> None:
        tools, now = self._tools, self._tools.clock.now()
        practice = plan.practice.id
        channels = channels_of(plan, tools.notify)
        record = tools.store.practice_record(practice)
        found = (*troubles(self._situation(plan, record, now)), *map(_plain, site))
        audience = _Audience(
            practice=practice,
            channels=channels,
            sender=Sender.of(plan, tools.site),
            signs=tuple(
                self._signs[f"{practice}/{each.name}"]
                for each in channels
                if f"{practice}/{each.name}" in self._signs
            ),
        )
        self._tell(found, audience, now)
        self._ping(record, channels, found, now)

    # --- what is wrong --------------------------------------------------------------------------

    def _situation(self, plan: Plan, record: PracticeRecord, now: datetime) -> Situation:
        store, practice = self._tools.store, plan.practice.id
        states = store.occurrences(
            (practice,), since=now - self._reach(practice, now), limit=_MOST_OCCURRENCES
        )
        return Situation(
            plan=plan,
            record=record,
            now=now,
            findings=judge(plan, record, now),
            occurrences=states,
            suspicions=suspicions(plan, record, now),
            waiting_since=self._first_seen(practice, states, now),
            first_attempts={
                run.id: store.attempts_beside(run).runs[0].started_at
                for run in record.last_runs
                if run.outcome is not Outcome.DONE and run.attempt > 1
            },
            known=store.problems(practice),
        )

    def _reach(self, practice: str, now: datetime) -> timedelta:
        looked, far_until = self._looked.get(practice, (None, now))
        if looked is None or now - looked > _SETTLED:  # a start, or the machine was asleep
            far_until = now + _SETTLED
        self._looked[practice] = (now, far_until)
        return _FAR if now < far_until else _NEAR

    def _first_seen(
        self, practice: str, states: Iterable[OccurrenceState], now: datetime
    ) -> dict[str, datetime]:
        before, states = self._waiting.get(practice, {}), tuple(states)
        since = {}  # schedule -> since when one of its occurrences after the other has waited
        for each in states:
            if each.progress is Progress.SKIPPED and each.occurrence.id in before:
                since[each.occurrence.schedule_id] = before[each.occurrence.id]
        for each in states:
            if each.progress is Progress.RUNNING:  # they wait for their own, which takes long
                since.pop(each.occurrence.schedule_id, None)
        waiting = {
            due.id: min(before.get(due.id, since.get(due.schedule_id, now)), now)
            for due in (each.occurrence for each in states if each.progress is Progress.WAITING)
        }
        self._waiting[practice] = waiting
        return waiting

    # --- who is told ----------------------------------------------------------------------------

    def _tell(self, found: tuple[Trouble, ...], audience: _Audience, now: datetime) -> None:
        decided = self._decide(found, audience, now)
        if not decided.entries and not decided.duties:
            return
        alone = self._tools.store.locks.hold(
            [f"telling/{audience.practice}"],
            exclusive=True,
            wait=timedelta(),
            what="telling people",
        )
        with contextlib.suppress(Busy), alone:  # another scheduler tells
            decided = self._decide(found, audience, now)
            self._tools.store.record(*decided.entries)
            for told, message in messages(decided.duties, audience.sender, now):
                channel = told[0].channel
                if not self._may_try(channel.place, now):
                    continue
                send = partial(deliver, message, channel, self._tools.post, now)
                reason = self._reached(channel.place, send)
                self._tools.store.record(*self._told(told, reason, decided))

    def _decide(self, found: tuple[Trouble, ...], audience: _Audience, now: datetime) -> _Decision:
        store, lasting = self._tools.store, self._tools.lasting
        known = store.problems(audience.practice, over_since=now - STALE)
        tellings = {each.id: store.tellings(each.id) for each in known}
        flat = (*(each for told in tellings.values() for each in told), *audience.signs)
        silent = unreached(audience.practice, audience.channels, flat, known, now)
        problems = as_it_is(
            (*(each.problem for each in found), *silent),
            known,
            now,
            new_id=short_id,
            lasting=lasting,
        )
        due = duties(
            problems,
            tellings,
            audience.channels,
            now,
            because={each.problem.key: each.because for each in found},
            lasting=lasting,
        )
        told = {duty.problem.id for duty in due}
        entries = tuple(_changes(known, problems, told, now))
        return _Decision(entries, due, tellings)

    def _may_try(self, place: str, now: datetime) -> bool:
        failures, last = self._failures.get(place, (0, now))
        return not failures or last > now or now >= next_try(failures, last)

    def _reached(self, place: str, send: Callable[[], None]) -> str:
        """Send, and return why it did not arrive; an empty text where it did."""
        reason = self._sent(place, send)
        if reason:
            failures, _ = self._failures.get(place, (0, None))
            self._failures[place] = (failures + 1, self._tools.clock.now())
        else:
            self._failures.pop(place, None)
        return reason

    def _sent(self, place: str, send: Callable[[], None]) -> str:
        """Send from a thread of its own, which a server that drips may hold as long as it likes."""
        answer: list[str] = []

        def attempt() -> None:
            try:
                send()
            except DroError as error:
                answer.append(error.message)
            except Exception as error:  # noqa: BLE001 - its text may hold a URL; others are told yet
                answer.append(f"internal error ({type(error).__name__})")
            else:
                answer.append("")

        before = self._sending.get(place)
        if before is None or not before.is_alive():
            sending = self._sending[place] = threading.Thread(target=attempt, daemon=True)
            sending.start()
            sending.join(_WAITS_IN_ALL * self._tools.post.timeout_seconds)
        return answer[0] if answer else "its server did not answer in time"

    def _told(self, told: tuple[Duty, ...], reason: str, decided: _Decision) -> Iterator[Told]:
        """Yield what is recorded; of attempts in a row that failed, the first only."""
        for duty in told:
            before = [
                each
                for each in decided.tellings.get(duty.problem.id, ())
                if each.channel == duty.channel.name
            ]
            if reason and before and not before[-1].delivered:
                continue
            yield Told(
                telling=Telling(
                    practice=duty.problem.problem.practice,
                    problem=duty.problem.id,
                    channel=duty.channel.name,
                    occasion=duty.occasion,
                    at=self._tools.clock.now(),
                    delivered=not reason,
                    reason=reason,
                )
            )

    # --- dead-man's switches --------------------------------------------------------------------

    def _ping(
        self,
        record: PracticeRecord,
        channels: tuple[Channel, ...],
        found: tuple[Trouble, ...],
        now: datetime,
    ) -> None:
        if all(channel.spec.ping is None for channel in channels):
            return
        keys = {each.problem.key for each in found}
        failing = frozenset(
            run.system
            for run in record.last_runs
            if f"failure/{run_key(Operation.BACKUP, run.system, None)}" in keys
        )
        running = self._tools.store.open_runs(record.practice)
        done: dict[str, set[tuple[str, str]]] = {}
        for each in pings(
            channels, running=running, last=record.last_runs, failing=failing, now=now
        ):
            name, sign = f"{record.practice}/{each.channel.name}", (each.run, each.ending)
            if sign in self._pinged.get(name, ()):
                done.setdefault(name, set()).add(sign)
            elif self._may_try(each.channel.place, now):
                send = partial(ping, each.channel, each.ending, self._tools.post)
                reason = self._reached(each.channel.place, send)
                if not reason:
                    done.setdefault(name, set()).add(sign)
                self._note_sign(record.practice, each.channel.name, reason, now)
        self._pinged |= done

    def _note_sign(self, practice: str, channel: str, reason: str, now: datetime) -> None:
        before = self._signs.get(f"{practice}/{channel}")
        if reason and before is not None and not before.delivered:
            return
        self._signs[f"{practice}/{channel}"] = Telling(
            practice=practice,
            problem="",
            channel=channel,
            occasion=Occasion.OPENED,
            at=now,
            delivered=not reason,
            reason=reason,
        )


def _unrecorded(error: Exception, since: datetime) -> OpenProblem:
    """Return the problem that problems cannot be recorded; it cannot be acknowledged either."""
    known = error if isinstance(error, DroError) else None
    why = known.message if known else f"internal error ({type(error).__name__})"
    problem = site_problem(
        "telling",
        f"what goes wrong here cannot be recorded, so nobody hears of it: {why}",
        advice=(known and known.hint) or "journalctl -u dro-scheduler",
        since=since,
    )
    return OpenProblem(id=UNRECORDED, problem=problem, opened_at=since)


def _plain(problem: Problem) -> Trouble:
    return Trouble(problem=problem)


def _changes(
    known: Iterable[OpenProblem],
    problems: Iterable[OpenProblem],
    told: set[str],
    now: datetime,
) -> Iterator[Entry]:
    """Yield what is recorded; new words only with the message that has them."""
    before = {each.id: each for each in known}
    for each in problems:
        was = before.get(each.id)
        if was is None or (was.closed_at is not None and each.closed_at is None):
            yield ProblemSeen(id=each.id, problem=each.problem, at=now)
        elif was.closed_at is None and each.closed_at is not None:
            yield ProblemOver(id=each.id, at=now)
        elif each.closed_at is None and each.id in told and each.problem != was.problem:
            yield ProblemSeen(id=each.id, problem=each.problem, at=now)
