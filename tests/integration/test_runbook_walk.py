from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from click.testing import Result as Ended

from dr_orchestrator.cli import (
    incident,
    runbook_resume,
    runbook_start,
    runbook_status,
    runbook_timeline,
)
from dr_orchestrator.cli.main import Context
from dr_orchestrator.core.record import RunbookMoved
from dr_orchestrator.core.runbook import Ending, Event, Move
from dr_orchestrator.errors import Busy, UsageMistake
from tests.support.clock import FakeClock
from tests.support.practices import NOW

PLAN = """\
version: 1
practice: {id: riverside, name: Riverside Family Practice, timezone: America/Chicago}
contacts:
  manager: {role: practice manager, phone: "555-0101"}
repositories:
  onsite: {location: /nonexistent/repository, password: {file: /nonexistent/key}}
systems:
  emr: {title: Medical record, rto: 4h, rpo: 1h, assets: {db: {kind: sqlite, path: /srv/emr.db}}}
  files:
    title: Shared files
    rto: 8h
    rpo: 4h
    runbook: lost
    assets: {docs: {kind: files, path: /srv/docs}}
"""
TRIAGE = """\
version: 1
title: What has happened?
when: nobody knows yet
about: practice
opens: [downtime]
lanes: {responder: {title: Responder}}
steps:
  - id: what
    lane: responder
    kind: decide
    do: What is gone?
    decide: [{answer: Nothing}, {answer: A server, runbook: lost}]
  - {id: rest, lane: responder, kind: manual, do: Go to bed.}
"""
LOST = """\
version: 1
title: A server is lost
when: it is
lanes: {it: {title: Responder}}
steps:
  - {id: look, lane: it, kind: manual, do: "Look at {{ system.title }}."}
  - {id: limit, lane: it, kind: timer, do: The clock runs., timer: {limit: 24h, of: tell them}}
  - {id: people, lane: it, kind: approval, do: Ask whether they can work., people_confirm: true}
"""
RESTORES = """\
version: 1
title: It comes back
when: it is lost
lanes: {responder: {title: Responder}}
steps: [{id: back, lane: responder, kind: restore, do: Restore it., restore: {systems: [this]}}]
"""


class _Ticking(FakeClock):
    """Time passes a little whenever somebody looks, so that nothing happens at one instant."""

    def now(self) -> datetime:
        self.advance(timedelta(milliseconds=1))
        return super().now()


@contextlib.contextmanager
def _keyboard() -> Iterator[int]:
    """Have what is written to the descriptor come in where a person types."""
    before = os.dup(0)
    read_end, write_end = os.pipe()
    os.dup2(read_end, 0)
    os.close(read_end)
    try:
        yield write_end
    finally:
        os.dup2(before, 0)
        os.close(before)


@dataclass
class _Desk:
    """A machine with one practice, and a person before it."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: _Ticking(NOW))

    def context(self) -> Context:
        context = Context()
        context.__dict__["clock"] = self.clock
        return context

    def run(self, command: click.Command, *args: str, typed: str = "") -> Ended:
        """Run a command as a process of its own would; these lines are typed meanwhile."""
        context = self.context()
        context.json = "--json" in args
        with contextlib.closing(context), _keyboard() as keyboard:
            os.write(keyboard, "".join(f"{line}\n" for line in typed.split()).encode())
            os.close(keyboard)
            return CliRunner().invoke(command, args, obj=context, standalone_mode=False)

    def json(self, command: click.Command, *args: str) -> Any:
        return json.loads(self.run(command, *args, "--json").stdout)

    @property
    def status(self) -> list[Any]:
        runs: list[Any] = self.json(runbook_status.command)["runs"]
        return runs


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Desk:
    plans = tmp_path / "plans"
    (plans / "runbooks").mkdir(parents=True)
    (plans / "riverside.yaml").write_text(PLAN)
    for name, text in {"triage": TRIAGE, "lost": LOST, "restores": RESTORES}.items():
        (plans / "runbooks" / f"{name}.yaml").write_text(text)
    settings = tmp_path / "dro.yaml"
    settings.write_text(f"plans: {plans}\nstate: {tmp_path}/state\ncache: {tmp_path}/cache\n")
    monkeypatch.setenv("DRO_SETTINGS", str(settings))
    monkeypatch.chdir(tmp_path)
    return _Desk(tmp_path)


def test_incident_asks_who_and_when_says_what_opens_beside_it_and_goes_from_triage_on(
    desk: _Desk,
) -> None:
    typed = "Robin 17:00 n 18:00 y 2 y 1 d d Robin"
    ended = desk.run(incident.command, "riverside", typed=typed)
    assert (ended.exception, ended.return_value) == (None, 0), ended.output
    for text in (
        "By the clock of Riverside Family Practice it is 19:15 now.",
        "outage: since 21 November 2026, 18:00 (1 h 15 min ago)",
        "dro runbook start downtime riverside --incident --lane front_desk \\\n    --beside 2026",
        "INCIDENT · Riverside Family Practice · What has happened?",
        "DO: Look at Shared files.",
        "INCIDENT · A server is lost, Shared files: completed",
        "dro runbook timeline",
    ):
        assert text in ended.output
    assert not desk.status


def test_incident_goes_on_with_one_that_is_open(desk: _Desk) -> None:
    left = desk.run(incident.command, "riverside", "--by", "Robin", "--outage", "18:00", typed="q")
    assert left.return_value == 130
    assert "step 1 of 2: What is gone?" in left.output
    assert "go on with: dro runbook resume" in left.output
    ended = desk.run(incident.command, "riverside", "--by", "Kim", typed="c 1 d")
    assert ended.return_value == 0
    assert "go on with INCIDENT · What has happened?, step 1 of 2, Robin on" in ended.output
    again = desk.run(incident.command, "riverside", "--by", "Kim", "--outage", "18:00", typed="q")
    assert "go on with INCIDENT" not in again.output


def test_incident_takes_no_rehearsal_for_the_real_thing(desk: _Desk) -> None:
    desk.run(
        incident.command, "riverside", "--by", "R", "--outage", "18:00", "--rehearse", typed="q"
    )
    ended = desk.run(incident.command, "riverside", "--by", "R", "--outage", "18:00", typed="q")
    assert "open at" not in ended.output
    assert {each["mode"] for each in desk.status} == {"incident", "rehearsal"}


def test_start_needs_to_know_whether_it_is_real(desk: _Desk) -> None:
    for flags in ((), ("--rehearse", "--incident")):
        ended = desk.run(runbook_start.command, "lost", "riverside", *flags)
        assert isinstance(ended.exception, UsageMistake)


def test_start_exits_1_when_the_run_is_ended_before_its_last_step(desk: _Desk) -> None:
    args = ("lost", "riverside", "--system", "emr", "--rehearse")
    ended = desk.run(runbook_start.command, *args, typed="x because")
    assert ended.return_value == 1
    assert not desk.status


def test_start_asks_an_incident_for_a_folder_that_is_there_before_it_restores(desk: _Desk) -> None:
    args = ("restores", "riverside", "--system", "emr", "--incident")
    typed = f"{desk.folder}/nothing {desk.folder} q"
    ended = desk.run(runbook_start.command, *args, typed=typed)
    assert f"there is no folder {desk.folder}/nothing" in ended.output
    assert ended.return_value == 130
    rehearsed = desk.run(runbook_start.command, *args[:-1], "--rehearse", typed="q")
    assert "Folder" not in rehearsed.output


def test_start_beside_belongs_to_the_same_incident_and_to_no_other_kind(desk: _Desk) -> None:
    desk.run(incident.command, "riverside", "--by", "R", "--outage", "17:00", typed="q")
    first = desk.status[0]["run"]
    args = ("downtime", "riverside", "--beside", first, "--lane", "manager")
    desk.run(runbook_start.command, *args, "--incident", typed="q")
    beside = desk.status[1]
    assert (beside["incident"], beside["lane"]) == (first, "manager")
    assert beside["outage_at"] == "2026-11-21T23:00:00+00:00"
    refused = desk.run(runbook_start.command, *args, "--rehearse")
    assert isinstance(refused.exception, UsageMistake)


def test_resume_goes_on_with_the_only_one_and_lists_several(desk: _Desk) -> None:
    assert isinstance(desk.run(runbook_resume.command).exception, UsageMistake)
    start = ("lost", "riverside", "--system", "emr", "--rehearse", "--by", "R")
    desk.run(runbook_start.command, *start, typed="d q")
    went_on = desk.run(runbook_resume.command, "--by", "Kim", typed="q")
    assert "STEP 3 of 3" in went_on.output
    desk.run(runbook_start.command, *start, typed="q")
    error = desk.run(runbook_resume.command).exception
    assert isinstance(error, UsageMistake)
    assert error.hint.count("dro runbook resume") == 2


def test_resume_refuses_a_run_that_is_over(desk: _Desk) -> None:
    start = ("lost", "riverside", "--system", "emr", "--rehearse")
    run = _id_of(desk.run(runbook_start.command, *start, typed="x because"))
    error = desk.run(runbook_resume.command, run).exception
    assert isinstance(error, UsageMistake)
    assert "is over: abandoned" in str(error)


def _id_of(ended: Ended) -> str:
    return str(ended.output.split("dro runbook timeline ")[1].split()[0])


def test_resume_opens_the_runbook_that_a_killed_run_had_led_to(desk: _Desk) -> None:
    """Killed between the end of triage and the opening of what it led to."""
    desk.run(incident.command, "riverside", "--by", "R", "--outage", "18:00", typed="2 y")
    (waiting,) = desk.status
    assert (waiting["runbook"], waiting["ending"]) == ("triage", "went on")
    ended = desk.run(runbook_resume.command, typed="2 q")
    assert "DO: Look at Medical record." in ended.output
    (waiting,) = desk.status
    assert (waiting["runbook"], waiting["number"]) == ("lost", 1)


def test_resume_takes_over_a_state_and_keeps_it_up_to_date(desk: _Desk, tmp_path: Path) -> None:
    state = tmp_path / "stick" / "state"
    state.parent.mkdir()
    start = ("lost", "riverside", "--system", "emr", "--rehearse", "--export", str(state))
    left = desk.run(runbook_start.command, *start, typed="d q")
    assert f"on another machine: dro runbook resume {state}" in left.output
    settings = tmp_path / "dro.yaml"
    settings.write_text(settings.read_text().replace(f"{tmp_path}/state", f"{tmp_path}/other"))
    ended = desk.run(runbook_resume.command, str(state), "--by", "Kim", typed="d Kim")
    assert (ended.exception, ended.return_value) == (None, 0), ended.output
    assert "STEP 3 of 3" in ended.output


def test_runbook_that_was_led_to_is_not_opened_twice_where_a_clock_is_behind(
    desk: _Desk, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    args = ("riverside", "--by", "R", "--outage", "18:00", "--export", str(state))
    desk.run(incident.command, *args, typed="2 y")
    led_on = tmp_path / "copied.json"
    led_on.write_bytes(state.read_bytes())
    desk.clock.advance(timedelta(hours=-1))
    desk.run(runbook_resume.command, str(led_on), typed="2 q")
    assert [each["runbook"] for each in desk.status] == ["lost"]
    again = desk.run(runbook_resume.command, str(led_on), typed="2 q")
    assert "is over: went on" in str(again.exception)
    assert [each["runbook"] for each in desk.status] == ["lost"]


def test_walk_says_busy_when_somebody_else_has_gone_on(desk: _Desk) -> None:
    def go_on_elsewhere(keyboard: int) -> None:
        with contextlib.closing(desk.context()) as elsewhere:
            followed = elsewhere.store().followed
            while not (moves := [one for run in followed.runs() for one in followed.moves(run.id)]):
                time.sleep(0.01)
            gone_on = replace(moves[0], number=2, by="Kim", host="elsewhere", event=Event.NOTED)
            elsewhere.store().record(RunbookMoved(move=gone_on))
        os.write(keyboard, b"d\n")

    args = ["lost", "riverside", "--system", "emr", "--rehearse"]
    with contextlib.closing(desk.context()) as context, _keyboard() as keyboard:
        meanwhile = threading.Thread(target=go_on_elsewhere, args=(keyboard,))
        meanwhile.start()
        ended = CliRunner().invoke(runbook_start.command, args, obj=context, standalone_mode=False)
        meanwhile.join()
        os.close(keyboard)
    assert isinstance(ended.exception, Busy)


def test_status_says_where_a_late_joiner_is(desk: _Desk) -> None:
    start = ("lost", "riverside", "--system", "emr", "--incident", "--by", "Robin")
    desk.run(runbook_start.command, *start, "--outage", "18:00", typed="d q")
    told = desk.run(runbook_status.command, "riverside").output
    for text in (
        "INCIDENT · A server is lost, Medical record · Riverside Family Practice",
        "outage 1 h 15 min ago (18:00) · RTO 4 h · 2 h 44 min left",
        "you are here: step 3 of 3: Ask whether they can work.",
        "Robin on ",
        ": tell them (by 22 November, 19:15)",
        "behind: 19:15  done  look",
        "join: dro runbook resume 2026",
    ):
        assert text in told
    (run,) = desk.status
    assert (run["step"], round(run["rto_left_seconds"])) == ("people", 9900)


def test_status_knows_a_practice_that_follows_nothing_and_no_other(desk: _Desk) -> None:
    assert desk.run(runbook_status.command, "riverside").output == "nothing is being followed\n"
    assert isinstance(desk.run(runbook_status.command, "elsewhere").exception, UsageMistake)


def test_timeline_is_complete_and_in_order_over_all_runs(desk: _Desk, tmp_path: Path) -> None:
    desk.run(incident.command, "riverside", "--by", "R", "--outage", "18:00", typed="2 y 2 d q")
    runs = desk.json(runbook_status.command, "--all")["runs"]
    desk.run(runbook_resume.command, "--by", "Kim", typed="d Kim")
    timeline = desk.json(runbook_timeline.command, runs[0]["run"])
    moves = timeline["moves"]
    assert len(moves) == sum(len(_moves(desk, each["run"])) for each in runs)
    assert [each["event"] for each in moves if each["runbook"] == "triage"] == [
        "begun",
        "ended",
        "closed",
    ]
    assert moves[2]["says"] == "went on to the runbook lost"
    assert moves[3]["runbook"] == "lost"
    assert moves[-1]["ending"] == Ending.COMPLETED
    out = tmp_path / "incident.md"
    desk.run(runbook_timeline.command, runs[1]["run"], "--out", str(out))
    text = out.read_text()
    assert "# Incident at Riverside Family Practice" in text
    assert "RTA-drill 1 h 15 min, within the RTO of 4 h" in text
    assert "- people: R, Kim" in text
    assert "Kim on" in text
    assert "due: tell them, by 22 November 2026, 19:15" in text
    assert text == desk.run(runbook_timeline.command, runs[0]["run"]).stdout


def _moves(desk: _Desk, run: str) -> tuple[Move, ...]:
    context = desk.context()
    try:
        return context.store().followed.moves(run)
    finally:
        context.close()
