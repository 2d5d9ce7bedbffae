"""A step as a responder sees it, with something of everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dr_orchestrator.core.runbook import Mode, StepResult
from dr_orchestrator.runbook.desk import Choice, ContactLine, PointLine, Question, View
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.progress import Behind, Limit
from tests.support.practices import NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

IS_IT_SO = Question(
    text="Is it so?",
    choices=(
        Choice("d", "done"),
        Choice("n", "not as expected"),
        Choice("w", "write a note"),
        Choice("x", "end this run for good"),
    ),
)
WHICH_ID = Question(text="Type the practice's id")


def full_view(now: datetime = NOW, **changes: Any) -> View:
    """Return a step of an incident, 72 minutes after it began."""
    view = View(
        practice="riverside",
        practice_name="Riverside Family Practice",
        timezone="America/Chicago",
        mode=Mode.INCIDENT,
        run="20261122-000300-abcdef",
        by="Robin",
        runbook="A server is lost",
        system="Medical record",
        number=4,
        total=12,
        step="restore",
        kind=Kind.RESTORE,
        lane="Responder",
        do="Restore the medical record to a new directory of this machine.",
        expect="Each asset says where it was restored to, and none is listed as failed.",
        if_not="Restore from the other repository.",
        undo="Remove the new directory; nothing else was changed.",
        cite="45 CFR 164.308(a)(7)(ii)(B)",
        command=("psql", "-c", "select 1"),
        normal=10 * MINUTE,
        begun_at=now - 3 * MINUTE,
        destructive=False,
        two_persons=True,
        critical=True,
        in_rehearsal="",
        contacts=(
            ContactLine(
                name="emr_vendor",
                role="EMR vendor support",
                phone="+1 555 0100",
                email="support@example.org",
                verified="2026-03-03",
            ),
            ContactLine(
                name="manager", role="practice manager", phone="+1 555 0101", email="", verified=""
            ),
        ),
        points=(
            PointLine(
                system="emr",
                title="Medical record",
                point="20261121-180000-4k7q2z",
                as_of=now - HOUR,
                repository="onsite",
                proven=now - 20 * HOUR,
                estimate=41 * MINUTE,
            ),
        ),
        loads=(),
        handed_over=False,
        behind=(
            _behind("call-manager", StepResult.DONE, now - 40 * MINUTE),
            _behind("isolate", StepResult.NOT_AS_EXPECTED, now - 20 * MINUTE, text="no key"),
            _behind("tell-vendor", StepResult.FAILED, now - 10 * MINUTE),
        ),
        after=("Start the database.", "Open the newest appointment.", "Tell the manager."),
        outage_at=now - 72 * MINUTE,
        rto=4 * HOUR,
        limits=(Limit(of="tell the insurer", until=now + 23 * HOUR),),
        notes=("Robin noted: the switch is in the burnt room",),
    )
    return replace(view, **changes)


def _behind(step: str, result: StepResult, at: datetime, text: str = "") -> Behind:
    return Behind(
        step=step, visit=1, result=result, ended_at=at, by="Robin", seconds=60.0, text=text
    )
