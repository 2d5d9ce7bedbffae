"""Which recovery point a person means, for the commands that bring one back for people to work
with: one system, one point of it, from one repository, and for what.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.backup import systems_of
from dr_orchestrator.core.local_time import exact_instant
from dr_orchestrator.core.wording import duration_words, instant_words
from dr_orchestrator.errors import UsageMistake

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.plan.load import LoadedPlan


@dataclass(frozen=True, kw_only=True)
class ChosenPoint:
    """A recovery point, and where it comes from."""

    point: RecoveryPoint
    repository: str


def one_system(loaded: LoadedPlan, system: str | None) -> str:
    """Return the system that is meant, which is never guessed among several.

    Raises:
        UsageMistake: there are several, or none of that name.
    """
    systems = systems_of(loaded, system)
    if len(systems) != 1:
        raise UsageMistake("one system at a time", hint=f"--system is one of: {', '.join(systems)}")
    return systems[0]


def choose(
    context: Context,
    loaded: LoadedPlan,
    system: str,
    *,
    point: str | None,
    at: str | None,
    repository: str | None,
    assets: tuple[str, ...] = (),
) -> ChosenPoint:
    """Choose as `--point`, or `--at` by the practice's clock, and `--repository` say; tell which.

    Raises:
        UsageMistake: both say which point, or the time is none.
        PointNotFound: there is no such point.
    """
    from dr_orchestrator.restore.choose import (
        LATEST,
        choose_point,
        doubts_about,
        holders,
        point_after,
        point_at,
    )

    if point is not None and at is not None:
        raise UsageMistake("--point and --at both say which point", hint="leave one of them out")
    plan, now = loaded.plan, context.clock.now()
    zone = plan.practice.timezone
    points = context.store().points(plan.practice.id, system)
    vouched = context.store().practice_record(plan.practice.id).vouches_for
    until = now if at is None else exact_instant(at, now, zone)
    if at is None:
        chosen = choose_point(
            points,
            system=system,
            repository=repository,
            wanted=point or LATEST,
            now=now,
            vouched=vouched,
        )
    else:
        chosen = point_at(
            points,
            until,
            system=system,
            repository=repository,
            now=now,
            zone=zone,
            vouched=vouched,
        )
    place = repository or holders(plan.repositories, chosen, assets)[0]
    context.say(
        f"{system}: point {chosen.id}, as of {instant_words(chosen.as_of, zone)}, from {place}"
    )
    if at is not None and (after := point_after(points, chosen, repository)):
        later = duration_words(after.as_of - chosen.as_of)
        as_of = instant_words(after.as_of, zone)
        context.say(f"{system}: the next one is {later} younger, as of {as_of}")
    eligible = [each for each in points if at is None or each.as_of <= until]
    if doubts := doubts_about(chosen, eligible, vouched):
        context.say(f"{system}: {doubts}")
    return ChosenPoint(point=chosen, repository=place)


def asked_why(context: Context) -> str:
    """Return for what it is; nothing keeps a person waiting who has no word for it."""
    if context.json or not sys.stdin.isatty():
        return ""
    return str(
        click.prompt("for what? (Enter: not said)", default="", show_default=False, err=True)
    )
