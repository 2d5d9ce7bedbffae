"""`dro runbook start`: follow a runbook, as a rehearsal or because it happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.runbook_walk import (
    Opening,
    opening_options,
    outage_time,
    sit_down,
)
from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.responder import Responder
from dr_orchestrator.runbook.shelf import shelf_of

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.runbook import RunbookRun


@click.command(
    epilog="""\b
Examples:
  dro runbook start emr-server-lost riverside --system emr --rehearse
  dro runbook start emr-server-lost riverside --system emr --incident --to /srv/restored
  dro runbook start downtime riverside --incident --beside 20261121-0214 --lane front_desk
"""
)
@click.argument("name")
@click.argument("practice")
@click.option("--rehearse", is_flag=True, help="nothing live is touched: restores go to sandboxes")
@click.option("--incident", is_flag=True, help="it has happened")
@click.option("--system", metavar="ID", default="", help="which system it is about")
@click.option("--lane", metavar="ID", default="", help="only the steps of this lane")
@click.option("--beside", metavar="RUN", help="a run of the same incident; its beginning will do")
@click.option(
    "--from-repository",
    "repository",
    metavar="ID",
    help="the runbook that the newest point there holds; its commands run only once confirmed",
)
@opening_options
@click.pass_obj
def command(
    context: Context,
    name: str,
    practice: str,
    *,
    rehearse: bool,
    incident: bool,
    system: str,
    lane: str,
    beside: str | None,
    repository: str | None,
    outage: str | None,
    folder: Path | None,
    by: str | None,
    export: Path | None,
    plain: bool,
) -> ExitCode:
    """Follow the runbook NAME for PRACTICE, one step at a time.

    Each step is written down before it is shown: whatever happens to this machine, `dro runbook
    resume` goes on where it was.

    Exit codes: 0 its last step was reached; 130 you left, and can go on; 1 you ended it before; 75
    somebody else has gone on with it.
    """
    if rehearse is incident:
        raise UsageMistake(
            "is this a rehearsal or an incident?", hint="say --rehearse or --incident"
        )
    mode = Mode.INCIDENT if incident else Mode.REHEARSAL
    sitting = sit_down(context, by=by, plain=plain, export=export, folder=folder)
    loaded = sitting.plan(practice, mode)
    first = _beside(context, beside, loaded.plan.practice.id, mode)
    now, zone = context.clock.now(), loaded.plan.practice.timezone
    shelf = (
        Responder(context.app).runbooks_in(loaded, repository) if repository else shelf_of(loaded)
    )
    run = sitting.open(
        Opening(
            loaded=loaded,
            runbook=sitting.runbook(shelf, name, mode),
            mode=mode,
            outage_at=outage_time(outage, now, zone) if outage or not first else first.outage_at,
            system=system,
            lane=lane,
            incident=first.incident if first else "",
        )
    )
    return sitting.walk(run)


def _beside(context: Context, run: str | None, practice: str, mode: Mode) -> RunbookRun | None:
    """Return the run that this one belongs to.

    Raises:
        UsageMistake: it is another practice's, or one is rehearsed and the other is not.
    """
    if run is None:
        return None
    found = context.store().followed.find(run)
    if (found.practice, found.mode) != (practice, mode):
        raise UsageMistake(
            f"run {found.id} is no {mode} of {practice}: it is a {found.mode} of {found.practice}"
        )
    return found
