"""Which copies of the evidence may go: never one that another does not hold, whoever lies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.record import Anchored
from dr_orchestrator.maintenance.old_evidence import KEPT_FOR, copies_to_forget
from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.evidence import EvidenceCopy
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, full_id

DAY = timedelta(days=1)
CHAIN = "c" * 32


def anchored(number: int, at: datetime, *, reason: str = "", place: str = "onsite") -> Anchored:
    return Anchored(
        practice=PRACTICE,
        at=at,
        chain=CHAIN,
        number=number,
        head=full_id(number),
        place=f"the repository {place}",
        reason=reason,
    )


def copy(number: int, at: datetime = NOW, *, snapshot: str = "") -> EvidenceCopy:
    """Return a copy whose own time counts for nothing."""
    listed = Snapshot(
        id=full_id("snapshot", number, snapshot),
        time=at,
        hostname=PRACTICE,
        tags=frozenset(),
        paths=("/",),
        original=None,
    )
    return EvidenceCopy(chain=CHAIN, number=number, head=full_id(number), snapshot=listed)


def gone(copies: Sequence[EvidenceCopy], record: Sequence[Anchored]) -> set[str]:
    return {each.id for each in copies_to_forget(copies, record, "onsite", NOW)}


@given(st.lists(st.integers(0, 500), unique=True, max_size=60))
def test_all_of_35_days_and_the_newest_of_each_month_stay(ages: list[int]) -> None:
    saved = {number: NOW - age * DAY for number, age in enumerate(sorted(ages, reverse=True))}
    copies = [copy(number) for number in saved]
    going = gone(copies, [anchored(number, at) for number, at in saved.items()])

    kept = {n: at for n, at in saved.items() if copies[n].snapshot.id not in going}
    months = {(at.astimezone(UTC).year, at.astimezone(UTC).month) for at in saved.values()}
    assert {n for n, at in saved.items() if NOW - at <= KEPT_FOR} <= kept.keys()
    assert {(at.year, at.month) for at in kept.values()} == months
    for month in months:
        of_month = [n for n, at in saved.items() if (at.year, at.month) == month]
        assert max(of_month) in kept
    old = [n for n, at in kept.items() if NOW - at > KEPT_FOR]
    assert len(old) <= len(months)


def test_copy_on_no_record_neither_goes_nor_pushes_anything_out() -> None:
    long_ago = NOW - 100 * DAY
    record = [anchored(1, long_ago), anchored(2, long_ago + DAY, reason="the disk is full")]
    forged = copy(3, long_ago + 2 * DAY)
    assert gone([copy(1), copy(2), forged], record) == set()

    both = [*record, anchored(3, long_ago + 2 * DAY)]
    assert gone([copy(1), copy(2), forged], both) == {copy(1).snapshot.id}


def test_two_copies_that_claim_one_head_both_stay() -> None:
    long_ago = NOW - 100 * DAY
    record = [anchored(1, long_ago), anchored(2, long_ago + DAY)]
    twice = [copy(1), copy(1, snapshot="forged"), copy(2)]
    assert gone(twice, record) == set()


def test_what_another_repository_got_says_nothing_of_this_one() -> None:
    long_ago = NOW - 100 * DAY
    record = [anchored(1, long_ago), anchored(2, long_ago + DAY, place="offsite")]
    assert gone([copy(1), copy(2)], record) == set()
