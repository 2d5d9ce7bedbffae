"""A runbook as the rest of the program reads it: validated, complete, frozen.

One file serves the rehearsal and the real thing, so that what is followed has been proven. The
descriptions become the reference and the JSON Schema.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from dr_orchestrator.plan.quantity import PositiveDuration
from dr_orchestrator.plan.section import Identifier, Section

THIS, ALL = "this", "all"
"""Words for systems: the one the run is about, and every one that the plan protects."""

ContactName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}\??$")]
"""A contact of the plan; with `?` behind it, a blank to fill in by hand where the plan has none."""


class Kind(StrEnum):
    """What a step is."""

    MANUAL = "manual"
    """A person does it."""
    COMMAND = "command"
    """A program does it, with arguments that are filled in."""
    CHECK = "check"
    """A person or a program looks whether something is so, and changes nothing."""
    APPROVAL = "approval"
    """Somebody agrees, by name."""
    NOTIFY = "notify"
    """Contacts are told by e-mail."""
    TIMER = "timer"
    """A while is waited for, or a time limit begins to run."""
    RESTORE = "restore"
    """Systems are restored: into sandboxes in a rehearsal, to new directories in an incident."""
    DECIDE = "decide"
    """A question, each answer of which leads somewhere."""


class Rehearsal(StrEnum):
    """What a rehearsal does with a step."""

    RUN = "run"
    """The same as an incident; a restore goes to a sandbox."""
    SIMULATE = "simulate"
    """It only says what would be done."""
    SKIP = "skip"
    """Nothing, and it says so."""


class IfNot(Section):
    """What to do where a step did not show what was expected."""

    say: str = Field(min_length=1, description="one sentence: what to do now")
    go_to: Identifier | None = Field(
        default=None,
        description="id of the step that follows then; the same one again unless stated",
    )


class Answer(Section):
    """One answer to the question of a `decide` step, and where it leads."""

    answer: str = Field(min_length=1)
    go_to: Identifier | None = Field(
        default=None, description="id of a step; the next one unless stated"
    )
    runbook: Identifier | None = Field(
        default=None, description="name of the runbook to go on with"
    )


class Told(Section):
    """Who is told, and what."""

    to: tuple[ContactName, ...] = Field(min_length=1, description="contacts of the plan")
    subject: str = Field(min_length=1)
    text: str = Field(min_length=1, description="without anything about patients")


class Timed(Section):
    """A while to wait for, or a time limit that begins to run: one of the two."""

    wait: PositiveDuration | None = Field(
        default=None, description="as `10m`: nothing is done before"
    )
    limit: PositiveDuration | None = Field(
        default=None, description="as `24h`: shown until the end of the incident"
    )
    of: str = Field(default="", description="with `limit`: what must be done by then")


class Restored(Section):
    """Which systems come back."""

    systems: tuple[Identifier, ...] = Field(
        default=(THIS,),
        min_length=1,
        description="ids of systems; `this` is the one the run is about, `all` every one the plan "
        "protects. Side by side, as `depends_on` allows",
    )
    point: Literal["latest", "ask"] = Field(
        default="latest",
        description="`latest`: the newest recovery points. `ask`, where these may hold the damage: "
        "whoever follows it is asked first whether the newest come back, or the newest from before "
        "a time; a drill takes the newest",
    )


class Step(Section):
    """One verb, one object, one result that is expected."""

    id: Identifier
    lane: Identifier = Field(description="who does it: one of `lanes`")
    kind: Kind
    do: str = Field(min_length=1, description="what to do, in one sentence")
    expect: str = Field(default="", description="what is seen when it worked")
    if_not: IfNot | None = None
    normal: PositiveDuration | None = Field(
        default=None, description="how long it takes, until rehearsals tell"
    )
    timeout: PositiveDuration | None = Field(
        default=None,
        description="a program is ended then; of what a person does it is said that it takes long",
    )
    retries: int = Field(default=0, ge=0, le=10, description="of a program that failed")
    critical: bool = Field(default=False, description="nothing goes on until it is done")
    destructive: bool = Field(
        default=False,
        description="something is lost by it: the practice's id is typed before, and a rehearsal "
        "never does it",
    )
    two_persons: bool = Field(default=False, description="a second person agrees before it is done")
    repeatable: bool = Field(
        default=False, description="of a `command`: doing it twice does no harm"
    )
    people_confirm: bool = Field(
        default=False, description="people work again once this is done: the outage is over"
    )
    undo: str = Field(default="", description="how to take it back; required where destructive")
    rehearsal: Rehearsal | None = Field(
        default=None,
        description="`run`, `simulate` or `skip`; unless stated, what changes or tells something "
        "outside (`command`, `notify`, `destructive`) is simulated and everything else run",
    )
    contacts: tuple[ContactName, ...] = Field(
        default=(), description="whom this step may need: contacts of the plan"
    )
    cite: str = Field(default="", description="the rule it answers to, as `45 CFR 164.308(a)(7)`")
    command: tuple[str, ...] = Field(
        default=(),
        description="program and arguments, of `command` and `check`; no shell reads them",
    )
    notify: Told | None = None
    timer: Timed | None = None
    restore: Restored | None = None
    decide: tuple[Answer, ...] = Field(default=(), description="answers, of `decide`")

    @property
    def in_rehearsal(self) -> Rehearsal:
        """What a rehearsal does with it."""
        if self.rehearsal is not None:
            return self.rehearsal
        outside = self.kind in {Kind.COMMAND, Kind.NOTIFY} or self.destructive
        return Rehearsal.SIMULATE if outside else Rehearsal.RUN

    @property
    def may_be_done_twice(self) -> bool:
        """Whether it does no harm to begin it again where nobody recorded how it ended.

        A restore goes to a new place each time.
        """
        if self.destructive or self.kind is Kind.NOTIFY:
            return False
        return self.kind is not Kind.COMMAND or self.repeatable

    @property
    def is_done_by_us(self) -> bool:
        """Whether a program of this machine does it, and no person."""
        return bool(self.command) or self.kind in {Kind.NOTIFY, Kind.RESTORE}


class Lane(Section):
    """One part that somebody plays."""

    title: str = Field(min_length=1, description="as `Front desk`")
    contact: ContactName | None = Field(default=None, description="who that is")


class Runbook(Section):
    """The steps to follow when something has happened."""

    version: Literal[1] = Field(description="of the runbook format")
    title: str = Field(min_length=1, description="as a responder reads it")
    when: str = Field(
        min_length=1, description="in which case it is the right one, in one sentence"
    )
    about: Literal["system", "practice"] = Field(
        default="system", description="whether it is followed for one system, or for all of them"
    )
    opens: tuple[Identifier, ...] = Field(
        default=(), description="names of runbooks that others follow beside it"
    )
    side_by_side: bool = Field(
        default=False,
        description="each lane is followed on its own: no step leads from one lane to another",
    )
    reviewed: str = Field(default="", description="by whom and when it was last read critically")
    lanes: dict[Identifier, Lane] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)

    def step(self, step_id: str) -> Step:
        """Return the step of this id, which exists."""
        return next(each for each in self.steps if each.id == step_id)

    def of_lane(self, lane: str) -> tuple[Step, ...]:
        """Return the steps of a lane, in order; all of them where `lane` is empty."""
        return tuple(each for each in self.steps if not lane or each.lane == lane)

    def by_hand(self) -> timedelta:
        """Return how long its steps normally take that people do."""
        normal = (each.normal for each in self.steps if not each.is_done_by_us)
        return sum((each for each in normal if each is not None), timedelta())
