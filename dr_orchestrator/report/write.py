"""Reports in their forms, and the files they go to. One name for each, wherever it lies."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.plan.model import Reader
from dr_orchestrator.report.document import Document
from dr_orchestrator.report.model import Page
from dr_orchestrator.sheet.write import write_sheet

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.report.subject import Subject

Report = Page | Document


class Form(StrEnum):
    """What a report can be."""

    HTML = "html"
    PDF = "pdf"
    JSON = "json"


def report_for(reader: Reader, subject: Subject) -> Report:
    """Return the report on one practice for a reader."""
    match reader:
        case Reader.MANAGER:
            from dr_orchestrator.report.manager import build_page

            return build_page(subject)
        case Reader.AUDITOR:
            from dr_orchestrator.report.auditor import auditor_document

            return auditor_document(subject)
        case Reader.INSURER:
            from dr_orchestrator.report.insurer import insurer_document

            return insurer_document(subject)
        case Reader.ENGINEER:
            from dr_orchestrator.report.engineer import engineer_document

            return engineer_document(subject)


def html_of(report: Report) -> bytes:
    """Return a report as one HTML file."""
    from dr_orchestrator.report.html import render_document, render_html

    return render_html(report) if isinstance(report, Page) else render_document(report)


def json_of(report: Report) -> dict[str, Any]:
    """Return a report as what JSON knows."""
    from dr_orchestrator.report.as_json import document_json

    return asdict(report) if isinstance(report, Page) else document_json(report)


def content_of(report: Report, form: Form, now: datetime) -> bytes:
    """Return a report in a form. Same report, same bytes.

    Raises:
        ProgramMissing: this machine can make no PDF.
    """
    match form:
        case Form.HTML:
            return html_of(report)
        case Form.JSON:
            import json

            return f"{json.dumps(json_of(report), ensure_ascii=False, indent=1)}\n".encode()
        case Form.PDF:
            from dr_orchestrator.sheet.pdf import pdf_of

            found = pdf_of(html_of(report), now)
            if found is None:
                raise ProgramMissing(
                    "this machine can make no PDF: WeasyPrint or Pango is missing",
                    hint="install it anew with its part `[pdf]`, with pipx, and libpango; "
                    "or print the HTML",
                )
            return found


def file_name(name: str, reader: Reader | None, form: Form) -> str:
    """Return what the file of a report is called: by the practice, and by the reader where that is
    not the manager. One on many practices has no reader.
    """
    of = f".{reader.value}" if reader not in {None, Reader.MANAGER} else ""
    return f"{name}{of}.{form.value}"


def write_report(report: Report, form: Form, now: datetime, path: Path) -> None:
    """Write a report to a file.

    Raises:
        ProgramMissing: as `content_of`.
        SpaceExhausted: the disk is full.
        UsageMistake: this user cannot write there.
    """
    write_sheet(path, content_of(report, form, now))
