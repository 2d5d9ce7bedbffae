"""What is written down, and what is read back to be judged.

All use cases write through one function, `Store.record`, and only after the fact. Each entry is a
frozen noun without any field that could hold a row of a database or the name of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dr_orchestrator.core.custody import HeldKey, KeyProof
from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.immutability import ImmutabilityTested, LocksExtended
from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.point import PointCopy, RecoveryPoint
from dr_orchestrator.core.problem import Problem, Telling
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.runbook import Drill, Move, RunbookRun
from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff


@dataclass(frozen=True, kw_only=True)
class RunOpened:
    """A run began."""

    run: Run


@dataclass(frozen=True, kw_only=True)
class RunClosed:
    """A run ended. A run is closed once; closing it again changes nothing."""

    run: str
    finished_at: datetime
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PointRecorded:
    """A recovery point exists in the repositories that `point.copies` names.

    Recording a point that is known adds the copies that are new and changes nothing else: what was
    recorded when it was made is not rewritten by what a repository says later.
    """

    point: RecoveryPoint
    manifest: str = ""
    """Its manifest as JSON, where no repository holds it: somebody else saved what it is of."""


@dataclass(frozen=True, kw_only=True)
class RestoreTestRecorded:
    """A restore test came to a result. The same one again changes nothing."""

    test: RestoreTest


@dataclass(frozen=True, kw_only=True)
class RepositorySeen:
    """A repository answered with its own id. Another id than the known one is refused."""

    practice: str
    repository: str
    restic_id: str
    """restic's own id of the repository, 64 hex digits."""
    at: datetime


@dataclass(frozen=True, kw_only=True)
class OccurrenceDue:
    """An operation came due, to run or to be skipped. The same one again changes nothing."""

    occurrence: Occurrence


@dataclass(frozen=True, kw_only=True)
class OccurrenceSettled:
    """No further attempt is made at an occurrence. Settling it again changes nothing."""

    occurrence: str
    at: datetime
    outcome: Outcome | None
    """Of its last attempt; `None` where it was skipped after all, without any."""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ScheduleSetBack:
    """The clock had been far ahead: what a schedule handed out for times that are to come yet does
    not stand for them. It stays on record under ids of its own.
    """

    practice: str
    schedule_id: str
    at: datetime
    """Now, as the clock says since it was put right."""


@dataclass(frozen=True, kw_only=True)
class PointForgotten:
    """A repository no longer holds a recovery point, because retention let go of it."""

    practice: str
    point: str
    repository: str
    at: datetime
    why: str


@dataclass(frozen=True, kw_only=True)
class HoldPlaced:
    """A recovery point is to be kept, whatever retention says. A later one takes its place."""

    practice: str
    point: str
    at: datetime
    until: datetime | None
    """`None`: until it is released."""
    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class HoldReleased:
    """A recovery point is no longer held, and its label no longer keeps it."""

    practice: str
    point: str
    at: datetime
    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RepositoryChecked:
    """A share of what a repository holds was read back."""

    practice: str
    repository: str
    run: str
    at: datetime
    part: int
    """Which of `parts` equal shares, counted from 1 (restic's `--read-data-subset part/parts`)."""
    parts: int
    sound: bool
    reason: str = ""
    """What is not sound."""


@dataclass(frozen=True, kw_only=True)
class RetentionFrozen:
    """Nothing in a repository is forgotten until a person releases it: something is suspicious.

    Where it is frozen already it stays so since then, for the newest reason.
    """

    practice: str
    repository: str
    at: datetime
    why: str


@dataclass(frozen=True, kw_only=True)
class RetentionReleased:
    """A person looked into it, and retention may go on."""

    practice: str
    repository: str
    at: datetime
    by: str
    why: str
    accepted: tuple[str, ...] = ()
    """Ids of the snapshots in it that we did not make, and that the person knows of."""


@dataclass(frozen=True, kw_only=True)
class SystemPaused:
    """Nothing scheduled is started for a system for a while; what is promised goes on counting."""

    practice: str
    system: str
    """Empty: every system of the practice."""
    at: datetime
    until: datetime
    by: str
    why: str

    def is_over(self, now: datetime) -> bool:
        """Return whether its time has passed; at `until` it has."""
        return self.until <= now


@dataclass(frozen=True, kw_only=True)
class PauseEnded:
    """A pause was ended before its time."""

    practice: str
    system: str
    at: datetime
    by: str


@dataclass(frozen=True, kw_only=True)
class ProblemSeen:
    """A problem is there. Opens it, or opens it again; seen once more it changes its words."""

    id: str
    problem: Problem
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ProblemAcknowledged:
    """Somebody looks after a problem."""

    id: str
    at: datetime
    by: str


@dataclass(frozen=True, kw_only=True)
class ProblemOver:
    """A problem is gone."""

    id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Told:
    """Somebody was told of a problem, or could not be."""

    telling: Telling


@dataclass(frozen=True, kw_only=True)
class RunbookOpened:
    """Somebody began to follow a runbook. The same one again changes nothing."""

    run: RunbookRun


@dataclass(frozen=True, kw_only=True)
class RunbookMoved:
    """The next move in a runbook run. The same one again changes nothing; another one under its
    number is refused, since somebody else has gone on.
    """

    move: Move


@dataclass(frozen=True, kw_only=True)
class DrillRecorded:
    """A drill came to a result. The same one again changes nothing."""

    drill: Drill


@dataclass(frozen=True, kw_only=True)
class KitMade:
    """A kit was made and delivered."""

    practice: str
    run: str
    at: datetime
    expires: datetime
    inputs: str
    """SHA-256 over the plan and the runbooks that it was made of."""
    places: tuple[str, ...]
    """Where it went, in words: a folder, a bucket, a contact."""


@dataclass(frozen=True, kw_only=True)
class PromiseRecorded:
    """A plan promises something else than before, or is seen for the first time. Where it promises
    what the newest version does, nothing changes.
    """

    promise: PromiseMade


@dataclass(frozen=True, kw_only=True)
class FindingChanged:
    """The verdict on one objective is another than it was. The same one again changes nothing."""

    practice: str
    at: datetime
    system: str
    objective: Objective
    repository: str
    """Empty where it is about none."""
    verdict: Verdict | None
    """`None`: the plan asks for it no more."""
    promised: str
    achieved: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A recovery point was restored for people to work with: no test."""

    practice: str
    run: str
    at: datetime
    system: str
    point: str
    repository: str
    assets: tuple[str, ...]
    place: str
    """Where it landed, on which machine."""
    by: str
    why: str
    """What the person said; empty where they were not asked."""


@dataclass(frozen=True, kw_only=True)
class SignedOff:
    """The practice certified what it was shown. The same one again changes nothing."""

    sign_off: SignOff


@dataclass(frozen=True, kw_only=True)
class ActionOpened:
    """Something has to be put right. While one for the same cause (system, repository, cause) is
    open, another changes nothing.
    """

    action: CorrectiveAction


@dataclass(frozen=True, kw_only=True)
class ActionClosed:
    """It was. One that is closed stays as it is."""

    practice: str
    id: str
    at: datetime
    by: str
    done: str
    """What was done about it."""


@dataclass(frozen=True, kw_only=True)
class Anchored:
    """The head of the evidence was put where we cannot reach it, or could not be."""

    practice: str
    at: datetime
    chain: str
    number: int
    head: str
    place: str
    """In words: a contact's mailbox, a bucket, a repository."""
    reason: str = ""
    """Why it could not be; empty where it was."""


@dataclass(frozen=True, kw_only=True)
class ReportDelivered:
    """A report went to somebody, or could not."""

    practice: str
    run: str
    at: datetime
    report: str
    """`manager`, `auditor`, `insurer`, `engineer`."""
    place: str
    """In words."""
    sha256: str
    """Of what was delivered."""
    reason: str = ""
    """Why it could not be; empty where it was."""
    says: str = ""
    """A hash of what it says of each system, verdict and newest results: the same where nothing
    that was proven changed since."""


@dataclass(frozen=True, kw_only=True)
class KeyMade:
    """A key of a repository was made for somebody. The same one again changes nothing."""

    key: HeldKey


@dataclass(frozen=True, kw_only=True)
class KeyTried:
    """Somebody typed in the key they hold. The newest for each holder and repository counts."""

    proof: KeyProof


@dataclass(frozen=True, kw_only=True)
class KeyRevoked:
    """A key opens its repository no more. One that is revoked already stays as it is."""

    practice: str
    repository: str
    key: str
    at: datetime
    by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RepositoryRetired:
    """Another repository stands for this one from now on: nothing new is saved to it."""

    practice: str
    repository: str
    at: datetime
    by: str
    replaced_by: str
    why: str


@dataclass(frozen=True, kw_only=True)
class HandedOver:
    """Another machine takes this practice over: nothing scheduled is started for it here."""

    practice: str
    at: datetime
    by: str
    to: str
    """Who, in words."""
    why: str


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """This machine goes on with a practice that another one handed over, or that was lost there."""

    practice: str
    at: datetime
    by: str
    giver: str
    """The host that had it."""
    chain: str
    """Its chain of evidence, which ours follows."""
    number: int
    """Of the last line of it that was handed over."""
    head: str
    """Hash of that line."""


Entry = (
    RunOpened
    | RunClosed
    | PointRecorded
    | RestoreTestRecorded
    | RepositorySeen
    | OccurrenceDue
    | OccurrenceSettled
    | ScheduleSetBack
    | PointForgotten
    | HoldPlaced
    | HoldReleased
    | RepositoryChecked
    | LocksExtended
    | ImmutabilityTested
    | RetentionFrozen
    | RetentionReleased
    | SystemPaused
    | PauseEnded
    | ProblemSeen
    | ProblemAcknowledged
    | ProblemOver
    | Told
    | RunbookOpened
    | RunbookMoved
    | DrillRecorded
    | KitMade
    | PromiseRecorded
    | FindingChanged
    | Restored
    | SignedOff
    | ActionOpened
    | ActionClosed
    | Anchored
    | ReportDelivered
    | KeyMade
    | KeyTried
    | KeyRevoked
    | RepositoryRetired
    | HandedOver
    | TakenOver
)


FORGOTTEN_SHOWN = timedelta(days=45)
"""How far back points are shown that are gone: a month to compare with, and time to look into."""
MUCH_NEW = 16
"""A point has much that is new where that is more than this part of an asset: a sixteenth."""
TESTS_SHOWN = timedelta(days=60)
"""How far back every restore test is shown."""


@dataclass(frozen=True, kw_only=True)
class PracticeRecord:
    """All that is known of one practice, as `judge` reads it."""

    practice: str
    first_seen: Mapping[str, datetime]
    """System -> start of its first run here, else since when a scheduler has looked for it; a
    system without either was never acted on."""
    points: tuple[RecoveryPoint, ...]
    """By `as_of`, oldest first."""
    tests: tuple[RestoreTest, ...]
    """By `started_at`, oldest first: those of `TESTS_SHOWN`, and of older ones all that a verdict
    may turn on: what did not pass, what is known of points that are still held, and the first that
    passed in each month, from each repository, of each share of the files."""
    last_runs: tuple[Run, ...]
    """The newest finished run of each (operation, system, repository)."""
    repositories_seen: Mapping[str, datetime] = field(default_factory=dict)
    """Repository -> when it first answered here: what is promised of it starts then."""
    maintained_since: Mapping[tuple[Operation, str], datetime] = field(default_factory=dict)
    """What is done to a repository, and which -> its first run, else since when a scheduler has
    looked for it: what is promised of reading back and of forgetting starts no earlier."""
    checks: tuple[RepositoryChecked, ...] = ()
    """The newest of each (repository, part, parts), oldest first."""
    frozen: Mapping[str, RetentionFrozen] = field(default_factory=dict)
    """Repository -> why nothing in it is forgotten, where that is so."""
    retention_released: Mapping[str, datetime] = field(default_factory=dict)
    """Repository -> when a person last looked into what had frozen it."""
    accepted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Repository -> ids of snapshots that we did not make, and that a person knows of."""
    locks: Mapping[str, LocksExtended] = field(default_factory=dict)
    """Repository -> how its object locks were when last renewed."""
    immutability: Mapping[str, ImmutabilityTested] = field(default_factory=dict)
    """Repository -> the newest attempt to destroy what it holds that came to a result; the newest
    of all where none did."""
    holds: Mapping[str, HoldPlaced] = field(default_factory=dict)
    """Point -> why it is kept, where somebody said so, whether or not the time is over."""
    released: frozenset[str] = frozenset()
    """Points whose label no longer keeps them."""
    forgotten: tuple[RecoveryPoint, ...] = ()
    """Points of the last `FORGOTTEN_SHOWN` with much that was new to a repository (`MUCH_NEW`), and
    that none holds any more, oldest first. Nothing can be restored from them."""
    pauses: Mapping[str, SystemPaused] = field(default_factory=dict)
    """System (empty: all) -> the pause in force when it was last heard of; it may be over."""
    promises: tuple[PromiseMade, ...] = ()
    """Every version of the promise that was seen, oldest first."""
    sign_offs: tuple[SignOff, ...] = ()
    """By `at`, oldest first."""
    actions: tuple[CorrectiveAction, ...] = ()
    """By `opened_at`, oldest first; closed ones too."""
    keys: tuple[HeldKey, ...] = ()
    """The keys that were made for somebody, by `made_at`; revoked ones too."""
    key_proofs: tuple[KeyProof, ...] = ()
    """The newest of each (holder, repository)."""
    retired: Mapping[str, RepositoryRetired] = field(default_factory=dict)
    """Repository -> what stands for it now."""
    handed_over: HandedOver | None = None
    """Where another machine has this practice now."""

    def vouches_for(self, copy: PointCopy) -> bool:
        """Return whether a copy may be relied on: this memory saw it being made, or a person looked
        into its repository since that told of it.

        Whoever can write to a repository can put a point of any date and content there.
        """
        if not copy.read_back or copy.repository not in self.frozen:
            return True
        looked_into = self.retention_released.get(copy.repository)
        return looked_into is not None and copy.recorded_at <= looked_into
