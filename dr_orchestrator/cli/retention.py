"""`dro retention`: which recovery points are kept, and why; and the words of a person on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import EXIT, Done, each_repository, repositories_of
from dr_orchestrator.cli.options import person
from dr_orchestrator.core.record import HoldPlaced, HoldReleased
from dr_orchestrator.core.wording import count_words, instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important
from dr_orchestrator.plan.quantity import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo
    from zoneinfo import ZoneInfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.maintenance.look import Insight
    from dr_orchestrator.maintenance.strangers import Stranger
    from dr_orchestrator.plan.model import Plan

_LONGEST_NAME = 40
"""Of a host's name that somebody else may have written."""

_reason = click.option(
    "--reason", metavar="TEXT", required=True, help="why, for whoever reads the record"
)
_by = click.option("--by", metavar="NAME", help="who says so; your login name unless stated")
_json_option = click.option("--json", "_json", is_flag=True, help="print one JSON object")


@click.group()
def command() -> None:
    """Say which recovery points are kept and why, hold some, let go of others."""


@command.command(
    short_help="show which points are kept, and why",
    epilog="""\b
Examples:
  dro retention show riverside
  dro retention show riverside --repository offsite --json
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="only this repository")
@_json_option
@click.pass_obj
def show(
    context: Context, practice: str | None, repository: str | None, *, _json: bool
) -> ExitCode:
    """Show which points of PRACTICE are kept in each repository and why, and which would go.

    Reads each repository, and changes nothing.

    Exit codes: 0 nothing speaks against forgetting; 4 something does, so nothing is forgotten;
    1 a repository cannot be read.
    """
    return _show(context, practice, repository)


@command.command(
    short_help="let go of the points that the plan does not keep",
    epilog="""\b
Examples:
  dro retention apply riverside --dry-run
  dro retention apply riverside --repository onsite
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="only this repository")
@click.option("--dry-run", is_flag=True, help="change nothing: what `show` does")
@_json_option
@click.pass_obj
def apply(
    context: Context, practice: str | None, repository: str | None, *, dry_run: bool, _json: bool
) -> ExitCode:
    """Let go of the points of PRACTICE that its plan does not keep.

    Their space is freed later, by `dro repository prune`.

    Exit codes: 0 done; 4 retention is frozen; 1 it failed; 75 a repository is busy.
    """
    if dry_run:
        return _show(context, practice, repository)
    plan = context.one_plan(practice).plan

    def apply_one(name: str) -> Done:
        result = context.app.forget(plan, name)
        context.say(
            f"{name}: {count_words(len(result.forgotten), 'recovery point')} forgotten, "
            f"{result.kept:,} kept{f'; {printable(result.reason)}' if result.reason else ''}"
        )
        found: dict[str, object] = {
            "repository": name,
            "outcome": result.outcome.value,
            "reason": result.reason,
            "forgotten": list(result.forgotten),
            "in_use": list(result.busy),
            "rubble": result.rubble,
            "kept": result.kept,
        }
        return found, EXIT[result.outcome]

    return each_repository(context, plan, repository, "retention", apply_one)


@command.command(
    short_help="keep a point whatever the plan says",
    epilog="""\b
Examples:
  dro retention hold riverside --point 20261121-191500 --for 90d --reason "before the update"
""",
)
@click.argument("practice", required=False)
@click.option("--point", metavar="ID", required=True, help="the recovery point, or how it begins")
@click.option("--until", metavar="DATE", help="the practice's wall clock, as 2027-03-01")
@click.option("--for", "duration", metavar="AGE", help="from now, as 90d")
@_reason
@_by
@_json_option
@click.pass_obj
def hold(
    context: Context,
    practice: str | None,
    *,
    point: str,
    until: str | None,
    duration: str | None,
    reason: str,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Keep a recovery point of PRACTICE, whatever its plan says: for a time, or until released.

    Exit codes: 0 it is held; 1 there is no such point.
    """
    plan = context.one_plan(practice).plan
    found = context.store().find_point(plan.practice.id, point)
    if all(copy.is_existing for copy in found.copies):
        raise UsageMistake(
            f"another tool saved {found.id}, and lets go of it: it cannot be held here",
            hint="keep it there",
        )
    now, zone = context.clock.now(), plan.practice.timezone
    end = _end(until, duration, now, zone)
    if end is not None and end <= now:
        raise UsageMistake(f"{instant_words(end, zone)} is over already")
    placed = HoldPlaced(
        practice=plan.practice.id,
        point=found.id,
        at=now,
        until=end,
        by=person(by),
        why=printable(reason),
    )
    context.store().record(placed)
    words = instant_words(end, zone) if end else "it is released"
    context.say(f"{found.id} of {found.system} is kept until {words}")
    context.print_json_if_asked({"hold": {"point": found.id, "until": end, "reason": placed.why}})
    return ExitCode.OK


@command.command(
    short_help="let retention go on where it is frozen, or let a point go",
    epilog="""\b
Examples:
  dro retention release riverside --repository onsite --reason "the clock was wrong for an hour"
  dro retention release riverside --point 20261121-191500 --reason "the update went well"
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="in which retention is frozen")
@click.option("--point", metavar="ID", help="whose hold or label no longer keeps it")
@_reason
@_by
@_json_option
@click.pass_obj
def release(
    context: Context,
    practice: str | None,
    *,
    repository: str | None,
    point: str | None,
    reason: str,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Let retention go on in a repository of PRACTICE where it is frozen, or let a point go.

    Look first: `dro retention show`. What was to be kept and is no longer whole in the repository
    is given up with this; snapshots that nobody here made are told no more; and what was read back
    from the repository counts from now on.

    Exit codes: 0 released; 1 the repository cannot be read, or there is no such point; 2 nothing
    is frozen there.
    """
    plan = context.one_plan(practice).plan
    if (repository is None) == (point is None):
        raise UsageMistake("either a repository is released, or a point", hint="--repository ID")
    if point is not None:
        _release_point(context, plan, point, reason, by)
        return ExitCode.OK
    (name,) = repositories_of(plan, repository)
    if name not in context.store().practice_record(plan.practice.id).frozen:
        raise UsageMistake(f"retention is not frozen in {name}")
    swept = context.sweep()
    released = context.app.release_retention(plan, name, by=person(by), why=printable(reason))
    for each in released.given_up:
        context.say(f"{name}: {each.id} of {each.system} is no longer whole, and is given up")
    for line in _stranger_lines(released.accepted, plan.practice.timezone):
        context.say(f"{name}: let stand: {line}")
    context.say(f"{name}: retention goes on")
    context.print_json_if_asked(
        {
            "released": {
                "repository": name,
                "given_up": [each.id for each in released.given_up],
                "let_stand": [each.snapshot.id for each in released.accepted],
            }
        }
    )
    return most_important(swept)


@command.command(
    short_help="make this machine the one that lets go of points",
    epilog="""\b
Examples:
  dro retention take riverside --repository offsite --reason "the old server is gone"
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", required=True, help="in which to let go of points")
@_reason
@_json_option
@click.pass_obj
def take(
    context: Context, practice: str | None, repository: str, reason: str, *, _json: bool
) -> ExitCode:
    """Make this machine the one that lets go of points in a repository of PRACTICE.

    Only one does, and the repository says which. The other one is refused from now on.

    Exit codes: 0 done; 1 it failed; 75 the repository is busy.
    """
    plan = context.one_plan(practice).plan
    (name,) = repositories_of(plan, repository)
    swept = context.sweep()
    context.app.take_retention(plan, name, why=printable(reason))
    context.say(f"{name}: this machine lets go of points from now on")
    context.print_json_if_asked({"taken": {"repository": name}})
    return most_important(swept)


def _show(context: Context, practice: str | None, repository: str | None) -> ExitCode:
    plan = context.one_plan(practice).plan

    def show_one(name: str) -> Done:
        insight = context.app.look_into_retention(plan, name)
        points = {
            point.id: point for point in context.store().points(plan.practice.id, repository=name)
        }
        for line in _lines(plan, name, insight, points):
            context.say(line)
        stopped = insight.frozen is not None or bool(insight.survey.doubts)
        return _insight_json(name, insight, points), ExitCode.UNPROVEN if stopped else ExitCode.OK

    return each_repository(context, plan, repository, "retention", show_one)


def _lines(plan: Plan, name: str, insight: Insight, points: dict[str, RecoveryPoint]) -> list[str]:
    zone, decision = plan.practice.timezone, insight.survey.decision
    held = count_words(len(points), "recovery point")
    lines = [f"{name}: {held}, {len(decision.kept):,} kept, {len(decision.going):,} to go"]
    for point in sorted(points.values(), key=lambda each: (each.system, each.as_of)):
        why = "; ".join(decision.kept.get(point.id, ()))
        told = "  (read back from here)" if _is_read_back(point, name) else ""
        lines.append(
            f"  {'kept' if why else 'goes'}  {point.id}  {point.system:12} "
            f"{instant_words(point.as_of, zone)}{told}  {printable(why)}".rstrip()
        )
    if insight.frozen is not None:
        since = instant_words(insight.frozen.at, zone)
        lines.append(f"  frozen since {since}: {printable(insight.frozen.why)}")
        lines.append(
            "  once somebody looked into it: `dro retention release "
            f"{plan.practice.id} --repository {name} --reason TEXT`"
        )
    lines += [f"  suspicious: {printable(each)}" for each in insight.survey.doubts]
    lines += [f"  not ours: {each}" for each in _stranger_lines(insight.survey.strangers, zone)]
    if insight.owner is None:
        lines.append("  owner: none yet")
    else:
        who = "this machine" if insight.is_ours else insight.site or "another installation"
        lines.append(f"  owner: {printable(who)}, since {instant_words(insight.owner.since, zone)}")
    return lines


def _is_read_back(point: RecoveryPoint, repository: str) -> bool:
    copy = point.copy_in(repository)
    return copy is not None and copy.read_back


def _stranger_lines(found: Iterable[Stranger], zone: tzinfo) -> list[str]:
    """Say what each one is, as far as it says itself: somebody else may have written that. Its
    paths are not shown.
    """
    return [
        f"{each.snapshot.id[:8]}  dated {instant_words(each.snapshot.time, zone)}  "
        f"by {printable(each.snapshot.hostname)[:_LONGEST_NAME] or 'nobody'}  {printable(each.why)}"
        for each in found
    ]


def _insight_json(
    name: str, insight: Insight, points: dict[str, RecoveryPoint]
) -> dict[str, object]:
    survey, frozen, owner = insight.survey, insight.frozen, insight.owner
    return {
        "repository": name,
        "kept": {point: list(why) for point, why in survey.decision.kept.items()},
        "to_go": [point.id for point in survey.decision.going],
        "rubble": len(survey.rubble),
        "read_back": [each.id for each in points.values() if _is_read_back(each, name)],
        "suspicious": list(survey.doubts),
        "not_ours": [
            {
                "snapshot": each.snapshot.id,
                "dated": each.snapshot.time,
                "host": printable(each.snapshot.hostname)[:_LONGEST_NAME],
                "what": each.why,
            }
            for each in survey.strangers
        ],
        "frozen": frozen and {"since": frozen.at, "reason": frozen.why},
        "owner": owner
        and {"ours": insight.is_ours, "site": insight.site or None, "since": owner.since},
    }


def _release_point(context: Context, plan: Plan, point: str, reason: str, by: str | None) -> None:
    found = context.store().find_point(plan.practice.id, point)
    context.store().record(
        HoldReleased(
            practice=plan.practice.id,
            point=found.id,
            at=context.clock.now(),
            by=person(by),
            why=printable(reason),
        )
    )
    context.say(f"{found.id} of {found.system} is kept no longer than its plan says")
    context.print_json_if_asked({"released": {"point": found.id}})


def _end(until: str | None, duration: str | None, now: datetime, zone: ZoneInfo) -> datetime | None:
    if until is not None and duration is not None:
        raise UsageMistake("either `--until` or `--for` says how long", hint="leave one out")
    if duration is not None:
        try:
            return now + parse_duration(duration)
        except ValueError:
            raise UsageMistake(f"{duration} is no duration", hint="write 90d") from None
    if until is None:
        return None
    try:
        stated = datetime.fromisoformat(until)
    except ValueError:
        raise UsageMistake(f"{until} is no date", hint="write 2027-03-01") from None
    return (stated if stated.tzinfo else stated.replace(tzinfo=zone)).astimezone(UTC)
