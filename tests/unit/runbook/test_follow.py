"""Following a runbook: what each kind of step asks, does, and writes down."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dr_orchestrator.core.runbook import Ending, Event, Mode
from dr_orchestrator.errors import Busy, Interrupted, SpaceExhausted
from dr_orchestrator.runbook.consent import PHRASE
from dr_orchestrator.runbook.desk import PointLine
from dr_orchestrator.runbook.follow import Following, follow
from dr_orchestrator.runbook.load import load_runbook
from dr_orchestrator.runbook.model import Runbook
from dr_orchestrator.runbook.progress import BREAK_GLASS, State
from dr_orchestrator.runbook.shelf import shipped_folder
from dr_orchestrator.runbook.tools import InSandboxes, ToNewDirectories
from dr_orchestrator.runbook.values import BLANK
from dr_orchestrator.runbook.walk import SKIP
from tests.support.clock import START
from tests.support.practices import plan, system
from tests.support.responder import (
    Answers,
    Killed,
    Scene,
    Silence,
    Whoever,
    of_event,
    run_of,
    runbook_of,
)

LAST = {"id": "last", "kind": "manual"}
MANUAL = {"id": "look", "kind": "manual"}
CHECK = {"id": "see", "kind": "check", "command": ["dro", "status", "{{ practice.id }}"]}
COMMAND = {"id": "change", "kind": "command", "command": ["change", "{{ system.id }}"]}
WIPE = {
    "id": "wipe",
    "kind": "command",
    "command": ["wipe"],
    "destructive": True,
    "two_persons": True,
    "undo": "nothing can",
}
NOTIFY = {
    "id": "tell",
    "kind": "notify",
    "notify": {"to": ["office", "insurer"], "subject": "Down", "text": "{{ system.title }}"},
}
RESTORE = {"id": "back", "kind": "restore", "restore": {"systems": ["all"]}}


def book(*steps: dict[str, Any]) -> Runbook:
    """Return a runbook with another step at its end, at which who follows it leaves."""
    return runbook_of(*steps, LAST)


def left_in_doubt(step: dict[str, Any], *answers: str, instants: int, **more: Any) -> Scene:
    """Return a scene whose process was gone after so many instants of its first step."""
    scene = Scene(book(step), killed_after=instants, **more)
    with pytest.raises(Killed):
        scene.follow(Answers(*answers))
    scene.killed_after = -1
    return scene


# --- the walk ------------------------------------------------------------------------------------


def test_follow_walks_to_the_end_and_closes_the_run() -> None:
    scene = Scene(runbook_of(MANUAL, LAST))

    desk = Answers("d", "d")
    followed = scene.follow(desk)

    assert scene.events == ["BEGUN", "ENDED", "BEGUN", "ENDED", "CLOSED"]
    assert (followed.progress.ending, followed.goes_on) == (Ending.COMPLETED, "")
    assert desk.words == ("this runbook is done",)


def test_follow_has_written_each_move_down_before_anything_is_shown() -> None:
    scene = Scene(book(MANUAL))

    class Looks(Answers):
        def ask(self, view: Any, question: Any) -> str:
            assert scene.moves[-1].event is Event.BEGUN
            assert scene.moves[-1].step == view.step
            return super().ask(view, question)

    with pytest.raises(Interrupted):
        scene.follow(Looks("d"))


def test_follow_exports_at_once_and_after_each_move() -> None:
    scene = Scene(runbook_of(MANUAL))

    scene.answer("d")

    assert scene.exported == [0, 1, 2, 3]


def test_follow_goes_on_and_says_so_when_the_state_cannot_be_exported() -> None:
    scene = Scene(runbook_of(MANUAL))

    def full(*_: object) -> None:
        raise SpaceExhausted("the stick is full")

    desk = Answers("d")
    following = Following(
        run=scene.run, runbook=scene.runbook, plan=scene.plan, moves=(), trusted=True
    )
    followed = follow(following, replace(scene.tools, export=full), desk)

    assert followed.progress.ending is Ending.COMPLETED
    assert "NOT up to date: the stick is full" in desk.asked[0][0].notes[0]


def test_leaving_says_how_to_go_on() -> None:
    scene = Scene(runbook_of(MANUAL))

    with pytest.raises(Interrupted, match=f"`dro runbook resume {scene.run.id}`"):
        scene.follow(Answers("q"))

    assert scene.progress.state is State.SHOWN


def test_run_is_taken_over_where_it_was_left() -> None:
    scene = Scene(runbook_of(MANUAL))
    scene.answer("q")
    scene.by, scene.host = "Bob", "laptop"

    scene.answer("d")

    (taken,) = of_event(scene.moves, Event.TAKEN_OVER)
    assert (taken.by, taken.host, taken.step) == ("Bob", "laptop", "look")
    assert scene.events == ["BEGUN", "TAKEN_OVER", "ENDED", "CLOSED"]


def test_looking_at_a_run_leaves_no_trace_and_says_who_was_there() -> None:
    scene = Scene(runbook_of(MANUAL, LAST))
    scene.answer("q")
    moves = list(scene.moves)
    scene.by, scene.host = "Bob", "laptop"
    scene.clock.advance(timedelta(minutes=2, seconds=10))

    desk = scene.answer("q")

    assert scene.moves == moves
    assert desk.asked[0][0].notes[0] == "here before you: Ada on desk-1, 2 min ago"
    desk = scene.answer("d", "q")
    assert "here before you" not in "".join(desk.asked[1][0].notes)


def test_who_was_there_goes_on_while_somebody_looks() -> None:
    scene = Scene(runbook_of(MANUAL, LAST))

    class LookedAt(Answers):
        def ask(self, view: Any, question: Any) -> str:
            scene.by = "Bob"
            scene.answer("q")
            scene.by = "Ada"
            return super().ask(view, question)

    scene.follow(LookedAt("d", "d"))

    assert scene.events == ["BEGUN", "ENDED", "BEGUN", "ENDED", "CLOSED"]


def test_what_is_known_elsewhere_is_shown() -> None:
    scene = Scene(book(MANUAL))
    following = Following(
        run=scene.run, runbook=scene.runbook, plan=scene.plan, moves=(), trusted=True
    )
    desk, again = Answers(), "people work again since 03:40 (A server is lost)"

    with pytest.raises(Interrupted):
        follow(following, replace(scene.tools, elsewhere=lambda: (again,)), desk)

    assert desk.asked[0][0].notes[0] == again


def test_closed_run_is_not_gone_on_with() -> None:
    scene = Scene(runbook_of(MANUAL))
    scene.answer("d")
    moves = list(scene.moves)

    desk = scene.answer()

    assert (scene.moves, desk.asked) == (moves, [])
    assert desk.words == ("this runbook is done",)


def test_follow_refuses_when_somebody_else_has_gone_on() -> None:
    scene = Scene(runbook_of(MANUAL))

    class SomebodyElse(Answers):
        def ask(self, view: Any, question: Any) -> str:
            scene.moves.append(scene.moves[-1])
            return super().ask(view, question)

    with pytest.raises(Busy):
        scene.follow(SomebodyElse("d"))


def test_note_is_written_down_and_the_step_goes_on() -> None:
    scene = Scene(runbook_of(MANUAL))

    scene.answer("w", " the second disk\x1b[2J blinks ", "w", "", "d")

    (note,) = of_event(scene.moves, Event.NOTED)
    assert (note.text, note.step) == ("the second disk\N{REPLACEMENT CHARACTER}[2J blinks", "look")


def test_run_is_ended_for_good_once_it_is_said_why() -> None:
    scene = Scene(book(MANUAL))

    scene.answer("x", "", "x", "false alarm")

    closed = scene.moves[-1]
    assert (closed.event, closed.ending, closed.text) == (
        Event.CLOSED,
        Ending.ABANDONED,
        "false alarm",
    )


def test_end_of_a_step_says_how_long_it_took_and_what_was_exercised() -> None:
    scene = Scene(book(MANUAL), run_of())

    class Slow(Answers):
        def ask(self, view: Any, question: Any) -> str:
            scene.clock.advance(timedelta(minutes=4))
            return super().ask(view, question)

    with pytest.raises(Interrupted):
        scene.follow(Slow("d"))
    first = scene.moves[1]
    other = Scene(book({**MANUAL, "do": "Do another thing"}))
    other.answer("d")

    assert (first.seconds, len(first.fingerprint)) == (240.0, 64)
    assert other.moves[1].fingerprint != first.fingerprint


def test_end_of_a_step_took_no_negative_time_when_the_clock_was_set_back() -> None:
    scene = Scene(book(MANUAL))
    scene.answer("q")
    scene.clock.advance(timedelta(hours=-2))

    scene.answer("d")

    assert of_event(scene.moves, Event.ENDED)[0].seconds == 0.0


@pytest.mark.parametrize(
    ("mode", "way"),
    [
        (Mode.INCIDENT, InSandboxes),
        (Mode.REHEARSAL, ToNewDirectories),
        (Mode.DRILL, ToNewDirectories),
    ],
)
def test_follow_refuses_the_way_to_restore_of_another_mode(mode: Mode, way: Any) -> None:
    scene = Scene(runbook_of(MANUAL), run_of(mode))
    tools = replace(scene.tools, restoring=way(scene.tools.restoring.restore))
    following = Following(
        run=scene.run, runbook=scene.runbook, plan=scene.plan, moves=(), trusted=True
    )

    with pytest.raises(ValueError, match="restores"):
        follow(following, tools, Silence())


# --- what did not go as expected -----------------------------------------------------------------


def test_step_leads_where_it_says_when_it_is_not_as_expected() -> None:
    step = MANUAL | {"if_not": {"say": "call the vendor", "go_to": "last"}, "critical": True}
    scene = Scene(runbook_of(step, {"id": "between", "kind": "manual"}, LAST))

    desk = scene.answer("n", "a", "q")

    assert desk.questions[1] == "not as expected. call the vendor"
    assert [each.key for each in desk.asked[1][1].choices] == ["a", "w", "q", "x"]
    assert (scene.ended(), scene.progress.step) == ([("look", "not as expected")], "last")
    assert "look: not as expected: call the vendor" in desk.asked[2][0].notes


def test_step_is_come_to_again_when_it_is_not_as_expected_and_leads_nowhere() -> None:
    scene = Scene(book(MANUAL))

    scene.answer("n", "a", "d")

    assert scene.ended() == [("look", "not as expected"), ("look", "done")]
    assert [each.visit for each in of_event(scene.moves, Event.BEGUN)] == [1, 2, 1]


def test_step_that_is_not_critical_may_be_passed_by() -> None:
    scene = Scene(book(MANUAL))

    scene.answer("n", "p")

    assert (scene.ended(), scene.progress.step) == ([("look", "not as expected")], "last")


def test_critical_step_is_skipped_only_with_a_reason_and_the_reader_is_warned() -> None:
    scene = Scene(book(MANUAL | {"critical": True}))

    desk = scene.answer("s", "", "s", "the vendor did it", "q")

    assert "CRITICAL" in desk.asked[1][0].notes[0]
    assert scene.ended() == [("look", "skipped")]
    assert "the critical step look was skipped: the vendor did it" in desk.asked[-1][0].notes


# --- programs ------------------------------------------------------------------------------------


def test_check_runs_its_command_and_a_person_says_whether_it_is_as_expected() -> None:
    scene = Scene(book(CHECK | {"expect": "it says kept"}))

    desk = scene.answer("g", "d")

    assert scene.effects == ["run dro status riverside"]
    assert desk.shown == ["what it printed"]
    assert scene.ended() == [("see", "done")]
    (finished,) = of_event(scene.moves, Event.FINISHED)
    assert (finished.exit_code, finished.output_sha256, finished.seconds) == (0, "c" * 64, 3.0)


def test_check_without_command_is_done_by_a_person() -> None:
    scene = Scene(book({"id": "see", "kind": "check"}))

    scene.answer("d")

    assert scene.ended() == [("see", "done")]


def test_check_that_fails_has_seen_otherwise() -> None:
    scene = Scene(book(CHECK), exits=[1])

    scene.answer("g", "p")

    assert scene.ended() == [("see", "not as expected")]


def test_check_is_run_again_when_nobody_recorded_its_end() -> None:
    scene = left_in_doubt(CHECK, "g", instants=4)

    scene.answer("g")

    assert scene.effects == ["run dro status riverside"] * 2
    assert of_event(scene.moves, Event.FOUND) == []


def test_command_without_expectation_is_done_when_it_ends_well() -> None:
    scene = Scene(book(COMMAND))

    scene.answer("g")

    assert (scene.effects, scene.ended()) == (["run change emr"], [("change", "done")])


def test_command_is_tried_again_only_as_often_as_it_says() -> None:
    scene = Scene(book(COMMAND | {"retries": 2}), exits=[1, 1, 1])

    desk = scene.answer("g", "p")

    assert len(scene.effects) == 3
    assert scene.ended() == [("change", "failed")]
    assert desk.questions[1] == "failed: exit code 1"


def test_command_that_was_ended_by_us_is_not_tried_again() -> None:
    scene = Scene(book(COMMAND | {"retries": 2}), exits=[None])

    scene.answer("g", "p")

    assert len(scene.effects) == 1


def test_command_that_failed_is_offered_again_to_who_takes_over() -> None:
    scene = left_in_doubt(COMMAND | {"retries": 1}, "g", instants=6, exits=[1])

    desk = scene.answer("g")

    assert desk.questions[0] == "it failed: exit code 1. Again? attempt 2 of 2"
    assert scene.ended() == [("change", "done")]


@pytest.mark.parametrize("instants", [3, 4], ids=["before it ran", "after it ran"])
@pytest.mark.parametrize(
    ("answers", "effects"), [(("d",), 0), (("n", "g", "d"), 1)], ids=["done", "not done"]
)
def test_command_in_doubt_is_begun_again_only_once_a_person_has_looked(
    instants: int, answers: tuple[str, ...], effects: int
) -> None:
    scene = left_in_doubt(COMMAND | {"expect": "it changed"}, "g", instants=instants)
    scene.effects.clear()

    desk = scene.answer(*answers)

    assert "LOOK: was it done? If so: it changed" in desk.questions[0]
    assert (len(scene.effects), scene.ended()) == (effects, [("change", "done")])


def test_command_is_done_by_hand_when_it_needs_what_is_not_known_yet() -> None:
    scene = Scene(book(COMMAND | {"command": ["check", "{{ restored.place }}"]}))

    desk = scene.answer("d")

    assert desk.questions[0] == "restored.place is not known yet: do it by hand"
    assert scene.effects == []


def test_command_is_handed_what_is_known_only_while_it_is_followed() -> None:
    command = COMMAND | {"command": ["check", "{{ restored.place }}", "{{ run.by }}"]}
    scene = Scene(book(RESTORE, command))

    scene.answer("g", "g")

    assert scene.effects[-1] == "run check /srv/restored/emr Ada"


# --- consent -------------------------------------------------------------------------------------


def test_destructive_command_runs_once_a_second_person_agreed_and_the_id_was_typed() -> None:
    scene = Scene(book(WIPE))

    scene.answer("g", "y", " ADA", "Bob", "Riverside", "riverside")

    assert scene.events[1:6] == ["SECONDED", "CONFIRMED", "STARTED", "FINISHED", "ENDED"]
    assert of_event(scene.moves, Event.SECONDED)[0].text == "Bob"
    assert scene.effects == ["run wipe"]


@pytest.mark.parametrize("answers", [("g", "n"), ("g", "y", ""), ("g", "y", "Bob", "")])
def test_destructive_command_is_not_run_when_anything_is_missing(answers: tuple[str, ...]) -> None:
    scene = Scene(book(WIPE))

    scene.answer(*answers, "q")

    assert scene.effects == []


def test_destructive_command_that_was_not_done_asks_for_the_id_anew() -> None:
    scene = left_in_doubt(WIPE, "g", "y", "Bob", "riverside", instants=8)

    scene.answer("n", "g", "riverside")

    assert scene.events[-6:-1] == ["FOUND", "CONFIRMED", "STARTED", "FINISHED", "ENDED"]


def test_each_attempt_at_a_destructive_command_asks_for_the_id() -> None:
    scene = Scene(book(WIPE | {"retries": 1, "two_persons": False}), exits=[1])

    scene.answer("g", "riverside", "riverside")

    assert len(scene.effects) == len(of_event(scene.moves, Event.CONFIRMED)) == 2


def test_destructive_step_by_hand_is_agreed_to_first() -> None:
    by_hand = {key: WIPE[key] for key in ("id", "destructive", "two_persons", "undo")}
    scene = Scene(book({**by_hand, "kind": "manual"}))

    desk = scene.answer("g", "y", "Bob", "riverside", "d")

    assert desk.questions[-2:] == ["do this by hand", "do this by hand"]
    assert scene.ended() == [("wipe", "done")]


@pytest.mark.parametrize(
    ("step", "answers", "result"),
    [
        (RESTORE, ("g",), "done"),
        ({"id": "ok", "kind": "approval"}, ("d", "Carla"), "done"),
        ({"id": "wait", "kind": "timer", "timer": {"wait": "10m"}}, ("e",), "done"),
        (NOTIFY, ("g",), "done"),
    ],
    ids=["restore", "approval", "timer", "notify"],
)
def test_step_of_any_kind_is_begun_only_once_a_second_person_agreed(
    step: dict[str, Any], answers: tuple[str, ...], result: str
) -> None:
    refused, agreed = (Scene(book(step | {"two_persons": True})) for _ in range(2))

    refused.answer("g", "n", "q")
    agreed.answer("g", "y", "Bob", *answers[step is NOTIFY :])

    assert (refused.effects, refused.ended()) == ([], [])
    assert agreed.ended() == [(str(step["id"]), result)]


def test_manager_is_told_at_once_when_nobody_could_agree() -> None:
    scene = Scene(book(WIPE))

    scene.answer("g", "b", "all asleep", "", "q")

    assert scene.effects == ["tell m@example.org"]
    assert "Ada goes on without a second person: all asleep" in scene.sent[0][1]
    assert scene.events == ["BEGUN", "BROKE_GLASS", "STARTED", "FINISHED"]
    assert scene.moves[-1].subject == BREAK_GLASS


def test_manager_who_could_not_be_told_stops_nothing_and_is_shown() -> None:
    scene = Scene(book(WIPE), unreachable={"m@example.org"})

    desk = scene.answer("g", "b", "all asleep", "riverside")

    assert scene.ended() == [("wipe", "done")]
    assert "manager: NOT told that nobody agreed: the mail server refused it" in (
        desk.asked[-1][0].notes
    )


def test_missing_manager_stops_nothing() -> None:
    scene = Scene(book(WIPE), plan=plan({"emr": system("Medical record")}, contacts={}))

    desk = scene.answer("g", "b", "all asleep", "riverside")

    assert scene.ended() == [("wipe", "done")]
    assert any("the plan has no contact `manager`" in each for each in desk.asked[-1][0].notes)


def test_manager_is_told_by_who_takes_over_when_it_was_not_done() -> None:
    scene = left_in_doubt(WIPE, "g", "b", "all asleep", instants=4)

    scene.answer("q")

    assert scene.effects == ["tell m@example.org"]
    scene.answer("q")
    assert scene.effects == ["tell m@example.org"]


def test_nothing_is_sent_unasked_where_glass_was_broken_on_another_machine() -> None:
    scene = left_in_doubt(WIPE, "g", "b", "all asleep", instants=4)
    scene.host = "laptop"

    desk = scene.answer("n", "q")

    assert "tell the manager, m@example.org" in desk.questions[0]
    assert scene.effects == []
    assert "manager: NOT told that nobody agreed: call them" in desk.asked[-1][0].notes


@pytest.mark.parametrize(("by", "asked"), [("bob", "a second person"), ("Eve", "lost by this")])
def test_consent_is_asked_anew_of_whoever_takes_over(by: str, asked: str) -> None:
    scene = Scene(book(WIPE))
    scene.answer("g", "y", "Bob", "riverside")
    scene.moves[3:] = []  # killed once the id was typed
    scene.effects.clear()
    scene.by = by

    desk = scene.answer("g")

    assert asked in desk.questions[-1]
    assert scene.effects == []


def test_who_takes_over_looks_whether_the_manager_was_told() -> None:
    scene = left_in_doubt(WIPE, "g", "b", "all asleep", instants=6)

    desk = scene.answer("d", "g", "riverside")

    assert "LOOK" in desk.questions[0]
    assert scene.effects == ["tell m@example.org", "run wipe"]


# --- commands of a runbook that is no file of this machine ---------------------------------------


@pytest.mark.parametrize(
    "strange", [{"trusted": False}, {"host": "laptop"}], ids=["runbook", "machine"]
)
@pytest.mark.parametrize("step", [CHECK, COMMAND, NOTIFY], ids=["check", "command", "notify"])
def test_nothing_of_a_strange_runbook_is_run_or_sent_before_a_person_confirmed(
    step: dict[str, Any], strange: dict[str, Any]
) -> None:
    scene = Scene(book(step), **strange)

    desk = scene.answer("c", "yes please", "d")

    assert "no file of this machine" in desk.questions[0]
    assert (scene.effects, scene.ended()) == ([], [(str(step["id"]), "done")])


def test_command_that_a_person_did_by_hand_is_not_exercised() -> None:
    by_hand, run = Scene(book(CHECK), trusted=False), Scene(book(CHECK))

    by_hand.answer("d")
    run.answer("g")

    exercised = [
        [each.fingerprint != "" for each in scene.moves if each.event is Event.ENDED]
        for scene in (by_hand, run)
    ]
    assert exercised == [[False], [True]]


def test_strange_runbook_runs_its_commands_once_they_were_read_and_confirmed() -> None:
    scene = Scene(book(CHECK, COMMAND, NOTIFY), trusted=False)

    desk = scene.answer("c", PHRASE, "g", "g", "g")

    assert desk.shown[:3] == [
        "see: dro status riverside",
        "change: change emr",
        "tell: e-mail to office, insurer: Down",
    ]
    assert [each.split()[0] for each in scene.effects] == ["run", "run", "tell", "tell"]


def test_confirmation_of_commands_does_not_outlast_a_hand_over() -> None:
    scene = Scene(book(CHECK, COMMAND), trusted=False)
    scene.answer("c", PHRASE, "g", "q")

    desk = scene.answer("q")

    assert "no file of this machine" in desk.questions[0]


# --- telling -------------------------------------------------------------------------------------


def test_each_contact_is_told_once() -> None:
    scene = Scene(book(NOTIFY))

    scene.answer("g")

    assert scene.effects == ["tell o@example.org", "tell i@example.org"]
    assert scene.sent[0] == ("Down", "Medical record")
    assert [each.subject for each in of_event(scene.moves, Event.FINISHED)] == ["office", "insurer"]


def test_contact_in_doubt_is_looked_after_and_the_others_are_told() -> None:
    scene = left_in_doubt(NOTIFY, "g", instants=4)

    desk = scene.answer("d", "g")

    assert desk.questions[0].startswith("telling office: begun")
    assert scene.effects == ["tell o@example.org", "tell i@example.org"]


def test_contact_who_was_told_is_not_told_again_when_the_run_is_taken_up() -> None:
    scene = left_in_doubt(NOTIFY, "g", instants=6)

    desk = scene.answer("g")

    assert desk.questions[0] == "send the message to insurer?"
    assert scene.effects == ["tell o@example.org", "tell i@example.org"]


@pytest.mark.parametrize(
    ("answer", "result"), [(("d",), "done"), (("n", "p"), "failed")], ids=["called", "not reached"]
)
def test_contact_whom_no_message_reached_is_to_be_called(
    answer: tuple[str, ...], result: str
) -> None:
    scene = Scene(book(NOTIFY), unreachable={"o@example.org"})

    desk = scene.answer("g", *answer)

    assert desk.questions[1] == "NOT told: office (555-0101): the mail server refused it. Call them"
    assert scene.ended() == [("tell", result)]


def test_message_is_sent_again_when_a_person_says_so() -> None:
    scene = Scene(book(NOTIFY), unreachable={"o@example.org"})

    scene.answer("g", "g", "d")

    assert scene.effects.count("tell o@example.org") == 2


def test_contact_that_the_plan_lacks_is_left_out_and_named() -> None:
    told = {**NOTIFY["notify"], "to": ["office", "lawyer?"]}  # type: ignore[dict-item]
    scene = Scene(book({**NOTIFY, "notify": told}))

    scene.answer("g")

    ended = of_event(scene.moves, Event.ENDED)[0]
    assert ended.text == "not told, since the plan does not have them: lawyer"


def test_contacts_are_called_by_hand_when_the_plan_has_none_of_them() -> None:
    told = {**NOTIFY["notify"], "to": ["lawyer?"]}  # type: ignore[dict-item]
    scene = Scene(book({**NOTIFY, "notify": told}))

    desk = scene.answer("d")

    assert desk.questions[0] == "the plan does not have lawyer: call them"


# --- waiting, deciding, agreeing -----------------------------------------------------------------


def test_wait_ends_by_itself() -> None:
    scene = Scene(book({"id": "wait", "kind": "timer", "timer": {"wait": "10m"}}))

    class Waits(Answers):
        def ask(self, view: Any, question: Any) -> str:
            if question.until:
                scene.clock.set(question.until)
            return super().ask(view, question)

    with pytest.raises(Interrupted):
        scene.follow(Waits(""))

    assert scene.moves[1].seconds == 600.0


def test_wait_may_be_cut_short_and_says_so() -> None:
    scene = Scene(book({"id": "wait", "kind": "timer", "timer": {"wait": "10m"}}))

    scene.answer("e")

    assert scene.moves[1].text == "before the time"


def test_wait_is_over_when_its_time_passed_while_nobody_was_there() -> None:
    scene = Scene(book({"id": "wait", "kind": "timer", "timer": {"wait": "10m"}}))
    scene.answer("q")
    scene.clock.advance(timedelta(hours=1))

    desk = scene.answer()

    assert (len(desk.asked), scene.ended()) == (1, [("wait", "done")])
    assert desk.asked[0][0].step == "last"


def test_limit_runs_from_now_once_and_asks_nothing() -> None:
    clock = {"id": "clock", "kind": "timer", "timer": {"limit": "24h", "of": "tell them"}}
    decide = {"id": "back", "kind": "decide", "decide": [{"answer": "x", "go_to": "clock"}]}
    scene = Scene(runbook_of(clock, {**decide, "decide": [*decide["decide"], {"answer": "y"}]}))

    desk = scene.answer("1", "q")

    assert len(of_event(scene.moves, Event.CLOCK)) == 1
    (limit,) = desk.asked[0][0].limits
    assert (limit.of, limit.until - scene.moves[0].at) == ("tell them", timedelta(hours=24))


def test_answer_leads_to_its_step() -> None:
    answers = [{"answer": "a"}, {"answer": "b", "go_to": "last"}]
    scene = Scene(runbook_of({"id": "q", "kind": "decide", "decide": answers}, MANUAL, LAST))

    scene.answer("2", "q")

    assert scene.progress.step == "last"
    assert scene.moves[1].text == "b"


def test_answer_leads_to_its_runbook_and_closes_this_one() -> None:
    answers = [{"answer": "a"}, {"answer": "b", "runbook": "ransomware"}]
    scene = Scene(book({"id": "q", "kind": "decide", "decide": answers}))

    followed = scene.follow(Answers("2", "b", "2", "y"))

    assert [each.text for each in of_event(scene.moves, Event.ENDED)] == ["b"]
    assert (followed.goes_on, followed.progress.ending) == ("ransomware", Ending.WENT_ON)
    assert scene.moves[-1].goes_to == "runbook:ransomware"


def test_run_that_led_to_a_runbook_leads_there_when_it_was_cut_off_before_it_was_closed() -> None:
    answers = [{"answer": "a"}, {"answer": "b", "runbook": "ransomware"}]
    scene = left_in_doubt({"id": "q", "kind": "decide", "decide": answers}, "2", "y", instants=4)

    assert scene.follow(Answers()).goes_on == "ransomware"


def test_approval_is_given_by_name() -> None:
    scene = Scene(book({"id": "ok", "kind": "approval", "people_confirm": True}))

    scene.answer("d", "", "d", "Carla")

    assert scene.moves[1].text == "approved by Carla"
    assert scene.progress.people_at is not None


def test_approval_that_is_refused_goes_not_on() -> None:
    scene = Scene(book({"id": "ok", "kind": "approval", "critical": True}))

    scene.answer("n", "a", "q")

    assert (scene.ended(), scene.progress.step) == ([("ok", "not as expected")], "ok")


# --- restoring -----------------------------------------------------------------------------------


def test_systems_come_back_after_what_they_depend_on() -> None:
    scene = Scene(book(RESTORE))

    desk = scene.answer("g")

    assert scene.effects == ["restore directory", "restore emr"]
    notes = desk.asked[-1][0].notes
    assert "emr: restored to /srv/restored/emr" in notes
    assert tuple(each for each in notes if each.startswith(("emr: pg", "emr: start"))) == (
        "emr: pg_restore emr",
        "emr: start it",
    )


def test_restore_ends_badly_and_says_which_system_did_not_come_back() -> None:
    scene = Scene(book(RESTORE), lost={"directory"})

    desk = scene.answer("g", "p")

    assert desk.questions[1] == "failed: directory: it is damaged"
    assert scene.ended() == [("back", "failed")]


def test_system_that_came_back_is_not_restored_again_when_the_run_is_taken_up() -> None:
    scene = left_in_doubt(RESTORE, "g", instants=8)

    desk = scene.answer("g")

    assert scene.effects == ["restore directory", "restore emr"]
    assert [each.label for each in desk.asked[0][1].choices[:2]] == ["restore emr", SKIP.label]
    assert of_event(scene.moves, Event.FOUND) == []


def test_restore_that_nobody_recorded_the_end_of_is_made_again() -> None:
    scene = left_in_doubt(RESTORE, "g", instants=5)

    desk = scene.answer("g")

    assert any("directory: begun already" in each for each in desk.asked[0][0].notes)
    assert scene.effects == ["restore directory", "restore directory", "restore emr"]


@pytest.mark.parametrize(
    ("key", "again"), [("g", ["restore emr"]), ("a", ["restore directory", "restore emr"])]
)
def test_second_visit_restores_what_is_missing_or_all(key: str, again: list[str]) -> None:
    scene = Scene(book(RESTORE), lost={"emr"})
    scene.answer("g", "a", "q")
    scene.effects.clear()
    scene.lost = set()

    desk = scene.answer(key)

    assert scene.effects == again
    assert scene.ended() == [("back", "failed"), ("back", "done")]
    assert "directory: restored to /srv/restored/directory" in desk.asked[-1][0].notes


def test_restore_of_this_system_restores_it_alone() -> None:
    scene = Scene(book(RESTORE | {"restore": {"systems": ["this"]}}))

    scene.answer("g")

    assert scene.effects == ["restore emr"]


# --- rehearsals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [COMMAND, NOTIFY, WIPE, WIPE | {"rehearsal": "run"}])
def test_rehearsal_only_says_what_changes_or_tells_something(step: dict[str, Any]) -> None:
    scene = Scene(book(step), run_of(Mode.REHEARSAL))

    desk = scene.answer("d")

    assert "say what you would do" in desk.asked[0][0].in_rehearsal
    assert (scene.effects, scene.ended()) == ([], [(str(step["id"]), "simulated")])


def test_rehearsal_leaves_out_what_it_is_to_skip() -> None:
    scene = Scene(book(MANUAL | {"rehearsal": "skip"}), run_of(Mode.REHEARSAL))

    desk = scene.answer()

    assert (scene.ended(), desk.asked[0][0].step) == ([("look", "skipped")], "last")


def test_rehearsal_marks_what_it_sends() -> None:
    scene = Scene(book(NOTIFY | {"rehearsal": "run"}), run_of(Mode.REHEARSAL))

    scene.answer("g")

    assert scene.sent[0][0] == "REHEARSAL: Down"


def test_rehearsal_tells_no_manager_that_nobody_agreed() -> None:
    step = COMMAND | {"two_persons": True, "rehearsal": "run"}
    scene = Scene(book(step), run_of(Mode.REHEARSAL))

    scene.answer("g", "b", "all asleep")

    assert scene.effects == ["run change emr"]


@pytest.mark.parametrize("name", [each.stem for each in sorted(shipped_folder().glob("*.yaml"))])
@pytest.mark.parametrize("mode", Mode)
def test_shipped_runbook_can_be_followed_to_an_end(name: str, mode: Mode) -> None:
    shipped = load_runbook(shipped_folder() / f"{name}.yaml").runbook
    scene = Scene(shipped, run_of(mode, system="emr" if shipped.about == "system" else ""))

    scene.follow(Silence() if mode is Mode.DRILL else Whoever(1, scene))

    assert scene.progress.ending in {Ending.COMPLETED, Ending.WENT_ON}


# --- which points come back ----------------------------------------------------------------------

ASKS = {"id": "back", "kind": "restore", "restore": {"systems": ["emr"], "point": "ask"}}
AT = "2026-11-18T08:14:00+00:00"
"""02:14 in Chicago, on the day on which the fake clock starts."""


def line_of(name: str, before: datetime | None) -> PointLine:
    """Return the point of a system, an hour older than what was asked for."""
    return PointLine(
        system=name,
        title=name,
        point=f"{name}-{'old' if before else 'new'}",
        as_of=(before or START) - timedelta(hours=1),
        repository="onsite",
        proven=None,
        estimate=None,
    )


def asking(*steps: dict[str, Any], mode: Mode = Mode.INCIDENT, **more: Any) -> Scene:
    """Return a scene in which it is asked which point comes back, and all have any."""
    return Scene(
        book(*(steps or (ASKS,))),
        run_of(mode),
        points=lambda systems, before: tuple(line_of(each, before) for each in systems),
        **more,
    )


@pytest.mark.parametrize("mode", [Mode.INCIDENT, Mode.REHEARSAL])
def test_restore_takes_the_newest_point_before_the_time_that_is_typed(mode: Mode) -> None:
    scene = asking({**ASKS, "expect": "as of {{ point.as_of }}"}, mode=mode)

    desk = scene.answer("t", "25:00", "02:14", "g")

    assert of_event(scene.moves, Event.CHOSEN)[0].text == AT
    assert "no time: 25:00" in desk.asked[2][0].notes[0]
    confirmed = desk.asked[3][0]
    assert "the newest made before 2026-11-18 02:14 CST?" in desk.questions[3]
    assert [each.point for each in confirmed.points] == ["emr-old"]
    assert confirmed.expect == "as of 2026-11-18 01:14 CST"
    assert scene.effects == ["restore emr before 2026-11-18T08:14Z"]


def test_restored_point_is_the_one_that_later_steps_speak_of() -> None:
    check = {"id": "see", "kind": "check", "do": "as of {{ point.as_of }}"}
    scene = asking(ASKS, check | {"command": ["see", "{{ point.id }}"]})

    desk = scene.answer("t", "02:14", "g", "g")

    assert desk.asked[-2][0].do == "as of 2026-11-18 01:14 CST"
    assert scene.effects[1:] == ["run see emr-old"]


def test_newest_point_is_restored_where_that_is_said() -> None:
    scene = asking()

    desk = scene.answer("n", "g")

    assert [each.point for each in desk.asked[1][0].points] == ["emr-new"]
    assert scene.effects == ["restore emr"]


def test_other_points_are_chosen_after_those_were_seen() -> None:
    scene = asking()

    scene.answer("n", "c", "t", "", "c", "t", "2026-11-18 02:14", "g")

    assert scene.effects == ["restore emr before 2026-11-18T08:14Z"]


@pytest.mark.parametrize("instants", [5, 6, 7], ids=["chosen", "to be restored", "restored"])
def test_chosen_point_is_kept_when_the_run_is_taken_up_elsewhere(instants: int) -> None:
    scene = asking(killed_after=instants - 1)
    with pytest.raises(Killed):
        scene.follow(Answers("t", "02:14", "g"))
    scene.killed_after, scene.host = -1, "laptop"
    scene.effects.clear()

    scene.answer("g")

    assert scene.effects == ["restore emr before 2026-11-18T08:14Z"]


def test_next_restore_step_takes_the_newest_unless_it_is_said_again() -> None:
    scene = asking(ASKS, RESTORE | {"id": "rest"})

    scene.answer("t", "02:14", "g", "g")

    assert scene.effects[1:] == ["restore directory", "restore emr"]


def test_next_visit_asks_anew() -> None:
    scene = asking(lost={"emr"})

    scene.answer("t", "02:14", "g", "a", "n", "g", "p")

    assert scene.effects == ["restore emr before 2026-11-18T08:14Z", "restore emr"]


def test_restore_says_which_systems_have_no_point_from_before_then() -> None:
    scene = Scene(book(ASKS))

    desk = scene.answer("t", "02:14", "q")

    assert "emr: NO point from before then" in desk.asked[-1][0].notes


@pytest.mark.parametrize("text", ["2026-11-18T08:14:00", "yesterday"])
def test_choice_that_is_no_instant_is_no_move_of_a_run(text: str) -> None:
    scene = asking()
    scene.answer("n", "q")
    scene.moves[1] = replace(scene.moves[1], text=text)

    with pytest.raises(ValueError, match=r"zone|Invalid"):
        assert scene.progress.step


def test_drill_asks_nobody_and_takes_the_newest() -> None:
    scene = asking(mode=Mode.DRILL)

    scene.follow(Silence())

    assert (scene.effects, of_event(scene.moves, Event.CHOSEN)) == (["restore emr"], [])


# --- a runbook that does not fit the plan, at night ----------------------------------------------


def test_system_that_the_plan_does_not_protect_has_not_come_back() -> None:
    phones = {"title": "Telephones", "protected_by": "whoever sold them"}
    scene = Scene(
        book(RESTORE | {"restore": {"systems": ["emr", "gone", "phones"]}}),
        plan=plan({"emr": system("Medical record"), "phones": phones}),
    )

    desk = scene.answer("g", "p")

    assert scene.effects == ["restore emr"]
    assert "gone: the plan does not protect it" in desk.questions[1]
    assert "phones: the plan does not protect it" in desk.questions[1]


def test_command_is_not_run_with_a_blank_in_it() -> None:
    scene = Scene(book(COMMAND | {"command": ["call", "{{ contacts.lawyer.phone }}"]}))

    desk = scene.answer("d")

    assert desk.asked[0][0].command == ("call", BLANK)
    assert "contacts.lawyer.phone is not known yet: do it by hand" in desk.questions[0]
    assert scene.effects == []


# --- drills --------------------------------------------------------------------------------------


def drilled(*steps: dict[str, Any], **more: Any) -> Scene:
    """Return the scene of a drill that was followed to its end."""
    scene = Scene(runbook_of(*steps), run_of(Mode.DRILL), **more)
    scene.follow(Silence())
    return scene


def test_drill_restores_and_simulates_what_people_do() -> None:
    scene = drilled(
        MANUAL,
        {"id": "ok", "kind": "approval"},
        {"id": "wait", "kind": "timer", "timer": {"wait": "10m"}},
        NOTIFY | {"rehearsal": "run"},
        WIPE | {"rehearsal": "run", "two_persons": False},
        COMMAND,
        RESTORE,
        CHECK,
        MANUAL | {"id": "people", "people_confirm": True},
    )

    assert scene.effects == ["restore directory", "restore emr", "run dro status riverside"]
    results = dict(scene.ended())
    assert (results.pop("back"), results.pop("see")) == ("done", "done")
    assert set(results.values()) == {"simulated"}
    assert scene.progress.people_at is None
    assert scene.progress.ending is Ending.COMPLETED


@pytest.mark.parametrize(
    "step",
    [COMMAND, COMMAND | {"two_persons": True}, COMMAND | {"command": ["{{ restored.place }}"]}],
)
def test_drill_runs_no_command_that_somebody_has_to_agree_to(step: dict[str, Any]) -> None:
    trusted = step is not COMMAND
    scene = drilled(step | {"rehearsal": "run"}, trusted=trusted)

    assert (scene.effects, scene.ended()) == ([], [("change", "simulated")])


def test_drill_takes_the_first_answer_that_stays_in_the_runbook() -> None:
    answers = [{"answer": "a", "runbook": "ransomware"}, {"answer": "b", "go_to": "last"}]
    scene = drilled({"id": "q", "kind": "decide", "decide": answers}, MANUAL, LAST)

    assert scene.ended() == [("q", "simulated"), ("last", "simulated")]


def test_drill_ends_at_a_question_whose_answers_all_lead_to_other_runbooks() -> None:
    answers = [{"answer": each, "runbook": each} for each in ("triage", "ransomware")]
    scene = drilled({"id": "q", "kind": "decide", "decide": answers}, LAST)

    assert scene.ended() == [("q", "simulated")]
    assert (scene.progress.ending, scene.progress.goes_on) == (Ending.COMPLETED, "")


def test_drill_goes_where_a_step_leads_that_failed() -> None:
    step = CHECK | {"if_not": {"say": "look", "go_to": "last"}}
    scene = drilled(step, MANUAL, LAST, exits=[1])

    assert scene.ended() == [("see", "not as expected"), ("last", "simulated")]


def test_drill_ends_when_a_critical_step_failed() -> None:
    scene = drilled(RESTORE | {"critical": True}, LAST, lost={"emr"})

    assert scene.progress.ending is Ending.ABANDONED
    assert scene.moves[-1].text == "back: emr: it is damaged"


def test_drill_ends_when_it_goes_round_in_circles() -> None:
    step = CHECK | {"if_not": {"say": "look", "go_to": "see"}}
    scene = drilled(step, exits=[1] * 9)

    assert len(scene.effects) == 3
    assert scene.moves[-1].text == "step see was come to more than 3 times"
