"""What following a runbook works with; made by `responder.py`.

The two ways to restore are types of their own: a rehearsal and a drill are given the one that goes
to sandboxes, and have no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.record import Entry
    from dr_orchestrator.core.runbook import Move, RunbookRun
    from dr_orchestrator.core.verification import Result
    from dr_orchestrator.plan.model import Contact
    from dr_orchestrator.runbook.desk import PointLine, Report


@dataclass(frozen=True, kw_only=True)
class RestoredSystem:
    """What became of one system's restore."""

    system: str
    result: Result
    """`passed`: verified in a sandbox, or restored whole where it is live."""
    reason: str
    point: str
    repository: str
    seconds: float
    place: str = ""
    """Where a live restore landed."""
    restore_test: str = ""
    """Id of the restore test that a sandbox made."""
    rta_service_seconds: float | None = None
    next_steps: tuple[str, ...] = ()
    """What a responder does now, a line each: of a live restore only."""


class SandboxRestore(Protocol):
    """Restores a system's newest point, or the newest that was made before an instant, to a sandbox
    and verifies it. Touches nothing live.
    """

    def __call__(self, system: str, report: Report, before: datetime | None, /) -> RestoredSystem:
        """Restore and verify; an error is a result too, and none is raised but interruption."""
        ...


class LiveRestore(Protocol):
    """Restores a system's newest point, or the newest that was made before an instant, to a new
    directory of this machine.
    """

    def __call__(self, system: str, report: Report, before: datetime | None, /) -> RestoredSystem:
        """Restore; an error is a result too, and none is raised but interruption."""
        ...


@dataclass(frozen=True)
class InSandboxes:
    """How a rehearsal or a drill restores."""

    restore: SandboxRestore


@dataclass(frozen=True)
class ToNewDirectories:
    """How an incident restores."""

    restore: LiveRestore


@dataclass(frozen=True, kw_only=True)
class CommandEnded:
    """How a command of a step ended."""

    exit_code: int | None
    """`None` where it could not be started, or did not end in time."""
    reason: str
    """One sentence where it is not 0; never what it printed."""
    output_sha256: str
    seconds: float
    output: tuple[str, ...]
    """What it printed, its last lines: for the person before the screen alone."""


@dataclass(frozen=True, kw_only=True)
class RunbookTools:
    """What following a runbook works with."""

    clock: Clock
    by: str
    """Who follows it."""
    host: str
    record: Callable[[Entry], None]
    """Writes down, and returns once it is on disk; `Busy` where somebody else has gone on."""
    export: Callable[[RunbookRun, Sequence[Move]], None]
    """Brings the exported state up to date, where one is kept; called after each record."""
    run_command: Callable[[tuple[str, ...], timedelta], CommandEnded]
    """Runs argv with a time limit, without a shell."""
    tell: Callable[[Contact, str, str], None]
    """Sends subject and text to a contact; `NotDelivered` where that failed."""
    restoring: InSandboxes | ToNewDirectories
    points: Callable[[tuple[str, ...], datetime | None], tuple[PointLine, ...]]
    """The points that these systems would be restored from, made before an instant where one is
    given; a system without one is left out."""
    waits_for: Callable[[tuple[str, ...]], dict[str, tuple[str, ...]]]
    """Of these systems, which of the others each has to wait for, in recovery order."""
    at_once: int
    """How many systems may be restored side by side."""
    elsewhere: Callable[[], Sequence[str]] = tuple
    """What the other runs of the incident say that is to be known here, a sentence each."""
