"""What every store promises of a practice that goes from one memory to another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dr_orchestrator.core.occurrence import Progress, Skipped
from dr_orchestrator.core.record import HandedOver, RunOpened, SystemPaused, TakenOver
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import EvidenceConflict, PracticeHandedOver, UsageMistake
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Limits, Store
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, make_run
from tests.support.handed import HOUR, PROBLEM, UNDER_WAY, due, fill, hand_over, handed
from tests.support.stores import STORES, OpenStore

Opens = Callable[[str], Store]


@pytest.fixture(params=STORES)
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opens]:
    """Return what opens one memory a name."""
    open_it: OpenStore = request.param
    opened: list[Store] = []

    def open_named(name: str) -> Store:
        opened.append(open_it(tmp_path / name, FakeClock(), Limits()))
        return opened[-1]

    yield open_named
    for each in opened:
        each.close()


@pytest.fixture
def giver(opens: Opens) -> Store:
    store = opens("giver")
    fill(store)
    return store


@pytest.fixture
def taker(opens: Opens) -> Store:
    return opens("taker")


@pytest.fixture
def signer(tmp_path: Path) -> Callable[[str], Signer]:
    return lambda name: StateFolder(tmp_path / name / "state").evidence_signer()


def _nothing_is_there(store: Store) -> bool:
    return not store.journal(PRACTICE) and not store.evidence.chains(PRACTICE)


def _chains(store: Store) -> list[str]:
    lines = [text.encode() for text in store.evidence.lines(PRACTICE)]
    verification = verify(lines, must_be_signed=False)
    assert verification.is_sound, verification.faults
    assert store.evidence.disagreements(PRACTICE) == ()
    return [each.chain for each in store.evidence.chains(PRACTICE)]


def test_taker_knows_all_that_the_giver_knew(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    before = giver.practice_record(PRACTICE)
    problems = giver.problems(PRACTICE)
    entry = hand_over(giver, signer("giver"))

    assert taker.take_over(handed(giver), entry)

    after = taker.practice_record(PRACTICE)
    assert after.handed_over is None
    assert replace(after, last_runs=before.last_runs) == before
    assert taker.problems() == taker.problems(PRACTICE) == problems
    assert taker.tellings(PROBLEM) == giver.tellings(PROBLEM)
    assert taker.evidence.verdicts(PRACTICE) == giver.evidence.verdicts(PRACTICE)
    copied = [replace(each, seq=0) for each in taker.journal(PRACTICE)]
    known = [replace(each, seq=0) for each in giver.journal(PRACTICE)]
    assert copied[: len(known)] == known


def test_chain_of_the_taker_follows_that_of_the_giver(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    entry = hand_over(giver, signer("giver"))

    taker.take_over(handed(giver), entry)

    ours, theirs = _chains(taker)
    assert theirs == entry.chain
    began, taken, *_ = (json.loads(each) for each in taker.evidence.lines(PRACTICE, chain=ours))
    after = {"chain": entry.chain, "head": entry.head, "number": entry.number}
    assert (began["kind"], began["about"]["after"]) == ("chain_started", after)
    assert (taken["kind"], taken["about"]["giver"]) == ("taken_over", entry.giver)
    assert list(giver.evidence.lines(PRACTICE)) == list(
        taker.evidence.lines(PRACTICE, chain=theirs)
    )


def test_what_was_begun_or_came_due_there_is_not_waited_for(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    entry = hand_over(giver, signer("giver"))

    taker.take_over(handed(giver), entry)

    assert taker.open_runs() == ()
    (run,) = taker.find_runs(UNDER_WAY, limit=1)
    assert (run.outcome, run.finished_at) == (Outcome.INTERRUPTED, entry.at)
    (state,) = taker.occurrences((PRACTICE,), since=START, limit=9)
    assert state.occurrence.id == due(START).id
    assert (state.progress, state.reason) == (Progress.SKIPPED, Skipped.HANDED_OVER)
    assert taker.ledger.last_due() == {}  # each schedule is seen for the first time


def test_taking_over_once_more_changes_nothing(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    entry = hand_over(giver, signer("giver"))
    taker.take_over(handed(giver), entry)
    before = taker.journal()

    assert not taker.take_over(handed(giver), entry)

    assert taker.journal() == before


def test_practice_that_is_known_already_is_refused(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    entry = hand_over(giver, signer("giver"))
    taker.record(RunOpened(run=make_run(START, id="our own")))

    with pytest.raises(UsageMistake, match="known here already"):
        taker.take_over(handed(giver), entry)
    assert len(taker.journal(PRACTICE)) == 1

    taker.record(HandedOver(practice=PRACTICE, at=START, by="", to="x", why=""))
    with pytest.raises(EvidenceConflict, match="never had our chain"):
        taker.take_over(handed(giver), entry)
    assert len(taker.evidence.chains(PRACTICE)) == 1


def test_nothing_begins_for_a_practice_that_another_machine_has(
    giver: Store, signer: Callable[[str], Signer]
) -> None:
    hand_over(giver, signer("giver"))

    with pytest.raises(
        PracticeHandedOver, match="handed over to Lakeview IT on 2026-11-18"
    ) as said:
        giver.record(RunOpened(run=make_run(START, id="new")))

    assert "dro handover riverside --withdraw" in said.value.hint
    pause = SystemPaused(practice=PRACTICE, system="", at=START, until=START, by="", why="")
    with pytest.raises(PracticeHandedOver):
        giver.record(pause)
    giver.record(RunOpened(run=make_run(START, id="kit", operation=Operation.KIT)))
    giver.record(RunOpened(run=make_run(START, id="other", practice="lakeside")))
    assert giver.problems() == ()
    assert len(giver.problems(PRACTICE)) == 1
    assert giver.handed_over().keys() == {PRACTICE}


def test_giver_takes_back_what_nobody_took(giver: Store, signer: Callable[[str], Signer]) -> None:
    problems = giver.problems()
    entry = hand_over(giver, signer("giver"))

    assert giver.take_over(handed(giver), entry)

    assert giver.handed_over() == {}
    assert giver.problems() == problems
    giver.record(RunOpened(run=make_run(START, id="new")))
    assert len(_chains(giver)) == 1
    assert not giver.take_over(handed(giver), entry)


def test_giver_takes_back_with_what_was_recorded_elsewhere(
    giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    first = hand_over(giver, signer("giver"))
    taker.take_over(handed(giver), first)
    again = SystemPaused(
        practice=PRACTICE, system="emr", at=START, until=START + HOUR, by="Grace", why="moving"
    )
    taker.record(again)
    second = hand_over(taker, signer("taker"), "the first one")

    assert giver.take_over(handed(taker), second)

    assert giver.handed_over() == {}
    assert giver.practice_record(PRACTICE).pauses["emr"] == again
    ours, *others = _chains(giver)
    assert set(others) == {first.chain, second.chain}
    assert ours not in others
    taken = [each for each in giver.journal(PRACTICE) if each.kind == "taken_over"]
    assert len(taken) == 2


def test_taker_hands_on_to_a_third(
    opens: Opens, giver: Store, taker: Store, signer: Callable[[str], Signer]
) -> None:
    first = hand_over(giver, signer("giver"))
    taker.take_over(handed(giver), first)
    second, third = hand_over(taker, signer("taker")), opens("third")

    assert third.take_over(handed(taker), second)

    assert len(_chains(third)) == 3
    assert third.practice_record(PRACTICE).sign_offs == giver.practice_record(PRACTICE).sign_offs
    assert isinstance(hand_over(third, signer("third")), TakenOver)
