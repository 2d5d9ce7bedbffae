"""`dro open`: a database of a recovery point, served read-only on this machine for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.chosen_point import asked_why, choose, one_system
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.wording import instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important
from dr_orchestrator.plan.quantity import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.restore.open_point import Opened, OpenRequest

_LONGEST = timedelta(hours=24)
_LARGEST_PORT = 65535


@click.command(
    epilog="""\b
Examples:
  dro open riverside --system emr
  dro open riverside --system emr --at "2026-11-21 14:00" --for 4h
  dro open riverside --system emr --why "emergency access, the server is down"
"""
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="the system; needed where the plan has several")
@click.option("--asset", metavar="ID", help="the database; needed where the system has several")
@click.option("--point", metavar="ID", help="`latest`, or the beginning of an id")
@click.option("--at", metavar="TIME", help="the newest point of that time or before")
@click.option("--repository", metavar="ID", help="from this repository")
@click.option(
    "--for",
    "lasts",
    metavar="TIME",
    default="2h",
    show_default=True,
    help="until it ends by itself: 24h at most",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(1, _LARGEST_PORT),
    help="of 127.0.0.1; a free one unless stated",
)
@click.option("--why", metavar="TEXT", help="for what, for whoever reads the record")
@click.option("--json", "_json", is_flag=True, help="print one JSON object, with the password")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes them by name
    context: Context,
    practice: str | None,
    system: str | None,
    asset: str | None,
    point: str | None,
    at: str | None,
    repository: str | None,
    lasts: str,
    port: int | None,
    *,
    why: str | None,
    _json: bool,
) -> ExitCode:
    """Serve a PostgreSQL or MariaDB database of a recovery point, to read only, on a port of this
    machine that no other machine reaches. Production is not touched.

    It stays in the foreground. Ctrl-C ends it, and so does its time; then what was restored is
    removed. The password is made for this one time and shown once.

    Exit codes: 0 it was open, and has ended; 1 what came back does not load; 4 this machine cannot
    open it, or its server ended before its time.
    """
    from dr_orchestrator.restore.open_point import OpenRequest, asset_to_open

    duration = _duration(lasts)
    loaded = context.one_plan(practice)
    name = one_system(loaded, system)
    swept = context.sweep()
    context.app.note_promise(loaded)
    wanted = (asset,) if asset else ()
    chosen = choose(context, loaded, name, point=point, at=at, repository=repository, assets=wanted)
    request = OpenRequest(
        plan=loaded.plan,
        point=chosen.point,
        repository=chosen.repository,
        asset=asset_to_open(chosen.point, asset),
        lasts=duration,
        port=port or 0,
        by=person(None),
        why=printable(asked_why(context) if why is None else why),
    )
    with ProgressLine(f"{name}: restoring") as line:
        context.app.open_point(request, _teller(context, request, line), line.update)
    click.echo(f"{name}: ended, and what was restored is removed", err=True)
    return most_important(swept)


def _duration(text: str) -> timedelta:
    try:
        lasts = parse_duration(text)
    except ValueError:
        raise UsageMistake(f"--for is no duration: {text}", hint="as 45m, 2h or 1h30m") from None
    if not timedelta() < lasts <= _LONGEST:
        raise UsageMistake(
            f"--for is from one second to 24h: {text}", hint="open it again to have it longer"
        )
    return lasts


def _json_of(request: OpenRequest, opened: Opened) -> dict[str, object]:
    return {
        "system": request.point.system,
        "asset": request.asset,
        "point": request.point.id,
        "as_of": request.point.as_of,
        "repository": request.repository,
        "engine": opened.engine,
        "host": opened.host,
        "port": opened.port,
        "user": opened.user,
        "password": opened.password.reveal(),
        "database": opened.database,
        "until": opened.until,
        "conditions": list(opened.conditions),
    }


def _teller(context: Context, request: OpenRequest, line: ProgressLine) -> Callable[[Opened], None]:
    """Return what says how to come in: the password here, and nowhere else."""

    def tell(opened: Opened) -> None:
        line.clear()
        for condition in opened.conditions:
            context.say(f"  note: {condition}")
        if context.json:
            context.print_json(_json_of(request, opened))
            return
        until = instant_words(opened.until, request.plan.practice.timezone)
        context.say(
            f"{request.asset}: open to read until {until} ({opened.engine})\n\n"
            f"  {opened.client}\n"
            f"  password: {opened.password.reveal()}\n\n"
            "Ctrl-C ends it before that"
        )

    return tell
