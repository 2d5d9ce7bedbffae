"""Runbooks as sheets of paper: values filled in, branches as numbers of steps, blanks by hand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import duration_words, instant_words
from dr_orchestrator.runbook.kit.given import KitInput, held
from dr_orchestrator.runbook.model import ALL, THIS, Kind
from dr_orchestrator.runbook.shelf import TRIAGE
from dr_orchestrator.runbook.values import BLANK, WHILE_FOLLOWED, fill_step, values_of

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Contact
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.model import Answer, Runbook, Step
    from dr_orchestrator.runbook.values import Values

_OPTIONAL = re.compile(r"\?$")
_OURS = "dro"
"""The program that a responder with nothing but the kit does not have."""


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """One step on paper."""

    number: int
    lane: str
    do: str
    expect: str
    if_not: str
    undo: str
    warnings: tuple[str, ...]
    """Of what is destructive, or takes two."""
    command: str
    without_us: str
    """What to do instead where the program is ours, or the step is one that we do."""
    answers: tuple[str, ...]
    told: tuple[str, ...]
    contacts: tuple[str, ...]
    normal: str
    cite: str


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One runbook on paper, for one system where it is about one."""

    file: str
    """Relative to the kit."""
    title: str
    when: str
    about: str
    beside: tuple[str, ...]
    """Titles of runbooks that others follow beside it."""
    lanes: tuple[str, ...]
    reviewed: str
    steps: tuple[StepRow, ...]


def sheets(given: KitInput) -> tuple[Sheet, ...]:
    """Return a sheet for each runbook and system it may be needed for; triage comes first."""
    found = []
    for name in sorted(given.runbooks, key=lambda each: (each != TRIAGE, each)):
        systems = _systems_of(given, name)
        for system in systems:
            suffix = f".{system}" if len(systems) > 1 else ""
            found.append(_sheet(given, name, system, f"runbooks/{name}{suffix}.html"))
    return tuple(found)


def contacts_asked(given: KitInput) -> tuple[str, ...]:
    """Return every contact that a runbook asks for, by name."""
    asked: dict[str, None] = {}
    for _, loaded in sorted(given.runbooks.items()):
        lanes = (each.contact for each in loaded.runbook.lanes.values() if each.contact)
        steps = (name for each in loaded.runbook.steps for name in each.contacts)
        told = (name for each in loaded.runbook.steps if each.notify for name in each.notify.to)
        asked.update(dict.fromkeys(_OPTIONAL.sub("", name) for name in (*lanes, *steps, *told)))
    return tuple(asked)


def _systems_of(given: KitInput, name: str) -> tuple[str, ...]:
    """Return the systems that a runbook may be followed for; one empty name where it is about the
    practice.
    """
    if given.runbooks[name].runbook.about == "practice":
        return ("",)
    protected = given.plan.protected
    recovered = tuple(each for each, spec in protected.items() if spec.runbook == name)
    return recovered or tuple(protected)


def _sheet(given: KitInput, name: str, system: str, file: str) -> Sheet:
    loaded = given.runbooks[name]
    runbook, values = loaded.runbook, _values(given, system)
    writer = _Writer(given, loaded, system, values)
    return Sheet(
        file=file,
        title=runbook.title,
        when=runbook.when,
        about=given.plan.systems[system].title if system else "",
        beside=tuple(
            given.runbooks[each].runbook.title for each in runbook.opens if each in given.runbooks
        ),
        lanes=tuple(_lanes(given, runbook)),
        reviewed=runbook.reviewed,
        steps=tuple(writer.step(number, each) for number, each in enumerate(runbook.steps, 1)),
    )


def _lanes(given: KitInput, runbook: Runbook) -> Iterator[str]:
    for lane in runbook.lanes.values():
        yield f"{lane.title}: {_contact(given, lane.contact)}" if lane.contact else lane.title


def _values(given: KitInput, system: str) -> Values:
    """Return what is known on paper: what the plan says, and the newest point; blanks otherwise."""
    values = dict.fromkeys(WHILE_FOLLOWED, BLANK)
    newest = next(iter(held(given, system)), None) if system else None
    if newest is not None:
        zone = given.plan.practice.timezone
        values["point.id"] = newest.point.id
        values["point.as_of"] = instant_words(newest.point.as_of, zone)
        values["point.repository"] = newest.copy.repository
    return values | dict(values_of(given.plan, system))


def _contact(given: KitInput, name: str) -> str:
    bare = _OPTIONAL.sub("", name)
    contact = given.plan.contacts.get(bare)
    if contact is None:
        return f"{bare.replace('_', ' ')} {BLANK}"
    return f"{contact.role}, {_reached(contact)}"


def _reached(contact: Contact) -> str:
    return contact.phone or contact.email or BLANK


def _is_asked(step: Step) -> bool:
    return step.restore is not None and step.restore.point == "ask"


class _Writer:
    """Writes the steps of one runbook for one system."""

    def __init__(self, given: KitInput, loaded: LoadedRunbook, system: str, values: Values) -> None:
        self._given = given
        self._runbook = loaded.runbook
        self._system = system
        self._values = values
        self._numbers = {each.id: n for n, each in enumerate(loaded.runbook.steps, start=1)}

    def step(self, number: int, raw: Step) -> StepRow:
        step = fill_step(raw, self._values)
        return StepRow(
            number=number,
            lane=self._runbook.lanes[step.lane].title,
            do=step.do,
            expect=step.expect,
            if_not=self._if_not(step),
            undo=step.undo,
            warnings=tuple(self._warnings(step)),
            command=shlex.join(step.command),
            without_us=self._without_us(step),
            answers=tuple(self._answer(number, each) for each in step.decide),
            told=tuple(self._told(step)),
            contacts=tuple(_contact(self._given, each) for each in step.contacts),
            normal=duration_words(step.normal) if step.normal else "",
            cite=step.cite,
        )

    def _if_not(self, step: Step) -> str:
        if step.if_not is None:
            return ""
        go_to = step.if_not.go_to
        return f"{step.if_not.say} Go to step {self._numbers[go_to]}." if go_to else step.if_not.say

    @staticmethod
    def _warnings(step: Step) -> Iterator[str]:
        if step.destructive:
            yield "Something is lost by this. Write down first what you are about to do."
        if step.two_persons:
            yield "A second person agrees before it is done."

    def _answer(self, number: int, answer: Answer) -> str:
        if answer.runbook:
            other = self._given.runbooks.get(answer.runbook)
            where = f"runbook “{other.runbook.title if other else answer.runbook}”"
        else:
            where = f"step {self._numbers[answer.go_to] if answer.go_to else number + 1}"
        return f"{answer.answer} → {where}"

    def _told(self, step: Step) -> Iterator[str]:
        if step.notify is not None:
            yield "To: " + "; ".join(_contact(self._given, each) for each in step.notify.to)
            yield f"Subject: {step.notify.subject}"
            yield step.notify.text
        if step.timer is not None:
            wait, limit = step.timer.wait, step.timer.limit
            if wait is not None:
                yield f"Wait: {duration_words(wait)}"
            if limit is not None:
                yield f"Within {duration_words(limit)}: {step.timer.of}. Until: {BLANK}"

    def _without_us(self, step: Step) -> str:
        if step.kind is Kind.RESTORE and step.restore is not None:
            systems = ", ".join(self._restored(step.restore.systems))
            older = ". If the damage is older than the newest point, take one from before it"
            return f"As on the first page: {systems}{older if _is_asked(step) else ''}"
        if step.command and step.command[0] == _OURS:
            return "Only where the backup machine still runs; else as on the first page."
        return ""

    def _restored(self, systems: tuple[str, ...]) -> Iterator[str]:
        protected = self._given.plan.protected
        for name in systems:
            if name == ALL:
                yield from (each.title for each in protected.values())
            else:
                yield protected[self._system if name == THIS else name].title
