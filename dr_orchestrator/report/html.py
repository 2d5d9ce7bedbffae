"""The practice manager's page as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.sheet.html import render

if TYPE_CHECKING:
    from dr_orchestrator.report.model import Page


def render_html(page: Page) -> bytes:
    """Return `page` as a self-contained HTML document in UTF-8."""
    return render("dr_orchestrator.report", "page.html", page)
