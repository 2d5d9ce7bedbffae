"""`dro find`: look for files by name in all recovery points, and bring one back.

The name is asked for, never an argument, and what is found goes to stdout and nowhere else: both
may be a patient's name.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.chosen_point import ChosenPoint, asked_why, one_system
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.output import TITLE, Span, print_lines
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.cli.restore import restore_to
from dr_orchestrator.core.local_time import exact_instant
from dr_orchestrator.core.wording import (
    count_words,
    printable,
    size_words,
    some_names,
)
from dr_orchestrator.errors import ExitCode, PointNotFound, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.restore.find import SearchResult, Version

_DAY = len("2026-11-21")
_WIDTHS = (5, 10, 18, 18, 0)
"""Columns of a version: number, size, and three times."""


@click.command(
    epilog="""\b
Examples:
  dro find riverside --system emr
  dro find riverside --system emr --asset documents --since 2026-11-01
  dro find riverside --system emr --json < FILE_WITH_THE_NAME
"""
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="the system; needed where the plan has several")
@click.option("--asset", "assets", metavar="ID", multiple=True, help="only this asset")
@click.option("--repository", metavar="ID", help="in this repository")
@click.option(
    "--since",
    metavar="TIME",
    help="only in recovery points of this day (`2026-11-21`) or time, or younger ones",
)
@click.option("--all", "no_limit", is_flag=True, help="in old ones too, however many there are")
@click.option("--why", metavar="TEXT", help="for what, for whoever reads the record")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes them by name
    context: Context,
    practice: str | None,
    system: str | None,
    assets: tuple[str, ...],
    repository: str | None,
    since: str | None,
    *,
    no_limit: bool,
    why: str | None,
    _json: bool,
) -> ExitCode:
    """Find files by name in the recovery points of one system, with every version of them.

    The name is asked for (or read from stdin): a part of it or of its folder, capital letters or
    not; or a whole name with * and ?. Files and shares are looked through, databases are not.
    A version that is chosen then comes back to a new directory.

    What is typed and found is kept nowhere. That somebody looked, who and for what, is recorded.

    Exit codes: 0 looked, whatever was found; 1 could not look; or as `dro restore`.
    """
    from dr_orchestrator.restore.find import SearchRequest, name_pattern

    loaded = context.one_plan(practice)
    name = one_system(loaded, system)
    fits = name_pattern(_asked_name(context))
    reason = printable(asked_why(context) if why is None else why)
    swept = context.sweep()
    context.app.note_promise(loaded)
    place, points = _where(context, loaded, name, repository, since)
    request = SearchRequest(
        plan=loaded.plan,
        system=name,
        repository=place,
        points=points,
        assets=assets,
        no_limit=no_limit,
        by=person(None),
        why=reason,
    )
    with ProgressLine(f"{name}: looking through list") as line:
        result = context.app.find(request, fits, line.count)
    if not context.json:  # else names would go to stderr, which may be kept
        print_lines(_lines(result, loaded.plan), err=False)
    _say_limits(result)
    context.print_json_if_asked(_json_of(result, name, place))
    if context.json or not result.versions or not sys.stdin.isatty():
        return most_important(swept)
    code = _bring_back(context, loaded.plan, result, place, reason)
    return most_important((*swept, code))


def _asked_name(context: Context) -> str:
    if not context.json and sys.stdin.isatty():
        return str(
            click.prompt("which name? a part of it will do; * and ? stand for any", err=True)
        )
    return sys.stdin.readline().strip("\r\n")


def _where(
    context: Context, loaded: LoadedPlan, system: str, repository: str | None, since: str | None
) -> tuple[str, tuple[RecoveryPoint, ...]]:
    """Return the repository to look in, and the points that are looked through there: those that
    somebody vouches for, or where there is none of these, all.

    Raises:
        PointNotFound: there is none.
    """
    plan = loaded.plan
    if repository is not None and repository not in plan.repositories:
        raise UsageMistake(
            f"the plan has no repository {repository}",
            hint=f"it has: {', '.join(plan.repositories)}",
        )
    record = context.store().practice_record(plan.practice.id)
    points = context.store().points(plan.practice.id, system)
    begin = _since(context, plan, since) if since else None
    for place in (repository,) if repository else plan.repositories:
        held = [
            (point, copy)
            for point in points
            if (copy := point.copy_in(place)) and (begin is None or point.as_of >= begin)
        ]
        certain = tuple(point for point, copy in held if record.vouches_for(copy))
        if found := certain or tuple(point for point, _ in held):
            return place, found
    there = f" in {repository}" if repository else ""
    younger = f" since {since}" if since else ""
    raise PointNotFound(
        f"{system}: no recovery point is known{there}{younger}",
        hint="`dro points` lists them; `dro points rebuild` finds those that a repository holds, "
        "`dro backup` those of another tool",
    )


def _since(context: Context, plan: Plan, typed: str) -> datetime:
    text = f"{typed} 00:00" if len(typed.strip()) == _DAY else typed
    return exact_instant(text, context.clock.now(), plan.practice.timezone)


def _lines(result: SearchResult, plan: Plan) -> Iterator[tuple[Span, ...]]:
    zone = plan.practice.timezone
    among = f"in {count_words(len(result.searched), 'recovery point')}"
    if not result.versions:
        yield (Span(f"no file of that name {among}"),)
        return
    versions = count_words(len(result.versions), "version")
    yield (Span(f"{versions} {among}; times by the clock of {zone}"),)
    yield (Span("each under its asset: the path is what stands after the colon"),)
    yield (_row("", "size", "changed", "first saved", "last saved"),)
    number = 0
    for (asset, path), group in groupby(result.versions, key=lambda each: (each.asset, each.path)):
        yield (Span(f"{asset}: {printable(path)}", TITLE),)
        for version in group:
            number += 1
            yield (_version_row(number, version, zone),)


def _version_row(number: int, version: Version, zone: tzinfo) -> Span:
    listed = version.listed
    return _row(
        f"{number:>3}",
        "link" if listed.is_link else size_words(listed.size),
        _minute(listed.changed_at, zone) if listed.changed_at else "unknown",
        _minute(version.points[-1].as_of, zone),
        "still there" if version.is_newest else _minute(version.points[0].as_of, zone),
    )


def _row(*cells: str) -> Span:
    return Span("".join(f"{cell:{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)))


def _minute(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _say_limits(result: SearchResult) -> None:
    if result.left_out:
        older = count_words(len(result.left_out), "older recovery point")
        click.echo(f"{older} not looked through: --all does", err=True)
    if result.databases:
        names = some_names(result.databases)
        click.echo(f"not looked through, as they are databases: {names}", err=True)


def _bring_back(
    context: Context, plan: Plan, result: SearchResult, place: str, why: str
) -> ExitCode:
    number = _asked_number(len(result.versions))
    if not number:
        return ExitCode.OK
    version = result.versions[number - 1]
    directory = click.prompt(
        "where to? a new directory (its name is kept on record)",
        type=click.Path(path_type=Path),
        err=True,
    )
    return restore_to(
        context,
        plan,
        ChosenPoint(point=version.points[0], repository=place),
        directory,
        assets=(version.asset,),
        files=(version.path,),
        why=why,
    )


def _asked_number(highest: int) -> int:
    """Return the number of a version, asked for until there is one of it; 0 for none."""
    while True:
        typed = click.prompt(
            "which one is to come back? its number (Enter: none)",
            default="",
            show_default=False,
            err=True,
        ).strip()
        if not typed:
            return 0
        if typed.isdecimal() and int(typed) <= highest:
            return int(typed)
        click.echo(f"there is none of that number: 1 to {highest}, or Enter", err=True)


def _json_of(result: SearchResult, system: str, repository: str) -> dict[str, object]:
    return {
        "system": system,
        "repository": repository,
        "versions": [
            {
                "number": number,
                "asset": version.asset,
                "path": version.path,
                "bytes": version.listed.size,
                "changed_at": version.listed.changed_at,
                "points": [each.id for each in version.points],
                "first_as_of": version.points[-1].as_of,
                "last_as_of": version.points[0].as_of,
                "still_there": version.is_newest,
            }
            for number, version in enumerate(result.versions, 1)
        ],
        "searched": [each.id for each in result.searched],
        "left_out": [each.id for each in result.left_out],
        "not_searched": list(result.databases),
    }
