"""`dro recover`: on an empty machine, with nothing but a repository and its key."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli import incident
from dr_orchestrator.cli.backup import point_json
from dr_orchestrator.cli.evidence_verify import digits
from dr_orchestrator.cli.options import (
    REST_PASSWORD,
    REST_USER,
    person,
    told_by_location,
    whole_location,
)
from dr_orchestrator.cli.output import say_error
from dr_orchestrator.cli.recover_words import (
    evidence_faults,
    found_lines,
    listed_lines,
    next_lines,
)
from dr_orchestrator.cli.would_run import read_by_a_person, would_read, would_run
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import count_words, printable
from dr_orchestrator.custody.key_groups import looks_like_groups, read_groups
from dr_orchestrator.errors import ExitCode, TargetRefused, UsageMistake
from dr_orchestrator.plan.document import read_file
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.runbook.shelf import shipped_folder
from dr_orchestrator.settings import settings_in
from dr_orchestrator.takeover.found import practices_in, read_practice
from dr_orchestrator.takeover.recover import (
    Opened,
    Recovery,
    repository_name,
    require_harmless,
    write_folder,
)
from dr_orchestrator.takeover.recovered_folder import RecoveredFolder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.takeover.found import FoundPractice
    from dr_orchestrator.takeover.recovered_folder import Origin


@click.command(
    epilog="""\b
Examples:
  dro recover /media/usb/riverside
  dro recover s3:https://s3.us-east-2.amazonaws.com/riverside-dr --to /srv/recovered
  dro recover /media/usb/all --practice riverside --to /srv/recovered --password-file key
"""
)
@click.argument("location")
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="write plan, runbooks, keys, evidence and settings there; left out: only list",
)
@click.option("--practice", metavar="ID", help="needed where the repository holds several")
@click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="a file with the key; asked for unless given",
)
@click.option(
    "--repository", metavar="ID", help="what the plan calls it, where that cannot be told"
)
@click.option("--point", metavar="ID", help="take plan and runbooks of this recovery point")
@click.option(
    "--evidence-key",
    "keys",
    metavar="FINGERPRINT",
    multiple=True,
    callback=digits,
    help="believe no evidence that another key signed; may be given again",
)
@click.option(
    "--trust-commands",
    is_flag=True,
    help="let commands run and secrets be read: you have read the list",
)
@click.option("--by", metavar="NAME", help="who does this; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_context
def command(  # noqa: PLR0917 - click passes them by name
    ctx: click.Context,
    location: str,
    folder: Path | None,
    practice: str | None,
    password_file: Path | None,
    repository: str | None,
    point: str | None,
    keys: tuple[str, ...],
    *,
    trust_commands: bool,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """List what the restic repository at LOCATION holds, and write all it takes to go on from it.

    For the day on which plan, settings, runbooks and state are gone. Keys of S3 are found where
    AWS's own programs find them, the login of a REST server in RESTIC_REST_USERNAME and
    RESTIC_REST_PASSWORD. Nothing in the repository is changed. Commands in plan and runbooks do
    not run, and no secret of this machine that the plan names is read, until somebody has read
    the list.

    Exit codes: 0 done; 3 done, but some manifests or some of the evidence cannot be used; 1 it
    cannot be read; 2 there is nothing of ours, or it is not said which practice.
    """
    context: Context = ctx.obj
    place = whole_location(location)
    target = None if folder is None else RecoveredFolder(folder.absolute())
    begun = target.begun(place) if target else None
    opened = _opened(context, place, password_file)
    if target is None:
        return _only_list(context, opened)
    found = _find(context, opened, practice, point, begun=begun, keys=keys)
    if not trust_commands:
        require_harmless(found)
    name = repository_name(found, place, repository)
    _say(context, found_lines(found, is_key_known=bool(keys)))
    commands = would_run(found.loaded.plan, found.runbooks)
    reads = would_read(found.loaded.plan, name)
    is_nothing = not commands and not reads
    allowed = is_nothing or trust_commands or read_by_a_person(commands, reads)
    recovery = Recovery(
        found=found,
        opened=opened,
        repository=name,
        folder=target,
        commands_allowed=allowed or not commands,
        reads_allowed=allowed,
    )
    write_folder(recovery)
    code = _remember(context, recovery, person(by), commands, reads)
    if _wants_triage(context, found.practice):
        ctx.invoke(incident.command, practice=found.practice)
    return code


# --- getting at it --------------------------------------------------------------------------------


def _opened(context: Context, place: str, password_file: Path | None) -> Opened:
    settings = context.settings
    user = settings.environment_value(REST_USER) if place.startswith("rest:") else None
    password = settings.environment_value(REST_PASSWORD) if user else None
    return Opened(
        location=place,
        password=_key_in(context, password_file) if password_file else _typed_key(),
        rest_user=user or "",
        rest_password=Secret(password) if password else None,
    )


def _key_in(context: Context, file: Path) -> Secret:
    return context.app.secrets.read(SecretReference(file=str(file.absolute())))


def _typed_key() -> Secret:
    """Ask for the key: that of a sheet until it is as it was printed, any other as it is."""
    if not sys.stdin.isatty():
        raise UsageMistake("nobody is there to type the key", hint="--password-file FILE")
    while True:
        typed = str(click.prompt("the key (it is not shown)", hide_input=True, err=True))
        if not looks_like_groups(typed):
            return Secret(typed)
        try:
            return read_groups(typed)
        except UsageMistake as error:
            say_error(error)
            click.echo("a key that is no key of a sheet: --password-file FILE", err=True)


@contextmanager
def _repository(context: Context, opened: Opened) -> Iterator[Repository]:
    """Open it beside all that this machine has: nothing of it is on record yet."""
    with tempfile.TemporaryDirectory(prefix="dro-recover-") as scratch:
        state, cache = Path(scratch, "state"), Path(scratch, "cache")
        app = context.work_with(replace(context.settings, state=state, cache=cache))
        asked = SecretReference(env="RESTIC_PASSWORD"), SecretReference(env=REST_PASSWORD)
        try:
            spec = opened.as_in_a_plan(*asked)
            with told_by_location(opened.location):
                yield app.repositories.outside(printable(opened.location), spec, opened.password)
        finally:
            context.close()


def _only_list(context: Context, opened: Opened) -> ExitCode:
    with _repository(context, opened) as repository:
        listed = practices_in(repository.snapshots({}))
    _say(context, listed_lines(opened.location, listed))
    _require_ours(listed, opened.location)
    context.say("hint: --to DIR writes all it takes to go on from it")
    practices = {practice: [vars(each) for each in points] for practice, points in listed.items()}
    context.print_json_if_asked({"location": opened.location, "practices": practices})
    return ExitCode.OK


def _find(
    context: Context,
    opened: Opened,
    practice: str | None,
    point: str | None,
    *,
    begun: Origin | None,
    keys: Collection[str],
) -> FoundPractice:
    with _repository(context, opened) as repository:
        listed = practices_in(repository.snapshots({}))
        _say(context, listed_lines(opened.location, listed))
        _require_ours(listed, opened.location)
        name = practice or (begun.practice if begun else None) or _the_only(listed)
        if begun is not None and begun.practice != name:
            raise TargetRefused(
                f"this folder is of a recovery of {printable(begun.practice)}",
                hint="name one that does not exist yet: each practice has its own",
            )
        if name not in listed:
            raise UsageMistake(
                f"there is no practice {name}", hint=f"there are: {', '.join(listed)}"
            )
        wanted = point or (begun.point if begun else "")
        found = read_practice(repository, name, context.clock.now(), point=wanted, keys=keys)
    return replace(found, runbooks=_not_ours(found.runbooks))


def _not_ours(runbooks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return those that are not, word for word, what we ship: ours are here anyhow."""
    shipped = shipped_folder()
    return {
        name: content
        for name, content in runbooks.items()
        if read_file(shipped / name)[0] != content
    }


def _require_ours(listed: Collection[str], location: str) -> None:
    if not listed:
        raise UsageMistake(
            "the repository opens, and holds no recovery point of ours",
            hint=f"what another tool saved there: dro adopt {location}",
        )


def _the_only(listed: Collection[str]) -> str:
    if len(listed) > 1:
        raise UsageMistake("which practice?", hint=f"--practice is one of: {', '.join(listed)}")
    (name,) = listed
    return name


# --- what would run -------------------------------------------------------------------------------


# --- going on from it -----------------------------------------------------------------------------


def _remember(
    context: Context,
    recovery: Recovery,
    by: str,
    commands: Collection[str],
    reads: Collection[str],
) -> ExitCode:
    found, folder = recovery.found, recovery.folder
    app = context.work_with(settings_in(folder.settings))
    (loaded,) = app.plans((found.practice,))
    troubles = app.remember_recovered(found, by=by)
    context.say(f"reading {count_words(len(found.points), 'recovery point')} back")
    result = app.rebuild(loaded.plan, recovery.repository)
    folder.finish(replace(recovery.origin, finished=True))
    for each in troubles:
        click.echo(f"error: the evidence: {printable(each)}", err=True)
    for snapshot, why in result.unusable:
        click.echo(f"error: manifest {snapshot}: {printable(why)}", err=True)
    _say(context, next_lines(recovery, len(result.points)))
    context.print_json_if_asked(
        {
            "location": recovery.opened.location,
            "practice": found.practice,
            "repository": recovery.repository,
            "settings": str(folder.settings),
            "point": recovery.origin.point,
            "points": [point_json(point) for point in result.points],
            "failures": [{"snapshot": each, "reason": why} for each, why in result.unusable],
            "evidence": {
                "sound": bool(found.evidence.chains) and not evidence_faults(found),
                "faults": [*evidence_faults(found), *troubles],
            },
            "doubts": list(found.doubts),
            "commands": list(commands),
            "commands_allowed": recovery.commands_allowed,
            "reads": list(reads),
            "withheld": {field: str(file) for field, file in recovery.withheld.items()},
        }
    )
    bad = result.unusable or troubles or evidence_faults(found)
    return ExitCode.PARTIAL if bad else ExitCode.OK


def _wants_triage(context: Context, practice: str) -> bool:
    if context.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return click.confirm(f"find out what has happened now (dro incident {practice})?")


def _say(context: Context, lines: Iterable[str]) -> None:
    for line in lines:
        context.say(line)
