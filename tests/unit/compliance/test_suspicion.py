"""Suspicion: what is unlike its own history is found at the very next point, and nothing else is.

The year of `_Practice` is made up after a real one: work in the week and in the day, letters to
everybody once a month, dumps that pile up and are cleared away, a report written anew each night.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.compliance.suspicion import STANDS, Suspicion, suspicions
from dr_orchestrator.core.point import AssetSummary, RecoveryPoint
from dr_orchestrator.core.record import FORGOTTEN_SHOWN, MUCH_NEW, PracticeRecord
from dr_orchestrator.plan.model import Plan
from tests.support.clock import START
from tests.support.evidence import DATABASE, DOCUMENTS, make_plan, make_point, make_record

MIB = 1024**2
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PLAN = make_plan()


def _documents(files: int = 12_000, **more: Any) -> AssetSummary:
    size: dict[str, Any] = {"bytes": files * 100_000, "changed_files": 40, "added_bytes": 4 * MIB}
    return replace(DOCUMENTS, files=files, **(size | more))


def _database(size: int = 700 * MIB, added: int | None = 20 * MIB) -> AssetSummary:
    return replace(DATABASE, bytes=size, added_bytes=added)


def _points(
    *documents: AssetSummary, every: timedelta = DAY, start: datetime = START
) -> list[RecoveryPoint]:
    return [
        make_point(start + at * every, assets={"database": _database(), "documents": each})
        for at, each in enumerate(documents)
    ]


def _told(points: Iterable[RecoveryPoint], plan: Plan = PLAN) -> tuple[Suspicion, ...]:
    record = make_record(first_seen=START, points=points)
    now = max(point.as_of for point in record.points)
    return suspicions(plan, record, now)


USUAL = [_documents()] * 8


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (_documents(bytes=90 * MIB), "shrank to 90.0 MiB from the usual 1.1 GiB"),
        (_documents(bytes=9000 * MIB), "grew to 8.8 GiB from the usual 1.1 GiB"),
        (_documents(5000, bytes=1100 * MIB), "has only 5,000 files left of the usual 12,000"),
        (
            _documents(changed_files=11_900),
            (
                "has 11,900 of 12,000 files new or changed since the backup before, "
                "usually less than 1 %"
            ),
        ),
        (
            _documents(added_bytes=1000 * MIB),
            (
                "has 1000 MiB in its 1.1 GiB that no backup before had, usually less than 1 %: "
                "as if it had been encrypted"
            ),
        ),
    ],
)
def test_suspicions_name_what_is_unlike_its_history_at_once(odd: AssetSummary, words: str) -> None:
    points = _points(*USUAL, odd)

    (told,) = _told(points)

    assert _told(points[:-1]) == ()
    assert (told.practice, told.system, told.asset) == ("riverside", "emr", "documents")
    assert told.what == f"documents {words}"
    assert (told.since, told.point) == (points[-1].as_of, points[-1].id)


def test_suspicions_are_one_for_each_asset_however_much_of_it_is_odd() -> None:
    (told,) = _told(_points(*USUAL, _documents(2000, changed_files=2000, added_bytes=150 * MIB)))

    assert told.what.startswith("documents shrank to 191 MiB from the usual 1.1 GiB; documents has")
    assert told.what.count("; documents has") == 3


def test_suspicions_are_none_without_a_history() -> None:
    import_of_everything = _documents(changed_files=12_000, added_bytes=1144 * MIB)
    grows = [_documents(files) for files in (10, 300, 2000, 12_000)]

    assert _told(_points(import_of_everything)) == ()
    assert _told(_points(import_of_everything, *USUAL)) == ()
    assert _told(_points(*grows)) == ()
    assert _told(_points(*[_documents(10)] * 9, *grows, every=HOUR)) == ()


def test_suspicions_do_not_take_the_first_backup_of_all_for_what_is_usual() -> None:
    everything = _documents(changed_files=12_000, added_bytes=1144 * MIB)

    (told,) = _told(_points(everything, *USUAL, everything))

    assert told.since == START + 9 * DAY


def test_suspicions_are_none_where_nobody_counted() -> None:
    uncounted = _documents(bytes=1144 * MIB, changed_files=None, added_bytes=None)
    points = _points(*[replace(uncounted, files=None)] * 9)

    assert _told(points) == ()


def test_suspicions_are_none_of_a_repository_that_is_given_everything_for_the_first_time() -> None:
    plan = make_plan(backup={"schedule": "every 30m", "to": ["offsite", "onsite"]})
    before = _points(*USUAL)
    everything = _documents(changed_files=12_000, added_bytes=1144 * MIB)
    first = make_point(
        START + 9 * DAY,
        assets={"database": _database(), "documents": everything},
        repositories=("offsite", "onsite"),
    )

    assert _told([*before, first], plan) == ()
    assert _told([*before, first]) != ()  # where it goes to the same as ever


def test_suspicions_are_none_of_an_asset_that_was_something_else_before() -> None:
    dump = replace(_documents(), kind=DATABASE.kind, bytes=9 * 1144 * MIB)

    assert _told(_points(*[dump] * 8, _documents())) == ()


def test_suspicions_of_a_size_are_over_when_it_is_as_before() -> None:
    points = _points(*USUAL, _documents(bytes=90 * MIB), _documents())

    assert _told(points[:-1]) != ()
    assert _told(points) == ()


def test_suspicions_of_a_size_become_what_is_usual_after_a_week() -> None:
    smaller = _documents(bytes=90 * MIB)
    told = [_told(_points(*USUAL, *[smaller] * count)) for count in range(1, 12)]

    since = START + len(USUAL) * DAY
    assert [len(each) for each in told] == [1] * 7 + [0] * 4
    assert {(each.since, each.what) for (each,) in told[:7]} == {(since, told[0][0].what)}


def test_suspicions_of_what_happened_stand_a_week_although_nothing_happens_after() -> None:
    encrypted = _documents(changed_files=12_000, added_bytes=1144 * MIB)
    points = _points(*USUAL, encrypted, *[_documents()] * 40, every=6 * HOUR)
    since = points[len(USUAL)].as_of

    standing = [_told(points[:count]) for count in range(len(USUAL) + 1, len(points))]

    assert [bool(each) for each in standing] == [
        points[count - 1].as_of - since < STANDS for count in range(len(USUAL) + 1, len(points))
    ]
    assert {each.since for told in standing for each in told} == {since}


def test_suspicions_stand_although_retention_let_go_of_their_point() -> None:
    encrypted = _documents(changed_files=12_000)
    points = _points(*USUAL, encrypted, *[_documents()] * 3, every=6 * HOUR)
    gone = tuple(replace(point, copies=()) for point in points[1 : len(USUAL) + 1])
    kept = [point for point in points if point.id not in {each.id for each in gone}]
    record = replace(make_record(first_seen=START, points=kept), forgotten=gone)

    (told,) = suspicions(PLAN, record, points[-1].as_of)

    assert told.since == points[len(USUAL)].as_of


def test_suspicions_do_not_believe_a_point_of_the_future() -> None:
    odd = _documents(bytes=90 * MIB)
    record = make_record(first_seen=START, points=_points(*USUAL, odd))

    assert suspicions(PLAN, record, START + 7 * DAY) == ()


@given(
    sizes=st.lists(st.integers(1, 10**12), max_size=30),
    changed=st.lists(st.integers(0, 10**6), max_size=30),
    every=st.integers(1, 10**4).map(lambda minutes: timedelta(minutes=minutes)),
)
@settings(max_examples=60, deadline=None)
def test_suspicions_never_fail_and_never_come_before_there_is_a_history(
    sizes: list[int], changed: list[int], every: timedelta
) -> None:
    each = [
        _documents(10**6, bytes=size, changed_files=count, added_bytes=size // 2)
        for size, count in zip(sizes, changed, strict=False)
    ]
    points = _points(*each, every=every)
    if not points:
        return

    for told in _told(points):
        before = [point for point in points if point.as_of < told.since]
        assert len(before) >= 5
        assert told.since - points[0].as_of >= DAY


@given(growth=st.floats(0.97, 1.04), noise=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_suspicions_are_none_of_what_grows_or_shrinks_steadily(growth: float, noise: int) -> None:
    chance = random.Random(noise)
    files = [round(20_000 * growth**day * chance.uniform(0.98, 1.02)) for day in range(60)]

    assert _told(_points(*(_documents(count) for count in files))) == ()


# --- a year --------------------------------------------------------------------------------------

EVERY = 6 * HOUR
YEAR = 365


@dataclass
class _Practice:
    """A practice at work, a backup every six hours; what retention lets go of is forgotten."""

    seed: int

    def points(self) -> Iterator[RecoveryPoint]:
        chance = random.Random(self.seed)
        files, rows, dumps = 14_000, 700 * MIB, 0
        for number in range(YEAR * 4):
            at = START + number * EVERY
            at_work = at.weekday() < 5 and 12 <= at.hour <= 18
            new = chance.randint(20, 120) if at_work else chance.randint(0, 2)
            if at.day == 1 and at.hour == 18:
                new += files // 30  # a letter to everybody
            files += new
            changed = min(files, new + (chance.randint(5, 60) if at_work else 0))
            rows += chance.randint(0, MIB) if at_work else 0
            dumps = 1 if (at.weekday(), at.hour) == (6, 0) else dumps + (at.hour == 0)
            churn = chance.uniform(0.03, 0.12) if at_work else chance.uniform(0.0, 0.02)
            yield make_point(
                at,
                assets={
                    "database": replace(DATABASE, bytes=rows, added_bytes=round(rows * churn)),
                    "documents": _documents(
                        files, changed_files=changed, added_bytes=changed * 110_000
                    ),
                    "reports": _documents(
                        200,
                        changed_files=200 if at.hour == 0 else 0,
                        added_bytes=20 * MIB if at.hour == 0 else 0,
                    ),
                    "dumps": _documents(
                        60 * dumps,
                        bytes=dumps * 300 * MIB,
                        changed_files=60 if at.hour == 0 else 0,
                        added_bytes=300 * MIB if at.hour == 0 else 0,
                    ),
                },
            )


YEAR_PLAN = make_plan(
    assets={
        "database": {"kind": "sqlite", "path": "/srv/emr/emr.db"},
        **{
            name: {"kind": "files", "path": f"/srv/emr/{name}"}
            for name in ("documents", "reports", "dumps")
        },
    }
)


def _has_much_new(point: RecoveryPoint) -> bool:
    """Return whether the record still shows it when it is forgotten."""
    return any(
        (each.changed_files or 0) * MUCH_NEW > (each.files or 0)
        or (each.added_bytes or 0) * MUCH_NEW > each.bytes
        for each in point.assets.values()
    )


def _record_at(points: list[RecoveryPoint], newest: int) -> PracticeRecord:
    """Return the record after point `newest`: of what is older than a day one a day is kept."""
    now = points[newest].as_of
    known = points[max(0, newest - 800) : newest + 1]

    def is_kept(point: RecoveryPoint) -> bool:
        return now - point.as_of < DAY or point.as_of.hour == 18

    kept = [each for each in known if is_kept(each)]
    gone = tuple(
        replace(each, copies=())
        for each in known
        if not is_kept(each) and now - each.as_of < FORGOTTEN_SHOWN and _has_much_new(each)
    )
    return replace(make_record(first_seen=START, points=kept), forgotten=gone)


@pytest.fixture(scope="module")
def year() -> list[RecoveryPoint]:
    return list(_Practice(seed=4).points())


def test_suspicions_are_none_in_a_year_of_a_practice_at_work(year: list[RecoveryPoint]) -> None:
    learned = 8 * 7 * 4  # the dumps are cleared every week: that is learned in the first weeks

    for newest in range(0, len(year), 9):  # a suspicion stands for longer, so none is passed by
        told = suspicions(YEAR_PLAN, _record_at(year, newest), year[newest].as_of)
        if newest < learned:
            told = tuple(each for each in told if each.asset != "dumps")
        assert told == (), (newest, told)


def _encrypt(point: RecoveryPoint) -> RecoveryPoint:
    documents = point.assets["documents"]
    odd = replace(documents, changed_files=documents.files, added_bytes=documents.bytes)
    return replace(point, assets={**point.assets, "documents": odd})


def _cut_short(point: RecoveryPoint) -> RecoveryPoint:
    database = point.assets["database"]
    odd = replace(database, bytes=database.bytes * 2 // 5, added_bytes=0)
    return replace(point, assets={**point.assets, "database": odd})


def _empty(point: RecoveryPoint) -> RecoveryPoint:
    documents = point.assets["documents"]
    odd = replace(documents, files=3000, changed_files=0, added_bytes=0)
    return replace(point, assets={**point.assets, "documents": odd})


@pytest.mark.parametrize("harm", [_encrypt, _cut_short, _empty])
@pytest.mark.parametrize("day", [30, 101, 203, 360])
def test_suspicions_find_harm_at_the_very_next_point(
    year: list[RecoveryPoint], harm: object, day: int
) -> None:
    assert callable(harm)
    newest = day * 4 + 1
    record = _record_at(year, newest)
    harmed = harm(record.points[-1])

    told = suspicions(
        YEAR_PLAN, replace(record, points=(*record.points[:-1], harmed)), harmed.as_of
    )

    assert [each.point for each in told if each.asset != "dumps"] == [harmed.id]
