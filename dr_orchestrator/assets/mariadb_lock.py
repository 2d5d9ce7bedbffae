"""The global read lock of a MariaDB or MySQL server, held for as short as can be.

While it is held nobody in the practice can save anything. So it is asked for with patience of a few
seconds only, and the server gives it up by itself soon after we are gone.
"""

from __future__ import annotations

import threading

import pymysql

from dr_orchestrator.assets.mariadb_source import Source
from dr_orchestrator.clock import Clock
from dr_orchestrator.servers.mariadb_connection import failure_words, is_locked

_WAIT_SECONDS = 5
_ATTEMPTS = 3
_PAUSE_SECONDS = 5
_SIGN_OF_LIFE_SECONDS = 10
_SILENCE_SECONDS = 60
"""Without a sign of life for so long the server ends the session, and with it the lock."""


class LockRefused(Exception):
    """There is no lock; the text says why, in our words."""


class ReadLock:
    """The lock, held from the moment this is made. Leave it by `release`."""

    def __init__(self, source: Source, clock: Clock) -> None:
        """Take the lock.

        Raises:
            LockRefused: the right is missing, or a long query keeps us waiting.
            CaptureFailed: the server cannot be reached.
        """
        self._clock = clock
        self._connection = source.connect()
        self._using = threading.Lock()
        self._released = threading.Event()
        self._lost = False
        try:
            self._take()
        except BaseException:
            self._connection.close()
            raise
        self._begun = clock.monotonic()
        self.seconds = 0.0
        """How long it was held, once it is released."""
        threading.Thread(target=self._give_signs_of_life, daemon=True).start()

    @property
    def lost(self) -> bool:
        """Whether it was lost before it was released."""
        return self._lost

    def release(self) -> None:
        """Give it up; not an error where that was done already."""
        with self._using:
            if self._released.is_set():
                return
            self._released.set()
            self._say("unlock tables")
            self.seconds = self._clock.monotonic() - self._begun
            self._connection.close()

    def _take(self) -> None:
        connection = self._connection
        try:
            connection.execute(f"set session lock_wait_timeout = {_WAIT_SECONDS}")
            connection.execute(f"set session wait_timeout = {_SILENCE_SECONDS}")
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    connection.execute("flush tables with read lock")
                    return
                except pymysql.MySQLError as error:
                    if not is_locked(error) or attempt == _ATTEMPTS:
                        raise
                # A query that runs long makes us wait for it, and everybody's writing for us.
                self._clock.sleep(_PAUSE_SECONDS)
        except pymysql.MySQLError as error:
            raise LockRefused(failure_words(error)) from None

    def _give_signs_of_life(self) -> None:
        while not self._released.wait(_SIGN_OF_LIFE_SECONDS):
            with self._using:
                if not self._released.is_set():
                    self._say("do 0")

    def _say(self, statement: str) -> None:
        """Say something that only succeeds while the session, and the lock with it, lives."""
        try:
            self._connection.execute(statement)
        except pymysql.MySQLError:
            self._lost = True
