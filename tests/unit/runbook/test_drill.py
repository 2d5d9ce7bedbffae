"""What a drill makes of what its restores come to: no program, nothing restored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dr_orchestrator.core.record import Entry, RunbookMoved, RunbookOpened
from dr_orchestrator.core.runbook import Drill, DrilledSystem, Ending, Event, Mode
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import Interrupted
from dr_orchestrator.plan.effective import written
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.runbook.desk import Report
from dr_orchestrator.runbook.drill import DrillRequest, drill_practice
from dr_orchestrator.runbook.load import LoadedRunbook
from dr_orchestrator.runbook.model import Runbook
from dr_orchestrator.runbook.order import waits_for
from dr_orchestrator.runbook.tools import (
    CommandEnded,
    InSandboxes,
    RestoredSystem,
    RunbookTools,
    ToNewDirectories,
)
from tests.support.clock import FakeClock
from tests.support.practices import plan, system

PLAN = plan(
    {
        "directory": system("Directory"),
        "emr": system("Record", depends_on=["directory"]),
        "shares": system("Shares", depends_on=["directory"]),
    }
)
LOADED = replace(
    read_plan(written(PLAN).encode(), "riverside.yaml"), plan=PLAN, commands_allowed=True
)
UNPLUG = {"id": "unplug", "kind": "manual", "do": "Pull the cable.", "normal": "5m"}
RESTORE = {"id": "restore", "kind": "restore", "do": "Restore.", "restore": {}}
RESTORE_ALL = {**RESTORE, "restore": {"systems": ["all"]}}
COMPARE = {"id": "compare", "kind": "check", "do": "Compare.", "normal": "10m"}
LOOK = {"id": "look", "kind": "check", "do": "Look.", "command": ["look"], "critical": True}


def runbook(*steps: dict[str, Any]) -> LoadedRunbook:
    """Return a runbook of these steps."""
    content = {
        "version": 1,
        "title": "It is lost",
        "when": "it is lost",
        "lanes": {"responder": {"title": "Responder"}},
        "steps": [{**each, "lane": "responder"} for each in steps],
    }
    return LoadedRunbook(
        name="lost",
        runbook=Runbook.model_validate(content),
        origin="lost.yaml",
        text="",
        sha256="5f1d",
        trusted=True,
    )


@dataclass
class Drilled:
    """A drill's surroundings: each restore takes a minute of the clock."""

    results: dict[str, tuple[Result, str]] = field(default_factory=dict)
    exit_code: int = 0
    clock: FakeClock = field(default_factory=FakeClock)
    entries: list[Entry] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    moments: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _system: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def restore(self, system: str, report: Report, before: datetime | None) -> RestoredSystem:
        """Come to the result that was set, a minute later."""
        self.before(system)
        with self.lock:
            self.clock.advance(timedelta(minutes=1))
            self.restored.append(system)
        result, reason = self.results.get(system, (Result.PASSED, ""))
        return RestoredSystem(
            system=system,
            result=result,
            reason=reason,
            point="20261118-110000-4k7q2z",
            repository="onsite",
            seconds=60.0,
            restore_test=f"test of {system}",
            rta_service_seconds=50.0,
        )

    @property
    def tools(self) -> RunbookTools:
        """What a drill works with."""
        return RunbookTools(
            clock=self.clock,
            by="Jo",
            host="rescue",
            record=self.entries.append,
            export=lambda _run, _moves: pytest.fail("a drill exports nothing"),
            run_command=self._run,
            tell=lambda *_: pytest.fail("a drill tells nobody"),
            restoring=InSandboxes(self.restore),
            points=lambda _systems, _before: (),
            waits_for=lambda systems: waits_for(PLAN, systems),
            at_once=2,
        )

    def _run(self, _argv: tuple[str, ...], _limit: timedelta) -> CommandEnded:
        return CommandEnded(
            exit_code=self.exit_code, reason="it says no", output_sha256="", seconds=0.1, output=()
        )

    def drill(
        self,
        *steps: dict[str, Any],
        systems: tuple[str, ...] = tuple(waits_for(PLAN, PLAN.protected)),
        **others: LoadedRunbook,
    ) -> Drill:
        """Drill systems by a runbook of these steps, but for those with `others`."""
        request = DrillRequest(
            loaded=LOADED,
            systems=systems,
            runbooks={each: others.get(each) or runbook(*steps) for each in systems},
            on_moment=lambda system, text: self.moments.append((system, text)),
        )
        return drill_practice(request, "20261118-120000-8v3n1c", self.tools)

    def endings(self) -> list[tuple[Ending | None, str]]:
        """Return how the runbook runs were closed, and what was said of it."""
        moves = [each.move for each in self.entries if isinstance(each, RunbookMoved)]
        return [(each.ending, each.text) for each in moves if each.event is Event.CLOSED]


def of(drill: Drill, name: str) -> DrilledSystem:
    (found,) = [each for each in drill.systems if each.system == name]
    return found


def test_drill_passes_and_times_each_system_by_one_clock() -> None:
    site = Drilled()

    drill = site.drill(UNPLUG, RESTORE, COMPARE)

    assert (drill.result, drill.reason, drill.seconds) == (Result.PASSED, "", 180.0)
    assert [each.system for each in drill.systems] == ["directory", "emr", "shares"]
    assert (drill.systems[0].begun_seconds, drill.systems[0].ready_seconds) == (0.0, 60.0)
    assert {each.ready_seconds for each in drill.systems[1:]} == {120.0, 180.0}
    assert all(each.begun_seconds >= 60.0 for each in drill.systems[1:])
    assert [each.by_hand_seconds for each in drill.systems] == [900.0] * 3
    assert drill.runbooks == {"lost": "5f1d"}
    opened = [each.run for each in site.entries if isinstance(each, RunbookOpened)]
    assert {(each.mode, each.incident) for each in opened} == {(Mode.DRILL, drill.id)}
    assert [ending for ending, _ in site.endings()] == [Ending.COMPLETED] * 3


def test_drill_tells_what_waits_and_what_becomes_of_it() -> None:
    site = Drilled(results={"directory": (Result.FAILED, "a pack is damaged")})

    site.drill(RESTORE)

    assert site.moments[0] == ("emr", "waits for directory")
    assert ("directory", "FAILED: a pack is damaged") in site.moments
    assert ("emr", "restored and verified") in site.moments


def test_drill_fails_with_one_system_and_tries_what_depends_on_it() -> None:
    site = Drilled(results={"directory": (Result.FAILED, "a pack is damaged")})

    drill = site.drill(RESTORE)

    assert (drill.result, drill.reason) == (Result.FAILED, "directory: a pack is damaged")
    assert of(drill, "directory").ready_seconds is None
    assert of(drill, "emr").result is of(drill, "shares").result is Result.PASSED


@pytest.mark.parametrize("critical", [True, False])
def test_drill_is_unproven_where_a_restore_could_not_be_verified(critical: bool) -> None:
    site = Drilled(results={"emr": (Result.UNPROVEN, "no sandbox")})

    drill = site.drill({**RESTORE, "critical": critical}, COMPARE)

    assert (drill.result, drill.reason) == (Result.UNPROVEN, "emr: no sandbox")


def test_drill_restores_each_system_once_however_many_runbooks_do() -> None:
    site = Drilled()

    drill = site.drill(RESTORE_ALL)

    assert sorted(site.restored) == ["directory", "emr", "shares"]
    assert drill.result is Result.PASSED
    assert {each.restore_test for each in drill.systems} == {
        "test of directory",
        "test of emr",
        "test of shares",
    }
    assert all(
        each.ready_seconds is not None and each.begun_seconds < each.ready_seconds
        for each in drill.systems
    )


def test_drill_fails_each_system_for_itself_where_one_runbook_restores_all() -> None:
    site = Drilled(results={"shares": (Result.FAILED, "a pack is damaged")})

    drill = site.drill(RESTORE_ALL)

    results = {each.system: each.result for each in drill.systems}
    assert results == {
        "directory": Result.PASSED,
        "emr": Result.PASSED,
        "shares": Result.FAILED,
    }


def test_drill_of_one_system_fails_with_what_its_runbook_restores_beside_it() -> None:
    site = Drilled(results={"shares": (Result.FAILED, "a pack is damaged")})

    drill = site.drill(RESTORE_ALL, systems=("emr",))

    assert (drill.result, drill.reason) == (Result.FAILED, "emr: shares: a pack is damaged")


def test_drill_is_unproven_where_a_runbook_restores_nothing() -> None:
    drill = Drilled().drill(RESTORE, emr=runbook(UNPLUG))

    assert (of(drill, "emr").result, of(drill, "emr").reason) == (
        Result.UNPROVEN,
        "its runbook does not restore it in a drill",
    )
    assert of(drill, "emr").by_hand_seconds == 300.0
    assert drill.result is Result.UNPROVEN


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((LOOK, RESTORE), "look: it says no"),
        ((RESTORE, LOOK), "look: it says no"),
        ((RESTORE, {**LOOK, "critical": False}), "step look of its runbook: not as expected"),
    ],
)
def test_drill_is_unproven_and_not_failed_where_another_step_does_not_work(
    steps: tuple[dict[str, Any], ...], reason: str
) -> None:
    drill = Drilled(exit_code=1).drill(RESTORE, emr=runbook(*steps))

    assert (of(drill, "emr").result, of(drill, "emr").reason) == (Result.UNPROVEN, reason)
    assert of(drill, "shares").result is Result.PASSED


def test_drill_that_is_stopped_closes_its_runs() -> None:
    def stop(system: str) -> None:
        if system == "directory":
            raise Interrupted

    site = Drilled(before=stop)

    with pytest.raises(Interrupted):
        site.drill(UNPLUG, RESTORE)

    assert site.endings() == [(Ending.ABANDONED, "the drill was stopped")]


def test_drill_refuses_to_restore_anywhere_but_to_sandboxes() -> None:
    site = Drilled()
    request = DrillRequest(loaded=None, systems=(), runbooks={})  # type: ignore[arg-type]
    tools = replace(site.tools, restoring=ToNewDirectories(site.restore))

    with pytest.raises(TypeError, match="sandboxes"):
        drill_practice(request, "20261118-120000-8v3n1c", tools)
