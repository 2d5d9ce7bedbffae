"""The plans in the how-to pages are valid, and without a warning that a reader would meet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dr_orchestrator.plan.load import load_plan

ROOT = Path(__file__).parents[2]
PLANS = {
    f"{page.name}:{text[: found.start()].count(chr(10)) + 1}": found[1]
    for page in sorted((ROOT / "docs" / "howto").glob("protect-*.md"))
    for text in (page.read_text(),)
    for found in re.finditer(r"```yaml\n(version: 1\n.*?)```", text, re.DOTALL)
}
_NO_RESTORE = "no `restore`"
"""What the recipes for engines that cannot be loaded here are warned of, and say themselves."""


def test_there_are_plans_to_try() -> None:
    assert len(PLANS) >= 5


@pytest.mark.parametrize("place", PLANS)
def test_plan_of_a_page_is_valid(place: str, tmp_path: Path) -> None:
    file = tmp_path / "riverside.yaml"
    file.touch(mode=0o600)
    file.write_text(PLANS[place])
    warnings = [each.message for each in load_plan(file).warnings]
    assert [each for each in warnings if not each.startswith(_NO_RESTORE)] == []
