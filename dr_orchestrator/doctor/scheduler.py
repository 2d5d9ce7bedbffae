"""Whether anybody starts what comes due."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.occurrence import OccurrenceState, Progress
from dr_orchestrator.core.wording import count_words, duration_words, instant_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.store.base import SCHEDULER_SILENT

if TYPE_CHECKING:
    from dr_orchestrator.doctor.instruments import DoctorTools, Patient
    from dr_orchestrator.plan.load import LoadedPlan

_LATE = timedelta(hours=1)
_LOOKED_BACK = timedelta(days=7)
_MOST = 1000
_START_IT = "`dro schedule install` shows how it is started with the machine"


def look_at_scheduler(tools: DoctorTools, plans: Collection[LoadedPlan]) -> Iterator[Complaint]:
    """Complain where no scheduler shows that it runs, and there is a practice to look after."""
    if not plans:
        return
    store, now = tools.store(), tools.clock.now()
    seen = store.ledger.schedulers() if store is not None else ()
    if not seen:
        what = "no scheduler ever ran here"
    elif now - seen[0].heartbeat_at > SCHEDULER_SILENT:
        silent = duration_words(now - seen[0].heartbeat_at)
        what = f"no scheduler runs: the last one, on {seen[0].process.host}, is silent for {silent}"
    else:
        return
    yield Complaint(kind=Kind.NO_SCHEDULER, what=what, do=_START_IT)


def look_at_due(patient: Patient) -> Iterator[Complaint]:
    """Complain of what came due long ago and was not started."""
    store, now = patient.tools.store(), patient.tools.clock.now()
    if store is None:
        return
    practice = patient.plan.practice
    states = store.occurrences([practice.id], since=now - _LOOKED_BACK, limit=_MOST)
    late = sorted(
        (each.occurrence for each in states if is_late(each, now)), key=lambda each: each.due_at
    )
    if not late:
        return
    oldest = late[0]
    of = f" of {oldest.system}" if oldest.system else ""
    what = (
        f"{count_words(len(late), 'operation')} came due and did not start, first the "
        f"{oldest.operation}{of} of {instant_words(oldest.due_at, practice.timezone)}"
    )
    do = "`dro runs` shows what runs in its place; is the scheduler running?"
    yield of_plan(patient.loaded, "", Kind.NOT_STARTED, what, do)


def is_late(state: OccurrenceState, now: datetime) -> bool:
    """Return whether an occurrence should have begun by now."""
    since = max(state.occurrence.due_at, state.not_before or state.occurrence.due_at)
    return state.progress is Progress.WAITING and now - since > _LATE
