"""The kit for paper: one PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.sheet.html import render
from dr_orchestrator.sheet.pdf import pdf_of

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.runbook.kit.page import KitPage


def paper_pdf(page: KitPage, made: datetime) -> bytes | None:
    """Return the kit as PDF; `None` where this machine cannot make one. Same page, same bytes."""
    return pdf_of(render("dr_orchestrator.runbook.kit", "paper.html", page), made)
