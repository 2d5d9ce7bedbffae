"""A SQLite database that came back: opened in the sandbox only, and compared with what it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta, tzinfo
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.assets import sqlite_inside
from dr_orchestrator.assets.base import RestoreRequest
from dr_orchestrator.assets.sqlite_capture import ALREADY_DAMAGED
from dr_orchestrator.assets.sqlite_comparison import (
    Answer,
    Comparison,
    code_words,
    levels_to_measure,
)
from dr_orchestrator.assets.sqlite_value import as_value
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Value
from dr_orchestrator.core.verification import Depth, Verification
from dr_orchestrator.errors import CouldNotVerify, LoadFailed
from dr_orchestrator.process import Child, Command

_QUERY_TIMEOUT = timedelta(minutes=10)
_COMPARE_TIMEOUT = timedelta(hours=6)
_LONGEST_REQUEST = 60_000
"""Bytes; it goes into a pipe, which takes 64 KiB before anybody reads it."""
_LONGEST_LINE = 4 * 1024 * 1024
_BLOCK = 65_536


class _Refused(Exception):
    """The program inside answered with an error; its code is the message."""


class SqliteRestoration:
    """A database that is coming back. Keeps the promises of `Restoration`."""

    def __init__(self, clock: Clock, request: RestoreRequest) -> None:
        self._clock = clock
        self._request = request
        self._script: Path | None = None
        self._database: Path | None = None

    def prepare(self) -> None:
        """Put the program that asks into the sandbox."""
        folder = self._request.place.folder(f"sqlite-{self._request.asset_id}")
        script = folder / "sqlite_inside.py"
        # The folder is new, so that no program inside knows it yet (see sandbox/bubblewrap.py).
        descriptor = os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(Path(sqlite_inside.__file__).read_bytes())
        self._script = script

    def load(self, restored: Path) -> None:
        status = restored.lstat() if os.path.lexists(restored) else None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise LoadFailed("what came back from the repository is not a database file")
        if not status.st_size:
            raise LoadFailed("what came back from the repository is an empty file")
        self._database = restored
        try:
            self._all({"do": "open"}, _QUERY_TIMEOUT)
        except _Refused as refusal:
            raise LoadFailed(
                f"what came back from the repository does not open as a database: {refusal}"
            ) from None

    @property
    def loading_proof_seconds(self) -> float:
        return 0.0

    @property
    def depth(self) -> Depth:
        return Depth.L3

    @property
    def root(self) -> Path:
        raise CouldNotVerify(f"{self._request.asset_id} is a database, not a folder")

    @property
    def conditions(self) -> tuple[str, ...]:
        return ()

    def value(self, sql: str, *, zone: tzinfo) -> Value:
        try:
            answers = self._all({"do": "value", "sql": sql}, _QUERY_TIMEOUT)
        except _Refused as refusal:
            raise CouldNotVerify(f"the query failed: {refusal}") from None
        if len(answers) != 1:
            raise CouldNotVerify("the query was not answered")
        return as_value(answers[0].get("kind"), answers[0].get("value"), zone)

    def rows(self, sql: str) -> Iterator[tuple[object, ...]]:
        try:
            for answer in self._ask({"do": "rows", "sql": sql}, _QUERY_TIMEOUT):
                row = answer.get("row")
                if not isinstance(row, list):
                    raise CouldNotVerify("the query was not answered with rows")
                yield tuple(map(_cell, row))
        except _Refused as refusal:
            raise CouldNotVerify(f"the query failed: {refusal}") from None

    def compare(self) -> tuple[Verification, ...]:
        baseline = self._request.state.baseline
        known = baseline if isinstance(baseline, DatabaseBaseline) else None
        try:
            request = {"do": "compare", "tables": levels_to_measure(known)}
            answers = self._all(request, _COMPARE_TIMEOUT)
        except _Refused as refusal:
            raise CouldNotVerify(f"the database could not be compared: {refusal}") from None
        comparison = Comparison(
            asset=self._request.asset_id,
            baseline=known,
            damaged_at_capture=ALREADY_DAMAGED in self._request.state.conditions,
            equal_bytes=self._is_equal(known) if known is not None else None,
            tables={str(each["table"]): each for each in answers if "table" in each},
            others=_merged(each for each in answers if "table" not in each),
        )
        return tuple(comparison.verifications())

    def _is_equal(self, baseline: DatabaseBaseline) -> bool | None:
        if baseline.sha256 is None:
            return None
        database = self._opened()
        try:
            above = beneath.open_root(database.parent)
            try:
                descriptor = beneath.open_in(above, os.fsencode(database.name))
            finally:
                os.close(above)
            with os.fdopen(descriptor, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == baseline.sha256
        except OSError as error:
            cause = (error.strerror or "").lower()
            raise CouldNotVerify(f"the restored database cannot be read: {cause}") from None

    # --- asking ---

    def _opened(self) -> Path:
        if self._database is None:
            raise RuntimeError("not loaded yet")
        return self._database

    def _all(self, request: Mapping[str, object], timeout: timedelta) -> list[Answer]:
        return list(self._ask(request, timeout))

    def _ask(self, request: Mapping[str, object], timeout: timedelta) -> Iterator[Answer]:
        """Yield the answers of the program inside as they come.

        Raises:
            _Refused: SQLite refused.
            CouldNotVerify: it did not answer to the end, or not in time.
        """
        deadline = self._clock.monotonic() + timeout.total_seconds()
        content = json.dumps({"path": str(self._opened()), **request}).encode()
        with contextlib.closing(_Answers(self._start(content, timeout))) as answers:
            for line in answers.lines(lambda: deadline - self._clock.monotonic()):
                answer = _parse(line)
                if answer.get("done") is True:
                    return
                if "error" in answer:
                    raise _Refused(code_words(answer["error"]))
                yield answer
        raise CouldNotVerify("the program that reads the restored database ended early")

    def _start(self, content: bytes, timeout: timedelta) -> tuple[Child, int]:
        if self._script is None:
            raise RuntimeError("not prepared yet")
        if len(content) > _LONGEST_REQUEST:
            raise CouldNotVerify("a query is longer than 60 KB")
        with contextlib.ExitStack() as ours:
            request_read, request_write = os.pipe()
            ours.callback(os.close, request_read)
            with os.fdopen(request_write, "wb") as file:
                file.write(content)
            answer_read, answer_write = os.pipe()
            ours.callback(os.close, answer_write)
            try:
                child = self._request.place.inside.start(
                    Command(
                        argv=(_interpreter(), "-I", "-S", "-B", str(self._script)),
                        timeout=timeout,
                        cwd=self._script.parent,
                    ),
                    stdin=request_read,
                    stdout=answer_write,
                )
            except BaseException:
                os.close(answer_read)
                raise
        return child, answer_read


class _Answers:
    """The output of a program that may be hostile: read in time, in lines of limited length."""

    def __init__(self, started: tuple[Child, int]) -> None:
        self._child, self._descriptor = started

    def lines(self, seconds_left: Callable[[], float]) -> Iterator[bytes]:
        rest = b""
        while True:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, seconds_left()))
            if not ready:
                raise CouldNotVerify("the restored database did not answer in time")
            block = os.read(self._descriptor, _BLOCK)
            if not block:
                return
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST_LINE:
                raise CouldNotVerify("the restored database answered with more than can be read")

    def close(self) -> None:
        os.close(self._descriptor)
        self._child.end(0)


def _interpreter() -> str:
    """Return a Python that can be run in the sandbox: this one where it is under /usr."""
    ours = Path(os.path.realpath(sys.executable))
    return str(ours) if ours.is_relative_to("/usr") else "python3"


def _parse(line: bytes) -> Answer:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CouldNotVerify("the program that reads the restored database answered nonsense")
    return answer


def _cell(value: object) -> object:
    """Return a cell of a row as SQLite has it: bytes travel in hex."""
    if isinstance(value, dict):
        try:
            return bytes.fromhex(value["b"])
        except (KeyError, TypeError, ValueError):
            raise CouldNotVerify("the query was not answered with rows") from None
    return value


def _merged(answers: Iterable[Answer]) -> Answer:
    return {name: value for answer in answers for name, value in answer.items()}
