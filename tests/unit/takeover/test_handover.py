"""Handing over is done once, leaves a whole folder or none, and nothing begins afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.occurrence import Progress
from dr_orchestrator.core.record import RunClosed, RunOpened
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import Busy, EvidenceConflict, UsageMistake
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.takeover.folder import read_handed
from dr_orchestrator.takeover.handover import went_on, withdraw
from tests.support.clock import START
from tests.support.evidence import PRACTICE, full_id, make_run
from tests.support.handed import Machine, giving


@pytest.fixture
def giver(tmp_path: Path) -> Iterator[Machine]:
    with giving(tmp_path) as machine:
        yield machine


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "handed"


def test_folder_is_of_the_very_last_line(giver: Machine, out: Path) -> None:
    done = giver.hand_over(out)

    (head,) = giver.store.evidence.chains(PRACTICE)
    assert (done.giver.number, done.giver.head) == (head.number, head.head)
    assert (head.unsigned, done.again) == (0, False)
    assert read_handed(out).giver == done.giver
    assert giver.store.handed_over()[PRACTICE].to == "Lakeview IT"


def test_what_waits_is_called_off(giver: Machine, out: Path) -> None:
    giver.hand_over(out)

    (state,) = giver.store.occurrences((PRACTICE,), since=START, limit=9)
    assert state.progress is Progress.SKIPPED
    assert giver.store.ledger.stats().waiting == 0


def test_again_makes_the_folder_and_hands_over_no_second_time(giver: Machine, out: Path) -> None:
    giver.hand_over(out)

    done = giver.hand_over(out.with_name("again"), to="")

    assert (done.again, done.giver.to) == (True, "Lakeview IT")
    kinds = [each.kind for each in giver.store.journal(PRACTICE)]
    assert kinds.count("handed_over") == 1
    with pytest.raises(UsageMistake, match="handed over to Lakeview IT already"):
        giver.hand_over(out.with_name("third"), to="Somebody else")


def test_folder_that_is_there_is_left_alone(giver: Machine, out: Path) -> None:
    out.mkdir()

    with pytest.raises(UsageMistake, match="there is something"):
        giver.hand_over(out)

    assert giver.store.handed_over() == {}


def test_nobody_to_hand_over_to_is_a_mistake(giver: Machine, out: Path) -> None:
    with pytest.raises(UsageMistake, match="nobody is named"):
        giver.hand_over(out, to="")


def test_nothing_is_handed_over_while_something_runs(giver: Machine, out: Path) -> None:
    giver.store.record(RunOpened(run=make_run(START, id="now")))

    with pytest.raises(Busy, match="backup of riverside is under way"):
        giver.hand_over(out)

    assert (giver.store.handed_over(), out.exists()) == ({}, False)
    giver.store.record(RunClosed(run="now", finished_at=START, outcome=Outcome.DONE))
    giver.hand_over(out)


def test_record_that_was_altered_is_not_handed_over(giver: Machine, out: Path) -> None:
    def altered(_plan: Plan) -> None:
        raise EvidenceConflict("it is not as it was written")

    with pytest.raises(EvidenceConflict):
        giver.hand_over(out, require_sound=altered)

    assert giver.store.handed_over() == {}


def test_failure_leaves_no_folder_and_the_same_command_makes_it(giver: Machine, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        giver.hand_over(out, pages=_stopped)
    assert list(out.parent.glob("*handed*")) == []
    assert giver.store.handed_over().keys() == {PRACTICE}

    assert giver.hand_over(out).again
    read_handed(out)


def test_what_a_killed_one_left_beside_the_folder_is_taken_away(giver: Machine, out: Path) -> None:
    half = out.with_name(f".{out.name}.{PRACTICE}-handover")
    half.mkdir()
    (half / "files.key").write_bytes(b"half")

    giver.hand_over(out)

    assert list(out.parent.glob(".*handed*")) == []
    read_handed(out)


def _stopped(*_: object) -> dict[str, bytes]:
    raise KeyboardInterrupt


def test_what_is_recorded_meanwhile_is_not_left_out(giver: Machine, out: Path) -> None:
    def export(plan: Plan, file: Path) -> None:
        giver.tools().export_evidence(plan, file)
        giver.store.record(RunOpened(run=make_run(START, id="late", operation=Operation.KIT)))

    with pytest.raises(Busy, match="something was recorded"):
        giver.hand_over(out, export_evidence=export)
    assert not out.exists()


def test_withdrawn_is_as_it_was(giver: Machine, out: Path) -> None:
    giver.hand_over(out)

    assert withdraw(PRACTICE, giver.store, by="Ada", at=START)

    assert giver.store.handed_over() == {}
    giver.store.record(RunOpened(run=make_run(START, id="again")))
    assert giver.store.evidence.disagreements(PRACTICE) == ()
    assert not withdraw(PRACTICE, giver.store, by="Ada", at=START)


def test_taken_back_is_said_to_be_so_once(giver: Machine, out: Path) -> None:
    giver.hand_over(out)

    back, again = giver.take_over(out), giver.take_over(out)

    assert (back.is_back, back.again) == (True, False)
    assert (again.is_back, again.again) == (False, True)


@pytest.mark.parametrize(
    ("tags", "hours", "gone_on"),
    [
        ({"dro": "manifest", "point": "theirs"}, 1, True),
        ({"dro": "manifest", "point": "ours"}, 1, False),
        ({"dro": "manifest", "point": "theirs"}, -1, False),
        ({"dro": "evidence", "chain": "theirs"}, 1, True),
        ({"dro": "evidence", "chain": "ours"}, 1, False),
        ({"dro": "asset", "point": "theirs"}, 1, False),
    ],
)
def test_another_machine_went_on_where_it_saved_since(
    tags: dict[str, str], hours: int, gone_on: bool
) -> None:
    snapshot = Snapshot(
        id=full_id(tags),
        time=START + timedelta(hours=hours),
        hostname="lakeview",
        tags=frozenset(f"{key}={value}" for key, value in tags.items()),
        paths=("/",),
        original=None,
    )

    assert went_on([snapshot], since=START, points={"ours"}, chains={"ours"}) is gone_on
