"""What is written down, and what is read back to be judged.

All use cases write through one function, `Store.record`, and only after the fact. Each entry is a
frozen noun without any field that could hold a row of a database or the name of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Outcome, Run


@dataclass(frozen=True, kw_only=True)
class RunOpened:
    """A run began."""

    run: Run


@dataclass(frozen=True, kw_only=True)
class RunClosed:
    """A run ended. A run is closed once; closing it again changes nothing."""

    run: str
    finished_at: datetime
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PointRecorded:
    """A recovery point exists in the repositories that `point.copies` names.

    Recording a point that is known adds the copies that are new and changes nothing else: what was
    recorded when it was made is not rewritten by what a repository says later.
    """

    point: RecoveryPoint


@dataclass(frozen=True, kw_only=True)
class RestoreTestRecorded:
    """A restore test came to a result. The same one again changes nothing."""

    test: RestoreTest


@dataclass(frozen=True, kw_only=True)
class RepositorySeen:
    """A repository answered with its own id. Another id than the known one is refused."""

    practice: str
    repository: str
    restic_id: str
    """restic's own id of the repository, 64 hex digits."""
    at: datetime


Entry = RunOpened | RunClosed | PointRecorded | RestoreTestRecorded | RepositorySeen


@dataclass(frozen=True, kw_only=True)
class PracticeRecord:
    """All that is known of one practice, as `judge` reads it."""

    practice: str
    first_seen: Mapping[str, datetime]
    """System -> start of its first run here; a system without one was never acted on."""
    points: tuple[RecoveryPoint, ...]
    """By `as_of`, oldest first."""
    tests: tuple[RestoreTest, ...]
    """By `started_at`, oldest first."""
    last_runs: tuple[Run, ...]
    """The newest finished run of each (operation, system, repository)."""
    repositories_seen: Mapping[str, datetime] = field(default_factory=dict)
    """Repository -> when it first answered here: what is promised of it starts then."""
