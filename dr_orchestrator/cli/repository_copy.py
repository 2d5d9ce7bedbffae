"""`dro repository copy`: bring recovery points to the repositories that the plan copies to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.backup import systems_of
from dr_orchestrator.cli.copies import Copies, wanted_copies
from dr_orchestrator.errors import UsageMistake

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.errors import ExitCode


@click.command(
    short_help="copy recovery points to where the plan wants them too",
    epilog="""\b
Examples:
  dro repository copy riverside
  dro repository copy riverside --system emr --repository offsite
""",
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="only this system")
@click.option("--repository", metavar="ID", help="only to this repository")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def copy(
    context: Context,
    practice: str | None,
    system: str | None,
    repository: str | None,
    *,
    _json: bool,
) -> ExitCode:
    """Copy the recovery points of PRACTICE to where the plan wants them too (`copy_to`).

    Only what retention would keep there, the newest first. What was cut short is ended.

    Exit codes: 0 all is there; 3 some could not be copied; 1 none could; 75 a repository is busy.
    """
    loaded = context.one_plan(practice)
    wanted = wanted_copies(loaded.plan, systems_of(loaded, system), repository)
    if not wanted:
        raise UsageMistake(
            "the plan copies nothing there" if repository else "the plan copies nothing",
            hint="name a repository in `backup: {copy_to: [..]}`",
        )
    done = Copies(codes=list(context.sweep()))
    for one, to in wanted:
        done.make(context, loaded.plan, one, to)
    context.print_json_if_asked({"copies": done.made, "failures": done.failures})
    return done.exit_code
