"""The verdict on one objective of one system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """Whether a promise was kept. To a manager: kept, not kept, not proven."""

    MET = "met"
    BREACHED = "breached"
    UNPROVEN = "unproven"


class Objective(StrEnum):
    """What a plan promises of a system."""

    COVERAGE = "coverage"
    """Every asset of the system is in its newest recovery point."""
    DUMP_AGE = "dump_age"
    """Somebody else's job, whose dump is backed up, wrote a new one recently enough."""
    RPO = "rpo"
    """The longest stretch without a restorable point."""
    RTO = "rto"
    """Recovery time, proven + allowed."""
    RESTORE_TEST = "restore_test"
    """A restore test passed recently enough."""
    DATA_AGE = "data_age"
    """The newest row was young enough, counted in opening hours."""
    SKEW = "skew"
    """The assets of a recovery point are of nearly one instant."""
    COPIES = "copies"
    """Each repository of the plan holds a fresh point."""
    REPOSITORY_CHECK = "repository_check"
    """All that a repository holds was read back recently enough, and is sound."""
    IMMUTABILITY = "immutability"
    """Nobody who holds the backup credential can destroy what a repository holds."""
    RETENTION = "retention"
    """What retention does not keep is let go of, and nothing suspicious keeps it from that."""
    ACCEPTANCE = "acceptance"
    """What is promised is not less than what the practice accepted."""
    CORRECTIVE_ACTIONS = "corrective_actions"
    """What a failed or missed test asked for was done in time."""
    CUSTODY = "custody"
    """Whoever is to hold a key showed recently enough that it opens the backups."""
    EVIDENCE = "evidence"
    """What is on record is what was once written; judged only where it is not."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The verdict on one objective of one system, in one repository where that matters."""

    practice: str
    system: str
    objective: Objective
    repository: str | None = None
    verdict: Verdict
    promised: str
    """In words: `4 h`."""
    achieved: str
    """In words: `41 min proven + 3 h 30 min allowed`; empty where nothing is known."""
    reason: str
    """One sentence for a person."""
    since: datetime | None = None
    """From when on it has been so, where that is known."""
    due: datetime | None = None
    """When it will be, or was, due; for `unproven` what makes the first days quiet."""


def worst(verdicts: tuple[Verdict, ...]) -> Verdict:
    """Return breached before unproven before met; unproven for none at all."""
    for verdict in (Verdict.BREACHED, Verdict.UNPROVEN):
        if verdict in verdicts:
            return verdict
    return Verdict.MET if verdicts else Verdict.UNPROVEN
