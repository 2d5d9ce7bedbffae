"""What the other runs of an incident say that whoever follows this one must know. Reads the record
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import moment_words
from dr_orchestrator.runbook.carried import plan_of, runbook_of
from dr_orchestrator.runbook.progress import progress_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dr_orchestrator.core.runbook import RunbookRun
    from dr_orchestrator.store.base import Store


def people_work_again(run: RunbookRun, store: Store, now: datetime) -> Iterator[str]:
    """Yield since when people work again, as they confirmed in another run of the same incident:
    about the same system, or about any where this one is about the practice.

    Raises:
        RunbookInvalid, PlanInvalid: a runbook or a plan of theirs is of a newer version.
    """
    for other in store.followed.of_incident(run.incident):
        if other.id == run.id or run.system not in {"", other.system}:
            continue
        runbook = runbook_of(other).runbook
        people_at = progress_of(other, runbook, store.followed.moves(other.id)).people_at
        if people_at is None:
            continue
        plan = plan_of(other).plan
        about = plan.protected[other.system].title if other.system else ""
        what = ", ".join(each for each in (runbook.title, about) if each)
        at = moment_words(people_at, plan.practice.timezone, beside=now)
        yield f"people work again since {at} ({what})"
