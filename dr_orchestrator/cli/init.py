"""`dro init`: write a first plan and a key, with a word wherever a person must decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.errors import ExitCode

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context


@click.command(
    epilog="""\b
Examples:
  dro init riverside
  dro init riverside --out riverside.yaml
"""
)
@click.argument("practice", metavar="ID")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the plan there; into the plans folder unless stated",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, practice: str, out: Path | None, *, _json: bool) -> ExitCode:
    """Write the least plan of the practice ID, and a random key for its repository.

    Nothing that exists is ever written over. Exit codes: 0 done; 2 something is in the way.
    """
    from dr_orchestrator.plan.first import write_first_plan

    first = write_first_plan(practice, out or context.settings.plans / f"{practice}.yaml")
    context.say(f"wrote {first.plan}: edit the lines marked DECIDE")
    context.say(f"wrote {first.key}: without this key nobody can read the backups, you neither")
    context.say("print it or put a copy into a vault now, away from this machine")
    context.say(f"then: dro plan validate {first.plan}")
    context.print_json_if_asked({"plan": str(first.plan), "key": str(first.key)})
    return ExitCode.OK
