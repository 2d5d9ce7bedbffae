"""What keeping evidence works with, made by `app.py`; and what is on record of its anchors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import Anchored
from dr_orchestrator.evidence.entries import entries_in
from dr_orchestrator.evidence.facts import KINDS

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.letter import Letter
    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.plan.model import Contact, Plan
    from dr_orchestrator.plan.schedule import Schedule
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.store.base import ChainHead, EvidenceLog, Store


@dataclass(frozen=True, kw_only=True)
class EvidenceTools:
    """What keeping evidence works with."""

    store: Store
    clock: Clock
    signer: Callable[[], Signer]
    """This machine's key, as it is now."""
    open_repository: Callable[[Plan, str], Repository]
    """Opens a repository of the plan that is there, to read from it or to save to it."""
    send: Callable[[Contact, Letter], None]
    """Sends an e-mail; `NotDelivered` where that failed."""
    has_mail: bool
    """Whether this machine can send e-mail at all."""
    last_due: Callable[[Schedule, tzinfo], datetime | None]
    """The newest instant, up to now, that a schedule means."""
    scratch: Path
    """A private folder of ours."""
    lock_wait: timedelta


def anchored_on_record(store: Store, practice: str) -> tuple[Anchored, ...]:
    """Return every attempt to put a head somewhere, oldest first within each chain."""
    lines = store.evidence.lines(practice, kinds={KINDS[Anchored]})
    return tuple(entries_in(lines, Anchored))


def signed_lines(log: EvidenceLog, head: ChainHead) -> Iterator[str]:
    """Yield the lines of a chain up to the last signature that was known when `head` was read: what
    came since is not signed yet, and belongs to the next copy.
    """
    yield from islice(log.lines(head.practice, chain=head.chain), head.number - head.unsigned)
