"""Two pasts of one run: somebody went on with it on one machine, and somebody else on another.

Neither is thrown away, and they cannot be made one: each says of what must not happen twice what it
knows. One of them becomes a run of its own in the same incident. Pure, and the same state always
becomes the same run, however often and wherever it is taken over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Event, Move
from dr_orchestrator.core.wording import count_words, printable
from dr_orchestrator.runbook.handover import OtherRun
from dr_orchestrator.store.codec import encode

if TYPE_CHECKING:
    from dr_orchestrator.core.runbook import RunbookRun

_SHORT = 6
"""Signs of a hash, as many as new ids end with."""
_SUBJECT = "this run"
"""Of what the move says: it stays on the screen."""


def shared_past(ours: Sequence[Move], theirs: Sequence[Move]) -> int:
    """Return how many moves two pasts begin with that are the same."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))
    return sum(1 for _ in same)


def is_same_past(ours: Sequence[Move], theirs: Sequence[Move]) -> bool:
    """Return whether one of them goes on where the other ends."""
    return shared_past(ours, theirs) == min(len(ours), len(theirs))


def parted(theirs: OtherRun, ours: Sequence[Move]) -> OtherRun:
    """Return their past as a run of its own. A move says where it parted from ours."""
    run, moves = theirs.run, theirs.moves
    shared = shared_past(ours, moves)
    first = moves[shared]
    new = _run_from(run, first)
    said = Move(
        run=new.id,
        practice=run.practice,
        number=shared + 1,
        at=first.at,
        by=first.by,
        host=first.host,
        event=Event.NOTED,
        step=next(each.step for each in reversed(moves[: shared + 1]) if each.step),
        subject=_SUBJECT,
        text=f"parted from run {run.id} after its move {shared}: others went on with that one",
    )
    past = (*moves[:shared], said, *moves[shared:])
    numbered = (replace(each, run=new.id, number=at) for at, each in enumerate(past, 1))
    return OtherRun(new, tuple(numbered))


def _run_from(run: RunbookRun, first: Move) -> RunbookRun:
    digest = hashlib.sha256(encode(first, Move).encode()).hexdigest()[:_SHORT]
    return replace(
        run,
        id=f"{first.at:%Y%m%d-%H%M%S}-{digest}",
        opened_at=first.at,
        opened_by=first.by,
        host=first.host,
    )


def doings(moves: Sequence[Move]) -> str:
    """Return who did how much where, as `Ada on desk-1 (3 moves, the last at step look)`."""
    people = dict.fromkeys((each.by, each.host) for each in moves)
    return " and ".join(_of_one(person, moves) for person in people)


def _of_one(person: tuple[str, str], moves: Sequence[Move]) -> str:
    own = [each for each in moves if (each.by, each.host) == person]
    last = own[-1]
    step = f", the last at step {last.step}" if last.step else ""
    return f"{printable(last.by)} on {printable(last.host)} ({count_words(len(own), 'move')}{step})"
