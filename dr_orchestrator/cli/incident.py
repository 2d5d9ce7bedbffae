"""`dro incident`: the front door when something has happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.runbook_standing import to_go_on_with
from dr_orchestrator.cli.runbook_walk import (
    Opening,
    opening_options,
    outage_time,
    outage_words,
    sit_down,
)
from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ExitCode, RunbookInvalid, UsageMistake
from dr_orchestrator.runbook.shelf import TRIAGE, shelf_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.cli.runbook_walk import Sitting
    from dr_orchestrator.core.runbook import RunbookRun
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.shelf import Shelf


@click.command(
    epilog="""\b
Examples:
  dro incident riverside
  dro incident riverside --by Robin --outage 02:14 --to /srv/restored --export /media/stick/state
  dro incident riverside --rehearse
"""
)
@click.argument("practice")
@click.option("--rehearse", is_flag=True, help="a rehearsal: nothing live is touched")
@opening_options
@click.pass_obj
def command(
    context: Context,
    practice: str,
    *,
    rehearse: bool,
    outage: str | None,
    folder: Path | None,
    by: str | None,
    export: Path | None,
    plain: bool,
) -> ExitCode:
    """Something has happened at PRACTICE: find out what it is, and follow what helps.

    One that is open already can be gone on with. What others do meanwhile is opened beside it: the
    commands are printed first.

    Exit codes: 0 the last step was reached; 130 you left, and can go on; 1 you ended it before; 75
    somebody else has gone on with it; 2 nobody is there to answer.
    """
    mode = Mode.REHEARSAL if rehearse else Mode.INCIDENT
    sitting = sit_down(context, by=by, plain=plain, export=export, folder=folder)
    loaded = sitting.plan(practice, mode)
    zone, now = loaded.plan.practice.timezone, context.clock.now()
    stated = outage_time(outage, now, zone) if outage is not None else None
    if by is None:
        sitting.by = person(sitting.ask("Your name", sitting.by))
    going_on = _open_already(context, sitting, loaded.plan.practice.id, mode)
    if going_on is not None:
        return sitting.walk(going_on)
    shelf = shelf_of(loaded)
    triage = sitting.runbook(shelf, TRIAGE, mode)
    if stated is not None:
        click.echo(outage_words(stated, now, zone))
    run = sitting.open(
        Opening(
            loaded=loaded,
            runbook=triage,
            mode=mode,
            outage_at=stated or _outage(context, sitting, loaded),
        )
    )
    for line in _beside(shelf, triage, run):
        click.echo(line)
    if not sitting.plain:
        sitting.ask("Enter: begin")
    return sitting.walk(run)


def _open_already(
    context: Context, sitting: Sitting, practice: str, mode: Mode
) -> RunbookRun | None:
    """Return the run to go on with; `None` where there is none, or another incident is meant."""
    waiting = to_go_on_with(context.store(), practice, mode)
    if not waiting:
        return None
    click.echo(f"open at {practice}:")
    choices = [
        (
            "c" if len(waiting) == 1 else str(at),
            f"go on with {each.title}, {each.place}, {printable(each.by)} on {each.host}",
        )
        for at, each in enumerate(waiting, 1)
    ]
    key = sitting.choose("Which", [*choices, ("n", f"a new {mode}")])
    if key == "n":
        return None
    return waiting[0 if key == "c" else int(key) - 1].run


def _outage(context: Context, sitting: Sitting, loaded: LoadedPlan) -> datetime:
    """Return when it began, as asked until it can be read, and is said to be right: it can be
    changed no more.
    """
    practice = loaded.plan.practice
    zone, name = practice.timezone, printable(practice.name)
    while True:
        now = context.clock.now()
        click.echo(f"By the clock of {name} it is {now.astimezone(zone):%H:%M} now.")
        typed = sitting.ask("When did the outage begin, as 02:14 or 2026-11-21 02:14", "now")
        try:
            at = outage_time(typed, now, zone)
        except UsageMistake as error:
            click.echo(f"{error.message}: {error.hint}")
            continue
        click.echo(outage_words(at, now, zone))
        if at == now or _is_right(sitting, is_today=_is_same_day(at, now, zone)):
            return at


def _is_same_day(one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    return one.astimezone(zone).date() == other.astimezone(zone).date()


def _is_right(sitting: Sitting, *, is_today: bool) -> bool:
    """Ask; a day that nobody typed was guessed, and so needs an answer."""
    while True:
        text = "Is that right? y, or n to type it again"
        answer = sitting.ask(text, "y" if is_today else "").casefold()
        if answer in {"y", "n"}:
            return answer == "y"


def _beside(shelf: Shelf, triage: LoadedRunbook, run: RunbookRun) -> Iterator[str]:
    """Yield the commands by which others begin what is done beside it."""
    mode = "--incident" if run.mode is Mode.INCIDENT else "--rehearse"
    for name in triage.runbook.opens:
        try:
            loaded, _ = shelf.for_incident(name)
        except (UsageMistake, RunbookInvalid):
            continue
        yield f"Beside it, others follow: {printable(loaded.runbook.title)}"
        start = f"  dro runbook start {name} {run.practice} {mode}"
        lanes = loaded.runbook.lanes if loaded.runbook.side_by_side else {}
        for lane, spec in lanes.items():
            yield f"{printable(spec.title)}:"
            yield f"{start} --lane {lane} \\"
            yield f"    --beside {run.id}"
        if not lanes:
            yield f"{start} --beside {run.id}"
