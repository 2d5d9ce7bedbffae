"""`dro runbook resume`: go on where somebody left, here or on another machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.runbook_standing import standing_of, to_go_on_with
from dr_orchestrator.cli.runbook_walk import following_options, sit_down
from dr_orchestrator.cli.runbook_words import LINE, wrapped_words
from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.responder import Responder

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.cli.runbook_standing import Standing
    from dr_orchestrator.core.runbook import RunbookRun


@click.command(
    epilog="""\b
Examples:
  dro runbook resume
  dro runbook resume 20261121-0214 --by Robin
  dro runbook resume /media/stick/incident.json
  dro runbook resume /media/stick/incident.json --as-new
"""
)
@click.argument("run", metavar="[RUN|FILE]", required=False)
@click.option(
    "--as-new",
    is_flag=True,
    help="where FILE and this machine have parted: follow FILE, as a run of its own",
)
@following_options
@click.pass_obj
def command(
    context: Context,
    run: str | None,
    *,
    as_new: bool,
    by: str | None,
    export: Path | None,
    plain: bool,
) -> ExitCode:
    """Go on with a runbook run: the only open one, RUN, or one whose state is in FILE.

    FILE is what `--export` keeps. What it says is data: its commands run on this machine only once
    you have read and confirmed them. With `--export` the same FILE may be kept up to date. Where
    somebody went on here and somebody else where FILE comes from, nothing is chosen for you.

    Exit codes: as of `dro runbook start`; 2 there is no such run, or it is over.
    """
    found = _found(context, run, as_new=as_new)
    return sit_down(context, by=by, plain=plain, export=export).walk(found)


def _hint(standing: Standing) -> tuple[str, ...]:
    said = wrapped_words(f"({standing.title})", width=LINE - 6, indent="  ", hanging=" ")
    return f"dro runbook resume {standing.run.id}", *said


def _found(context: Context, run: str | None, *, as_new: bool) -> RunbookRun:
    taken = None
    if run is not None and Path(run).is_file():
        taken = Responder(context.app).take_over(Path(run), as_new=as_new)
    elif run is not None and ("/" in run or run.endswith(".json")):
        raise UsageMistake(f"there is no such file: {run}", hint="is the stick mounted?")
    elif as_new:
        raise UsageMistake("--as-new is about a FILE", hint="name what `--export` wrote")
    store = context.store()
    waiting = to_go_on_with(store)
    if run is None:
        if len(waiting) != 1:
            raise UsageMistake(
                "which one? There are several" if waiting else "nothing is being followed",
                hint="\n      ".join(line for each in waiting for line in _hint(each))
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
