"""Effects that must not happen twice: written down as started before, and as finished after.

Where only the first was written down, nobody knows whether it was done. Then a person looks, and
nothing is begun again before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Event, StepResult
from dr_orchestrator.errors import NotDelivered
from dr_orchestrator.runbook.desk import Choice

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Contact
    from dr_orchestrator.runbook.walk import Walk


def look(walk: Walk, subject: str, what: str) -> None:
    """Have a person look whether something was done that nobody recorded the end of."""
    expect = walk.step.expect
    seen = f" If so: {expect}" if expect else ""
    key = walk.ask(
        f"{what}: begun, and nobody recorded how it ended. LOOK: was it done?{seen}",
        Choice("d", "it was done"),
        Choice("n", "it was not done"),
    )
    result = StepResult.DONE if key == "d" else StepResult.FAILED
    walk.record(Event.FOUND, subject=subject, result=result)


def tell(walk: Walk, subject: str, contact: Contact, headline: str, text: str) -> str:
    """Tell a contact; return why that failed, or nothing."""
    walk.record(Event.STARTED, subject=subject)
    try:
        with walk.desk.working(walk.view(), f"telling {subject}"):
            walk.tools.tell(contact, headline, text)
    except NotDelivered as failure:
        failed = StepResult.FAILED
        walk.record(Event.FINISHED, subject=subject, result=failed, text=failure.message)
        return failure.message
    walk.record(Event.FINISHED, subject=subject, result=StepResult.DONE)
    return ""
