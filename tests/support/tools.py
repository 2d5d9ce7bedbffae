"""Finding the real programs that tests drive."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

# Where distributions keep server programs that are not on PATH.
_ELSEWHERE = ("usr/lib/postgresql/*/bin", "opt/mariadb-*/bin", "usr/sbin", "sbin")


def require_tool(name: str) -> Path:
    """Return where program `name` is, the newest version of it; without it the test is skipped.

    With DR_REQUIRE_TOOLS=1, as scripts/test sets it, a missing program is a failure.
    """
    if found := shutil.which(name):
        return Path(found)
    for folder in _ELSEWHERE:
        if candidates := sorted(Path("/").glob(f"{folder}/{name}"), key=_version):
            return candidates[-1]
    message = f"program is not on this machine: {name}"
    if os.environ.get("DR_REQUIRE_TOOLS") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def _version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]
