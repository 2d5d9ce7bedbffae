"""The page on published status: its example, and how it says to check one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dr_orchestrator.fleet.publication import believe

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "published-status.md").read_text()
EXAMPLE = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0]
FINGERPRINT = re.findall(r"`([0-9a-f]{64})`", PAGE)[0]


def test_example_is_believed_by_the_fingerprint_beside_it() -> None:
    said = believe(EXAMPLE.encode(), "riverside-box", FINGERPRINT)
    assert said.status.practices[0].practice == "riverside"


def test_example_is_checked_by_the_program_on_the_page() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        (sys.executable, "-c", program), input=EXAMPLE, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[:2] == [FINGERPRINT, "riverside-box"]
