"""A leap year of two practices, looked at every few minutes: what ran is what their plans mean.

Planner, ledger and store are the real ones, the clock is the test's. What plans mean is defined
here a second time, day by day and minute by minute, without a line of the planner.
"""

from __future__ import annotations

import random
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dr_orchestrator.core.occurrence import OccurrenceState, Progress
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.schedule.planner import ScheduledOperation, due, scheduled_operations
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock

START, END = datetime(2028, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
POWER_CUT = (datetime(2028, 11, 3, 20, 2, tzinfo=UTC), datetime(2028, 11, 6, 20, 13, tzinfo=UTC))
"""Chicago puts its clocks back within it; Berlin does a week before."""
PUT_BACK = (datetime(2028, 7, 12, 13, 20, tzinfo=UTC), timedelta(minutes=50))
PAUSED = SystemPaused(
    practice="riverside",
    system="emr",
    at=datetime(2028, 5, 4, 9, tzinfo=UTC),
    until=datetime(2028, 5, 14, 9, 30, tzinfo=UTC),
    by="bob",
    why="server move",
)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

_REPOSITORY = "{location: /srv/restic/%s, password: {file: /etc/dro/key}, maintenance: {%s}}"
_ASSETS = "{ledger: {kind: sqlite, path: /srv/ledger.db}}"
PLANS = {
    "riverside": f"""\
version: 1
practice: {{id: riverside, name: Riverside, timezone: America/Chicago, closed: [2028-12-24]}}
repositories:
  onsite: {_REPOSITORY % ("a", "check: Wed 01:00, forget: Sun 02:15, prune: 0 6 1 * *")}
systems:
  emr:
    rto: 4h
    rpo: 48h
    assets: {_ASSETS}
    backup: {{schedule: every 36h}}
    restore_tests:
      - {{schedule: "02:30", grace: 3h}}
      - {{schedule: Sun 04:00, point: random, catch_up: latest, blackout: {{sun: "02:00-09:30"}}}}
  billing:
    rto: 4h
    rpo: 7d
    assets: {_ASSETS}
    backup: {{schedule: Sun 01:30, catch_up: all}}
    restore_tests: [{{schedule: "*/30 1 * * 0", catch_up: all}}]
  archive:
    rto: 4h
    rpo: 7d
    assets: {_ASSETS}
    backup: {{schedule: "20 12 29 2,12 *"}}
    restore_tests: []
report: {{schedule: Mon 07:00, folder: /srv/reports}}
evidence: {{schedule: Sat 05:00}}
""",
    "lakeside": f"""\
version: 1
practice:
  id: lakeside
  name: Lakeside
  timezone: Europe/Berlin
  closed: [2028-04-14, 2028-10-03]
repositories:
  onsite: {_REPOSITORY % ("b", 'check: "30 2 * * 0,3", forget: Mon 05:30, prune: Sun 06:00')}
  offsite: {_REPOSITORY % ("c", "check: never, forget: 2 2 1 * *, prune: never")}
systems:
  emr:
    rto: 4h
    rpo: 24h
    assets: {_ASSETS}
    backup:
      schedule: "0 8,13 * * 1,2,5"
      to: [onsite, offsite]
      blackout: {{mon-thu: "08:30-17:00", fri: "12:00-24:00", sat: "00:00-06:00"}}
    restore_tests:
      - {{schedule: "Sun 02:30", from: onsite}}
      - {{schedule: "15 */2 * * 0", from: offsite, blackout: {{sun: "01:00-23:30"}}, grace: 30m}}
evidence: {{schedule: Tue 05:00}}
""",
}

Hours = dict[int, tuple[str, str]]
"""Weekday from Monday = 0 -> from and to."""


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What a line of a plan means, in the words of this test."""

    times: frozenset[time] = frozenset()
    days: Callable[[date], bool] = lambda _day: True
    each_time: bool = False
    """Whether a time that the clock shows twice is meant twice."""
    every: timedelta | None = None
    catch_up: str = "latest"
    grace: timedelta = timedelta.max
    blackout: Hours | None = None


def on(*weekdays: int) -> Callable[[date], bool]:
    return lambda day: day.weekday() in weekdays


def at(*texts: str) -> frozenset[time]:
    return frozenset(map(time.fromisoformat, texts))


SUNDAY, HOUR = on(6), timedelta(hours=1)
MEANT: dict[str, dict[str, Meant]] = {
    "riverside": {
        "systems.emr.backup": Meant(every=36 * HOUR),
        "systems.emr.restore_tests[0]": Meant(times=at("02:30"), catch_up="skip", grace=3 * HOUR),
        "systems.emr.restore_tests[1]": Meant(
            times=at("04:00"), days=SUNDAY, blackout={6: ("02:00", "09:30")}
        ),
        "systems.billing.backup": Meant(times=at("01:30"), days=SUNDAY, catch_up="all"),
        "systems.billing.restore_tests[0]": Meant(
            times=at("01:00", "01:30"), days=SUNDAY, each_time=True, catch_up="all"
        ),
        "systems.archive.backup": Meant(
            times=at("12:20"), days=lambda day: (day.month, day.day) in {(2, 29), (12, 29)}
        ),
        "repositories.onsite.maintenance.check": Meant(times=at("01:00"), days=on(2)),
        "repositories.onsite.maintenance.forget": Meant(times=at("02:15"), days=SUNDAY),
        "repositories.onsite.maintenance.prune": Meant(
            times=at("06:00"), days=lambda day: day.day == 1, catch_up="skip", grace=6 * HOUR
        ),
        "report": Meant(times=at("07:00"), days=on(0)),
        "evidence": Meant(times=at("05:00"), days=on(5)),
    },
    "lakeside": {
        "systems.emr.backup": Meant(
            times=at("08:00", "13:00"),
            days=on(0, 1, 4),
            blackout={
                **dict.fromkeys(range(4), ("08:30", "17:00")),
                4: ("12:00", "24:00"),
                5: ("00:00", "06:00"),
            },
        ),
        "systems.emr.restore_tests[0]": Meant(
            times=at("02:30"), days=SUNDAY, catch_up="skip", grace=4 * HOUR
        ),
        "systems.emr.restore_tests[1]": Meant(
            times=frozenset(time(hour, 15) for hour in range(0, 24, 2)),
            days=SUNDAY,
            each_time=True,
            catch_up="skip",
            grace=HOUR / 2,
            blackout={6: ("01:00", "23:30")},
        ),
        "repositories.onsite.maintenance.check": Meant(times=at("02:30"), days=on(2, 6)),
        "repositories.onsite.maintenance.forget": Meant(times=at("05:30"), days=on(0)),
        "repositories.onsite.maintenance.prune": Meant(
            times=at("06:00"), days=SUNDAY, catch_up="skip", grace=6 * HOUR
        ),
        "repositories.offsite.maintenance.forget": Meant(
            times=at("02:02"), days=lambda day: day.day == 1
        ),
        "evidence": Meant(times=at("05:00"), days=on(1)),
    },
}
CLOSED = {
    "riverside": {date(2028, 12, 24)},
    "lakeside": {date(2028, 4, 14), date(2028, 10, 3)},
}
ZONES = {"riverside": ZoneInfo("America/Chicago"), "lakeside": ZoneInfo("Europe/Berlin")}
Fate = tuple[str, datetime | str]
"""Ran, and when; or was skipped, and why."""


# --- what the plans mean ------------------------------------------------------------------------


def instants(meant: Meant, zone: ZoneInfo) -> list[datetime]:
    """Return every instant of the year that is meant, from what the clocks of a zone show."""
    found: set[datetime] = set()
    if meant.every is not None:
        instant = datetime(2024, 1, 1, tzinfo=zone).astimezone(UTC)
        while instant <= END:
            found.add(instant)
            instant += meant.every
    days = (START.date() + count * DAY for count in range(-1, 368))
    for day in filter(meant.days, days):
        for each in meant.times:
            found.update(shown(datetime.combine(day, each), zone, twice=meant.each_time))
    return sorted(each for each in found if START < each <= END)


def shown(wall: datetime, zone: ZoneInfo, *, twice: bool) -> set[datetime]:
    """Return when a clock shows `wall`; where it never does, the first instant after."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return {first, second} if twice else {first}
    instant = second
    while instant.astimezone(zone).replace(tzinfo=None) < wall:
        instant += MINUTE
    return {instant}


def blacked_out(meant: Meant, instant: datetime, practice: str) -> bool:
    clock = instant.astimezone(ZONES[practice])
    if meant.blackout is None or clock.date() in CLOSED[practice]:
        return False
    begin, end = meant.blackout.get(clock.weekday(), ("", ""))
    return begin <= f"{clock:%H:%M}" < end


def fates(practice: str, field: str, ticks: list[datetime]) -> dict[datetime, Fate]:
    """Return what becomes of each occurrence of a line, somebody looking at these instants."""
    meant = MEANT[practice][field]
    started: dict[int, list[datetime]] = {}
    furthest = list(accumulate(ticks, max))
    for instant in instants(meant, ZONES[practice]):
        tick = bisect_left(furthest, instant)
        while tick < len(ticks) and (
            ticks[tick] < instant or blacked_out(meant, ticks[tick], practice)
        ):
            tick += 1
        if tick < len(ticks):
            started.setdefault(tick, []).append(instant)
    return {
        instant: fate(practice, field, instant, ticks[tick], is_newest=instant == together[-1])
        for tick, together in started.items()
        for instant in together
    }


def fate(practice: str, field: str, instant: datetime, tick: datetime, *, is_newest: bool) -> Fate:
    meant = MEANT[practice][field]
    if meant.catch_up != "all" and not is_newest:
        return ("skipped", "a later one had come due before it could be started")
    if meant.catch_up == "skip":
        passed = (instant + count * MINUTE for count in range((tick - instant) // MINUTE))
        late = sum(not blacked_out(meant, each, practice) for each in passed) * MINUTE
        if late > meant.grace:
            return ("skipped", "it could not be started within its grace")
    if (
        practice == PAUSED.practice
        and field.startswith("systems.emr.")
        and (PAUSED.at <= tick < PAUSED.until)
    ):
        return ("skipped", "paused until 2028-05-14 04:30 CDT: server move")
    return ("ran", tick)


# --- what the planner and the ledger make of it -------------------------------------------------


def instants_to_look() -> list[datetime]:
    """Return when the planner looks: every few minutes, as the clock shows them."""
    chance = random.Random(4)
    now, put_back = START, False
    looks = []
    while now < END:
        now += chance.randint(1, 11) * MINUTE
        if now > PUT_BACK[0] and not put_back:
            now, put_back = now - PUT_BACK[1], True
        if not POWER_CUT[0] < now < POWER_CUT[1]:
            looks.append(now)
    return looks


@dataclass
class Year:
    """What became of a year."""

    looks: list[datetime]
    ran: list[tuple[str, datetime]]
    """Occurrence, and when it was begun; in that order."""
    states: tuple[OccurrenceState, ...]
    operations: tuple[ScheduledOperation, ...]


@pytest.fixture(scope="module")
def year() -> Iterator[Year]:
    # in memory where there is such a folder: that each commit reaches a disk is proven elsewhere
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="dro-", dir=where) as folder:
        yield lived_through(Path(folder))


def lived_through(folder: Path) -> Year:
    clock, owner = FakeClock(START), ProcessIdentity.ours()
    operations = tuple(
        each
        for name, text in PLANS.items()
        for each in scheduled_operations(read_plan(text.encode(), name).plan)
    )
    looks, ran = instants_to_look(), []
    with open_store(folder, clock) as store:
        ledger = store.ledger
        ids = [each.id for each in operations]
        ledger.see_schedules(ids, START)
        last_due = ledger.last_due()
        pauses: dict[str, tuple[SystemPaused, ...]] = {}
        for number, now in enumerate(looks):
            if now < clock.now():
                clock.set(now)
                ledger.see_schedules(ids, now)
                last_due = ledger.last_due()
            clock.set(now)
            if not pauses and now >= PAUSED.at:
                store.record(PAUSED)
                pauses = {"riverside": store.pauses()}
            found = tuple(due(operations, last_due, now, pauses))
            if not found:
                continue
            assert set(ledger.admit(found)) == set(found)
            if number % 5 == 0:  # another planner saw the same at the same time
                assert ledger.admit(tuple(due(operations, last_due, now, pauses))) == ()
            for _ in range(sum(not each.skipped for each in found)):
                claim = ledger.claim(owner)
                assert claim is not None
                ran.append((claim.occurrence.id, now))
                assert ledger.settle(claim, Outcome.DONE, "")
            last_due = ledger.last_due()
        assert ledger.claim(owner) is None
        return Year(looks, ran, store.occurrences(since=START, limit=100_000), operations)


# --- and they are the same ----------------------------------------------------------------------


def test_every_line_of_the_plans_is_looked_at(year: Year) -> None:
    assert {(each.practice, each.field.removesuffix(".schedule")) for each in year.operations} == {
        (practice, field) for practice, fields in MEANT.items() for field in fields
    }


@pytest.mark.parametrize(
    ("practice", "field"), [(name, field) for name, fields in MEANT.items() for field in fields]
)
def test_a_line_ran_and_was_skipped_as_it_means(year: Year, practice: str, field: str) -> None:
    (operation,) = (
        each
        for each in year.operations
        if (each.practice, each.field.removesuffix(".schedule")) == (practice, field)
    )
    began = dict(year.ran)
    mine = [each for each in year.states if each.occurrence.schedule_id == operation.id]

    happened: dict[datetime, Fate] = {
        each.occurrence.due_at: ("ran", began[each.occurrence.id])
        if each.progress is Progress.SETTLED and each.outcome is Outcome.DONE
        else (each.progress.value, each.reason)
        for each in mine
    }

    assert len(mine) == len(happened)
    assert happened == fates(practice, field, year.looks)


def test_nothing_ran_twice_and_nothing_is_left(year: Year) -> None:
    assert len(dict(year.ran)) == len(year.ran)
    assert {each.progress for each in year.states} == {Progress.SETTLED, Progress.SKIPPED}


def test_the_year_had_all_that_can_happen_to_an_occurrence(year: Year) -> None:
    """Or the other tests would prove less than they seem to."""
    reasons = {each.reason for each in year.states}
    assert len(reasons) == 4, reasons
    zones = {each.id: each.zone for each in year.operations}
    shown_twice = [
        each
        for each in year.states
        if each.occurrence.due_at.astimezone(zones[each.occurrence.schedule_id]).fold
    ]
    assert {each.progress for each in shown_twice} == {Progress.SETTLED, Progress.SKIPPED}
    assert len(year.states) > 2000
