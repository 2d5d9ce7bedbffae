"""`dro repository`: read back what a repository holds, and free space in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan

EXIT = {
    Outcome.DONE: ExitCode.OK,
    Outcome.UNPROVEN: ExitCode.UNPROVEN,
    Outcome.FAILED: ExitCode.FAILED,
}
Done = tuple[dict[str, object], ExitCode]
"""What other programs read of one repository, and what it does to the exit code."""


@click.group()
def command() -> None:
    """Look after the repositories of a practice."""


@command.command(
    epilog="""\b
Examples:
  dro repository check riverside
  dro repository check riverside --repository onsite --part 7
"""
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

    How many shares there are follows from `read_all_every` and the schedule of the checks.

    Exit codes: 0 sound; 1 damage, or it could not be read; 75 a repository is busy.
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
        }
        return found, EXIT[result.outcome]

    return each_repository(context, plan, repository, "checks", check_one)


@command.command(
    epilog="""\b
Examples:
  dro repository prune riverside --repository onsite
"""
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


def each_repository(
    context: Context, plan: Plan, wanted: str | None, key: str, do: Callable[[str], Done]
) -> ExitCode:
    """Do something for the repository that was named, or for each that a system is backed up to;
    what fails in one keeps nothing from being done in the next.
    """
    codes, done, failures = list(context.sweep()), [], []
    for name in repositories_of(plan, wanted):
        try:
            found, code = do(name)
        except DroError as error:
            code = error.exit_code
            failures.append({"repository": name, "reason": error.message})
            click.echo(f"error: {name}: {error}", err=True)
        else:
            done.append(found)
        codes.append(code)
    context.print_json_if_asked({key: done, "failures": failures})
    return most_important(codes)


def repositories_of(plan: Plan, wanted: str | None) -> tuple[str, ...]:
    """Return the repositories that some system is backed up to, or the one that was named.

    Raises:
        UsageMistake: the plan has no such repository.
    """
    if wanted is None:
        return tuple(dict.fromkeys(_used(plan)))
    if wanted not in plan.repositories:
        raise UsageMistake(
            f"the plan has no repository {wanted}", hint=f"it has: {', '.join(plan.repositories)}"
        )
    return (wanted,)


def _used(plan: Plan) -> Iterator[str]:
    for system in plan.protected.values():
        yield from system.backup.to
