"""One attempt at one operation, opened and closed in the store whatever happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Operation(StrEnum):
    """What a run attempts."""

    BACKUP = "backup"
    RESTORE_TEST = "restore test"
    RESTORE = "restore"
    FIND = "find"
    """Looks for files by name in what was saved."""
    REBUILD = "rebuild"
    CHECK = "check"
    """Reads back a share of what a repository holds."""
    FORGET = "forget"
    """Lets go of the recovery points that retention no longer keeps."""
    PRUNE = "prune"
    """Frees the space of what was forgotten."""
    COPY = "copy"
    """Brings the recovery points of a system to another repository."""
    EXTEND = "extend locks"
    """Renews the object locks that would run out."""
    IMMUTABILITY = "immutability test"
    """Tries to destroy what a repository holds, and wants to be refused."""
    UNDELETE = "undelete"
    """Makes a repository as it was at an earlier time."""
    OPEN = "open"
    """Serves a recovery point read-only on this machine, for a while."""
    REPORT = "report"
    DRILL = "drill"
    """Restores all systems of a practice, or starts cold from its kit."""
    KIT = "kit"
    """Makes the packet that a responder needs when everything of ours is gone."""
    EVIDENCE = "evidence"
    """Saves the evidence into every repository, and anchors its head."""


ALTERED = "the evidence is not as it was written"
"""How the reason of a run begins that kept no evidence because the record was found altered."""


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    UNPROVEN = "unproven"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One line of the run ledger."""

    id: str
    operation: Operation
    practice: str
    system: str
    """Empty where the operation is one on a whole repository, or on the practice."""
    repository: str | None
    started_at: datetime
    host: str
    pid: int
    pid_started: str
    """The kernel's start time of `pid`, so that a reused number is not taken for our process."""
    finished_at: datetime | None = None
    """None while it runs."""
    outcome: Outcome | None = None
    reason: str = ""
    """One sentence for a person, where the outcome is not `done`."""
    schedule_id: str | None = None
    due_at: datetime | None = None
    """The occurrence this run serves; one run a (schedule_id, due_at, attempt)."""
    attempt: int = 1
