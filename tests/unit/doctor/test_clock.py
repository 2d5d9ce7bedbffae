from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.doctor.clock import is_synchronised, look_at_clock, time_zones_of
from dr_orchestrator.doctor.complaint import Kind
from tests.support.evidence import make_point, make_record

_NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(("ahead_minutes", "complains"), [(-60, False), (1, False), (3, True)])
def test_look_at_clock_complains_where_the_record_is_ahead_of_it(
    ahead_minutes: int, complains: bool
) -> None:
    record = make_record(points=[make_point(_NOW + timedelta(minutes=ahead_minutes))])

    kinds = {each.kind for each in look_at_clock(_NOW, [record])}

    assert (Kind.CLOCK_BEHIND in kinds) is complains


@pytest.mark.parametrize(
    ("line", "year"), [("# version 2021a\n", 2021), ("# no such thing\n", None)]
)
def test_time_zones_say_of_which_year_they_are(tmp_path: Path, line: str, year: int | None) -> None:
    (tmp_path / "tzdata.zi").write_text(line)

    assert time_zones_of([str(tmp_path / "no"), str(tmp_path)]) == year
    assert time_zones_of([]) is None


def test_kernel_says_whether_its_clock_is_kept_right() -> None:
    assert is_synchronised() in {True, False, None}
