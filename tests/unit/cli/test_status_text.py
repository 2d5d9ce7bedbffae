from __future__ import annotations

from datetime import timedelta

from dr_orchestrator.cli.status_text import Line, fleet_lines
from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.fleet.read import Fleet
from tests.support.fleet import OTHER_SEED, SEED, Shelf, practice, problem, read, signed, site
from tests.support.practices import NOW, all_met, finding

DAY = timedelta(days=1)
KEPT = practice(*all_met("emr"))
BROKEN = practice(
    *all_met("files"),
    finding("emr", Objective.RPO, Verdict.BREACHED, reason="too long", since=NOW - DAY),
)


def lines(*shelves: Shelf, later: timedelta = timedelta(0), **seeds: bytes) -> list[Line]:
    return list(fleet_lines(read(*shelves, later=later, **seeds), NOW + later))


def text(found: list[Line]) -> str:
    return "\n".join("".join(span.text for span in line) for line in found)


def styles(found: list[Line]) -> set[str]:
    return {span.style for line in found for span in line} - {""}


def test_what_needs_a_person_comes_first_and_is_counted() -> None:
    shelf = Shelf(
        a=signed(site(KEPT, name="a")),
        b=signed(site(BROKEN, name="b")),
        c=signed(site(KEPT, name="c"), OTHER_SEED),
    )
    told = text(lines(shelf, a=SEED, b=SEED, c=SEED, d=SEED))
    assert told.startswith("4 sites: 1 not believed, 1 unheard, 1 not kept, 1 kept\n")
    order = [told.index(f"\n{each}: ") for each in ("c", "d", "b", "a")]
    assert order == sorted(order)


def test_only_what_is_not_kept_is_told_in_full() -> None:
    told = text(lines(Shelf(riverside_box=signed(site(BROKEN)))))
    assert "backups in time" in told
    assert "too long; since 2026-11-21 01:15 UTC" in told
    assert "files" not in told


def test_nothing_of_a_silent_site_is_green() -> None:
    shelf = Shelf(riverside_box=signed(site(KEPT)))
    assert "green" in styles(lines(shelf))
    silent = lines(shelf, later=DAY)
    assert "what it last said:\n  Riverside (riverside): kept" in text(silent)
    assert styles(silent) == {"bold", "bold red"}


def test_nothing_of_a_file_that_is_not_believed_is_shown() -> None:
    forged = site(KEPT, problems=(problem(),))
    told = lines(Shelf(riverside_box=signed(forged, OTHER_SEED)))
    assert "Riverside" not in text(told)
    assert "problem" not in text(told)
    assert styles(told) == {"bold", "bold red"}


def test_problems_and_pauses_of_a_site_are_told() -> None:
    paused = practice(*all_met("emr"))
    status = site(paused, problems=(problem(), problem("p2", acknowledged=True)))
    told = text(lines(Shelf(riverside_box=signed(status))))
    assert told.count("problem: the last backup of emr failed") == 1
    assert "riverside-box: with problems" in told


def test_text_of_a_hostile_file_name_moves_no_cursor() -> None:
    shelf = Shelf()
    shelf.write("\x1b[2Jbox", b"x")
    assert "\x1b" not in text(lines(shelf))


def test_no_site_at_all_is_said() -> None:
    assert text(list(fleet_lines(Fleet(sites=(), unread=()), NOW))) == "no site at all"
