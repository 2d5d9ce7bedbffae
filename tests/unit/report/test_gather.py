from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from dr_orchestrator.core.record import Anchored, Entry, Restored, RestoreTestRecorded
from dr_orchestrator.core.verification import Result
from dr_orchestrator.evidence.line import hash_of
from dr_orchestrator.evidence.signing import fingerprint
from dr_orchestrator.report.deliver import says
from dr_orchestrator.report.gather import LOOKED_BACK, Beside, gather, gather_fleet
from dr_orchestrator.report.subject import StepsDone
from tests.support import practices
from tests.support.desk import Desk
from tests.support.evidence import make_test
from tests.support.practices import NOW

if TYPE_CHECKING:
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.report.subject import Subject

DAY = timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    sample = practices.one_system()
    few = replace(sample.record, points=sample.record.points[-2:])
    with closing(Desk(tmp_path, replace(sample, record=few))) as made:
        yield made


def gathered(desk: Desk, *entries: Entry) -> Subject:
    desk.store().record(*entries)
    return gather(desk.store(), loaded(desk), NOW)


def loaded(desk: Desk) -> LoadedPlan:
    return desk.plans(())[0]


def anchored(at: int, place: str, reason: str = "") -> Anchored:
    return Anchored(
        practice="riverside",
        at=NOW - at * DAY,
        chain="c",
        number=at,
        head="ab" * 32,
        place=place,
        reason=reason,
    )


def test_gather_has_every_test_of_thirteen_months_and_none_before(desk: Desk) -> None:
    within = [make_test(NOW - LOOKED_BACK + each * DAY) for each in (0, 1)]
    before = make_test(NOW - LOOKED_BACK - DAY)
    subject = gathered(desk, *(RestoreTestRecorded(test=each) for each in (*within, before)))
    assert [each.id for each in subject.tests[:2]] == [each.id for each in within]
    assert before.id not in {each.id for each in subject.tests}
    assert list(subject.tests) == sorted(subject.tests, key=lambda each: each.started_at)


def test_gather_shows_the_end_of_our_chain_and_the_key_it_began_with(desk: Desk) -> None:
    subject = gathered(desk)
    *_, last = desk.store().evidence.lines("riverside")
    (chain,) = desk.store().evidence.chains("riverside")
    seen = subject.evidence
    assert (seen.chain, seen.number, seen.others) == (chain.chain, chain.number, ())
    assert seen.head == hash_of(last)
    assert seen.fingerprint == fingerprint(chain.key)


def test_gather_of_a_practice_without_evidence_shows_none(desk: Desk) -> None:
    plan = loaded(desk).plan
    unknown = plan.practice.model_copy(update={"id": "lakeside"})
    other = SimpleNamespace(plan=plan.model_copy(update={"practice": unknown}), sha256="0")
    subject = gather(desk.store(), cast("LoadedPlan", other), NOW)
    assert (subject.evidence.chain, subject.evidence.head, subject.tests) == ("", "", ())


def test_gather_shows_the_newest_anchor_of_each_place_and_a_newer_failure(desk: Desk) -> None:
    subject = gathered(
        desk,
        anchored(9, "a bucket"),
        anchored(8, "a mailbox"),
        anchored(7, "a bucket", "refused"),
        anchored(6, "a bucket"),
        anchored(5, "a mailbox", "refused"),
        anchored(4, "a mailbox", "refused"),
    )
    assert [(each.place, each.number) for each in subject.evidence.anchors] == [
        ("a mailbox", 8),
        ("a bucket", 6),
        ("a mailbox", 4),
    ]


def test_gather_reads_live_restores_back_as_they_were(desk: Desk) -> None:
    restored = Restored(
        practice="riverside",
        run="r",
        at=NOW - DAY,
        system="emr",
        point="p",
        repository="onsite",
        assets=("database", "documents"),
        place="/srv/restored on box",
        by="ann",
        why="a file was deleted",
    )
    assert gathered(desk, restored).restored == (restored,)


def test_gather_takes_what_is_beside_the_record(desk: Desk) -> None:
    steps = (StepsDone(runbook="triage", system="", steps=3, done=1),)
    beside = Beside(next_page=NOW + DAY, steps=steps, disks={"onsite": (1, 2)})
    subject = gather(desk.store(), loaded(desk), NOW, beside)
    assert (subject.next_page, subject.steps, subject.disks) == (
        NOW + DAY,
        steps,
        {"onsite": (1, 2)},
    )


def test_gather_fleet_counts_tests_and_carries_none(desk: Desk) -> None:
    fleet = gather_fleet(desk.store(), [loaded(desk)], NOW)
    (subject,) = fleet.subjects
    assert subject.tests == ()
    assert subject.evidence.number > 0
    assert sum(each.passed for each in fleet.months) == sum(
        each.result is Result.PASSED for each in subject.record.tests
    )


def test_says_is_the_same_until_a_verdict_or_a_result_changes() -> None:
    subject = practices.healthy().subject()
    passed = replace(subject.record.tests[-1], id="again", started_at=NOW - timedelta(hours=1))
    again = replace(subject, record=replace(subject.record, tests=(*subject.record.tests, passed)))
    assert says(again) == says(subject)
    unproven = replace(passed, result=Result.UNPROVEN)
    no_news = replace(subject.record, tests=(*subject.record.tests, unproven))
    assert says(replace(subject, record=no_news)) == says(subject)
    failed = replace(passed, result=Result.FAILED)
    worse = replace(subject.record, tests=(*subject.record.tests, failed))
    assert says(replace(subject, record=worse)) != says(subject)
    assert says(practices.broken().subject()) != says(subject)
