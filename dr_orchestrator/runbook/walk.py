"""One person's way through one run: what was moved so far, and the only ways to add to it.

Each move is on disk before whatever it leads to is shown or done. Moves may come from several
threads, while systems are restored side by side: they are numbered under one lock.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.record import RunbookMoved
from dr_orchestrator.core.runbook import Ending, Event, Move, StepResult
from dr_orchestrator.core.wording import duration_words, printable
from dr_orchestrator.errors import DroError, Interrupted
from dr_orchestrator.runbook.desk import Choice, Question
from dr_orchestrator.runbook.progress import progress_of, step_after
from dr_orchestrator.runbook.values import fill_step, fingerprint, values_of
from dr_orchestrator.runbook.view import systems_shown, values_now, view_of
from dr_orchestrator.store.codec import storable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dr_orchestrator.runbook.desk import Desk, PointLine, View
    from dr_orchestrator.runbook.follow import Following
    from dr_orchestrator.runbook.model import Step
    from dr_orchestrator.runbook.progress import Progress
    from dr_orchestrator.runbook.tools import RunbookTools
    from dr_orchestrator.runbook.values import Values

_NOTE = Choice("w", "write a note")
_LEAVE = Choice("q", "leave; go on later")
_END = Choice("x", "end this run for good")
DONE, NOT_SO = Choice("d", "done"), Choice("n", "not as expected")
GO, SKIP = Choice("g", "go"), Choice("s", "skip this step")
_MINUTE = timedelta(minutes=1)


class RunClosed(Exception):
    """The run was closed by the person who follows it."""


class Walk:
    """A run that is being followed, by one person on one machine: `moves` so far, and `progress`,
    which is where they leave it.

    Who comes to a run that others moved takes it over with their first own move, and consents to
    nothing before; looking at it leaves no trace, so that those others can go on meanwhile.
    """

    def __init__(self, following: Following, tools: RunbookTools, desk: Desk) -> None:
        self.following = following
        self.run, self.runbook, self.plan = following.run, following.runbook, following.plan
        self.tools = replace(tools, points=self._points)
        self.desk = desk
        self._ask_points = tools.points
        self._points_shown: dict[
            tuple[tuple[str, ...], datetime | None], tuple[PointLine, ...]
        ] = {}
        self._plan_values = values_of(self.plan, self.run.system)
        self.moves: Sequence[Move] = following.moves
        self.progress = progress_of(self.run, self.runbook, self.moves)
        self._is_taken_over = not self.moves or self.progress.ending is not None
        if not self._is_taken_over:
            taking = (*self.moves, self._next_move(Event.TAKEN_OVER))
            self.progress = progress_of(self.run, self.runbook, taking)
        self._lock = threading.Lock()
        self._not_exported = ""

    @property
    def values(self) -> Values:
        """What is filled in, as it is known just now."""
        progress = self.progress
        systems = systems_shown(self.run, self.plan, self._raw(progress))
        points = self._points(systems, progress.before)
        now = values_now(self.run, self.plan, progress, points, by=self.tools.by)
        return {**self._plan_values, **now}

    @property
    def step(self) -> Step:
        """The current step, filled in."""
        return fill_step(self._raw(self.progress), self.values, blank=True)

    @property
    def raw_step(self) -> Step:
        """The current step as the file has it."""
        return self._raw(self.progress)

    def _raw(self, progress: Progress) -> Step:
        return self.runbook.step(progress.step)

    def _points(self, systems: tuple[str, ...], before: datetime | None) -> tuple[PointLine, ...]:
        """Return the chosen points, which stay what they are while a step is shown."""
        asked = (systems, before)
        if asked not in self._points_shown:
            self._points_shown[asked] = self._ask_points(*asked)
        return self._points_shown[asked]

    def view(self, notes: tuple[str, ...] = ()) -> View:
        """Return what is shown now, with further notes at the top."""
        view = view_of(self.following, self.progress, self.tools, self.tools.clock.now())
        unwritten = (self._not_exported,) if self._not_exported else ()
        others = (*self._here_before(), *self.tools.elsewhere())
        return replace(view, notes=(*notes, *unwritten, *others, *view.notes))

    def _here_before(self) -> tuple[str, ...]:
        """Say who may still be at it, until it is taken over."""
        if self._is_taken_over:
            return ()
        last = self.moves[-1]
        ago = (self.tools.clock.now() - last.at) // _MINUTE * _MINUTE
        when = f"{duration_words(ago)} ago" if ago > timedelta(0) else "just now"
        return (f"here before you: {last.by} on {last.host}, {when}",)

    def record(self, event: Event, **said: Any) -> Move:
        """Write the next move down; it is on disk when this returns.

        Raises:
            Busy: somebody else has gone on meanwhile.
        """
        with self._lock:
            if not self._is_taken_over:
                self._write_down(self._next_move(Event.TAKEN_OVER))
                self._is_taken_over = True
            texts = {key: storable(each) for key, each in said.items() if type(each) is str}
            move = self._next_move(event, **{**said, **texts})
            self._write_down(move)
            self.progress = progress_of(self.run, self.runbook, self.moves)
            self.export()
        if event is Event.BEGUN:
            self._points_shown.clear()
        return move

    def _next_move(self, event: Event, **said: Any) -> Move:
        return Move(
            run=self.run.id,
            practice=self.run.practice,
            number=len(self.moves) + 1,
            at=self.tools.clock.now(),
            by=self.tools.by,
            host=self.tools.host,
            event=event,
            step=self.progress.step,
            visit=self.progress.visit,
            **said,
        )

    def _write_down(self, move: Move) -> None:
        self.tools.record(RunbookMoved(move=move))
        self.moves = (*self.moves, move)

    def export(self) -> None:
        """Bring the exported state up to date. Where that fails, the recovery still goes on, and
        every view says so: the stick may have been pulled out.
        """
        try:
            self.tools.export(self.run, self.moves)
            self._not_exported = ""
        except DroError as error:
            self._not_exported = f"the exported state is NOT up to date: {error.message}"

    def ask(
        self,
        text: str,
        *choices: Choice,
        until: datetime | None = None,
        notes: tuple[str, ...] = (),
    ) -> str:
        """Return the key of one of the choices; empty once `until` is over. Notes that are written
        meanwhile, leaving, and ending the run are seen to here.

        Raises:
            Interrupted: the person leaves.
            RunClosed: the person ended the run.
        """
        keys = {each.key for each in choices}
        question = Question(text=text, choices=(*choices, _NOTE, _LEAVE, _END), until=until)
        while True:
            answer = self.desk.ask(self.view(notes), question)
            if answer in keys:
                return answer
            if not answer and until is not None and until <= self.tools.clock.now():
                return ""
            if answer == _LEAVE.key:
                raise Interrupted
            if answer == _NOTE.key:
                self._write_note()
            if answer == _END.key:
                self._end_for_good()

    def type_in(self, text: str, *, notes: tuple[str, ...] = ()) -> str:
        """Return what the person types; empty where nothing is meant after all."""
        return printable(self.desk.ask(self.view(notes), Question(text=text)))

    def _write_note(self) -> None:
        if note := self.type_in("note for the timeline (nothing about patients)"):
            self.record(Event.NOTED, text=note)

    def _end_for_good(self) -> None:
        why = self.type_in("why does this run end here? (empty: it goes on)")
        if why:
            self.abandon(why)

    def abandon(self, why: str) -> None:
        """Close the run before its last step.

        Raises:
            RunClosed: always.
        """
        self.record(Event.CLOSED, ending=Ending.ABANDONED, text=why)
        raise RunClosed

    def end(self, result: StepResult, *, goes_to: str | None = None, text: str = "") -> None:
        """End the current step, and go on at `goes_to`: at the next one where that is `None`."""
        progress, now = self.progress, self.tools.clock.now()
        taken = (now - progress.begun_at).total_seconds() if progress.begun_at else 0.0
        after = step_after(self.run, self.runbook, progress.step) if goes_to is None else goes_to
        self.record(
            Event.ENDED,
            result=result,
            goes_to=after,
            text=text,
            fingerprint=self._exercised(progress),
            seconds=max(taken, 0.0),
        )

    def _exercised(self, progress: Progress) -> str:
        """Return the fingerprint of the current step; empty where its program was to do it, and a
        person did it by hand instead.
        """
        step = self._raw(progress)
        if step.command and not any(not each.subject for each in progress.finished):
            return ""
        return fingerprint(step, self._plan_values)

    def skip(self) -> None:
        """End the current step undone, if the person says why."""
        warning = ("this step is CRITICAL: nothing should go on without it",)
        why = self.type_in(
            "why is it skipped? (empty: it is not)",
            notes=warning if self.raw_step.critical else (),
        )
        if why:
            self.end(StepResult.SKIPPED, text=why)

    def went_wrong(self, result: StepResult, why: str = "") -> None:
        """End a step that did not show what was expected, once the person knows what to do now."""
        step = self.step
        to, say = step.id, "this step again"
        if step.if_not and step.if_not.go_to:
            to, say = step.if_not.go_to, f"go on at `{step.if_not.go_to}`"
        pass_on = () if step.critical else (Choice("p", "go on without it"),)
        words = (f"{result}: {why}" if why else f"{result}", step.if_not.say if step.if_not else "")
        text = ". ".join(each for each in words if each)
        key = self.ask(text, Choice("a", say), *pass_on)
        self.end(result, goes_to=to if key == "a" else None, text=why)
