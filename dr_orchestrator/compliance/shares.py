"""What restore tests of a share of the files prove together, and which share is next.

A share that came back says nothing of the others. So damage that was found in one stays found until
a test that restores the same files passes: another share next week does not outweigh it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.share import MOST_PARTS, Share
from dr_orchestrator.core.verification import Result


def next_share(tests: Iterable[RestoreTest], parts: int) -> Share:
    """Return the share to restore now: one that damage was found in, then one that was never
    restored, then that with what was not restored for longest.

    `tests` are those of one system from one repository, without follow-ups, in any order.
    """
    restored = last_restored(tests)

    def turn(share: Share) -> tuple[bool, bool, datetime | None, int]:
        found = [restored[byte] for byte in share.first_bytes if byte in restored]
        is_sound = all(test.result is Result.PASSED for test in found)
        is_whole = len(found) == len(share.first_bytes)
        oldest = min(test.started_at for test in found) if is_whole else None
        return is_sound, is_whole, oldest, share.part

    return min((Share(part, parts) for part in range(1, parts + 1)), key=turn)


def last_restored(tests: Iterable[RestoreTest]) -> dict[int, RestoreTest]:
    """Return the last conclusive test of each share, by the bytes of `Share.first_bytes`; those
    that were in none are left out.
    """
    found: dict[int, RestoreTest] = {}
    newest_first = sorted(
        _conclusive(tests), key=lambda test: (test.started_at, test.id), reverse=True
    )
    for test in newest_first:
        found = dict.fromkeys(test.share.first_bytes, test) | found
        if len(found) == MOST_PARTS:
            break  # of thousands of tests, the newest that restored all files ends it
    return found


def last_word(tests: Iterable[RestoreTest]) -> dict[tuple[str, str], RestoreTest]:
    """Return by (point, repository) the test that decides what is known of that copy: the newest of
    those that failed and were not outweighed, else the newest that passed.
    """
    of_copy: dict[tuple[str, str], list[RestoreTest]] = {}
    for test in _conclusive(tests):
        of_copy.setdefault((test.point, test.repository), []).append(test)
    return {copy: _deciding(found) for copy, found in of_copy.items()}


def newest_failure(tests: Iterable[RestoreTest]) -> RestoreTest | None:
    """Return the newest test that failed, and of whose files not all came back since."""
    failed = (each for each in last_restored(tests).values() if each.result is Result.FAILED)
    return max(failed, key=lambda test: (test.started_at, test.id), default=None)


def share_restored(tests: Iterable[RestoreTest]) -> float:
    """Return how much of the files came back in the last test that restored it, 0 to 1."""
    came_back = (each.result is Result.PASSED for each in last_restored(tests).values())
    return sum(came_back) / MOST_PARTS


def _deciding(tests: list[RestoreTest]) -> RestoreTest:
    newest = max(tests, key=lambda test: (test.started_at, test.id))
    if all(test.result is Result.PASSED for test in tests):
        return newest  # the rule, and a verdict need not look at each share of thousands
    return newest_failure(tests) or newest


def _conclusive(tests: Iterable[RestoreTest]) -> Iterable[RestoreTest]:
    return (test for test in tests if test.result is not Result.UNPROVEN)
