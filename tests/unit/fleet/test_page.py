from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.fleet.page import Item, SitePart, SitesPage, Tone, render_sites, sites_page
from dr_orchestrator.fleet.read import Fleet, SiteSeen, Standing
from dr_orchestrator.fleet.status import PracticeStatus, SiteStatus, practice_status
from tests.support import practices
from tests.support.fleet import practice, problem, site
from tests.support.practices import NOW, all_met, finding

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EMR = "Electronic medical record"
KEPT = practice(*all_met("emr"))
BROKEN = practice(finding("emr", Objective.RPO, Verdict.BREACHED, since=NOW - HOUR))
OVERDUE = practice(finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW - DAY))
SOON = practice(finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW + DAY))
GOOD_OR_BAD = {Tone.RED, Tone.AMBER, Tone.GREEN}


def seen(
    name: str = "riverside-box",
    status: SiteStatus | None = None,
    standing: Standing = Standing.HEARD,
    why: str = "",
) -> SiteSeen:
    return SiteSeen(site=name, standing=standing, why=why, status=status)


def fleet(*sites: SiteSeen) -> Fleet:
    return Fleet(sites=sites, unread=())


def of(make: practices.Practice) -> PracticeStatus:
    return practice_status(make.plan, make.record, make.now, ["The disk is full on 14 December"])


def only(page: SitesPage) -> SitePart:
    ((part,),) = (group.sites for group in page.groups)
    return part


def everything() -> Fleet:
    """Return a site of each standing and need, in no order."""
    late = site(KEPT, made_at=NOW - DAY)
    return fleet(
        seen("quiet", site(KEPT)),
        seen("first-day", site(SOON)),
        seen("troubled", site(KEPT, problems=(problem(), problem("p2", acknowledged=True)))),
        seen("overdue", site(OVERDUE)),
        seen("broken", site(of(practices.broken()), scheduler_seen_at=NOW - DAY)),
        seen("unheard", standing=Standing.NEVER_HEARD, why="it has no file"),
        seen("silent", late, Standing.SILENT, "silent since yesterday"),
        seen("stranger", standing=Standing.NOT_BELIEVED, why="signed with another key"),
    )


class Document(HTMLParser):
    """What a page is made of; fails where it is not well formed."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(content.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def test_sites_stand_by_what_needs_a_person_first() -> None:
    page = sites_page(everything(), NOW)
    assert [(group.tone, [each.name for each in group.sites]) for group in page.groups] == [
        (Tone.RED, ["stranger", "silent", "unheard", "broken"]),
        (Tone.AMBER, ["overdue", "troubled"]),
        (Tone.CALM, ["first-day"]),
        (Tone.GREEN, ["quiet"]),
    ]
    assert page.summary == (
        "4 sites need somebody now: stranger, silent, unheard and 1 more; "
        "2 sites need somebody today: overdue, troubled; 2 of 8 sites need nobody."
    )


def test_every_site_is_told_by_words_and_a_sign_not_by_colour_alone() -> None:
    text = " ".join(Document(render_sites(everything(), NOW)).text.split())
    for words in (
        "stranger ✗ NOT BELIEVED",
        "silent ✗ SILENT",
        "unheard ✗ NEVER HEARD",
        "broken ✗ not kept",
        "overdue ! not proven in time",
        "troubled ! with problems",
        "first-day – not proven yet",
        "quiet ✓ kept",
    ):
        assert words in text


def test_same_sites_in_another_order_give_the_same_bytes() -> None:
    sites = everything().sites
    assert render_sites(fleet(*sites), NOW) == render_sites(fleet(*reversed(sites)), NOW)


@pytest.mark.parametrize("standing", [Standing.SILENT, Standing.AHEAD])
def test_what_an_unheard_site_last_said_has_no_colour(standing: Standing) -> None:
    status = site(of(practices.broken()), KEPT, OVERDUE, problems=(problem(),))
    part = only(sites_page(fleet(seen(status=status, standing=standing, why="why")), NOW))
    assert (part.tone, part.why, part.said) == (Tone.RED, "why", "What it last said:")
    lines = [*part.troubles, *(line for each in part.practices for line in each.wrong + each.tests)]
    assert lines
    assert not GOOD_OR_BAD & {*(each.tone for each in part.practices), *(x.tone for x in lines)}


def test_nothing_is_shown_of_a_site_that_is_not_believed() -> None:
    """Not even where the reader should have kept its file."""
    part = only(sites_page(fleet(seen(status=site(KEPT), standing=Standing.NOT_BELIEVED)), NOW))
    assert (part.tone, part.practices, part.troubles, part.heard) == (Tone.RED, (), (), "")


def test_practice_tells_what_is_wrong_and_counts_the_rest() -> None:
    findings = (*BROKEN.findings, *SOON.findings, *KEPT.findings)
    (part,) = only(sites_page(fleet(seen(status=site(practice(*findings)))), NOW)).practices
    (line,) = part.wrong
    assert (line.tone, line.words) == (Tone.RED, "not kept")
    assert line.text.startswith("emr, backups in time: ")
    assert line.text.endswith("since 2026-11-22 00:15 UTC")
    kept = len(KEPT.findings)
    assert part.rest == (
        f"{kept} of {kept + 2} promises kept; 1 not proven yet, the first due 2026-11-23 01:15 UTC"
    )


def test_practice_that_promises_nothing_is_not_green() -> None:
    part = only(sites_page(fleet(seen(status=site(practice()))), NOW))
    assert part.tone is Tone.AMBER
    assert part.practices[0].wrong == (
        Item(tone=Tone.AMBER, words="not proven", text="nothing is promised"),
    )


def test_tests_are_the_newest_of_each_system_and_all_that_did_not_pass() -> None:
    (part,) = only(sites_page(fleet(seen(status=site(of(practices.broken())))), NOW)).practices
    when = {"offsite": "11:25 UTC (13 h 50 min ago)", "onsite": "10:25 UTC (14 h 50 min ago)"}
    assert [(each.tone, each.words, each.text) for each in part.tests] == [
        (
            Tone.GREEN,
            "passed",
            f"{EMR} from offsite: recovered in 1 h 6 min; 2026-11-21 {when['offsite']}",
        ),
        (
            Tone.RED,
            "FAILED",
            f"{EMR} from onsite: 2 failed and 0 unproven of 14 checks; 2026-11-21 {when['onsite']}",
        ),
        (
            Tone.GREEN,
            "passed",
            f"Imaging from onsite: recovered in 41 min; 2026-11-21 {when['onsite']}",
        ),
    ]
    assert part.forecasts == ("The disk is full on 14 December",)


@pytest.mark.parametrize("seconds", [None, float("nan"), 1e300, -1e300])
def test_recovery_time_that_is_none_hides_no_site(seconds: float | None) -> None:
    status = of(practices.healthy())
    tests = tuple(replace(test, rta_service_seconds=seconds) for test in status.tests)
    assert {test.result for test in tests} == {Result.PASSED}
    (part,) = only(
        sites_page(fleet(seen(status=site(replace(status, tests=tests)))), NOW)
    ).practices
    assert all("recovery was not timed" in each.text for each in part.tests)


def test_problem_that_somebody_looks_after_comes_last_and_alarms_nobody() -> None:
    status = site(KEPT, problems=(problem("p1", acknowledged=True), problem("p2")))
    troubles = only(sites_page(fleet(seen(status=status)), NOW)).troubles
    assert [(each.tone, each.words) for each in troubles] == [
        (Tone.AMBER, "problem"),
        (Tone.CALM, "problem, looked after"),
    ]


def test_place_that_cannot_be_read_makes_the_page_red_and_is_named() -> None:
    error = StorageUnusable("the folder /srv/fleet cannot be used", hint="is it mounted?")
    page = sites_page(Fleet(sites=(seen(status=site(KEPT)),), unread=(error,)), NOW)
    assert page.tone is Tone.RED
    assert page.summary == (
        "1 place could not be read: sites may be missing. No site needs anybody; 1 site heard."
    )
    assert page.unread == ("the folder /srv/fleet cannot be used (is it mounted?)",)


def test_page_without_any_site_is_red() -> None:
    page = sites_page(fleet(), NOW)
    assert (page.tone, page.summary) == (
        Tone.RED,
        "No site was found, and the settings name none.",
    )


def test_page_is_well_formed_and_loads_nothing() -> None:
    content = render_sites(everything(), NOW)
    document = Document(content)
    assert not document.tags & {"script", "link", "img", "iframe", "object", "form", "a", "base"}
    assert not re.search(rb"https?:|url\(|@import|javascript:|data:", content)


HOSTILE = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    '" onmouseover="alert(1)',
    "gnp\u202eexe.",
    "\x1b[2J\x00",
)


@settings(max_examples=40)
@given(st.sampled_from(HOSTILE) | st.text(min_size=1))
def test_hostile_text_is_shown_and_does_nothing(text: str) -> None:
    findings = tuple(
        finding(text, Objective.RPO, verdict, promised=text, achieved=text, reason=text)
        for verdict in Verdict
    )
    tests = tuple(replace(test, repository=text) for test in of(practices.broken()).tests)
    hostile = replace(
        practice(*findings, practice=text, titles={text: text}),
        paused={text: NOW},
        forecasts=(text,),
        tests=tests,
    )
    trouble = replace(problem(), what=text, next=text, practice=text)
    status = site(hostile, name=text, problems=(trouble,), version=text)
    error = StorageUnusable(text, hint=text)
    sites = (seen(text, status, why=text), seen(text, standing=Standing.NOT_BELIEVED, why=text))
    html = render_sites(Fleet(sites=sites, unread=(error,)), NOW)
    document, plain = Document(html), Document(render_sites(everything(), NOW))
    assert document.tags <= plain.tags
    assert document.attributes <= plain.attributes
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html.decode())


def test_hostile_text_stays_readable() -> None:
    stranger = seen("{{ 7 * 7 }} <b>", standing=Standing.NOT_BELIEVED)
    assert b"{{ 7 * 7 }} &lt;b&gt;" in render_sites(fleet(stranger), NOW)
