"""The key that signs evidence on this machine, and how another one comes in its place.

The new key lies beside the old one before any chain names it, and takes its place once all do.
Whoever is killed in between leaves it lying there: the next start finishes what was begun, which
is no harm where it was done already.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.errors import Busy
from dr_orchestrator.evidence.signing import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.state_folder import StateFolder
    from dr_orchestrator.store.base import Store

_LOCK, _WHAT = "evidence/key", "the key of the evidence"


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """A key that came in the place of another."""

    before: str
    """Fingerprint of the old one."""
    now: str
    chains: int
    """How many chains name it."""


@contextmanager
def signing(store: Store, practice: str, *, wait: timedelta) -> Iterator[None]:
    """Keep the key as it is for a block, and keep the evidence of a practice to ourselves.

    Raises:
        Busy: the key is being renewed, or another process keeps this evidence just now.
    """
    what = f"the evidence of {practice} is being kept"
    with (
        store.locks.hold([_LOCK], exclusive=False, wait=wait, what=_WHAT),
        store.locks.hold([f"evidence/{practice}"], exclusive=True, wait=wait, what=what),
    ):
        yield


def renew_key(state: StateFolder, store: Store, *, wait: timedelta) -> Renewed:
    """Let a new key sign all chains of this machine from now on; the old one vouches for it.

    Raises:
        Busy: the key is in use, or is being renewed.
        EvidenceKeyChanged: a chain is signed with another key than this machine has.
    """
    with store.locks.hold([_LOCK], exclusive=True, wait=wait, what=_WHAT):
        before, following = state.evidence_signer(), state.next_evidence_signer(draw=True)
        chains = _succeed(state, store, before, following)
        return Renewed(
            before=fingerprint(before.public),
            now=fingerprint(state.evidence_signer().public),
            chains=chains,
        )


def finish_renewal(state: StateFolder, store: Store) -> None:
    """Finish a renewal that a crash cut short.

    Raises:
        EvidenceKeyChanged: a chain is signed with another key than this machine has.
    """
    if state.next_evidence_signer() is None:
        return
    with (
        suppress(Busy),  # it is under way
        store.locks.hold([_LOCK], exclusive=True, wait=timedelta(0), what=_WHAT),
    ):
        _succeed(state, store, state.evidence_signer(), state.next_evidence_signer())


def _succeed(state: StateFolder, store: Store, before: Signer, following: Signer | None) -> int:
    if following is None:  # somebody else finished it
        return 0
    chains = store.evidence.succeed(before, following)
    state.take_next_evidence_signer()
    return chains
