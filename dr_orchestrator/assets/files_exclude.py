"""Which files restic leaves out, decided by us as restic decides it.

The baseline must speak of exactly the files that restic saves. So only patterns that mean here what
they mean there are taken: names, `*`, `?` and `**` between slashes, and paths from the root. Others
are refused; that is held by a test that asks the real restic.
"""

from __future__ import annotations

import os
import re

from dr_orchestrator.beneath import Parts
from dr_orchestrator.errors import CaptureFailed

_UNCERTAIN = re.compile(r"[\[\]\\\x00-\x1f]|^!")


class Exclusion:
    """A list of patterns."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Take restic patterns.

        Raises:
            CaptureFailed: one of them is not of the kind we can match exactly.
        """
        self._patterns = tuple(re.compile(_expression(pattern)) for pattern in patterns)

    def covers(self, path: Parts) -> bool:
        """Whether restic leaves out `path`, given from the root of the file system."""
        if not self._patterns:
            return False
        text = "".join(f"/{os.fsdecode(part)}" for part in path)
        return any(pattern.search(text) for pattern in self._patterns)


def _expression(pattern: str) -> str:
    parts = [part for part in pattern.split("/") if part]
    if _UNCERTAIN.search(pattern) or {".", ".."} & set(parts):
        raise CaptureFailed(
            f"the exclude pattern {pattern!r} cannot be matched exactly as restic matches it",
            hint="use names, `*`, `?`, `**` and slashes, as in `*.tmp` or `/srv/shared/cache`",
        )
    if not set(parts) - {"**"}:
        raise CaptureFailed(f"the exclude pattern {pattern!r} leaves out everything")
    start = r"\A" if pattern.startswith("/") else ""
    return start + components_expression(parts) + r"(?=/|\Z)"


def components_expression(parts: list[str]) -> str:
    """Return the expression for components, each with the slash before it."""
    return "".join(map(_component, parts))


def _component(part: str) -> str:
    """Return the expression for one component with the slash before it; `**` is any number."""
    if part == "**":
        return "(?:/[^/]+)*"
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "/" + "".join(wild.get(character) or re.escape(character) for character in part)
