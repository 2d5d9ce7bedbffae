"""`dro runbook resume`: go on where somebody left, here or on another machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.runbook_standing import standing_of, to_go_on_with
from dr_orchestrator.cli.runbook_walk import by_option, export_option, plain_option, sit_down
from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.responder import Responder

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.runbook import RunbookRun


@click.command(
    epilog="""\b
Examples:
  dro runbook resume
  dro runbook resume 20261121-0214 --by Robin
  dro runbook resume /media/stick/incident.json
"""
)
@click.argument("run", metavar="[RUN|FILE]", required=False)
@by_option
@export_option
@plain_option
@click.pass_obj
def command(
    context: Context, run: str | None, *, by: str | None, export: Path | None, plain: bool
) -> ExitCode:
    """Go on with a runbook run: the only open one, RUN, or one whose state is in FILE.

    FILE is what `--export` keeps. What it says is data: its commands run on this machine only once
    you have read and confirmed them. With `--export` the same FILE may be kept up to date.

    Exit codes: as of `dro runbook start`; 2 there is no such run, or it is over.
    """
    found = _found(context, run)
    return sit_down(context, by=by, plain=plain, export=export).walk(found)


def _found(context: Context, run: str | None) -> RunbookRun:
    handed_over = run is not None and Path(run).is_file()
    taken = Responder(context.app).take_over(Path(run)) if run and handed_over else None
    store = context.store()
    waiting = to_go_on_with(store)
    if run is None:
        if len(waiting) != 1:
            raise UsageMistake(
                "which one? There are several" if waiting else "nothing is being followed",
                hint="\n      ".join(
                    f"dro runbook resume {each.run.id}  ({each.title})" for each in waiting
                )
                or "`dro incident PRACTICE` begins",
            )
        return waiting[0].run
    found = taken or store.followed.find(run)
    if found.mode is Mode.DRILL or found.id not in {each.run.id for each in waiting}:
        raise UsageMistake(
            f"run {found.id} is over: {standing_of(found, store).place}",
            hint=f"dro runbook timeline {found.id}",
        )
    return found
