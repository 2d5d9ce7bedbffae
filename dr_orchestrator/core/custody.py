"""Who holds a key that opens the backups, and when that was last tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dr_orchestrator.core.finding import Verdict


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """A key of a repository that was made for somebody. The key itself is nowhere of ours."""

    practice: str
    repository: str
    """The plan's name of it."""
    key: str
    """restic's id of it, as `restic key list` shows it."""
    holder: str
    """A contact, or a word such as `msp`; empty where it was made elsewhere, and revoked here."""
    form: str
    """`sealed sheet` …"""
    made_at: datetime
    made_by: str
    revoked_at: datetime | None = None
    revoked_by: str = ""

    @property
    def is_revoked(self) -> bool:
        """Whether it opens the repository no more. Who copied the master key before still can."""
        return self.revoked_at is not None


@dataclass(frozen=True, kw_only=True)
class KeyProof:
    """Somebody typed in the key they hold, and it was tried on one repository."""

    practice: str
    holder: str
    repository: str
    at: datetime
    by: str
    """Who had it tried."""
    key: str
    """restic's id of the key that opened it; empty where none did."""
    opened: bool
    """Whether it opened the repository, and a file of it came back as it was."""
    reason: str = ""
    """Why not."""


@dataclass(frozen=True, kw_only=True)
class CustodyStanding:
    """What is on record of one holder and their key."""

    holder: str
    form: str
    prove_every: timedelta | None
    """How often the plan wants it proven; `None` where it does not ask."""
    proven: datetime | None
    """Since when it is proven for every repository: the oldest of the newest proofs."""
    failed: tuple[KeyProof, ...]
    """Of the repositories that it did not open when it was last tried there."""
    unproven: tuple[str, ...]
    """The repositories of which no proof counts."""
    due: datetime | None
    """By when it is to be proven again; `None` where the plan does not ask."""
    keyless: tuple[str, ...] = ()
    """Of the unproven ones those of which no key of theirs is known: none was made, or none is left
    of what they had."""

    def verdict(self, now: datetime) -> Verdict:
        """Return how that stands; where the plan does not ask, whether there is any proof."""
        if self.failed:
            return Verdict.BREACHED
        late = self.due is not None and self.due <= now
        return Verdict.UNPROVEN if self.proven is None or late else Verdict.MET
