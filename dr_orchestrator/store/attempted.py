"""What was ever attempted, and since when: where promises begin, without a walk through all runs.

A promise on what was never attempted begins when a scheduler first looked for it; or at the first
occurrence, where the schedule has moved on since and nobody started anything: else a scheduler
that starts nothing would begin anew for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from dr_orchestrator.core.run import Operation
from dr_orchestrator.store.schema import attempted, occurrence, run, schedule

_OF_SYSTEMS = frozenset({"backup", "restore-test"})
_OF_REPOSITORIES = {
    "check": Operation.CHECK,
    "forget": Operation.FORGET,
    "prune": Operation.PRUNE,
    "extend-locks": Operation.EXTEND,
    "immutability-test": Operation.IMMUTABILITY,
}
"""Operations as they stand in the id of a schedule (schedule/planner.py)."""


def first_seen(connection: Connection, practice: str) -> dict[str, datetime]:
    """Return when each system was first acted on, or looked for."""
    began = attempted.c.first_started
    earliest = (
        select(attempted.c.system, func.min(began, type_=began.type).label("first"))
        .where(attempted.c.practice == practice, attempted.c.system != "")
        .group_by(attempted.c.system)
    )
    seen = {row.system: row.first for row in connection.execute(earliest)}
    looked_for: dict[str, datetime] = {}
    for system, operation, last_due in _schedules(connection, practice):
        if system not in seen and operation in _OF_SYSTEMS:
            looked_for[system] = min(last_due, looked_for.get(system, last_due))
    return seen | {
        system: _earliest(connection, since, practice=practice, system=system)
        for system, since in looked_for.items()
    }


def maintained_since(
    connection: Connection, practice: str
) -> dict[tuple[Operation, str], datetime]:
    """Return since when what is done to each repository is, or should be."""
    of_repositories = select(attempted).filter_by(practice=practice, system="")
    since = {
        (Operation(row.operation), row.repository): row.first_started
        for row in connection.execute(of_repositories)
    }
    for name, word, last_due in _schedules(connection, practice):
        operation = _OF_REPOSITORIES.get(word)
        if operation is not None and (operation, name) not in since:
            same = {"practice": practice, "operation": operation.value, "repository": name}
            since[operation, name] = _earliest(connection, last_due, **same)
    return since


def newest_runs(practice: str) -> Select[Any]:
    """Select the newest finished run of each operation on each system and repository."""
    newest = select(run).join(attempted, attempted.c.newest_run == run.c.id)
    wanted = newest.where(attempted.c.practice == practice)
    return wanted.order_by(run.c.finished_at, run.c.id)


def _schedules(connection: Connection, practice: str) -> Iterator[tuple[str, str, datetime]]:
    """Yield the schedules of systems and repositories: whose, of what operation, last due when."""
    known = select(schedule).where(schedule.c.id.startswith(f"{practice}/", autoescape=True))
    for row in connection.execute(known):
        words = row.id.split("/")
        if len(words) > len(("practice", "of", "operation")):
            yield words[1], words[2], row.last_due


def _earliest(connection: Connection, at: datetime, **of: str) -> datetime:
    """Return when the first occurrence was due, or `at` where that was before it."""
    due = select(func.min(occurrence.c.due_at, type_=occurrence.c.due_at.type))
    first: datetime | None = connection.execute(due.filter_by(**of)).scalar_one()
    return min(at, first or at)
