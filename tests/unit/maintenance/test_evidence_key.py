"""Renewing the key: whenever we are killed, the chains and the key on disk go together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.errors import Busy, EvidenceKeyChanged
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.signing import fingerprint
from dr_orchestrator.maintenance.evidence_key import finish_renewal, renew_key, signing
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import START, FakeClock

NOW = timedelta(0)


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.fixture
def store(state: StateFolder) -> Iterator[Store]:
    with open_store(state.path, FakeClock()) as store:
        for practice in ("riverside", "lakeside"):
            something_happens(store, practice)
        yield store


def something_happens(store: Store, practice: str) -> None:
    store.record(
        SystemPaused(practice=practice, system="", at=START, until=START, by="kim", why="move")
    )


def is_sound(store: Store, state: StateFolder, practice: str) -> bool:
    """Sign the chain with the key on disk, and verify it."""
    store.evidence.checkpoint(practice, state.evidence_signer())
    return verify(line.encode() for line in store.evidence.lines(practice)).is_sound


def test_new_key_signs_all_chains_and_the_old_one_vouches_for_it(
    state: StateFolder, store: Store
) -> None:
    before = fingerprint(state.evidence_signer().public)
    renewed = renew_key(state, store, wait=NOW)

    assert (renewed.before, renewed.chains) == (before, 2)
    assert renewed.now == fingerprint(state.evidence_signer().public) != before
    for practice in ("riverside", "lakeside"):
        assert is_sound(store, state, practice)
    something_happens(store, "hillside")  # begins with the new key
    assert is_sound(store, state, "hillside")
    assert renew_key(state, store, wait=NOW).chains == 3


def test_renewal_that_was_killed_before_any_chain_named_the_key_is_finished(
    state: StateFolder, store: Store
) -> None:
    following = state.next_evidence_signer(draw=True)
    assert following is not None
    something_happens(store, "hillside")
    (begun,) = store.evidence.chains("hillside")
    assert begun.key == following.public  # else it might be left with the old one
    finish_renewal(state, store)
    assert state.evidence_signer().public == following.public
    assert state.next_evidence_signer() is None
    assert all(is_sound(store, state, each) for each in ("riverside", "lakeside", "hillside"))


def test_renewal_that_was_killed_before_the_key_took_its_place_is_finished(
    state: StateFolder, store: Store
) -> None:
    following = state.next_evidence_signer(draw=True)
    assert following is not None
    store.evidence.succeed(state.evidence_signer(), following)
    with pytest.raises(EvidenceKeyChanged):
        store.evidence.checkpoint("riverside", state.evidence_signer())

    finish_renewal(state, store)
    finish_renewal(state, store)
    assert all(is_sound(store, state, each) for each in ("riverside", "lakeside"))


def test_key_stays_as_it_is_while_something_is_signed(state: StateFolder, store: Store) -> None:
    before = state.evidence_signer().public
    with signing(store, "riverside", wait=NOW), pytest.raises(Busy):
        renew_key(state, store, wait=NOW)
    assert state.evidence_signer().public == before
    assert state.next_evidence_signer() is None


def test_chain_begun_anew_names_the_end_of_the_one_before_and_is_gone_on_with(
    state: StateFolder, store: Store
) -> None:
    (before,) = store.evidence.chains("riverside")
    (state.path / "keys" / "evidence").unlink()
    with pytest.raises(EvidenceKeyChanged):
        store.evidence.checkpoint("riverside", state.evidence_signer())

    store.evidence.begin_anew("riverside", state.evidence_signer())
    something_happens(store, "riverside")
    now, old = store.evidence.chains("riverside")
    assert (old.chain, old.ours, old.number) == (before.chain, False, before.number)
    assert (now.ours, now.number) == (True, 2)
    first = next(store.evidence.lines("riverside", chain=now.chain))
    assert before.head in first
    assert store.evidence.disagreements("riverside") == ()
    store.evidence.checkpoint("riverside", state.evidence_signer())
    assert store.evidence.begin_anew("nowhere", state.evidence_signer()) is None
