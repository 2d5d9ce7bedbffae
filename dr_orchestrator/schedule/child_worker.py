"""Attempts that are each a process of their own: `dro schedule work OCCURRENCE`.

What one of them leaks, or crashes on, ends with it; a signal ends it in order, and its memory is
given back. It gets nothing but the occurrence's id and the claim's token, and records itself how it
ended; a worker on another machine would need no more.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Mapping
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from dr_orchestrator.clock import Clock, Stopwatch
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import DroError, ExitCode
from dr_orchestrator.process import Child, Command, SystemLauncher, exit_words
from dr_orchestrator.schedule.retry import Again, Ended
from dr_orchestrator.schedule.worker import STOPPED, settle_or_requeue
from dr_orchestrator.store.base import Claim, Ledger

_LONGEST = timedelta(days=7)
"""A first backup over a slow line takes days; each program in it has a limit of its own."""
_CLEAN_UP_SECONDS = 60.0
_LONGEST_LINE = 500


class ChildWorker:
    """Has each attempt made by a process of its own, and waits for that."""

    def __init__(
        self,
        launcher: SystemLauncher,
        ledger: Ledger,
        *,
        program: tuple[str, ...],
        env: Mapping[str, str],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        """`program` is how `dro` is started, `env` all of the environment that it gets."""
        self._launcher = launcher
        self._ledger = ledger
        self._program = program
        self._env = env
        self._clock = clock
        self._log = log
        self._children: dict[str, Child] = {}
        self._stopped = False
        self._lock = threading.Lock()

    def work_on(self, claim: Claim) -> None:
        """See `Worker.work_on`."""
        occurrence = claim.occurrence
        log = self._log.bind(occurrence=occurrence.id, attempt=claim.attempt)
        took = Stopwatch(self._clock)
        log.info("started", operation=occurrence.operation.value, late=self._late(claim))
        said: list[bytes] = []
        try:
            child = self._start(claim, log, said)
            end: Ended | int = STOPPED if child is None else child.wait()
        except DroError as error:
            end = Ended(outcome=Outcome.FAILED, reason=error.message, again=Again.SOME)
        finally:
            with self._lock:
                self._children.pop(occurrence.id, None)
        if isinstance(end, Ended):
            settle_or_requeue(self._ledger, claim, end, self._clock)
            log.warning("ended", outcome=end.outcome, reason=end.reason)
        else:
            self._take_note(claim, end, said, log.bind(seconds=round(took.elapsed(), 1)))

    def stop(self, occurrence: str | None = None) -> None:
        """See `Worker.stop`."""
        with self._lock:
            self._stopped = self._stopped or occurrence is None
            ending = [child for each, child in self._children.items() if occurrence in {None, each}]
        for child in ending:
            threading.Thread(target=child.end, args=(_CLEAN_UP_SECONDS,), daemon=True).start()

    def _start(self, claim: Claim, log: FilteringBoundLogger, said: list[bytes]) -> Child | None:
        """Start the process, unless nothing is to be started any more."""
        name = ("schedule", "work", claim.occurrence.id, "--token", claim.token, "--json")
        command = Command(
            argv=(*self._program, *name),
            timeout=_LONGEST,
            env=self._env,
            stop_signal=signal.SIGTERM,
            label="dro schedule work",
        )
        with self._lock:
            if self._stopped:
                return None
            child = self._launcher.start(
                command,
                on_line=said.append,
                on_error_line=lambda line: _pass_on(line, log),
            )
            self._children[claim.occurrence.id] = child
            return child

    def _take_note(
        self, claim: Claim, code: int, said: list[bytes], log: FilteringBoundLogger
    ) -> None:
        """Say in the log how it ended; where the process could not record that itself, do so.

        A claim that it gave back, or that is lost, is not touched by this.
        """
        told = _told(said)
        if code == 0 and "outcome" in told:
            log.info("ended", outcome=told["outcome"], reason=told.get("reason", ""))
            return
        stopped = code == ExitCode.INTERRUPTED
        reason = "stopped" if stopped else f"its process ended early ({exit_words(code)})"
        early = Ended(outcome=Outcome.INTERRUPTED, reason=reason, again=Again.SOME)
        settle_or_requeue(self._ledger, claim, early, self._clock)
        log.warning("ended", outcome=Outcome.INTERRUPTED, reason=reason)

    def _late(self, claim: Claim) -> float:
        return round((self._clock.now() - claim.occurrence.due_at).total_seconds())


def _pass_on(line: bytes, log: FilteringBoundLogger) -> None:
    """Put into the log what `dro` says on stderr: our own words, as everywhere."""
    text = printable(line[:_LONGEST_LINE].decode(errors="replace").rstrip())
    if text:
        log.warning("said", text=text)


def _told(said: list[bytes]) -> Mapping[str, object]:
    """Return the one object that the process prints; it is for the log only."""
    try:
        told = json.loads(b"".join(said))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
