"""Where a run stands, worked out from its moves alone: for any runbook, cut off anywhere."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.runbook import Ending, Event, Mode, Move, StepResult
from dr_orchestrator.runbook.model import Runbook
from dr_orchestrator.runbook.progress import BREAK_GLASS, State, progress_of, step_after
from tests.support.clock import START
from tests.support.responder import Killed, Scene, Whoever, run_of, runbook_of

MANUAL = {"kind": "manual"}
LIKE = (
    MANUAL,
    MANUAL | {"destructive": True, "two_persons": True, "undo": "nothing can"},
    {"kind": "check"},
    {"kind": "check", "command": ["look"], "expect": "it is there"},
    {"kind": "command", "command": ["change"], "expect": "it changed", "retries": 1},
    {"kind": "command", "command": ["ask"], "repeatable": True},
    {"kind": "command", "command": ["wipe"], "destructive": True, "undo": "nothing can"},
    {"kind": "approval"},
    {"kind": "notify", "notify": {"to": ["office", "insurer"], "subject": "s", "text": "t"}},
    {"kind": "timer", "timer": {"wait": "10m"}},
    {"kind": "timer", "timer": {"limit": "24h", "of": "tell the insurer"}},
    {"kind": "restore", "restore": {"systems": ["all"]}},
    {"kind": "restore", "restore": {"systems": ["all"], "point": "ask"}},
    {"kind": "decide"},
)
BOOK = runbook_of({"id": "one"} | MANUAL, {"id": "two", "people_confirm": True} | MANUAL)
RUN = run_of()


def move(number: int, event: Event, step: str = "one", **said: Any) -> Move:
    return Move(
        run=RUN.id,
        practice="riverside",
        number=number,
        at=START + timedelta(minutes=number),
        by="Ada",
        host="desk-1",
        event=event,
        step=step,
        visit=said.pop("visit", 1),
        **said,
    )


DONE = {"result": StepResult.DONE}
WHOLE = (
    move(1, Event.BEGUN),
    move(2, Event.ENDED, **DONE, goes_to="two", seconds=60.0),
    move(3, Event.BEGUN, "two"),
    move(4, Event.ENDED, "two", **DONE, seconds=60.0),
    move(5, Event.CLOSED, "", visit=0, ending=Ending.COMPLETED),
)


def test_run_stands_at_its_first_step_when_nothing_has_happened() -> None:
    progress = progress_of(RUN, BOOK, ())

    assert (progress.state, progress.step, progress.visit) == (State.TO_BEGIN, "one", 1)


def test_run_stands_at_the_first_step_of_its_lane() -> None:
    lanes = {"it": {"title": "Responder"}, "desk": {"title": "Front desk"}}
    book = runbook_of({"id": "a"} | MANUAL, {"id": "b", "lane": "desk"} | MANUAL, lanes=lanes)
    run = run_of(lane="desk")

    assert progress_of(run, book, ()).step == "b"
    assert step_after(run, book, "b") == ""


@pytest.mark.parametrize(
    ("moves", "state", "step"),
    [
        (1, State.SHOWN, "one"),
        (2, State.TO_BEGIN, "two"),
        (3, State.SHOWN, "two"),
        (4, State.OVER, ""),
        (5, State.OVER, ""),
    ],
)
def test_progress_follows_each_move(moves: int, state: State, step: str) -> None:
    progress = progress_of(RUN, BOOK, WHOLE[:moves])

    assert (progress.state, progress.step) == (state, step)


def test_outage_lasts_until_people_confirm() -> None:
    assert progress_of(RUN, BOOK, WHOLE[:3]).rta_drill(RUN.outage_at) is None
    assert progress_of(RUN, BOOK, WHOLE).rta_drill(RUN.outage_at) == timedelta(minutes=34)


@pytest.mark.parametrize(
    ("mode", "answers", "lasted"),
    [
        (Mode.REHEARSAL, ("g", "d"), True),
        (Mode.REHEARSAL, ("s", "no disk", "d"), False),
        (Mode.INCIDENT, ("s", "a vendor brought it back", "d"), True),
    ],
)
def test_rehearsal_that_restored_nothing_tells_no_rta(
    mode: Mode, answers: tuple[str, ...], *, lasted: bool
) -> None:
    restore = {"id": "back", "kind": "restore", "restore": {"systems": ["this"]}}
    people = {"id": "people", "people_confirm": True} | MANUAL
    scene = Scene(runbook_of(restore, people), run_of(mode))

    scene.answer(*answers)

    assert (scene.progress.rta_drill(scene.run.outage_at) is not None) is lasted


def test_clock_that_was_set_back_before_the_outage_tells_no_rta() -> None:
    assert progress_of(RUN, BOOK, WHOLE).rta_drill(START + timedelta(days=1)) is None


def test_people_work_again_only_when_they_said_so() -> None:
    only_said = replace(WHOLE[3], result=StepResult.SIMULATED)

    assert progress_of(RUN, BOOK, (*WHOLE[:3], only_said)).people_at is None


def test_progress_is_unsure_of_what_was_started_and_has_no_end() -> None:
    started = move(2, Event.STARTED)
    finished = move(3, Event.FINISHED, **DONE)

    assert progress_of(RUN, BOOK, (WHOLE[0], started)).state is State.RUNNING
    assert progress_of(RUN, BOOK, (WHOLE[0], started)).unsure == ("",)
    assert progress_of(RUN, BOOK, (WHOLE[0], started, finished)).state is State.SHOWN


def test_typed_id_is_good_for_one_attempt() -> None:
    typed = (WHOLE[0], move(2, Event.CONFIRMED))

    assert progress_of(RUN, BOOK, typed).id_typed
    assert not progress_of(RUN, BOOK, (*typed, move(3, Event.STARTED))).id_typed


def test_consent_is_not_carried_to_the_next_visit() -> None:
    moves = (
        WHOLE[0],
        move(2, Event.CONFIRMED),
        move(3, Event.SECONDED, text="Bob"),
        move(4, Event.ENDED, result=StepResult.FAILED, goes_to="one"),
    )
    before, after = progress_of(RUN, BOOK, moves[:3]), progress_of(RUN, BOOK, moves)

    assert (before.id_typed, before.agreed_by) == (True, "Bob")
    assert (after.id_typed, after.agreed_by, after.visit) == (False, "", 2)


def test_commands_are_no_longer_confirmed_when_the_run_is_taken_up_again() -> None:
    confirmed = (WHOLE[0], move(2, Event.COMMANDS_CONFIRMED))

    assert progress_of(RUN, BOOK, confirmed).commands_confirmed
    taken = (*confirmed, move(3, Event.TAKEN_OVER))
    assert not progress_of(RUN, BOOK, taken).commands_confirmed


def test_outage_goes_on_where_people_confirmed_and_then_could_not_work() -> None:
    back = replace(WHOLE[3], goes_to="two")
    wrong = {"result": StepResult.NOT_AS_EXPECTED, "goes_to": "one", "visit": 2}
    moves = (
        *WHOLE[:3],
        back,
        move(5, Event.BEGUN, "two", visit=2),
        move(6, Event.ENDED, "two", **wrong),
    )

    assert progress_of(RUN, BOOK, moves[:4]).people_at is not None
    assert progress_of(RUN, BOOK, moves).people_at is None


@pytest.mark.parametrize(
    "moves",
    [
        (move(2, Event.BEGUN),),
        (WHOLE[0], move(3, Event.NOTED)),
        (replace(WHOLE[0], run="another"),),
        (move(1, Event.ENDED, **DONE),),
        (WHOLE[0], move(2, Event.BEGUN)),
        (WHOLE[0], move(2, Event.ENDED, "two", **DONE)),
        (WHOLE[0], move(2, Event.ENDED, **DONE, visit=2)),
        (WHOLE[0], replace(WHOLE[1], goes_to="nowhere")),
        (*WHOLE, move(6, Event.NOTED)),
        (*WHOLE[:4], move(5, Event.BEGUN, "two")),
        (WHOLE[0], move(2, Event.NOTED, "nowhere")),
    ],
)
def test_moves_are_refused_that_cannot_be_of_the_runbook(moves: tuple[Move, ...]) -> None:
    with pytest.raises(ValueError, match=r"move|step"):
        progress_of(RUN, BOOK, moves)


@st.composite
def runbooks(draw: st.DrawFn) -> Runbook:
    ids = [f"step-{number}" for number in range(draw(st.integers(1, 5)))]
    somewhere = st.sampled_from(ids)
    steps = []
    for name in ids:
        step: dict[str, Any] = {"id": name, **draw(st.sampled_from(LIKE))}
        step["critical"] = draw(st.booleans())
        if step["kind"] == "decide":
            step["decide"] = [{"answer": "on"}, {"answer": "to", "go_to": draw(somewhere)}]
        elif draw(st.booleans()):
            step["if_not"] = {"say": "look there", "go_to": draw(somewhere)}
        steps.append(step)
    return runbook_of(*steps)


def ends(scene: Scene) -> list[tuple[str, int, StepResult | None, str]]:
    ended = (each for each in scene.moves if each.event is Event.ENDED)
    return [(each.step, each.visit, each.result, each.goes_to) for each in ended]


@settings(max_examples=30)
@given(
    book=runbooks(),
    seed=st.integers(0, 10_000),
    mode=st.sampled_from([Mode.INCIDENT, Mode.INCIDENT, Mode.REHEARSAL]),
    kills=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    fails=st.booleans(),
)
def test_run_that_is_cut_off_anywhere_ends_as_one_that_is_not(
    book: Runbook, seed: int, mode: Mode, kills: list[int], fails: bool
) -> None:
    def scene() -> Scene:
        made = Scene(book, run_of(mode), lost={"emr"} if fails else set())
        made.exits = [3] * 99 if fails else []
        made.unreachable = {"i@example.org"} if fails else set()
        return made

    whole, cut = scene(), scene()
    whole.follow(Whoever(seed, whole))
    for kill in kills:
        cut.killed_after = kill
        with contextlib.suppress(Killed):
            cut.follow(Whoever(seed, cut))
    cut.killed_after = -1
    cut.follow(Whoever(seed, cut))

    assert ends(whole) == ends(cut)
    assert cut.progress.ending is Ending.COMPLETED
    assert_begun_once(cut)


def assert_begun_once(scene: Scene) -> None:
    """Assert that nothing was started again that must not be, before a person had looked."""
    open_ = set[tuple[str, int, str]]()
    finished = Counter[tuple[str, int, str]]()
    for each in scene.moves:
        step = next((one for one in scene.runbook.steps if one.id == each.step), None)
        what = (each.step, each.visit, each.subject)
        if step is None or (step.may_be_done_twice and each.subject != BREAK_GLASS):
            continue
        if each.event is Event.STARTED:
            assert what not in open_, f"{what} was begun again unasked"
            open_.add(what)
        if each.event in {Event.FINISHED, Event.FOUND}:
            open_.discard(what)
        if each.event is Event.FINISHED and each.result is StepResult.DONE:
            finished[what] += 1
    assert set(finished.values()) <= {1}
