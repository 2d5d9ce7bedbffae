"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import getpass

import click

from dr_orchestrator.core.wording import printable

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
