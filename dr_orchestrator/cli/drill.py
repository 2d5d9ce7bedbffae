"""`dro drill`: all systems of a practice back in sandboxes, in recovery order, under one clock."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.backup import systems_of
from dr_orchestrator.cli.drill_cold import start_cold
from dr_orchestrator.cli.drill_words import clock_words, drill_json, drill_lines
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.output import print_lines
from dr_orchestrator.cli.test import EXIT
from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ExitCode, most_important

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan


@click.command(
    epilog="""\b
Examples:
  dro drill riverside
  dro drill riverside --system emr --system shares --repository offsite
  dro drill riverside --cold --system emr
"""
)
@click.argument("practice", required=False)
@click.option("--system", "systems", metavar="ID", multiple=True, help="only these; may repeat")
@click.option("--repository", metavar="ID", default="", help="out of this repository")
@click.option("--cold", is_flag=True, help="one system, with nothing but the kit and the key")
@click.option("--by", metavar="NAME", help="who drills; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    systems: tuple[str, ...],
    repository: str,
    by: str | None,
    *,
    cold: bool,
    _json: bool,
) -> ExitCode:
    """Bring all systems of PRACTICE back in sandboxes, as if all were lost at this moment.

    Each comes back by the runbook that the plan names for it, as soon as what it depends on has;
    several side by side. Nothing live is touched, nobody is told and nobody is asked: what people
    would do is simulated, and its time is shown apart.

    With --cold it is one system, the first to be recovered unless one is named, and all there is to
    start from is the kit and the key of the repository: no plan, no settings, none of this program.

    Exit codes: 0 passed; 1 failed: a system does not come back; 4 could not be verified.
    """
    loaded = context.one_plan(practice)
    for system in systems:
        systems_of(loaded, system)
    swept = context.sweep()
    context.app.note_promise(loaded)
    if cold:
        return most_important(
            (*swept, EXIT[start_cold(context, loaded, systems, repository, person(by))])
        )
    return most_important((*swept, _drill(context, loaded, systems, repository, person(by))))


def _drill(
    context: Context, loaded: LoadedPlan, systems: tuple[str, ...], repository: str, by: str
) -> ExitCode:
    from dr_orchestrator.responder import Responder

    watch, speaking = Stopwatch(context.clock), threading.Lock()

    def on_moment(system: str, text: str) -> None:
        with speaking:
            since = clock_words(timedelta(seconds=watch.elapsed()))
            context.say(f"{since}  {system}: {printable(text)}")

    drill = Responder(context.app).drill(
        loaded, by=by, systems=systems, repository=repository, on_moment=on_moment
    )
    context.say("")
    print_lines(drill_lines(drill, loaded.plan), err=context.json)
    context.print_json_if_asked({"drill": drill_json(drill, loaded.plan)})
    return EXIT[drill.result]
