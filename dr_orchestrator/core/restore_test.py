"""The evidence of one restore test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dr_orchestrator.core.share import Share
from dr_orchestrator.core.verification import Depth, Result, Verification

NOT_READ_BACK = "not everything could be read back"
"""How a repository says that what is stored in it is damaged: the reason of a test holds it."""


@dataclass(frozen=True, kw_only=True)
class RestoreTest:
    """One recovery point, from one repository, restored to a sandbox and verified."""

    id: str
    """The id of the run that made it."""
    practice: str
    system: str
    repository: str
    point: str
    point_as_of: datetime
    started_at: datetime
    finished_at: datetime
    result: Result
    reason: str
    """One sentence for a person, where the result is not `passed`."""
    rta_data_seconds: float | None
    """Restore start -> data loaded. `None` where it never got that far, and where a share of the
    files was restored: that takes less than all of them."""
    rta_service_seconds: float | None
    """Restore start -> server answers with durable settings and the application's checks pass.
    `None` as above."""
    proof_seconds: float
    """Exhaustive comparison (checksums, hashes), apart from both."""
    rpa_seconds: float
    """Test start - the point's `as_of`: the work that would have been lost. Reported only."""
    newest: datetime | None
    """The newest row found in the restored data; `None` where the plan does not ask."""
    data_age_seconds: float | None
    """The point's `as_of` - `newest`, wall-clock."""
    depth: Depth
    sandbox: str
    """Level of the sandbox: `bubblewrap, uid 64000`."""
    verifications: tuple[Verification, ...]
    conditions: tuple[str, ...] = ()
    part: int = 1
    """Which of `parts` equal shares of the files was restored, counted from 1; databases are always
    restored whole."""
    parts: int = 1
    follow_up_of: str | None = None
    """The failed test whose damage this one helps to locate."""
    next: str = ""
    """One sentence: what to do now."""

    @property
    def share(self) -> Share:
        """What of the files was restored."""
        return Share(self.part, self.parts)

    @property
    def is_unreadable(self) -> bool:
        """Whether nothing could be verified, for what lies in the repository is damaged."""
        return (
            self.result is Result.FAILED and not self.verifications and NOT_READ_BACK in self.reason
        )
