from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.doctor.cost import PACK_BYTES, MonthOfTests, cost_of_tests, cost_words
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan
from tests.support.evidence import make_point, make_record, make_test
from tests.support.practices import plan, system

_NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _plan() -> Plan:
    tests = [
        {"schedule": "03:30", "from": "onsite"},
        {"schedule": "Sun 04:00", "from": "offsite"},
    ]
    places = {
        "onsite": {"location": "/srv/restic", "password": {"file": "/etc/dro/keys/a"}},
        "offsite": {"location": "rest:https://nas/", "password": {"file": "/etc/dro/keys/b"}},
    }
    return with_defaults(plan({"emr": system("EMR", restore_tests=tests)}, repositories=places))


def _took(minutes: int) -> RestoreTest:
    test = make_test(_NOW - timedelta(minutes=minutes))
    return replace(test, finished_at=test.started_at + timedelta(minutes=minutes))


def test_cost_is_what_the_newest_point_and_the_last_tests_took_times_how_often() -> None:
    point = make_point(_NOW, repositories=("onsite", "offsite"))
    size = sum(asset.bytes for asset in point.assets.values())
    record = make_record(points=[point], tests=[_took(10), _took(20)])

    onsite, offsite = cost_of_tests(
        _plan(), record, lambda schedule, _zone: 30 / schedule.period.days
    )

    assert onsite == MonthOfTests(
        system="emr",
        repository="onsite",
        times=30,
        bytes=30 * size,
        seconds=30 * 15 * 60,
        requests=None,
    )
    assert (offsite.times, offsite.seconds) == (4.3, None)
    assert offsite.requests == round((1 + size // PACK_BYTES) * 30 / 7)
    assert cost_words(onsite) == "emr from onsite: 30 times, 196 GiB restored, 7 h 30 min"
    assert "never timed, at least 1,79" in cost_words(offsite)


def test_cost_before_the_first_backup_says_that_nobody_knows() -> None:
    onsite, _ = cost_of_tests(_plan(), make_record(), lambda _schedule, _zone: 30)

    assert (onsite.bytes, onsite.seconds) == (None, None)
    assert cost_words(onsite) == "emr from onsite: 30 times, no size yet, never timed"


def test_cost_of_a_sampled_test_is_that_of_databases_and_of_a_share_of_the_files() -> None:
    point = make_point(_NOW, repositories=("onsite", "offsite"))
    tests = [
        {"schedule": "03:30", "from": "onsite"},
        {"schedule": "03:30", "from": "onsite", "files": {"sample": "25%"}},
    ]
    sampled = replace(_took(4), part=2, parts=4)
    record = make_record(points=[point], tests=[_took(20), sampled])

    whole, share = cost_of_tests(
        with_defaults(plan({"emr": system("EMR", restore_tests=tests)})),
        record,
        lambda _schedule, _zone: 1,
    )

    of_files = sum(each.bytes for each in point.assets.values() if not each.kind.is_database)
    assert whole.bytes is not None
    assert of_files > 0
    assert share.bytes == whole.bytes - of_files + of_files // 4
    assert (whole.seconds, share.seconds) == (20 * 60, 4 * 60)
