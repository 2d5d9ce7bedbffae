"""A takeover that is killed at a step: `STATE-AND-PLANS HANDED STEP`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dr_orchestrator.store.base import HandedRecord, JournalLine
from dr_orchestrator.takeover.folder import Handed, read_handed
from dr_orchestrator.takeover.take_over import take_over
from tests.support.clock import START
from tests.support.handed import HOUR, Machine, machine


class _Killed(Handed):
    """What was handed over, and kills whoever has read half of its record."""

    def record(self) -> HandedRecord:
        whole = super().record()
        return replace(whole, journal=_half(list(whole.journal)))


def _half(lines: list[JournalLine]) -> Iterator[JournalLine]:
    yield from lines[: len(lines) // 2]
    _kill()


def _kill(*_: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, handed: Path, step: str) -> None:
    """Take over until `step`."""
    with machine(folder) as taker:
        read = read_handed(handed)
        given = _Killed(**vars(read)) if step == "record" else read
        take_over(given, _tools(taker, step), plans=taker.plans, by="Grace", at=START + HOUR)


def _tools(taker: Machine, step: str) -> Any:
    if step == "files_key":
        return taker.taking(adopt_files_key=_kill)
    if step == "retention":
        return taker.taking(take_retention=_kill)
    return taker.taking()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
