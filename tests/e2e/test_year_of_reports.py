"""All reports on a year that a practice lived through, as people and their tools see them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.custody.sheet import html_of as key_sheet_html
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.fleet.page import render_sites
from dr_orchestrator.plan.model import Reader
from dr_orchestrator.report.document import Document, Picture, Table
from dr_orchestrator.report.fleet import fleet_document
from dr_orchestrator.report.gather import Beside, gather, gather_fleet
from dr_orchestrator.report.html import render_document
from dr_orchestrator.report.subject import Subject
from dr_orchestrator.report.write import Form, Report, content_of, html_of, json_of, report_for
from dr_orchestrator.runbook.kit.build import build_kit
from tests.support.browser import look_at
from tests.support.documents import make_document
from tests.support.fleet import Shelf, practice, problem, read, signed, site
from tests.support.key_sheets import make_sheet
from tests.support.kits import make_input
from tests.support.pdf import read_pdf, squeezed
from tests.support.practices import NOW
from tests.support.year import Year, lived


@dataclass(frozen=True)
class Made:
    """What a year came to."""

    year: Year
    subject: Subject
    reports: Mapping[str, Report]

    def document(self, name: str) -> Document:
        document = self.reports[name]
        assert isinstance(document, Document)
        return document


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    year = lived(tmp_path_factory.mktemp("state"))
    yield _made(year)
    year.store.close()


def _made(year: Year) -> Made:
    beside = Beside(next_page=year.now + timedelta(days=11))
    subject = gather(year.store, year.loaded, year.now, beside)
    reports: dict[str, Report] = {each.value: report_for(each, subject) for each in Reader}
    reports["fleet"] = fleet_document(gather_fleet(year.store, [year.loaded], year.now))
    return Made(year, subject, reports)


def tables_of(document: Document) -> Iterator[Table]:
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                yield block
            elif isinstance(block, Picture):
                yield block.data


def test_pages_are_accessible_and_wholly_in_view(made: Made, tmp_path: Path) -> None:
    kit = build_kit(make_input(), lambda _page, _made: None).files
    sites = read(Shelf(riverside_box=signed(site(practice(), problems=(problem(),)))))
    pages = {
        **{name: html_of(report) for name, report in made.reports.items()},
        "one of everything": render_document(make_document()),
        "sites": render_sites(sites, NOW),
        "kit": kit["START-HERE.html"],
        "key sheet": key_sheet_html(make_sheet()),
    }
    looks = look_at(pages, tmp_path)
    assert len(looks) == 2 * len(pages)
    wrong = {
        (look.name, look.width): look.violations or look.cut
        for look in looks
        if look.violations or look.cut or look.scroll_width > look.width
    }
    assert wrong == {}


def test_paper_shows_everything_and_the_manager_gets_one_sheet(made: Made, tmp_path: Path) -> None:
    for name, report in made.reports.items():
        paper = read_pdf(content_of(report, Form.PDF, made.year.now), tmp_path)
        assert paper.is_tagged
        assert paper.beyond == []
        if not isinstance(report, Document):
            assert paper.pages == 1
            continue
        for table in tables_of(report):
            last = table.rows[-1] if table.rows else ()
            said = [table.caption, *(cell.text for cell in last)] if last else [table.empty]
            missing = [text for text in said if squeezed(text) not in paper.text]
            assert missing == [], (name, table.caption)
        assert squeezed(report.footer[-1].text) in paper.text


def test_the_same_year_gives_the_same_bytes_in_every_form(made: Made) -> None:
    again = _made(made.year)
    for name, report in made.reports.items():
        assert html_of(again.reports[name]) == html_of(report)
        assert json_of(again.reports[name]) == json_of(report)
    manager = made.reports["manager"]
    first, second = (content_of(manager, Form.PDF, made.year.now) for _ in range(2))
    assert first == second


def test_json_says_what_the_other_forms_say(made: Made) -> None:
    for report in made.reports.values():
        found = json_of(report)
        assert json.loads(json.dumps(found)) == json.loads(content_of(report, Form.JSON, NOW))
        assert "<svg" not in json.dumps(found)
    assert json_of(made.reports["manager"])["verdict"] == Verdict.UNPROVEN


def test_reports_tell_what_happened_in_the_year(made: Made) -> None:
    """The evidence holds it; each reader is told what concerns them."""
    said = {name: json.dumps(json_of(report)) for name, report in made.reports.items()}
    for words in ("Jo Park", "not accepted"):  # the loosened promise
        assert words in said["manager"]
        assert words in said["auditor"]
    assert re.search(r"on paper.*Ann Lee", said["manager"])  # never as her own signature
    assert "this is not an electronic signature" in said["auditor"]
    assert "a folder of scanned letters was deleted by mistake" in said["auditor"]  # live restore
    assert "closed late" in said["auditor"]  # corrective action
    for words in ("missed", "paused until", "1 of 14 checks failed"):
        assert words in said["auditor"].replace("Paused", "paused")
    assert made.subject.evidence.head_shown in said["auditor"]
    assert made.subject.evidence.head_shown in said["manager"]


def test_the_evidence_of_the_year_verifies_and_bears_the_record_out(made: Made) -> None:
    evidence, seen = made.year.store.evidence, made.subject.evidence
    lines = (line.encode() for line in evidence.lines("riverside"))
    verified = verify(lines, fingerprints=[seen.fingerprint], expect=[seen.head_shown])
    assert verified.faults == ()
    assert [chain.lines for chain in verified.chains] == [seen.number]
    assert evidence.disagreements("riverside") == ()
