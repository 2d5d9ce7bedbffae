"""`dro restore --into`: a database into a new one on a server, once a person confirmed it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.chosen_point import asked_why
from dr_orchestrator.cli.options import person, typed_practice
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.target import LiveTarget, confirm_live_target
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import printable, result_words
from dr_orchestrator.errors import ExitCode, SecretUnavailable, UsageMistake
from dr_orchestrator.restore.into import RestoreIntoDatabase
from dr_orchestrator.sandbox.live import LiveAddress

if TYPE_CHECKING:
    from dr_orchestrator.cli.chosen_point import ChosenPoint
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.restore.into import RestoredDatabase


def restore_into(
    context: Context,
    plan: Plan,
    chosen: ChosenPoint,
    address: LiveAddress,
    *,
    assets: tuple[str, ...],
    password_env: str | None,
    yes: str | None,
    why: str | None,
) -> ExitCode:
    """Restore one database; show what came of it.

    Raises:
        UsageMistake: it was not confirmed, or several assets are named.
        DroError: it did not come back.
    """
    if len(assets) > 1:
        raise UsageMistake("one database is restored into another at a time")
    asset = context.app.database_to_load(plan, chosen.point, assets[0] if assets else "", address)
    target = _confirmed(plan, address, yes)
    request = RestoreIntoDatabase(
        plan=plan,
        point=chosen.point,
        repository=chosen.repository,
        asset=asset,
        address=address,
        password=_password(context, address, password_env),
        target=target,
        by=person(None),
        why=printable(asked_why(context) if why is None else why),
    )
    with ProgressLine(f"{chosen.point.system}: restoring") as line:
        restored = context.app.restore_into(request, line.update)
    _show(context, restored, address)
    context.print_json_if_asked(_json_of(restored, chosen, address))
    failed = any(each.result is Result.FAILED for each in restored.verifications)
    return ExitCode.PARTIAL if failed else ExitCode.OK


def _confirmed(plan: Plan, address: LiveAddress, typed: str | None) -> LiveTarget:
    """Let a person type the practice's id: its patients' data is about to leave the backups."""
    practice = plan.practice.id
    if typed is None:
        click.echo(f"this makes the {address.words} and loads data of {practice} into it", err=True)
        typed = typed_practice(practice)
    return confirm_live_target(address.database, practice=practice, typed=typed)


def _password(context: Context, address: LiveAddress, variable: str | None) -> Secret | None:
    if variable is not None:
        value = context.settings.environment_value(variable)
        if not value:
            raise SecretUnavailable(f"the environment has no variable {variable}, or an empty one")
        return Secret(value)
    if context.json or not sys.stdin.isatty():
        return None
    typed = click.prompt(
        f"password of {printable(address.user)} (it is not shown; Enter: none)",
        hide_input=True,
        default="",
        show_default=False,
        err=True,
    )
    return Secret(typed) if typed else None


def _show(context: Context, restored: RestoredDatabase, address: LiveAddress) -> None:
    context.say(f"{restored.asset}: {address.words}")
    for each in restored.verifications:
        reason = f": {each.reason}" if each.reason else ""
        context.say(f"  {each.title}: {result_words(each.result)}{printable(reason)}")
    for condition in restored.conditions:
        context.say(f"  {printable(condition)}")
    context.say(f"  it belongs to {printable(address.user)}: give others their rights on it")


def _json_of(
    restored: RestoredDatabase, chosen: ChosenPoint, address: LiveAddress
) -> dict[str, object]:
    return {
        "point": chosen.point.id,
        "system": chosen.point.system,
        "repository": chosen.repository,
        "as_of": chosen.point.as_of,
        "restored": {restored.asset: {"database": address.database, "host": address.host}},
        "verifications": [
            {"title": each.title, "result": each.result.value, "reason": each.reason}
            for each in restored.verifications
        ],
        "conditions": list(restored.conditions),
        "failures": [],
    }
