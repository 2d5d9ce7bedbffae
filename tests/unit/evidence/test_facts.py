"""What is said in the evidence, and above all what is not."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core import record
from dr_orchestrator.core.record import Entry
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.evidence.canonical import canonical
from dr_orchestrator.evidence.facts import KINDS, LONGEST, NO_EVIDENCE, facts_of
from tests.support.nouns import filled, nouns
from tests.support.site import ROOT

ENTRIES: tuple[type[Entry], ...] = get_args(Entry)

# Every text that a line may hold, and where it comes from: an id, a hash or a name of the plan; a
# sentence of ours; or `by` and `why`, which a person gave as a reason and who they are. A field
# that is not here must not become part of a line.
TEXTS = {
    "run_opened": "Run.host Run.id Run.repository Run.schedule_id Run.system",
    "run_closed": "RunClosed.reason RunClosed.run",
    "point_recorded": "AssetSummary.level PointCopy.manifest_sha256 PointCopy.manifest_snapshot"
    " PointCopy.repository PointCopy.snapshots RecoveryPoint.assets RecoveryPoint.id"
    " RecoveryPoint.run RecoveryPoint.system",
    "restore_test_recorded": "RestoreTest.conditions RestoreTest.follow_up_of RestoreTest.id"
    " RestoreTest.next RestoreTest.point RestoreTest.reason RestoreTest.repository"
    " RestoreTest.sandbox RestoreTest.system Verification.actual Verification.asset"
    " Verification.expected Verification.reason Verification.title",
    "repository_seen": "RepositorySeen.repository RepositorySeen.restic_id",
    "occurrence_due": "Occurrence.id Occurrence.point Occurrence.repository"
    " Occurrence.schedule_id Occurrence.skipped Occurrence.system",
    "occurrence_settled": "OccurrenceSettled.occurrence OccurrenceSettled.reason",
    "point_forgotten": "PointForgotten.point PointForgotten.repository PointForgotten.why",
    "hold_placed": "HoldPlaced.by HoldPlaced.point HoldPlaced.why",
    "hold_released": "HoldReleased.by HoldReleased.point HoldReleased.why",
    "repository_checked": "RepositoryChecked.reason RepositoryChecked.repository"
    " RepositoryChecked.run",
    "locks_extended": "LocksExtended.location LocksExtended.repository LocksExtended.run",
    "immutability_tested": "Attempt.said ImmutabilityTested.location"
    " ImmutabilityTested.repository ImmutabilityTested.run",
    "retention_frozen": "RetentionFrozen.repository RetentionFrozen.why",
    "retention_released": "RetentionReleased.accepted RetentionReleased.by"
    " RetentionReleased.repository RetentionReleased.why",
    "system_paused": "SystemPaused.by SystemPaused.system SystemPaused.why",
    "pause_ended": "PauseEnded.by PauseEnded.system",
    "runbook_opened": "RunbookRun.folder RunbookRun.host RunbookRun.id RunbookRun.incident"
    " RunbookRun.lane RunbookRun.opened_by RunbookRun.plan_sha256 RunbookRun.runbook"
    " RunbookRun.runbook_sha256 RunbookRun.system",
    "runbook_moved": "Move.by Move.fingerprint Move.goes_to Move.host Move.output_sha256"
    " Move.place Move.point Move.repository Move.restore_test Move.run Move.step Move.subject",
    "drill_recorded": "Drill.by Drill.critical_path Drill.host Drill.id Drill.plan_sha256"
    " Drill.reason Drill.runbooks DrilledSystem.point DrilledSystem.reason"
    " DrilledSystem.repository DrilledSystem.restore_test DrilledSystem.run"
    " DrilledSystem.runbook DrilledSystem.system",
    "kit_made": "KitMade.inputs KitMade.places KitMade.run",
    "promise_recorded": "PromiseChange.after PromiseChange.before PromiseChange.field"
    " PromiseMade.by PromiseMade.fields PromiseMade.id PromiseMade.known_by"
    " PromiseMade.plan_sha256 PromiseMade.sha256",
    "finding_changed": "FindingChanged.achieved FindingChanged.promised FindingChanged.reason"
    " FindingChanged.repository FindingChanged.system",
    "restored": "Restored.assets Restored.by Restored.place Restored.point Restored.repository"
    " Restored.run Restored.system Restored.why",
    "signed_off": "SignOff.chain SignOff.contact SignOff.document_sha256 SignOff.head SignOff.id"
    " SignOff.key SignOff.name SignOff.promise SignOff.recorded_by SignOff.role"
    " SignOff.signature SignOff.statement_sha256",
    "action_opened": "CorrectiveAction.cause CorrectiveAction.id CorrectiveAction.opened_by"
    " CorrectiveAction.owner CorrectiveAction.repository CorrectiveAction.system"
    " CorrectiveAction.test CorrectiveAction.what",
    "action_closed": "ActionClosed.by ActionClosed.done ActionClosed.id",
    "anchored": "Anchored.chain Anchored.head Anchored.place Anchored.reason",
    "report_delivered": "ReportDelivered.place ReportDelivered.reason ReportDelivered.report"
    " ReportDelivered.run ReportDelivered.says ReportDelivered.sha256",
    "key_made": "HeldKey.form HeldKey.holder HeldKey.key HeldKey.made_by HeldKey.repository",
    "key_tried": "KeyProof.by KeyProof.holder KeyProof.key KeyProof.reason KeyProof.repository",
    "key_revoked": "KeyRevoked.by KeyRevoked.key KeyRevoked.repository KeyRevoked.why",
    "repository_retired": "RepositoryRetired.by RepositoryRetired.replaced_by"
    " RepositoryRetired.repository RepositoryRetired.why",
    "handed_over": "HandedOver.by HandedOver.to HandedOver.why",
    "taken_over": "TakenOver.by TakenOver.chain TakenOver.giver TakenOver.head",
}


def line_of(entry: Entry) -> str:
    said = facts_of(entry)
    assert said is not None
    return canonical(said[1])


def full(kind: type[Entry]) -> Any:
    """Return an entry that is evidence, each text in it naming its own field."""
    if kind is record.OccurrenceSettled:
        return record.OccurrenceSettled(
            occurrence="~OccurrenceSettled.occurrence~",
            at=filled(record.RunClosed).finished_at,
            outcome=None,
            reason="~OccurrenceSettled.reason~",
        )
    return filled(kind)


def test_every_kind_of_entry_is_decided_about() -> None:
    assert frozenset(KINDS) | NO_EVIDENCE == frozenset(ENTRIES)
    assert not frozenset(KINDS) & NO_EVIDENCE
    assert set(TEXTS) == set(KINDS.values())


@pytest.mark.parametrize("kind", KINDS, ids=KINDS.get)
def test_a_line_holds_no_text_but_those_that_are_decided_about(kind: type[Entry]) -> None:
    found = set(re.findall(r"~([\w.]+)~", line_of(full(kind))))
    assert sorted(found) == TEXTS[KINDS[kind]].split()


MARK = "jane-doe-born-1961"


@given(st.data())
@settings(max_examples=30)
def test_no_line_holds_what_people_note_or_what_a_plan_or_runbook_says(data: st.DataObject) -> None:
    """Whatever else is in the entry, and whatever stands around the mark."""
    around = data.draw(st.tuples(st.text(max_size=9), st.text(max_size=9)))
    text = MARK.join(around)
    free = {
        record.RunbookMoved: ("text",),
        record.RunbookOpened: ("runbook_text", "plan_text"),
        record.PointRecorded: ("label",),
    }
    for kind, names in free.items():
        entry = data.draw(nouns(kind))
        noun = next(iter(vars(entry).values()))
        for name in names:
            object.__setattr__(noun, name, text)
        assert MARK not in line_of(entry)


@given(st.sampled_from(list(KINDS)).flatmap(nouns))
@settings(max_examples=150)
def test_every_entry_of_any_content_makes_a_line_or_none(entry: Entry) -> None:
    said = facts_of(entry)
    if said is None:
        assert isinstance(entry, record.OccurrenceDue | record.OccurrenceSettled)
    else:
        assert canonical(said[1]).isprintable()


def test_occurrence_that_was_carried_out_is_none() -> None:
    settled = full(record.OccurrenceSettled)
    due = filled(record.OccurrenceDue)
    assert facts_of(due) is not None
    object.__setattr__(due.occurrence, "skipped", "")
    object.__setattr__(settled, "outcome", Outcome.DONE)
    assert (facts_of(due), facts_of(settled)) == (None, None)


def test_long_reason_of_several_lines_is_one_line_and_cut() -> None:
    entry = record.PauseEnded(
        practice="p", system="emr", at=filled(record.KitMade).at, by="a\nb\x1b[31m" + 500 * "c"
    )
    said = facts_of(entry)
    assert said is not None
    assert said[1]["by"] == ("a b [31m" + 500 * "c")[: LONGEST - 1] + "…"


def test_numbers_that_not_every_reader_keeps_are_text() -> None:
    test = filled(record.RestoreTestRecorded)
    object.__setattr__(test.test.verifications[0], "expected", 0.05)
    object.__setattr__(test.test.verifications[0], "actual", 2**60)
    assert '"actual":"1152921504606846976"' in line_of(test)
    assert '"expected":"0.05"' in line_of(test)


def test_reference_names_the_facts_of_every_kind() -> None:
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| (.*) \|$",
            (ROOT / "docs/reference/evidence.md").read_text(),
            re.MULTILINE,
        )
    )
    for kind, name in KINDS.items():
        said = facts_of(full(kind))
        assert said is not None
        assert sorted(re.findall(r"`(\w+)`", rows[name])) == sorted(said[1]), name
