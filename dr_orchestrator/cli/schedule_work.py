"""`dro schedule work`: one attempt at one occurrence. For schedulers; nobody types it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from dr_orchestrator.errors import ExitCode
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.schedule.worker import InProcessWorker
from dr_orchestrator.unattended import Unattended

if TYPE_CHECKING:
    from types import FrameType

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.schedule.retry import Ended
    from dr_orchestrator.store.base import Claim


@click.command(hidden=True)
@click.argument("occurrence")
@click.option("--token", metavar="TOKEN", help="of the claim that is handed over to us")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, occurrence: str, token: str | None, *, _json: bool) -> ExitCode:
    """Make one attempt at OCCURRENCE, and record how it ended.

    Exit codes: 0 it is recorded, however it ended; 75 it is somebody else's, or not to be begun
    now; 130 stopped, and to be attempted again.
    """
    _heed_only_the_first_signal()
    ledger, ours = context.store().ledger, ProcessIdentity.ours()
    claim = (
        ledger.claim_one(occurrence, ours)
        if token is None
        else ledger.hand_over(occurrence, token, ours)
    )
    if claim is None:
        return ExitCode.BUSY
    context.sweep()
    _Attempt(context).make(claim)
    return ExitCode.OK


class _Attempt:
    """What is said of an attempt, beside what the ledger gets to know."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def make(self, claim: Claim) -> None:
        worker = InProcessWorker(
            self._context.store().ledger,
            self._carry_out,
            clock=self._context.clock,
            give_up=_signal_ourselves,
        )
        worker.work_on(claim)

    def _carry_out(self, claim: Claim) -> Ended:
        ended = Unattended(self._context.app).carry_out(claim)
        outcome = ended.outcome.value if ended.outcome else "skipped"
        if not self._context.json:
            self._context.say(f"{claim.occurrence.id}: {outcome} {ended.reason}".rstrip())
        self._context.print_json_if_asked(
            {"occurrence": claim.occurrence.id, "outcome": outcome, "reason": ended.reason}
        )
        return ended


def _signal_ourselves(_occurrence: str) -> None:
    """Stop our own work as a person would: to the main thread, which waits and must wake up."""
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM)


def _heed_only_the_first_signal() -> None:
    """Let a second SIGTERM change nothing: it would end `dro` at once, and here it may come twice.

    Whoever starts us kills us if cleaning up takes too long.
    """
    stop = signal.getsignal(signal.SIGTERM)

    def once(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, once)
