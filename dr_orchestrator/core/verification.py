"""One assertion about restored data, and how deep a restore test went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from dr_orchestrator.core.baseline import Value

NO_BASELINE = "this point has no baseline"
"""Why restored data cannot be compared with anything."""
NOTHING_TOLD = "another tool saved it, and no check says what must be in it"
"""Why what was restored is not proven, where there is no baseline and nobody asked for it."""
BASELINE_OF_OTHERS = (
    "another tool saved it, and took no baseline: take `baseline` out of `verify` in the plan, "
    "whose other checks say what must be in it"
)
"""Likewise, where the plan asks for one beside other checks."""


class Result(StrEnum):
    """What came of a verification, or of a whole restore test."""

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"


class Depth(IntEnum):
    """How far a restore test got; each level includes those below it."""

    L0 = 0
    """The backup run was ok."""
    L1 = 1
    """The repository was checked."""
    L2 = 2
    """Files were restored and hashed."""
    L3 = 3
    """The database loads."""
    L4 = 4
    """Checks on its content pass."""
    L5 = 5
    """People confirmed that they can work."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """One assertion about restored data. `expected` and `actual` are never text out of a row."""

    title: str
    asset: str
    result: Result
    expected: Value | str = None
    """A value, or words of ours such as `equal to capture`."""
    actual: Value | str = None
    """A value, or words of ours such as `3 of 214 tables differ`."""
    reason: str = ""
    """One sentence for a person, where the result is not `passed`."""
    proves: Depth = Depth.L4
    """The depth this verification supports when it passes."""


def overall(verifications: tuple[Verification, ...]) -> Result:
    """Return failed if any failed; passed only if there is at least one and all of them did."""
    results = {verification.result for verification in verifications}
    if Result.FAILED in results:
        return Result.FAILED
    return Result.PASSED if results == {Result.PASSED} else Result.UNPROVEN
