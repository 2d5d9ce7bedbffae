"""What a responder is shown: all values filled in, and what late joiners must know."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr_orchestrator.core.runbook import Event, Mode, StepResult
from dr_orchestrator.runbook.desk import ContactLine, PointLine, View
from dr_orchestrator.runbook.follow import Following
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.values import BLANK
from dr_orchestrator.runbook.view import systems_restored, view_of
from tests.support.clock import START
from tests.support.responder import PLAN, Answers, Scene, run_of, runbook_of

LAST = {"id": "last", "kind": "manual", "do": "Open {{ system.title }}"}
RESTORE = {"id": "back", "kind": "restore", "restore": {"systems": ["all"]}}
POINT = PointLine(
    system="emr",
    title="Medical record",
    point="20261118-110000-aaaaaa",
    as_of=START - timedelta(hours=1),
    repository="onsite",
    proven=START - timedelta(days=1),
    estimate=timedelta(minutes=41),
)


def shown(scene: Scene, *answers: str) -> View:
    """Return the view at which a person stands after these answers."""
    scene.answer(*answers)
    following = Following(
        run=scene.run,
        runbook=scene.runbook,
        plan=scene.plan,
        moves=tuple(scene.moves),
        trusted=True,
    )
    return view_of(following, scene.progress, scene.tools, scene.clock.now())


def scene_of(*steps: dict[str, Any], mode: Mode = Mode.INCIDENT, **more: Any) -> Scene:
    """Return the scene of a runbook whose newest point is known."""
    return Scene(
        runbook_of(*steps),
        run_of(mode, **more),
        points=lambda systems, _before: tuple(each for each in [POINT] if each.system in systems),
    )


def test_view_fills_in_what_the_plan_says_and_what_is_known_by_now() -> None:
    view = shown(
        scene_of(
            {
                "id": "see",
                "kind": "check",
                "do": "See whether {{ system.title }} is as of {{ point.as_of }}",
                "expect": "{{ restored.place }}",
                "command": ["dro", "show", "{{ point.id }}", "{{ run.by }}"],
                "if_not": {"say": "call {{ contacts.office.phone }}"},
            },
        ),
        "q",
    )

    assert view.do == "See whether Medical record is as of 2026-11-18 05:00 CST"
    assert view.expect == "(not known yet)"
    assert view.command == ("dro", "show", POINT.point, "Ada")
    assert view.if_not == "call 555-0101"
    assert (view.points, view.kind) == ((POINT,), Kind.CHECK)


def test_view_leaves_blank_what_nobody_knows() -> None:
    step = {
        "id": "call",
        "kind": "manual",
        "do": "Call {{ contacts.lawyer.phone }}",
        "if_not": {"say": "call {{ contacts.police.phone }}"},
    }
    view = shown(scene_of(step, LAST | {"do": "Tell {{ contacts.lawyer.role }}"}), "q")

    assert view.do == f"Call {BLANK}"
    assert (view.if_not, view.after) == (f"call {BLANK}", (f"Tell {BLANK}",))


def test_view_says_where_the_step_stands_and_what_follows() -> None:
    view = shown(scene_of({"id": "look", "kind": "manual"}, RESTORE, LAST), "d", "q")

    assert (view.number, view.total, view.step, view.lane) == (2, 3, "back", "Responder")
    assert view.after == ("Open Medical record",)
    assert [(each.step, each.result) for each in view.behind] == [("look", StepResult.DONE)]


@pytest.mark.parametrize(("system", "hours"), [("emr", 4), ("directory", 2), ("", 2)])
def test_view_shows_the_shortest_rto_of_what_the_run_is_about(system: str, hours: int) -> None:
    view = shown(scene_of({"id": "look", "kind": "manual"}, system=system), "q")

    assert view.rto == timedelta(hours=hours)


def test_view_shows_whom_to_call_and_who_is_missing() -> None:
    step = {
        "id": "tell",
        "kind": "notify",
        "contacts": ["insurer", "lawyer?"],
        "notify": {"to": ["office", "insurer"], "subject": "s", "text": "t"},
    }
    view = shown(scene_of(step), "q")

    assert [each.name for each in view.contacts] == ["insurer", "lawyer", "office"]
    assert view.contacts[2] == ContactLine(
        name="office",
        role="front office",
        phone="555-0101",
        email="o@example.org",
        verified="",
    )
    assert not view.contacts[1].role


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (RESTORE, "restored to a sandbox"),
        ({"id": "a", "kind": "manual"}, "done as in an incident"),
        ({"id": "a", "kind": "command", "command": ["x"]}, "do not do it"),
        ({"id": "a", "kind": "manual", "destructive": True, "rehearsal": "run"}, "do not do it"),
    ],
)
def test_view_says_what_a_rehearsal_does(step: dict[str, Any], words: str) -> None:
    assert words in shown(scene_of(step, mode=Mode.REHEARSAL), "q").in_rehearsal
    assert shown(scene_of(step), "q").in_rehearsal == ""


def test_view_says_what_was_restored_until_the_end() -> None:
    view = shown(scene_of(RESTORE, LAST, {"id": "more", "kind": "manual"}), "g", "d", "q")

    assert view.step == "more"
    assert "emr: restored to /srv/restored/emr" in view.notes


def test_view_shows_what_to_do_with_what_was_restored_asset_by_asset() -> None:
    scene = scene_of(RESTORE, LAST)
    scene.answer("g", "q")
    asset = next(iter(scene.plan.protected["emr"].assets))
    text = f"not from onsite: gone\n{asset}: load them:\n{asset}: /usr/bin/psql -f x\n{asset}: end"
    scene.moves = [
        replace(each, text=text) if each.event is Event.NOTED and each.subject == "emr" else each
        for each in scene.moves
    ]

    view = shown(scene, "q")

    (loads,) = view.loads
    assert loads.of == f"Medical record, {asset}"
    assert [each.is_command for each in loads.lines] == [False, True, False]
    assert "emr: not from onsite: gone" in view.notes


def test_view_says_what_did_not_come_back() -> None:
    scene = scene_of(RESTORE, LAST)
    scene.lost = {"emr"}

    view = shown(scene, "g", "p", "q")

    assert "emr: NOT restored: it is damaged" in view.notes
    assert "back: failed: emr: it is damaged" in view.notes


def test_view_says_that_a_step_takes_long_that_a_person_does() -> None:
    scene = scene_of({"id": "look", "kind": "manual", "timeout": "10m"})
    scene.answer("q")
    scene.clock.advance(timedelta(minutes=11))

    assert "this takes longer than 10 min" in shown(scene, "q").notes


def test_view_shows_the_newest_note_of_a_person() -> None:
    view = shown(scene_of({"id": "look", "kind": "manual"}), "w", "old", "w", "disk 2", "q")

    assert view.notes == ("Ada noted: disk 2",)


def test_view_shows_the_last_step_when_the_run_is_over() -> None:
    scene = scene_of({"id": "look", "kind": "manual"}, LAST)
    desk = Answers("d", "d")
    scene.follow(desk)

    assert shown(scene).step == "last"


@pytest.mark.parametrize(
    ("named", "systems"),
    [
        (["this"], ("emr",)),
        (["all"], ("directory", "emr")),
        (["directory", "this"], ("directory", "emr")),
        (["emr", "this"], ("emr",)),
    ],
)
def test_systems_restored_are_ids(named: list[str], systems: tuple[str, ...]) -> None:
    step = runbook_of(RESTORE | {"restore": {"systems": named}}).steps[0]

    assert systems_restored(run_of(), PLAN, step) == systems
