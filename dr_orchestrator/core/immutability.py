"""What was tried to destroy what a repository holds, and what came of it.

The proof that a copy cannot be destroyed is an attempt that was refused, not a setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dr_orchestrator.core.verification import Result


class Deed(StrEnum):
    """What an attacker with the backup credential would do."""

    DELETE_MADE = "delete what was made for this test"
    DELETE_REAL = "delete what recovery points are made of"
    OVERWRITE = "overwrite what was saved"
    SHORTEN = "shorten a lock"
    UNPROTECT = "change what protects the bucket"


class Answer(StrEnum):
    """What became of an attempt."""

    REFUSED = "refused"
    DONE = "done"
    """It succeeded: an alarm."""
    UNKNOWN = "unknown"
    """It could not be found out: no answer, or one that says neither."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at one deed."""

    deed: Deed
    answer: Answer
    said: str = ""
    """The code it was answered with, `AccessDenied`; never a text of somebody else's."""


@dataclass(frozen=True, kw_only=True)
class ImmutabilityTested:
    """It was tried to destroy what a repository holds."""

    practice: str
    repository: str
    location: str
    """What the plan said of where it lies: of another place it proves nothing."""
    run: str
    at: datetime
    attempts: tuple[Attempt, ...]

    @property
    def result(self) -> Result:
        """Failed where any attempt succeeded, passed where each of at least one was refused."""
        answers = {each.answer for each in self.attempts}
        if Answer.DONE in answers:
            return Result.FAILED
        return Result.PASSED if answers == {Answer.REFUSED} else Result.UNPROVEN


@dataclass(frozen=True, kw_only=True)
class LocksExtended:
    """The object locks of a repository were looked at, and renewed where they would run out."""

    practice: str
    repository: str
    location: str
    """What the plan said of where it lies."""
    run: str
    at: datetime
    objects: int
    """How many objects the repository needs: the packs of its index, and its own files."""
    extended: int
    """Of how many of them the lock was renewed now."""
    until: datetime | None
    """Until when every one of them is locked, and what is saved next will be; `None` where one of
    them is not, or the bucket locks nothing by itself."""
