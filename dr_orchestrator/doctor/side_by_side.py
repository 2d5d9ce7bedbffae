"""Looking at many things at once, so that one dead host holds up nobody."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.doctor.complaint import Complaint, Kind
from dr_orchestrator.errors import DroError, Interrupted

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock

LIMIT_SECONDS = 20.0
_AT_ONCE = 8
"""Most of them wait for somebody else; restic and a sandbox take a processor for half a second."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One thing to look at."""

    at: str
    """What it is, for whoever is told that it could not be looked at."""
    practice: str = ""
    complain: Callable[[], Iterable[Complaint]]
    """Changes nothing; called in a thread of its own."""


def look_at_all(
    looks: Iterable[Look], clock: Clock, *, limit_seconds: float = LIMIT_SECONDS
) -> list[Complaint]:
    """Return what all the looks complain of, and which of them came to no end.

    One that takes longer than the limit is left to itself: its thread ends with the program it
    waits for, or with us.
    """
    waiting = deque(enumerate(looks))
    ended: queue.SimpleQueue[tuple[int, list[Complaint]]] = queue.SimpleQueue()
    running: dict[int, tuple[Look, float]] = {}
    found: list[Complaint] = []
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            number, look = waiting.popleft()
            running[number] = look, clock.monotonic() + limit_seconds
            arguments = (number, look, ended)
            threading.Thread(target=_look, args=arguments, name="doctor", daemon=True).start()
        patience = min(until for _, until in running.values()) - clock.monotonic()
        try:
            number, complaints = ended.get(timeout=max(0.0, patience))
            if running.pop(number, None):
                found += complaints
        except queue.Empty:
            found += _give_up(running, clock.monotonic(), limit_seconds)
    return found


def _look(number: int, look: Look, ended: queue.SimpleQueue[tuple[int, list[Complaint]]]) -> None:
    complaints: list[Complaint] = []
    try:
        complaints.extend(look.complain())
    except Interrupted:
        return
    except DroError as error:
        complaints.append(_unknown(look, error.message, error.hint))
    except Exception as error:  # noqa: BLE001 - its text may hold patient data: never shown
        complaints.append(_unknown(look, f"internal error ({type(error).__name__})", ""))
    ended.put((number, complaints))


def _give_up(
    running: dict[int, tuple[Look, float]], now: float, limit_seconds: float
) -> Iterator[Complaint]:
    late = [number for number, (_, until) in running.items() if until <= now]
    for number in late:
        look, _ = running.pop(number)
        yield _unknown(look, f"no answer within {count_words(round(limit_seconds), 'second')}", "")


def _unknown(look: Look, why: str, hint: str) -> Complaint:
    return Complaint(
        kind=Kind.COULD_NOT_LOOK,
        what=f"{look.at} could not be looked at: {why}",
        do=hint or "is it running, and does a firewall let this machine in? then ask again",
        practice=look.practice,
    )
