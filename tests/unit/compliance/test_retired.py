"""Whoever looks is told of a retired repository for as long as the plan saves to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dr_orchestrator.compliance.retired import retired_in_use, retired_words
from dr_orchestrator.core.record import RepositoryRetired
from tests.support.evidence import PRACTICE, make_plan, make_record

RETIRED = RepositoryRetired(
    practice=PRACTICE,
    repository="onsite",
    at=datetime(2026, 11, 22, 1, 15, tzinfo=UTC),
    by="Ada",
    replaced_by="offsite",
    why="Kim left",
)
RECORD = replace(make_record(), retired={"onsite": RETIRED})


def test_retired_repository_is_told_of_until_nothing_is_saved_to_it() -> None:
    schedule = "every 30m"
    copied = make_plan(backup={"schedule": schedule, "to": ["offsite"], "copy_to": ["onsite"]})
    changed = make_plan(backup={"schedule": schedule, "to": ["offsite"]})

    assert retired_in_use(make_plan(), RECORD) == (RETIRED,)
    assert retired_in_use(copied, RECORD) == (RETIRED,)
    assert retired_in_use(changed, RECORD) == ()


def test_retired_words_say_since_when_and_what_stands_for_it() -> None:
    zone = make_plan().practice.timezone

    assert retired_words(RETIRED, zone) == (
        "onsite was retired on 21 November 2026, and the plan still saves there: offsite stands "
        "for it"
    )
