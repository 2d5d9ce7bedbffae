"""What every store promises of its locks, whichever database it stands on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.errors import Busy, Interrupted
from dr_orchestrator.store.base import Limits
from dr_orchestrator.store.schema import lock
from dr_orchestrator.store.sql import SqlStore
from tests.support.clock import FakeClock
from tests.support.stores import STORES, OpenStore, sqlite

AT_ONCE, MINUTE = timedelta(), timedelta(minutes=1)
ONSITE, OFFSITE = "repository/onsite", "repository/offsite"
Hold = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[SqlStore]:
    with request.param(tmp_path, clock, Limits()) as opened:
        yield opened


@pytest.fixture
def hold(store: SqlStore) -> Hold:
    def holding(
        *keys: str, exclusive: bool = False, wait: timedelta = AT_ONCE
    ) -> AbstractContextManager[None]:
        return store.locks.hold(keys, exclusive=exclusive, wait=wait, what="repository onsite")

    return holding


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [(False, False, True), (False, True, False), (True, False, False), (True, True, False)],
)
def test_hold_lets_only_shared_ones_in_together(
    hold: Hold, first: bool, second: bool, together: bool
) -> None:
    with hold(ONSITE, exclusive=first):
        if together:
            with hold(ONSITE, exclusive=second):
                pass
        else:
            with pytest.raises(Busy), hold(ONSITE, exclusive=second):
                pass
    with hold(ONSITE, exclusive=second):
        pass


def test_hold_grants_all_of_its_keys_or_none(hold: Hold) -> None:
    with hold(ONSITE, exclusive=True):
        with pytest.raises(Busy), hold(ONSITE, OFFSITE, exclusive=True):
            pass
        with hold(OFFSITE, exclusive=True):
            pass


def test_hold_of_nothing_is_granted(hold: Hold) -> None:
    with hold(exclusive=True), hold(exclusive=True):
        pass


def test_hold_says_what_is_in_use_and_since_when(hold: Hold, clock: FakeClock) -> None:
    with hold(ONSITE):
        clock.advance(MINUTE)
        with pytest.raises(Busy) as busy, hold(ONSITE, exclusive=True):
            pass

    expected = "repository onsite has been in use since 2026-11-18 12:00 UTC"
    assert (busy.value.message, busy.value.exit_code) == (expected, 75)
    assert "try again" in busy.value.hint


def test_hold_waits_as_long_as_it_is_told(hold: Hold, clock: FakeClock) -> None:
    before = clock.monotonic()
    with hold(ONSITE), pytest.raises(Busy), hold(ONSITE, exclusive=True, wait=MINUTE):
        pass

    assert clock.monotonic() - before == pytest.approx(60)
    with hold(ONSITE, exclusive=True):  # whoever gave up waits no longer
        pass


def test_hold_is_let_go_when_the_block_fails(hold: Hold) -> None:
    with pytest.raises(ZeroDivisionError), hold(ONSITE, exclusive=True):
        raise ZeroDivisionError

    with hold(ONSITE, exclusive=True):
        pass


def test_hold_lets_nobody_pass_who_waits_to_be_alone_for_long(
    store: SqlStore, hold: Hold, clock: FakeClock
) -> None:
    def ask_to_share() -> None:
        with hold(ONSITE):
            pass

    with ExitStack() as readers:
        readers.enter_context(hold(ONSITE))
        writer = _Waiting(store, clock, hold(ONSITE, exclusive=True, wait=timedelta(hours=1)))
        writer.start()
        assert writer.waits.wait(10)
        ask_to_share()
        clock.advance(Limits().patience)
        with pytest.raises(Busy):
            ask_to_share()
    writer.go_on.set()
    writer.join(10)
    assert writer.held
    ask_to_share()


class _Waiting(threading.Thread):
    """Waits for a lock, and stays asleep between its first two looks until it may go on."""

    def __init__(
        self, store: SqlStore, clock: FakeClock, holding: AbstractContextManager[None]
    ) -> None:
        super().__init__(daemon=True)
        self.waits, self.go_on, self.held = threading.Event(), threading.Event(), False
        self._holding = holding
        self._sleep, clock.sleep = clock.sleep, self._asleep  # type: ignore[method-assign]

    def _asleep(self, seconds: float) -> None:
        self.waits.set()
        assert self.go_on.wait(10)

    def run(self) -> None:
        with self._holding:
            self.held = True


def test_hold_gives_up_when_waiting_is_stopped(store: SqlStore, hold: Hold) -> None:
    with hold(ONSITE, exclusive=True):
        store.locks.stop_waiting()
        with pytest.raises(Interrupted), hold(ONSITE, wait=MINUTE):
            pass
        with pytest.raises(Busy), hold(ONSITE):  # that is no waiting
            pass
    with hold(ONSITE):
        pass


def _seem_of_another_host(store: SqlStore) -> None:
    with store._memory.writing() as connection:
        connection.execute(update(lock).values(host="elsewhere"))


def test_lock_of_another_host_is_taken_only_after_a_long_silence(
    store: SqlStore, hold: Hold, clock: FakeClock
) -> None:
    left = hold(ONSITE, exclusive=True)
    left.__enter__()
    _seem_of_another_host(store)
    for _ in range(2):
        with pytest.raises(Busy), hold(ONSITE):
            pass
        clock.advance(timedelta(minutes=15))
    clock.advance(timedelta(seconds=1))

    with hold(ONSITE, exclusive=True):
        pass
    left.__exit__(None, None, None)


def test_lock_of_another_host_is_kept_when_our_clock_is_set_forward(
    store: SqlStore, hold: Hold, clock: FakeClock
) -> None:
    with hold(ONSITE, exclusive=True):
        _seem_of_another_host(store)
        with pytest.raises(Busy), hold(ONSITE):
            pass
        clock.set(clock.now() + timedelta(days=1))

        with pytest.raises(Busy), hold(ONSITE):
            pass


def test_lock_is_renewed_while_it_is_held(tmp_path: Path) -> None:
    limits = Limits(renew=timedelta(seconds=0.05))
    with (
        sqlite(tmp_path, SystemClock(), limits) as store,
        store.locks.hold([ONSITE], exclusive=True, wait=AT_ONCE, what="it"),
    ):
        (first,) = _signs(store)
        pause = threading.Event()
        for _ in range(100):
            if _signs(store) != [first]:
                break
            pause.wait(0.05)
        assert _signs(store) > [first]


def _signs(store: SqlStore) -> list[object]:
    with store._memory.reading() as connection:
        return list(connection.execute(lock.select()).scalars("heartbeat_at"))


# --- any order of asking and letting go -------------------------------------------------------

_STEPS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sets(st.sampled_from("abc"), min_size=1),
        st.booleans(),
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    with sqlite(tmp_path_factory.mktemp("locks"), FakeClock(), Limits()) as opened:
        yield opened


@settings(max_examples=50)
@given(steps=_STEPS)
def test_nobody_is_ever_beside_one_who_is_alone(
    one_store: SqlStore, steps: list[tuple[int, set[str], bool]]
) -> None:
    """Five who hold and let go in turn: who is let in is what the definition says, no less."""
    held: dict[int, tuple[set[str], bool, ExitStack]] = {}
    with ExitStack() as leaving:
        for who, keys, exclusive in steps:
            if who in held:
                held.pop(who)[2].close()
                continue
            free = not any(
                keys & others and (exclusive or alone) for others, alone, _ in held.values()
            )
            mine = leaving.enter_context(ExitStack())
            try:
                mine.enter_context(
                    one_store.locks.hold(keys, exclusive=exclusive, wait=AT_ONCE, what="it")
                )
            except Busy:
                assert not free
            else:
                assert free
                held[who] = (keys, exclusive, mine)


@pytest.mark.parametrize("open_store", STORES)
def test_threads_never_overlap_with_one_that_is_alone(
    tmp_path: Path, open_store: OpenStore
) -> None:
    """Six threads in two stores on the same memory, each as fast as it can."""
    seen = _Seen()
    with (
        open_store(tmp_path, SystemClock(), Limits()) as one,
        open_store(tmp_path, SystemClock(), Limits()) as other,
    ):
        threads = [
            threading.Thread(target=seen.work, args=(store, number))
            for number, store in enumerate((one, other) * 3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert (seen.overlaps, seen.turns) == ([], 6 * seen.TURNS)
        with one._memory.reading() as connection:
            assert connection.execute(lock.select()).all() == []


class _Seen:
    TURNS = 5

    def __init__(self) -> None:
        self.overlaps: list[tuple[int, int]] = []
        self.turns = 0
        self._sharing = self._alone = 0
        self._lock = threading.Lock()

    def work(self, store: SqlStore, number: int) -> None:
        exclusive = number < 2
        for _ in range(self.TURNS):
            with store.locks.hold(
                [ONSITE, OFFSITE], exclusive=exclusive, wait=timedelta(seconds=50), what="it"
            ):
                self._count(exclusive, 1)
                threading.Event().wait(0.002)
                self._count(exclusive, -1)

    def _count(self, exclusive: bool, by: int) -> None:
        with self._lock:
            if exclusive:
                self._alone += by
            else:
                self._sharing += by
            if self._alone and self._alone + self._sharing > 1:
                self.overlaps.append((self._alone, self._sharing))
            self.turns += by > 0
