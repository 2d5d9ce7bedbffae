"""`dro restore`: bring a recovery point back to a new directory."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.backup import systems_of
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.core.wording import instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.restore.restore import RestoreResult


@click.command(
    epilog="""\b
Examples:
  dro restore riverside --system emr --to /srv/restored
  dro restore riverside --system emr --asset database --point 20261121 --to /srv/restored
  dro restore riverside --system emr --to /srv/restored --why "one note deleted by mistake"
"""
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="the system; needed where the plan has several")
@click.option("--asset", "assets", metavar="ID", multiple=True, help="only this asset")
@click.option("--point", metavar="ID", default="latest", help="`latest`, or the beginning of an id")
@click.option("--repository", metavar="ID", help="from this repository")
@click.option(
    "--to",
    "directory",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="a directory that does not exist yet",
)
@click.option("--why", metavar="TEXT", help="for what, for whoever reads the record")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes them by name
    context: Context,
    practice: str | None,
    system: str | None,
    assets: tuple[str, ...],
    point: str,
    repository: str | None,
    directory: Path,
    *,
    why: str | None,
    _json: bool,
) -> ExitCode:
    """Restore a recovery point of one system to a new directory, and say what to do with it.

    A database comes back as a data directory that is ready to start, a file, or an archive with the
    exact command that loads it. Nothing that exists is ever written over.

    Exit codes: 0 all restored; 3 some assets could not be; 1 nothing could be.
    """
    from dr_orchestrator.restore.choose import choose_point, doubts_about, holders
    from dr_orchestrator.restore.restore import RestoreToDirectory

    loaded = context.one_plan(practice)
    name = _one_system(loaded, system)
    swept = context.sweep()
    context.app.note_promise(loaded)
    points = context.store().points(loaded.plan.practice.id, name)
    vouched = context.store().practice_record(loaded.plan.practice.id).vouches_for
    chosen = choose_point(
        points,
        system=name,
        repository=repository,
        wanted=point,
        now=context.clock.now(),
        vouched=vouched,
    )
    place = repository or holders(loaded.plan.repositories, chosen, assets)[0]
    as_of = instant_words(chosen.as_of, loaded.plan.practice.timezone)
    context.say(f"{name}: point {chosen.id}, as of {as_of}, from {place}")
    if doubts := doubts_about(chosen, points, vouched):
        context.say(f"{name}: {doubts}")
    reason = _asked_why(context) if why is None else why
    target = claim_new_directory(directory.absolute())
    request = RestoreToDirectory(
        plan=loaded.plan,
        point=chosen,
        repository=place,
        assets=assets,
        target=target,
        by=person(None),
        why=printable(reason),
    )
    try:
        with ProgressLine(f"{name}: restoring") as line:
            result = context.app.restore(request, line.update)
    finally:
        with contextlib.suppress(OSError):  # holds something: then it stays
            target.path.rmdir()
    _show(context, result)
    context.print_json_if_asked(_json_of(result))
    if not result.failures:
        return most_important(swept)
    return ExitCode.PARTIAL if result.restored else ExitCode.FAILED


def _asked_why(context: Context) -> str:
    """Return for what it is restored; nothing keeps a person waiting who has no word for it."""
    if context.json or not sys.stdin.isatty():
        return ""
    return str(
        click.prompt("for what? (Enter: not said)", default="", show_default=False, err=True)
    )


def _one_system(loaded: LoadedPlan, system: str | None) -> str:
    systems = systems_of(loaded, system)
    if len(systems) != 1:
        raise UsageMistake(
            "one system is restored at a time", hint=f"--system is one of: {', '.join(systems)}"
        )
    return systems[0]


def _show(context: Context, result: RestoreResult) -> None:
    for restored in result.restored:
        context.say(f"{restored.asset}: {restored.place}")
        for step in restored.next_steps:
            context.say(f"  {step}")
    for asset, error in result.failures.items():
        click.echo(f"error: {asset}: {error}", err=True)


def _json_of(result: RestoreResult) -> dict[str, object]:
    return {
        "point": result.point.id,
        "system": result.point.system,
        "repository": result.repository,
        "as_of": result.point.as_of,
        "restored": {
            each.asset: {"path": str(each.place), "next": list(each.next_steps)}
            for each in result.restored
        },
        "failures": [
            {"system": result.point.system, "asset": asset, "reason": error.message}
            for asset, error in result.failures.items()
        ],
    }
