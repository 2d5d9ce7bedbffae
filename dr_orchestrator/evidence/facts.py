"""Which entries of the record are evidence, and what is said of them there.

Only what can be no patient data: ids and names of the plan, numbers, times, hashes, words of ours,
and what a person gave as a reason. What people note while they follow a runbook, output, file names
and values of rows have no place here: what is not named in the tables below is not said.

Problems, and who was told of them, are no evidence: a problem is what was concluded from the record
at some minute, comes and goes, and its cause is here anyhow. Neither is a schedule that was set
back, nor an occurrence that was carried out: its run is.

The tables are part of the format (`docs/reference/evidence.md`): lines are kept for years, so a
name in them stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dr_orchestrator.core import immutability, occurrence, point, record, restore_test, runbook
from dr_orchestrator.core.custody import HeldKey, KeyProof
from dr_orchestrator.core.promise import PromiseChange, PromiseMade
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff
from dr_orchestrator.core.verification import Verification
from dr_orchestrator.evidence.canonical import LARGEST, milliseconds

if TYPE_CHECKING:
    from dr_orchestrator.core.record import Entry
    from dr_orchestrator.evidence.canonical import Fact, Facts

LONGEST = 300
"""Characters of a text; what is longer is cut, and ends with `…`."""
LONGEST_OF_PROMISE = 2000
"""Likewise of a field of the promise, and of what was signed."""

KINDS: Mapping[type[Entry], str] = {
    record.RunOpened: "run_opened",
    record.RunClosed: "run_closed",
    record.PointRecorded: "point_recorded",
    record.RestoreTestRecorded: "restore_test_recorded",
    record.RepositorySeen: "repository_seen",
    record.OccurrenceDue: "occurrence_due",
    record.OccurrenceSettled: "occurrence_settled",
    record.PointForgotten: "point_forgotten",
    record.HoldPlaced: "hold_placed",
    record.HoldReleased: "hold_released",
    record.RepositoryChecked: "repository_checked",
    immutability.LocksExtended: "locks_extended",
    immutability.ImmutabilityTested: "immutability_tested",
    record.RetentionFrozen: "retention_frozen",
    record.RetentionReleased: "retention_released",
    record.SystemPaused: "system_paused",
    record.PauseEnded: "pause_ended",
    record.RunbookOpened: "runbook_opened",
    record.RunbookMoved: "runbook_moved",
    record.DrillRecorded: "drill_recorded",
    record.KitMade: "kit_made",
    record.PromiseRecorded: "promise_recorded",
    record.FindingChanged: "finding_changed",
    record.Restored: "restored",
    record.SignedOff: "signed_off",
    record.ActionOpened: "action_opened",
    record.ActionClosed: "action_closed",
    record.Anchored: "anchored",
    record.ReportDelivered: "report_delivered",
    record.KeyMade: "key_made",
    record.KeyTried: "key_tried",
    record.KeyRevoked: "key_revoked",
    record.RepositoryRetired: "repository_retired",
    record.HandedOver: "handed_over",
    record.TakenOver: "taken_over",
}
"""Entry -> the kind of line that it makes."""

NO_EVIDENCE: frozenset[type[Entry]] = frozenset(
    {
        record.ScheduleSetBack,
        record.ProblemSeen,
        record.ProblemAcknowledged,
        record.ProblemOver,
        record.Told,
    }
)

SAID: Mapping[type, str] = {
    record.RunOpened: "run",
    Run: "id operation system repository started_at host schedule_id due_at attempt",
    record.RunClosed: "run finished_at outcome reason",
    record.PointRecorded: "point",
    point.RecoveryPoint: "id system run as_of finished data_as_of skew_seconds assets copies",
    point.AssetSummary: "kind method bytes level data_as_of files changed_files added_bytes",
    point.PointCopy: "repository manifest_snapshot manifest_sha256 snapshots recorded_at read_back",
    record.RestoreTestRecorded: "test",
    restore_test.RestoreTest: "id system repository point point_as_of started_at finished_at result"
    " reason rta_data_seconds rta_service_seconds proof_seconds rpa_seconds newest data_age_seconds"
    " depth sandbox verifications conditions part parts follow_up_of next",
    Verification: "title asset result expected actual reason proves",
    record.RepositorySeen: "repository restic_id at",
    record.OccurrenceDue: "occurrence",
    occurrence.Occurrence: "id schedule_id due_at operation system repository point skipped",
    record.OccurrenceSettled: "occurrence at outcome reason",
    record.PointForgotten: "point repository at why",
    record.HoldPlaced: "point at until by why",
    record.HoldReleased: "point at by why",
    record.RepositoryChecked: "repository run at part parts sound reason",
    immutability.LocksExtended: "repository location run at objects extended until",
    immutability.ImmutabilityTested: "repository location run at result attempts",
    immutability.Attempt: "deed answer said",
    record.RetentionFrozen: "repository at why",
    record.RetentionReleased: "repository at by why accepted",
    record.SystemPaused: "system at until by why",
    record.PauseEnded: "system at by",
    record.RunbookOpened: "run",
    runbook.RunbookRun: "id runbook mode system lane incident outage_at opened_at opened_by host"
    " runbook_sha256 plan_sha256 trusted folder",
    record.RunbookMoved: "move",
    runbook.Move: "run number at by host event step visit subject result goes_to fingerprint"
    " output_sha256 exit_code seconds point repository place restore_test ending",
    record.DrillRecorded: "drill",
    runbook.Drill: "id kind started_at finished_at by host result reason seconds systems"
    " critical_path plan_sha256 runbooks",
    runbook.DrilledSystem: "system runbook run repository point restore_test result reason"
    " begun_seconds ready_seconds rta_service_seconds by_hand_seconds",
    record.KitMade: "run at expires inputs places",
    record.PromiseRecorded: "promise",
    PromiseMade: "id at by known_by plan_sha256 sha256 fields changes",
    PromiseChange: "field before after direction",
    record.FindingChanged: "at system objective repository verdict promised achieved reason",
    record.Restored: "run at system point repository assets place by why",
    record.SignedOff: "sign_off",
    SignOff: "id at contact name role how recorded_by head number chain promise statement_sha256"
    " document_sha256 signature key",
    record.ActionOpened: "action",
    CorrectiveAction: "id system repository cause test what owner opened_at due opened_by",
    record.ActionClosed: "id at by done",
    record.Anchored: "at chain number head place reason",
    record.ReportDelivered: "run at report place sha256 reason says",
    record.KeyMade: "key",
    HeldKey: "repository key holder form made_at made_by",
    record.KeyTried: "proof",
    KeyProof: "holder repository at by key opened reason",
    record.KeyRevoked: "repository key at by why",
    record.RepositoryRetired: "repository at by replaced_by why",
    record.HandedOver: "at by to why",
    record.TakenOver: "at by giver chain number head",
}
"""What is said of each noun, in the names of its fields."""


def facts_of(entry: Entry) -> tuple[str, Facts] | None:
    """Return the kind of line that an entry makes, and its facts; `None` where it is no evidence.

    Durations are whole milliseconds under a name that ends in `_ms`, instants UTC text. A mapping
    is a list, its keys under `name`: so all names in a line are ours. What there is nothing to say
    of is left out.
    """
    if type(entry) in NO_EVIDENCE or _was_carried_out(entry):
        return None
    return KINDS[type(entry)], _said(entry)


def _was_carried_out(entry: Entry) -> bool:
    """Of an occurrence: whether it came to a run that did what was due, or still may."""
    match entry:
        case record.OccurrenceDue():
            return not entry.occurrence.skipped
        case record.OccurrenceSettled():
            return entry.outcome is Outcome.DONE
        case _:
            return False


def _said(noun: object) -> Facts:
    names = SAID[type(noun)].split()
    is_promise = isinstance(noun, (PromiseMade, PromiseChange, SignOff))
    longest = LONGEST_OF_PROMISE if is_promise else LONGEST
    if len(names) == 1:
        return _said(getattr(noun, names[0]))
    facts: dict[str, Fact] = {}
    for name in names:
        value = getattr(noun, name)
        if value is None or value in ("", ()):
            continue
        if name == "seconds" or name.endswith("_seconds"):
            facts[f"{name.removesuffix('seconds').rstrip('_') or 'took'}_ms"] = milliseconds(value)
        else:
            facts[name] = _fact(value, longest)
    return facts


def _fact(value: object, longest: int) -> Fact:
    match value:
        case None | bool():
            return value
        case int():
            return int(value) if abs(value) <= LARGEST else str(value)
        case float():
            return repr(value)
        case datetime():
            return _instant(value)
        case str():
            return _text(value, longest)
        case tuple():
            return [_fact(each, longest) for each in value]
        case Mapping():
            return [_named(name, each, longest) for name, each in sorted(value.items())]
        case _:
            return _said(value)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _named(name: str, value: object, longest: int) -> Facts:
    said = _fact(value, longest)
    facts = said if isinstance(said, Mapping) else {"is": said}
    return {"name": _text(name, longest), **facts}


def _text(value: str, longest: int) -> str:
    """Return a text of one line, of characters that can be printed, and not longer than that."""
    text = "".join(each if each.isprintable() else " " for each in value[: longest + 1])
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
