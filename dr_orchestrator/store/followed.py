"""The runbooks that were followed, as the SQL store tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.store.rows import (
    drill_from,
    exercised_from,
    kit_from,
    move_from,
    runbook_run_from,
)
from dr_orchestrator.store.schema import drill, kit, runbook_move, runbook_run, step_exercised

if TYPE_CHECKING:
    from dr_orchestrator.core.record import KitMade
    from dr_orchestrator.core.runbook import Drill, Move, RunbookRun, StepExercised
    from dr_orchestrator.store.memory import Memory


class SqlFollowed:
    """What was followed, drilled and packed; see `Followed`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def runs(
        self, practice: str | None = None, *, open_only: bool = False
    ) -> tuple[RunbookRun, ...]:
        """Return runbook runs, oldest first; see `Followed.runs`."""
        wanted = select(runbook_run).order_by(runbook_run.c.opened_at, runbook_run.c.id)
        if practice is not None:
            wanted = wanted.where(runbook_run.c.practice == practice)
        if open_only:
            wanted = wanted.where(runbook_run.c.closed.is_(False))
        with self._memory.reading() as connection:
            return tuple(runbook_run_from(row) for row in connection.execute(wanted))

    def of_incident(self, incident: str) -> tuple[RunbookRun, ...]:
        """Return the runs of one incident, oldest first; see `Followed.of_incident`."""
        wanted = select(runbook_run).where(runbook_run.c.incident == incident)
        order = (runbook_run.c.opened_at, runbook_run.c.id)
        with self._memory.reading() as connection:
            return tuple(
                runbook_run_from(row) for row in connection.execute(wanted.order_by(*order))
            )

    def find(self, id_or_prefix: str) -> RunbookRun:
        """Return the one runbook run of this id; see `Followed.find`."""
        wanted = select(runbook_run).where(
            runbook_run.c.id.startswith(id_or_prefix, autoescape=True)
        )
        with self._memory.reading() as connection:
            found = connection.execute(wanted.order_by(runbook_run.c.id).limit(2)).all()
        if len(found) != 1 and not (found and found[0].id == id_or_prefix):
            raise UsageMistake(
                f"several runbook runs have an id that begins with {id_or_prefix}"
                if found
                else f"no runbook run has an id that begins with {id_or_prefix}",
                hint="`dro runbook status --all` lists them",
            )
        return runbook_run_from(found[0])

    def moves(self, run: str) -> tuple[Move, ...]:
        """Return the moves of a run, in order."""
        wanted = select(runbook_move).filter_by(run=run).order_by(runbook_move.c.number)
        with self._memory.reading() as connection:
            return tuple(move_from(row) for row in connection.execute(wanted))

    def exercised(self, practice: str) -> tuple[StepExercised, ...]:
        """Return when each step was last really done; see `Followed.exercised`."""
        order = (step_exercised.c.runbook, step_exercised.c.system, step_exercised.c.step)
        wanted = select(step_exercised).filter_by(practice=practice).order_by(*order)
        with self._memory.reading() as connection:
            return tuple(exercised_from(row) for row in connection.execute(wanted))

    def drills(self, practice: str) -> tuple[Drill, ...]:
        """Return the drills of a practice, oldest first."""
        wanted = select(drill).filter_by(practice=practice).order_by(drill.c.started_at, drill.c.id)
        with self._memory.reading() as connection:
            return tuple(drill_from(row) for row in connection.execute(wanted))

    def kit(self, practice: str) -> KitMade | None:
        """Return the newest kit of a practice; `None` where none was ever made here."""
        with self._memory.reading() as connection:
            row = connection.execute(select(kit).filter_by(practice=practice)).one_or_none()
        return None if row is None else kit_from(row)
