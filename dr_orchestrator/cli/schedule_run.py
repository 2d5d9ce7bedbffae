"""`dro schedule run`: the scheduler, as a service or once in a while from cron."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from dr_orchestrator.errors import DroError, ExitCode
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.schedule.embedded import EmbeddedDispatcher
from dr_orchestrator.schedule.inline import InlineDispatcher
from dr_orchestrator.schedule.log import scheduler_log
from dr_orchestrator.schedule.loop import Scheduler
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.unattended import Unattended

if TYPE_CHECKING:
    from types import FrameType

    from structlog.typing import FilteringBoundLogger

    from dr_orchestrator.cli.main import Context


@click.command(
    epilog="""\b
Examples:
  dro schedule run
  dro schedule run --once
"""
)
@click.option("--once", is_flag=True, help="run what is due now, tell, and end: for cron")
@click.option(
    "--slots",
    type=click.IntRange(1, 32),
    metavar="N",
    help="operations side by side; `slots` of the settings if left out",
)
@click.pass_obj
def command(context: Context, *, once: bool, slots: int | None) -> ExitCode:
    """Run what the plans put on a schedule, until stopped.

    Plans that change are taken over by themselves; one that is not valid changes nothing. SIGTERM
    starts nothing more, gives what runs 30 seconds to end, then ends it in order; the next start
    attempts it again. A second SIGTERM ends it at once. The log goes to stderr.

    Exit codes: 0 stopped as asked, however the operations ended: `dro runs` and `dro status` say
    that; 3 with --once, where something is wrong with a plan or with this machine.
    """
    log = scheduler_log(sys.stderr, context.clock)
    for run in _sweep(context, log):
        log.warning("closed a run that a crash left open", run=run)
    troubles = Troubles(context.clock, log)
    width = slots or context.settings.slots
    if once:
        return _run_once(context, log, troubles, width)
    unattended = Unattended(context.app)
    dispatcher = EmbeddedDispatcher(
        context.store().ledger, unattended.child_worker(log), slots=width, troubles=troubles
    )
    planning = unattended.planning(dispatcher, troubles, log)
    scheduler = Scheduler(
        planning,
        unattended.chores(planning),
        store=context.store(),
        dispatcher=dispatcher,
        clock=context.clock,
        troubles=troubles,
        log=log,
    )
    stop, hurry = threading.Event(), threading.Event()
    _stop_on_signals(stop, hurry)
    scheduler.run(stop, hurry)
    return ExitCode.OK


def _run_once(
    context: Context, log: FilteringBoundLogger, troubles: Troubles, slots: int
) -> ExitCode:
    unattended = Unattended(context.app)
    dispatcher = InlineDispatcher(context.store().ledger, unattended.child_worker(log), slots=slots)
    planning = unattended.planning(dispatcher, troubles, log)
    stop = threading.Event()
    _stop_on_signals(stop, stop)
    ending = threading.Thread(target=_end_on, args=(stop, dispatcher), daemon=True)
    ending.start()
    with troubles.guard("showing that we run"):
        context.store().ledger.beat(ProcessIdentity.ours())
    with troubles.guard("planning"):
        planning.tick()
    for chore in unattended.chores(planning):
        with troubles.guard(chore.name):
            chore.do()
    return ExitCode.PARTIAL if planning.problems() else ExitCode.OK


def _end_on(stop: threading.Event, dispatcher: InlineDispatcher) -> None:
    stop.wait()
    dispatcher.close(stop=True)


def _sweep(context: Context, log: FilteringBoundLogger) -> tuple[str, ...]:
    """Remove what killed runs left, and return which ones they were; a failure stops nothing."""
    try:
        swept = context.app.sweep()
    except DroError as error:
        log.error("sweeping up", why=error.message)  # noqa: TRY400 - a traceback tells nobody more
        return ()
    if swept.left is not None:
        log.error("sweeping up", why=swept.left.message)
    return tuple(run.id for run in swept.runs)


def _stop_on_signals(stop: threading.Event, hurry: threading.Event) -> None:
    """Make the first signal stop us in peace and the second one in a hurry."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
