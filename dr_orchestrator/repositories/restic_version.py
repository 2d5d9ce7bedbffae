"""Which restic this is, and what follows from it. The only place that compares versions.

0.14.0 is what Debian 12 installs and what everything here was run with; what is said of later
versions is from restic's changelog and source.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple, Self

from dr_orchestrator.errors import ProgramFailed

_PRINTED = re.compile(r"^restic (\d+)\.(\d+)\.(\d+)", re.MULTILINE)


class ResticVersion(NamedTuple):
    """A version of restic."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, printed: str) -> Self:
        """Read what `restic version` prints.

        Raises:
            ProgramFailed: it is no version we know how to read, or older than 0.14.
        """
        match = _PRINTED.search(printed)
        if match is None:
            raise ProgramFailed(
                "the program restic does not say its version",
                hint="is the `restic` on PATH the backup program?",
            )
        version = cls(*(int(number) for number in match.groups()))
        if version < OLDEST:
            raise ProgramFailed(
                f"restic {version} is too old: 0.14.0 is the oldest that works",
                hint="Debian 12 and later have it: apt-get install restic",
            )
        return version

    def has(self, feature: Feature) -> bool:
        """Return whether this version can do `feature`."""
        return self >= feature.value

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST = ResticVersion(0, 14, 0)


class Feature(Enum):
    """What came later than 0.14, and with which version."""

    NO_SCAN = ResticVersion(0, 15, 0)
    """`backup --no-scan`: saves a pass over the tree that only serves the progress."""
    RESTORE_JSON = ResticVersion(0, 16, 0)
    """`restore --json` prints status lines."""
    INCLUDE_FILE = ResticVersion(0, 17, 0)
    """`restore --include-file`: names of files need not stand in its arguments."""
    EXIT_CODES = ResticVersion(0, 17, 0)  # noqa: PIE796 - two came with one version
    """10: no repository, 11: locked."""
    EXIT_CODE_PASSWORD = ResticVersion(0, 17, 1)
    """12: wrong password."""
