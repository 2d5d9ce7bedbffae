from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.occurrence import (
    Occurrence,
    OccurrenceState,
    Progress,
    Skipped,
    TestsDue,
)
from dr_orchestrator.core.promise import Direction, PromiseChange
from dr_orchestrator.core.record import Restored
from dr_orchestrator.core.run import Operation
from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.core.sign_off import HowGiven
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.model import NotProtected, PolicyName
from dr_orchestrator.report.as_json import document_json
from dr_orchestrator.report.auditor import auditor_document
from dr_orchestrator.report.document import Document, Facts, Paragraph, Picture, Table, Tone
from dr_orchestrator.report.exact import Exact
from dr_orchestrator.report.html import render_document
from dr_orchestrator.report.insurer import insurer_document
from dr_orchestrator.report.subject import EvidenceSeen, Subject
from dr_orchestrator.report.tested import calendar_section, first_month, year_of_tests
from tests.support.clock import START as NOW
from tests.support.evidence import (
    PRACTICE,
    SYSTEM,
    full_id,
    make_runbook_run,
    make_test,
)
from tests.support.known import (
    DAY,
    all_well,
    make_action,
    make_key_proof,
    make_promise,
    make_sign_off,
    nothing_known,
)


def subject(*, is_empty: bool = False, **changes: Any) -> Subject:
    """Return what a report is made of: of a practice where all is well, or of which nothing is
    known.
    """
    known = nothing_known() if is_empty else all_well()
    seen = EvidenceSeen(
        chain="c" * 32, number=12, head=known.head, fingerprint="7" * 64, anchors=known.anchors
    )
    plain = Subject(
        plan=known.plan,
        plan_sha256=full_id("plan"),
        record=known.record,
        findings=known.findings,
        now=NOW,
        evidence=EvidenceSeen() if is_empty else seen,
        tests=known.tests,
        drills=known.drills,
        exercised=known.exercised,
        kit=known.kit,
    )
    return replace(plain, **changes)


def with_record(plain: Subject, **changes: Any) -> Subject:
    return replace(plain, record=replace(plain.record, **changes))


def tables(document: Document, section: str) -> dict[str, list[list[str]]]:
    """Return the rows of each table in a section by its caption, details behind their cell."""
    found = next(each for each in document.sections if each.id == section)
    return {
        block.caption: [
            ["; ".join(part for part in (cell.text, cell.detail) if part) for cell in row]
            for row in block.rows
        ]
        for block in found.blocks
        if isinstance(block, Table)
    }


def everything_said(document: Document) -> Iterator[str]:
    yield from (document.summary, document.title, document.verdict_words)
    for section in document.sections:
        yield section.title
        for block in section.blocks:
            match block:
                case Paragraph(text=text):
                    yield text
                case Facts(facts=facts):
                    yield from (part for fact in facts for part in (fact.label, fact.text))
                case Table():
                    yield block.caption
                    yield from (
                        part
                        for row in block.rows
                        for cell in row
                        for part in (cell.text, cell.detail)
                    )
                case _:
                    pass


def due(at: datetime, reason: str, repository: str = "onsite") -> OccurrenceState:
    return OccurrenceState(
        occurrence=Occurrence(
            id=f"{repository}@{at.isoformat()}",
            schedule_id=repository,
            due_at=at,
            practice=PRACTICE,
            operation=Operation.RESTORE_TEST,
            system=SYSTEM,
            repository=repository,
        ),
        progress=Progress.SKIPPED,
        attempt=0,
        not_before=None,
        outcome=None,
        reason=reason,
    )


def test_the_matrix_has_a_row_a_control_with_citation_verdict_reason_and_when() -> None:
    rows = tables(auditor_document(subject()), "hipaa")
    matrix = next(iter(rows.values()))
    copies = next(row for row in matrix if row[0].startswith("45 CFR 164.308(a)(7)(ii)(A)"))
    assert copies[0] == (
        "45 CFR 164.308(a)(7)(ii)(A); NIST SP 800-34 Rev. 1, 3.4.1; SP 800-53 CP-9"
    )
    assert copies[2] == "met; required"
    assert copies[3].startswith("Backups are whole and in time.")
    assert "On record: 20261117-120000-" in copies[3]
    assert copies[4] == "2026-11-17 06:50 CST"


def test_an_addressable_control_that_is_not_met_asks_to_document_why() -> None:
    rows = tables(auditor_document(subject(is_empty=True)), "hipaa")
    verdicts = {row[0].partition(";")[0]: row[2] for row in next(iter(rows.values()))}
    assert verdicts["45 CFR 164.312(a)(2)(iv)"] == (
        "not proven; addressable: implement it, or document why not and what is done instead"
    )
    assert verdicts["45 CFR 164.316(b)(2)(i)"] == "not proven; required"


def test_a_proposal_is_marked_as_none_wherever_it_stands_and_counts_for_nothing() -> None:
    plain = subject()
    plan = plain.plan.model_copy(update={"policies": get_args(PolicyName)})
    document = auditor_document(replace(plain, plan=plan))
    section = next(each for each in document.sections if each.id == "hipaa-nprm-2025")
    assert Paragraph(text="This is a proposal, not law.", tone=Tone.OPEN) in section.blocks
    captions = tables(document, "hipaa-nprm-2025")
    assert all(caption.endswith("(a proposal, not law)") for caption in captions)
    assert document.summary == auditor_document(plain).summary
    assert "Of 20 controls of the law" in document.summary


def test_a_practice_without_a_record_has_a_report_that_proves_nothing() -> None:
    document = auditor_document(subject(is_empty=True))
    assert "of 20 this record proves neither" in document.summary
    assert document.verdict_words == "promises not proven"
    assert not any(
        cell.tone is Tone.GOOD
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table)
        for row in block.rows
        for cell in row
    )


def test_what_somebody_recorded_is_never_shown_as_her_own_signature() -> None:
    signs = tuple(
        make_sign_off(NOW - days * DAY, id=f"s{days}", how=how)
        for days, how in enumerate(HowGiven, 1)
    )
    rows = tables(auditor_document(with_record(subject(), sign_offs=signs)), "sign-offs")
    assert [row[2] for row in rows["Sign-offs"]] == [
        "signed with their own key, checked here",
        "reply by e-mail, recorded by ada on clinic",
        "signature on paper, recorded by ada on clinic; this is not an electronic signature",
    ][::-1]


def test_a_loosened_promise_stands_there_field_by_field_until_it_is_accepted() -> None:
    change = PromiseChange(
        field="systems.emr.rto", before="4h", after="24h", direction=Direction.LOOSENED
    )
    first = make_promise(NOW - 300 * DAY)
    second = make_promise(NOW - 10 * DAY, id="second", changes=(change,))
    open_ = with_record(subject(), promises=(first, second))
    rows = tables(auditor_document(open_), "promise")
    assert rows["Versions"][0][4].startswith("by Maria Lopez, practice manager, on 2026-11-13")
    assert rows["Versions"][1][3:] == [
        "one change; one of them loosened",
        "not accepted by the practice",
    ]
    changes = rows["Changes of the last 13 months, and older ones that nobody accepted"]
    assert changes == [["2", "systems.emr.rto", "4h", "24h", "loosened", "not accepted"]]
    signed = make_sign_off(NOW - DAY, promise="second")
    rows = tables(auditor_document(with_record(open_, sign_offs=(signed,))), "promise")
    assert [row[4].partition(";")[0] for row in rows["Versions"]] == [
        "by Maria Lopez, practice manager, on 2026-11-17 06:00 CST"
    ] * 2


def test_a_sign_off_on_an_unknown_version_accepts_none() -> None:
    other = make_sign_off(NOW - DAY, promise="of another plan")
    assert Exact(with_record(subject(), sign_offs=(other,))).accepted(0) is None


def test_corrective_actions_say_how_many_are_late_and_how_long_they_take() -> None:
    actions = (
        make_action(NOW - 90 * DAY, id="a", closed_at=NOW - 88 * DAY),
        make_action(NOW - 80 * DAY, id="b", closed_at=NOW - 70 * DAY),
        make_action(NOW - 30 * DAY, id="c"),
        make_action(NOW - DAY, id="d"),
    )
    document = auditor_document(with_record(subject(), actions=actions))
    section = next(each for each in document.sections if each.id == "actions")
    facts = next(block for block in section.blocks if isinstance(block, Facts)).facts
    assert [fact.text for fact in facts] == ["2", "1", "6 d"]
    rows = next(iter(tables(document, "actions").values()))
    assert [row[4] for row in rows] == [
        "open",
        "open, and overdue",
        "closed late, on 2026-09-09 07:00 CDT, by ada; Replaced a disk.",
        "closed on 2026-08-22 07:00 CDT by ada; Replaced a disk.",
    ]


def test_every_place_where_patient_data_rests_is_named() -> None:
    restored = Restored(
        practice=PRACTICE,
        run="r",
        at=NOW - DAY,
        system=SYSTEM,
        point="p",
        repository="onsite",
        assets=("documents",),
        place="/srv/restored on clinic",
        by="ada",
        why="a folder was deleted",
    )
    said = "\n".join(everything_said(auditor_document(subject(restored=(restored,)))))
    for place in (
        "/srv/emr/emr.db",
        "/srv/emr/documents",
        "/srv/restic/onsite",
        "s3:https://s3.us-east-2.amazonaws.com/riverside-dr",
        "/srv/restored on clinic",
        "sandbox on the machine that tests",
        "staging folder",
    ):
        assert place in said


def test_drills_rehearsals_and_incidents_name_who_took_part() -> None:
    followed = (
        make_runbook_run(NOW - 20 * DAY, id="incident", mode=Mode.INCIDENT, opened_by="Bo"),
        make_runbook_run(NOW - 10 * DAY, id="rehearsal", opened_by="Cy", lane="front_desk"),
    )
    rows = tables(auditor_document(subject(followed=followed)), "exercises")
    assert [row[2] for row in rows["Drills"]] == ["Ada; clinic"] * 2
    assert [row[2] for row in rows["Runbooks that were rehearsed"]] == ["Cy; clinic, front_desk"]
    incidents = rows["Incidents: runbooks that were followed in earnest"]
    assert [row[2] for row in incidents] == ["Bo; clinic"]


def test_the_commands_to_check_it_carry_head_and_fingerprint() -> None:
    document = auditor_document(subject())
    text = json.dumps(document_json(document))
    head = full_id("head")
    assert f"dro evidence verify riverside --expect {head}" in text
    assert f"python3 riverside-evidence.zip --key {'7' * 64} --expect {head}" in text
    assert document.head == head[:12]


def test_tests_in_a_row_that_were_missed_for_one_reason_are_one_line() -> None:
    missed = tuple(due(NOW - days * DAY, Skipped.TOO_LATE.value) for days in range(20, 27))
    paused = (due(NOW - 30 * DAY, "paused until 2026-10-20 06:00 CDT: server move"),)
    document = auditor_document(subject(due=TestsDue(states=(*paused, *missed))))
    rows = tables(document, "calendar")
    assert [row[2:] for row in rows["Restore tests that did not pass"]] == [
        ["skipped", "Paused until 2026-10-20 06:00 CDT: server move."],
        ["missed; 7 times in a row", "It could not be started within its grace."],
    ]


_RESULTS = st.sampled_from(Result)
_BECAME = ("passed", "failed", "unproven", "missed", "skipped")
_HOURS = st.integers(0, 20_000)
_WHERE = st.sampled_from(["onsite", "offsite"])
_REASONS = st.sampled_from(
    [Skipped.TOO_LATE.value, Skipped.SUPERSEDED.value, Skipped.CLOCK_AHEAD.value, "paused"]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(_HOURS, _RESULTS, _WHERE, st.booleans()), max_size=40),
    st.lists(st.tuples(_HOURS, _REASONS, _WHERE), max_size=20),
)
def test_the_counts_of_the_calendar_are_those_of_the_tests_given(
    made: list[tuple[int, Result, str, bool]], not_made: list[tuple[int, str, str]]
) -> None:
    tests = tuple(
        make_test(
            NOW - timedelta(hours=hours),
            result,
            repository=repository,
            id=f"t{place}",
            follow_up_of="t0" if follows else None,
        )
        for place, (hours, result, repository, follows) in enumerate(made)
    )
    states = tuple(
        replace(due(NOW - timedelta(hours=hours), reason, where), attempt=place)
        for place, (hours, reason, where) in enumerate(not_made)
    )
    given_ = subject(tests=tests, due=TestsDue(states=states))
    start = first_month(Exact(given_))
    section = calendar_section(Exact(given_))
    table = next(block for block in section.blocks if isinstance(block, Table))
    shown = Counter[str]()
    for row in table.rows:
        _, total, *counts, _ = (cell.text for cell in row)
        assert int(total) == sum(int(each) for each in counts[:3])
        for name, number in zip(_BECAME, counts, strict=True):
            shown[name] += int(number)
    expected = Counter[str](
        test.result.value
        for test in tests
        if test.follow_up_of is None and test.started_at >= start
    )
    for state in states:
        if state.occurrence.due_at >= start and state.reason != Skipped.CLOCK_AHEAD.value:
            expected["skipped" if state.reason == "paused" else "missed"] += 1
    assert +shown == expected
    assert len(year_of_tests(Exact(given_))) == expected.total()


def test_the_same_gives_the_same_bytes_for_both_readers() -> None:
    for build in (auditor_document, insurer_document):
        assert render_document(build(subject())) == render_document(build(subject()))


def test_an_insurer_reads_answers_with_date_and_id_and_what_is_not_known() -> None:
    document = insurer_document(subject())
    rows = next(iter(tables(document, "answers").values()))
    answers = {row[0].partition(";")[0]: row[1:] for row in rows}
    tested = answers["When was the last restore test, and did it pass?"]
    assert (tested[0], tested[1]) == (
        "yes",
        "The last restore test, of 2026-11-17 06:50 CST, passed.",
    )
    assert tested[2] == "2026-11-17 06:50 CST"
    assert tested[3].startswith("20261117-120000-")
    for unknown in (
        "Does administrative access to the backups need a second factor?",
        "Is there a copy that is disconnected from every network?",
    ):
        assert answers[unknown] == ["not shown", "Not known to this record.", "no date", "none"]


def test_an_insurer_reads_no_where_the_last_test_failed_and_never_yes_of_nothing() -> None:
    failed = make_test(NOW - DAY, Result.FAILED)
    document = insurer_document(
        with_record(subject(tests=(failed,)), tests=(failed,), immutability={})
    )
    rows = next(iter(tables(document, "answers").values()))
    answers = {row[0].partition(";")[0]: row[1] for row in rows}
    assert answers["When was the last restore test, and did it pass?"] == "no"
    rows = next(iter(tables(insurer_document(subject(is_empty=True)), "answers").values()))
    assert {row[0].partition(";")[0] for row in rows if row[1] == "yes"} == {
        "Is it listed which systems are backed up, and which are not?"
    }


def test_the_newest_test_without_a_result_is_not_hidden_behind_one_that_passed() -> None:
    tests = (make_test(NOW - DAY), make_test(NOW - DAY / 2, Result.UNPROVEN))
    record = replace(all_well().record, tests=tests, actions=())
    seen = subject(record=record, tests=tests)
    rows = next(iter(tables(insurer_document(seen), "answers").values()))
    (row,) = [each for each in rows if each[0].startswith("When was the last restore test")]
    assert row[1] == "not shown"
    assert "came to no result" in row[2]
    told = " ".join(everything_said(auditor_document(seen)))
    assert "there was nothing to correct" not in told
    assert "A restore test came to no result, on " in told


def test_importance_that_the_plan_does_not_state_is_called_a_default() -> None:
    told = " ".join(everything_said(auditor_document(subject(is_empty=True))))
    assert "important (by default); back at work" in told
    assert "(by default)" not in " ".join(everything_said(auditor_document(subject())))


def test_nobody_protects_a_system_and_whether_that_was_signed_for_is_said() -> None:
    plain = subject()
    portal = NotProtected(not_protected="holds no records", accepted_by="manager")
    systems = {**plain.plan.systems, "portal": portal}
    plan = plain.plan.model_copy(update={"systems": systems})
    rows = tables(auditor_document(replace(plain, plan=plan)), "scope")
    line = next(row for row in next(iter(rows.values())) if row[0] == "portal")
    assert line[1] == "protected by nobody; Why: holds no records"
    assert line[2].startswith("accepted by manager, by the word of the plan; ")


def test_tests_that_looked_for_damage_are_counted_in_the_calendars_months() -> None:
    tests = [
        make_test(at, follow_up_of="20260101-000000-abcdef")
        for at in (NOW - 390 * DAY, NOW - 30 * DAY, NOW + 30 * DAY)
    ]
    said = calendar_section(Exact(subject(tests=tuple(tests)))).blocks
    assert [each.text for each in said if isinstance(each, Paragraph)][1].startswith("One further")


def test_a_name_that_turns_the_order_of_signs_does_not_reach_a_document() -> None:
    plain = subject()
    emr = plain.plan.systems[SYSTEM].model_copy(update={"title": "Records \u202egnp.exe"})
    plan = plain.plan.model_copy(update={"systems": {SYSTEM: emr}})
    for made in (auditor_document, insurer_document):
        assert "\u202e" not in render_document(made(replace(plain, plan=plan))).decode()


def test_it_is_said_how_the_key_lies_to_the_backups() -> None:
    plain = subject()
    onsite = plain.plan.repositories["onsite"]
    for file, words in (("/srv/restic/onsite/key", "in the same folder"), ("/k", "another folder")):
        password = onsite.password.model_copy(update={"env": None, "file": file})
        repositories = {"onsite": onsite.model_copy(update={"password": password})}
        plan = plain.plan.model_copy(update={"repositories": repositories})
        (row,) = tables(auditor_document(replace(plain, plan=plan)), "places")[
            "Where backups are kept"
        ]
        assert row[2].startswith("always: restic encrypts all")
        assert words in row[2]


def test_nothing_is_called_due_that_a_person_started() -> None:
    test = make_test(NOW - DAY)
    due = TestsDue(by_hand=frozenset({test.id}))
    section = calendar_section(Exact(subject(tests=(test,), due=due)))
    (alt,) = (each.alt for each in section.blocks if isinstance(each, Picture))
    assert alt.endswith("a person started each, and none was due by the schedule.")
    assert tables(auditor_document(subject(tests=(test,), due=due)), "calendar")[
        "Restore tests since 2025-12-01 00:00 CST"
    ] == [["emr, from onsite", "1", "1", "0", "0", "0", "0", "1"]]


def test_custody_says_of_each_holder_whether_their_key_opened_the_backups() -> None:
    opened = tuple(
        make_key_proof(NOW - DAY, repository=name, opened=True, reason="", key="23e673c3")
        for name in ("onsite", "offsite")
    )
    failed = make_key_proof(NOW - DAY, holder="msp")
    made = with_record(subject(), key_proofs=(*opened, failed))

    ((manager, msp),) = tables(auditor_document(made), "custody").values()

    assert manager[-1].startswith("for every repository, the oldest proof of 2026-")
    assert msp[-1].startswith("did NOT open offsite when tried, 2026-")
    assert msp[-1].endswith("; this key does not open it")
    (plain,) = tables(auditor_document(subject()), "custody").values()
    assert {each[-1] for each in plain} == {"not on record for onsite, offsite"}
