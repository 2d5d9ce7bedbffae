"""The practice manager's page, from the record to a file in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.sheet.write import write_sheet

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.report.model import Page
    from dr_orchestrator.store.base import Store


def page_of(store: Store, loaded: LoadedPlan, now: datetime) -> Page:
    """Return the page on one practice, as of `now`."""
    from dr_orchestrator.compliance.judge import judge
    from dr_orchestrator.report.page import build_page

    record = store.practice_record(loaded.plan.practice.id)
    findings = judge(loaded.plan, record, now)
    return build_page(loaded.plan, findings, record, now, plan_sha256=loaded.sha256)


def write_page(page: Page, folder: Path) -> Path:
    """Write a page into `folder` and return where it is.

    Raises:
        SpaceExhausted: the disk is full.
        UsageMistake: this user cannot write there.
    """
    from dr_orchestrator.report.html import render_html

    path = folder / f"{page.practice}.html"
    write_sheet(path, render_html(page))
    return path
