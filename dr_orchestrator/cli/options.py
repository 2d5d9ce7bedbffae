"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import getpass
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import RepositoryAbsent, UsageMistake, WrongPassword
from dr_orchestrator.repositories.restic_location import local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

REST_USER, REST_PASSWORD = "RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"
"""The login of a REST server, by the names that restic itself knows."""
_LOGIN = re.compile(r"://[^/@\s]*@")

from_places = click.option(
    "--from",
    "places",
    multiple=True,
    metavar="PLACE",
    help="what many sites published in this folder or s3://BUCKET/PREFIX; may be given again",
)


def person(by: str | None) -> str:
    """Return who acts, as `--by` says; the login name unless stated."""
    return printable(by or getpass.getuser())


def confirm(practice: str, yes: str | None) -> None:
    """Let a person type the practice's id, unless `--yes` said it: it is the one that is changed.

    Raises:
        UsageMistake: it is another one.
    """
    if (typed_practice(practice) if yes is None else yes) != practice:
        raise UsageMistake(
            "not confirmed: nothing was changed",
            hint=f"type {practice} when asked, or say `--yes {practice}`",
        )


def typed_practice(practice: str) -> str:
    """Return what is typed where the practice's id is wanted: a line of stdin, which is asked for
    at a terminal only.

    Raises:
        UsageMistake: nobody is there to type it.
    """
    if sys.stdin.isatty():
        click.echo("type the practice's id to go on: ", nl=False, err=True)
    elif not (typed := sys.stdin.readline().strip()):
        raise UsageMistake(
            "nobody is there to type the practice's id: nothing was changed",
            hint=f"--yes {practice}",
        )
    else:
        return typed
    return sys.stdin.readline().strip()


@contextmanager
def told_by_location(location: str) -> Iterator[None]:
    """Name a repository that is in no plan by where it is, in the two errors of a slip of the hand.

    Raises:
        WrongPassword, RepositoryAbsent: as they came, in these words.
    """
    try:
        yield
    except WrongPassword:
        raise WrongPassword(
            f"the repository at {printable(location)} does not open with this password",
            hint="is it typed as on the key sheet, and is it the key of this repository?",
        ) from None
    except RepositoryAbsent:
        raise RepositoryAbsent(
            f"there is no repository at {printable(location)}",
            hint="is it typed right, and is its disk mounted?",
        ) from None


def whole_location(location: str) -> str:
    """Return the location of a repository that somebody typed: of a folder, its full path.

    Raises:
        UsageMistake: it has a login in it, which others on this machine could read.
    """
    if _LOGIN.search(location) and location.startswith("rest:"):
        raise UsageMistake(
            "the location has a login in it, which everybody on this machine can read",
            hint=f"leave it away, and set {REST_USER} and {REST_PASSWORD}",
        )
    folder = local_path(location)
    return location if folder is None else str(folder.absolute())
