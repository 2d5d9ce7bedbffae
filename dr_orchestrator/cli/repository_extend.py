"""`dro repository extend`: renew the object locks that would run out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import EXIT, Done, each_repository
from dr_orchestrator.core.wording import count_words, instant_words
from dr_orchestrator.errors import ExitCode, UsageMistake

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context


@click.command(
    short_help="renew object locks that would run out",
    epilog="""\b
Examples:
  dro repository extend riverside
  dro repository extend riverside --repository offsite --json
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="only this repository")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def extend(
    context: Context, practice: str | None, repository: str | None, *, _json: bool
) -> ExitCode:
    """Renew the locks that would run out in each repository of PRACTICE that has an object_lock.

    Works with the credentials of its maintenance, and is done after each prune too. Locks are never
    shortened or made weaker.

    Exit codes: 0 done; 3 some could not be renewed; 1 none could, or what the repository needs was
    deleted or overwritten; 75 it is busy.
    """
    plan = context.one_plan(practice).plan
    if not any(each.object_lock for each in plan.repositories.values()):
        raise UsageMistake(
            "no repository of the plan has a lock", hint="`object_lock:` says for how long"
        )

    def extend_one(name: str) -> Done:
        result = context.app.extend_locks(plan, name)
        locks = result.locks
        if locks is not None:
            until = (
                f"all locked until {instant_words(locks.until, plan.practice.timezone)}"
                if locks.until
                else "not all of them are locked"
            )
            context.say(
                f"{name}: {count_words(locks.objects, 'object')}, {locks.extended:,} renewed, "
                f"{until}"
            )
        if result.reason:
            click.echo(f"error: {name}: {result.reason}", err=True)
        elif locks is None:
            context.say(f"{name}: nothing was ever saved there")
        found: dict[str, object] = {
            "repository": name,
            "objects": locks.objects if locks else 0,
            "extended": locks.extended if locks else 0,
            "until": locks.until if locks else None,
            "outcome": result.outcome.value,
            "reason": result.reason,
        }
        return found, EXIT[result.outcome]

    return each_repository(
        context,
        plan,
        repository,
        "extended",
        extend_one,
        among=lambda spec: spec.object_lock is not None,
    )
