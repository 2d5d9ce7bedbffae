"""`dro report`: write the practice manager's page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.report.write import page_of, write_page

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context


@click.command(
    epilog="""\b
Examples:
  dro report riverside --out /srv/reports
  dro report riverside --json
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="folder of the pages")
@click.option("--json", "_json", is_flag=True, help="print the pages as one JSON object")
@click.pass_obj
def command(
    context: Context, practices: tuple[str, ...], out: Path | None, *, _json: bool
) -> ExitCode:
    """Write DIR/PRACTICE.html: what was promised, kept and proven; all, if none is named.

    The page is a single file without script. It holds no patient data and prints on one sheet. With
    --json and without --out nothing is written.

    Exit codes: 0 written, whatever the page says; 2 this user cannot write to DIR.
    """
    if out is None and not context.json:
        raise UsageMistake("where to write the page is not said", hint="add --out DIR")
    pages: list[dict[str, object]] = []
    for loaded in context.plans(practices):
        page = page_of(context.store(), loaded, context.clock.now())
        content: dict[str, object] = asdict(page)
        if out is not None:
            content["path"] = str(write_page(page, out))
            context.say(str(content["path"]))
        pages.append(content)
    context.print_json_if_asked({"pages": pages})
    return ExitCode.OK
