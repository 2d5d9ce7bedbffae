from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.occurrence import TestsDue
from dr_orchestrator.core.promise import Direction, PromiseChange
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.runbook import Drill, DrillKind, Mode
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.model import Plan, PolicyName, ProtectedElsewhere
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.policies.controls import JUDGEMENTS, TEXTS, judge_policy
from dr_orchestrator.policies.known import Known
from dr_orchestrator.policies.load import load_policy
from dr_orchestrator.policies.model import Control, Found
from dr_orchestrator.report.say import all_texts, places_in
from tests.support.clock import START as NOW
from tests.support.evidence import (
    DOCUMENTS,
    SYSTEM,
    looked_after,
    make_attempts,
    make_drill,
    make_plan,
    make_point,
    make_runbook_run,
    make_test,
)
from tests.support.known import (
    DAY,
    OFFSITE,
    all_well,
    done,
    evidence_saved,
    make_action,
    make_anchor,
    make_due,
    make_key_proof,
    make_kit,
    make_promise,
    make_sign_off,
    make_standing,
    met_findings,
    nothing_known,
    with_findings,
    with_record,
)

Change = Callable[[Known], Known]
BREACHED, UNPROVEN, MET = Verdict.BREACHED, Verdict.UNPROVEN, Verdict.MET
CONTROLS = {
    each.asks: each
    for name in reversed(get_args(PolicyName))
    for each in load_policy(name).controls
}
"""One control for each judgement, as the packs have it; of several the law's."""
NEVER_MET = {"activation_told", "failures_told", "not_known"}


def ask(known: Known, asks: str, **changes: Any) -> Found:
    return JUDGEMENTS[asks](known, CONTROLS[asks].model_copy(update=changes))


def findings(**verdicts: Verdict) -> Change:
    return lambda known: with_findings(known, **verdicts)


def record(**changes: Any) -> Change:
    return lambda known: with_record(known, **changes)


def known(**changes: Any) -> Change:
    return lambda each: replace(each, **changes)


FAILED = make_test(NOW - DAY, Result.FAILED)
FAILED_NOW = make_test(NOW - DAY / 2, Result.FAILED)
NO_COVERAGE = tuple(each for each in met_findings() if each.objective is not Objective.COVERAGE)
FRESH = make_point(NOW - timedelta(minutes=30), repositories=("onsite", "offsite"))
OLD = make_test(NOW - 40 * DAY)
WITHOUT_TEST = make_due(NOW - DAY, outcome=Outcome.FAILED)
NIGHT_BEFORE = WITHOUT_TEST.occurrence.id
PASSED_ELSEWHERE = (
    make_test(NOW - DAY, Result.FAILED, repository="offsite"),
    make_test(NOW - DAY / 2),
)
PASSED_NOW = make_test(NOW - DAY / 4)
NO_RESULT = make_test(NOW - DAY / 2, Result.UNPROVEN)
NO_RESULT_SINCE = (make_test(NOW - DAY), NO_RESULT)
NO_RESULT_ELSEWHERE = (replace(NO_RESULT, repository="offsite"), PASSED_NOW)
FAILED_EVERYWHERE = tuple(
    make_test(NOW - DAY, Result.FAILED, repository=each) for each in ("onsite", "offsite")
)
OFFSITE_NEVER_READ = tuple(
    each
    for each in met_findings()
    if (each.objective, each.repository) != (Objective.REPOSITORY_CHECK, "offsite")
)
"""As judged: what is not due yet is not told."""
REMOVED = make_point(NOW - 8 * DAY - timedelta(hours=1), label="before the disk was removed")
ELSEWHERE = make_point(NOW - 2 * DAY, repositories=("gone",))
LOOSENED = make_promise(
    NOW - 10 * DAY,
    changes=(
        PromiseChange(
            field="systems.emr.rto", before="4h", after="24h", direction=Direction.LOOSENED
        ),
    ),
)
WITHOUT_IMPORTANCE = make_plan()
OF_OTHERS = make_plan().model_copy(
    update={"systems": {"phones": ProtectedElsewhere(protected_by="their vendor")}}
)

OVERDUE = all_well(
    findings=tuple(
        replace(each, due=NOW - DAY) for each in met_findings(restore_test=Verdict.UNPROVEN)
    )
)

CASES: list[tuple[str, Change, Verdict, str]] = [
    ("exact_copies", findings(rpo=BREACHED), BREACHED, "exact_copies.breached"),
    ("exact_copies", findings(copies=BREACHED), BREACHED, "exact_copies.breached"),
    ("exact_copies", findings(coverage=UNPROVEN), UNPROVEN, "exact_copies.unproven"),
    ("exact_copies", record(tests=()), UNPROVEN, "no_recent_test"),
    ("exact_copies", record(tests=(OLD,)), UNPROVEN, "no_recent_test"),
    (
        "exact_copies",
        record(tests=(make_test(NOW - DAY, verifications=()),)),
        UNPROVEN,
        "no_recent_test",
    ),
    ("exact_copies", findings(acceptance=UNPROVEN), UNPROVEN, "exact_copies.unproven"),
    ("objectives_kept", findings(acceptance=UNPROVEN), UNPROVEN, "objectives_kept.unproven"),
    ("objectives_kept", findings(rto=BREACHED), BREACHED, "objectives_kept.breached"),
    ("objectives_kept", findings(rto=UNPROVEN), UNPROVEN, "objectives_kept.unproven"),
    ("objectives_kept", record(tests=(OLD,)), UNPROVEN, "no_recent_test"),
    ("data_intact", findings(repository_check=BREACHED), BREACHED, "data_intact.breached"),
    ("data_intact", findings(repository_check=UNPROVEN), UNPROVEN, "data_intact.unproven"),
    ("data_intact", known(findings=OFFSITE_NEVER_READ), UNPROVEN, "data_intact.unread"),
    ("backups_in_time", findings(rpo=BREACHED), BREACHED, "backups_in_time.breached"),
    ("backups_in_time", findings(coverage=UNPROVEN), UNPROVEN, "backups_in_time.unproven"),
    ("backups_in_time", record(points=()), UNPROVEN, "no_whole_point"),
    ("backups_in_time", record(points=(FRESH,)), UNPROVEN, "backups_in_time.too_new"),
    ("exact_copies", record(points=()), UNPROVEN, "no_whole_point"),
    ("exact_copies", known(findings=NO_COVERAGE), UNPROVEN, "not_judged"),
    ("backups_in_time", known(findings=NO_COVERAGE), UNPROVEN, "not_judged"),
    ("copies_within", record(points=()), UNPROVEN, "no_whole_point"),
    (
        "copies_within",
        record(points=(make_point(NOW - 3 * DAY),)),
        BREACHED,
        "copies_within.breached",
    ),
    (
        "copies_within",
        record(points=(make_point(NOW - DAY, data_as_of=NOW - 3 * DAY),)),
        BREACHED,
        "copies_within.breached",
    ),
    (
        "copies_within",
        record(points=(make_point(NOW - DAY, assets={"documents": DOCUMENTS}),)),
        UNPROVEN,
        "no_whole_point",
    ),
    ("sample_restored", record(tests=()), UNPROVEN, "no_recent_test"),
    ("sample_restored", record(tests=(OLD,)), BREACHED, "sample_restored.old"),
    ("sample_restored", record(tests=(FAILED,)), BREACHED, "last_test.failed_at"),
    ("sample_restored", record(tests=PASSED_ELSEWHERE), BREACHED, "last_test.failed_at"),
    ("sample_restored", findings(restore_test=BREACHED), BREACHED, "last_test.failed"),
    ("last_test", record(tests=()), UNPROVEN, "no_recent_test"),
    ("last_test", record(tests=(OLD,)), UNPROVEN, "no_recent_test"),
    ("last_test", record(tests=(FAILED,)), BREACHED, "last_test.failed_at"),
    ("last_test", record(tests=PASSED_ELSEWHERE), BREACHED, "last_test.failed_at"),
    ("last_test", findings(restore_test=BREACHED), BREACHED, "last_test.failed"),
    ("last_test", record(tests=NO_RESULT_SINCE), UNPROVEN, "last_test.no_result"),
    ("last_test", record(tests=(FAILED, NO_RESULT)), BREACHED, "last_test.failed_at"),
    ("last_test", record(tests=(*NO_RESULT_SINCE, PASSED_NOW)), MET, "last_test.met"),
    ("last_test", record(tests=NO_RESULT_ELSEWHERE), UNPROVEN, "last_test.no_result"),
    ("restored_within", findings(restore_test=BREACHED), BREACHED, "last_test.failed"),
    ("restored_within", findings(restore_test=UNPROVEN), UNPROVEN, "restored_within.untimed"),
    ("restored_within", record(tests=(OLD,)), UNPROVEN, "restored_within.untimed"),
    (
        "restored_within",
        record(tests=(make_test(NOW - DAY, rta_service_seconds=4 * 86400.0),)),
        BREACHED,
        "restored_within.over",
    ),
    ("tested_and_revised", record(tests=()), UNPROVEN, "no_recent_test"),
    ("tested_and_revised", findings(restore_test=UNPROVEN), UNPROVEN, "no_recent_test"),
    ("tested_and_revised", known(due=TestsDue()), UNPROVEN, "tested_and_revised.not_by_schedule"),
    (
        "tested_and_revised",
        known(due=TestsDue(states=(WITHOUT_TEST,), without_test=frozenset({NIGHT_BEFORE}))),
        UNPROVEN,
        "tested_and_revised.not_by_schedule",
    ),
    (
        "tested_and_revised",
        record(actions=(make_action(NOW - 30 * DAY),)),
        BREACHED,
        "corrected.late",
    ),
    ("restore_procedure", findings(restore_test=BREACHED), BREACHED, "last_test.failed"),
    (
        "restore_procedure",
        known(exercised=(), drills=()),
        UNPROVEN,
        "restore_procedure.not_gone_through",
    ),
    (
        "restore_procedure",
        known(exercised=(done("emr-server-lost", SYSTEM, NOW - 400 * DAY),), drills=()),
        UNPROVEN,
        "restore_procedure.not_gone_through",
    ),
    ("restore_procedure", known(exercised=()), MET, "restore_procedure.met"),
    ("restore_procedure", record(tests=(FAILED,)), BREACHED, "last_test.failed_at"),
    ("runbook_gone_through", known(exercised=()), MET, "restore_procedure.met"),
    ("runbook_gone_through", record(tests=(FAILED,)), MET, "restore_procedure.met"),
    (
        "runbook_gone_through",
        known(exercised=(), drills=()),
        UNPROVEN,
        "restore_procedure.not_gone_through",
    ),
    ("encrypted", record(tests=(FAILED,), checks=()), UNPROVEN, "encrypted.not_opened"),
    ("encrypted", record(tests=(FAILED_NOW,)), UNPROVEN, "encrypted.unsound"),
    ("encrypted", findings(restore_test=BREACHED), UNPROVEN, "encrypted.unsound"),
    ("encrypted", record(tests=(), checks=()), UNPROVEN, "encrypted.not_opened"),
    (
        "encrypted",
        record(checks=looked_after(NOW - 60 * DAY, "onsite", "offsite")["checks"]),
        UNPROVEN,
        "encrypted.not_opened",
    ),
    ("indestructible", findings(immutability=BREACHED), BREACHED, "indestructible.breached"),
    ("indestructible", findings(immutability=UNPROVEN), UNPROVEN, "indestructible.unproven"),
    ("indestructible", record(immutability={}), UNPROVEN, "indestructible.unproven"),
    (
        "indestructible",
        record(immutability={"offsite": make_attempts(NOW, Answer.UNKNOWN, location=OFFSITE)}),
        UNPROVEN,
        "indestructible.unproven",
    ),
    ("kept_apart", known(plan=make_plan()), UNPROVEN, "kept_apart.none"),
    ("kept_apart", findings(copies=BREACHED), BREACHED, "kept_apart.late"),
    ("kept_apart", findings(copies=UNPROVEN), UNPROVEN, "kept_apart.not_yet"),
    ("kept_apart", record(points=(make_point(NOW - DAY),)), UNPROVEN, "kept_apart.not_yet"),
    ("copy_before_moving", record(points=()), UNPROVEN, "copy_before_moving.none"),
    ("copy_before_moving", record(tests=()), UNPROVEN, "copy_before_moving.untested"),
    ("copy_before_moving", record(points=(REMOVED,)), UNPROVEN, "copy_before_moving.none"),
    ("activity_recorded", known(head=""), UNPROVEN, "activity_recorded.none"),
    ("activity_recorded", known(anchors=()), UNPROVEN, "activity_recorded.not_anchored"),
    (
        "activity_recorded",
        known(anchors=(make_anchor(NOW - DAY, reason="no answer"),)),
        UNPROVEN,
        "activity_recorded.not_anchored",
    ),
    (
        "activity_recorded",
        known(anchors=(make_anchor(NOW - 60 * DAY),)),
        UNPROVEN,
        "activity_recorded.not_anchored",
    ),
    ("record_kept", known(head=""), UNPROVEN, "activity_recorded.none"),
    ("record_kept", record(last_runs=()), UNPROVEN, "record_kept.never"),
    (
        "record_kept",
        record(last_runs=(evidence_saved(NOW - DAY, Outcome.PARTIAL),)),
        UNPROVEN,
        "record_kept.not_lately",
    ),
    (
        "record_kept",
        record(last_runs=(evidence_saved(NOW - 20 * DAY),)),
        UNPROVEN,
        "record_kept.not_lately",
    ),
    ("retention_depth", record(points=()), UNPROVEN, "no_whole_point"),
    ("retention_depth", record(points=(ELSEWHERE,)), UNPROVEN, "no_whole_point"),
    ("retention_depth", record(tests=PASSED_ELSEWHERE), MET, "retention_depth.met"),
    ("retention_depth", record(tests=FAILED_EVERYWHERE), BREACHED, "retention_depth.broken"),
    (
        "retention_depth",
        record(points=(make_point(NOW - 2 * DAY, assets={"documents": DOCUMENTS}),)),
        UNPROVEN,
        "no_whole_point",
    ),
    ("exercise", known(drills=()), UNPROVEN, "exercise.never"),
    ("exercise", known(drills=(make_drill(NOW - 400 * DAY),)), UNPROVEN, "exercise.old"),
    (
        "exercise",
        known(drills=(make_drill(NOW - DAY, result=Result.FAILED, reason="no key"),)),
        BREACHED,
        "exercise.failed",
    ),
    ("exercise", known(drills=(make_drill(NOW - DAY, systems=()),)), UNPROVEN, "exercise.partly"),
    (
        "exercise",
        known(drills=(make_drill(NOW - DAY, result=Result.UNPROVEN, reason="no sandbox"),)),
        UNPROVEN,
        "exercise.no_result",
    ),
    ("emergency_access", known(drills=(make_drill(NOW),)), UNPROVEN, "emergency_access.never"),
    (
        "emergency_access",
        known(
            drills=(make_drill(NOW - DAY, kind=DrillKind.COLD_START, result=Result.FAILED),),
        ),
        BREACHED,
        "emergency_access.failed",
    ),
    ("emergency_mode", known(exercised=()), UNPROVEN, "emergency_mode.never"),
    (
        "emergency_mode",
        known(exercised=(done("downtime", "", NOW - 400 * DAY),)),
        UNPROVEN,
        "emergency_mode.old",
    ),
    ("facility_access", known(exercised=()), UNPROVEN, "facility_access.never"),
    ("certified", record(sign_offs=()), UNPROVEN, "certified.never"),
    (
        "certified",
        record(sign_offs=(make_sign_off(NOW - 400 * DAY),), tests=(make_test(NOW - 500 * DAY),)),
        UNPROVEN,
        "certified.old",
    ),
    ("certified", record(tests=()), UNPROVEN, "certified.nothing_tested"),
    ("reviewed", record(sign_offs=()), UNPROVEN, "certified.never"),
    ("reviewed", findings(acceptance=UNPROVEN), UNPROVEN, "reviewed.loosened"),
    (
        "reviewed",
        lambda each: with_record(
            replace(each, findings=()), promises=(*each.record.promises, LOOSENED)
        ),
        UNPROVEN,
        "reviewed.loosened",
    ),
    ("reviewed", record(sign_offs=(make_sign_off(NOW - 400 * DAY),)), UNPROVEN, "certified.old"),
    ("corrected", record(tests=(), actions=()), UNPROVEN, "corrected.nothing_tested"),
    ("corrected", record(actions=()), MET, "corrected.none_needed"),
    ("corrected", record(tests=NO_RESULT_SINCE, actions=()), UNPROVEN, "corrected.no_result"),
    ("corrected", record(tests=NO_RESULT_SINCE), UNPROVEN, "corrected.no_result"),
    (
        "corrected",
        record(tests=(FAILED,), actions=()),
        UNPROVEN,
        "corrected.without_action",
    ),
    ("corrected", record(actions=(make_action(NOW - DAY),)), UNPROVEN, "corrected.open"),
    ("corrected", record(actions=(make_action(NOW - 30 * DAY),)), BREACHED, "corrected.late"),
    ("at_hand", known(kit=None), UNPROVEN, "at_hand.never"),
    ("at_hand", known(kit=make_kit(NOW - 40 * DAY)), BREACHED, "at_hand.expired"),
    ("activation_told", known(), UNPROVEN, "activation_told.no_incident"),
    (
        "activation_told",
        known(followed=(make_runbook_run(NOW - DAY, mode=Mode.INCIDENT),)),
        UNPROVEN,
        "activation_told.look",
    ),
    ("written_plan", record(promises=()), UNPROVEN, "written_plan.none"),
    ("documented", record(promises=()), UNPROVEN, "written_plan.none"),
    ("documented", known(head=""), UNPROVEN, "activity_recorded.none"),
    ("criticality", known(plan=WITHOUT_IMPORTANCE), UNPROVEN, "criticality.unsaid"),
    ("key_holders", known(plan=WITHOUT_IMPORTANCE), UNPROVEN, "key_holders.none"),
    ("key_holders", known(custody=(make_standing(due=NOW),)), UNPROVEN, "key_holders.late"),
    (
        "key_holders",
        known(custody=(make_standing(failed=(make_key_proof(NOW - DAY),)),)),
        BREACHED,
        "key_holders.failed",
    ),
    ("failures_told", known(), UNPROVEN, "failures_told.nobody"),
    ("not_known", known(), UNPROVEN, "not_known"),
]


@pytest.mark.parametrize(("asks", "change", "verdict", "says"), CASES)
def test_a_control_is_not_met_for_the_smallest_thing_that_is_missing(
    asks: str, change: Change, verdict: Verdict, says: str
) -> None:
    found = ask(change(all_well()), asks)
    assert (found.verdict, found.says) == (verdict, says)


@pytest.mark.parametrize("asks", sorted(JUDGEMENTS.keys() - NEVER_MET))
def test_a_control_is_met_where_all_of_it_is_on_record(asks: str) -> None:
    found = ask(all_well(), asks)
    assert found.verdict is MET
    assert JUDGEMENTS[asks] in TEXTS or (found.since and found.records)
    assert any(each[0] == asks and each[2] is not MET for each in CASES) or asks == (
        "coverage_listed"
    )


@pytest.mark.parametrize("asks", sorted(JUDGEMENTS.keys() - {each.__name__ for each in TEXTS}))
def test_no_control_is_met_on_an_empty_record_but_those_that_ask_for_a_text(asks: str) -> None:
    assert ask(nothing_known(), asks).verdict is UNPROVEN


@pytest.mark.parametrize(
    "asks", sorted(JUDGEMENTS.keys() - {"written_plan", "documented", "coverage_listed"})
)
def test_nothing_is_met_of_a_practice_whose_plan_protects_nothing(asks: str) -> None:
    of_systems = {"exercise", "emergency_access", "emergency_mode", "facility_access", "at_hand"}
    of_people = {"certified", "reviewed", "corrected", "activity_recorded", "record_kept"}
    if asks in of_systems | of_people | {"copy_before_moving"}:
        return
    assert ask(all_well(plan=OF_OTHERS, findings=()), asks).verdict is UNPROVEN


def test_a_point_that_was_mended_and_passed_counts_again() -> None:
    (point,) = [each for each in all_well().record.points if len(each.copies) > 1]
    failed = make_test(NOW - DAY, Result.FAILED, point=point.id)
    passed = make_test(NOW - DAY / 2, point=point.id)
    broken = with_record(all_well(), points=(point,), tests=(failed,))
    far = make_test(NOW - DAY, Result.FAILED, point=point.id, repository="offsite")
    assert broken.whole_points(SYSTEM)
    assert not with_record(broken, tests=(failed, far)).whole_points(SYSTEM)
    mended = with_record(broken, tests=(failed, far, passed))
    assert [each for _, each in mended.whole_points(SYSTEM)] == [point.id]


def test_corrected_counts_a_test_that_came_to_no_result_and_was_made_again() -> None:
    well = with_record(all_well(), tests=(*NO_RESULT_SINCE, PASSED_NOW), actions=())
    found = ask(well, "corrected")
    assert (found.says, found.values["n"]) == ("corrected.none_needed", 3)


def test_last_test_says_when_the_one_without_result_was_and_when_one_passed() -> None:
    passed, without = NO_RESULT_SINCE
    found = ask(with_record(all_well(), tests=NO_RESULT_SINCE), "last_test")
    told = (found.since, found.values["passed"], found.records)
    assert told == (without.finished_at, passed.finished_at, (without.id,))


def test_overdue_tests_break_what_asks_for_periodic_testing() -> None:
    found = ask(OVERDUE, "tested_and_revised")
    assert (found.verdict, found.says) == (BREACHED, "tested_and_revised.overdue")


def test_a_failed_test_is_answered_by_an_action_that_was_opened_for_it_or_was_open() -> None:
    for action in (
        make_action(NOW - DAY / 2, test=FAILED.id, closed_at=NOW),
        make_action(NOW - 3 * DAY, closed_at=NOW),
    ):
        found = ask(with_record(all_well(), tests=(FAILED,), actions=(action,)), "corrected")
        assert (found.verdict, found.says) == (MET, "corrected.met")
    before = make_action(NOW - 30 * DAY, closed_at=NOW - 29 * DAY)
    found = ask(with_record(all_well(), tests=(FAILED,), actions=(before,)), "corrected")
    assert found.verdict is UNPROVEN


def test_a_copy_that_could_not_be_restored_is_none() -> None:
    point = make_point(NOW - DAY)
    failed = make_test(NOW, Result.FAILED, point=point.id, finished_at=NOW)
    found = ask(with_record(all_well(), points=(point,), tests=(failed,)), "copies_within")
    assert found.says == "no_whole_point"


def test_a_repository_on_this_machine_is_not_apart_by_its_scheme_alone() -> None:
    def place(location: str) -> bool:
        plan = make_plan(repositories={"offsite": {"location": location}})
        return plan.repositories["offsite"].is_elsewhere

    assert place(OFFSITE)
    assert place("sftp:backup@10.0.0.9:/srv/restic")
    assert place("rest:https://backup.example:8000/riverside")
    assert not place("/mnt/usb/restic")
    assert not place("local:/mnt/usb/restic")
    assert not place("rest:http://localhost:8000/riverside")
    assert not place("rest:http://127.0.0.1:8000/riverside")
    assert not place("sftp:backup@localhost:/srv/restic")


def test_every_text_on_controls_is_said_of_something_and_finds_its_values() -> None:
    """What a judgement names is in the words of reports, and no text there is for nothing."""
    told = [ask(change(all_well()), asks) for asks, change, _, _ in CASES]
    told += [ask(all_well(), asks) for asks in JUDGEMENTS]
    told += [each.found for each in judge_policy(load_policy("hipaa"), all_well(is_altered=True))]
    told += [
        ask(all_well(plan=OF_OTHERS, findings=()), "exact_copies"),
        ask(all_well(plan=_plan_that_tells()), "failures_told"),
        ask(OVERDUE, "tested_and_revised"),
        ask(all_well(custody=(make_standing(proven=NOW - DAY),)), "key_holders"),
        *(
            ask(replace(all_well(), drills=drills), "emergency_access")
            for drills in (
                (_cold(result=Result.UNPROVEN),),
                (make_drill(NOW - 400 * DAY, kind=DrillKind.COLD_START),),
            )
        ),
        ask(all_well(exercised=(done("building-lost", "", NOW - 400 * DAY),)), "facility_access"),
    ]
    said = {each.says: each.values.keys() for each in told}
    texts = {
        name.removeprefix("controls.").removesuffix(".one").removesuffix(".other"): text
        for name, text in all_texts().items()
        if name.startswith("controls.")
    }
    assert texts.keys() == said.keys()
    for says, text in texts.items():
        assert places_in(text) <= said[says], says


def _cold(**changes: Any) -> Drill:
    return make_drill(NOW - DAY, kind=DrillKind.COLD_START, **changes)


def _plan_that_tells() -> Plan:
    told = Notification.model_validate({"email": "ops@msp.example", "on": ["failure"]})
    return make_plan().model_copy(update={"notify": (told,)})


_SPANS = st.integers(-30, 1500).map(lambda hours: timedelta(hours=hours * 12))


@settings(max_examples=60, deadline=None)
@given(_SPANS, st.sampled_from([each for each in CONTROLS.values() if each.within]))
def test_a_control_is_met_only_by_what_is_no_older_than_the_rule_says(
    later: timedelta, control: Control
) -> None:
    """Time passes, or a clock was ahead: what was on record is older, or of the future."""
    within = control.within or timedelta()
    found = JUDGEMENTS[control.asks](all_well(now=NOW + later), control)
    if found.verdict is MET and control.asks != "restored_within":
        assert found.since is not None
        assert found.since <= NOW + later + timedelta(minutes=5)
        assert NOW + later - found.since <= within


_VERDICTS = st.sampled_from(Verdict)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_controls_are_pure_and_met_by_no_forged_finding_without_a_record(
    data: st.DataObject,
) -> None:
    verdicts = {
        name: data.draw(_VERDICTS) for name in ("rpo", "rto", "restore_test", "immutability")
    }
    empty = with_findings(nothing_known(), **verdicts)
    full = with_findings(all_well(), **verdicts)
    for name in get_args(PolicyName):
        policy = load_policy(name)
        assert judge_policy(policy, full) == judge_policy(policy, full)
        for each in judge_policy(policy, empty):
            if each.verdict is MET:
                assert JUDGEMENTS[each.control.asks] in TEXTS
