"""A drill: all systems of a practice back in sandboxes, in recovery order, under one clock, by the
runbooks that a responder would follow. Nobody is asked anything: what people do is simulated, and
its time is shown apart.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.core.identity import new_id
from dr_orchestrator.core.record import RunbookMoved, RunbookOpened
from dr_orchestrator.core.runbook import (
    Drill,
    DrilledSystem,
    DrillKind,
    Ending,
    Event,
    Mode,
    Move,
    RunbookRun,
    StepResult,
)
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify, DroError, Interrupted
from dr_orchestrator.plan.load import effective_yaml
from dr_orchestrator.runbook.follow import Following, follow
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.order import critical_path, waits_for
from dr_orchestrator.runbook.progress import progress_of
from dr_orchestrator.runbook.side_by_side import side_by_side
from dr_orchestrator.runbook.tools import InSandboxes

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.core.record import Entry
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.runbook.desk import Question, Report, View
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.model import Runbook
    from dr_orchestrator.runbook.progress import Behind
    from dr_orchestrator.runbook.tools import RestoredSystem, RunbookTools, SandboxRestore

_NOT_SHOWN = frozenset({StepResult.FAILED, StepResult.NOT_AS_EXPECTED})


@dataclass(frozen=True, kw_only=True)
class DrillRequest:
    """Which systems are drilled, by which runbooks."""

    loaded: LoadedPlan
    systems: tuple[str, ...]
    runbooks: Mapping[str, LoadedRunbook]
    """By system."""
    on_moment: Callable[[str, str], None] = lambda _system, _text: None
    """Is told what becomes of a system, as it does, from any thread."""


def drill_practice(request: DrillRequest, drill_id: str, tools: RunbookTools) -> Drill:
    """Drill, record the runbook runs of its systems, and return what came of it.

    A system whose runbook restores nothing is `unproven`. Recording the drill itself is the
    caller's.

    Raises:
        Interrupted: we were stopped; no drill is recorded.
        TypeError: these tools do not restore to sandboxes.
    """
    if not isinstance(tools.restoring, InSandboxes):
        raise TypeError("a drill restores to sandboxes, and nowhere else")
    plan = request.loaded.plan
    drilling = _Drilling(request, drill_id, tools, tools.restoring.restore)
    waits = waits_for(plan, request.systems)
    for system, others in waits.items():
        if others:
            request.on_moment(system, f"waits for {', '.join(others)}")
    ended = side_by_side(waits, drilling.follow, at_once=tools.at_once)
    systems = tuple(each.drilled for each in ended.values())
    result, reason = _overall(systems)
    return Drill(
        id=drill_id,
        practice=plan.practice.id,
        kind=DrillKind.PRACTICE,
        started_at=drilling.started_at,
        finished_at=tools.clock.now(),
        by=tools.by,
        host=tools.host,
        result=result,
        reason=reason,
        seconds=drilling.watch.elapsed(),
        systems=systems,
        critical_path=critical_path(waits, {each: ended[each].at for each in waits}),
        plan_sha256=drilling.plan_sha256,
        runbooks={each.name: each.sha256 for each in request.runbooks.values()},
    )


def _overall(systems: tuple[DrilledSystem, ...]) -> tuple[Result, str]:
    for result in (Result.FAILED, Result.UNPROVEN):
        if telling := [each for each in systems if each.result is result]:
            return result, "; ".join(f"{each.system}: {each.reason}" for each in telling)
    return Result.PASSED, ""


@dataclass(frozen=True)
class _Ended:
    drilled: DrilledSystem
    at: float
    """Seconds after which nothing waited for it any more."""


class _Drilling:
    """A drill while it is made: its clock, and what each system came to."""

    def __init__(
        self, request: DrillRequest, drill_id: str, tools: RunbookTools, restore: SandboxRestore
    ) -> None:
        self.started_at: datetime = tools.clock.now()
        self.watch = Stopwatch(tools.clock)
        self._request = request
        self._drill_id = drill_id
        self._tools = tools
        self._restores = _Restores(restore, self.watch, tools.at_once, request.on_moment)
        self._plan_text = effective_yaml(request.loaded)
        self.plan_sha256 = hashlib.sha256(self._plan_text.encode()).hexdigest()

    def follow(self, system: str) -> _Ended:
        """Follow the runbook of one system to its end."""
        begun = self.watch.elapsed()
        loaded = self._request.runbooks[system]
        run = self._run(system, loaded)
        following = Following(
            run=run,
            runbook=loaded.runbook,
            plan=self._request.loaded.plan,
            moves=(),
            trusted=run.trusted,
        )
        asked: set[str] = set()
        behind, stuck = self._followed(following, asked)
        beside = [self._restores.of(each) for each in sorted(asked - {*self._request.systems})]
        restore = self._restores.of(system) if system in asked else None
        result, reason = _judged(restore, beside, stuck or _trouble(loaded.runbook, behind))
        made = restore.made if restore else None
        drilled = DrilledSystem(
            system=system,
            runbook=loaded.name,
            run=run.id,
            repository=made.repository if made else "",
            point=made.point if made else "",
            restore_test=made.restore_test if made else "",
            result=result,
            reason=reason,
            begun_seconds=min(begun, restore.begun) if restore else begun,
            ready_seconds=restore.ended if restore and restore.has_passed else None,
            rta_service_seconds=made.rta_service_seconds if made else None,
            by_hand_seconds=_by_hand(loaded.runbook, behind),
        )
        return _Ended(drilled, restore.ended if restore else self.watch.elapsed())

    def _run(self, system: str, loaded: LoadedRunbook) -> RunbookRun:
        tools, plan = self._tools, self._request.loaded
        now = tools.clock.now()
        is_about_it = loaded.runbook.about == "system"
        return RunbookRun(
            id=new_id(now),
            practice=plan.plan.practice.id,
            runbook=loaded.name,
            mode=Mode.DRILL,
            system=system if is_about_it else "",
            lane="",
            incident=self._drill_id,
            outage_at=self.started_at,
            opened_at=now,
            opened_by=tools.by,
            host=tools.host,
            runbook_text=loaded.text,
            runbook_sha256=loaded.sha256,
            plan_text=self._plan_text,
            plan_sha256=self.plan_sha256,
            trusted=loaded.trusted and plan.commands_allowed,
            folder="",
        )

    def _followed(self, following: Following, asked: set[str]) -> tuple[tuple[Behind, ...], str]:
        """Return the steps that were passed, and why no more were; add to `asked` the systems that
        were to be restored.
        """
        moves: list[Move] = []

        def record(entry: Entry) -> None:
            self._tools.record(entry)
            if isinstance(entry, RunbookMoved):
                moves.append(entry.move)

        def restore(system: str, report: Report, _before: datetime | None) -> RestoredSystem:
            asked.add(system)
            return self._restores(system, report)

        tools = replace(
            self._tools,
            record=record,
            export=lambda _run, _moves: None,
            restoring=InSandboxes(restore),
        )

        def close(why: str) -> None:
            record(RunbookMoved(move=self._abandoned(following.run, len(moves) + 1, why)))

        record(RunbookOpened(run=following.run))
        try:
            follow(following, tools, _NobodyThere())
        except Interrupted:
            with contextlib.suppress(DroError):  # that we are to stop is what matters
                close("the drill was stopped")
            raise
        except CouldNotVerify as error:
            close(error.message)
        behind = progress_of(following.run, following.runbook, moves).behind
        return behind, moves[-1].text if moves[-1].ending is Ending.ABANDONED else ""

    def _abandoned(self, run: RunbookRun, number: int, why: str) -> Move:
        return Move(
            run=run.id,
            practice=run.practice,
            number=number,
            at=self._tools.clock.now(),
            by=self._tools.by,
            host=self._tools.host,
            event=Event.CLOSED,
            text=why,
            ending=Ending.ABANDONED,
        )


@dataclass(frozen=True)
class _Restore:
    """One system's restore in a drill; seconds from its start."""

    begun: float
    ended: float
    made: RestoredSystem

    @property
    def has_passed(self) -> bool:
        return self.made.result is Result.PASSED


class _Restores:
    """Restores each system once, however many runbooks ask for it, and times it by the drill's
    clock.
    """

    def __init__(
        self,
        restore: SandboxRestore,
        watch: Stopwatch,
        at_once: int,
        on_moment: Callable[[str, str], None],
    ) -> None:
        self._restore = restore
        self._watch = watch
        self._room = threading.Semaphore(at_once)  # a runbook may restore several side by side
        self._on_moment = on_moment
        self._lock = threading.Lock()
        self._known: dict[str, Future[_Restore]] = {}

    def __call__(self, system: str, report: Report) -> RestoredSystem:
        with self._lock:
            is_first = system not in self._known
            known = self._known.setdefault(system, Future())
        if is_first:
            self._make(system, report, known)
        return known.result().made

    def of(self, system: str) -> _Restore:
        """Return a restore that was asked for, once it has ended."""
        return self._known[system].result()

    def _make(self, system: str, report: Report, known: Future[_Restore]) -> None:
        try:
            with self._room:
                begun = self._watch.elapsed()
                self._on_moment(system, "restoring")
                made = self._restore(system, report, None)
                ended = self._watch.elapsed()
        except BaseException as error:  # noqa: BLE001 - raised by `result`, wherever it is waited for
            known.set_exception(error)
            return
        known.set_result(_Restore(begun, ended, made))
        self._on_moment(system, _words(made))


def _words(made: RestoredSystem) -> str:
    if made.result is Result.PASSED:
        return "restored and verified"
    return f"{made.result.value.upper()}: {made.reason}"


def _judged(restore: _Restore | None, beside: list[_Restore], trouble: str) -> tuple[Result, str]:
    """Return the result of a system: that of its restore, unless there is more to say.

    A step that did not show what it was to show makes nothing fail: it may be one that asks for the
    very outage that a drill only supposes.
    """
    if restore is None:
        return Result.UNPROVEN, trouble or "its runbook does not restore it in a drill"
    made = [restore.made, *(each.made for each in beside)]
    for result in (Result.FAILED, Result.UNPROVEN):
        if telling := [each for each in made if each.result is result]:
            reason = telling[0].reason
            return result, reason if telling[0] is made[0] else f"{telling[0].system}: {reason}"
    return (Result.UNPROVEN, trouble) if trouble else (Result.PASSED, "")


def _trouble(runbook: Runbook, behind: tuple[Behind, ...]) -> str:
    """Return which step of a runbook did not work when it was last passed; of restores, their own
    result tells.
    """
    last = {each.step: each for each in behind}
    for each in last.values():
        if each.result in _NOT_SHOWN and runbook.step(each.step).kind is not Kind.RESTORE:
            return f"step {each.step} of its runbook: {each.result.value}"
    return ""


def _by_hand(runbook: Runbook, behind: tuple[Behind, ...]) -> float:
    passed = (runbook.step(each.step) for each in behind if each.result is not StepResult.SKIPPED)
    return sum(
        step.normal.total_seconds() for step in passed if step.normal and not step.is_done_by_us
    )


class _NobodyThere:
    """A desk at which nobody sits: a drill asks nobody anything."""

    def ask(self, view: View, _question: Question) -> str:
        """Answer nothing.

        Raises:
            CouldNotVerify: always.
        """
        raise CouldNotVerify(f"step {view.step} of its runbook asks somebody, and a drill nobody")

    @contextlib.contextmanager
    def working(self, _view: View, _doing: str) -> Iterator[Report]:
        """Show nothing: the drill says what becomes of its systems."""
        yield lambda _doing: None

    def output(self, _view: View, _lines: tuple[str, ...]) -> None:
        """Show nothing."""

    def over(self, _view: View, _words: tuple[str, ...]) -> None:
        """Say nothing."""
