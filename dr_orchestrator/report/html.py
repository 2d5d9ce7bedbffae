"""Reports as one HTML file each: the practice manager's page, and documents for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.report.say import say
from dr_orchestrator.sheet.html import render

if TYPE_CHECKING:
    from dr_orchestrator.report.document import Document
    from dr_orchestrator.report.model import Page

_PACKAGE = "dr_orchestrator.report"


def render_html(page: Page) -> bytes:
    """Return `page` as a self-contained HTML document in UTF-8."""
    return render(_PACKAGE, "page.html", page, say=say)


def render_document(document: Document) -> bytes:
    """Return `document` likewise."""
    return render(_PACKAGE, "document.html", document, say=say)
