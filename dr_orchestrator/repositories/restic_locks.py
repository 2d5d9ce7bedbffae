"""Whose lock is it, and is its owner dead? Judged by us, never by `restic unlock` alone.

restic calls a lock stale when it is older than 30 minutes, or when its process is not there, which
it finds out by sending SIGHUP to the number in the lock. So it can kill a program that got the
number later, and it takes a living lock for dead from another PID namespace of the same host name,
and from another user (all reproduced with 0.14). A lock that is taken away from a living backup is
a known cause of damaged repositories (restic #3182, #3126).

Not covered: two containers with PID namespaces of their own and one host name. Name them apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path

from dr_orchestrator.clock import Clock
from dr_orchestrator.errors import RepositoryError
from dr_orchestrator.repositories.restic_output import Lock

_STALE_AFTER = timedelta(minutes=30)
"""restic's own limit; a living lock is refreshed every 5 minutes."""
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
_FIRST_UTS_NAMESPACE = 0xEFFFFFFE
"""Fixed numbers of the Linux kernel (include/linux/proc_ns.h)."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Occupant(Enum):
    """What is at a process number now."""

    NOBODY = auto()
    RESTIC = auto()
    OTHER = auto()
    UNKNOWN = auto()


def is_dead(lock: Lock, occupant: Occupant, *, now: datetime, host: str, sees_all: bool) -> bool:
    """Return whether the owner of `lock` certainly has ended.

    `sees_all`: every process that signs locks with the name `host` is visible to us.
    """
    if lock.hostname != host:
        return False
    if is_old(lock, now):
        return occupant in {Occupant.NOBODY, Occupant.OTHER}
    return occupant is Occupant.NOBODY and sees_all


def restic_would_touch(lock: Lock, *, now: datetime, host: str) -> bool:
    """Return whether `restic unlock` could remove `lock`, or signal the process it names."""
    return lock.hostname == host or is_old(lock, now)


def is_old(lock: Lock, now: datetime) -> bool:
    """Return whether the lock has not been refreshed for so long that restic calls it stale."""
    return now - lock.time > _STALE_AFTER


def sees_all_processes() -> bool:
    """Return whether no process outside our PID namespace can have our host name."""
    first_pid = os.stat("/proc/self/ns/pid").st_ino == _FIRST_PID_NAMESPACE  # noqa: PTH116 - a link
    first_uts = os.stat("/proc/self/ns/uts").st_ino == _FIRST_UTS_NAMESPACE  # noqa: PTH116 - a link
    return first_pid or not first_uts


def occupant_of(pid: int) -> Occupant:
    """Look at what is at `pid` now, here or inside a PID namespace below ours."""
    if _restic_inside_has(pid):
        return Occupant.RESTIC
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Occupant.NOBODY
    except (PermissionError, OverflowError):
        pass  # it exists; whose it is does not matter
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return Occupant.UNKNOWN
    if "\nState:\tZ" in status:
        return Occupant.NOBODY
    return Occupant.RESTIC if status.startswith("Name:\trestic") else Occupant.OTHER


def _restic_inside_has(pid: int) -> bool:
    for process in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            status = process.read_text(errors="replace")
            if status.startswith("Name:\trestic") and "\nState:\tZ" not in status:
                numbers = status.partition("\nNSpid:\t")[2].partition("\n")[0].split()
                if str(pid) in numbers[1:]:
                    return True
    return False


class Patience:
    """Waiting for somebody else's lock to go, no longer than agreed."""

    def __init__(
        self,
        clock: Clock,
        limit: timedelta,
        *,
        remove_dead: Callable[[], int],
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._clock = clock
        self._last = clock.monotonic() + limit.total_seconds()
        self._remove_dead = remove_dead
        self._sleep = sleep or clock.sleep
        self._pause = 0.0

    def outlast(self) -> bool:
        """Let some time pass and return whether to try again.

        The first time it looks whether the lock belongs to somebody who is dead.
        """
        first = self._pause == 0
        self._pause = _FIRST_PAUSE if first else min(2 * self._pause, _LONGEST_PAUSE)
        if first:
            with suppress(RepositoryError):  # what matters to the caller is the lock itself
                if self._remove_dead():
                    return True
        left = self._last - self._clock.monotonic()
        if left <= 0:
            return False
        self._sleep(min(self._pause, left))
        return True
