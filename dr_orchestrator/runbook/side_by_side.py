"""Restoring several systems side by side, each as soon as what it waits for has come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Ended = TypeVar("Ended")

_THREADS = "restore"
"""How they are named: whoever closes the program waits for threads of this name."""


def side_by_side(
    waits: Mapping[str, tuple[str, ...]],
    work: Callable[[str], Ended],
    *,
    at_once: int,
    on_end: Callable[[str, Ended], None] = lambda _system, _ended: None,
) -> dict[str, Ended]:
    """Do `work` for each system, at most `at_once` at a time, in the order of `waits` where several
    could begin; return what came of each. What a system waits for has ended when it begins, however
    it ended.

    `on_end` is called from the calling thread, one system after another, as each ends.

    Raises:
        Whatever `work` raises: nothing more is begun then, and what runs is waited for.
        ValueError: they wait for each other, or for what is not among them.
    """
    ended: dict[str, Ended] = {}
    left = list(waits)
    running: dict[Future[Ended], str] = {}
    # its end waits for what runs; nothing is ever queued, so an exception begins nothing more
    with ThreadPoolExecutor(at_once, _THREADS) as pool:
        while left or running:
            ready = [system for system in left if ended.keys() >= set(waits[system])]
            for system in ready[: at_once - len(running)]:
                left.remove(system)
                running[pool.submit(work, system)] = system
            if not running:
                raise ValueError(f"what these wait for never ends: {', '.join(left)}")
            over, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in [each for each in running if each in over]:
                system = running.pop(future)
                ended[system] = future.result()
                on_end(system, ended[system])
    return {system: ended[system] for system in waits}
