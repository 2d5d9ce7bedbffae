from __future__ import annotations

from datetime import timedelta

import pytest

from dr_orchestrator.fleet.read import Standing
from tests.support.fleet import OTHER_SEED, SEED, Shelf, practice, read, signed, site
from tests.support.practices import NOW, all_met

MINUTE = timedelta(minutes=1)
FILE = signed(site(practice(*all_met("emr"))))


def standings(*places: Shelf, later: timedelta = timedelta(0), **seeds: bytes) -> list[str]:
    fleet = read(*places, later=later, **seeds)
    return [f"{each.site}: {each.standing.value}" for each in fleet.sites]


def test_site_is_heard_while_its_word_is_fresh() -> None:
    fleet = read(Shelf(riverside_box=FILE))
    assert [each.standing for each in fleet.sites] == [Standing.HEARD]
    assert fleet.sites[0].status == site(practice(*all_met("emr")))


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (35 * MINUTE, Standing.HEARD),  # twice 15 min, and clocks that are 5 min apart
        (35 * MINUTE + timedelta(seconds=1), Standing.SILENT),
        (-5 * MINUTE, Standing.HEARD),
        (-5 * MINUTE - timedelta(seconds=1), Standing.AHEAD),
    ],
)
def test_site_is_silent_after_two_of_its_own_intervals(age: timedelta, expected: Standing) -> None:
    assert [each.standing for each in read(Shelf(riverside_box=FILE), later=age).sites] == [
        expected
    ]


def test_silent_site_says_since_when_and_keeps_its_last_word() -> None:
    (seen,) = read(Shelf(riverside_box=FILE), later=timedelta(days=2)).sites
    assert seen.why == "silent since 2026-11-22 01:15 UTC; it should be heard every 15 min"
    assert seen.status is not None


def test_old_file_played_again_is_silence() -> None:
    shelf = Shelf(riverside_box=signed(site(made_at=NOW)))
    shelf.write("riverside-box", FILE)
    assert standings(shelf, later=timedelta(hours=3)) == ["riverside-box: silent"]


def test_old_file_beside_a_new_one_changes_nothing() -> None:
    later = timedelta(hours=3)
    new = signed(site(made_at=NOW + later))
    for places in ((FILE, new), (new, FILE)):
        shelves = [Shelf(f"shelf {n}", riverside_box=each) for n, each in enumerate(places)]
        assert standings(*shelves, later=later) == ["riverside-box: heard"]


def test_site_that_is_named_and_has_no_file_was_never_heard() -> None:
    assert standings(Shelf()) == ["riverside-box: never heard"]


def test_site_that_nobody_named_is_not_believed_and_shows_nothing() -> None:
    (seen, missing) = read(Shelf(riverside_box=FILE), lakeside_box=SEED).sites
    assert (seen.standing, seen.status) == (Standing.NOT_BELIEVED, None)
    assert (missing.site, missing.standing) == ("lakeside-box", Standing.NEVER_HEARD)


def test_file_with_a_wrong_key_is_not_believed_and_is_not_never_heard_too() -> None:
    forged = Shelf(riverside_box=signed(site(), OTHER_SEED))
    assert standings(forged) == ["riverside-box: not believed"]


def test_forged_file_in_another_place_is_shown_beside_the_true_one() -> None:
    forged = Shelf("elsewhere", riverside_box=FILE.replace(b'"met"', b'"bad"'))
    assert standings(Shelf(riverside_box=FILE), forged) == [
        "riverside-box: heard",
        "riverside-box: not believed",
    ]


def test_file_of_one_site_under_another_s_name_is_not_believed() -> None:
    shelf = Shelf(lakeside_box=FILE)
    assert standings(shelf, lakeside_box=SEED) == ["lakeside-box: not believed"]


def test_place_out_of_reach_hides_no_other_place() -> None:
    lost = Shelf("lost")
    lost.out_of_reach = True
    fleet = read(lost, Shelf(riverside_box=FILE))
    assert [each.standing for each in fleet.sites] == [Standing.HEARD]
    assert [error.message for error in fleet.unread] == ["lost cannot be used"]
