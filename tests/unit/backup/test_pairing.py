"""Which snapshots of another tool make a point: the nearest ones, and no newest is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.backup.pairing import Pair, pair
from dr_orchestrator.repositories.base import Snapshot
from tests.support.clock import START
from tests.support.evidence import full_id

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def saved(name: str, at: datetime) -> Snapshot:
    """Return a snapshot of another tool."""
    return Snapshot(
        id=full_id(name, at),
        time=at,
        hostname="vm",
        tags=frozenset(),
        paths=("/srv",),
        original=None,
        tree=full_id(name, at, "tree"),
    )


def line(name: str, *at: timedelta) -> list[Snapshot]:
    return [saved(name, START + each) for each in at]


def times(pairs: Sequence[Pair]) -> list[dict[str, timedelta]]:
    return [{asset: each.time - START for asset, each in one.snapshots.items()} for one in pairs]


def test_pair_takes_the_nearest_of_each_other_asset_before_or_after() -> None:
    held = {
        "database": line("database", 0 * DAY, DAY),
        "documents": line("documents", 5 * MINUTE, DAY - 7 * MINUTE),
    }

    assert times(pair(held)) == [
        {"database": 0 * DAY, "documents": 5 * MINUTE},
        {"database": DAY, "documents": DAY - 7 * MINUTE},
    ]


def test_pair_takes_the_newer_one_when_two_are_as_near() -> None:
    held = {
        "database": line("database", DAY),
        "documents": line("documents", DAY - MINUTE, DAY + MINUTE),
    }

    assert times(pair(held)) == [{"database": DAY, "documents": DAY + MINUTE}]


def test_pair_takes_the_very_snapshot_when_it_holds_both() -> None:
    both = line("both", 0 * DAY, DAY)
    twins = [saved(f"twin {number}", each.time) for each in both for number in range(8)]
    others = sorted([*both, *twins], key=lambda each: (each.time, each.id))

    pairs = pair({"database": both, "documents": others})

    assert [each.snapshots["documents"].id for each in pairs][:2] == [each.id for each in both]


def test_pair_replaces_a_partner_when_a_nearer_one_turns_up() -> None:
    database = line("database", 0 * DAY, DAY)
    before = pair({"database": database, "documents": line("documents", -MINUTE)})
    after = pair({"database": database, "documents": line("documents", -MINUTE, DAY + MINUTE)})

    assert times(before)[1]["documents"] == -MINUTE
    assert times(after)[1]["documents"] == DAY + MINUTE


def test_pair_keeps_the_newest_documents_when_the_job_of_the_database_died() -> None:
    held = {
        "database": line("database", 0 * DAY),
        "documents": line("documents", 0 * DAY, DAY, 2 * DAY),
    }

    pairs = pair(held)

    assert times(pairs)[-1] == {"database": 0 * DAY, "documents": 2 * DAY}
    assert pairs[-1].as_of == START + 2 * DAY


def test_pair_leads_with_the_next_asset_when_the_first_was_never_saved() -> None:
    assert times(pair({"database": [], "documents": line("documents", DAY)})) == [
        {"documents": DAY}
    ]


def test_pair_makes_nothing_when_nothing_was_saved() -> None:
    assert pair({"database": [], "documents": []}) == ()


_LINES = st.dictionaries(
    st.sampled_from(["database", "documents", "imaging"]),
    st.lists(st.integers(0, 40), max_size=12),
    max_size=3,
)


@given(_LINES)
def test_pair_always_leads_with_each_of_the_first_and_takes_no_farther_one(
    minutes: dict[str, list[int]],
) -> None:
    held = {
        asset: line(asset, *(each * MINUTE for each in sorted(set(found))))
        for asset, found in minutes.items()
    }
    there = {asset: each for asset, each in held.items() if each}

    pairs = pair(held)

    first = next(iter(there), "")
    led = [each.as_of for each in pairs if each.led_by == first]
    assert led == [each.time for each in there.get(first, [])]
    for each in pairs:
        assert set(each.snapshots) == set(there)
        for asset, chosen in each.snapshots.items():
            nearest = min(abs(one.time - each.as_of) for one in there[asset])
            assert abs(chosen.time - each.as_of) == nearest
    used = {(asset, one.id) for each in pairs for asset, one in each.snapshots.items()}
    assert all((asset, each[-1].id) in used for asset, each in there.items())
    keys = [frozenset((a, s.id) for a, s in each.snapshots.items()) for each in pairs]
    assert len(keys) == len(set(keys))
