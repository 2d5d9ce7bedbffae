"""A page for paper: PDF, made by WeasyPrint out of HTML, and loading nothing from anywhere.

WeasyPrint needs Pango, which is no Python package: a machine without either makes none.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_VARIANT = "pdf/ua-1"
"""ISO 14289-1: tagged, so that it can be read aloud."""
_SHEET = "@page { size: 210mm 279mm }"
"""As wide as A4 and as high as Letter: nothing is cut on either, and nothing is scaled."""


def pdf_of(html: bytes, made: datetime) -> bytes | None:
    """Return a page as PDF; `None` where this machine cannot make one. Same input, same bytes."""
    try:
        from weasyprint import CSS, HTML  # type: ignore[import-untyped]
        from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]
    except (ImportError, OSError):  # OSError: there is no Pango
        return None
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    page = HTML(string=html.decode(), url_fetcher=URLFetcher(allowed_protocols=()))
    document = page.render(stylesheets=[CSS(string=_SHEET)], pdf_variant=_VARIANT)
    stamp = made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document.metadata.created = document.metadata.modified = stamp
    identifier = hashlib.sha256(html).digest()[:16]
    pdf: bytes = document.write_pdf(pdf_identifier=identifier, pdf_variant=_VARIANT)
    return pdf
