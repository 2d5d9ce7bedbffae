"""What every store promises. Free of any database, so that those who only ask import little.

There is one way in, `record`, and its entries are frozen nouns of `core`. Nobody else writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState, TestsDue
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.problem import OpenProblem, Telling
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.record import (
    Entry,
    HandedOver,
    KitMade,
    PracticeRecord,
    SystemPaused,
    TakenOver,
)
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.runbook import Drill, Move, RunbookRun, StepExercised
from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.process import ProcessIdentity


@dataclass(frozen=True, kw_only=True)
class JournalLine:
    """One entry as it was written down. Lines are never changed and never removed."""

    seq: int
    """Grows from line to line; a number may be left out, none is used twice."""
    at: datetime
    """When it was written."""
    kind: str
    practice: str
    payload: str
    """The entry as canonical JSON; `codec.decode_entry` reads it back."""


@dataclass(frozen=True, kw_only=True)
class HandedRecord:
    """What another memory knew of a practice when it handed it over."""

    journal: Iterable[JournalLine]
    """In the order it was written."""
    evidence: Iterable[str]
    """The lines of all its chains, chain after chain, verified before."""


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """What was attempted within a stretch of time, and what still is."""

    open: tuple[Run, ...]
    """The runs that were never closed, whenever they began, newest first."""
    closed: tuple[Run, ...]
    """The newest of those that began within that time, newest first."""
    ended: Mapping[Outcome, int]
    """How all the closed runs of that time ended, and how many each; none is left out."""


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """What was attempted for one occurrence."""

    occurrence: OccurrenceState | None
    """`None` where a person started it."""
    runs: tuple[Run, ...]
    """One an attempt, oldest first."""


@dataclass(frozen=True, kw_only=True)
class MonthOfTests:
    """What became of the restore tests of one practice in one month."""

    practice: str
    month: str
    """`2026-11`, in UTC."""
    passed: int
    failed: int
    no_result: int
    missed: int
    """Came due, and nothing made them."""
    skipped: int
    """Came due in a pause, or were called off."""
    by_hand: int
    """Of those that passed, failed or came to no result: how many a person started."""


class Standing(StrEnum):
    """How things stand with a claim."""

    HELD = "held"
    CANCELLED = "cancelled"
    """It is to be given up: end what runs, then settle."""
    LOST = "lost"
    """It is somebody else's by now: end what runs, and record nothing."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to make one attempt at an occurrence."""

    occurrence: Occurrence
    attempt: int
    """Counted from 1."""
    token: str
    """Whoever shows it may renew, requeue and settle, as long as no other one was given out."""
    spared: int = 0
    """So many of the attempts before this one do not count."""


@dataclass(frozen=True, kw_only=True)
class LedgerStats:
    """How much there is to do."""

    waiting: int
    """Could begin now."""
    delayed: int
    """Wait for the time of their next attempt."""
    running: int
    oldest_waiting: datetime | None
    """`due_at` of the one that waits longest."""


@dataclass(frozen=True, kw_only=True)
class SchedulerSeen:
    """A scheduler, and when it last showed that it runs."""

    process: ProcessIdentity
    started_at: datetime
    heartbeat_at: datetime


SCHEDULER_SILENT = timedelta(minutes=15)
"""A scheduler shows itself every 30 s, and one that crontab starts every 5 min."""

Submit = Callable[[object, Occurrence], None]
"""Hands an occurrence to a dispatcher's own queue. The first argument is the open transaction of
the ledger (SQLAlchemy's connection): what is written through it stands or falls with the rest."""

CLAIM_LIMIT = timedelta(minutes=5)
RENEW_EVERY = timedelta(seconds=30)
LOCK_LIMIT = timedelta(minutes=30)
PATIENCE = timedelta(minutes=1)
"""Less than `lock_wait` of the settings is, so that it comes into play before somebody gives up."""
MOST_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long somebody may be silent, and how often something is tried; shorter in tests."""

    claim: timedelta = CLAIM_LIMIT
    renew: timedelta = RENEW_EVERY
    lock: timedelta = LOCK_LIMIT
    patience: timedelta = PATIENCE
    attempts: int = MOST_ATTEMPTS


DEFAULT_LIMITS = Limits()


class Ledger(Protocol):
    """What came due, and who works on it. Any number of planners and workers may use it at once.

    An attempt belongs to whoever shows its token. A claim is lost when its process is gone, or
    when it was not renewed for `CLAIM_LIMIT`: the occurrence waits again, and counts one attempt.
    """

    def last_due(self) -> Mapping[str, datetime]:
        """Return by schedule id the newest instant handed out, else when it was first seen."""
        ...

    def see_schedules(self, ids: Collection[str], at: datetime) -> None:
        """Remember when schedules were first seen; those that are known stay as they are.

        One whose newest instant lies after `at`, as a clock that was set back leaves it, is taken
        back to `at`: nothing would come due until that instant. What was handed out for less than
        an hour ahead stays so; for more, it is put aside, and those times come again.
        """
        ...

    def admit(
        self, occurrences: Sequence[Occurrence], submit: Submit | None = None
    ) -> tuple[Occurrence, ...]:
        """Record what came due, and return what was new. All of it or none, in one transaction.

        What is new and not skipped is handed to `submit`. Of the same schedule, older ones that
        wait, and of which no attempt counts, are settled as skipped, unless the new one
        `keeps_older`.
        """
        ...

    def claim(self, owner: ProcessIdentity, *, emergency: bool = False) -> Claim | None:
        """Return the right to the next attempt: emergencies first, then by `due_at`.

        With `emergency` only those. An operation on a system waits while the same one runs there;
        one whose time has not come waits too, and so does a copy while a backup of its system that
        came due no later runs or may begin. `None`: there is nothing to do now.
        """
        ...

    def claim_one(self, occurrence: str, owner: ProcessIdentity) -> Claim | None:
        """Return the right to the next attempt at this very one, if it may begin now."""
        ...

    def hand_over(self, occurrence: str, token: str, owner: ProcessIdentity) -> Claim | None:
        """Put a held claim into the hands of another process; `None` where it is lost."""
        ...

    def renew(self, claim: Claim) -> Standing:
        """Show that the attempt is still under way, and learn whether it should be."""
        ...

    def requeue(
        self, claim: Claim, *, not_before: datetime, outcome: Outcome, reason: str, counts: bool
    ) -> bool:
        """Give the claim back for another attempt later; whether it was still held.

        Without `counts` the attempt is not one of the `MOST_ATTEMPTS`: the repository was busy.
        With it, the last one settles the occurrence, and so does one that was cancelled.
        """
        ...

    def settle(self, claim: Claim, outcome: Outcome | None, reason: str) -> bool:
        """Record how the last attempt ended; whether the claim was still held.

        `None`: it was skipped after all; nothing was attempted.
        """
        ...

    def cancel(self, occurrence: str, why: str) -> bool:
        """Ask for it to be given up: settled where it waits (as skipped, if it was never begun),
        else whoever runs it learns by `renew`. Whether there was anything to cancel.
        """
        ...

    def recover(self) -> tuple[Occurrence, ...]:
        """Take the claims back that are lost, and return their occurrences.

        Ages count only as far as our own time has passed: a clock that was set makes none older.
        The run of a lost claim is closed here, unless its process is gone (`close_dead_runs`).
        They wait for another attempt; those that were begun `MOST_ATTEMPTS` times are settled as
        interrupted.
        """
        ...

    def stats(self) -> LedgerStats:
        """Return how much there is to do."""
        ...

    def beat(self, scheduler: ProcessIdentity) -> None:
        """Show that a scheduler runs."""
        ...

    def schedulers(self) -> tuple[SchedulerSeen, ...]:
        """Return the schedulers that run, and the last one of each host, newest beat first."""
        ...


class Locks(Protocol):
    """Who may do what at the same time, across threads, processes and machines of one memory.

    A lock ends with its process at the latest. One of another machine counts as gone when it was
    not renewed for `LOCK_LIMIT`, which is also when restic takes its own locks for stale.
    """

    def hold(
        self, keys: Collection[str], *, exclusive: bool, wait: timedelta, what: str
    ) -> AbstractContextManager[None]:
        """Hold all the keys together for a block, shared with others or alone.

        Waits at most `wait`. Whoever waits to be alone is not passed over for ever: after
        `PATIENCE` nobody new is let in before.

        Raises:
            Busy: somebody else holds one of them; `what` says in the message what is in use.
            Interrupted: `stop_waiting` was called.
        """
        ...

    def stop_waiting(self) -> None:
        """Let nobody of this process wait any longer, now or later; what is held stays held."""
        ...


class Followed(Protocol):
    """The runbooks that were followed, the drills, and the kits that were made."""

    def runs(
        self, practice: str | None = None, *, open_only: bool = False
    ) -> tuple[RunbookRun, ...]:
        """Return runbook runs, oldest first; of all practices where `None`.

        With `open_only` those that are not closed: somebody is on them, or was.
        """
        ...

    def of_incident(self, incident: str) -> tuple[RunbookRun, ...]:
        """Return the runs that belong to one incident, rehearsal or drill, oldest first."""
        ...

    def find(self, id_or_prefix: str) -> RunbookRun:
        """Return the one runbook run whose id is, or begins with, `id_or_prefix`.

        Raises:
            UsageMistake: there is none, or more than one.
        """
        ...

    def moves(self, run: str) -> tuple[Move, ...]:
        """Return the moves of a runbook run, in order."""
        ...

    def exercised(self, practice: str) -> tuple[StepExercised, ...]:
        """Return when each step of each runbook was last really done, for each system."""
        ...

    def drills(self, practice: str) -> tuple[Drill, ...]:
        """Return the drills of a practice, oldest first."""
        ...

    def kit(self, practice: str) -> KitMade | None:
        """Return the newest kit of a practice; `None` where none was ever made here."""
        ...


@dataclass(frozen=True, kw_only=True)
class ChainHead:
    """How far a chain of evidence has come."""

    practice: str
    chain: str
    ours: bool
    """Written by this memory; else taken in from another one."""
    number: int
    """Of its last line."""
    head: str
    """Hash of that line."""
    at: datetime
    key: str
    """The public key (hex) that signs at its end; empty where the line that says it was altered."""
    unsigned: int
    """Lines after its last checkpoint."""


class EvidenceLog(Protocol):
    """The evidence: lines that were written with what they are about, and only ever added to.

    A practice has one chain of this memory, begun with its first line, and any number that were
    taken in from others. The format of a line: `evidence/line.py`.
    """

    def chains(self, practice: str) -> tuple[ChainHead, ...]:
        """Return the chains of a practice: ours first, the others by their id."""
        ...

    def lines(
        self,
        practice: str,
        *,
        chain: str | None = None,
        kinds: Collection[str] | None = None,
        since: datetime | None = None,
    ) -> Iterator[str]:
        """Yield lines as they were written, chain after chain in the order of `chains`.

        Reads in portions, each its own transaction: what is written meanwhile may come too, and a
        million lines need no memory.
        """
        ...

    def checkpoint(self, practice: str, signer: Signer) -> ChainHead | None:
        """Sign what was written since the last checkpoint; where there is nothing, or no chain yet,
        write nothing. Return the head of our chain.

        Raises:
            EvidenceKeyChanged: the chain is signed with another key.
        """
        ...

    def succeed(self, signer: Signer, following: Signer) -> int:
        """Let another key sign all our chains from now on, in one transaction, and return how many
        those are. A chain that has come to `following` already stays as it is.

        Raises:
            EvidenceKeyChanged: a chain is signed with neither of them.
        """
        ...

    def begin_anew(self, practice: str, signer: Signer) -> ChainHead | None:
        """Begin another chain of ours where the one before cannot be gone on with: its key is lost,
        or this memory was set back. That one counts as taken in from now on. `None` where there is
        none yet.
        """
        ...

    def take_in(self, practice: str, lines: Iterable[str]) -> int:
        """Add lines of other memories' chains that were verified before; return how many were new.

        Raises:
            EvidenceConflict: a line differs from what is known under its number, or is missing.
        """
        ...

    def disagreements(self, practice: str) -> tuple[str, ...]:
        """Return, a sentence each, where our own record differs from its evidence: an entry of the
        journal that was altered, removed or put in, a result that is not the recorded one.
        """
        ...

    def verdicts(self, practice: str) -> Mapping[tuple[str, Objective, str], Verdict]:
        """Return the newest recorded verdict of each (system, objective, repository)."""
        ...


def repository_key(restic_id: str) -> str:
    """Return the key of a repository: restic's own id, under whatever address it is reached."""
    return f"repository/{restic_id}"


def reading_key(restic_id: str) -> str:
    """Return the key of reading a repository: shared by what restores, alone for what prunes."""
    return f"reading/{restic_id}"


def point_key(practice: str, point: str) -> str:
    """Return the key of a recovery point: shared by what reads it, alone for what forgets it."""
    return f"point/{practice}/{point}"


def system_key(practice: str, system: str) -> str:
    """Return the key of a system: one backup at a time, and none during a live restore."""
    return f"system/{practice}/{system}"


def copying_key(practice: str, system: str, repository: str) -> str:
    """Return the key of copying a system to a repository of the plan: one at a time."""
    return f"copying/{practice}/{system}/{repository}"


class Store(Protocol):
    """The orchestrator's memory of what was done and what came of it.

    Every method may raise `StoreUnusable` where the memory cannot be read or written, and
    `SpaceExhausted` where the disk it lies on is full. Safe to use from several threads and from
    several processes at once.
    """

    def record(self, *entries: Entry) -> None:
        """Write the entries down, all of them or none, in the order given.

        When it returns they are on disk. An entry that changes nothing (a run closed twice, a copy
        that is known, a repository seen again) leaves no line in the journal.

        Raises:
            Busy: the attempt that a run is opened for was lost, and is somebody else's by now.
            RepositoryChanged: another repository is known under this name.
            ValueError: an entry contradicts what is recorded: a run opened twice, closed without
                having been opened, or for an occurrence that has its run; a test under an id that
                another result has; a time without a zone.
        """
        ...

    def take_over(self, handed: HandedRecord, entry: TakenOver) -> bool:
        """Take in what another memory knew of a practice, and record `entry`: all of it, or
        nothing. Whether it was new: where it was taken over from there already, nothing changes.

        Its evidence bears its entries out, so they make no lines of ours; our chain follows its
        chain. Nothing that came due there is done here, and nothing that was begun there is waited
        for. Where this memory itself handed the practice over, it is taken back, with what was
        recorded elsewhere since.

        Raises:
            UsageMistake: the practice is known here, and was not handed over from here.
            EvidenceConflict: what is to be taken in is not what was written down there, or does not
                go with what is known here.
        """
        ...

    def handed_over(self) -> Mapping[str, HandedOver]:
        """Return by id the practices that another machine has now."""
        ...

    def practice_record(self, practice: str) -> PracticeRecord:
        """Return all that is known of a practice, as of one instant; empty where nothing is."""
        ...

    def points(
        self, practice: str, system: str | None = None, *, repository: str | None = None
    ) -> tuple[RecoveryPoint, ...]:
        """Return recovery points by `as_of`, oldest first.

        With `repository` only those it holds; each still names all its copies.
        """
        ...

    def find_point(self, practice: str, id_or_prefix: str) -> RecoveryPoint:
        """Return the one point whose id is, or begins with, `id_or_prefix`.

        Raises:
            PointNotFound: there is none, or more than one.
        """
        ...

    def kept_manifest(self, practice: str, point_id: str) -> str | None:
        """Return the manifest (JSON) of a point that no repository holds one of, since others saved
        what it is made of; `None` where it is kept with the point.
        """
        ...

    def tests(
        self,
        practice: str,
        system: str | None = None,
        *,
        repository: str | None = None,
        since: datetime | None = None,
    ) -> tuple[RestoreTest, ...]:
        """Return restore tests by `started_at`, oldest first; with `since` those begun since."""
        ...

    def months_of_tests(
        self, practices: Collection[str], *, since: datetime
    ) -> tuple[MonthOfTests, ...]:
        """Return what became of restore tests since then, by practice and month; months without
        any are left out, and so are tests that only looked for the damage another one found. Of 40
        practices over six years within a second.
        """
        ...

    def newest_finished(self, operation: Operation) -> Mapping[str, Run]:
        """Return by practice the run of an operation that finished last, however it ended."""
        ...

    def open_runs(self, practice: str | None = None) -> tuple[Run, ...]:
        """Return the runs that were never closed, oldest first: running, or killed."""
        ...

    def runs(
        self,
        practices: Collection[str] | None = None,
        system: str | None = None,
        *,
        since: datetime,
        until: datetime | None = None,
        outcomes: Collection[Outcome] | None = None,
        limit: int,
    ) -> RunHistory:
        """Return what was attempted by these practices; by all where `None` is given.

        `closed` are at most `limit` runs that began at `since` or later, but before `until`, and
        ended as one of `outcomes`. Neither of the last two narrows `ended`.
        """
        ...

    def find_runs(self, id_or_prefix: str, *, limit: int) -> tuple[Run, ...]:
        """Return the run of this id; else at most `limit` whose id begins so, newest first."""
        ...

    def tests_by(self, run: Run) -> tuple[RestoreTest, ...]:
        """Return the restore test that `run` made, then those that followed it up, oldest first."""
        ...

    def pauses(self, practices: Collection[str] | None = None) -> tuple[SystemPaused, ...]:
        """Return the pauses in force when last heard of; they may be over. All where `None`."""
        ...

    def problems(
        self, practice: str | None = None, *, over_since: datetime | None = None
    ) -> tuple[OpenProblem, ...]:
        """Return the problems that are not over, oldest first; where `None`, of the machine and all
        practices but those that another machine has now.

        With `over_since` also those that were over at that instant or later.
        """
        ...

    def tellings(self, problem: str) -> tuple[Telling, ...]:
        """Return whom a problem was told, and when, oldest first."""
        ...

    def occurrences(
        self, practices: Collection[str] | None = None, *, since: datetime, limit: int
    ) -> tuple[OccurrenceState, ...]:
        """Return what came due at `since` or later, and what is not settled yet, newest first."""
        ...

    def tests_due(self, practice: str, *, since: datetime) -> TestsDue:
        """Return the restore tests that came due at `since` or later, and those begun since then
        that were not due.
        """
        ...

    def attempts_beside(self, one: Run) -> Attempts:
        """Return the occurrence that a run serves, and every attempt at it, itself included."""
        ...

    @property
    def ledger(self) -> Ledger:
        """What is due, and who works on it, in the same memory."""
        ...

    @property
    def locks(self) -> Locks:
        """Who may write where, in the same memory."""
        ...

    @property
    def followed(self) -> Followed:
        """What was followed, drilled and packed, in the same memory."""
        ...

    @property
    def evidence(self) -> EvidenceLog:
        """What cannot be edited, in the same memory."""
        ...

    def newest_promise(self, practice: str) -> PromiseMade | None:
        """Return the newest version of the promise to a practice; `None` before the first."""
        ...

    def repository_id(self, practice: str, name: str) -> str | None:
        """Return restic's own id of the repository the plan calls `name`.

        `None` before its first `RepositorySeen`.
        """
        ...

    def names_of_repository(self, restic_id: str) -> tuple[tuple[str, str], ...]:
        """Return (practice, its plan's name) of each that knows the repository of this id."""
        ...

    def journal(self, practice: str | None = None) -> tuple[JournalLine, ...]:
        """Return the journal in the order it was written."""
        ...

    def journal_head(self) -> JournalLine | None:
        """Return the newest line of the journal; `None` where nothing was ever written."""
        ...

    def close(self) -> None:
        """Give back what is held open. The store is not used after this."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
