"""`dro repository undelete`: make a repository in a bucket what it was before an attack."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import EXIT, repositories_of
from dr_orchestrator.cli.options import confirm
from dr_orchestrator.cli.test import Proven, prove_each
from dr_orchestrator.core.wording import (
    count_words,
    instant_words,
    printable,
    size_words,
    some_names,
)
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important
from dr_orchestrator.repositories.object_history import Deed, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.maintenance.undelete import UndeletePlan, UndeleteResult
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan

_STEPS = {
    Step.UNCOVER: "deleted since: comes back",
    Step.COPY: "overwritten since: the version of then is copied on top",
    Step.SET_ASIDE: "made since: set aside",
}


@click.command(
    short_help="make a repository what it was before an attack",
    epilog="""\b
Examples:
  dro repository undelete riverside --repository offsite --show
  dro repository undelete riverside --repository offsite --before "2026-11-21 02:14:09"
  dro repository undelete riverside --repository offsite --before 2026-11-21T08:14:09Z \\
      --yes riverside
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", required=True, help="which one, in a bucket of S3")
@click.option(
    "--before",
    metavar="TIME",
    help="just before this time, of the practice's wall clock or with an offset",
)
@click.option("--show", is_flag=True, help="show when what was deleted or overwritten; no more")
@click.option("--yes", metavar="PRACTICE", help="go on without asking: the practice's id, again")
@click.option("--no-test", is_flag=True, help="make no restore test afterwards")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def undelete(
    context: Context,
    practice: str | None,
    *,
    repository: str,
    before: str | None,
    show: bool,
    yes: str | None,
    no_test: bool,
    _json: bool,
) -> ExitCode:
    """Make a repository of PRACTICE what it was before a time, and prove what came back.

    For repositories in a bucket that keeps versions. What was deleted since comes back, what was
    overwritten too, and what was made since is set aside: nothing is destroyed by it, and a later
    time brings that back as well. It says first what it would do, and asks.

    Exit codes: 0 it is what it was, and every test passed; 1 it failed, or a test did; 3 some of it
    is lost; 4 a test could not be made; 2 it was not confirmed; 75 the repository is busy.
    """
    loaded = context.one_plan(practice)
    plan = loaded.plan
    (name,) = repositories_of(plan, repository)
    if show == (before is not None):
        raise UsageMistake(
            "either a time is named, or shown is what there is to choose from",
            hint="`--show` says when something was deleted or overwritten, `--before TIME` does it",
        )
    if before is None:
        swept = context.sweep()
        _show(context, plan, name)
        return most_important(swept)
    instant = _instant(before, plan.practice.timezone, context.clock.now())
    swept = context.sweep()
    planned = context.app.plan_undelete(plan, name, instant)
    for line in _lines(plan, name, planned):
        context.say(line)
    if planned.changes:
        confirm(plan.practice.id, yes)
    result = context.app.undelete(plan, name, planned)
    _say_result(context, plan, name, result)
    proven = Proven() if no_test else _prove(context, loaded, name, planned)
    context.print_json_if_asked(_json_of(name, planned, result) | proven.json)
    return most_important((*swept, EXIT[result.outcome], *proven.codes))


def _instant(stated: str, zone: ZoneInfo, now: datetime) -> datetime:
    try:
        read = datetime.fromisoformat(stated)
    except ValueError:
        raise UsageMistake(
            f"{stated} is no time",
            hint="write \"2026-11-21 02:14:09\", by the practice's clock and without its zone's "
            "name, or 2026-11-21T02:14:09-06:00",
        ) from None
    # The server's times are of whole seconds: what it did within this one counts as done after.
    instant = (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    if instant > now:
        raise UsageMistake(f"{_moment(instant, zone)} is yet to come")
    return instant.replace(microsecond=0)


def _moment(instant: datetime, zone: ZoneInfo) -> str:
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _show(context: Context, plan: Plan, name: str) -> None:
    found = context.app.disturbances(plan, name)
    zone = plan.practice.timezone
    if not found.hours:
        context.say(f"{name}: nothing was deleted or overwritten")
    for hour in found.hours:
        files = " ".join(f"{hour.counts.get(deed, 0):>8,} {deed.value}" for deed in Deed)
        ours = f"  ({hour.by_us:,} while we forgot, pruned or undeleted)" if hour.by_us else ""
        context.say(f"{instant_words(hour.start, zone)} {files}{ours}")
    if found.strange:
        added, ids = found.strange[0][0], [name[:8] for _, name in found.strange]
        doubt = "" if found.is_told_apart else "; it does not open, so ours may be among them"
        context.say(
            f"{count_words(len(ids), 'snapshot')} there that nobody here made, the first added "
            f"{_moment(added, zone)}: {printable(some_names(ids))}{doubt}"
        )
    if found.first is not None:
        when = found.first.astimezone(zone).isoformat(timespec="seconds")
        context.say(f"the first that is none of our doing: {_moment(found.first, zone)}")
        context.say(
            f"hint: dro repository undelete {plan.practice.id} --repository {name} --before {when}"
        )
    context.print_json_if_asked(
        {
            "repository": name,
            "hours": [
                {
                    "start": hour.start,
                    **{deed.value: hour.counts.get(deed, 0) for deed in Deed},
                    "by_us": hour.by_us,
                }
                for hour in found.hours
            ],
            "first": found.first,
            "strange": [{"snapshot": name, "added": at} for at, name in found.strange],
            "told_apart": found.is_told_apart,
        }
    )


def _lines(plan: Plan, name: str, planned: UndeletePlan) -> Iterator[str]:
    zone = plan.practice.timezone
    yield f"{name}, as it was just before {_moment(planned.before, zone)}:"
    counts = planned.counts
    if not planned.changes:
        yield "  it is that already"
    for step, words in _STEPS.items():
        if counts[step]:
            copied = f", {size_words(planned.copied_bytes)}" if step is Step.COPY else ""
            yield f"  {count_words(counts[step], 'file')} {words}{copied}"
    if planned.lost:
        lost = count_words(planned.lost, "file")
        yield f"  LOST: {lost} deleted since, and the bucket keeps no version"
    if planned.doubtful:
        doubtful = count_words(planned.doubtful, "file")
        yield f"  DOUBTFUL: {doubtful} had been overwritten by then: is that time early enough?"
    for words, points in (
        ("there afterwards", planned.back),
        ("set aside, made since", planned.aside),
        ("not all there by then", planned.missing),
    ):
        for system, those in _by_system(points).items():
            newest = instant_words(max(point.as_of for point in those), zone)
            held = count_words(len(those), "recovery point")
            yield f"  {system}: {held} {words}, the newest as of {newest}"


def _by_system(points: Sequence[RecoveryPoint]) -> dict[str, list[RecoveryPoint]]:
    found: dict[str, list[RecoveryPoint]] = {}
    for point in points:
        found.setdefault(point.system, []).append(point)
    return found


def _say_result(context: Context, plan: Plan, name: str, result: UndeleteResult) -> None:
    practice = plan.practice.id
    context.say(f"{name}: {'it is that again' if not result.reason else 'done, as far as it goes'}")
    if result.reason:
        click.echo(f"error: {name}: {result.reason}", err=True)
    if result.forgotten:
        set_aside = some_names(result.forgotten)
        context.say(f"  no longer on record as held there: {set_aside}")
    if result.unknown:
        context.say(
            f"  {count_words(result.unknown, 'recovery point')} there that the record does not "
            f"know: `dro points rebuild {practice} --repository {name}`"
        )


def _prove(context: Context, loaded: LoadedPlan, name: str, planned: UndeletePlan) -> Proven:
    """Restore the newest point of each system that is there again."""
    from dr_orchestrator.packs.choice import packs_of
    from dr_orchestrator.restore.choose import LATEST
    from dr_orchestrator.restore.restore_test import RestoreTestRequest

    plan = loaded.plan
    systems = [each for each in _by_system(planned.back) if each in plan.protected]
    if not systems:
        click.echo(
            f"error: {name}: nothing to test: the record knows of no recovery point there\n"
            f"hint: `dro points rebuild {plan.practice.id} --repository {name}`, then `dro test`",
            err=True,
        )
        return Proven(codes=[ExitCode.UNPROVEN])
    packs = {system: each.pack for system, each in packs_of(loaded).items()}
    return prove_each(
        context,
        [
            RestoreTestRequest(plan=plan, system=system, repository=name, point=LATEST, packs=packs)
            for system in systems
        ],
    )


def _json_of(name: str, planned: UndeletePlan, result: UndeleteResult) -> dict[str, object]:
    counts = planned.counts
    return {
        "repository": name,
        "before": planned.before,
        "files": {
            "uncovered": counts[Step.UNCOVER],
            "copied": counts[Step.COPY],
            "copied_bytes": planned.copied_bytes,
            "set_aside": counts[Step.SET_ASIDE],
            "lost": planned.lost,
            "doubtful": planned.doubtful,
        },
        "points": {
            "back": [point.id for point in planned.back],
            "set_aside": [point.id for point in planned.aside],
            "missing": [point.id for point in planned.missing],
            "forgotten": list(result.forgotten),
            "unknown": result.unknown,
        },
        "outcome": result.outcome.value,
        "reason": result.reason,
    }
