"""`dro points`: list recovery points, or read them back from a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.backup import point_json, systems_of
from dr_orchestrator.core.wording import instant_words, printable, size_words
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.record import HoldPlaced
    from dr_orchestrator.plan.load import LoadedPlan

_REBUILD = "rebuild"


@click.command(
    epilog="""\b
Examples:
  dro points riverside --system emr
  dro points rebuild riverside --repository onsite
"""
)
@click.argument("words", nargs=-1, metavar="[rebuild] [PRACTICE]")
@click.option("--system", metavar="ID", help="only this system")
@click.option("--repository", metavar="ID", help="only this repository")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    words: tuple[str, ...],
    system: str | None,
    repository: str | None,
    *,
    _json: bool,
) -> ExitCode:
    """List the recovery points of PRACTICE that are known here.

    `dro points rebuild PRACTICE --repository ID` reads a repository and records every recovery
    point it holds: on a new machine, or after the state folder was lost. It removes nothing.

    Exit codes: 0 done; 3 some manifests in the repository cannot be used; 1 it cannot be read.
    """
    if words[:1] == (_REBUILD,):
        return _rebuild(context, context.one_plan(_only(words[1:])), repository)
    loaded = context.one_plan(_only(words))
    wanted = systems_of(loaded, system)
    points = [
        point
        for point in context.store().points(loaded.plan.practice.id, repository=repository)
        if point.system in wanted
    ]
    holds = context.store().practice_record(loaded.plan.practice.id).holds
    _show(context, loaded, points, holds)
    context.print_json_if_asked(
        {"points": [point_json(point, holds.get(point.id)) for point in points]}
    )
    return ExitCode.OK


def _only(words: tuple[str, ...]) -> str | None:
    if len(words) > 1:
        raise UsageMistake(f"one practice is expected, not {len(words)}")
    return words[0] if words else None


def _rebuild(context: Context, loaded: LoadedPlan, repository: str | None) -> ExitCode:
    plan = loaded.plan
    if repository is None or repository not in plan.repositories:
        raise UsageMistake(
            "points are rebuilt from one repository",
            hint=f"--repository is one of: {', '.join(plan.repositories)}",
        )
    swept = context.sweep()
    result = context.app.rebuild(plan, repository)
    record = context.store().practice_record(plan.practice.id)
    _show(context, loaded, list(result.points), record.holds)
    for snapshot, reason in result.unusable:
        click.echo(f"error: manifest {snapshot}: {reason}", err=True)
    if repository in record.frozen:
        where = f"{plan.practice.id} --repository {repository}"
        context.say(
            f"what is new stands for nothing until somebody looked into it: `dro retention show "
            f"{where}`, then `dro retention release {where} --reason TEXT`"
        )
    context.print_json_if_asked(
        {
            "points": [point_json(each, record.holds.get(each.id)) for each in result.points],
            "failures": [{"snapshot": each, "reason": why} for each, why in result.unusable],
        }
    )
    return ExitCode.PARTIAL if result.unusable else most_important(swept)


def _show(
    context: Context,
    loaded: LoadedPlan,
    points: list[RecoveryPoint],
    holds: Mapping[str, HoldPlaced],
) -> None:
    if not points:
        context.say("no recovery point is known")
    zone = loaded.plan.practice.timezone
    for point in sorted(points, key=lambda each: (each.system, each.as_of)):
        size = size_words(sum(asset.bytes for asset in point.assets.values()))
        where = ", ".join(copy.repository for copy in point.copies)
        label = f"  {printable(point.label)}" if point.label else ""
        as_of = instant_words(point.as_of, zone)
        older = "".join(
            f"  {name}: data of {data_as_of}"
            for name, asset in point.assets.items()
            if asset.data_as_of and (data_as_of := instant_words(asset.data_as_of, zone)) != as_of
        )
        held = _held(holds.get(point.id), context.clock.now(), zone)
        context.say(
            f"{point.id}  {point.system:12} {as_of}  {size:>10}  {where}{older}{label}{held}"
        )


def _held(hold: HoldPlaced | None, now: datetime, zone: tzinfo) -> str:
    if hold is None or (hold.until is not None and hold.until <= now):
        return ""
    until = instant_words(hold.until, zone) if hold.until else "it is released"
    return f"  held until {until}"
