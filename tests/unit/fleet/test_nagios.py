from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.fleet.nagios import State, answer_for_fleet, answer_for_machine, unknown
from dr_orchestrator.fleet.read import Fleet
from dr_orchestrator.fleet.status import practice_status
from tests.support import practices
from tests.support.fleet import Shelf, practice, problem, read, signed, site
from tests.support.practices import NOW, all_met, finding

DAY = timedelta(days=1)
KEPT = practice(*all_met("emr"))
BROKEN = practice(*all_met("files"), finding("emr", Objective.RPO, Verdict.BREACHED))
OVERDUE = practice(finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW))
SOON = practice(*all_met("emr"), finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW + DAY))
LINE = re.compile(
    r"DRO (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+( \| ('[^'=]+'=-?\d+s?;\d*;\d*;0 ?)+)?"
)


@pytest.mark.parametrize(
    ("status", "state", "said"),
    [
        (site(KEPT), State.OK, "1 practice: every promise is kept"),
        (site(SOON), State.OK, "1 practice: every promise is kept, or its proof is not due yet"),
        (site(BROKEN), State.CRITICAL, "not kept: riverside/emr"),
        (site(OVERDUE), State.WARNING, "not proven in time: riverside/emr"),
        (site(practice()), State.WARNING, "nothing is promised: riverside"),
        (site(), State.WARNING, "there is nothing to look after"),
        (
            site(KEPT, problems=(problem(),)),
            State.WARNING,
            "1 problem that nobody looks after",
        ),
        (site(KEPT, problems=(problem(acknowledged=True),)), State.OK, "1 practice: "),
        (
            site(KEPT, scheduler_seen_at=NOW - DAY),
            State.WARNING,
            "no scheduler runs: riverside-box",
        ),
    ],
)
def test_machine_is_answered_for_by_what_is_worst(status: object, state: State, said: str) -> None:
    answer = answer_for_machine(status, NOW)  # type: ignore[arg-type]
    assert answer.state is state
    assert answer.line.startswith(f"DRO {state.name} - {said}")
    assert LINE.fullmatch(answer.line)


def test_machine_s_measurements_follow_in_seconds() -> None:
    sample = practices.one_system()
    measured = practice_status(sample.plan, sample.record, sample.now)
    status = replace(measured, findings=all_met("emr"))
    line = answer_for_machine(site(status), NOW).line
    assert LINE.fullmatch(line)
    assert "'breached'=0;;0;0 'overdue'=0;0;;0 'problems'=0;0;;0" in line
    assert "'riverside/emr rpo_age'=1080s;;;0" in line
    assert re.search(r"'riverside/emr/onsite rta'=\d+s;;;0", line)


def test_fleet_is_critical_while_a_site_is_silent() -> None:
    fleet = read(Shelf(riverside_box=signed(site(KEPT))), later=DAY)
    answer = answer_for_fleet(fleet, NOW + DAY)
    assert answer.state is State.CRITICAL
    assert answer.line.startswith("DRO CRITICAL - silent: riverside-box | 'sites'=1;;;0 ")
    assert "'unheard'=1;;0;0" in answer.line


def test_fleet_is_unknown_while_a_place_cannot_be_read_and_critical_beats_that() -> None:
    fleet = read(Shelf(riverside_box=signed(site(KEPT))))
    blind = Fleet(sites=fleet.sites, unread=(StorageUnusable("s3://x cannot be used"),))
    assert answer_for_fleet(blind, NOW).state is State.UNKNOWN
    broken = read(Shelf(riverside_box=signed(site(BROKEN))))
    blind = Fleet(sites=broken.sites, unread=blind.unread)
    assert answer_for_fleet(blind, NOW).state is State.CRITICAL


def test_fleet_without_any_site_is_unknown() -> None:
    assert answer_for_fleet(Fleet(sites=(), unread=()), NOW).state is State.UNKNOWN


def test_text_cannot_end_the_line_or_begin_the_measurements() -> None:
    answer = unknown(StorageUnusable("a | b\nc\x1b[2J"))
    assert answer.line == "DRO UNKNOWN - a / b c\N{REPLACEMENT CHARACTER}[2J"
