"""The kit for paper: one PDF, made by WeasyPrint out of HTML, and loading nothing from anywhere.

WeasyPrint needs Pango, which is no Python package: a machine without either makes a kit without
this file.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from dr_orchestrator.sheet.html import render

if TYPE_CHECKING:
    from dr_orchestrator.runbook.kit.page import KitPage


def paper_pdf(page: KitPage, made: datetime) -> bytes | None:
    """Return the kit as PDF; `None` where this machine cannot make one. Same page, same bytes."""
    try:
        from weasyprint import HTML  # type: ignore[import-untyped]
    except (ImportError, OSError):  # OSError: there is no Pango
        return None
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    html = render("dr_orchestrator.runbook.kit", "paper.html", page)
    document = HTML(string=html.decode(), url_fetcher=_refuse).render()
    stamp = made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document.metadata.created = document.metadata.modified = stamp
    identifier = hashlib.sha256(html).digest()[:16]
    pdf: bytes = document.write_pdf(pdf_identifier=identifier)
    return pdf


def _refuse(url: str, *_args: Any, **_options: Any) -> NoReturn:
    raise ValueError(f"nothing is loaded from anywhere: {url}")
