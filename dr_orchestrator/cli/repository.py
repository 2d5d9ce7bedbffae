"""`dro repository`: read back what a repository holds, and free space in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli import (
    repository_copy,
    repository_extend,
    repository_immutability,
    repository_prepare,
    repository_rekey,
    repository_undelete,
)
from dr_orchestrator.cli.each_repository import EXIT, Done, each_repository
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context


@click.group()
def command() -> None:
    """Look after the repositories of a practice."""


command.add_command(repository_copy.copy)
command.add_command(repository_extend.extend)
command.add_command(repository_immutability.immutability)
command.add_command(repository_prepare.prepare)
command.add_command(repository_rekey.rekey)
command.add_command(repository_undelete.undelete)


@command.command(
    short_help="read back a share of what is there",
    epilog="""\b
Examples:
  dro repository check riverside
  dro repository check riverside --repository onsite --part 7
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="only this repository")
@click.option("--part", type=click.IntRange(1, 256), metavar="N", help="this share of the data")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def check(
    context: Context, practice: str | None, repository: str | None, part: int | None, *, _json: bool
) -> ExitCode:
    """Read back the share of each repository of PRACTICE that was not read for longest.

    How many shares there are follows from `read_all_every` and the schedule of the checks. What the
    repository lists is held against what is on record here, too.

    Exit codes: 0 sound; 4 sound, but something is suspicious, so nothing is forgotten there; 1
    damage, or it could not be read; 75 a repository is busy.
    """
    plan = context.one_plan(practice).plan
    if part is not None and repository is None:
        raise UsageMistake("a share is one of one repository", hint="name it: --repository ID")

    def check_one(name: str) -> Done:
        result = context.app.check(plan, name, part=part)
        if not result.part:
            context.say(f"{name}: nothing was ever saved there")
        elif result.sound:
            context.say(f"{name}: share {result.part} of {result.parts} is sound")
        else:
            click.echo(
                f"error: {name}: share {result.part} of {result.parts}: {result.reason}\n"
                f"hint: {result.next}",
                err=True,
            )
        found: dict[str, object] = {
            "repository": name,
            "part": result.part or None,
            "parts": result.parts,
            "sound": result.sound,
            "reason": result.reason,
            "next": result.next,
            "suspicious": list(result.suspicious),
        }
        for each in result.suspicious:
            context.say(f"{name}: suspicious: {each}")
        seen = ExitCode.UNPROVEN if result.suspicious else ExitCode.OK
        return found, most_important((EXIT[result.outcome], seen))

    return each_repository(context, plan, repository, "checks", check_one)


@command.command(
    short_help="free the space of what was forgotten",
    epilog="""\b
Examples:
  dro repository prune riverside --repository onsite
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="only this repository")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def prune(
    context: Context, practice: str | None, repository: str | None, *, _json: bool
) -> ExitCode:
    """Free the space of what was forgotten in each repository of PRACTICE.

    Nobody else can write there meanwhile. While retention is frozen nothing is pruned.

    Exit codes: 0 done; 4 retention is frozen; 1 it failed; 75 a repository is busy.
    """
    plan = context.one_plan(practice).plan

    def prune_one(name: str) -> Done:
        result = context.app.prune(plan, name)
        context.say(f"{name}: {result.reason or 'pruned'}")
        found: dict[str, object] = {
            "repository": name,
            "outcome": result.outcome.value,
            "reason": result.reason,
        }
        return found, EXIT[result.outcome]

    return each_repository(context, plan, repository, "pruned", prune_one)
