"""`dro report`: write the practice manager's page."""

from __future__ import annotations

import errno
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.errors import ExitCode, SpaceExhausted, UsageMistake

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.report.model import Page
    from dr_orchestrator.store.base import Store


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


def page_of(store: Store, loaded: LoadedPlan, now: datetime) -> Page:
    """Return the page on one practice, as of `now`."""
    from dr_orchestrator.compliance.judge import judge
    from dr_orchestrator.report.page import build_page

    record = store.practice_record(loaded.plan.practice.id)
    findings = judge(loaded.plan, record, now)
    return build_page(loaded.plan, findings, record, now, plan_sha256=loaded.sha256)


def write_page(page: Page, folder: Path) -> Path:
    """Write a page into `folder` and return where it is."""
    from dr_orchestrator.report.html import render_html

    path = folder / f"{page.practice}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, render_html(page))
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        if error.errno == errno.ENOSPC:
            raise SpaceExhausted(message) from None
        raise UsageMistake(message, hint="name a folder this user may write to") from None
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path`, all of it or nothing, and on disk when this returns.

    Whoever reads meanwhile sees the file before or the file after. A link at `path` is replaced,
    not followed.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
