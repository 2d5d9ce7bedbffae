"""The manager's page prints on one sheet, in whatever font the machine has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dr_orchestrator.report.html import render_html
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.subject import EvidenceSeen
from tests.support import practices
from tests.support.evidence import make_drill
from tests.support.practices import NOW, Practice

SEEN = EvidenceSeen(chain="c", number=1234, head="1a2b3c4d5e6f" * 5, fingerprint="ab12cd34ef56aa")
WIDEST = "DejaVu Sans"
"""Of the fonts that a server is likely to have; what fits in it fits in the others."""


def _sheets(practice: Practice) -> int:
    """Return how many sheets the page takes that are as wide as A4 and as high as Letter."""
    from weasyprint import HTML  # type: ignore[import-untyped]

    subject = practice.subject(evidence=SEEN, next_page=NOW, drills=(make_drill(NOW),))
    html = render_html(build_page(subject)).decode()
    sized = html.replace("@page {", "@page { size: 210mm 279mm;")
    wide = sized.replace("font: 16px/1.45", f"font: 16px/1.45 {WIDEST},")
    assert wide.count(f"{WIDEST},") == wide.count("@page {") == 1
    return len(HTML(string=wide).render().pages)


@pytest.mark.parametrize(
    "make",
    [
        practices.one_system,
        practices.healthy,
        practices.loosened,
        practices.worst,
        practices.first_day,
    ],
)
def test_page_of_up_to_three_systems_is_one_sheet(make: Callable[[], Practice]) -> None:
    assert _sheets(make()) == 1


def test_page_of_nine_systems_is_all_there_on_more_sheets() -> None:
    page = build_page(practices.crowded().subject())
    assert len(page.systems) == 9
    assert _sheets(practices.crowded()) > 1
