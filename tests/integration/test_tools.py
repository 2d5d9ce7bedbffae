"""The real programs are here, so that nothing below was skipped for want of one."""

from __future__ import annotations

import os

import pytest

from tests.support.tools import require_tool


@pytest.mark.parametrize(
    "name", ["bwrap", "initdb", "pg_dump", "postgres", "rclone", "restic", "sqlite3", "unshare"]
)
def test_tool_is_here(name: str) -> None:
    assert os.access(require_tool(name), os.X_OK)
