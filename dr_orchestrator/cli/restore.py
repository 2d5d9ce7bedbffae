"""`dro restore`: bring a recovery point back to a new directory, or single files of it; or a
database to a new one on a server.
"""

from __future__ import annotations

import codecs
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.chosen_point import asked_why, choose, one_system
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.share import as_listed
from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.core.wording import count_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from dr_orchestrator.cli.chosen_point import ChosenPoint
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.restore.restore import RestoreResult

_ASK = "\0"
"""What `--path` stands for by itself."""


@click.command(
    epilog="""\b
Examples:
  dro restore riverside --system emr --to /srv/restored
  dro restore riverside --system emr --at "2026-11-21 14:00" --to /srv/restored
  dro restore riverside --system emr --asset documents --path --to /srv/restored
  dro restore riverside --system emr --asset database --into postgres://admin@db/emr_friday
"""
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="the system; needed where the plan has several")
@click.option("--asset", "assets", metavar="ID", multiple=True, help="only this asset")
@click.option("--point", metavar="ID", help="`latest`, or the beginning of an id")
@click.option(
    "--at",
    metavar="TIME",
    help="the newest point of that time or before, by the practice's clock: `14:00`, "
    "`2026-11-21 14:00`",
)
@click.option("--repository", metavar="ID", help="from this repository")
@click.option(
    "--path",
    "asked",
    is_flag=False,
    flag_value=_ASK,
    metavar="",
    help="only single files: asks for their paths, one a line (stdin where there is no terminal)",
)
@click.option(
    "--path-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="only the files whose paths are in FILE, one a line",
)
@click.option(
    "--to",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="a directory that does not exist yet",
)
@click.option(
    "--into",
    metavar="URL",
    help="a database that does not exist yet: postgres://USER@HOST:PORT/NAME, or mariadb://…",
)
@click.option("--password-env", metavar="NAME", help="with --into: the variable with the password")
@click.option("--yes", metavar="PRACTICE", help="with --into: the practice's id, already typed")
@click.option("--why", metavar="TEXT", help="for what, for whoever reads the record")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes them by name
    context: Context,
    practice: str | None,
    system: str | None,
    assets: tuple[str, ...],
    point: str | None,
    at: str | None,
    repository: str | None,
    asked: str | None,
    path_file: Path | None,
    directory: Path | None,
    into: str | None,
    password_env: str | None,
    yes: str | None,
    *,
    why: str | None,
    _json: bool,
) -> ExitCode:
    """Restore a recovery point of one system to a new directory, and say what to do with it.

    A database comes back as a data directory that is ready to start, a file, or an archive with the
    exact command that loads it. Nothing that exists is ever written over.

    With --path only single files or folders of files and shares come back. Their paths are never
    given as arguments, where other programs and the shell's history would see them: `dro find`
    finds a file without its path being typed at all.

    With --into one database is loaded into a new one on a server, once the practice's id was typed.

    Exit codes: 0 all restored; 3 some of it could not be, or is not in the recovery point, or is
    not what was captured; 1 nothing could be; with --into also 2 not confirmed, or it would go over
    something, and 4 it cannot be loaded there, whatever the backup is worth.
    """
    address = None
    if into is not None:
        from dr_orchestrator.sandbox.live import LiveAddress

        address = LiveAddress.parse(into)
    if (directory is None) == (address is None):
        raise UsageMistake(
            "where to is not said, or said twice", hint="give either --to DIR or --into URL"
        )
    files = _files(asked, path_file, into)
    loaded = context.one_plan(practice)
    name = one_system(loaded, system)
    swept = context.sweep()
    context.app.note_promise(loaded)
    chosen = choose(context, loaded, name, point=point, at=at, repository=repository, assets=assets)
    if asked is not None:
        files = _typed_paths()
    if address is not None:
        from dr_orchestrator.cli.restore_into import restore_into

        code = restore_into(
            context,
            loaded.plan,
            chosen,
            address,
            assets=assets,
            password_env=password_env,
            yes=yes,
            why=why,
        )
        return most_important((*swept, code))
    assert directory is not None  # noqa: S101 - one of the two was said
    reason = printable(asked_why(context) if why is None else why)
    code = restore_to(
        context, loaded.plan, chosen, directory, assets=assets, files=files, why=reason
    )
    return most_important((*swept, code))


def restore_to(
    context: Context,
    plan: Plan,
    chosen: ChosenPoint,
    directory: Path,
    *,
    assets: tuple[str, ...],
    files: tuple[str, ...],
    why: str,
) -> ExitCode:
    """Restore a point, or single files of it, to a new directory; show what came of it."""
    from dr_orchestrator.restore.restore import RestoreToDirectory

    target = claim_new_directory(directory.absolute())
    request = RestoreToDirectory(
        plan=plan,
        point=chosen.point,
        repository=chosen.repository,
        assets=assets,
        target=target,
        by=person(None),
        why=why,
        files=files,
    )
    try:
        with ProgressLine(f"{chosen.point.system}: restoring") as line:
            result = context.app.restore(request, line.update)
    finally:
        with contextlib.suppress(OSError):  # holds something: then it stays
            target.path.rmdir()
    _show(context, result, files)
    context.print_json_if_asked(_json_of(result))
    if not result.failures and not result.missing:
        return ExitCode.OK
    return ExitCode.PARTIAL if result.restored else ExitCode.FAILED


def _files(asked: str | None, path_file: Path | None, into: str | None) -> tuple[str, ...]:
    """Return the paths that a file names; nothing where none are, or will be asked for."""
    if asked not in {None, _ASK}:
        raise UsageMistake(
            "a path is not given as an argument: other programs and the shell's history see those",
            hint="--path alone, after the practice, asks for it; --path-file reads some from a "
            "file; `dro find` finds a file by a part of its name",
        )
    if into is not None and (asked or path_file):
        raise UsageMistake("single files do not go into a database", hint="say --to instead")
    if asked is None and path_file is None:
        return ()
    if asked is not None and path_file is not None:
        raise UsageMistake("--path and --path-file both say which", hint="leave one of them out")
    return () if path_file is None else _paths(path_file.read_bytes())


def _typed_paths() -> tuple[str, ...]:
    if not sys.stdin.isatty():
        return _paths(sys.stdin.buffer.read())
    click.echo("which files or folders? a path a line, an empty line ends", err=True)
    lines = []
    while line := sys.stdin.buffer.readline().strip(b"\r\n"):
        lines.append(line)
    return _paths(b"\n".join(lines))


def _paths(content: bytes) -> tuple[str, ...]:
    """Return the paths in a text, one a line.

    Raises:
        UsageMistake: there is none.
    """
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
    paths = tuple(dict.fromkeys(as_listed(line) for line in lines if line))
    if not paths:
        raise UsageMistake("no path was given", hint="one a line, as `dro find` shows them")
    return paths


def _show(context: Context, result: RestoreResult, named: tuple[str, ...]) -> None:
    for restored in result.restored:
        files = f", {count_words(restored.files, 'file')}" if restored.files is not None else ""
        context.say(f"{restored.asset}: {restored.place}{files}")
        for step in restored.next_steps:
            context.say(f"  {step}")
    for asset, error in result.failures.items():
        click.echo(f"error: {asset}: {error}", err=True)
    if not result.missing:
        return
    numbers = ", ".join(str(named.index(path) + 1) for path in result.missing)
    click.echo(
        f"error: {count_words(len(result.missing), 'path')} not in this recovery point: "
        f"of those given, number {numbers}",
        err=True,
    )
    if sys.stderr.isatty():  # else it may end up in a log
        for path in result.missing:
            click.echo(f"  {printable(path)}", err=True)
    click.echo(
        "hint: the asset's name is no part of a path; `dro find` looks for them in all recovery "
        "points",
        err=True,
    )


def _json_of(result: RestoreResult) -> dict[str, object]:
    return {
        "point": result.point.id,
        "system": result.point.system,
        "repository": result.repository,
        "as_of": result.point.as_of,
        "restored": {
            each.asset: {"path": str(each.place), "next": list(each.next_steps)}
            | ({} if each.files is None else {"files": each.files})
            for each in result.restored
        },
        "failures": [
            {"system": result.point.system, "asset": asset, "reason": error.message}
            for asset, error in result.failures.items()
        ],
        "missing": list(result.missing),
    }
