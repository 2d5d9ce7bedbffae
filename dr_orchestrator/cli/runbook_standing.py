"""Where runbook runs stand, and which of them somebody can go on with. Reads the record only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.cli.runbook_words import DOT, MODES
from dr_orchestrator.core.runbook import Ending, Mode
from dr_orchestrator.core.wording import printable
from dr_orchestrator.runbook.carried import plan_of, runbook_of
from dr_orchestrator.runbook.progress import TO_RUNBOOK, progress_of
from dr_orchestrator.runbook.values import fill_step, values_of
from dr_orchestrator.runbook.view import loads_of, shortest_rto, values_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from dr_orchestrator.core.runbook import Move, RunbookRun
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.desk import Loads
    from dr_orchestrator.runbook.model import Runbook, Step
    from dr_orchestrator.runbook.progress import Progress
    from dr_orchestrator.store.base import Store


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A run, and where it stands."""

    run: RunbookRun
    runbook: Runbook
    plan: Plan
    moves: tuple[Move, ...]
    progress: Progress

    @property
    def rto(self) -> timedelta | None:
        """The shortest RTO of the systems it is about."""
        return shortest_rto(self.run, self.plan)

    @property
    def step(self) -> Step | None:
        """The step it stands at, filled in; `None` where it is over."""
        if not self.progress.step:
            return None
        return self.filled(self.progress.step)

    def filled(self, step: str) -> Step:
        """Return a step with its values filled in, as far as they are known."""
        now = values_now(self.run, self.plan, self.progress, (), by=self.by)
        values = {**values_of(self.plan, self.run.system), **now}
        return fill_step(self.runbook.step(step), values, blank=True)

    @property
    def place(self) -> str:
        """Which step of how many: `step 4 of 12`; how it ended where it is over."""
        ids = [each.id for each in self.runbook.of_lane(self.run.lane)]
        if self.progress.step in ids:
            return f"step {ids.index(self.progress.step) + 1} of {len(ids)}"
        return (self.progress.ending or Ending.COMPLETED).value

    @property
    def here(self) -> str:
        """The same, and what is to be done there: also where another runbook comes next."""
        if self.step:
            return f"{self.place}: {printable(self.step.do)}"
        if self.progress.ending is Ending.WENT_ON:
            return f"it goes on with the runbook {printable(self.progress.goes_on)}"
        return self.place

    @property
    def name(self) -> str:
        """What is followed, for which system or lane."""
        run = self.run
        about = self.plan.protected[run.system].title if run.system else ""
        lane = self.runbook.lanes[run.lane].title if run.lane else ""
        parts = (self.runbook.title, about, lane)
        return ", ".join(printable(each) for each in parts if each)

    @property
    def title(self) -> str:
        """The same, and whether it is the real thing."""
        return f"{MODES[self.run.mode]}{DOT}{self.name}"

    @property
    def loads(self) -> tuple[Loads, ...]:
        """What to do with what was restored, until the outage is over."""
        return loads_of(self.runbook, self.plan, self.progress)

    @property
    def by(self) -> str:
        """Who was on it last."""
        return self.moves[-1].by if self.moves else self.run.opened_by

    @property
    def host(self) -> str:
        """On which machine that was."""
        return self.moves[-1].host if self.moves else self.run.host


def standing_of(run: RunbookRun, store: Store) -> Standing:
    """Return where a run stands, by the runbook and the plan it was opened with.

    Raises:
        RunbookInvalid, PlanInvalid: they are of a newer version.
    """
    runbook = runbook_of(run).runbook
    moves = store.followed.moves(run.id)
    return Standing(
        run=run,
        runbook=runbook,
        plan=plan_of(run).plan,
        moves=moves,
        progress=progress_of(run, runbook, moves),
    )


def to_go_on_with(
    store: Store, practice: str | None = None, mode: Mode | None = None
) -> tuple[Standing, ...]:
    """Return the runs of incidents and rehearsals that are not over, oldest first.

    One that led to another runbook is not over before that was opened.
    """
    runs = [
        each
        for each in store.followed.runs(practice)
        if each.mode is not Mode.DRILL and mode in {None, each.mode}
    ]
    still_open = {each.id for each in store.followed.runs(practice, open_only=True)}
    return tuple(
        standing_of(each, store)
        for each in runs
        if each.id in still_open or _leads_on(each, runs, store)
    )


def _leads_on(run: RunbookRun, runs: Sequence[RunbookRun], store: Store) -> bool:
    """Return whether a run led to another runbook that nobody has opened yet."""
    of_incident = [each for each in runs if each.incident == run.incident]
    went_on = {each.id: _went_on(store.followed.moves(each.id)) for each in of_incident}
    if not (name := went_on[run.id]):
        return False
    # counted, not compared by time: the next one may have been opened by a clock that is behind
    opened = sum(each.runbook == name and each.id != each.incident for each in of_incident)
    return [each for each, to in went_on.items() if to == name].index(run.id) >= opened


def _went_on(moves: Sequence[Move]) -> str:
    """Return the name of the runbook that a run led to; empty where it led to none."""
    last = moves[-1] if moves else None
    if last is None or last.ending is not Ending.WENT_ON:
        return ""
    return last.goes_to.removeprefix(TO_RUNBOOK)


def standing_json(standing: Standing) -> dict[str, object]:
    """Return what other programs read of a run everywhere."""
    run, progress, rto = standing.run, standing.progress, standing.rto
    lasted = progress.rta_drill(run.outage_at)
    return {
        "run": run.id,
        "runbook": run.runbook,
        "system": run.system or None,
        "lane": run.lane or None,
        "ending": progress.ending.value if progress.ending else None,
        "people_at": progress.people_at,
        "rta_drill_seconds": lasted.total_seconds() if lasted is not None else None,
        "rto_seconds": rto.total_seconds() if rto is not None else None,
        "limits": [{"of": each.of, "until": each.until} for each in progress.limits],
    }
