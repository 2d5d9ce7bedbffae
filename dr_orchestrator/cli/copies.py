"""Copying as commands do it: which systems go where, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import EXIT
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import DroError, ExitCode, most_important

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.backup.copy import CopyResult
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan


def wanted_copies(
    plan: Plan, systems: Iterable[str], repository: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Return (system, repository) of what the plan copies, to `repository` alone where given."""
    return tuple(
        (system, to)
        for system in systems
        for to in plan.protected[system].backup.copy_to
        if repository in {None, to}
    )


@dataclass
class Copies:
    """What was copied by one command, as people and programs read it."""

    codes: list[ExitCode] = field(default_factory=list)
    made: list[dict[str, object]] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)

    def make(
        self, context: Context, plan: Plan, system: str, to: str, *, everything: bool = False
    ) -> None:
        """Copy one system to one repository, and say what came of it: `everything`, or what
        retention would keep there.
        """
        copy = context.app.copy_all if everything else context.app.copy

        def say(point: str, done: int, of: int) -> None:
            click.echo(f"{system}: copying point {point} to {to} ({done + 1} of {of})", err=True)

        try:
            result = copy(plan, system, to, on_point=say)
        except DroError as error:
            self.codes.append(error.exit_code)
            self._fail(system, to, error.message, error.hint)
            return
        self.codes.append(EXIT[result.outcome])
        self.made.append(_copy_json(system, to, result))
        context.say(f"{system}: {count_words(len(result.copied), 'point')} copied to {to}")
        for point, why in result.left:
            click.echo(f"{system}: point {point} is not copied to {to}: {why}", err=True)
        if result.reason:
            self._fail(system, to, result.reason, "")

    def _fail(self, system: str, to: str, reason: str, hint: str) -> None:
        self.failures.append({"system": system, "asset": None, "repository": to, "reason": reason})
        click.echo(f"error: {system} to {to}: {reason}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)

    @property
    def exit_code(self) -> ExitCode:
        """How the command ended: what failed is only some of it where anything was copied."""
        code = most_important(self.codes)
        something_done = any(each["copied"] for each in self.made)
        return ExitCode.PARTIAL if code is ExitCode.FAILED and something_done else code


def _copy_json(system: str, to: str, result: CopyResult) -> dict[str, object]:
    return {
        "system": system,
        "repository": to,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "copied": list(result.copied),
        "left": [{"point": point, "reason": why} for point, why in result.left],
    }
