"""`dro open_watch`: removes what a killed `dro open` left. Started by it; nobody types it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.restore.watch import watch

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context


@click.command(hidden=True)
@click.option("--opener", type=int, required=True, metavar="PID")
@click.option("--started", required=True, metavar="WHEN", help="the opener, as the kernel knows it")
@click.option("--seconds", type=float, required=True, help="how long it may be open")
@click.pass_obj
def command(context: Context, opener: int, started: str, seconds: float) -> None:
    """Wait for the end of an opener, which has the other end of stdin, and clean up after it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends by itself, whoever else is stopped
    sandboxes = context.app.sandboxes  # made now: the settings may change before they are needed
    watch(
        sys.stdin.fileno(),
        ProcessIdentity(os.uname().nodename, opener, started),
        clock=context.clock,
        seconds=seconds,
        sweep=sandboxes.sweep,
    )
    context.app.sweep()  # closes its run, too
