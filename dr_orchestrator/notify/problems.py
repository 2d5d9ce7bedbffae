"""What needs a person: a pure function of the promise, the record, what came due, and now.

One trouble is one problem, told apart by its key, and lasts until something says that it is over:
what is merely not known any more (a retry is under way, a person broke the next attempt off, an
occurrence lies too far back to be asked for) ends nothing. A practice in its first days has no
problem: what is unproven and not due yet is quiet.

docs/reference/notifications.md is the same in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.advice import advise, follow_ups_of, what_to_do
from dr_orchestrator.compliance.case import CLOCK_TOLERANCE
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.occurrence import OccurrenceState, Progress, Skipped
from dr_orchestrator.core.problem import IN_PART, OpenProblem, Problem, ProblemKind
from dr_orchestrator.core.record import PracticeRecord, SystemPaused
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import instant_words, objective_words
from dr_orchestrator.plan.model import Plan

if TYPE_CHECKING:
    from dr_orchestrator.compliance.suspicion import Suspicion

_TOLD = frozenset(
    {
        *(Operation.BACKUP, Operation.COPY, Operation.RESTORE_TEST, Operation.CHECK),
        *(Operation.FORGET, Operation.PRUNE, Operation.EXTEND, Operation.IMMUTABILITY),
        *(Operation.REPORT, Operation.KIT, Operation.EVIDENCE),
    }
)
"""What nobody watches; whoever restores or rebuilds sits before it."""
_UPKEEP = {
    Operation.CHECK: "check",
    Operation.FORGET: "forget",
    Operation.PRUNE: "prune",
    Operation.EXTEND: "extend",
    Operation.IMMUTABILITY: "immutability",
}
"""What `maintenance` says of a repository, by its key there."""
_SHORTEST_WAIT, _LONGEST_WAIT = timedelta(minutes=30), timedelta(hours=4)
_PAUSED = "paused"
"""How the planner begins to say that an occurrence is skipped because of a pause."""
_OF_A_REPOSITORY = frozenset(
    {Objective.REPOSITORY_CHECK, Objective.RETENTION, Objective.IMMUTABILITY}
)
"""Every system in a repository has this finding; the trouble is one."""
_OF_ONE_POINT = frozenset(
    {Objective.RPO, Objective.COPIES, Objective.SKEW, Objective.DUMP_AGE, Objective.COVERAGE}
)
_OF_ONE_TEST = frozenset({Objective.RTO, Objective.DATA_AGE})

_ENDED = {
    Outcome.PARTIAL: IN_PART,
    Outcome.FAILED: "failed",
    Outcome.UNPROVEN: "came to no result",
    Outcome.INTERRUPTED: "was interrupted",
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A problem, and what it follows from."""

    problem: Problem
    because: frozenset[str] = frozenset()
    """Keys of problems: whoever is told of one of them need not be told of this one too."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that is known of one practice at one instant."""

    plan: Plan
    record: PracticeRecord
    now: datetime
    findings: tuple[Finding, ...]
    occurrences: tuple[OccurrenceState, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()
    waiting_since: Mapping[str, datetime] = field(default_factory=dict)
    """Occurrence -> when it, or one before it whose place it took, was first seen to wait: what was
    caught up on just now is not late."""
    first_attempts: Mapping[str, datetime] = field(default_factory=dict)
    """Run -> when the first attempt at what it serves began."""
    known: tuple[OpenProblem, ...] = ()
    """The problems that are open."""


def troubles(situation: Situation) -> tuple[Trouble, ...]:
    """Return what needs a person now, by key, each with what it follows from."""
    look = _Look(situation)
    found = {each.key: each for each in look.problems()}
    return tuple(
        Trouble(problem=each, because=frozenset(look.causes(each)) & found.keys() - {each.key})
        for each in found.values()
    )


def run_key(operation: Operation, system: str, repository: str | None) -> str:
    """Return what tells one operation's problems from another's: `emr/backup`."""
    return f"{system}/{operation.value.replace(' ', '-')}" + (
        f"/{repository}" if repository else ""
    )


class _Look:
    def __init__(self, situation: Situation) -> None:
        self._at = situation
        self._plan = situation.plan
        self._known = {each.problem.key: each.problem for each in situation.known}
        self._newest: dict[str, Run] = {}
        for run in sorted(situation.record.last_runs, key=lambda run: (run.started_at, run.id)):
            self._newest[run_key(run.operation, run.system, run.repository)] = run
        self._failed: dict[str, Run] = {}
        self._causes: dict[str, set[str]] = {}

    def problems(self) -> Iterator[Problem]:
        yield from self._failures()
        yield from self._never_started()
        yield from self._suspicious()
        yield from self._destroyable()
        yield from self._findings()

    def causes(self, problem: Problem) -> set[str]:
        return self._causes.get(problem.key, set())

    # --- what failed ----------------------------------------------------------------------------

    def _failures(self) -> Iterator[Problem]:
        for name, run in self._newest.items():
            key = f"failure/{name}"
            if not self._in_plan(run) or run.outcome in {None, Outcome.DONE}:
                continue
            if not self._is_failure(run):
                if key in self._known:
                    self._failed[key] = run
                    yield self._known[key]
                continue
            if run.repository and self._stopped_by_a_freeze(run):
                self._causes[key] = {_frozen_key(run.repository)}
            if run.operation is Operation.IMMUTABILITY and run.repository:
                self._causes[key] = {_destroyable_key(run.repository)}
            self._failed[key] = run
            yield self._problem(
                key,
                ProblemKind.FAILURE,
                run.system,
                what=_failure_words(run),
                advice=self._after_failure(run),
                since=run.started_at,
            )

    def _stopped_by_a_freeze(self, run: Run) -> bool:
        """Whether the run only says again why its repository is frozen: by another repository in
        its place any operation is stopped.
        """
        frozen = self._at.record.frozen.get(run.repository or "")
        return run.operation in {Operation.FORGET, Operation.PRUNE} or (
            frozen is not None and bool(run.reason) and run.reason in frozen.why
        )

    def _is_failure(self, run: Run) -> bool:
        """Whether this is news; of one that was told before, only success says otherwise."""
        if run.outcome is Outcome.INTERRUPTED and run.schedule_id is None:
            return False  # a person broke off what a person had begun
        if self._pause(run.system):
            return False
        return not self._is_tried_again(run)

    def _is_tried_again(self, run: Run) -> bool:
        """Whether another attempt is to come, and not too late."""
        patience = self._patience(run.operation, run.system)
        began = self._at.first_attempts.get(run.id, run.started_at)
        if self._at.now - began > patience or self._was_given_up(run, patience):
            return False
        return any(
            each.progress in {Progress.WAITING, Progress.RUNNING}
            and (each.occurrence.schedule_id, each.occurrence.due_at)
            == (run.schedule_id, run.due_at)
            for each in self._at.occurrences
        )

    def _was_given_up(self, run: Run, patience: timedelta) -> bool:
        """Whether the last attempt at another occurrence failed just before: where one comes due
        every few minutes, the newest run is nearly always a first attempt.
        """
        settled = [
            each
            for each in self._at.occurrences
            if each.progress is Progress.SETTLED
            and (each.occurrence.operation, each.occurrence.system, each.occurrence.repository)
            == (run.operation, run.system, run.repository)
        ]
        last = max(settled, key=lambda each: each.occurrence.due_at, default=None)
        return (
            last is not None
            and last.outcome is not Outcome.DONE
            and self._at.now - last.occurrence.due_at <= patience
        )

    def _in_plan(self, run: Run) -> bool:
        if run.operation not in _TOLD:
            return False
        if run.schedule_id is None:
            return self._names_exist(run.system, run.repository or "")
        return self._is_scheduled(run.operation, run.system, run.repository or "")

    def _is_scheduled(self, operation: Operation, system: str, repository: str) -> bool:
        """Whether the plan still has this done: else it would never end well, nor ever begin."""
        if not self._names_exist(system, repository):
            return False
        if operation is Operation.RESTORE_TEST:
            tests = self._plan.protected[system].restore_tests
            return any((test.from_ or self._plan.first_repository) == repository for test in tests)
        if operation is Operation.COPY:
            return repository in self._plan.protected[system].backup.copy_to
        if operation in _UPKEEP:
            spec = self._plan.repositories[repository]
            if operation is Operation.EXTEND and spec.object_lock is None:
                return False
            if operation is Operation.IMMUTABILITY and not spec.keeps_attackers_out:
                return False
            return bool(getattr(spec.maintenance, _UPKEEP[operation]) != "never")
        if operation is Operation.KIT:
            return self._plan.kit is not None
        return operation is not Operation.REPORT or self._plan.report is not None

    def _names_exist(self, system: str, repository: str) -> bool:
        """Whether the plan still has both; an empty name stands for none."""
        return (not system or system in self._plan.protected) and (
            not repository or repository in self._plan.repositories
        )

    def _after_failure(self, run: Run) -> str:
        record = self._at.record
        test = next((each for each in record.tests if each.id == run.id), None)
        advice = advise(test, follow_ups_of(test, record.tests), record.points) if test else ""
        return advice or f"`dro runs show {run.id}` says more, and what to do"

    # --- what did not begin ---------------------------------------------------------------------

    def _never_started(self) -> Iterator[Problem]:
        newest: dict[str, OccurrenceState] = {}
        for state in sorted(self._at.occurrences, key=lambda each: each.occurrence.due_at):
            due = state.occurrence
            newest[run_key(due.operation, due.system, due.repository)] = state
        for name in sorted({*newest, *self._known_names("never_started")}):
            system, word, *repository = name.split("/", 2)
            operation = Operation(word.replace("-", " "))
            if not self._is_scheduled(operation, system, "".join(repository)):
                continue
            if problem := self._not_begun(name, newest.get(name)):
                yield problem

    def _known_names(self, kind: str) -> Iterator[str]:
        for key in self._known:
            if key.startswith(f"{kind}/"):
                yield key.removeprefix(f"{kind}/")

    def _not_begun(self, name: str, state: OccurrenceState | None) -> Problem | None:
        key = f"never_started/{name}"
        known = self._known.get(key)
        if known is not None and not self._has_begun(name, state, known.since):
            return known
        if state is None or not self._is_late(state) or self._has_begun(name, state, None):
            return None
        due = state.occurrence
        if self._pause(due.system):
            return None
        why = f": {state.reason or due.skipped}" if state.reason or due.skipped else ""
        return self._problem(
            key,
            ProblemKind.NEVER_STARTED,
            due.system,
            what=f"{_operation_words(due.operation, due.repository)}, due "
            f"{self._clock(due.due_at)}, was not begun{why}",
            advice=f"see what keeps the scheduler: `dro runs {self._plan.practice.id}`, and `dro "
            f"doctor {self._plan.practice.id}`",
            since=due.due_at,
        )

    def _has_begun(self, name: str, state: OccurrenceState | None, since: datetime | None) -> bool:
        """Whether an attempt was begun at what came due at `since`, or at the newest, or later."""
        due_at = since or (state.occurrence.due_at if state else self._at.now)
        run = self._newest.get(name)
        if run is not None and due_at <= run.started_at <= self._at.now + CLOCK_TOLERANCE:
            return True
        return (
            state is not None
            and state.occurrence.due_at >= due_at
            and (state.progress is Progress.RUNNING or state.attempt > 0)
        )

    def _is_late(self, state: OccurrenceState) -> bool:
        due = state.occurrence
        if state.progress is Progress.SKIPPED:
            return not (state.reason or due.skipped).startswith((_PAUSED, Skipped.HANDED_OVER))
        if state.progress is not Progress.WAITING or state.attempt:
            return False
        since = self._at.waiting_since.get(due.id, due.due_at)
        return self._at.now - since > self._patience(due.operation, due.system)

    def _patience(self, operation: Operation, system: str) -> timedelta:
        """Return how late something may begin: a backup half its RPO, between 30 min and 4 h."""
        spec = self._plan.protected.get(system)
        if operation is not Operation.BACKUP or spec is None:
            return _LONGEST_WAIT
        return min(max(spec.rpo / 2, _SHORTEST_WAIT), _LONGEST_WAIT)

    # --- what is not as it was ------------------------------------------------------------------

    def _suspicious(self) -> Iterator[Problem]:
        practice = self._plan.practice.id
        for each in self._at.suspicions:
            yield self._problem(
                f"suspicious/{each.system}/{each.asset}",
                ProblemKind.SUSPICIOUS,
                each.system,
                what=each.what,
                advice="find out what changed: an attack, a mistake, or much new work; points from "
                f"before are kept: `dro points {practice} --system {each.system}`",
                since=each.since,
            )
        for repository, frozen in self._at.record.frozen.items():
            if repository in self._plan.repositories:
                yield self._problem(
                    _frozen_key(repository),
                    ProblemKind.SUSPICIOUS,
                    "",
                    what=f"nothing is cleared out of {repository} any more: {frozen.why}",
                    advice=f"look into it: `dro doctor {practice}`, and "
                    f"`dro retention show {practice} --repository {repository}`; if all is well: "
                    f"`dro retention release {practice} --repository {repository} --reason TEXT`",
                    since=frozen.at,
                )

    def _destroyable(self) -> Iterator[Problem]:
        """Yield the repositories in which an attempt to destroy something succeeded. One of which
        nothing was found out does not say that it is over.
        """
        for repository, tested in self._at.record.immutability.items():
            spec = self._plan.repositories.get(repository)
            if spec is None or not spec.keeps_attackers_out or tested.location != spec.location:
                continue
            key = _destroyable_key(repository)
            done = [each for each in tested.attempts if each.answer is Answer.DONE]
            if done:
                deeds = ", ".join(dict.fromkeys(each.deed.value for each in done))
                where = f"{self._plan.practice.id} --repository {repository}"
                yield self._problem(
                    key,
                    ProblemKind.SUSPICIOUS,
                    "",
                    what=f"whoever holds the backup credential of {repository} can destroy what is "
                    f"there: we were able to {deeds}",
                    advice="find out what changed its protection, and since when: "
                    f"`dro doctor {self._plan.practice.id}`; mend it, then try again: "
                    f"`dro repository immutability {where}`",
                    since=tested.at,
                )
            elif tested.result is Result.UNPROVEN and key in self._known:
                yield self._known[key]

    # --- what was promised ----------------------------------------------------------------------

    def _findings(self) -> Iterator[Problem]:
        told = [(each, kind) for each in self._at.findings if (kind := self._kind(each))]
        for finding, kind in told:
            key = _finding_key(finding, kind)
            self._causes[key] = self._causes_of(finding, kind, told)
            yield self._problem(
                key,
                kind,
                "" if finding.objective in _OF_A_REPOSITORY else finding.system,
                what=self._verdict_words(finding),
                advice=what_to_do(finding, self._plan.practice.id),
                since=finding.since or finding.due,
            )

    def _kind(self, finding: Finding) -> ProblemKind | None:
        """Return what a finding is to a person now; `None` for what is kept, and what is not due.

        What is never due (a plan without a restore test) is said by the report, not by a message.
        """
        if finding.verdict is Verdict.BREACHED:
            return ProblemKind.BREACH
        if finding.due is None or not is_overdue(finding, self._at.now):
            return None
        frozen = finding.objective is Objective.RETENTION and (
            finding.repository in self._at.record.frozen
        )
        return None if frozen else ProblemKind.TEST_OVERDUE

    def _causes_of(
        self, finding: Finding, kind: ProblemKind, told: Iterable[tuple[Finding, ProblemKind]]
    ) -> set[str]:
        """Return the keys of what a finding says nothing new to.

        That backups fail does not hide that the RPO is broken: that is the news. It hides what
        always follows: an incomplete point, copies that grow old.
        """
        system, objective, repository = finding.system, finding.objective, finding.repository
        backup = f"failure/{run_key(Operation.BACKUP, system, None)}"
        keys = {
            each.objective: _finding_key(each, its_kind)
            for each, its_kind in told
            if each.system == system
        }
        causes: set[str] = set()
        if objective in {Objective.COPIES, Objective.COVERAGE} and kind is ProblemKind.BREACH:
            causes.add(backup)
        if objective in _OF_ONE_POINT and self._nothing_comes(backup, kind):
            causes.add(keys.get(Objective.RPO, ""))
        if objective in _OF_ONE_POINT and kind is ProblemKind.TEST_OVERDUE:
            causes.add(keys.get(Objective.COVERAGE, ""))
        if objective in _OF_ONE_TEST and kind is ProblemKind.TEST_OVERDUE:
            causes.add(keys.get(Objective.RESTORE_TEST, ""))
        of_the_test = f"failure/{run_key(Operation.RESTORE_TEST, system, repository)}"
        if objective in _OF_ONE_TEST and kind is ProblemKind.BREACH:
            failed = {
                _finding_key(each, its_kind)
                for each, its_kind in told
                if (each.system, each.repository) == (system, repository)
                and each.objective is Objective.RESTORE_TEST
                and its_kind is ProblemKind.BREACH
            }
            causes |= failed | {of_the_test} if failed else set()
        if objective is Objective.RESTORE_TEST and kind is ProblemKind.BREACH:
            causes.add(of_the_test)
        if objective is Objective.REPOSITORY_CHECK and kind is ProblemKind.BREACH:
            causes.add(f"failure/{run_key(Operation.CHECK, '', repository)}")
        if objective is Objective.EVIDENCE:
            causes.add(f"failure/{run_key(Operation.EVIDENCE, '', None)}")
        if objective is Objective.RETENTION:
            causes.add(f"failure/{run_key(Operation.FORGET, '', repository)}")
        if objective is Objective.IMMUTABILITY:
            causes.add(f"failure/{run_key(Operation.IMMUTABILITY, '', repository)}")
            causes.add(f"failure/{run_key(Operation.EXTEND, '', repository)}")
            causes.add(_destroyable_key(repository or ""))
        return causes - {_finding_key(finding, kind)}

    def _nothing_comes(self, backup: str, kind: ProblemKind) -> bool:
        """Whether no backup at all comes through, so that a broken RPO says everything."""
        run = self._failed.get(backup)
        return kind is ProblemKind.BREACH and run is not None and run.outcome is Outcome.FAILED

    def _verdict_words(self, finding: Finding) -> str:
        verdict = "not kept" if finding.verdict is Verdict.BREACHED else "not proven in time"
        where = f" ({finding.repository})" if finding.repository else ""
        words = f"{objective_words(finding.objective)}{where}: {verdict}: {finding.reason}"
        failed = self._failed.get(f"failure/{run_key(Operation.BACKUP, finding.system, None)}")
        if failed is not None and finding.objective is Objective.RPO:
            words += f"; {_failure_words(failed)}"
        if pause := self._pause(finding.system):
            clock = "the RPO clock keeps running"
            until = self._clock(pause.until)
            words += f"; paused by {pause.by} until {until}: {pause.why}; {clock}"
        return words

    # --- all of them ----------------------------------------------------------------------------

    def _problem(
        self,
        key: str,
        kind: ProblemKind,
        system: str,
        *,
        what: str,
        advice: str,
        since: datetime | None,
    ) -> Problem:
        found = Problem(
            key=key,
            kind=kind,
            practice=self._plan.practice.id,
            system=system,
            what=what,
            next=advice,
            since=since,
        )
        known = self._known.get(key)
        return replace(found, since=known.since) if known else found

    def _pause(self, system: str) -> SystemPaused | None:
        """Return the pause a system is in; of the whole practice where that is paused too."""
        now = self._at.now
        pauses = (self._at.record.pauses.get(name) for name in ("", system))
        return next(
            (each for each in pauses if each and each.at <= now and not each.is_over(now)), None
        )

    def _clock(self, instant: datetime) -> str:
        return instant_words(instant, self._plan.practice.timezone)


def _finding_key(finding: Finding, kind: ProblemKind) -> str:
    system = "" if finding.objective in _OF_A_REPOSITORY else finding.system
    where = f"/{finding.repository}" if finding.repository else ""
    return f"{kind.value}/{system}/{finding.objective.value}{where}"


def _frozen_key(repository: str) -> str:
    return f"suspicious//retention/{repository}"


def _destroyable_key(repository: str) -> str:
    return f"suspicious//immutability/{repository}"


def _failure_words(run: Run) -> str:
    ended = _ENDED.get(run.outcome or Outcome.FAILED, "failed")
    why = f": {run.reason}" if run.reason else ""
    return f"{_operation_words(run.operation, run.repository)} {ended}{why}"


def _operation_words(operation: Operation, repository: str | None) -> str:
    where = repository or "its repositories"
    return {
        Operation.BACKUP: "the backup",
        Operation.RESTORE_TEST: f"the restore test from {where}",
        Operation.CHECK: f"reading {where} back",
        Operation.FORGET: f"clearing old backups out of {where}",
        Operation.PRUNE: f"freeing space in {where}",
        Operation.COPY: f"the copy to {where}",
        Operation.EXTEND: f"renewing the locks in {where}",
        Operation.IMMUTABILITY: f"the attempt to destroy what {where} holds",
        Operation.REPORT: "writing the report",
        Operation.KIT: "making the recovery kit",
        Operation.EVIDENCE: "bringing the evidence out of this machine",
    }.get(operation, operation.value)
