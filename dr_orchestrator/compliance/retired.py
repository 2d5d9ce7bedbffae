"""Repositories that another one stands for, and that the plan still uses. Pure.

It is no promise to the practice, so nothing is judged by it: whoever looks is told, and nothing
stops, since a backup in a place that somebody else can read is better than none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import date_words

if TYPE_CHECKING:
    from datetime import tzinfo

    from dr_orchestrator.core.record import PracticeRecord, RepositoryRetired
    from dr_orchestrator.plan.model import Plan

ADVICE = "save to the other one: change `to`, `copy_to` and the tests' `from` in the plan"


def retired_in_use(plan: Plan, record: PracticeRecord) -> tuple[RepositoryRetired, ...]:
    """Return the retired repositories that some system is still saved or copied to."""
    used = plan.used_repositories
    return tuple(each for name, each in record.retired.items() if name in used)


def retired_words(each: RepositoryRetired, zone: tzinfo) -> str:
    """Return that one still is used, as a clause."""
    return (
        f"{each.repository} was retired on {date_words(each.at, zone)}, and the plan still saves "
        f"there: {each.replaced_by} stands for it"
    )
