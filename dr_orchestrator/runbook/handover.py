"""The state of a runbook run as one file: what another person needs to go on on another machine.

It holds the runbook and the plan as they were, every move, and the other runs of the same incident,
so that the timeline is whole wherever it ends: no secret and no patient data. What is read from it
is data: its commands run only once a person has confirmed them.

Its SHA-256 tells of a file that was cut off or damaged on its way. It is no signature: whoever
means to can write another one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.runbook import Move, RunbookRun
from dr_orchestrator.errors import SpaceExhausted, UsageMistake
from dr_orchestrator.runbook.progress import TO_RUNBOOK
from dr_orchestrator.store.codec import canonical_json, encode
from dr_orchestrator.whole_file import write_whole

STATE_SCHEMA = 1
_LARGEST = 32 << 20
"""Bytes: a plan, a runbook, and years of moves and points."""
_NAME = re.compile(r"[a-z0-9_-]{0,64}")
"""Of all that is an id, a hash, or none: no sign that a terminal could be moved by."""
_LONGEST = 1e10
"""Seconds: three centuries."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class OtherRun:
    """A run of the same incident, as far as it was known where the state was written."""

    run: RunbookRun
    moves: tuple[Move, ...]


_MOVES, _POINTS = tuple[Move, ...], tuple[RecoveryPoint, ...]
_OTHERS = tuple[OtherRun, ...]


class State(NamedTuple):
    """What is handed over."""

    run: RunbookRun
    moves: tuple[Move, ...]
    points: tuple[RecoveryPoint, ...]
    others: tuple[OtherRun, ...] = ()


def write_state(
    path: Path,
    run: RunbookRun,
    moves: Sequence[Move],
    points: Sequence[RecoveryPoint],
    others: Sequence[OtherRun] = (),
) -> None:
    """Put the state at `path`, whole, and on disk when this returns; readable by us only.

    Raises:
        SpaceExhausted, UsageMistake: it cannot be written.
    """
    parts = {  # in the order of their names, as canonical JSON has them
        "moves": encode(moves, _MOVES),
        "others": encode(others, _OTHERS),
        "points": encode(points, _POINTS),
        "run": encode(run, RunbookRun),
        "schema": str(STATE_SCHEMA),
    }
    content = ",".join(f'"{name}":{part}' for name, part in parts.items())
    digest = hashlib.sha256(f"{{{content}}}".encode()).hexdigest()
    try:
        write_whole(path, f'{{{content},"sha256":"{digest}"}}\n'.encode(), mode=0o600)
    except OSError as error:
        where = f"the state cannot be written to {path}: {os.strerror(error.errno or 0)}"
        if error.errno in _NO_SPACE:
            raise SpaceExhausted(where, hint="name another place with --export") from error
        raise UsageMistake(where, hint="name another place with --export") from error


def read_state(path: Path) -> State:
    """Return what `write_state` wrote.

    Raises:
        UsageMistake: it cannot be read, was cut off or changed, or is of a newer version.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageMistake(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}",
            hint="name the file that `--export` wrote",
        ) from error
    return _state(raw, path)


def _state(raw: bytes, path: Path) -> State:
    content = _content(raw, path)
    try:
        state = _typed(content)
    except ValueError as error:
        _refuse(path, f"is not the state of a runbook run: {_first_line(error)}")
    for each in (OtherRun(state.run, state.moves), *state.others):
        _check(each, state.run, path)
    if any(point.practice != state.run.practice for point in state.points):
        _refuse(path, "is about more than one practice")
    return state


def _check(held: OtherRun, first: RunbookRun, path: Path) -> None:
    run, moves = held.run, held.moves
    if not all(map(_is_plain, _names(held))):
        _refuse(path, "holds a name that nothing has")
    if any(not 0 <= (each.seconds or 0) <= _LONGEST for each in moves):
        _refuse(path, "holds a time that nothing takes")
    if hashlib.sha256(run.runbook_text.encode()).hexdigest() != run.runbook_sha256:
        _refuse(path, "names another runbook than it holds")
    numbers = range(1, len(moves) + 1)
    if [(each.run, each.number) for each in moves] != [(run.id, number) for number in numbers]:
        _refuse(path, "misses a move")
    if {first.practice} != {run.practice, *(each.practice for each in moves)}:
        _refuse(path, "is about more than one practice")
    if (run.incident, run.mode) != (first.incident, first.mode):
        _refuse(path, "is about more than one incident")


def _names(held: OtherRun) -> Iterator[str]:
    """Yield what is shown as it is, and what names other things."""
    run = held.run
    yield from (run.id, run.incident, run.practice, run.runbook, run.system, run.lane)
    yield from (name for each in held.moves for name in (each.step, each.output_sha256))
    yield from (each.goes_to.removeprefix(TO_RUNBOOK) for each in held.moves)


def _is_plain(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _content(raw: bytes, path: Path) -> dict[str, Any]:
    """Return what is in the file, which is every byte as it was written."""
    if len(raw) > _LARGEST:
        _refuse(path, "is larger than the state of any run")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        _refuse(path, "is cut off or damaged, or never was the state of a runbook run")
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        _refuse(path, "is not the state of a runbook run")
    if content["schema"] > STATE_SCHEMA:
        raise UsageMistake(
            f"{path} was written by a newer version of this program",
            hint="install that version here, or go on where it was written",
        )
    try:
        hashed = {key: value for key, value in content.items() if key != "sha256"}
        digest = hashlib.sha256(canonical_json(hashed).encode()).hexdigest()
        whole = raw == f"{canonical_json({**hashed, 'sha256': digest})}\n".encode()
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        _refuse(path, "was changed or damaged on its way")
    return content


def _typed(content: dict[str, Any]) -> State:
    """Return a state with every value of the type it must have.

    Raises:
        ValueError: one is not.
    """
    from pydantic import TypeAdapter

    def read(key: str, declared: Any) -> Any:
        value = TypeAdapter(declared).validate_json(canonical_json(content.get(key)), strict=True)
        encode(value, declared)  # a time without a zone is none
        return value

    return State(
        read("run", RunbookRun),
        read("moves", _MOVES),
        read("points", _POINTS),
        read("others", _OTHERS),
    )


def _first_line(error: ValueError) -> str:
    return str(error).splitlines()[0]


def _refuse(path: Path, why: str) -> NoReturn:
    raise UsageMistake(
        f"{path} {why}", hint="export the state anew, or take the copy of another place"
    )
