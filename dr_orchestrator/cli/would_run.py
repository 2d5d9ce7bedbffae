"""What plan and runbooks of another machine would have run here, and read: shown, and asked about.

Until a person has read it, none of it runs or is read.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.wording import printable
from dr_orchestrator.runbook.shelf import saved_shelf
from dr_orchestrator.takeover.commands import commands_in
from dr_orchestrator.takeover.references import reads_in

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Plan


def would_run(plan: Plan, runbooks: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return every command that plan and runbooks have, for a person to read."""
    shelf = saved_shelf(runbooks, plan, Path("runbooks"))
    of_runbooks = (
        f"{each.origin}, step {step.id}: {shlex.join(step.command)}"
        for each in shelf.runbooks.values()
        for step in each.runbook.steps
        if step.command
    )
    return tuple(map(printable, (*commands_in(plan), *of_runbooks)))


def would_read(plan: Plan, opened: str = "") -> tuple[str, ...]:
    """Return every secret that the plan has read here, and for which address, but for what leads
    to the repository `opened`.
    """
    return tuple(map(printable, reads_in(plan, opened)))


def read_by_a_person(commands: Collection[str], reads: Collection[str]) -> bool:
    """Show commands and what is read, and return whether somebody wants that; nobody is asked where
    there is no terminal.
    """
    if commands:
        click.echo("plan and runbooks would have these run on this machine:", err=True)
    for each in commands:
        click.echo(f"  {each}", err=True)
    if reads:
        click.echo("the plan would have these read on this machine, to log in with:", err=True)
    for each in reads:
        click.echo(f"  {each}", err=True)
    if not sys.stdin.isatty():
        return False
    typed = click.prompt(
        "type yes once you have read them, or nothing: then none runs or is read",
        default="",
        show_default=False,
        err=True,
    )
    return str(typed).strip() == "yes"
