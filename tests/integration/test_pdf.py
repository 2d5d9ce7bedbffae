"""Pages on paper, by the real WeasyPrint."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from dr_orchestrator.sheet.pdf import pdf_of
from tests.support.pdf import read_pdf

MADE = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><title>page</title></head><body><h1>said</h1>%s</body></html>"""


def pdf(more: bytes = b"") -> bytes:
    made = pdf_of(PAGE % more, MADE)
    assert made is not None
    return made


def test_pdf_is_tagged_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert pdf() == pdf()
    assert pdf() != pdf(b"<p>more</p>")
    paper = read_pdf(pdf(), tmp_path)
    assert (paper.pages, paper.text, paper.is_tagged) == (1, "said", True)


def test_pdf_fits_on_both_a4_and_letter(tmp_path: Path) -> None:
    assert read_pdf(pdf(), tmp_path).size == "595.276 x 790.866 pts"  # 210 by 279 mm


def test_pdf_loads_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text y="9">seen</text></svg>')
    wanted = f'<img alt="" src="{secret.as_uri()}"><object data="{secret.as_uri()}"></object>'
    assert read_pdf(pdf(wanted.encode()), tmp_path).text == "said"
