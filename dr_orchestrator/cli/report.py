"""`dro report`: write reports for each reader, or the page of all sites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dr_orchestrator.cli.options import from_places
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.plan.model import Reader
from dr_orchestrator.report.write import Form, file_name, json_of, report_for, write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.report.write import Report

_SUFFIX = ".html"
_SITES = f"sites{_SUFFIX}"
_FLEET = "fleet"

_Word = TypeVar("_Word", Reader, Form)


def _several(
    kind: type[_Word],
) -> Callable[[click.Context, click.Parameter, str], tuple[_Word, ...]]:
    """Return what reads several words of a kind, with commas between them."""

    def read(_context: click.Context, _option: click.Parameter, value: str) -> tuple[_Word, ...]:
        words = [word.strip() for word in value.split(",")]
        known = [each.value for each in kind]
        for word in words:
            if word not in known:
                raise click.BadParameter(f"{word or 'nothing'} is none of {', '.join(known)}")
        return tuple(kind(word) for word in dict.fromkeys(words))

    return read


@click.command(
    epilog="""\b
Examples:
  dro report riverside --out /srv/reports
  dro report riverside --for auditor,insurer --format pdf --out /srv/handover
  dro report --fleet --out /srv/reports
  dro report --from s3://msp-status/dro --out /srv/reports/morning.html
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@from_places
@click.option(
    "--for",
    "readers",
    default=Reader.MANAGER.value,
    show_default=True,
    metavar="READER,...",
    callback=_several(Reader),
    help="manager, auditor, insurer, engineer",
)
@click.option(
    "--format",
    "forms",
    default=Form.HTML.value,
    show_default=True,
    metavar="FORM,...",
    callback=_several(Form),
    help="html, pdf, json",
)
@click.option("--fleet", is_flag=True, help="one report on all these practices together")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="folder of the reports; with --from also a file that ends in .html",
)
@click.option("--json", "_json", is_flag=True, help="print what is in them as one JSON object")
@click.pass_obj
def command(
    context: Context,
    practices: tuple[str, ...],
    places: tuple[str, ...],
    *,
    readers: tuple[Reader, ...],
    forms: tuple[Form, ...],
    fleet: bool,
    out: Path | None,
    _json: bool,
) -> ExitCode:
    """Write DIR/PRACTICE.html: what was promised, kept and proven; all, if none is named.

    With --for, reports for others too, as DIR/PRACTICE.auditor.html. With --fleet, DIR/fleet.html:
    how all practices of this machine stand, and what became of their restore tests over six years.

    With --from, write DIR/sites.html: every site that publishes there, what needs a person first.
    No plan and no key of a repository is needed.

    A report is a single file without script, and holds no patient data. That of the manager prints
    on one sheet. With --json and without --out nothing is written.

    Exit codes: 0 written, whatever they say; 2 this user cannot write to DIR; 4 a PDF was asked
    for, and this machine can make none. With --from, as of `dro status --from`: 0, 4, 5, and 1 for
    a place that cannot be read.
    """
    if practices and places:
        raise UsageMistake("--from shows every site", hint="leave the practices out")
    if fleet and places:
        raise UsageMistake("--fleet is about this machine, --from about others", hint="name one")
    if out is None and not context.json:
        raise UsageMistake("where to write the page is not said", hint="add --out DIR")
    if places:
        return _many_sites(context, places, out)
    writing = _Writing(context, forms, out)
    return writing.fleet(practices) if fleet else writing.reports(practices, readers)


class _Writing:
    """Reports on their way to files, or to JSON."""

    def __init__(self, context: Context, forms: tuple[Form, ...], out: Path | None) -> None:
        self._context = context
        self._forms = forms
        self._out = out

    def reports(self, practices: tuple[str, ...], readers: tuple[Reader, ...]) -> ExitCode:
        pages: list[dict[str, Any]] = []
        documents: list[dict[str, Any]] = []
        for loaded in self._context.plans(practices):
            subject = self._context.subject(loaded)
            for reader in readers:
                report = report_for(reader, subject)
                found = self._written(report, loaded.plan.practice.id, reader, subject.now)
                (pages if reader is Reader.MANAGER else documents).append(found)
        self._context.print_json_if_asked({"pages": pages, "reports": documents})
        return ExitCode.OK

    def fleet(self, practices: tuple[str, ...]) -> ExitCode:
        from dr_orchestrator.report.fleet import fleet_document
        from dr_orchestrator.report.gather import gather_fleet

        now = self._context.clock.now()
        plans = self._context.plans(practices)
        report = fleet_document(gather_fleet(self._context.store(), plans, now))
        self._context.print_json_if_asked({"fleet": self._written(report, _FLEET, None, now)})
        return ExitCode.OK

    def _written(
        self, report: Report, name: str, reader: Reader | None, now: datetime
    ) -> dict[str, Any]:
        """Write a report in each form; return what is in it, and where it is."""
        content = json_of(report)
        if self._out is None:
            return content
        paths = []
        for form in self._forms:
            path = self._out / file_name(name, reader, form)
            write_report(report, form, now, path)
            self._context.say(str(path))
            paths.append(str(path))
        return {**content, "path": paths[0], "paths": paths}


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
