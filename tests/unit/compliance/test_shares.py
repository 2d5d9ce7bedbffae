"""What restore tests of shares prove together, which is next, and how they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.shares import last_word, next_share, share_restored
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.share import Share
from dr_orchestrator.core.verification import Result
from tests.support.evidence import make_copy, make_plan, make_point, make_record, make_test

START = datetime(2026, 6, 7, 4, tzinfo=UTC)
WEEK = timedelta(days=7)
WHOLE = {"schedule": "03:30", "from": "onsite", "prove_every": "2d"}
SAMPLED = {"schedule": "Sun 04:00", "from": "offsite", "files": {"sample": "25%"}}


def _test(week: float, part: int, result: Result = Result.PASSED, **more: Any) -> RestoreTest:
    said = {"repository": "offsite", "part": part, "parts": 4}
    if part:
        said |= {"rta_data_seconds": None, "rta_service_seconds": None}
    else:
        said |= {"part": 1, "parts": 1}
    return make_test(START + week * WEEK, result, **(said | more))


# --- which is next ---


@given(st.integers(1, 40), st.data())
@settings(max_examples=20)
def test_next_share_comes_to_all_in_as_many_tests_as_there_are(
    parts: int, data: st.DataObject
) -> None:
    before = data.draw(st.integers(1, 256))
    tests = [_test(-1, data.draw(st.integers(1, before)), parts=before)]
    for week in range(parts):
        share = next_share(tests, parts)
        tests.append(_test(week, share.part, parts=parts))
    assert sorted(test.part for test in tests[1:]) == list(range(1, parts + 1))
    assert share_restored(tests) == 1


def test_next_share_stays_with_the_one_that_failed_until_it_passes() -> None:
    tests = [_test(0, 1), _test(1, 2, Result.FAILED)]
    assert next_share(tests, 4) == Share(2, 4)
    assert next_share([*tests, _test(2, 2, Result.FAILED)], 4) == Share(2, 4)
    assert next_share([*tests, _test(2, 2)], 4) == Share(3, 4)


def test_next_share_takes_no_turn_for_made_that_could_not_verify() -> None:
    assert next_share([_test(0, 1), _test(1, 2, Result.UNPROVEN)], 4) == Share(2, 4)


def test_last_word_on_a_copy_is_a_failure_until_the_same_files_come_back() -> None:
    point = make_point(START)
    about: dict[str, Any] = {"point": point.id}
    failed = _test(0, 2, Result.FAILED, **about)
    of_others, of_the_same, of_all = (_test(1, part, **about) for part in (3, 2, 0))
    copy = (point.id, "offsite")
    assert last_word([failed, of_others]) == {copy: failed}
    assert last_word([failed, of_the_same]) == {copy: of_the_same}
    assert last_word([of_all, failed]) == {copy: of_all}


# --- the verdict ---


def _judged(
    tests: Sequence[RestoreTest], now: datetime, *planned: dict[str, Any]
) -> dict[tuple[Objective, str | None], Finding]:
    plan = make_plan(
        restore_tests=list(planned) or [WHOLE, SAMPLED],
        backup={"schedule": "every 30m", "to": ["onsite", "offsite"]},
    )
    findings = judge(plan, _record(tests, now), now)
    return {(each.objective, each.repository): each for each in findings}


def _record(tests: Sequence[RestoreTest], now: datetime) -> PracticeRecord:
    point = make_point(now - timedelta(minutes=10))
    copies = tuple(make_copy(point, name) for name in ("onsite", "offsite"))
    nightly = make_test(now - timedelta(hours=3), repository="onsite")
    points = [make_point(now, copies=copies, id=point.id)]
    return make_record(
        first_seen=START,
        points=points,
        tests=[nightly, *tests],
        repositories_seen={"onsite": START, "offsite": START},
    )


def _proven(tests: Sequence[RestoreTest], now: datetime) -> Finding:
    return _judged(tests, now)[Objective.RESTORE_TEST, "offsite"]


def test_judge_says_how_much_came_back_while_files_come_round_for_the_first_time() -> None:
    found = _proven([_test(0, 1), _test(1, 2)], START + 1.5 * WEEK)

    assert found.verdict is Verdict.MET
    assert found.promised == "proven every 14 d, all files in turn within 28 d"
    assert found.achieved.endswith("with 25 % of the files (part 2 of 4)")
    assert found.reason == "restored and verified to depth L4; 50 % of the files came back so far"


def test_judge_finds_it_unproven_when_files_did_not_come_round_in_time() -> None:
    never_the_last = [_test(week, week % 3 + 1) for week in range(12)]

    in_time = _proven(never_the_last[:6], START + 5.5 * WEEK)
    late = _proven(never_the_last, START + 11.5 * WEEK)

    assert in_time.verdict is Verdict.MET
    assert (late.verdict, late.due) == (Verdict.UNPROVEN, START + 6 * WEEK)
    assert late.reason == "75 % of the files came back so far"


def test_judge_finds_it_unproven_when_one_share_was_left_out_for_too_long() -> None:
    once_all = [_test(week, week + 1) for week in range(4)]
    then_three = [_test(4 + week, week % 3 + 2) for week in range(6)]

    found = _proven([*once_all, *then_three], START + 9.5 * WEEK)

    assert found.verdict is Verdict.UNPROVEN
    assert found.reason == "part of the files was not restored since 2026-06-06 23:00 CDT"


def test_judge_lets_no_other_share_outweigh_damage() -> None:
    tests = [_test(0, 1), _test(1, 2, Result.FAILED), _test(2, 3)]

    found = _judged(tests, START + 2.1 * WEEK)

    restore_test = found[Objective.RESTORE_TEST, "offsite"]
    assert restore_test.verdict is Verdict.BREACHED
    assert "with 25 % of the files (part 2 of 4)" in restore_test.reason
    assert restore_test.since == START + WEEK
    healed = _judged([*tests, _test(2.1, 2)], START + 2.2 * WEEK)
    assert healed[Objective.RESTORE_TEST, "offsite"].verdict is Verdict.MET


def test_judge_counts_no_share_restored_before_an_asset_was_in_the_plan() -> None:
    (of_database,) = _test(0, 1).verifications
    of_both = (of_database, replace(of_database, asset="documents"))
    before = [_test(week, week + 1) for week in range(4)]
    since = [_test(4 + week, week + 1, verifications=of_both) for week in range(4)]

    first = _proven([*before, *since[:1]], START + 4.5 * WEEK)
    assert first.verdict is Verdict.MET
    assert first.reason.endswith("; 25 % of the files came back so far")
    assert "; all files came back since" in _proven([*before, *since], START + 7.5 * WEEK).reason


def test_judge_counts_a_test_of_all_files_for_every_share() -> None:
    found = _proven([_test(0, 0), _test(1, 1)], START + 1.5 * WEEK)
    assert found.reason.startswith("restored and verified to depth L4; all files came back since")


def test_judge_takes_no_recovery_time_from_a_share() -> None:
    found = _judged([_test(0, 1)], START + 0.1 * WEEK)
    assert found[Objective.RTO, "onsite"].verdict is Verdict.MET
    assert (Objective.RTO, "offsite") not in found


def test_judge_finds_the_recovery_time_unproven_when_no_test_is_of_all_files() -> None:
    found = _judged([_test(0, 1)], START + 0.1 * WEEK, SAMPLED)[Objective.RTO, "offsite"]
    assert (found.verdict, found.due) == (Verdict.UNPROVEN, None)
    assert "a share of the files each" in found.reason


def test_judge_takes_the_recovery_time_from_a_test_of_all_files_made_by_hand() -> None:
    tests = [_test(0, 0), _test(1, 1)]
    found = _judged(tests, START + 1.1 * WEEK)[Objective.RTO, "offsite"]
    assert (found.verdict, found.achieved) == (Verdict.MET, "41 min proven, data and service only")
