"""Every operation is one run: opened before anything happens, closed whatever happens.

A process that is killed cannot close its run; the next start finds it, knows by the kernel's start
time that the process is gone, and closes it as interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.identity import new_id
from dr_orchestrator.core.occurrence import Serves
from dr_orchestrator.core.record import HandedOver, RunClosed, RunOpened
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import DroError, ExitCode, Interrupted, PracticeHandedOver
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.codec import storable

_KILLED = "its process was gone before it ended"


class OpenRun:
    """A run that is under way, and what it will be closed with."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.outcome = Outcome.DONE
        self.reason = ""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    def conclude(self, outcome: Outcome, reason: str = "") -> None:
        """State how the run ended; the last word counts, and an exception overrules it."""
        self.outcome = outcome
        self.reason = reason


@contextmanager
def run_in_ledger(
    store: Store,
    clock: Clock,
    operation: Operation,
    *,
    practice: str,
    system: str,
    repository: str | None = None,
    serves: Serves | None = None,
) -> Iterator[OpenRun]:
    """Open a run, and close it on leaving: as done, as concluded, or as the exception says.

    With `serves` it is one attempt at what a schedule asked for.

    An exception passes on after the run was closed. Where even that fails, the exception still
    passes on, and the run is found by `close_dead_runs` later.
    """
    ours = ProcessIdentity.ours()
    started_at = clock.now()
    run = Run(
        id=new_id(started_at),
        operation=operation,
        practice=practice,
        system=system,
        repository=repository,
        started_at=started_at,
        host=ours.host,
        pid=ours.pid,
        pid_started=ours.started,
        **(vars(serves) if serves else {}),
    )
    store.record(RunOpened(run=run))
    open_run = OpenRun(run)
    try:
        yield open_run
    except BaseException as error:
        open_run.conclude(*_ended_by(error, operation))
        try:
            _close(store, clock, open_run)
        except DroError as unusable:
            error.add_note(f"and the run could not be closed: {unusable.message}")
        raise
    _close(store, clock, open_run)


def require_not_handed_over(store: Store, practice: str) -> None:
    """Make sure that a practice is this machine's to look after.

    Raises:
        PracticeHandedOver: another machine has it now.
    """
    if (away := store.handed_over().get(practice)) is not None:
        raise handed_over_error(away)


def handed_over_error(away: HandedOver) -> PracticeHandedOver:
    """Return what is said to whoever wants something done for a practice that is elsewhere."""
    practice = away.practice
    return PracticeHandedOver(
        f"{practice} was handed over to {printable(away.to)} on {away.at:%Y-%m-%d}: nothing is "
        "done for it here",
        hint=f"`dro handover {practice} --withdraw` takes it back; where the other machine went "
        "on, `dro takeover DIR` with what that one hands over",
    )


def close_dead_runs(store: Store, clock: Clock, *, ours_too: bool = False) -> tuple[Run, ...]:
    """Close the runs whose process is provably gone, and return them as they were closed.

    Runs of other machines, and of processes that live, are left alone. With `ours_too` this process
    counts as gone: the last act of one that was stopped while it cleaned up.
    """
    closed = []
    ours = ProcessIdentity.ours()
    for run in store.open_runs():
        owner = ProcessIdentity(run.host, run.pid, run.pid_started)
        if owner.alive is not False and not (ours_too and owner == ours):
            continue
        end = RunClosed(
            run=run.id, finished_at=clock.now(), outcome=Outcome.INTERRUPTED, reason=_KILLED
        )
        store.record(end)
        closed.append(
            replace(run, finished_at=end.finished_at, outcome=end.outcome, reason=end.reason)
        )
    return tuple(closed)


def _close(store: Store, clock: Clock, open_run: OpenRun) -> None:
    store.record(
        RunClosed(
            run=open_run.id,
            finished_at=clock.now(),
            outcome=open_run.outcome,
            reason=storable(open_run.reason),
        )
    )


def _ended_by(error: BaseException, operation: Operation) -> tuple[Outcome, str]:
    """Return outcome and reason; only our own errors are known to hold no data in their text."""
    if isinstance(error, Interrupted):
        return Outcome.INTERRUPTED, error.message
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return Outcome.INTERRUPTED, "stopped by a person or the system"
    if isinstance(error, DroError):
        untested = operation is Operation.RESTORE_TEST and error.exit_code is ExitCode.UNPROVEN
        return Outcome.UNPROVEN if untested else Outcome.FAILED, error.message
    return Outcome.FAILED, f"internal error ({type(error).__name__})"
