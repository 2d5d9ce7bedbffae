"""What an error means for a restore test: the backup is bad, or we could not find out."""

from __future__ import annotations

from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import (
    DroError,
    LoadFailed,
    ManifestInvalid,
    PointNotFound,
    RepositoryDamaged,
    WrongPassword,
)

_BAD_BACKUP = (
    LoadFailed,
    ManifestInvalid,
    PointNotFound,
    RepositoryDamaged,
    WrongPassword,
)
"""In a real outage each of these would mean: this does not come back.

Not that another disk is in the drive today, or none: the points on the right one are what they
were, and a failed test would have them taken for damaged.
"""


def result_of(error: DroError) -> Result:
    """Return failed where the backup itself is at fault, unproven where it may still be good."""
    return Result.FAILED if isinstance(error, _BAD_BACKUP) else Result.UNPROVEN
