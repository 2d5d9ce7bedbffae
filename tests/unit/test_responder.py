"""The responder's wiring: who may open what, and what a state may make another machine believe."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import PointRecorded
from dr_orchestrator.core.runbook import Event, Mode, RunbookRun, StepResult
from dr_orchestrator.errors import Interrupted, SecretUnavailable, UsageMistake
from dr_orchestrator.plan.load import effective_yaml, load_plan
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.responder import Responder
from dr_orchestrator.runbook.handover import read_state, write_state
from dr_orchestrator.runbook.load import load_runbook
from dr_orchestrator.settings import load_settings
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import START, FakeClock
from tests.support.evidence import make_point
from tests.support.responder import Answers

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories: {onsite: {location: /srv/restic, password: {env: KEY}}}
systems:
  emr: {rto: 4h, rpo: 1h, assets: {files: {kind: files, path: /srv/emr}}}
  fax: {title: Fax, protected_by: whoever sold it}
"""
_LOST = """\
version: 1
title: Lost
when: it is gone
lanes: {it: {title: Responder}}
steps:
  - {id: look, lane: it, kind: manual, do: Look at it.}
  - {id: back, lane: it, kind: restore, do: Restore it., restore: {systems: [this]}}
"""
_PAPER = """\
version: 1
title: On paper
when: nothing works
about: practice
side_by_side: true
lanes: {desk: {title: Front desk}, doctor: {title: Clinician}}
steps:
  - {id: forms, lane: desk, kind: manual, do: Hand out the forms.}
  - {id: notes, lane: doctor, kind: manual, do: Write by hand.}
"""


class Machine:
    """One machine with its settings, plan and runbooks."""

    def __init__(self, folder: Path, empty: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for each in ("plans", "runbooks", "restored"):
            (folder / each).mkdir(parents=True)
        self.write("plans/riverside.yaml", _PLAN)
        self.write("runbooks/lost.yaml", _LOST)
        self.write("runbooks/paper.yaml", _PAPER)
        self.write("dro.yaml", f"plans: {folder}/plans\nstate: {folder}/state\n")
        shutil.copytree(empty, folder / "state")
        patch.setenv("DRO_SETTINGS", str(folder / "dro.yaml"))
        self.app = App(load_settings(), FakeClock())
        self.responder = Responder(self.app)

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content)

    def open(self, runbook: str = "lost", mode: Mode = Mode.REHEARSAL, **more: Any) -> RunbookRun:
        return self.responder.open(
            load_plan(self.folder / "plans/riverside.yaml"),
            load_runbook(self.folder / "runbooks" / f"{runbook}.yaml"),
            mode=mode,
            by="Ada",
            outage_at=START,
            **{"system": "emr"} | more,
        )

    def follow(self, run: RunbookRun, *answers: str, export: Path | None = None) -> Answers:
        """Answer like this, then leave."""
        desk = Answers(*answers)
        with contextlib.suppress(Interrupted):
            self.responder.follow(run, desk, by="Ada", export=export)
        return desk


MakeMachine = Callable[[str], Machine]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a memory of nothing, once: to migrate to it takes longer than a test."""
    folder = tmp_path_factory.mktemp("empty") / "state"
    open_store(folder, FakeClock()).close()
    return folder


@pytest.fixture
def make_machine(
    tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeMachine]:
    with contextlib.ExitStack() as made:

        def make(name: str) -> Machine:
            machine = Machine(tmp_path / name, empty, monkeypatch)
            made.callback(machine.app.close)
            return machine

        yield make


@pytest.fixture
def here(make_machine: MakeMachine) -> Machine:
    return make_machine("here")


def test_open_records_a_run_with_all_that_it_takes_to_go_on(here: Machine) -> None:
    run = here.open(mode=Mode.INCIDENT, folder=here.folder / "restored")

    assert here.app.store.followed.runs() == (run,)
    assert run.incident == run.id
    assert run.runbook_text == _LOST
    assert run.plan_text == effective_yaml(load_plan(here.folder / "plans/riverside.yaml"))
    assert (run.system, run.trusted) == ("emr", True)
    assert run.folder == str(here.folder / "restored")


def test_nothing_is_trusted_where_the_machine_refuses_commands(here: Machine) -> None:
    here.write("dro.yaml", f"{(here.folder / 'dro.yaml').read_text()}commands: refused\n")
    with contextlib.closing(App(load_settings(), FakeClock())) as app:
        here.responder = Responder(app)
        run = here.open()
        write_state(here.folder / "state.json", run, (), (), ())
        taken = here.responder.take_over(here.folder / "state.json")

        assert not run.trusted
        assert not taken.trusted
        with pytest.raises(SecretUnavailable, match="commands of a plan"):
            app.secrets.read(SecretReference(command=("echo", "secret")))


def test_open_of_a_runbook_about_the_practice_is_about_no_system(here: Machine) -> None:
    run = here.open("paper", lane="desk", incident="the-first")

    assert (run.system, run.lane, run.incident, run.folder) == ("", "desk", "the-first", "")


@pytest.mark.parametrize(
    ("runbook", "more", "said"),
    [
        ("lost", {"system": ""}, "about one system: which one"),
        ("lost", {"system": "fax"}, "no system fax that is protected"),
        ("lost", {"lane": "it"}, "followed as a whole"),
        ("paper", {"lane": "it"}, "has no lane it"),
        ("lost", {"mode": Mode.INCIDENT}, "where to"),
        ("lost", {"mode": Mode.INCIDENT, "folder": Path("/nowhere")}, "no folder /nowhere"),
    ],
)
def test_open_refuses_what_cannot_be_followed(
    here: Machine, runbook: str, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageMistake, match=said):
        here.open(runbook, **more)

    assert here.app.store.followed.runs() == ()


def test_follow_keeps_the_exported_state_up_to_date(here: Machine, tmp_path: Path) -> None:
    run, state = here.open(), tmp_path / "state.json"

    here.follow(run, "d", export=state)

    written, moves, *_ = read_state(state)
    assert written == run
    assert moves == here.app.store.followed.moves(run.id)
    assert [each.event for each in moves][:2] == [Event.BEGUN, Event.ENDED]


def test_follow_writes_over_no_state_that_knows_more(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, export=state)
    there.follow(there.responder.take_over(state), "d", export=state)
    written = state.read_bytes()
    with pytest.raises(UsageMistake, match="knows of more than this machine"):
        here.follow(run, "d", export=state)
    with pytest.raises(UsageMistake, match="state of another incident"):
        here.follow(here.open(), "d", export=state)
    assert state.read_bytes() == written
    letter = tmp_path / "letter"
    letter.write_text("to the insurer")
    with pytest.raises(UsageMistake):
        here.follow(run, "d", export=letter)
    assert letter.read_text() == "to the insurer"


def test_take_over_goes_on_where_the_state_stands(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, "d")
    here.responder.hand_over(run, state)

    taken = there.responder.take_over(state)
    lines = len(there.app.store.journal())
    assert there.responder.take_over(state) == taken

    assert len(there.app.store.journal()) == lines
    assert there.app.store.followed.moves(run.id) == here.app.store.followed.moves(run.id)
    desk = there.follow(taken)
    assert [view.step for view, _ in desk.asked] == ["back"]


def test_take_over_brings_the_other_runs_of_the_incident(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    first = here.open("paper", lane="desk")
    here.follow(first, "d")
    here.open("paper", lane="doctor")
    run = here.open(incident=first.id)
    here.responder.hand_over(run, state)

    there.responder.take_over(state)

    assert set(there.app.store.followed.runs()) == {first, run}
    assert there.app.store.followed.moves(first.id) == here.app.store.followed.moves(first.id)


def test_take_over_brings_a_run_back_to_where_it_came_from(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, export=state)
    (there.folder / "runbooks/lost.yaml").unlink()
    taken = there.responder.take_over(state)
    assert not taken.trusted
    there.follow(taken, "d", export=state)

    back = here.responder.take_over(state)

    assert back == run
    assert here.app.store.followed.moves(run.id) == there.app.store.followed.moves(run.id)


def test_take_over_refuses_where_somebody_went_on_here(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, state = make_machine("here"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, export=state)
    here.follow(run, "d")

    with pytest.raises(
        UsageMistake, match=r"went on .* here, beyond .*: Ada on .* \(3 moves"
    ) as no:
        here.responder.take_over(state)
    assert no.value.hint == f"go on from there: dro runbook resume {run.id}"


def test_take_over_is_not_hindered_by_who_only_looked(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, export=state)
    there.follow(there.responder.take_over(state))  # looks, and leaves
    here.follow(run, "d", export=state)

    desk = there.follow(there.responder.take_over(state))

    assert desk.asked[0][0].step == "back"
    assert there.app.store.followed.moves(run.id) == here.app.store.followed.moves(run.id)


def test_take_over_keeps_both_pasts_where_two_machines_went_on(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, export=state)
    there.follow(there.responder.take_over(state), "w", "the line is dead")
    ours = there.app.store.followed.moves(run.id)
    here.follow(run, "d", export=state)

    with pytest.raises(UsageMistake, match=r"Here: Ada on .* \(1 move.*There: ") as refused:
        there.responder.take_over(state)
    assert f"resume {run.id}" in refused.value.hint
    assert f"resume {state} --as-new" in refused.value.hint
    assert there.app.store.followed.runs() == (run,)

    new = there.responder.take_over(state, as_new=True)

    assert (new.incident, new.runbook) == (run.incident, run.runbook)
    assert there.app.store.followed.moves(run.id) == ours
    desk = there.follow(new)
    assert desk.asked[0][0].step == "back"
    assert any(f"parted from run {run.id} after its move 2" in each for each in notes_of(desk))
    assert there.responder.take_over(state, as_new=True) == new
    here.follow(run, "w", "still here", export=state)
    assert there.responder.take_over(state, as_new=True) == new
    assert there.app.store.followed.moves(new.id)[-1].text == "still here"


def test_run_that_parted_can_be_taken_back(make_machine: MakeMachine, tmp_path: Path) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, export=state)
    there.follow(there.responder.take_over(state), "w", "the line is dead")
    here.follow(run, "d", export=state)
    new = there.responder.take_over(state, as_new=True)
    there.follow(new, "w", "on from there", export=state)

    assert here.responder.take_over(state) == new

    texts = {
        move.text
        for each in here.app.store.followed.of_incident(run.incident)
        for move in here.app.store.followed.moves(each.id)
    }
    assert {"the line is dead", "on from there"} <= texts


def notes_of(desk: Answers) -> tuple[str, ...]:
    return desk.asked[-1][0].notes


def test_people_who_work_again_are_told_of_in_the_other_runs(here: Machine) -> None:
    confirmed = _PAPER.replace("do: Write by hand.", "do: Write., people_confirm: true")
    here.write("runbooks/paper.yaml", confirmed)
    first = here.open("paper", lane="doctor")
    beside = here.open("paper", lane="desk", incident=first.id)
    assert not any("work again" in each for each in notes_of(here.follow(beside)))

    here.follow(first, "d")

    again = f"people work again since {START:%-d %B, %H:%M} (On paper)"
    assert notes_of(here.follow(beside))[1] == again


def test_take_over_refuses_another_past_of_the_same_length(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, state = make_machine("here"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, export=state)
    _, moves, points, _ = read_state(state)
    write_state(state, run, [replace(each, by="Eve") for each in moves], points)

    with pytest.raises(UsageMistake, match="went on with this runbook here"):
        here.responder.take_over(state)
    write_state(state, replace(run, opened_by="Eve"), moves, points)
    with pytest.raises(UsageMistake, match="another runbook run"):
        here.responder.take_over(state)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"lane": "nowhere"}, "no lane nowhere"),
        ({"system": "fax"}, "does not protect the system"),
        ({"plan_text": _PLAN.replace("id: riverside", "id: lakeside")}, "that of lakeside"),
        ({"mode": Mode.DRILL}, "a drill"),
        ({}, "does not follow"),
    ],
    ids=["lane", "system", "plan", "drill", "moves"],
)
def test_take_over_records_nothing_that_could_not_be_gone_on_with(
    make_machine: MakeMachine, tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run = here.open()
    here.follow(run, "d", export=state)
    moves = [*read_state(state).moves]
    if not changed:
        moves[1] = replace(moves[1], visit=2)
    write_state(state, replace(run, **changed), moves, ())

    with pytest.raises(UsageMistake, match=f"cannot be gone on with: .*{why}"):
        there.responder.take_over(state)
    assert there.app.store.followed.runs() == ()


def test_take_over_trusts_what_is_a_file_here_and_nothing_that_a_state_says(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    files = {"runbooks/lost.yaml": _LOST, "plans/riverside.yaml": _PLAN}
    for changed, trusted in (
        ({}, True),
        ({"runbooks/lost.yaml": _LOST.replace("Look at", "Look for")}, False),
        ({"plans/riverside.yaml": _PLAN.replace("/srv/emr", "/srv/other")}, False),
        ({"plans/riverside.yaml": "not a plan"}, False),
    ):
        run = here.open()
        here.responder.hand_over(run, state)
        for name, content in (files | changed).items():
            there.write(name, content)

        assert run.trusted
        assert there.responder.take_over(state).trusted is trusted, changed


@pytest.mark.parametrize(
    ("plan", "refused"),
    [(_PLAN, False), (_PLAN.replace("/srv/emr", "/srv/other"), True)],
    ids=["the same plan", "another plan"],
)
def test_follow_runs_no_command_of_a_plan_that_is_no_file_here(
    make_machine: MakeMachine, tmp_path: Path, plan: str, *, refused: bool
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    here.responder.hand_over(here.open(), state)
    there.write("plans/riverside.yaml", plan)
    there.follow(there.responder.take_over(state))

    reference = SecretReference(command=("true",))
    said = "do not run" if refused else "it is empty"
    with pytest.raises(SecretUnavailable, match=said):
        there.app.secrets.read(reference)


def test_take_over_tells_of_points_and_relies_on_none_of_them(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    point = make_point(START)
    here.app.store.record(PointRecorded(point=point))
    here.responder.hand_over(here.open(), state)

    there.responder.take_over(state)

    (told,) = there.app.store.points("riverside")
    assert told == replace(point, copies=(replace(point.copies[0], read_back=True),))
    record = there.app.store.practice_record("riverside")
    assert not record.vouches_for(told.copies[0])
    assert "onsite" in record.frozen


def test_take_over_leaves_points_alone_that_are_known(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, state = make_machine("here"), tmp_path / "state.json"
    here.app.store.record(PointRecorded(point=make_point(START)))
    here.follow(here.open(), export=state)

    here.responder.take_over(state)

    record = here.app.store.practice_record("riverside")
    assert record.frozen == {}
    assert record.vouches_for(record.points[0].copies[0])


def test_follow_shows_the_point_and_when_it_was_proven(here: Machine) -> None:
    here.app.store.record(PointRecorded(point=make_point(START)))

    desk = here.follow(here.open(), "d")

    (line,) = desk.asked[-1][0].points
    assert (line.system, line.point, line.repository) == ("emr", make_point(START).id, "onsite")
    assert (line.proven, line.estimate) == (None, None)


# --- which point comes back ----------------------------------------------------------------------


def asking(here: Machine) -> tuple[RunbookRun, tuple[RecoveryPoint, ...]]:
    """Return a run that asks which point comes back, of three points a day apart."""
    points = tuple(make_point(START - timedelta(days=days)) for days in (3, 2, 1))
    for each in points:
        here.app.store.record(PointRecorded(point=each))
    here.write("runbooks/lost.yaml", _LOST.replace("[this]", "[this], point: ask"))
    return here.open(mode=Mode.INCIDENT, folder=here.folder / "restored"), points


def test_follow_restores_the_point_that_was_chosen_and_shows_it(here: Machine) -> None:
    run, (_, older, _) = asking(here)

    desk = here.follow(run, "d", "t", f"{older.finished:%Y-%m-%d} 23:59", "g")

    shown = [[each.point for each in view.points] for view, _ in desk.asked]
    assert shown[-2:] == [[older.id], [older.id]]
    (ended,) = (
        each for each in here.app.store.followed.moves(run.id) if each.event is Event.FINISHED
    )
    assert ended.point == older.id


def test_follow_restores_nothing_newer_where_there_is_no_point_from_before(here: Machine) -> None:
    run, _ = asking(here)

    here.follow(run, "d", "t", "2026-01-01 02:14", "g")

    (ended,) = (
        each for each in here.app.store.followed.moves(run.id) if each.event is Event.FINISHED
    )
    assert (ended.result, ended.point) == (StepResult.FAILED, "")
    assert "no recovery point is known from before 2026-01-01 02:14 UTC" in ended.text


def test_hand_over_brings_the_point_that_was_chosen(
    make_machine: MakeMachine, tmp_path: Path
) -> None:
    here, there, state = make_machine("here"), make_machine("there"), tmp_path / "state.json"
    run, (_, older, newest) = asking(here)
    here.follow(run, "d", "t", f"{older.finished:%Y-%m-%d} 23:59")
    here.responder.hand_over(run, state)

    desk = there.follow(there.responder.take_over(state))

    assert {each.id for each in there.app.store.points("riverside")} == {older.id, newest.id}
    assert [each.point for each in desk.asked[0][0].points] == [older.id]
