from __future__ import annotations

from datetime import timedelta

from dr_orchestrator.store.silence import Silence
from tests.support.clock import START, FakeClock

MINUTE = timedelta(minutes=1)


def _silence() -> tuple[FakeClock, Silence]:
    clock = FakeClock()
    return clock, Silence(clock, 5 * MINUTE)


def test_longer_than_limit_believes_what_is_written_at_the_first_look() -> None:
    _, silence = _silence()
    signs = {"old": START - 6 * MINUTE, "young": START - 4 * MINUTE}

    assert silence.longer_than_limit(signs) == {"old"}


def test_longer_than_limit_counts_from_the_last_sign() -> None:
    clock, silence = _silence()
    silence.longer_than_limit({"a": START})
    clock.advance(4 * MINUTE)
    silence.longer_than_limit({"a": clock.now()})
    clock.advance(4 * MINUTE)

    assert silence.longer_than_limit({"a": START + 4 * MINUTE}) == frozenset()
    clock.advance(2 * MINUTE)
    assert silence.longer_than_limit({"a": START + 4 * MINUTE}) == {"a"}


def test_longer_than_limit_believes_no_age_that_did_not_pass_here() -> None:
    clock, silence = _silence()
    silence.longer_than_limit({})
    clock.advance(MINUTE)
    clock.set(START + timedelta(days=1))

    assert silence.longer_than_limit({"a": START}) == frozenset()
    clock.advance(4 * MINUTE)
    assert silence.longer_than_limit({"a": START}) == {"a"}


def test_longer_than_limit_forgets_who_is_gone() -> None:
    clock, silence = _silence()
    silence.longer_than_limit({"a": START})
    silence.longer_than_limit({})
    clock.advance(6 * MINUTE)

    assert silence.longer_than_limit({"b": clock.now()}) == frozenset()
