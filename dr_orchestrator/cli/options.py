"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import getpass
import re
import sys

import click

from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.repositories.restic_location import local_path

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
    if yes is None:
        click.echo("type the practice's id to go on: ", nl=False, err=True)
        yes = sys.stdin.readline().strip()
    if yes != practice:
        raise UsageMistake(
            "not confirmed: nothing was changed",
            hint=f"type {practice} when asked, or say `--yes {practice}`",
        )


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
