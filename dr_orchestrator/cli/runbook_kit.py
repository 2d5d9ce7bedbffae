"""`dro runbook kit`: make the packet that a responder needs when everything of ours is gone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.wording import date_words
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.runbook.kit.look import look_at_kit
from dr_orchestrator.runbook.kit.standing import KitState

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan

_EXIT = {
    KitState.CURRENT: ExitCode.OK,
    KitState.STALE: ExitCode.UNPROVEN,
    KitState.DAMAGED: ExitCode.FAILED,
}
_MADE = {
    Outcome.DONE: ExitCode.OK,
    Outcome.PARTIAL: ExitCode.PARTIAL,
    Outcome.FAILED: ExitCode.FAILED,
}


@click.command(
    epilog="""\b
Examples:
  dro runbook kit riverside
  dro runbook kit riverside --out /media/usb
  dro runbook kit riverside --check /media/usb
"""
)
@click.argument("practice", required=False)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="put it into DIR/PRACTICE, and nowhere else; DIR must be there",
)
@click.option(
    "--check",
    metavar="PLACE",
    help="say whether the kit in this folder or s3://BUCKET/PREFIX is current; make none",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context, practice: str | None, out: Path | None, check: str | None, *, _json: bool
) -> ExitCode:
    """Make the recovery kit, and bring it to where `kit` in the plan says: folder, bucket, e-mail.

    A folder that needs nothing of ours: the runbooks for screen and paper, whom to call, the newest
    recovery points, where the keys are (never a key), restic's commands filled in, and a script for
    Python's standard library. Its START-HERE.html says the rest.

    Exit codes: 0 made and delivered, or current; 3 some place did not get it; 1 none did, or the
    kit that was checked is damaged; 4 that one is stale: the plan or a runbook changed since, or
    its time is over.
    """
    if out is not None and check is not None:
        raise UsageMistake("--check makes no kit", hint="leave --out away")
    loaded = context.one_plan(practice)
    if check is not None:
        return _check(context, loaded, check)
    context.sweep()
    if out is not None:
        _require_folder(out)
    made = context.app.make_kit(loaded, out=out)
    zone = loaded.plan.practice.timezone
    for place in made.places:
        context.say(f"kit: {place}")
    context.say(f"current until {date_words(made.expires, zone)}")
    for repository, why in made.unread.items():
        context.say(f"not looked into: {repository}: {why}")
    if not made.has_pdf:
        context.say("no kit.pdf: this machine has no WeasyPrint, or no Pango")
    if made.outcome is not Outcome.DONE:
        click.echo(f"error: {made.reason}", err=True)
    context.print_json_if_asked(
        {
            "practice": loaded.plan.practice.id,
            "outcome": made.outcome.value,
            "reason": made.reason,
            "places": made.places,
            "expires": made.expires,
            "unread": dict(made.unread),
            "has_pdf": made.has_pdf,
        }
    )
    return _MADE[made.outcome]


def _require_folder(out: Path) -> None:
    """Refuse to make it: of a stick that is not mounted it would lie on the disk that may burn."""
    if not out.is_dir():
        raise UsageMistake(
            f"there is no folder {out}: it is not made here",
            hint=f"is it of a disk that is not mounted? else: mkdir -p {shlex.quote(str(out))}",
        )


def _check(context: Context, loaded: LoadedPlan, place: str) -> ExitCode:
    found = look_at_kit(loaded, place, context.clock.now())
    context.say(f"{found.where}: {found.state.value}")
    for reason in found.reasons:
        context.say(f"  {reason}")
    if found.state is not KitState.CURRENT:
        context.say(f"hint: `dro runbook kit {loaded.plan.practice.id}` makes a new one")
    context.print_json_if_asked(
        {
            "practice": loaded.plan.practice.id,
            "where": found.where,
            "state": found.state.value,
            "reasons": found.reasons,
            "made": found.made,
            "expires": found.expires,
        }
    )
    return _EXIT[found.state]
