"""The runbook and the plan that a runbook run carries: as they were when it was opened, whatever
became of their files since. They are data, and trusted by nobody for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.runbook.load import read_runbook

if TYPE_CHECKING:
    from dr_orchestrator.core.runbook import RunbookRun
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.runbook.load import LoadedRunbook


def runbook_of(run: RunbookRun) -> LoadedRunbook:
    """Return the runbook that is followed in a run.

    Raises:
        RunbookInvalid: it is of a newer version.
    """
    return read_runbook(run.runbook_text.encode(), run.runbook, f"the runbook of run {run.id}")


def plan_of(run: RunbookRun) -> LoadedPlan:
    """Return the plan by which a run is followed.

    Raises:
        PlanInvalid: it is of a newer version.
    """
    return read_plan(run.plan_text.encode(), f"the plan of run {run.id}")
