"""How documents are arranged, as HTML and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from dr_orchestrator.report.as_json import document_json
from dr_orchestrator.report.document import Paragraph, Section
from dr_orchestrator.report.html import render_document
from tests.support.documents import make_document, make_table

HTML = render_document(make_document()).decode()
VOID = {"meta", "col"}


class Read(HTMLParser):
    """A strict reading: what is nested in what."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_document_is_well_formed_and_loads_nothing() -> None:
    read = Read(HTML)
    tags = {tag for tag, _ in read.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not re.search(r"https?:|url\(|@import|javascript:|data:", HTML)
    assert "default-src 'none'" in HTML
    links = [attrs["href"] or "" for tag, attrs in read.elements if tag == "a"]
    ids = {attrs.get("id") for _, attrs in read.elements}
    assert links == ["#asked", "#pictures", "#places", "#verify"]
    assert {each[1:] for each in links} <= ids


def test_document_has_headings_in_order_and_heads_for_rows_and_columns() -> None:
    elements = Read(HTML).elements
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    scopes = [attrs.get("scope") for tag, attrs in elements if tag == "th"]
    assert set(scopes) == {"col", "row"}
    tables = sum(1 for tag, _ in elements if tag == "table")
    assert tables == sum(1 for tag, _ in elements if tag == "caption") == 4


def test_document_says_every_tone_by_a_sign_too() -> None:
    for tone, sign in (("good", "✓"), ("bad", "✗"), ("open", "?")):
        assert f'aria-hidden="true">{sign}</span> {tone}' in HTML


def test_document_of_few_sections_has_no_contents() -> None:
    short = make_document(sections=(Section(id="one", title="One", blocks=(make_table(1),)),))
    assert "<nav" in HTML
    assert "<nav" not in render_document(short).decode()


def test_document_without_a_verdict_says_the_summary_alone() -> None:
    plain = render_document(make_document(verdict=None, verdict_words="")).decode()
    assert "One of 40 things" in plain
    assert 'class="badge' not in plain


def test_document_gives_the_same_bytes_again() -> None:
    assert render_document(make_document()).decode() == HTML


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '" onmouseover="x', "</style><img src=x>", "{{ 7 * 7 }}"],
)
def test_hostile_text_is_shown_and_does_nothing(text: str) -> None:
    hostile = make_document(
        name=text,
        title=text,
        made=text,
        summary=text,
        head=text,
        sections=(
            Section(
                id="one",
                title=text,
                blocks=(Paragraph(text=text), replace(make_table(), caption=text)),
            ),
        ),
    )
    read = Read(render_document(hostile).decode())
    assert not {tag for tag, _ in read.elements} & {"script", "img"}
    assert not [name for _, attrs in read.elements for name in attrs if name.startswith("on")]


def test_json_holds_every_text_and_the_numbers_of_pictures_but_no_drawing() -> None:
    document = make_document()
    found = document_json(document)
    assert json.loads(json.dumps(found)) == found
    assert "svg" not in json.dumps(found)
    assert [each["id"] for each in found["sections"]] == ["asked", "pictures", "places", "verify"]
    kinds = [block["kind"] for section in found["sections"] for block in section["blocks"]]
    assert set(kinds) == {"paragraph", "facts", "table", "commands", "picture"}
    picture = found["sections"][1]["blocks"][0]
    assert picture["alt"].startswith("All ")
    assert picture["data"]["rows"][0][0]["text"] == "Nov 2025"
    assert (found["reader"], found["verdict"], found["head"]) == (
        "auditor",
        "breached",
        "a4f0b7c31d22",
    )
