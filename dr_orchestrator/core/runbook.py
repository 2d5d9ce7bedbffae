"""What is remembered of runbooks that were followed, and of drills.

A runbook run is a list of moves, each written down before anybody sees what it leads to. Where a
run stands is worked out from them and from nothing else, so whoever has them can go on: after a
crash, after hours, on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dr_orchestrator.core.verification import Result


class Mode(StrEnum):
    """What following a runbook may touch."""

    REHEARSAL = "rehearsal"
    """Nothing live: what is restored lands in sandboxes, what is destructive is only said."""
    DRILL = "drill"
    """As a rehearsal, and nobody is asked: what people do is simulated."""
    INCIDENT = "incident"
    """The real thing."""


class Event(StrEnum):
    """What a move says."""

    BEGUN = "begun"
    """A step was come to, and is shown."""
    STARTED = "started"
    """What the step does was set going: its command, one telling, one system's restore."""
    FINISHED = "finished"
    """… and came to an end."""
    FOUND = "found"
    """Nobody recorded how it ended, and a person looked and said whether it was done; or it was
    restored on an earlier visit, and a person said that this is kept."""
    COMMANDS_CONFIRMED = "commands confirmed"
    """A person read the commands of a runbook that is no file of this machine, and lets them
    run."""
    CONFIRMED = "confirmed"
    """The practice's id was typed before something destructive."""
    SECONDED = "seconded"
    """A second person agreed."""
    BROKE_GLASS = "broke glass"
    """Nobody else could be reached; `text` says why."""
    CHOSEN = "chosen"
    """It was said which points come back: the newest, or with `text`, an instant in ISO 8601, the
    newest that were made before that."""
    NOTED = "noted"
    """Somebody wrote something down."""
    CLOCK = "clock"
    """A time limit runs from now; `text` says of what, `seconds` for how long."""
    TAKEN_OVER = "taken over"
    """Another person, another machine, or the same after a pause, goes on."""
    ENDED = "ended"
    """A step ended, with a result, and goes on at `goes_to`."""
    CLOSED = "closed"
    """Nothing more is done in this run."""


class StepResult(StrEnum):
    """How a step ended."""

    DONE = "done"
    NOT_AS_EXPECTED = "not as expected"
    FAILED = "failed"
    SIMULATED = "simulated"
    """A rehearsal only said what would have been done."""
    SKIPPED = "skipped"


class Ending(StrEnum):
    """How a runbook run ended."""

    COMPLETED = "completed"
    """Its last step was reached."""
    WENT_ON = "went on"
    """It led to another runbook, which has a run of its own."""
    ABANDONED = "abandoned"
    """A person ended it before its last step; the move says why."""


@dataclass(frozen=True, kw_only=True)
class RunbookRun:
    """One following of one runbook, with all it takes to go on with it elsewhere."""

    id: str
    practice: str
    runbook: str
    """Its name: that of its file, without the suffix."""
    mode: Mode
    system: str
    """What it is about; empty where the runbook is about the practice as a whole."""
    lane: str
    """Whose steps alone are followed; empty: all of them."""
    incident: str
    """Id of the first run of the same incident, rehearsal or drill: its own where it is that."""
    outage_at: datetime
    """When the outage was declared: RTA-drill counts from here."""
    opened_at: datetime
    opened_by: str
    host: str
    runbook_text: str
    """The file as it was when the run was opened: edits do not reach a run."""
    runbook_sha256: str
    plan_text: str
    """The effective plan, likewise; it names secrets and holds none."""
    plan_sha256: str
    trusted: bool
    """Whether its commands may run on the machine it was opened on without being confirmed."""
    folder: str
    """Where live restores of an incident go, each to a new folder below; empty otherwise."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """One line of the timeline of a runbook run. Numbered from 1 without a gap."""

    run: str
    practice: str
    number: int
    at: datetime
    by: str
    host: str
    event: Event
    step: str = ""
    visit: int = 0
    """The how-manieth time the step was come to, from 1: what did not work leads back."""
    subject: str = ""
    """What was started or finished: a contact, a system; empty for a command."""
    result: StepResult | None = None
    goes_to: str = ""
    """Id of a step, `runbook:NAME`, or empty: the end."""
    text: str = ""
    """What a person typed, or one sentence of ours. Never output of a program."""
    fingerprint: str = ""
    """Of the step with the plan's values filled in: what was exercised; empty where it was not."""
    output_sha256: str = ""
    """Of what a command printed, which is kept nowhere."""
    exit_code: int | None = None
    seconds: float | None = None
    point: str = ""
    repository: str = ""
    place: str = ""
    """Where a live restore landed."""
    restore_test: str = ""
    """Id of the restore test that a rehearsal made."""
    ending: Ending | None = None


@dataclass(frozen=True, kw_only=True)
class StepExercised:
    """The newest time that a step was really done, not only said."""

    runbook: str
    system: str
    """Empty where the runbook is about the practice as a whole."""
    step: str
    at: datetime
    fingerprint: str
    """Of the step as it was then, with the plan's values filled in."""
    seconds: float
    """How long it took."""
    mode: Mode
    run: str


class DrillKind(StrEnum):
    """What was rehearsed."""

    PRACTICE = "practice"
    """All its systems, by the runbooks a responder would use."""
    COLD_START = "cold start"
    """From nothing but the kit and a key to a verified system."""


@dataclass(frozen=True, kw_only=True)
class DrilledSystem:
    """One system in a drill. Seconds count from the start of the drill."""

    system: str
    runbook: str
    run: str
    """Id of the runbook run; empty for a cold start."""
    repository: str
    point: str
    restore_test: str
    """Empty where it never came to one."""
    result: Result
    reason: str
    begun_seconds: float
    """When its turn came to be brought back: what it depends on was ready."""
    ready_seconds: float | None
    """When it was restored and verified; `None` where it was not."""
    rta_service_seconds: float | None
    by_hand_seconds: float
    """What people would have done, by the runbook's own normal durations: simulated, not measured,
    and in no other figure."""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """A rehearsal of a whole practice under one clock."""

    id: str
    """Of its run."""
    practice: str
    kind: DrillKind
    started_at: datetime
    finished_at: datetime
    by: str
    host: str
    result: Result
    reason: str
    seconds: float
    """From the outage being declared until the last system was verified, or was given up."""
    systems: tuple[DrilledSystem, ...]
    """In recovery order."""
    critical_path: tuple[str, ...]
    """The systems whose waiting for each other made it take so long, first to last."""
    plan_sha256: str
    runbooks: Mapping[str, str] = field(default_factory=dict)
    """Name -> sha256 of those that were followed."""
