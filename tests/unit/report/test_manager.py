from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.verdict import practice_verdict
from dr_orchestrator.core.custody import KeyProof
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.report.html import render_html
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.model import Page
from dr_orchestrator.report.subject import EvidenceSeen
from tests.support import practices
from tests.support.evidence import looked_after, make_drill, make_locks, make_point
from tests.support.known import make_key_proof
from tests.support.practices import (
    NOW,
    Practice,
    all_met,
    check,
    finding,
    record,
    restored,
    system,
)
from tests.support.promises import make_action, make_promise, make_sign_off

DAY = timedelta(days=1)
IN_ALL = "41 min proven + 3 h 30 min allowed (2 h never rehearsed) = 4 h 11 min"


def page_of(practice: Practice) -> Page:
    return build_page(practice.subject())


def one(
    findings: tuple[Finding, ...] = all_met("emr"),
    tests: tuple[RestoreTest, ...] = (),
    **plan: object,
) -> Page:
    return page_of(
        Practice(
            plan=practices.plan({"emr": system("Electronic medical record")}, **plan),
            findings=findings,
            record=record(tests),
        )
    )


def _sampled(at: datetime) -> RestoreTest:
    return restored("emr", at=at, repository="offsite", minutes=None, part=3, parts=20)


def everything(page: Page) -> str:
    return json.dumps(asdict(page), ensure_ascii=False)


# What a wrong clock dated ahead, and what was not judged yet


def test_a_drill_or_signature_of_the_future_hides_nothing() -> None:
    failed = make_drill(NOW - DAY, result=Result.FAILED, reason="it did not boot")
    practice = practices.one_system()
    signed = replace(practice.record, sign_offs=(make_sign_off(NOW + 9 * DAY),))
    seen = EvidenceSeen(chain="c", number=3, head="ab" * 32, fingerprint="cd" * 32)
    drills = (failed, make_drill(NOW + 9 * DAY))
    page = build_page(replace(practice, record=signed).subject(drills=drills, evidence=seen))
    assert "FAILED" in page.rehearsals[0].text
    assert page.needs[0].text.startswith("Sign this page")
    assert page.signature.last.startswith("Nobody has signed")


def test_less_is_promised_comes_before_what_is_still_to_be_done() -> None:
    practice = practices.loosened()
    told = replace(practice.record, actions=(make_action(NOW - DAY, due=NOW + DAY),))
    page = page_of(replace(practice, record=told, findings=judge(practice.plan, told, NOW)))
    first = page.systems[0]
    assert "less is promised" in first.sentence
    assert any("put right" in each for each in first.more)


def test_storage_is_read_back_only_where_it_was() -> None:
    practice = practices.one_system()
    checks = looked_after(NOW - DAY, "onsite")["checks"]
    seen = {"offsite": NOW - DAY}
    told = replace(practice.record, checks=checks, repositories_seen=seen)
    page = page_of(replace(practice, record=told, findings=judge(practice.plan, told, NOW)))
    assert "storage read back from “onsite”" in page.systems[0].kept


def test_damaged_storage_is_asked_about() -> None:
    practice = practices.one_system()
    sound = practice.record.checks[0]
    checks = (replace(sound, sound=False, reason="pack 12 is damaged"),)
    told = replace(practice.record, checks=checks)
    page = page_of(replace(practice, record=told, findings=judge(practice.plan, told, NOW)))
    assert "stored backups" in page.needs[0].text


# The verdict, in one sentence


def test_sentence_tells_day_time_limit_and_checks_when_all_is_kept() -> None:
    page = one(tests=(restored("emr", at=NOW - timedelta(hours=1)),))
    assert page.systems[0].sentence == (
        "On 21 November we rebuilt your electronic medical record from backup in 41 minutes "
        "(your limit: 4 hours). All 14 checks passed."
    )
    assert (page.verdict_words, page.summary) == ("kept", page.systems[0].sentence)


def test_sentence_says_of_a_sampled_test_what_came_back_and_no_time() -> None:
    page = one(tests=(_sampled(NOW - timedelta(hours=1)),), repositories=practices.two_places())
    assert page.systems[0].more[0] == (
        "On 21 November we rebuilt your electronic medical record with 5 % of the files "
        "(part 3 of 20) from backup. All 14 checks passed."
    )
    assert page.trend[0].result_words.endswith("5 % of the files (part 3 of 20)")
    assert page.trend[0].recovery_time == "–"


def test_sentence_is_of_a_test_of_all_files_where_a_sampled_one_is_newer() -> None:
    whole = restored("emr", at=NOW - timedelta(hours=8))
    tests = (whole, _sampled(NOW - timedelta(hours=1)))
    page = one(tests=tests, repositories=practices.two_places())
    assert "record from backup in 41 minutes" in page.systems[0].sentence


def test_sentence_says_could_not_when_the_newest_test_failed() -> None:
    page = page_of(practices.broken())
    emr = page.systems[0]
    assert emr.sentence == (
        "We could NOT rebuild your electronic medical record from the backup in “onsite” "
        "on 21 November; 2 of 14 checks failed."
    )
    assert (
        "The backup in “offsite” of 21 November, 03:15 could be rebuilt in 1 h 6 min." in emr.more
    )
    assert emr.verdict is Verdict.BREACHED


def test_sentence_says_could_not_when_another_test_passed_later_elsewhere() -> None:
    failed = restored("emr", at=NOW - 2 * DAY, result=Result.FAILED)
    passed = restored("emr", at=NOW - DAY, repository="offsite")
    page = one(tests=(failed, passed), repositories=practices.two_places())
    assert page.systems[0].sentence.startswith("We could NOT rebuild")
    assert page.verdict is Verdict.UNPROVEN


def test_a_follow_up_that_passed_does_not_undo_the_failure() -> None:
    failed = restored("emr", at=NOW - 2 * DAY, result=Result.FAILED)
    before = restored("emr", at=NOW - DAY, follow_up_of=failed.id)
    page = one(tests=(failed, before))
    assert page.systems[0].sentence.startswith("We could NOT rebuild")
    assert page.systems[0].verdict is Verdict.UNPROVEN


def test_sentence_says_not_proven_yet_when_the_first_test_lies_ahead() -> None:
    page = page_of(practices.first_day())
    assert page.summary == (
        "Not proven yet: we have not rebuilt your electronic medical record from backup. "
        "The first test is due by 28 November, 10:15."
    )
    assert page.verdict_words == "not proven"


def test_each_promise_that_is_not_due_yet_is_called_not_proven_yet() -> None:
    first_day = practices.first_day()
    (emr,) = page_of(first_day).systems
    assert {each.verdict_words for each in emr.shortfalls} == {"not proven yet"}


def test_sentence_says_was_due_when_the_first_test_is_overdue() -> None:
    findings = (
        finding("emr", Objective.RESTORE_TEST, Verdict.UNPROVEN, due=NOW - DAY, reason="none"),
    )
    assert "The first test was due by 20 November, 19:15." in one(findings).summary


def test_sentence_begins_with_the_breach_when_the_test_passed() -> None:
    findings = (
        *all_met("emr")[:2],
        finding("emr", Objective.RTO, Verdict.BREACHED, achieved=IN_ALL, reason="too slow"),
        all_met("emr")[3],
    )
    emr = one(findings, (restored("emr", at=NOW - DAY),)).systems[0]
    assert emr.sentence == "Not kept: too slow."
    assert emr.recovery == (f"Whole recovery: {IN_ALL}: over your 4 h",)
    assert emr.more[0].startswith("On 20 November we rebuilt")


def test_a_test_without_result_is_told_beside_the_older_one_that_passed() -> None:
    passed = restored("emr", at=NOW - 2 * DAY)
    came_to_nothing = restored(
        "emr", at=NOW - DAY, result=Result.UNPROVEN, reason="no sandbox", verifications=()
    )
    findings = (
        *all_met("emr")[:3],
        finding("emr", Objective.RESTORE_TEST, Verdict.UNPROVEN, reason="the test is overdue"),
    )
    emr = one(findings, (passed, came_to_nothing)).systems[0]
    assert emr.sentence == "Not proven: the test is overdue."
    assert emr.more[-1] == "The last test, on 20 November, came to no result: no sandbox."


def test_titles_that_may_be_names_keep_their_spelling() -> None:
    titles = {"a": "Dentrix", "b": "OpenEMR server", "c": "Shared files"}
    page = page_of(
        Practice(
            plan=practices.plan({name: system(title) for name, title in titles.items()}),
            findings=tuple(each for name in titles for each in all_met(name)),
            record=record(restored(name, at=NOW - DAY) for name in titles),
        )
    )
    rebuilt = [each.sentence.split(" from ")[0] for each in page.systems]
    assert rebuilt == [
        "On 20 November we rebuilt Dentrix",
        "On 20 November we rebuilt OpenEMR server",
        "On 20 November we rebuilt your shared files",
    ]


def test_the_worst_system_comes_first_and_then_the_most_important() -> None:
    page = page_of(practices.crowded())
    assert [each.verdict for each in page.systems[:3]] == ["breached", "unproven", "met"]
    assert page.summary == "What was promised is not kept for 1 and not proven for 1 of 9 systems."


def test_kept_names_the_place_where_another_did_not_keep_it() -> None:
    emr = page_of(practices.broken()).systems[0]
    assert "restore test from “offsite”" in emr.kept
    assert [each.objective for each in emr.shortfalls] == [
        "backups in time",
        "recovery time and restore test, “onsite”",
    ]


def test_reasons_tell_their_instants_as_the_page_does() -> None:
    text = everything(page_of(practices.broken()))
    assert "since 21 November, 13:57" in text
    assert "2026-11-21" not in text


def test_a_failed_test_the_plan_did_not_ask_for_is_not_called_kept() -> None:
    asked = restored("emr", at=NOW - DAY)
    by_hand = restored("emr", at=NOW - DAY, repository="offsite", result=Result.FAILED)
    page = one(tests=(asked, by_hand), repositories=practices.two_places())
    assert page.verdict is Verdict.UNPROVEN
    assert "could NOT" in page.summary


def test_a_year_is_told_when_it_is_not_this_one() -> None:
    page = one(tests=(restored("emr", at=datetime(2025, 11, 21, 18, tzinfo=UTC)),))
    assert page.trend[0].day == "21 November 2025"
    assert page.made == "21 November 2026"


# Kept is never said without proof

OBJECTIVES = st.sampled_from(Objective)
VERDICTS = st.sampled_from(Verdict)
REPOSITORIES = st.sampled_from(["onsite", "offsite", "elsewhere"])


@st.composite
def _tests(draw: st.DrawFn) -> RestoreTest:
    return restored(
        draw(st.sampled_from(["emr", "imaging", "gone"])),
        at=NOW + timedelta(hours=draw(st.integers(-24 * 20, 24))),
        repository=draw(REPOSITORIES),
        result=draw(st.sampled_from(Result)),
        minutes=draw(st.none() | st.floats(0, 600)),
        depth=draw(st.sampled_from(Depth)),
        follow_up_of=draw(st.none() | st.just("20261101-010101-aaaaaa")),
    )


@st.composite
def _findings(draw: st.DrawFn) -> Finding:
    return finding(
        draw(st.sampled_from(["emr", "imaging", "gone"])),
        draw(OBJECTIVES),
        draw(VERDICTS),
        repository=draw(st.none() | REPOSITORIES),
        due=draw(st.none() | st.just(NOW - DAY) | st.just(NOW + DAY)),
    )


ALL_MET = st.just([*all_met("emr"), *all_met("imaging")])
TWO = {"emr": system("Medical record"), "imaging": system("Imaging")}
LOWERED = {
    "nothing": ("", "", set()),
    "emr": ("systems.emr.rto", "1h", {"emr"}),
    "imaging": ("systems.imaging.rpo", "5m", {"imaging"}),
    "both": ("custody[clinician]", "safe", {"emr", "imaging"}),
}
"""Field that promised more, what it promised, and whose systems lost by it."""
CLAIMS_KEPT = re.compile(r"(?<!not )(?<!be )\bkept\b", re.IGNORECASE)


def _promises(lowered: str) -> tuple[PromiseMade, ...]:
    now = practices.promised(practices.plan(TWO), at=NOW - 9 * DAY)
    field, before, _ = LOWERED[lowered]
    then = {**now.fields, field: before} if field else now.fields
    return (make_promise(NOW - 90 * DAY, fields=then, changes=()), now)


@given(
    st.lists(_tests(), max_size=6),
    ALL_MET | st.lists(_findings(), max_size=10),
    st.sampled_from(sorted(LOWERED)),
    st.sampled_from([-9, -1, 0, 1, 6, 8, 400]),
    st.booleans(),
)
def test_nothing_is_called_kept_without_a_recent_passed_test_and_the_accepted_promise(
    tests: list[RestoreTest], findings: list[Finding], lowered: str, days: int, proven_lately: bool
) -> None:
    now = NOW + days * DAY
    if proven_lately:
        tests = [restored(name, at=now - timedelta(hours=2)) for name in TWO]
    known = replace(record(tests), promises=_promises(lowered))
    plan = practices.plan(TWO, repositories=practices.two_places())
    page = page_of(Practice(plan=plan, findings=tuple(findings), record=known, now=now))
    for told in page.systems:
        proven = any(
            test.system == told.system
            and test.repository in plan.repositories
            and test.result is Result.PASSED
            and now - 7 * DAY <= test.finished_at
            and test.started_at <= now + timedelta(minutes=5)
            for test in tests
        )
        wrong = {f.verdict for f in findings if f.system == told.system} - {Verdict.MET}
        if not proven or told.system in LOWERED[lowered][2]:
            own = [each for each in page.losses if each.title == told.title]
            said = json.dumps([asdict(told), *map(asdict, own)], ensure_ascii=False)
            assert Verdict.MET not in {told.verdict, *(each.verdict for each in own)}
            assert not CLAIMS_KEPT.search(said.replace('"kept":', ""))
        if not proven or (told.system, lowered) == ("emr", "emr"):
            assert "within your" not in " ".join(told.recovery)
        if wrong:
            assert told.verdict is not Verdict.MET
    if any(told.verdict is not Verdict.MET for told in page.systems):
        assert page.verdict is not Verdict.MET
    if not any(test.result is Result.PASSED for test in tests) or lowered == "both":
        html = re.sub(
            r"<style.*?</style>|<[^>]+>", " ", render_html(page).decode(), flags=re.DOTALL
        )
        assert not CLAIMS_KEPT.search(html)
        assert not CLAIMS_KEPT.search(everything(page).replace('"kept":', ""))
    if lowered != "nothing":
        assert page.verdict is not Verdict.MET
        assert "not accepted by the practice" in everything(page)


@given(st.lists(_tests(), max_size=8), st.integers(0, 72))
def test_page_and_judge_agree_whatever_is_on_record(
    tests: list[RestoreTest], hours_old: int
) -> None:
    practice = practices.judged(
        practices.one_system().plan,
        [test for test in tests if test.repository != "elsewhere"],
        practices.points("emr", until=NOW - timedelta(hours=hours_old)),
    )
    page = page_of(practice)
    assert page.verdict is practice_verdict(practice.findings)
    told = " ".join((page.systems[0].sentence, *page.systems[0].more))
    assert ("could NOT" in told) <= (page.verdict is Verdict.BREACHED)
    assert (page.verdict is Verdict.MET) <= told.startswith("On ")


@pytest.mark.parametrize(
    ("age", "expected"),
    [(timedelta(days=6), Verdict.MET), (timedelta(days=8), Verdict.UNPROVEN)],
)
def test_a_passed_test_proves_as_long_as_the_plan_says(age: timedelta, expected: Verdict) -> None:
    assert one(tests=(restored("emr", at=NOW - age),)).verdict is expected


def test_a_system_without_findings_is_not_proven() -> None:
    page = one(findings=(), tests=(restored("emr", at=NOW - DAY),))
    assert page.verdict is Verdict.UNPROVEN
    assert page.systems[0].sentence.startswith("Not proven: ")


def test_a_finding_on_a_system_the_plan_does_not_protect_is_still_told() -> None:
    stray = finding("gone", Objective.COVERAGE, Verdict.BREACHED, reason="no backup")
    page = one((*all_met("emr"), stray), (restored("emr", at=NOW - DAY),))
    assert (page.verdict, page.systems[0].title) == (Verdict.BREACHED, "gone")


# The other parts


def test_loss_says_so_when_backups_in_time_were_never_rebuilt() -> None:
    loss = page_of(practices.first_day()).losses[0]
    assert loss.text == (
        "at worst 30 min (your limit: 1 h). "
        "Backups were made in time, but were never rebuilt to prove it."
    )


def test_loss_tells_the_newest_entry_of_the_tested_backup() -> None:
    loss = one(tests=(restored("emr", at=NOW - timedelta(hours=1)),)).losses[0]
    assert loss.text.endswith(
        "Newest entry in the tested backup: 21 November, 17:47, 13 min older than that backup."
    )


def test_compared_shows_every_failed_check_before_those_that_passed() -> None:
    failed = [
        check(f"check {number}", 1, 2, result=Result.FAILED, reason="differs")
        for number in range(20)
    ]
    page = one(
        tests=(
            restored(
                "emr",
                at=NOW - DAY,
                result=Result.FAILED,
                verifications=(check("good"), *failed, check("also good")),
            ),
        )
    )
    shown = page.compared[0].checks
    assert [each.result for each in shown] == [*[Result.FAILED] * 20, Result.PASSED]
    assert shown[0].text == "1 found, 2 expected; differs"
    assert page.compared[0].more == "and one more, passed"


@pytest.mark.parametrize(
    ("actual", "expected", "text"),
    [
        (8412, 8412, "8,412, as expected"),
        (8412, None, "8,412"),
        (0.5, 0.5, "0.5, as expected"),
        (True, True, ""),
        (False, False, "no, as expected"),
        (datetime(2026, 11, 22, 0, 47, tzinfo=UTC), "newer than 4 h", "21 November, 18:47"),
        ("214 tables", "equal to capture", "214 tables"),
    ],
)
def test_compared_writes_values_as_people_do(actual: object, expected: object, text: str) -> None:
    page = one(
        tests=(restored("emr", at=NOW - DAY, verifications=(check("it", actual, expected),)),)
    )
    assert page.compared[0].checks[0].text == text


def test_not_covered_names_what_nobody_tested() -> None:
    page = page_of(practices.healthy())
    notes = {note.label: note.text for note in page.not_covered}
    assert notes["Telephones"] == (
        "Protected by telephone vendor; not tested by us, to be confirmed every 90 days, "
        "no confirmation on record."
    )
    assert notes["Patient portal"] == (
        "NOT protected: hosted and holds no records. Accepted by: practice manager; "
        "acceptance not signed."
    )
    assert "never rehearsed: EMR program and licence (30 min" in notes["Electronic medical record"]
    assert notes["Imaging, Shared files"].startswith("The time is for the data only")
    assert "A second copy" not in notes


def test_not_covered_warns_of_a_single_place() -> None:
    assert "destroys them all" in everything(one())


VAULT = {
    "location": "s3:https://s3.example.com/riverside",
    "password": {"file": "/etc/dro/keys/vault"},
    "object_lock": {"mode": "compliance", "days": 30},
}


def in_vault(*, verdict: Verdict = Verdict.MET, left: timedelta = 29 * DAY) -> Page:
    """Return the page of a practice that copies to a locked place, and has restored from there."""
    copied = system(
        "Electronic medical record", backup={"schedule": "every 30m", "copy_to": ["vault"]}
    )
    plan = practices.plan({"emr": copied})
    vault = type(plan.repositories["onsite"]).model_validate(VAULT)
    plan = plan.model_copy(update={"repositories": {**plan.repositories, "vault": vault}})
    test = restored("emr", at=NOW - timedelta(hours=1), repository="vault")
    point = make_point(test.point_as_of, id=test.point, repositories=("onsite", "vault"))
    at = NOW - timedelta(minutes=30)
    locks = {"vault": make_locks(at, NOW + left, "vault", plan.repositories["vault"].location)}
    said = finding("emr", Objective.IMMUTABILITY, verdict, repository="vault")
    return page_of(
        Practice(
            plan=plan,
            findings=(*all_met("emr"), said),
            record=replace(record((test,)), points=(point,), locks=locks),
        )
    )


def test_page_says_until_when_the_newest_tested_backup_is_locked() -> None:
    page = in_vault()
    assert page.systems[0].protection == (
        "Its newest tested backup in “vault” is locked until 20 December, 19:15",
    )
    assert "destroys them all" not in everything(page)


def test_page_says_nothing_of_locks_that_ran_out_or_that_somebody_got_past() -> None:
    assert in_vault(left=timedelta(0)).systems[0].protection == ()
    assert in_vault(verdict=Verdict.BREACHED).systems[0].protection == ()


def test_a_test_without_a_result_is_no_missing_test_and_is_asked_about() -> None:
    begun = practices.first_day()
    test = restored("emr", at=NOW - timedelta(minutes=5), result=Result.UNPROVEN, reason="x")
    page = page_of(replace(begun, record=replace(begun.record, tests=(test,))))
    assert page.summary.startswith("Not proven: no restore test of your electronic medical record")
    assert any("came to no result" in need.text for need in page.needs)


def _key_tried(*proofs: KeyProof) -> Page:
    practice = practices.healthy()
    return page_of(replace(practice, record=replace(practice.record, key_proofs=proofs)))


def _tried_everywhere(at: datetime, **changes: object) -> tuple[KeyProof, ...]:
    return tuple(
        make_key_proof(at, repository=name, opened=True, reason="", key="23e673c3", **changes)
        for name in ("onsite", "offsite")
    )


def test_keys_that_were_never_tried_are_not_called_proven() -> None:
    page = _key_tried()
    assert [note.label for note in page.keys] == ["Practice manager", "Your IT provider"]
    assert all("no key is known" in note.text for note in page.keys)
    assert "Nobody" in one(custody=[]).keys[0].label


def test_keys_say_when_they_were_tried_and_how_that_went() -> None:
    tried = _key_tried(*_tried_everywhere(NOW - DAY)).keys[0].text
    assert tried == (
        "sealed sheet; opened all backups when tried on 20 November (to be shown every 180 days)"
    )
    late = _key_tried(*_tried_everywhere(NOW - 200 * DAY)).keys[0].text
    assert late.startswith("sealed sheet; last tried on 5 May, ")
    assert "too long ago" in late
    some = _key_tried(*_tried_everywhere(NOW - DAY)[:1]).keys[0].text
    assert some.startswith("sealed sheet; no key is known that opens what is in offsite")
    failed = _key_tried(make_key_proof(NOW - DAY)).keys[0].text
    assert failed.startswith("sealed sheet; did NOT open offsite when tried on 20 November")


def test_needs_ask_for_a_key_again_a_month_before_its_proof_is_due() -> None:
    def asked(page: Page) -> bool:
        return any(need.text.startswith("Prove that the key") for need in page.needs)

    assert not asked(_key_tried(*_tried_everywhere(NOW - 140 * DAY)))
    assert asked(_key_tried(*_tried_everywhere(NOW - 160 * DAY)))


def test_key_that_did_not_open_makes_the_page_say_not_kept() -> None:
    practice = practices.healthy()
    failed = replace(practice.record, key_proofs=(make_key_proof(NOW - DAY),))
    page = page_of(replace(practice, record=failed, findings=judge(practice.plan, failed, NOW)))
    assert page.verdict is Verdict.BREACHED
    assert page.needs[0].text.startswith("Have whoever holds a key to the backups try it")


def test_trend_is_the_last_twelve_tests_newest_first() -> None:
    tests = practices.nights("emr", 20)
    trend = one(tests=tests).trend
    assert len(trend) == 12
    assert (trend[0].day, trend[-1].day) == ("21 November", "10 November")
    days = [int(line.day.split()[0]) for line in trend]
    assert all(earlier > later for earlier, later in pairwise(days))


def test_trend_does_not_claim_a_recovery_time_for_a_failed_test() -> None:
    line = one(tests=(restored("emr", at=NOW - DAY, result=Result.FAILED),)).trend[0]
    assert (line.result_words, line.recovery_time) == ("FAILED", "–")


def test_needs_are_at_most_three_worst_first_each_with_a_date() -> None:
    page = page_of(practices.broken())
    assert len(page.needs) == 3
    assert page.needs[0].text.startswith("Ask your IT provider to repair the backups of")
    assert {need.by for need in page.needs} == {"today, 21 November"}


def test_needs_ask_for_nothing_while_the_first_proof_is_not_due() -> None:
    assert page_of(practices.first_day()).needs == ()


def test_needs_ask_for_proof_of_a_key_by_the_day_it_is_due() -> None:
    page = _key_tried()
    assert [(need.text, need.by) for need in page.needs] == [
        (
            (
                "No key was made for practice manager (sealed sheet), or it opens the backups no "
                "more: have your IT provider make one, and try it."
            ),
            "19 February 2027",
        )
    ]


def test_page_tells_that_somebody_else_s_job_died_and_what_to_do() -> None:
    page = page_of(practices.dead_job())
    emr = page.systems[0]

    died = "the EMR vendor's nightly job has written nothing since 31 October, 02:42"
    assert page.summary == f"Not kept: {died}."
    assert page.losses[0].text.startswith("at worst 21 d 18 h (your limit: 26 h).")
    assert {each.objective: each.text for each in emr.shortfalls} == {
        "backups made by others": "since 31 October, 02:42",
        "backups in time": "nothing newer of dumps than from 31 October, 02:42 could be brought "
        "back: 20 d 16 h too long; since 31 October, 02:42",
        "all parts of one moment": "the parts of the backup of 21 November, 18:57 are "
        "21 d 17 h apart: what was entered in between is in some of them and not in others; "
        "since 19 November, 19:27",
    }
    assert {each.verdict_words for each in emr.shortfalls} == {"not kept"}
    assert "copies" in emr.kept
    assert [need.text for need in page.needs] == [
        f"Have this put right for your electronic medical record: {died}.",
    ]


def test_late_backups_are_asked_about_beside_a_dead_job() -> None:
    sample = practices.dead_job()
    late = finding("emr", Objective.RPO, Verdict.BREACHED, reason="no point", since=NOW - 30 * DAY)
    others = [each for each in sample.findings if each.objective is not Objective.RPO]

    page = page_of(replace(sample, findings=(*others, late)))

    assert any("late or missing" in need.text for need in page.needs)


def test_footer_names_plan_point_depth_and_rule() -> None:
    page = one(tests=(restored("emr", at=NOW - timedelta(hours=1)),))
    footer = {note.label: note.text for note in page.footer}
    assert footer["Plan version"] == "5f1d7a3c9be0"
    assert footer["Tested recovery point"] == "20261122-000000-8v3n1c"
    assert footer["Depth reached"] == "level 4 of 5"
    assert "164.308(a)(7)(ii): (A)" in footer["Rule this speaks to"]
    assert footer["Made"].startswith("21 November, 19:15 (times: America/Chicago)")


def test_no_abbreviation_is_left_unexplained() -> None:
    for make in (practices.healthy, practices.broken, practices.first_day, practices.one_system):
        text = everything(page_of(make()))
        for word in ("RTO", "RPO", "RTA", "RPA", "HIPAA", "MSP", "SHA", " L4"):
            assert word not in text, word


def test_same_input_gives_the_same_page() -> None:
    assert page_of(practices.broken()) == page_of(practices.broken())


def test_the_order_of_tests_in_the_record_changes_nothing() -> None:
    given_order = practices.broken()
    shuffled = replace(given_order.record, tests=given_order.record.tests[::-1])
    assert page_of(given_order) == page_of(replace(given_order, record=shuffled))
