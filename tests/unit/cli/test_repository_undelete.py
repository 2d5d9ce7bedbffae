from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dr_orchestrator.cli.repository_undelete import undelete
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.plan.load import LoadedPlan
from tests.support import practices
from tests.support.desk import Desk

_ONSITE = ("riverside", "--repository", "onsite")


class _Desk(Desk):
    def one_plan(self, practice: str | None) -> LoadedPlan:
        (loaded,) = self.plans((practice,) if practice else ())
        return loaded


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (_ONSITE, "either a time is named"),
        ((*_ONSITE, "--show", "--before", "2026-11-21"), "either a time is named"),
        ((*_ONSITE, "--before", "yesterday"), "yesterday is no time"),
        ((*_ONSITE, "--before", "2026-11-21T19:15:01"), "2026-11-21 19:15:01 CST is yet to come"),
        ((*_ONSITE, "--before", "2026-11-22T01:15:01Z"), "2026-11-21 19:15:01 CST is yet to come"),
        (("riverside", "--repository", "nowhere", "--show"), "the plan has no repository nowhere"),
    ],
)
def test_undelete_does_nothing_where_it_is_not_clear_what_is_meant(
    tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    desk = _Desk(tmp_path, practices.first_day())
    try:
        with pytest.raises(UsageMistake, match=why):
            CliRunner().invoke(undelete, words, obj=desk, catch_exceptions=False)
    finally:
        desk.close()
