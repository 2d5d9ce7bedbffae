"""What the practice itself says: that somebody read the page, and accepts what it shows.

How that was given is part of it. What somebody else recorded of a sheet of paper is never shown as
her own signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class HowGiven(StrEnum):
    """How a person's word came to us."""

    OWN_KEY = "own key"
    """Signed with a key that the plan names as hers; checked here."""
    EMAIL = "e-mail reply"
    PAPER = "paper"


@dataclass(frozen=True, kw_only=True)
class SignOff:
    """The certification of the practice's management."""

    id: str
    practice: str
    at: datetime
    """When it was given, as far as that is known; at the latest when it was recorded."""
    contact: str
    """Of the plan: `manager`."""
    name: str
    role: str
    how: HowGiven
    recorded_by: str
    """Who typed it in here, and on which machine; herself only where `how` is her own key."""
    head: str
    """The hash of the evidence's last line that stood on the page she read, as far as it was given:
    at least 12 hex digits."""
    number: int
    """Of that line in its chain."""
    chain: str
    promise: str
    """`PromiseMade.id` of the version she accepts: all versions up to it."""
    statement_sha256: str
    """Of the words that she put her name to."""
    document_sha256: str = ""
    """Of the scan or the message; empty where there is none."""
    signature: str = ""
    """As hex, where it was her own key."""
    key: str = ""
    """Fingerprint of that key."""


@dataclass(frozen=True, kw_only=True)
class CorrectiveAction:
    """What has to be put right after a test that failed, or was not made."""

    id: str
    practice: str
    system: str
    repository: str
    cause: str
    """`failed test` or `missed test`, or what a person says."""
    test: str
    """Id of the restore test that failed; empty where there is none."""
    what: str
    """One sentence: what is to be put right."""
    owner: str
    """A contact of the plan, or a word such as `msp`."""
    opened_at: datetime
    due: datetime
    opened_by: str
    """Empty: opened by itself."""
    closed_at: datetime | None = None
    closed_by: str = ""
    done: str = ""
    """What was done about it."""

    @property
    def is_open(self) -> bool:
        """Whether it is not done yet."""
        return self.closed_at is None
