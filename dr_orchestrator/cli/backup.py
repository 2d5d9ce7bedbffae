"""`dro backup`: make a recovery point of a practice's systems."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.copies import Copies, wanted_copies
from dr_orchestrator.cli.each_repository import EXIT
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.record import HoldPlaced
from dr_orchestrator.core.wording import (
    count_words,
    duration_words,
    instant_words,
    printable,
    size_words,
)
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important
from dr_orchestrator.plan.quantity import parse_duration

if TYPE_CHECKING:
    from dr_orchestrator.backup.backup import BackupResult, Failure
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan


@click.command(
    epilog="""\b
Examples:
  dro backup riverside
  dro backup riverside --system emr --label "before 8.1" --hold 90d
"""
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="only this system")
@click.option(
    "--label",
    metavar="TEXT",
    help="a word on why: with it the point is kept until `dro retention release`",
)
@click.option(
    "--hold",
    metavar="AGE",
    help="keep the point so long, as 90d, whatever the plan says; a label ends with it",
)
@click.option("--no-copy", is_flag=True, help="leave copying to the schedule")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    system: str | None,
    label: str | None,
    *,
    hold: str | None,
    no_copy: bool,
    _json: bool,
) -> ExitCode:
    """Make a recovery point of each system of PRACTICE, and copy it where the plan wants it too.

    Exit codes: 0 all done; 3 some of it failed, the rest is done; 1 nothing could be saved;
    75 a repository is busy.
    """
    from dr_orchestrator.packs.choice import packs_of

    loaded = context.one_plan(practice)
    packs_of(loaded)  # a mistake in a pack is said once, before anything is done
    systems = systems_of(loaded, system)
    protected = loaded.plan.protected
    held_for = None if hold is None else _held_for(hold, loaded.plan, systems)
    context.app.repositories.look_ahead(
        loaded.plan, (each for name in systems for each in protected[name].backup.to)
    )
    codes = list(context.sweep())
    context.app.note_promise(loaded)
    _warn_of_retired(context, loaded)
    made: list[RecoveryPoint] = []
    failures: list[dict[str, object]] = []
    for name in systems:
        try:
            result = back_up(context, loaded, name, label)
        except DroError as error:
            busy = error.exit_code is ExitCode.BUSY
            codes.append(ExitCode.BUSY if busy else ExitCode.FAILED)
            failures.append({"system": name, "asset": None, "reason": error.message})
            _say_failure(name, error.message, error.hint)
            continue
        codes.append(EXIT[result.outcome])
        codes += [ExitCode.BUSY for each in result.failures if each.busy]
        failures += [_failure_json(each) for each in result.failures]
        if result.point is not None and (result.existing is None or result.existing.new):
            made.append(result.point)
            if held_for is not None:
                _hold(context, loaded.plan, result.point, held_for)
    if not no_copy:
        copies = Copies()
        for copied, to in wanted_copies(loaded.plan, (point.system for point in made)):
            copies.make(context, loaded.plan, copied, to)
        codes += copies.codes
        failures += copies.failures
        made = [context.store().find_point(point.practice, point.id) for point in made]
    context.app.note_standing(loaded)
    holds = context.store().practice_record(loaded.plan.practice.id).holds
    context.print_json_if_asked(
        {"points": [point_json(point, holds.get(point.id)) for point in made], "failures": failures}
    )
    return _overall(codes, something_done=bool(made))


def _held_for(text: str, plan: Plan, systems: tuple[str, ...]) -> timedelta:
    """Return how long the points are held.

    Raises:
        UsageMistake: it is no duration, or nothing that we could hold on to is saved.
    """
    try:
        held_for = parse_duration(text)
    except ValueError:
        held_for = timedelta()
    if not held_for:
        raise UsageMistake(f"{printable(text)} is no time to hold a point", hint="write 90d")
    for name in systems:
        if plan.protected[name].is_existing:
            raise UsageMistake(
                f"another tool saves {name}, and lets go of it: it cannot be held here",
                hint="keep it there, or name another system with --system",
            )
    return held_for


def _hold(context: Context, plan: Plan, point: RecoveryPoint, held_for: timedelta) -> None:
    """Hold a point that was just recorded; the label as the reason ends with it."""
    until = point.as_of + held_for
    why = printable(point.label) if point.label else "held when it was made"
    context.store().record(
        HoldPlaced(
            practice=point.practice,
            point=point.id,
            at=context.clock.now(),
            until=until,
            by=person(None),
            why=why,
        )
    )
    words = instant_words(until, plan.practice.timezone)
    context.say(f"{point.system}: kept until {words}, whatever the plan says")


def _warn_of_retired(context: Context, loaded: LoadedPlan) -> None:
    """Say it where the plan saves to what another repository stands for: no backup stops for it."""
    from dr_orchestrator.compliance.retired import ADVICE, retired_in_use, retired_words

    plan = loaded.plan
    for each in retired_in_use(plan, context.store().practice_record(plan.practice.id)):
        click.echo(f"warning: {retired_words(each, plan.practice.timezone)}", err=True)
        click.echo(f"hint: {ADVICE}", err=True)


def systems_of(loaded: LoadedPlan, wanted: str | None) -> tuple[str, ...]:
    """Return the protected systems of a plan, or the one that was named.

    Raises:
        UsageMistake: the plan does not protect such a system.
    """
    systems = tuple(loaded.plan.protected)
    if wanted is None:
        return systems
    if wanted not in systems:
        raise UsageMistake(
            f"{loaded.plan.practice.id} protects no system {wanted}",
            hint=f"it protects: {', '.join(systems)}",
        )
    return (wanted,)


def _overall(codes: list[ExitCode], *, something_done: bool) -> ExitCode:
    code = most_important(codes)
    return ExitCode.PARTIAL if code is ExitCode.FAILED and something_done else code


def back_up(context: Context, loaded: LoadedPlan, system: str, label: str | None) -> BackupResult:
    """Make a point of a system, or look for those of another tool, and say what came of it."""
    begun = context.clock.monotonic()
    with ProgressLine(f"{system}: saving") as line:
        result = context.app.back_up(loaded, system, label=label, on_progress=line.update)
    took = context.clock.monotonic() - begun
    if result.existing is not None:
        context.say(_found_line(loaded, system, result))
    elif result.point is not None:
        context.say(_point_line(result.point, took, result.measure_seconds))
    for failure in result.failures:
        what = failure.asset or failure.repository or ""
        _say_failure(f"{system} {what}".strip(), failure.reason, failure.hint)
    return result


def _point_line(point: RecoveryPoint, seconds: float, measured: float) -> str:
    size = size_words(sum(asset.bytes for asset in point.assets.values()))
    where = ", ".join(copy.repository for copy in point.copies)
    took, baseline = (duration_words(timedelta(seconds=each)) for each in (seconds, measured))
    return (
        f"{point.system}: point {point.id} in {where}: "
        f"{count_words(len(point.assets), 'asset')}, {size}, in {took} (baseline {baseline})"
    )


def _found_line(loaded: LoadedPlan, system: str, result: BackupResult) -> str:
    found, point = result.existing, result.point
    if found is None or point is None:
        return f"{system}: no recovery point of another tool"
    size = size_words(sum(asset.bytes for asset in point.assets.values()))
    as_of = instant_words(point.as_of, loaded.plan.practice.timezone)
    changes = [f"{found.new:,} new"] if found.new else []
    changes += [f"{found.gone:,} gone"] if found.gone else []
    changes += [f"{found.left:,} older ones to follow"] if found.left else []
    told = f" ({', '.join(changes)})" if changes else ""
    return (
        f"{system}: {count_words(found.points, 'recovery point')} of another tool in "
        f"{point.copies[0].repository}{told}, the newest {point.id} as of {as_of}: "
        f"{count_words(len(point.assets), 'asset')}, {size}"
    )


def _say_failure(what: str, reason: str, hint: str) -> None:
    click.echo(f"error: {what}: {reason}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)


def _failure_json(failure: Failure) -> dict[str, object]:
    return {
        "system": failure.system,
        "asset": failure.asset,
        "repository": failure.repository,
        "reason": failure.reason,
    }


def point_json(point: RecoveryPoint, hold: HoldPlaced | None = None) -> dict[str, object]:
    """Return a point as other programs read it, with what holds it."""
    snapshots = point.copies[0].snapshots
    return {
        "id": point.id,
        "system": point.system,
        "as_of": point.as_of,
        "label": point.label,
        "hold": hold and {"until": hold.until, "reason": hold.why},
        "skew_seconds": point.skew_seconds,
        "assets": {
            name: {
                "snapshot": snapshots.get(name),
                "method": asset.method.value,
                "bytes": asset.bytes,
                "data_as_of": asset.data_as_of,
            }
            for name, asset in point.assets.items()
        },
        "repositories": [copy.repository for copy in point.copies],
    }
