"""What a plan says of when things happen, and how long they are kept, and contradicts elsewhere.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from dr_orchestrator.core.wording import duration_phrase
from dr_orchestrator.plan.asset_consistency import duration_of
from dr_orchestrator.plan.document import Mapping, Node, child, children, text_of
from dr_orchestrator.plan.model import (
    BackupSpec,
    Maintenance,
    RestoreTestSpec,
    Retention,
    Timing,
)
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.opening import OpeningHours
from dr_orchestrator.plan.schedule import Schedule

_NEVER, _HOWEVER_LATE = "never", ("latest", "all")
_DAY = timedelta(days=1)


def check_backup_timing(notes: Notes, backup: Node | None, rpo: timedelta | None) -> None:
    """Note what the timing of a backup contradicts, in itself and with the RPO."""
    _timing(notes, backup, BackupSpec)
    schedule, blackout = child(backup, "schedule"), child(backup, "blackout")
    period, hours = period_of(schedule), _hours(blackout)
    if schedule is None or period is None or rpo is None:
        return
    if period > rpo:
        notes.warn(
            schedule, "leaves longer without a backup than the RPO", "the RPO will be breached"
        )
    elif blackout is not None and hours is not None and rpo < hours.longest and not hours.never_end:
        notes.warn(
            blackout, "leaves longer without a backup than the RPO", "the RPO will be breached"
        )


def check_copying_timing(notes: Notes, copying: Node | None) -> None:
    """Note what the timing of copies contradicts, and copies that fall far behind."""
    _timing(notes, copying, Timing)
    schedule = child(copying, "schedule")
    period = period_of(schedule)
    if schedule is not None and period is not None and period > _DAY:
        notes.warn(
            schedule,
            f"leaves {duration_phrase(period)} between two copies",
            "what burns down with the first repository is lost for as long",
        )


def check_restore_test_timing(notes: Notes, test: Node) -> None:
    """Note what the timing of a restore test contradicts in itself."""
    _timing(notes, test, RestoreTestSpec)


def check_maintenance(notes: Notes, maintenance: Node | None, upkeep: Sequence[str]) -> None:
    """Note what the upkeep of a repository contradicts; `upkeep` is what may be started there."""
    blackout = child(maintenance, "blackout")
    check, every = child(maintenance, "check"), child(maintenance, "read_all_every")
    stated = {name: text_of(child(maintenance, name)) for name in upkeep}
    if blackout is not None and set(stated.values()) == {_NEVER}:
        notes.mistake(blackout, "has no effect", "nothing is ever started here")
    _blackout(notes, blackout)
    if every is None:
        return
    if stated["check"] == _NEVER:
        notes.mistake(every, "has no effect", "`check` says that nothing is ever read back")
        return
    within = duration_of(every)
    period = Maintenance.model_fields["check"].default.period if check is None else period_of(check)
    if within is not None and period is not None and within < period:
        notes.warn(every, "is shorter than the interval of `check`", "it cannot be kept")


def check_retention(notes: Notes, retention: Node | None) -> None:
    """Note a retention that keeps nothing, or says nothing."""
    if not isinstance(retention, Mapping):
        return
    if not retention.entries:
        notes.mistake(retention, "must not be empty", "leave it out, or say what is kept")
        return
    stated = {key: getattr(entry.node, "value", None) for key, entry in retention.entries.items()}
    kept = {key: field.default for key, field in Retention.model_fields.items()} | stated
    if all(each == 0 for each in kept.values()):
        notes.mistake(retention, "keeps nothing", "one of its numbers must be more than 0")


def period_of(node: Node | None) -> timedelta | None:
    """Return the normal interval of the schedule that a node holds, `None` where it holds none."""
    with suppress(ValueError):
        return Schedule.parse(text_of(node) or "").period
    return None


def _timing(notes: Notes, node: Node | None, model: type[Timing]) -> None:
    grace = child(node, "grace")
    catch_up = text_of(child(node, "catch_up")) or model.model_fields["catch_up"].default
    if grace is not None and catch_up in _HOWEVER_LATE:
        notes.mistake(grace, "has no effect", "only with `catch_up: skip` may it be too late")
    _blackout(notes, child(node, "blackout"))


def _blackout(notes: Notes, node: Node | None) -> None:
    hours = _hours(node)
    if node is not None and hours is not None and hours.never_end:
        notes.mistake(node, "covers the whole week", "nothing would ever be started")


def _hours(node: Node | None) -> OpeningHours | None:
    written = {name: text_of(entry.node) or "" for name, entry in children(node)}
    with suppress(ValueError):
        return OpeningHours.parse(written)
    return None
