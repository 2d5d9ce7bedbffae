"""`dro handover`: give a practice to another machine, with all it takes to go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import confirm, person
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important
from dr_orchestrator.takeover.folder import ANOTHER_MAY_HAVE_IT

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.takeover.handover import HandedOut


@click.command(
    epilog="""\b
Examples:
  dro handover riverside --out /media/usb/riverside --to "Lakeview IT"
  dro handover riverside --out /root/riverside --to "Lakeview IT" --yes riverside
  dro handover riverside --withdraw
"""
)
@click.argument("practice", required=False)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="the folder that is made; it is confidential",
)
@click.option("--to", default="", metavar="TEXT", help="who takes it over, in words")
@click.option("--why", default="", metavar="TEXT", help="the reason, for the page and the record")
@click.option("--withdraw", is_flag=True, help="go on with it here after all: nobody took it over")
@click.option(
    "--although-altered",
    is_flag=True,
    help="even where the record is not as it was written; no machine takes that over",
)
@click.option("--by", metavar="NAME", help="who does this; your login name unless stated")
@click.option("--yes", metavar="PRACTICE", help="go on without asking: the practice's id, again")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    *,
    out: Path | None,
    to: str,
    why: str,
    withdraw: bool,
    although_altered: bool,
    by: str | None,
    yes: str | None,
    _json: bool,
) -> ExitCode:
    """Write all that another machine needs to go on with PRACTICE to a new folder, with a page for
    both sides to sign; from then on nothing is started for it here, so it asks first.

    In the folder are plan, runbooks, recovery kit, evidence and record: no password and no
    patient's data. Given once more, only the folder is made anew. `dro takeover` goes on from it.

    Exit codes: 0 done; 3 done, and the page says what is missing; 75 something runs for the
    practice just now; 1 the record is not as it was written; 2 the folder is there already, or it
    was not confirmed.
    """
    loaded = context.one_plan(practice)
    swept = context.sweep()
    if withdraw:
        return most_important((*swept, _withdraw(context, loaded, person(by), yes)))
    if out is None:
        raise UsageMistake("it is not said where to", hint="add --out DIR, a folder to be made")
    from dr_orchestrator.takeover.handover import HandoverRequest

    name = loaded.plan.practice.id
    if name not in context.store().handed_over():
        context.say(
            f"{name}: from then on nothing is started for it here, and nobody is told of it"
        )
        confirm(name, yes)
    request = HandoverRequest(
        loaded=loaded,
        out=out.absolute(),
        by=person(by),
        to=printable(to),
        why=printable(why),
    )
    handed = context.app.hand_over(request, although_altered=although_altered)
    _say(context, handed)
    return most_important((*swept, ExitCode.PARTIAL if handed.notes else ExitCode.OK))


def _withdraw(context: Context, loaded: LoadedPlan, by: str, yes: str | None) -> ExitCode:
    practice = loaded.plan.practice.id
    seen = context.app.gone_on_elsewhere(loaded.plan)
    for name, error in seen.items():
        if error is None:
            context.say(
                f"{name}: another machine went on with {practice} there: hand it over from that "
                "one instead, or both look after it"
            )
        else:
            click.echo(f"warning: {name} was not looked into: {error}", err=True)
    if None in seen.values():
        confirm(practice, yes)
    if not context.app.withdraw_handover(loaded, by=by):
        raise UsageMistake(f"{practice} was not handed over from here")
    context.say(f"{practice}: this machine looks after it again")
    context.say(ANOTHER_MAY_HAVE_IT)
    context.print_json_if_asked({"practice": practice, "withdrawn": True})
    return ExitCode.OK


def _say(context: Context, handed: HandedOut) -> None:
    giver = handed.giver
    before = "was handed over before; the folder is new" if handed.again else "handed over"
    context.say(f"{giver.practice}: {before}, to {printable(giver.to)}")
    context.say(f"  folder  {printable(str(handed.folder))}")
    context.say(f"  key     {giver.fingerprint}")
    context.say(f"  head    {giver.head} (entry {giver.number:,})")
    for note in handed.notes:
        context.say(f"  note    {printable(note)}")
    context.say("nothing is started for it here any more")
    context.say("print handover.pdf or handover.html, and have both sides sign it")
    context.say(f"on the other machine: dro takeover DIR --key {giver.fingerprint}")
    context.print_json_if_asked(
        {
            "practice": giver.practice,
            "folder": str(handed.folder),
            "to": giver.to,
            "at": giver.at,
            "again": handed.again,
            "key": giver.fingerprint,
            "chain": giver.chain,
            "number": giver.number,
            "head": giver.head,
            "notes": list(handed.notes),
        }
    )
