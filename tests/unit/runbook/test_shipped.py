"""The runbooks we ship: they fit any plan, do no harm in their order, and can be read at 3 am."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from typing import Any

import click
import pytest

from dr_orchestrator.cli.main import dro
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.runbook.fit import problems_with
from dr_orchestrator.runbook.load import LoadedRunbook, load_runbook
from dr_orchestrator.runbook.model import Kind, Rehearsal
from dr_orchestrator.runbook.shelf import shipped_folder
from dr_orchestrator.runbook.values import BLANK, WHILE_FOLLOWED, fill_step, values_of

SHIPPED = {path.stem: load_runbook(path) for path in sorted(shipped_folder().glob("*.yaml"))}
WIDTH, DO_LINES, EXPECT_LINES, SAY_LINES = 76, 3, 2, 2
MEAN_WORDS, MOST_STEPS, FEWEST_STEPS = 16, 17, 8
CITATION = re.compile(
    r"45 CFR 164\.\d{3}(\([A-Za-z0-9]+\))*(-164\.\d{3})?"
    r"|90 FR 898 \(proposal of 2025\)"
)
ASKED_FOR = ("manager", "msp", "it", "emr_vendor", "insurer", "internet", "power", "landlord")
OUTSIDE = {"emr_vendor", "insurer", "internet", "power", "landlord"}
FILES = {"documents": {"kind": "files", "path": "/srv/emr/documents"}}
DATABASE = {"database": {"kind": "sqlite", "path": "/srv/emr/emr.db"}}


def plan(systems: dict[str, Any], **more: Any) -> Plan:
    """Return a plan; its names are about the longest that are met."""
    return with_defaults(
        Plan.model_validate(
            {
                "version": 1,
                "practice": {
                    "id": "cedar-valley-family-medicine",
                    "name": "Cedar Valley Family Medicine and Women's Health Associates",
                },
                "repositories": {
                    "onsite": {
                        "location": "/srv/restic",
                        "password": {"file": "/etc/dro/keys/onsite"},
                    }
                },
                "systems": {
                    name: {"rto": "4h", "rpo": "1h", "assets": assets} | fields
                    for name, (assets, fields) in systems.items()
                },
                **more,
            }
        )
    )


PLANS = {
    "only files": plan({"share": (FILES, {})}),
    "only sqlite": plan({"emr": (DATABASE, {})}),
    "no contacts": plan({"emr": (DATABASE, {}), "share": (FILES, {"depends_on": ["emr"]})}),
    "forty contacts": plan(
        {"emr": (DATABASE | FILES, {"title": "Electronic medical record and practice management"})},
        contacts={
            name: {"role": f"{name} on call", "phone": "+1 555 0100"}
            for name in (*ASKED_FOR, *(f"other{number}" for number in range(32)))
        },
        custody=[{"holder": "manager", "form": "sealed sheet"}, {"holder": "msp", "form": "vault"}],
    ),
}


def followed_with(loaded: LoadedRunbook) -> Iterator[tuple[Plan, str]]:
    """Yield each plan, with each system that the runbook may be followed for."""
    for each in PLANS.values():
        for system in each.protected if loaded.runbook.about == "system" else ("",):
            yield each, system


def place(runbook: str, *steps: str) -> list[int]:
    ids = [each.id for each in SHIPPED[runbook].runbook.steps]
    return [ids.index(each) for each in steps]


def lines(text: str) -> int:
    return len(textwrap.wrap(text, WIDTH))


def test_what_is_promised_is_shipped() -> None:
    assert set(SHIPPED) == {
        *("triage", "downtime", "emr-server-lost", "file-share-lost", "ransomware"),
        *("data-deleted", "building-lost", "repository-attacked"),
    }
    assert all(FEWEST_STEPS <= len(each.runbook.steps) <= MOST_STEPS for each in SHIPPED.values())


@pytest.mark.parametrize("of", PLANS)
@pytest.mark.parametrize("name", SHIPPED)
def test_runbook_fits_a_plan_whatever_it_protects_and_whomever_it_names(name: str, of: str) -> None:
    assert problems_with(SHIPPED[name], PLANS[of], names=frozenset(SHIPPED)) == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_each_step_is_short_enough_for_a_screen_once_filled_in(name: str) -> None:
    later = dict.fromkeys(WHILE_FOLLOWED, "/srv/dro/incidents/20261121-191500-emr")
    for each, system in followed_with(SHIPPED[name]):
        values = {**later, **values_of(each, system)}
        for raw in SHIPPED[name].runbook.steps:
            step = fill_step(raw, values)
            said = step.if_not.say if step.if_not else ""
            assert lines(step.do) <= DO_LINES, step.do
            assert lines(step.expect) <= EXPECT_LINES, step.expect
            assert lines(step.undo) <= EXPECT_LINES, step.undo
            assert lines(said) <= SAY_LINES, said
            assert "{{" not in f"{step.do}{step.expect}{said}{step.undo}{step.command}"


def test_no_step_asks_for_a_name_that_a_responder_would_have_to_know() -> None:
    for name, loaded in SHIPPED.items():
        for each, system in followed_with(loaded):
            for step in loaded.runbook.steps:
                assert BLANK not in " ".join(fill_step(step, values_of(each, system)).command), name


def test_sentences_are_short() -> None:
    sentences = [
        sentence.split()
        for loaded in SHIPPED.values()
        for step in loaded.runbook.steps
        for sentence in re.split(r"[.!?:](?:\s|$)", re.sub(r'"dro [^"]*"', "dro", step.do))
        if sentence.strip()
    ]
    assert sum(map(len, sentences)) / len(sentences) <= MEAN_WORDS
    assert max(map(len, sentences)) <= 2 * MEAN_WORDS


@pytest.mark.parametrize("name", SHIPPED)
def test_each_step_says_what_a_tired_person_has_to_know(name: str) -> None:
    for step in SHIPPED[name].runbook.steps:
        assert step.expect or step.kind in {Kind.DECIDE, Kind.TIMER}, step.id
        assert step.normal or step.kind in {Kind.DECIDE, Kind.TIMER, Kind.RESTORE}, step.id
        assert not step.cite or CITATION.fullmatch(step.cite), step.cite
        assert all(each.endswith("?") for each in step.contacts), "plans differ in whom they name"


@pytest.mark.parametrize("name", SHIPPED)
def test_what_loses_something_takes_two_and_says_how_it_is_taken_back(name: str) -> None:
    for step in (each for each in SHIPPED[name].runbook.steps if each.destructive):
        assert step.two_persons and step.undo and step.critical, step.id  # noqa: PT018
        assert step.in_rehearsal is Rehearsal.SIMULATE


@pytest.mark.parametrize("name", SHIPPED)
def test_rehearsal_tells_nobody_that_something_is_down_and_changes_nothing(name: str) -> None:
    for step in SHIPPED[name].runbook.steps:
        calls = {each.removesuffix("?") for each in step.contacts} & OUTSIDE
        if calls and step.kind not in {Kind.DECIDE, Kind.TIMER}:
            assert step.in_rehearsal is not Rehearsal.RUN, step.id
        if step.do.startswith(("Tell", "Say", "Call")) or step.kind is Kind.COMMAND:
            assert step.in_rehearsal is Rehearsal.SIMULATE, step.id


@pytest.mark.parametrize("name", SHIPPED)
def test_step_that_tells_to_go_on_says_where(name: str) -> None:
    for step in SHIPPED[name].runbook.steps:
        if step.if_not is not None and re.search(r"\bgo on\b", step.if_not.say):
            assert step.if_not.go_to, step.id


@pytest.mark.parametrize("name", SHIPPED)
def test_dro_in_a_step_is_a_command_that_there_is(name: str) -> None:
    for step in SHIPPED[name].runbook.steps:
        if step.command:
            assert step.command[0] == "dro", "what depends on the site is done by hand"
            parse(["x" if "{{" in word else word for word in step.command[1:]])
        said = f"{step.do} {step.expect} {step.if_not.say if step.if_not else ''}"
        for quoted in re.findall(r'"dro ([^"]*)"', said):
            parse(shlex.split(re.sub(r"\{\{.*?\}\}", "x", quoted)), whole=False)


def parse(words: list[str], *, whole: bool = True) -> None:
    """Have click read a command without running it; fails where there is no such one."""
    command: click.Command = dro
    context = click.Context(command)
    while isinstance(command, click.Group) and words:
        _, command, words = command.resolve_command(context, words)  # type: ignore[assignment]
    if whole or any(word.startswith("--") for word in words):
        command.make_context(command.name, list(words))


@pytest.mark.parametrize("name", SHIPPED)
def test_runbook_ends_when_people_work_again(name: str) -> None:
    steps = SHIPPED[name].runbook.steps
    assert [each.id for each in steps if each.people_confirm] == [steps[-1].id]
    assert steps[-1].in_rehearsal is Rehearsal.RUN, "else a rehearsal never comes to its end"


@pytest.mark.parametrize("name", SHIPPED)
def test_backups_are_paused_before_a_restore_and_go_on_before_people_do(name: str) -> None:
    ids = [each.id for each in SHIPPED[name].runbook.steps]
    if "pause" not in ids:
        return
    pause, restore, end = place(name, "pause", "restore", "end-pause")
    assert pause < restore < end < len(ids) - 1


@pytest.mark.parametrize("name", ["emr-server-lost", "file-share-lost", "ransomware"])
def test_somebody_agrees_before_people_are_moved(name: str) -> None:
    restore, agree, cut_over, people = place(
        name, "restore", "agree-cut-over", "cut-over", "people"
    )
    assert restore < agree < cut_over < people
    assert agree + 1 == cut_over


@pytest.mark.parametrize(
    "name", ["emr-server-lost", "file-share-lost", "data-deleted", "building-lost"]
)
def test_somebody_agrees_before_all_may_work_again(name: str) -> None:
    step = SHIPPED[name].runbook.step("agree-open")
    assert step.kind is Kind.APPROVAL
    assert place(name, "restore") < place(name, "agree-open") < place(name, "people")


def test_ransomware_isolates_then_calls_the_insurer_and_wipes_only_then() -> None:
    order = ("isolate", "insurer", "evidence", "pause", "new-keys", "points", "wipe", "restore")
    assert place("ransomware", *order) == sorted(place("ransomware", *order))
    assert place("ransomware", "isolate", "insurer") == [0, 1]
    limits = [each.timer.limit for each in SHIPPED["ransomware"].runbook.steps if each.timer]
    assert [str(each) for each in limits] == ["1 day, 0:00:00", "60 days, 0:00:00"]


def test_deleted_data_is_restored_beside_the_live_data_which_is_saved_before_it_changes() -> None:
    order = ("restore", "compare", "agree-list", "save-live", "put-back", "count")
    assert place("data-deleted", *order) == sorted(place("data-deleted", *order))


def test_triage_leads_to_every_other_runbook() -> None:
    triage = SHIPPED["triage"].runbook
    led = {each.runbook for step in triage.steps for each in step.decide if each.runbook}
    assert led | set(triage.opens) | {"triage"} == set(SHIPPED)
    assert place("triage", "danger", "ransomware", "ours") == [0, 1, 2]


def test_downtime_has_a_whole_way_for_each_lane_and_reads_paper_a_second_time() -> None:
    downtime = SHIPPED["downtime"].runbook
    assert downtime.side_by_side
    assert {"front_desk", "clinician", "manager"} == set(downtime.lanes)
    assert all(len(downtime.of_lane(each)) >= 5 for each in downtime.lanes)
    enter, second, counts = place("downtime", "enter", "second-reading", "counts")
    assert enter < second < counts
    for lane in downtime.lanes:
        assert any(each.cite == "45 CFR 164.308(a)(7)(ii)(C)" for each in downtime.of_lane(lane))


def test_server_lost_is_rehearsed_without_anything_but_the_points() -> None:
    touched = {"unplug", "server-ready", "load", "compare", "cut-over", "pause", "end-pause"}
    steps = {each.id: each for each in SHIPPED["emr-server-lost"].runbook.steps}
    assert all(steps[each].in_rehearsal is Rehearsal.SIMULATE for each in touched)
    assert steps["restore"].in_rehearsal is Rehearsal.RUN
    assert steps["points"].in_rehearsal is Rehearsal.RUN
