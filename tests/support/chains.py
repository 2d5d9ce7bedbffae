"""Chains of evidence as tests need them: written line by line, sound, or forged on purpose."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from types import ModuleType

from dr_orchestrator.evidence.canonical import Facts
from dr_orchestrator.evidence.line import (
    CHAIN_STARTED,
    CHECKPOINT,
    KEY_SUCCEEDED,
    NOTHING_BEFORE,
    EvidenceLine,
    hash_of,
    text_of,
)
from dr_orchestrator.evidence.signing import Signer, checkpoint, fingerprint, succession
from tests.support.site import ROOT

STAND_ALONE = ROOT / "dr_orchestrator/evidence/stand_alone/verify_evidence.py"


class WrittenChain:
    """A chain, begun and written as a store does it."""

    def __init__(
        self, name: str, *, practice: str = "riverside", seed: bytes | None = None
    ) -> None:
        self.signer = Signer(seed or name.encode().ljust(32, b"-"))
        self.practice = practice
        self.id = name.encode().hex().ljust(32, "0")
        self.lines: list[EvidenceLine] = []
        self.say(CHAIN_STARTED, {"key": self.signer.public, "host": "site"}, record="")

    @property
    def texts(self) -> list[str]:
        """The lines as they are written."""
        return [text_of(each) for each in self.lines]

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return hash_of(text_of(self.lines[-1])) if self.lines else NOTHING_BEFORE

    @property
    def fingerprint(self) -> str:
        """Of the key in force."""
        return fingerprint(self.signer.public)

    @property
    def _next(self) -> dict[str, str | int]:
        number = len(self.lines) + 1
        return {
            "practice": self.practice,
            "chain": self.id,
            "number": number,
            "at": f"2026-11-22T10:00:{number % 60:02}.000000Z",
            "previous": self.head,
        }

    def say(self, kind: str, about: Facts, *, record: str = "ab" * 32) -> WrittenChain:
        """Write a line of any kind."""
        line = EvidenceLine(kind=kind, about=about, record=record, **self._next)  # type: ignore[arg-type]
        self.lines.append(line)
        return self

    def closed_runs(self, count: int) -> WrittenChain:
        """Write so many lines, as of runs that were closed."""
        for _ in range(count):
            said = {
                "run": f"20261122-{len(self.lines):06}-4k7q2z",
                "outcome": "done",
                "reason": "–",
            }
            self.say("run_closed", said)
        return self

    def checkpoint(self) -> WrittenChain:
        """Sign what was written."""
        return self.say(CHECKPOINT, checkpoint(self.signer, **self._next), record="")  # type: ignore[arg-type]

    def succeed(self, following: Signer) -> WrittenChain:
        """Let another key sign from here on."""
        about = succession(self.signer, following.public, **self._next)  # type: ignore[arg-type]
        self.signer = following
        return self.say(KEY_SUCCEEDED, about, record="")


def chained(
    lines: Iterable[EvidenceLine], *, after: int = 0, signer: Signer | None = None
) -> list[EvidenceLine]:
    """Return lines so that each carries the hash of the one before, as somebody would do who
    altered one; those up to `after` stay as they are. With `signer` all is signed anew with it.
    """
    done: list[EvidenceLine] = []
    for place, line in enumerate(lines):
        is_new = place >= max(after, 1)
        moved = replace(line, previous=hash_of(text_of(done[-1]))) if is_new else line
        if signer is not None and place >= after:
            moved = replace(moved, about=_signed_by(signer, moved))
        done.append(moved)
    return done


def _signed_by(signer: Signer, line: EvidenceLine) -> Facts:
    here = {name: getattr(line, name) for name in ("practice", "chain", "number", "at", "previous")}
    if line.kind == CHAIN_STARTED:
        return {**line.about, "key": signer.public}
    if line.kind == CHECKPOINT:
        return checkpoint(signer, **here)
    if line.kind == KEY_SUCCEEDED:
        return succession(signer, signer.public, **here)
    return line.about


def written(*chains: Sequence[EvidenceLine] | WrittenChain) -> list[bytes]:
    """Return the lines of an export of these chains."""
    lines = (each.lines if isinstance(each, WrittenChain) else each for each in chains)
    return [text_of(line).encode() for line in chain.from_iterable(lines)]


@cache
def stand_alone() -> ModuleType:
    """Return the stand-alone verifier as a module."""
    spec = importlib.util.spec_from_file_location("verify_evidence", STAND_ALONE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
