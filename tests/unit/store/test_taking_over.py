"""What is not as it was written down is not taken in, nor any part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dr_orchestrator.core.record import RunClosed, RunOpened
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import EvidenceConflict
from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import JournalLine, Limits, Store
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, make_run
from tests.support.handed import fill, hand_over, handed
from tests.support.stores import sqlite


@pytest.fixture
def giver(tmp_path: Path) -> Iterator[Store]:
    with sqlite(tmp_path / "giver", FakeClock(), Limits()) as store:
        fill(store)
        yield store


@pytest.fixture
def taker(tmp_path: Path) -> Iterator[Store]:
    with sqlite(tmp_path / "taker", FakeClock(), Limits()) as store:
        yield store


@pytest.fixture
def signer(tmp_path: Path) -> Callable[[str], Signer]:
    return lambda name: StateFolder(tmp_path / name / "state").evidence_signer()


def _nothing_is_there(store: Store) -> bool:
    return not store.journal(PRACTICE) and not store.evidence.chains(PRACTICE)


def _altered(line: JournalLine) -> JournalLine:
    return replace(line, payload=line.payload.replace('"passed"', '"failed"'))


def _cut(lines: list[JournalLine]) -> list[JournalLine]:
    return lines[:-1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: [_altered(each) for each in lines], "altered or removed"),
        (_cut, "altered or removed"),
        (lambda lines: [*lines, lines[0]], "altered or put in"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "order was changed"),
        (lambda lines: [replace(each, kind="unheard_of") for each in lines], "cannot be read"),
        (lambda lines: [lines[4], *lines], "does not fit"),
    ],
)
def test_record_that_its_evidence_does_not_bear_out_is_not_taken_in(
    giver: Store,
    taker: Store,
    signer: Callable[[str], Signer],
    change: Callable[[list[JournalLine]], list[JournalLine]],
    why: str,
) -> None:
    entry = hand_over(giver, signer("giver"))

    with pytest.raises(EvidenceConflict, match=why):
        taker.take_over(handed(giver, change(list(giver.journal(PRACTICE)))), entry)

    assert _nothing_is_there(taker)


def test_entry_of_another_practice_is_not_taken_in(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    taker.record(RunOpened(run=make_run(START, id="theirs", practice="lakeside")))
    giver.record(RunOpened(run=make_run(START, id="theirs")))
    giver.record(RunClosed(run="theirs", finished_at=START, outcome=Outcome.DONE))
    foreign = giver.journal(PRACTICE)[-1]
    entry = hand_over(giver, signer("giver"))

    with pytest.raises(EvidenceConflict, match="of another practice"):
        taker.take_over(handed(giver, [foreign]), entry)

    assert [run.id for run in taker.open_runs()] == ["theirs"]


def test_evidence_that_ends_elsewhere_is_not_taken_in(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    entry = hand_over(giver, signer("giver"))

    with pytest.raises(EvidenceConflict, match="does not end where"):
        taker.take_over(handed(giver), replace(entry, number=entry.number - 1))

    assert _nothing_is_there(taker)


def test_giver_that_wrote_on_does_not_take_back(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    first = hand_over(giver, signer("giver"))
    taker.take_over(handed(giver), first)
    giver.record(RunOpened(run=make_run(START, id="kit", operation=Operation.KIT)))
    before = giver.journal()
    second = hand_over(taker, signer("taker"))

    with pytest.raises(EvidenceConflict, match="all that this machine recorded"):
        giver.take_over(handed(taker), second)

    assert giver.journal() == before
