"""What commands that look after repositories have in common: which ones, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Callable

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan, RepositorySpec

EXIT = {
    Outcome.DONE: ExitCode.OK,
    Outcome.UNPROVEN: ExitCode.UNPROVEN,
    Outcome.PARTIAL: ExitCode.PARTIAL,
    Outcome.FAILED: ExitCode.FAILED,
}
Done = tuple[dict[str, object], ExitCode]
"""What other programs read of one repository, and what it does to the exit code."""


def each_repository(
    context: Context,
    plan: Plan,
    wanted: str | None,
    key: str,
    do: Callable[[str], Done],
    *,
    among: Callable[[RepositorySpec], bool] = lambda _spec: True,
) -> ExitCode:
    """Do something for the repository that was named, or for each `among` those that a system is
    saved or copied to; what fails in one keeps nothing from being done in the next.
    """
    codes, done, failures = list(context.sweep()), [], []
    for name in repositories_of(plan, wanted):
        if wanted is None and not among(plan.repositories[name]):
            continue
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
    """Return the repositories that some system is saved or copied to, or the one that was named.

    Raises:
        UsageMistake: the plan has no such repository.
    """
    if wanted is None:
        return plan.used_repositories
    if wanted not in plan.repositories:
        raise UsageMistake(
            f"the plan has no repository {wanted}", hint=f"it has: {', '.join(plan.repositories)}"
        )
    return (wanted,)
