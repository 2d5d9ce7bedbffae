"""Lines for people: weight and colour on a terminal that wants them, plain text everywhere else.

Nothing is said by colour alone. `rich` honours NO_COLOR and TERM, and is imported only where there
is a terminal to write to.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.finding import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.errors import DroError

STYLES = {Verdict.MET: "green", Verdict.BREACHED: "bold red", Verdict.UNPROVEN: "yellow"}
TITLE = "bold"


@dataclass(frozen=True)
class Span:
    """Text within a line, and how it looks on a terminal."""

    text: str
    style: str = ""


def say_error(error: DroError) -> None:
    """Print on stderr what went wrong, and what to do."""
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def print_lines(lines: Iterable[tuple[Span, ...]], *, err: bool) -> None:
    """Print lines to stdout, or to stderr where stdout takes JSON."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        for line in lines:
            click.echo("".join(span.text for span in line).rstrip(), err=err)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((span.text, span.style) for span in line)))
