from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.report.html import render_html
from dr_orchestrator.report.manager import build_page
from tests.support import practices
from tests.support.practices import NOW, Practice, check, finding, record, restored

ALL = (
    practices.healthy,
    practices.one_system,
    practices.broken,
    practices.first_day,
    practices.crowded,
    practices.worst,
)
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Document(HTMLParser):
    """A strict reading of the page: what is nested in what, and what it says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title"}:
            self.text.append(data)

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def html_of(practice: Practice) -> str:
    return render_html(build_page(practice.subject())).decode()


@pytest.mark.parametrize("make", ALL)
def test_page_is_well_formed_and_loads_nothing(make: object) -> None:
    assert callable(make)
    html = html_of(make())
    document = Document(html)
    assert not document.tags() & {"script", "link", "img", "iframe", "object", "form", "a", "base"}
    assert not re.search(r"https?:|url\(|@import|javascript:|data:", html)
    assert not [name for _, attrs in document.elements for name in attrs if name.startswith("on")]


@pytest.mark.parametrize("make", ALL)
def test_headings_are_in_order_and_name_their_sections(make: object) -> None:
    assert callable(make)
    document = Document(html_of(make()))
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = {attrs["id"] for _, attrs in document.elements if "id" in attrs}
    labels = [attrs.get("aria-labelledby") for tag, attrs in document.elements if tag == "section"]
    assert None not in labels
    assert set(labels) == ids


def test_table_has_as_many_headings_as_cells() -> None:
    for make in (practices.broken, practices.one_system):
        tests = len(build_page(make().subject()).trend)
        document = Document(html_of(make()))
        columns = sum(1 for tag, _ in document.elements if tag == "th")
        cells = sum(1 for tag, _ in document.elements if tag == "td")
        assert cells == tests * columns > 0
        assert all(attrs["scope"] == "col" for tag, attrs in document.elements if tag == "th")


@pytest.mark.parametrize("make", ALL)
def test_same_input_gives_the_same_bytes(make: object) -> None:
    assert callable(make)
    assert html_of(make()) == html_of(make())


def test_parts_stand_in_the_order_a_manager_reads_them() -> None:
    html = html_of(practices.loosened())
    ids = re.findall(r'<h2 id="(\w+)"', html)
    assert ids == [
        "verdict",
        "changed",
        "losses",
        "compared",
        "rehearsals",
        "gaps",
        "keys",
        "actions",
        "trend",
        "needs",
        "signature",
    ]
    assert html.index("<footer>") > html.index('id="signature"')


def test_the_verdict_is_said_in_words_and_a_sign_not_by_colour_alone() -> None:
    text = " ".join(Document(html_of(practices.broken())).text)
    assert "✗" in text
    assert "not kept" in text


HOSTILE = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    '" onmouseover="alert(1)',
    "gnp\u202eexe.",
    "\x1b[2J\x00",
    "&amp;lt;",
)


@settings(max_examples=40)
@given(st.sampled_from(HOSTILE) | st.text(min_size=1))
def test_hostile_text_is_shown_and_does_nothing(text: str) -> None:
    hostile = practices.system(
        text, recovery=[{"step": text, "by": "msp", "allow": "1h"}], importance="routine"
    )
    practice = Practice(
        plan=practices.plan(
            {
                "emr": hostile,
                "phones": {"title": text, "protected_by": text},
                "portal": {"title": text, "not_protected": text, "accepted_by": "manager"},
            },
            practice={"id": "riverside", "name": text},
            contacts={"manager": {"role": text}},
            custody=[{"holder": "manager", "form": text}],
        ),
        findings=(
            finding(
                "emr",
                Objective.RTO,
                Verdict.BREACHED,
                promised=text,
                achieved=text,
                reason=text,
                repository=text,
            ),
        ),
        record=record(
            (
                restored(
                    "emr",
                    at=NOW,
                    repository="onsite",
                    result=Result.FAILED,
                    reason=text,
                    next=text,
                    conditions=(text,),
                    point=text,
                    verifications=(check(text, text, text, result=Result.FAILED, reason=text),),
                ),
            )
        ),
    )
    html = html_of(practice)
    document = Document(html)
    assert document.tags() == Document(html_of(practices.broken())).tags()
    assert not [name for _, attrs in document.elements for name in attrs if name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)


def test_hostile_text_stays_readable() -> None:
    practice = practices.one_system()
    named = practice.plan.model_copy(
        update={"practice": practice.plan.practice.model_copy(update={"name": "{{ 7 * 7 }} <b>"})}
    )
    html = html_of(Practice(plan=named, findings=practice.findings, record=practice.record))
    assert "{{ 7 * 7 }} &lt;b&gt;" in html


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["light", "dark", "print"])
def test_every_pair_of_colours_can_be_read(which: int) -> None:
    """WCAG 2.1 AA: 4.5 for text of normal size."""
    blocks = re.findall(r":root \{(.*?)\}", html_of(practices.one_system()), flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", blocks[which]))
    for ink in ("ink", "soft", "good", "bad", "open"):
        assert _contrast(colours[ink], colours["paper"]) >= 4.5, ink
    for tint in ("good-tint", "bad-tint", "open-tint"):
        for ink in ("ink", "soft", tint.removesuffix("-tint")):
            assert _contrast(colours[ink], colours[tint]) >= 4.5, (ink, tint)
