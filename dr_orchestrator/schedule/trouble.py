"""What is wrong with the scheduler itself: caught, logged, told, and never the end of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from structlog.typing import FilteringBoundLogger

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.problem import Problem, site_problem
from dr_orchestrator.errors import DroError


class Troubles:
    """What does not work just now, by what was being done."""

    def __init__(self, clock: Clock, log: FilteringBoundLogger) -> None:
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._now: dict[str, Problem] = {}

    @contextlib.contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """Take note of what goes wrong in a block, and go on after it; a later success ends it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
            self._note(doing, error)
        else:
            self._forget(doing)

    def problems(self) -> tuple[Problem, ...]:
        """Return what does not work now, the longest first."""
        with self._lock:
            return tuple(self._now.values())

    def _note(self, doing: str, error: Exception) -> None:
        # Only our own errors are known to hold no data in their text.
        ours = isinstance(error, DroError)
        what = error.message if isinstance(error, DroError) else type(error).__name__
        hint = error.hint if isinstance(error, DroError) else ""
        with self._lock:
            known = self._now.get(doing)
            self._now[doing] = site_problem(
                doing,
                f"{doing} does not work: {what if ours else f'internal error ({what})'}",
                advice=hint or "journalctl -u dro-scheduler",
                since=known.since if known else self._clock.now(),
            )
        if known is None or known.what != self._now[doing].what:
            self._log.error("trouble", doing=doing, why=what, where=_where(error))

    def _forget(self, doing: str) -> None:
        with self._lock:
            known = self._now.pop(doing, None)
        if known is not None:
            self._log.info("trouble over", doing=doing)


def _where(error: Exception) -> str:
    """Return the line of ours where it happened, without any value."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.startswith("dr_orchestrator"):
            found = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
