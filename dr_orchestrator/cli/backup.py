"""`dro backup`: make a recovery point of a practice's systems."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.copies import Copies, wanted_copies
from dr_orchestrator.cli.each_repository import EXIT
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.wording import count_words, duration_words, size_words
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from dr_orchestrator.backup.backup import BackupResult, Failure
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.plan.load import LoadedPlan


@click.command(
    epilog="""\b
Examples:
  dro backup riverside
  dro backup riverside --system emr --label "before 8.1"
"""
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="only this system")
@click.option("--label", metavar="TEXT", help="a word on why, kept with the point")
@click.option("--no-copy", is_flag=True, help="leave copying to the schedule")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    system: str | None,
    label: str | None,
    *,
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
    context.app.repositories.look_ahead(
        loaded.plan, (each for name in systems for each in protected[name].backup.to)
    )
    codes = list(context.sweep())
    context.app.note_promise(loaded)
    made: list[RecoveryPoint] = []
    failures: list[dict[str, object]] = []
    for name in systems:
        try:
            result = _back_up(context, loaded, name, label)
        except DroError as error:
            busy = error.exit_code is ExitCode.BUSY
            codes.append(ExitCode.BUSY if busy else ExitCode.FAILED)
            failures.append({"system": name, "asset": None, "reason": error.message})
            _say_failure(name, error.message, error.hint)
            continue
        codes.append(EXIT[result.outcome])
        codes += [ExitCode.BUSY for each in result.failures if each.busy]
        failures += [_failure_json(each) for each in result.failures]
        if result.point is not None:
            made.append(result.point)
    if not no_copy:
        copies = Copies()
        for copied, to in wanted_copies(loaded.plan, (point.system for point in made)):
            copies.make(context, loaded.plan, copied, to)
        codes += copies.codes
        failures += copies.failures
        made = [context.store().find_point(point.practice, point.id) for point in made]
    context.app.note_standing(loaded)
    context.print_json_if_asked(
        {"points": [point_json(point) for point in made], "failures": failures}
    )
    return _overall(codes, something_done=bool(made))


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


def _back_up(context: Context, loaded: LoadedPlan, system: str, label: str | None) -> BackupResult:
    begun = context.clock.monotonic()
    with ProgressLine(f"{system}: saving") as line:
        result = context.app.back_up(loaded, system, label=label, on_progress=line.update)
    took = context.clock.monotonic() - begun
    if result.point is not None:
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


def point_json(point: RecoveryPoint) -> dict[str, object]:
    """Return a point as other programs read it."""
    snapshots = point.copies[0].snapshots
    return {
        "id": point.id,
        "system": point.system,
        "as_of": point.as_of,
        "label": point.label,
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
