"""A stream on its way into restic's stdin.

restic takes the end of its stdin for success. So its end comes from the caller alone, who holds the
write end; to give up, restic is ended while that is still open, and so saves nothing (restic 0.14:
SIGINT, exit 130 in 0.1 s, no snapshot). A lock may stay: 0.14 does not know its own lock for 0.2 s
after writing it, and later versions may not notice SIGINT while they wait for data and are killed.
It is then removed as that of a dead process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from dr_orchestrator.errors import (
    CaptureFailed,
    DroError,
    Interrupted,
    RepositoryLocked,
)
from dr_orchestrator.process import Child, Completed
from dr_orchestrator.repositories.base import OnProgress, Saved
from dr_orchestrator.repositories.restic_locks import Patience
from dr_orchestrator.repositories.restic_output import BackupReader

_EMPTY = "snapshot is empty"


class ResticStream:
    """A save that is under way, watched by a thread of its own.

    The thread keeps a copy of the read end until restic has ended for good. restic asks for its
    lock before it reads its stdin, so when the repository is locked nothing of the stream is lost,
    and restic can be started again on the same pipe. After the end the caller's writes get EPIPE.
    """

    def __init__(
        self,
        name: str,
        read_end: int,
        *,
        start: Callable[[int, BackupReader], Child],
        error_of: Callable[[Completed], DroError],
        complete: Callable[[Saved], Saved],
        patience: Callable[[Callable[[float], object]], Patience],
        remove_dead_locks: Callable[[], int],
        on_progress: OnProgress | None,
    ) -> None:
        self._name = name
        self._read_end = os.dup(read_end)
        self._start = start
        self._error_of = error_of
        self._complete = complete
        self._remove_dead_locks = remove_dead_locks
        self._on_progress = on_progress
        self._given_up = threading.Event()
        self._patience = patience(self._given_up.wait)
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._tidying = threading.Lock()
        self._tidied = False
        self._saved: Saved | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name=f"save {name}", daemon=True)
        self._thread.start()

    def finish(self) -> Saved:
        """See `StreamSave.finish`."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._saved is None:
            raise AssertionError("a save ends with what was saved or an error")
        return self._saved

    def abort(self) -> None:
        """See `StreamSave.abort`. May be called from any thread, and more than once."""
        with self._lock:
            self._given_up.set()
            child = self._child
        if child is not None:
            child.end()
        self._thread.join()
        with self._tidying:
            if child is not None and child.returncode and not self._tidied:
                self._tidied = True
                with suppress(DroError, Interrupted):  # the next start looks again
                    self._remove_dead_locks()

    def _watch(self) -> None:
        try:
            self._saved = self._save()
        except BaseException as error:  # noqa: BLE001 - raised by `finish` in the caller's thread
            self._error = error
        finally:
            os.close(self._read_end)

    def _save(self) -> Saved:
        while True:
            reader = BackupReader(self._on_progress)
            with self._lock:
                if self._given_up.is_set():
                    raise CaptureFailed(f"{self._name}: the save was given up")
                self._child = self._start(self._read_end, reader)
            code = self._child.wait()
            if self._child.interrupted:
                raise Interrupted("stopped while restic saved a stream")
            if code == 0 and reader.saved is not None and reader.unread(code) is None:
                return self._complete(reader.saved)
            error = self._error_after(self._child)
            if not (isinstance(error, RepositoryLocked) and self._patience.outlast()):
                raise error

    def _error_after(self, child: Child) -> DroError:
        if self._given_up.is_set():
            return CaptureFailed(f"{self._name}: the save was given up")
        if _EMPTY in child.stderr:
            return CaptureFailed(f"{self._name}: the stream was empty")
        return self._error_of(Completed("restic", child.returncode or 0, b"", child.stderr, 0))
