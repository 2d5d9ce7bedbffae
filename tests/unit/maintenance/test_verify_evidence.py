"""What heads that are kept elsewhere say of our own chain."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.errors import RepositoryDamaged
from dr_orchestrator.evidence.line import hash_of, read_line, signed_part, text_of
from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.maintenance.verify_evidence import (
    EvidenceVerified,
    KeptHead,
    verify_evidence,
)
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, full_id


class Desk:
    """A memory of one practice, and somewhere else that keeps its heads."""

    def __init__(self, store: Store, state: StateFolder) -> None:
        self.store = store
        self.state = state

    def happens(self) -> None:
        pause = SystemPaused(
            practice=PRACTICE, system="", at=START, until=START, by="kim", why="server move"
        )
        self.store.record(pause)

    def keeps(self, line: Callable[[], str] | None = None, *, head: str = "") -> KeptHead:
        """Sign what there is; return the head as another place keeps it."""
        signed = self.store.evidence.checkpoint(PRACTICE, self.state.evidence_signer())
        assert signed is not None
        *_, last = self.store.evidence.lines(PRACTICE)
        return KeptHead(
            place="the repository onsite",
            chain=signed.chain,
            number=signed.number,
            head=head or signed.head,
            line=line or (lambda: last),
        )

    def cut_after(self, number: int) -> None:
        """Remove the end, as somebody who owns the file can."""
        self.edit(f"delete from evidence where number > {number}")

    def edit(self, *statements: str) -> None:
        with sqlite3.connect(self.state.path / FILE_NAME) as file:
            for table in ("journal", "evidence"):
                for deed in ("update", "delete"):
                    file.execute(f"drop trigger {table}_no_{deed}")
            for statement in statements:
                file.execute(statement)

    def verified(self, *kept: KeptHead, expect: tuple[str, ...] = ()) -> EvidenceVerified:
        signer = self.state.evidence_signer()
        found = verify_evidence(self.store.evidence, PRACTICE, signer, kept=kept, expect=expect)
        assert found is not None
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_store(tmp_path / "state", FakeClock()) as store:
        desk = Desk(store, StateFolder(tmp_path / "state"))
        desk.happens()
        yield desk


def test_there_is_nothing_to_verify_where_nothing_happened(desk: Desk) -> None:
    signer = desk.state.evidence_signer()
    assert verify_evidence(desk.store.evidence, "elsewhere", signer) is None


def test_heads_that_the_chain_has_are_found_however_old(desk: Desk) -> None:
    first = desk.keeps()
    desk.happens()
    second = desk.keeps()
    desk.happens()
    found = desk.verified(first, second, expect=(first.head[:12],))
    assert (found.is_sound, found.matched, found.notes) == (True, 2, ())


def test_cut_tail_is_found_by_a_head_that_is_kept_elsewhere(desk: Desk) -> None:
    first = desk.keeps()
    desk.happens()
    second = desk.keeps()
    desk.cut_after(first.number)

    assert desk.verified(first).faults == desk.store.evidence.disagreements(PRACTICE)
    found = desk.verified(first, second)
    assert f"keeps entry {second.number} with the hash {second.head[:12]}" in found.faults[0]
    assert "the end was cut off, or replaced" in found.faults[0]


def test_head_that_a_person_noted_and_nobody_has_is_a_fault(desk: Desk) -> None:
    assert desk.verified(expect=("0" * 12,)).faults == ("no entry has the hash 000000000000",)


def test_head_that_nobody_signed_is_no_fault_of_ours(desk: Desk) -> None:
    chain_started = next(desk.store.evidence.lines(PRACTICE)).replace("host", "ghost")
    fraction = chain_started.replace('"key":', '"a":1.5,"signature":"","key":')
    no_facts = '{"about":[],"schema":1' + chain_started[chain_started.index(',"at"') : -12] + "}"
    chain = chain_started.replace(desk.keeps().chain, "x").replace('"x"', "[]")
    signer = Signer(b"x" * 32)
    line = replace(read_line(chain), about={"key": signer.public})
    elsewhere = replace(line, about={**line.about, "signature": signer.sign(signed_part(line))})
    lies = ("no line", chain_started, "", fraction, no_facts, 10000 * "[", text_of(elsewhere))
    for lie in lies:
        forged = desk.keeps(lambda lie=lie: lie, head=hash_of(lie))  # type: ignore[misc]
        found = desk.verified(forged)
        assert (found.faults, len(found.notes)) == ((), 1)
        assert "somebody else put it there" in found.notes[0]


def test_head_that_is_not_here_and_cannot_be_read_is_a_fault(desk: Desk) -> None:
    def unreadable() -> str:
        raise RepositoryDamaged("a pack is gone")

    found = desk.verified(desk.keeps(unreadable, head=full_id("gone")))
    assert "cannot be read: a pack is gone" in found.faults[0]


def test_end_of_a_chain_that_was_given_up_is_missed_when_its_entries_go_too(desk: Desk) -> None:
    first = desk.keeps()
    desk.happens()
    desk.store.evidence.begin_anew(PRACTICE, desk.state.evidence_signer())
    desk.happens()
    assert desk.verified(first).is_sound

    desk.edit(
        f"delete from evidence where chain = '{first.chain}' and number > {first.number}",
        "delete from journal where seq = 2",
    )

    (fault,) = desk.verified(first).faults
    assert f"the end of chain {first.chain}" in fault


def test_chain_of_ours_that_was_passed_off_as_taken_in_is_found(desk: Desk) -> None:
    """Another one begins then, and nothing would hold what was recorded before against this one."""
    first = desk.keeps()
    desk.edit(
        "update evidence_chain set ours = 0",
        "update journal set payload = replace(payload, 'kim', 'ann')",
    )
    desk.happens()
    desk.keeps()

    (fault,) = desk.verified(first).faults
    assert f"chain {first.chain} was written here" in fault
    desk.store.evidence.begin_anew(PRACTICE, desk.state.evidence_signer())
    assert desk.verified(first).faults == (fault,)


def test_chain_of_ours_that_is_gone_is_missed_and_is_not_when_it_is_taken_in(desk: Desk) -> None:
    first = desk.keeps()
    lines = list(desk.store.evidence.lines(PRACTICE))
    desk.edit("delete from evidence", "delete from evidence_chain", "delete from journal")
    desk.happens()

    (fault,) = desk.verified(first).faults
    assert f"a chain that was written here and is gone: {first.chain}" in fault

    desk.store.evidence.take_in(PRACTICE, lines)
    assert (desk.verified(first).faults, desk.verified(first).notes) == ((), ())


def test_chain_of_another_machine_is_said_and_is_no_fault(desk: Desk, tmp_path: Path) -> None:
    with open_store(tmp_path / "other", FakeClock()) as store:
        other = Desk(store, StateFolder(tmp_path / "other"))
        other.happens()
        theirs = other.keeps()
        found = desk.verified(theirs)
        assert (found.faults, len(found.notes)) == ((), 1)
        assert f"a chain that is not known here: {theirs.chain}" in found.notes[0]

        desk.store.evidence.take_in(PRACTICE, store.evidence.lines(PRACTICE))
        assert desk.verified(theirs).notes == ()
        other.happens()
        newer = desk.verified(other.keeps())
        assert (newer.faults, "knows more of the chain" in newer.notes[0]) == ((), True)


def test_other_key_than_the_one_that_signs_is_a_fault(desk: Desk) -> None:
    desk.keeps()
    (desk.state.path / "keys" / "evidence").unlink()
    (fault,) = desk.verified().faults
    assert "it is signed with the key" in fault
