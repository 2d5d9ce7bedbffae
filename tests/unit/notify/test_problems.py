from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.suspicion import Suspicion
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState, Progress, Skipped
from dr_orchestrator.core.problem import OpenProblem, Problem, ProblemKind
from dr_orchestrator.core.record import RetentionFrozen, SystemPaused
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Result
from dr_orchestrator.notify.problems import Situation, Trouble, troubles
from tests.support.clock import START
from tests.support.evidence import (
    make_attempts,
    make_plan,
    make_point,
    make_record,
    make_run,
    make_test,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLAN = make_plan()
GONE = "onsite: the repository does not answer"


def ended(outcome: Outcome, at: datetime = START - 5 * MINUTE, **more: Any) -> Run:
    reason = "" if outcome is Outcome.DONE else GONE
    fields: dict[str, Any] = {"finished_at": at, "outcome": outcome, "reason": reason, **more}
    return make_run(at - MINUTE, **fields)


def state(due_at: datetime, progress: Progress, **more: Any) -> OccurrenceState:
    due = Occurrence(
        id=f"emr@{due_at}",
        schedule_id="emr",
        due_at=due_at,
        practice="riverside",
        operation=more.pop("operation", Operation.BACKUP),
        system=more.pop("system", "emr"),
        repository=more.pop("repository", None),
        skipped=more.pop("skipped", ""),
    )
    fields: dict[str, Any] = {"attempt": 0, "not_before": None, "outcome": None, "reason": ""}
    return OccurrenceState(occurrence=due, progress=progress, **(fields | more))


def situation(*runs: Run, now: datetime = START, **more: Any) -> Situation:
    record = replace(make_record(), last_runs=runs, **more.pop("record", {}))
    fields: dict[str, Any] = {"findings": (), **more}
    return Situation(plan=PLAN, record=record, now=now, **fields)


def keys(at: Situation) -> list[str]:
    return [each.problem.key for each in troubles(at)]


def opened(trouble: Trouble) -> OpenProblem:
    return OpenProblem(id="4k7q2z", problem=trouble.problem, opened_at=START)


def finding(objective: Objective, verdict: Verdict = Verdict.BREACHED, **more: Any) -> Finding:
    fields: dict[str, Any] = {"reason": "because", "promised": "1 h", "achieved": "", **more}
    return Finding(
        practice="riverside", system="emr", objective=objective, verdict=verdict, **fields
    )


# --- what failed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.DONE])
def test_a_run_that_did_not_end_well_is_a_failure(outcome: Outcome) -> None:
    run = ended(outcome, schedule_id="emr", due_at=START - HOUR)
    (found,) = troubles(situation(run))
    assert (found.problem.key, found.problem.kind) == ("failure/emr/backup", ProblemKind.FAILURE)
    assert GONE in found.problem.what


def test_what_fails_every_few_minutes_is_a_failure_though_its_newest_run_is_a_first_attempt() -> (
    None
):
    newest = ended(Outcome.FAILED, START, schedule_id="emr", due_at=START)
    waits = state(START, Progress.WAITING, attempt=1, outcome=Outcome.FAILED)
    given_up = state(
        START - 20 * MINUTE, Progress.SETTLED, attempt=3, outcome=Outcome.FAILED, reason=GONE
    )
    assert keys(situation(newest, occurrences=(waits,))) == []
    assert keys(situation(newest, occurrences=(waits, given_up))) == ["failure/emr/backup"]
    done = state(START - 10 * MINUTE, Progress.SETTLED, attempt=1, outcome=Outcome.DONE)
    assert keys(situation(newest, occurrences=(waits, given_up, done))) == []


def test_what_is_attempted_for_hours_is_a_failure_though_its_last_attempt_is_young() -> None:
    newest = ended(Outcome.FAILED, START, schedule_id="emr", due_at=START - 5 * HOUR, attempt=30)
    waits = state(START - 5 * HOUR, Progress.WAITING, attempt=30, outcome=Outcome.FAILED)
    assert keys(situation(newest, occurrences=(waits,))) == []
    began = {newest.id: START - 5 * HOUR}
    at = situation(newest, occurrences=(waits,), first_attempts=began)
    assert keys(at) == ["failure/emr/backup"]


def test_what_is_known_and_tried_again_keeps_its_words() -> None:
    partial = ended(Outcome.PARTIAL, START - HOUR, schedule_id="emr", due_at=START - HOUR)
    (before,) = troubles(situation(partial))
    newest = ended(Outcome.FAILED, START, schedule_id="emr", due_at=START)
    waits = state(START, Progress.WAITING, attempt=1, outcome=Outcome.FAILED)
    (still,) = troubles(situation(newest, occurrences=(waits,), known=(opened(before),)))
    assert still.problem == before.problem


@pytest.mark.parametrize("operation", [Operation.REPORT, Operation.CHECK, Operation.RESTORE_TEST])
def test_what_the_plan_no_longer_has_done_is_no_problem(operation: Operation) -> None:
    never = PLAN.repositories["onsite"].maintenance.model_copy(update={"check": "never"})
    onsite = PLAN.repositories["onsite"].model_copy(update={"maintenance": never})
    emr = PLAN.systems["emr"].model_copy(update={"restore_tests": ()})
    repositories = PLAN.repositories | {"onsite": onsite}
    without = {"repositories": repositories, "systems": PLAN.systems | {"emr": emr}, "report": None}
    system = "emr" if operation is Operation.RESTORE_TEST else ""
    repository = None if operation is Operation.REPORT else "onsite"
    of = {"operation": operation, "system": system, "repository": repository}
    failed = ended(Outcome.FAILED, START - DAY, schedule_id="s", due_at=START - DAY, **of)
    late = state(START - HOUR, Progress.SKIPPED, reason="it could not be started", **of)
    at = situation(failed, occurrences=(late,))
    gone = replace(at, plan=PLAN.model_copy(update=without))
    assert keys(gone) == []
    if operation is not Operation.REPORT:
        assert len(keys(at)) == 2


def test_a_run_of_a_clock_that_was_ahead_began_nothing_that_is_due() -> None:
    ahead = ended(Outcome.DONE, START + 365 * DAY)
    late = state(START - 5 * HOUR, Progress.WAITING)
    assert keys(situation(ahead, occurrences=(late,))) == ["never_started/emr/backup"]


def test_what_ended_well_is_no_failure() -> None:
    assert keys(situation(ended(Outcome.DONE))) == []


def test_the_newest_run_of_each_operation_counts() -> None:
    good = ended(Outcome.DONE, START - MINUTE)
    bad = ended(Outcome.FAILED, operation=Operation.CHECK, system="", repository="onsite")
    assert keys(situation(ended(Outcome.FAILED), good, bad)) == ["failure//check/onsite"]


def test_what_is_tried_again_is_no_failure_yet() -> None:
    run = ended(Outcome.FAILED, schedule_id="emr", due_at=START - 10 * MINUTE)
    again = state(START - 10 * MINUTE, Progress.WAITING, attempt=1)
    assert keys(situation(run, occurrences=(again,))) == []
    assert keys(situation(run, occurrences=(replace(again, progress=Progress.SETTLED),)))
    late = START + 5 * HOUR  # a repository that is busy for ever is tried for ever
    assert keys(situation(run, occurrences=(again,), now=late)) == ["failure/emr/backup"]


def test_a_failure_that_was_told_lasts_while_the_next_one_is_tried_again() -> None:
    (known,) = troubles(situation(ended(Outcome.FAILED, START - HOUR)))
    run = ended(Outcome.FAILED, schedule_id="emr", due_at=START - 10 * MINUTE)
    again = state(START - 10 * MINUTE, Progress.WAITING, attempt=1)
    at = situation(run, occurrences=(again,), known=(opened(known),))
    assert [each.problem.since for each in troubles(at)] == [known.problem.since]


def test_what_a_person_broke_off_says_nothing() -> None:
    stopped = ended(Outcome.INTERRUPTED)
    assert keys(situation(stopped)) == []
    (known,) = troubles(situation(ended(Outcome.FAILED, START - HOUR)))
    assert keys(situation(stopped, known=(opened(known),))) == ["failure/emr/backup"]


@pytest.mark.parametrize("operation", [Operation.RESTORE, Operation.REBUILD])
def test_what_a_person_sits_before_is_not_told(operation: Operation) -> None:
    assert keys(situation(ended(Outcome.FAILED, operation=operation))) == []


def test_what_is_in_the_plan_no_more_is_over() -> None:
    assert keys(situation(ended(Outcome.FAILED, system="gone"))) == []
    gone = ended(Outcome.FAILED, operation=Operation.CHECK, system="", repository="gone")
    assert keys(situation(gone)) == []


def test_a_failed_restore_test_says_what_to_do() -> None:
    run = ended(Outcome.FAILED, operation=Operation.RESTORE_TEST, repository="onsite")
    test = make_test(START - HOUR, Result.FAILED, id=run.id)
    elsewhere = replace(test, id="2", repository="offsite", result=Result.PASSED)
    tests = (test, replace(elsewhere, follow_up_of=test.id))
    (found,) = troubles(situation(run, record={"tests": tests}))
    assert found.problem.key == "failure/emr/restore-test/onsite"
    assert "comes back from offsite: restore from there" in found.problem.next


# --- what did not begin --------------------------------------------------------------------------


@pytest.mark.parametrize(("waited", "told"), [(29 * MINUTE, False), (31 * MINUTE, True)])
def test_a_backup_that_waits_half_its_rpo_was_never_started(
    *, waited: timedelta, told: bool
) -> None:
    late = state(START - waited, Progress.WAITING)
    found = ["never_started/emr/backup"] if told else []
    assert keys(situation(occurrences=(late,))) == found


def test_what_is_caught_up_on_just_now_is_not_late() -> None:
    late = state(START - 3 * DAY, Progress.WAITING)
    seen = {late.occurrence.id: START - MINUTE}
    assert keys(situation(occurrences=(late,), waiting_since=seen)) == []


def test_what_was_skipped_as_too_late_was_never_started_until_one_begins() -> None:
    skipped = state(START - HOUR, Progress.SKIPPED, skipped="it could not be started in time")
    (found,) = troubles(situation(occurrences=(skipped,)))
    assert "could not be started in time" in found.problem.what
    # months later, when nobody asks for that occurrence any more
    later, known = START + 90 * DAY, (opened(found),)
    assert keys(situation(now=later, known=known)) == ["never_started/emr/backup"]
    begun = ended(Outcome.DONE, START + MINUTE)
    assert keys(situation(begun, now=later, known=known)) == []


def test_what_was_called_off_for_a_handover_is_no_problem() -> None:
    called_off = state(START - HOUR, Progress.SKIPPED, skipped=Skipped.HANDED_OVER)
    assert keys(situation(occurrences=(called_off,))) == []


def test_what_never_started_is_over_with_its_place_in_the_plan() -> None:
    gone = state(START - DAY, Progress.WAITING, operation=Operation.CHECK, system="")
    there = replace(gone, occurrence=replace(gone.occurrence, repository="onsite"))
    (found,) = troubles(situation(occurrences=(there,)))
    assert found.problem.key == "never_started//check/onsite"
    renamed = replace(found.problem, key="never_started//check/renamed")
    known = OpenProblem(id="4k7q2z", problem=renamed, opened_at=START)
    assert keys(situation(known=(known,))) == []


def test_what_was_skipped_for_a_later_one_that_ran_is_no_problem() -> None:
    skipped = state(START - HOUR, Progress.SKIPPED, skipped="a later one had come due")
    newest = state(START - MINUTE, Progress.RUNNING, attempt=1)
    assert keys(situation(occurrences=(newest, skipped))) == []


def test_what_was_skipped_for_a_pause_is_no_problem() -> None:
    skipped = state(START - HOUR, Progress.SKIPPED, skipped="paused until 2026-11-18: a move")
    assert keys(situation(occurrences=(skipped,))) == []


# --- pauses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["", "emr"])
def test_a_pause_hides_failures_and_not_what_is_promised(system: str) -> None:
    pause = SystemPaused(
        practice="riverside",
        system=system,
        at=START - HOUR,
        until=START + HOUR,
        by="Jo",
        why="a new server",
    )
    late = state(START - 2 * MINUTE, Progress.WAITING)
    at = situation(
        ended(Outcome.FAILED),
        occurrences=(late,),
        findings=(finding(Objective.RPO),),
        record={"pauses": {system: pause}},
    )
    (found,) = troubles(at)
    assert found.problem.key == "breach/emr/rpo"
    assert "paused by Jo until 2026-11-18 07:00 CST: a new server" in found.problem.what
    assert keys(replace(at, now=START + HOUR)) == [
        *("failure/emr/backup", "never_started/emr/backup", "breach/emr/rpo")
    ]


# --- what was promised ---------------------------------------------------------------------------


def test_what_is_not_due_yet_is_quiet() -> None:
    soon = finding(Objective.RTO, Verdict.UNPROVEN, due=START + MINUTE)
    never = finding(Objective.RESTORE_TEST, Verdict.UNPROVEN, due=None)
    kept = finding(Objective.RPO, Verdict.MET)
    assert keys(situation(findings=(soon, never, kept))) == []


def test_what_is_overdue_is_told() -> None:
    late = finding(Objective.RESTORE_TEST, Verdict.UNPROVEN, due=START, repository="onsite")
    (found,) = troubles(situation(findings=(late,)))
    assert found.problem.key == "test_overdue/emr/restore_test/onsite"
    assert "--repository onsite" in found.problem.next


@given(st.integers(0, 59))
def test_a_practice_that_was_just_installed_has_no_problem(minutes: int) -> None:
    now = START + minutes * MINUTE
    for record in (make_record(), make_record(first_seen=START)):
        at = Situation(plan=PLAN, record=record, now=now, findings=judge(PLAN, record, now))
        assert troubles(at) == ()


def test_every_objective_has_words_for_what_to_do() -> None:
    for objective in Objective:
        each = finding(objective, repository="onsite")
        (found,) = troubles(situation(findings=(each,)))
        assert "{" not in found.problem.next


def because(at: Situation) -> dict[str, set[str]]:
    return {each.problem.key: set(each.because) for each in troubles(at)}


def test_a_broken_rpo_is_news_beside_the_failure_it_comes_from() -> None:
    copies = finding(Objective.COPIES, repository="onsite")
    at = situation(ended(Outcome.FAILED), findings=(finding(Objective.RPO), copies))
    failure, rpo = "failure/emr/backup", "breach/emr/rpo"
    assert because(at) == {
        failure: set(),
        rpo: set(),
        "breach/emr/copies/onsite": {failure, rpo},
    }
    assert GONE in troubles(at)[1].problem.what


def test_a_copy_that_grows_old_is_not_hidden_by_another_gap() -> None:
    copies = finding(Objective.COPIES, repository="offsite")
    at = situation(ended(Outcome.PARTIAL), findings=(finding(Objective.RPO), copies))
    assert because(at)["breach/emr/copies/offsite"] == {"failure/emr/backup"}
    at = situation(ended(Outcome.DONE), findings=(finding(Objective.RPO), copies))
    assert because(at)["breach/emr/copies/offsite"] == set()


def test_an_asset_that_was_never_captured_is_one_trouble() -> None:
    late = [
        finding(objective, Verdict.UNPROVEN, due=START - MINUTE)
        for objective in (Objective.COVERAGE, Objective.RPO, Objective.SKEW, Objective.COPIES)
    ]
    found = because(situation(findings=tuple(late)))
    coverage = "test_overdue/emr/coverage"
    assert found.pop(coverage) == set()
    assert set(map(frozenset, found.values())) == {frozenset({coverage})}


def test_a_test_that_fails_is_one_trouble() -> None:
    run = ended(Outcome.FAILED, operation=Operation.RESTORE_TEST, repository="onsite")
    broken = finding(Objective.RESTORE_TEST, repository="onsite")
    unknown = finding(Objective.RTO, repository="onsite")
    elsewhere = finding(Objective.RTO, repository="offsite")
    failure, breach = "failure/emr/restore-test/onsite", "breach/emr/restore_test/onsite"
    assert because(situation(run, findings=(broken, unknown, elsewhere))) == {
        failure: set(),
        breach: {failure},
        "breach/emr/rto/onsite": {failure, breach},
        "breach/emr/rto/offsite": set(),
    }


def test_a_repository_is_one_trouble_for_all_that_is_in_it() -> None:
    damaged = finding(Objective.REPOSITORY_CHECK, repository="onsite")
    other = replace(damaged, system="files")
    run = ended(Outcome.FAILED, operation=Operation.CHECK, system="", repository="onsite")
    key = "breach//repository_check/onsite"
    assert because(situation(findings=(damaged, other))) == {key: set()}
    assert because(situation(run, findings=(damaged,)))[key] == {"failure//check/onsite"}


# --- what is not as it was -----------------------------------------------------------------------


def test_what_is_suspicious_is_told() -> None:
    strange = Suspicion(
        practice="riverside",
        system="emr",
        asset="documents",
        what="most files changed",
        since=START,
        point="x",
    )
    (found,) = troubles(situation(suspicions=(strange,)))
    assert (found.problem.key, found.problem.what) == (
        *("suspicious/emr/documents", "most files changed"),
    )


def destroyable(*answers: Answer, known: Trouble | None = None, **more: Any) -> Situation:
    """Return that it was tried to destroy what `offsite` holds."""
    at = situation(
        *more.pop("runs", ()),
        record={"immutability": {"offsite": make_attempts(START - HOUR, *answers)}},
        known=(opened(known),) if known else (),
        **more,
    )
    return replace(at, plan=make_plan(repositories={"offsite": {"append_only": True}}))


def test_an_attempt_to_destroy_that_succeeded_is_told_and_is_over_only_once_refused() -> None:
    (told,) = troubles(destroyable(Answer.DONE))
    assert told.problem.kind is ProblemKind.SUSPICIOUS
    assert "we were able to delete what was made for this test" in told.problem.what
    assert "`dro repository immutability riverside --repository offsite`" in told.problem.next
    assert told.problem.since == START - HOUR

    assert troubles(destroyable(Answer.UNKNOWN)) == ()
    assert [each.problem for each in troubles(destroyable(Answer.UNKNOWN, known=told))] == [
        told.problem
    ]
    assert troubles(destroyable(known=told)) == ()


def test_an_attempt_to_destroy_that_succeeded_is_told_once() -> None:
    run = ended(Outcome.FAILED, operation=Operation.IMMUTABILITY, system="", repository="offsite")
    broken = finding(Objective.IMMUTABILITY, repository="offsite")
    found = troubles(destroyable(Answer.DONE, runs=(run,), findings=(broken,)))
    news = [each.problem.key for each in found if not each.because]
    assert news == ["suspicious//immutability/offsite"]
    assert len(found) == 3


def test_an_attempt_to_destroy_that_could_not_be_made_is_a_failure_of_its_own() -> None:
    run = ended(Outcome.UNPROVEN, operation=Operation.IMMUTABILITY, system="", repository="offsite")
    (found,) = troubles(destroyable(Answer.UNKNOWN, runs=(run,)))
    assert found.problem.key == "failure//immutability-test/offsite"
    assert "the attempt to destroy what offsite holds came to no result" in found.problem.what


def test_attempts_in_a_repository_that_is_no_longer_said_to_withstand_them_are_over() -> None:
    run = ended(Outcome.FAILED, operation=Operation.IMMUTABILITY, system="", repository="offsite")
    scheduled = replace(run, schedule_id="offsite", due_at=START - HOUR)
    at = destroyable(Answer.DONE, runs=(scheduled,))
    assert troubles(replace(at, plan=PLAN)) == ()


def test_retention_that_is_frozen_is_told_once() -> None:
    frozen = RetentionFrozen(practice="riverside", repository="onsite", at=START, why="forged")
    overdue = finding(Objective.RETENTION, Verdict.UNPROVEN, due=START, repository="onsite")
    run = ended(Outcome.UNPROVEN, operation=Operation.FORGET, system="", repository="onsite")
    at = situation(run, findings=(overdue,), record={"frozen": {"onsite": frozen}})
    assert because(at) == {
        "failure//forget/onsite": {"suspicious//retention/onsite"},
        "suspicious//retention/onsite": set(),
    }


def test_another_repository_in_the_place_of_ours_is_told_once_and_says_where_to_look() -> None:
    changed = "another repository is at the place of onsite: it has the id 1, the one we know has 2"
    frozen = RetentionFrozen(practice="riverside", repository="onsite", at=START, why=changed)
    run = ended(
        Outcome.FAILED, operation=Operation.CHECK, system="", repository="onsite", reason=changed
    )
    at = situation(run, record={"frozen": {"onsite": frozen}})
    assert because(at)["failure//check/onsite"] == {"suspicious//retention/onsite"}
    (told,) = (each.problem for each in troubles(at) if each.problem.kind is ProblemKind.SUSPICIOUS)
    assert changed in told.what
    assert "dro doctor riverside" in told.next
    assert "dro retention show riverside --repository onsite" in told.next


@given(st.lists(st.sampled_from(list(Objective)), unique=True), st.sampled_from(list(Outcome)))
def test_nothing_follows_only_from_what_follows_from_itself(
    objectives: list[Objective], outcome: Outcome
) -> None:
    found = troubles(
        situation(ended(outcome), findings=tuple(finding(each) for each in objectives))
    )
    reasons = {each.problem.key: each.because for each in found}
    told: set[str] = {key for key, causes in reasons.items() if not causes}
    for _ in reasons:
        told |= {key for key, causes in reasons.items() if causes & told}
    assert told == reasons.keys()


def test_a_point_makes_the_rpo_kept_again() -> None:
    plan = make_plan()
    points = [make_point(START - n * HOUR / 2) for n in range(60)]
    record = make_record(first_seen=points[-1].as_of, points=points)
    at = Situation(plan=plan, record=record, now=START, findings=judge(plan, record, START))
    assert [each.problem.key for each in troubles(at) if "rpo" in each.problem.key] == []


def test_problems_are_the_plain_nouns() -> None:
    (found,) = troubles(situation(ended(Outcome.FAILED)))
    assert isinstance(found.problem, Problem)
    assert found.problem.practice == "riverside"
