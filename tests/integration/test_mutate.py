"""The harness that tests our checks still works: a small selection of its kinds of damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.tools import require_tool

ROOT = Path(__file__).parents[2]


def test_mutate_sees_the_damage_of_its_quick_selection_and_raises_no_false_alarm() -> None:
    require_tool("postgres")
    done = subprocess.run(
        (sys.executable, "scripts/mutate.py", "--quick", "--seed", "1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "| sequence ahead" in done.stdout
    assert done.stdout.count("0/1 quiet") == 2
    for engine in ("PostgreSQL, logical", "SQLite", "files, sampled"):
        (line,) = [each for each in done.stdout.splitlines() if each.startswith(f"| {engine} ")]
        cells = [each.strip() for each in line.split("|")]
        assert cells[6:9] == ["100.0 %", "1", "0"], line
