"""Where a runbook run stands: a pure function of the runbook and of its moves.

Nothing else is remembered, so a crash loses nothing: whoever reads the moves is where they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Event, Mode, StepResult
from dr_orchestrator.runbook.model import Kind

if TYPE_CHECKING:
    from dr_orchestrator.core.runbook import Ending, Move, RunbookRun
    from dr_orchestrator.runbook.model import Runbook

TO_RUNBOOK = "runbook:"
"""What a move goes to begins with this where it is another runbook."""
BREAK_GLASS = "manager, that nobody agreed"
"""Subject of telling the manager, at once, that a step went on without a second person."""


class State(StrEnum):
    """What the current step waits for."""

    TO_BEGIN = "to begin"
    """It was not shown yet."""
    SHOWN = "shown"
    """Somebody is at it."""
    RUNNING = "running"
    """What it does was set going, by somebody who did not record how it ended: is it done?"""
    OVER = "over"
    """There is no step left."""


@dataclass(frozen=True, kw_only=True)
class Behind:
    """A step that is behind us."""

    step: str
    visit: int
    result: StepResult
    ended_at: datetime
    by: str
    seconds: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A time limit that runs."""

    of: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands."""

    state: State
    step: str
    """The current one; empty where it is over."""
    visit: int
    begun_at: datetime | None
    """When it was first shown, on this visit."""
    attempts: int
    """How often what it does was started on this visit, of the subject that was last."""
    unsure: tuple[str, ...]
    """Subjects that were started and of which nobody recorded an end (`""` for a command)."""
    finished: tuple[Move, ...]
    """What was started on this visit and came to an end, the newest of each subject."""
    id_typed: bool
    """Whether the practice's id was typed on this visit, for the attempt that is next."""
    agreed_by: str
    """Who agreed as second person on this visit, or why nobody could; empty."""
    glass_broken: bool
    """Whether nobody could, on this visit: the manager is told."""
    commands_confirmed: bool
    """Whether a person let the commands run since the run was last taken up: whatever a state says
    that came from elsewhere, it confirms nothing on this machine.
    """
    behind: tuple[Behind, ...]
    limits: tuple[Limit, ...]
    notes: tuple[Move, ...]
    points_chosen: bool
    """Whether it was said on this visit which points come back."""
    before: datetime | None
    """The newest points count that were made before this; `None`: the newest. What the newest
    restore step was told, until the next one."""
    restored: tuple[Move, ...]
    """Restores that came to an end, in the whole run, the newest of each system."""
    people_at: datetime | None
    """When people confirmed that they work again: RTA-drill ends here. Never in a rehearsal that
    did not bring back what its runbook does."""
    ending: Ending | None
    goes_on: str
    """Name of the runbook that it led to; empty where it led to none."""

    def rta_drill(self, outage_at: datetime) -> timedelta | None:
        """Return how long the outage lasted; `None` while it does, and where a clock that was set
        back meanwhile leaves no telling.
        """
        if self.people_at is None or self.people_at < outage_at:
            return None
        return self.people_at - outage_at


def progress_of(run: RunbookRun, runbook: Runbook, moves: Sequence[Move]) -> Progress:
    """Return where a run stands after these moves, in order.

    Raises:
        ValueError: the moves cannot be of this runbook.
    """
    fold = _Fold(run, runbook)
    for number, move in enumerate(moves, 1):
        if (move.run, move.number) != (run.id, number):
            raise ValueError(f"move {number} of {run.id} is missing")
        fold.take(move)
    return fold.progress()


def chosen_before(move: Move) -> datetime | None:
    """Return the instant before which points were chosen to be; `None`: the newest were.

    Raises:
        ValueError: it is none.
    """
    if not move.text:
        return None
    before = datetime.fromisoformat(move.text)
    if before.tzinfo is None:
        raise ValueError(f"move {move.number} has no time zone")
    return before


def step_after(run: RunbookRun, runbook: Runbook, step_id: str) -> str:
    """Return the id of the step that comes next unless something leads elsewhere, or empty."""
    ids = [each.id for each in runbook.of_lane(run.lane)]
    return next(iter(ids[ids.index(step_id) + 1 :]), "")


_OF_THE_RUN = frozenset(
    {Event.NOTED, Event.TAKEN_OVER, Event.COMMANDS_CONFIRMED, Event.CLOSED},
)
"""What may be said at any time; all else is about the step that was begun."""


class _Fold:
    """Where a run stands, while its moves are gone through."""

    def __init__(self, run: RunbookRun, runbook: Runbook) -> None:
        self._is_incident = run.mode is Mode.INCIDENT
        steps = runbook.of_lane(run.lane)
        self._people_confirm = {each.id for each in steps if each.people_confirm}
        self._restoring = {each.id for each in steps if each.kind is Kind.RESTORE}
        ids = [each.id for each in steps]
        if not ids:
            raise ValueError(f"there is no lane {run.lane}")
        self._ids = frozenset(ids)
        self._visits = Counter[str]()
        self._confirmed = False
        self._behind: list[Behind] = []
        self._limits: list[Limit] = []
        self._notes: list[Move] = []
        self._restored: dict[str, Move] = {}
        self._before: datetime | None = None
        self._people_at: datetime | None = None
        self._ending: Ending | None = None
        self._goes_on = ""
        self._come_to(ids[0])

    def _come_to(self, step: str) -> None:
        """Go on at a step, or at none."""
        if step and step not in self._ids:
            raise ValueError(f"there is no step {step}")
        self._step = step
        self._visits[step] += 1
        self._begun_at: datetime | None = None
        self._started: list[str] = []
        self._unsure: dict[str, None] = {}
        self._finished: dict[str, Move] = {}
        self._id_typed = self._glass_broken = self._points_chosen = False
        self._agreed_by = ""

    def take(self, move: Move) -> None:
        """Take the next move."""
        if self._ending is not None:
            raise ValueError(f"move {move.number} comes after the end")
        if move.step and move.step not in self._ids:
            raise ValueError(f"there is no step {move.step}")
        if move.event in _OF_THE_RUN:
            self._take_of_run(move)
            return
        begun = self._begun_at is not None
        here = (self._step, self._visits[self._step])
        if (
            not self._step
            or (move.step, move.visit) != here
            or (move.event is Event.BEGUN) is begun
        ):
            raise ValueError(f"move {move.number} does not follow from those before it")
        self._take_of_step(move)

    def _take_of_run(self, move: Move) -> None:
        match move.event:
            case Event.NOTED:
                self._notes.append(move)
            case Event.TAKEN_OVER:
                self._confirmed = self._id_typed = False
                if move.by.casefold() == self._agreed_by.casefold():
                    self._agreed_by = ""  # who does it now is no second person
            case Event.COMMANDS_CONFIRMED:
                self._confirmed = True
            case _:
                self._ending = move.ending
                self._come_to("")

    def _take_of_step(self, move: Move) -> None:
        match move.event:
            case Event.BEGUN:
                self._begun_at = move.at
                if move.step in self._restoring:
                    self._before = None
            case Event.STARTED:
                self._started.append(move.subject)
                self._unsure[move.subject] = None
                self._id_typed = False
            case Event.FINISHED | Event.FOUND:
                self._come_to_an_end(move)
            case Event.CONFIRMED:
                self._id_typed = True
            case Event.SECONDED | Event.BROKE_GLASS:
                self._agreed_by = move.text
                self._glass_broken = move.event is Event.BROKE_GLASS
            case Event.CHOSEN:
                self._points_chosen = True
                self._before = chosen_before(move)
            case Event.CLOCK:
                until = move.at + timedelta(seconds=move.seconds or 0.0)
                self._limits.append(Limit(of=move.text, until=until))
            case _:
                self._end(move)

    def _come_to_an_end(self, move: Move) -> None:
        self._unsure.pop(move.subject, None)
        self._finished.pop(move.subject, None)
        self._finished[move.subject] = move
        if move.step in self._restoring and move.subject != BREAK_GLASS:
            self._restored[move.subject] = move

    def _end(self, move: Move) -> None:
        result = move.result or StepResult.FAILED
        self._behind.append(
            Behind(
                step=move.step,
                visit=move.visit,
                result=result,
                ended_at=move.at,
                by=move.by,
                seconds=move.seconds or 0.0,
                text=move.text,
            )
        )
        if move.step in self._people_confirm:
            works = result is StepResult.DONE and self._has_brought_back()
            self._people_at = move.at if works else None
        elsewhere = move.goes_to.startswith(TO_RUNBOOK)
        self._goes_on = move.goes_to.removeprefix(TO_RUNBOOK) if elsewhere else ""
        self._come_to("" if elsewhere else move.goes_to)

    def _has_brought_back(self) -> bool:
        """Return whether people can have what they confirm: in an incident, they say themselves."""
        if self._is_incident or not self._restoring:
            return True
        last = {each.step: each.result for each in self._behind if each.step in self._restoring}
        return set(last.values()) == {StepResult.DONE}

    def _state(self) -> State:
        if not self._step:
            return State.OVER
        if self._begun_at is None:
            return State.TO_BEGIN
        return State.RUNNING if self._unsure else State.SHOWN

    def progress(self) -> Progress:
        """Return where it stands."""
        return Progress(
            state=self._state(),
            step=self._step,
            visit=self._visits[self._step] if self._step else 0,
            begun_at=self._begun_at,
            attempts=self._started.count(self._started[-1]) if self._started else 0,
            unsure=tuple(self._unsure),
            finished=tuple(self._finished.values()),
            id_typed=self._id_typed,
            agreed_by=self._agreed_by,
            glass_broken=self._glass_broken,
            commands_confirmed=self._confirmed,
            behind=tuple(self._behind),
            limits=tuple(self._limits),
            notes=tuple(self._notes),
            points_chosen=self._points_chosen,
            before=self._before,
            restored=tuple(self._restored.values()),
            people_at=self._people_at,
            ending=self._ending,
            goes_on=self._goes_on,
        )
