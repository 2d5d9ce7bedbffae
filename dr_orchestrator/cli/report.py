"""`dro report`: write the practice manager's page, or the page of all sites."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import from_places
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.report.write import page_of, write_page

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context

_SUFFIX = ".html"
_SITES = f"sites{_SUFFIX}"


@click.command(
    epilog="""\b
Examples:
  dro report riverside --out /srv/reports
  dro report riverside --json
  dro report --from s3://msp-status/dro --out /srv/reports/morning.html
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@from_places
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="folder of the pages; with --from also a file that ends in .html",
)
@click.option("--json", "_json", is_flag=True, help="print what is on the pages as one JSON object")
@click.pass_obj
def command(
    context: Context,
    practices: tuple[str, ...],
    places: tuple[str, ...],
    out: Path | None,
    *,
    _json: bool,
) -> ExitCode:
    """Write DIR/PRACTICE.html: what was promised, kept and proven; all, if none is named.

    With --from, write DIR/sites.html: every site that publishes there, what needs a person first.
    No plan and no key of a repository is needed.

    A page is a single file without script. It holds no patient data and prints; that of a practice
    on one sheet. With --json and without --out nothing is written.

    Exit codes: 0 written, whatever the page says; 2 this user cannot write to DIR. With --from, as
    of `dro status --from`: 0, 4, 5, and 1 for a place that cannot be read.
    """
    if practices and places:
        raise UsageMistake("--from shows every site", hint="leave the practices out")
    if out is None and not context.json:
        raise UsageMistake("where to write the page is not said", hint="add --out DIR")
    return _many_sites(context, places, out) if places else _pages(context, practices, out)


def _pages(context: Context, practices: tuple[str, ...], out: Path | None) -> ExitCode:
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


def _many_sites(context: Context, places: tuple[str, ...], out: Path | None) -> ExitCode:
    from dr_orchestrator.cli.status import read_sites, sites_exit_code, sites_json
    from dr_orchestrator.fleet.page import render_sites
    from dr_orchestrator.sheet.write import write_sheet

    now = context.clock.now()
    fleet = read_sites(context, places, now)
    content = sites_json(fleet, now)
    if out is not None:
        path = out if out.suffix == _SUFFIX and not out.is_dir() else out / _SITES
        write_sheet(path, render_sites(fleet, now))
        content["path"] = str(path)
        context.say(str(path))
    context.print_json_if_asked(content)
    return sites_exit_code(fleet, now)
