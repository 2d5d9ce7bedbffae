"""`dro adopt`: a first plan for what another tool saves already, tested as it is."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dr_orchestrator.cli.backup import back_up
from dr_orchestrator.cli.each_repository import EXIT
from dr_orchestrator.cli.options import REST_PASSWORD, REST_USER, told_by_location, whole_location
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from dr_orchestrator.adopt.guesses import Guess
    from dr_orchestrator.adopt.snapshots import Group
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.repositories.base import Repository

_NO_ID = re.compile(r"[^a-z0-9_-]+")
_LIST_TIMEOUT = timedelta(hours=2)


@click.command(
    epilog="""\b
Examples:
  dro adopt /srv/restic/riverside --password-file /root/restic.key
  dro adopt s3:https://s3.us-east-2.amazonaws.com/riverside --practice riverside
"""
)
@click.argument("location")
@click.option(
    "--practice", metavar="ID", help="of the plan; the location's last word unless stated"
)
@click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="a file with the repository's password: the plan refers to it",
)
@click.option(
    "--password-command",
    metavar="COMMAND",
    help="a program and its arguments that print it: the plan refers to them",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the plan there; into the plans folder unless stated",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(  # noqa: PLR0917 - click passes them by name
    context: Context,
    location: str,
    practice: str | None,
    password_file: Path | None,
    password_command: str | None,
    out: Path | None,
    *,
    _json: bool,
) -> ExitCode:
    """Look into the restic repository at LOCATION, and write a plan that tests what is there.

    Nothing in the repository is changed, and no lock is left. Without an option for the password
    RESTIC_PASSWORD_FILE, RESTIC_PASSWORD_COMMAND and RESTIC_PASSWORD are looked for, as restic does
    it; else it is asked for, and kept in a file beside the plans that only you can read. Keys of S3
    are found where AWS's own programs find them, the login of a REST server in RESTIC_REST_USERNAME
    and RESTIC_REST_PASSWORD. What the snapshots are is guessed by names and sizes.

    Exit codes: 0 done; 3 the plan is written, and part of it was not found again; 1 the repository
    cannot be read; 2 something is in the way, or nothing is there.
    """
    from dr_orchestrator.adopt.adopted_plan import Adopted, adopted_plan
    from dr_orchestrator.plan.first import absolute, place_for_keys, write_new_plan
    from dr_orchestrator.settings import machine_zone

    place = whole_location(location)
    practice = practice or _id_of(place)
    plan = absolute(out or context.settings.plans / f"{practice}.yaml")
    key = place_for_keys(plan) / practice
    referred = _referred(context, password_file, password_command)
    typed = None if referred else _typed()
    stated = _stated(context, place, referred or {"file": str(key)})
    zone = machine_zone()
    looks: list[_Looked] = []

    def describe() -> str:
        looked = _look(context, stated, typed)
        looks.append(looked)
        for group in looked.groups:
            _say_group(context, group, looked, zone)
        adopted = Adopted(
            practice=practice,
            timezone=zone.key,
            repository=looked.repository,
            stated=stated,
            found=looked.found,
            left_out=looked.ended,
        )
        return adopted_plan(adopted, zone)

    write_new_plan(practice, plan, {key: typed} if typed else {}, describe)
    (looked,) = looks
    context.say(f"wrote {plan}: edit the lines marked DECIDE")
    if typed:
        context.say(f"wrote {key}: the repository's password, for your user alone to read")
    points, code = _note(context, plan)
    called = str(plan) if out else practice
    context.say(f"then: dro test {called}")
    context.say("      say in the plan what must be in it (`verify`), and test again")
    context.say(f"      dro status {called}")
    context.print_json_if_asked(
        {
            "plan": str(plan),
            "key": str(key) if typed else None,
            "groups": [_group_json(group, looked) for group in looked.groups],
            "points": points,
        }
    )
    return code


@dataclass(frozen=True)
class _Looked:
    """What there is."""

    repository: str
    """What the plan calls it."""
    groups: tuple[Group, ...]
    ended: tuple[Group, ...]
    """Those whose job seems to run no more."""
    found: tuple[tuple[Guess, Group], ...]

    def of(self, group: Group) -> tuple[Guess, ...]:
        """Return what a group seems to hold."""
        return tuple(guess for guess, each in self.found if each is group)


def _look(context: Context, stated: Mapping[str, Any], typed: Secret | None) -> _Looked:
    from dr_orchestrator.adopt.snapshots import group_snapshots, has_ended
    from dr_orchestrator.plan.model import RepositorySpec

    spec = RepositorySpec.model_validate(stated)
    name = "offsite" if spec.is_elsewhere else "onsite"
    password = typed or context.app.secrets.read(spec.password)
    repository = context.app.repositories.outside(name, spec, password)
    with told_by_location(spec.location):
        repository.identity()
    groups = group_snapshots(repository.snapshots({}))
    if not groups:
        raise UsageMistake(
            f"nothing in {printable(spec.location)} was saved by another tool",
            hint="`dro recover` goes on from what we saved ourselves",
        )
    ended = tuple(each for each in groups if has_ended(each, groups[0].newest.time))
    found = tuple(
        (guess, group)
        for group in groups
        if group not in ended
        for guess in _guessed(context, repository, group)
    )
    if not found:
        raise UsageMistake(
            f"the newest snapshots in {printable(spec.location)} hold no files",
            hint="`restic ls latest` shows what they hold",
        )
    return _Looked(name, groups, ended, found)


def _guessed(context: Context, repository: Repository, group: Group) -> tuple[Guess, ...]:
    from dr_orchestrator.adopt.guesses import Contents, guesses

    context.say(f"looking into snapshot {group.newest.id[:8]} …")
    contents = Contents(group.paths)
    repository.list_files(group.newest.id, contents.take, timeout=_LIST_TIMEOUT)
    return tuple(guesses(contents.roots()))


def _note(context: Context, plan: Path) -> tuple[int, ExitCode]:
    """Put the points on record; return how many there are, and what that does to the exit code."""
    from dr_orchestrator.plan.load import load_plan

    loaded = load_plan(plan)
    codes, points = [*context.sweep()], 0
    context.app.note_promise(loaded)
    for system in loaded.plan.protected:
        result = back_up(context, loaded, system, None)
        codes.append(EXIT[result.outcome])
        points += result.existing.points if result.existing else 0
    return points, most_important(codes)


def _id_of(place: str) -> str:
    """Return an id for the practice out of the last word of a location."""
    words = [_NO_ID.sub("-", word.lower()).strip("-_0123456789") for word in place.split("/")]
    return next((word[:40] for word in reversed(words) if word), "practice")


def _referred(context: Context, file: Path | None, command: str | None) -> dict[str, object] | None:
    """Return the reference to the password that was given, or that restic itself would use."""
    if file is not None and command is not None:
        raise UsageMistake("--password-file and --password-command name it twice")
    value = context.settings.environment_value
    if file is None and command is None:
        named = value("RESTIC_PASSWORD_FILE")
        file, command = Path(named) if named else None, value("RESTIC_PASSWORD_COMMAND")
    if file is not None:
        return {"file": str(file.absolute())}
    if command:
        return {"command": shlex.split(command)}
    return {"env": "RESTIC_PASSWORD"} if value("RESTIC_PASSWORD") else None


def _typed() -> Secret:
    if not sys.stdin.isatty():
        raise UsageMistake("nobody is there to type the password", hint="--password-file FILE")
    return Secret(str(click.prompt("password of the repository", hide_input=True, err=True)))


def _stated(context: Context, place: str, password: dict[str, object]) -> dict[str, Any]:
    """Return what the plan says of the repository."""
    stated: dict[str, Any] = {"location": place, "password": password}
    user = context.settings.environment_value(REST_USER) if place.startswith("rest:") else None
    if user:
        stated["credentials"] = {"user": user, "password": {"env": REST_PASSWORD}}
    return stated


def _say_group(context: Context, group: Group, looked: _Looked, zone: tzinfo) -> None:
    from dr_orchestrator.adopt.adopted_plan import count_of, group_words

    context.say(printable(group_words(group)))
    context.say(f"  {count_of(group, zone)}")
    if group in looked.ended:
        context.say("  left out: nothing was saved lately")
    elif not looked.of(group):
        context.say("  left out: it holds no files, or none that a plan can name")
    for guess in looked.of(group):
        context.say(f"  {guess.kind.value} {printable(guess.path)}: {guess.why}")


def _group_json(group: Group, looked: _Looked) -> dict[str, object]:
    return {
        "host": group.host,
        "paths": list(group.paths),
        "tags": sorted(group.tags),
        "snapshots": len(group.snapshots),
        "first": group.snapshots[0].time,
        "newest": group.newest.time,
        "every_seconds": group.every and group.every.total_seconds(),
        "ended": group in looked.ended,
        "assets": [
            {"kind": each.kind.value, "path": each.path, "bytes": each.bytes}
            for each in looked.of(group)
        ],
    }
