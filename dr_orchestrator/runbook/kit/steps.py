"""Runbooks as sheets of paper: values filled in, branches as numbers of steps, blanks by hand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import duration_words, instant_words
from dr_orchestrator.runbook.fit import systems_for
from dr_orchestrator.runbook.kit.given import KitInput, held
from dr_orchestrator.runbook.model import ALL, THIS, Kind
from dr_orchestrator.runbook.shelf import TRIAGE
from dr_orchestrator.runbook.values import BLANK, WHILE_FOLLOWED, fill_step, values_of

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Contact
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.model import Answer, Runbook, Step
    from dr_orchestrator.runbook.values import Values

_FIRST = "START-HERE.html"
_NUMBER = re.compile(r"\+?[0-9][0-9 ()./-]*")
_OURS = "dro"
"""The program that a responder with nothing but the kit does not have."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Words, and the file of the kit that they lead to; empty where they lead nowhere."""

    text: str
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class Called:
    """Somebody in words, and what a telephone dials: empty where that is not known."""

    text: str
    dial: str = ""


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
    parts: tuple[str, ...]
    """Parts of the first page that say how, as its headings are called there."""
    answers: tuple[Reference, ...]
    told: tuple[str, ...]
    contacts: tuple[Called, ...]
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
    beside: tuple[Reference, ...]
    """Runbooks that others follow beside it."""
    lanes: tuple[Called, ...]
    reviewed: str
    steps: tuple[StepRow, ...]


def sheets(given: KitInput) -> tuple[Sheet, ...]:
    """Return a sheet for each runbook and system it may be needed for; triage comes first."""
    found: list[Sheet] = []
    for name in sorted(given.runbooks, key=lambda each: (each != TRIAGE, each)):
        found += [
            _sheet(given, name, system, _file(given, name, system))
            for system in systems_for(given.runbooks[name], given.plan)
        ]
    return tuple(found)


def contacts_asked(given: KitInput) -> tuple[str, ...]:
    """Return every contact that a runbook asks for, by name."""
    asked: dict[str, None] = {}
    for _, loaded in sorted(given.runbooks.items()):
        lanes = (each.contact for each in loaded.runbook.lanes.values() if each.contact)
        steps = (name for each in loaded.runbook.steps for name in each.contacts)
        told = (name for each in loaded.runbook.steps if each.notify for name in each.notify.to)
        asked.update(dict.fromkeys(name.removesuffix("?") for name in (*lanes, *steps, *told)))
    return tuple(asked)


def _file(given: KitInput, name: str, system: str) -> str:
    """Return the sheet of a runbook for a system; the first page, which lists them, where it is
    not known for which.
    """
    systems = systems_for(given.runbooks[name], given.plan)
    if len(systems) == 1:
        return f"runbooks/{name}.html"
    return f"runbooks/{name}.{system}.html" if system in systems else _FIRST


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
            Reference(text=given.runbooks[each].runbook.title, file=_file(given, each, system))
            for each in runbook.opens
            if each in given.runbooks
        ),
        lanes=tuple(_lanes(given, runbook)),
        reviewed=runbook.reviewed,
        steps=tuple(writer.step(number, each) for number, each in enumerate(runbook.steps, 1)),
    )


def _lanes(given: KitInput, runbook: Runbook) -> Iterator[Called]:
    for lane in runbook.lanes.values():
        if lane.contact:
            called = _called(given, lane.contact)
            yield Called(text=f"{lane.title}: {called.text}", dial=called.dial)
        else:
            yield Called(text=lane.title)


def dialled(phone: str | None) -> str:
    """Return what a telephone dials: the digits, and a plus before them. Where anything but a
    number is in it, as of an extension, a person has to read it: empty.
    """
    return re.sub("[^+0-9]", "", phone) if phone and _NUMBER.fullmatch(phone) else ""


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


def _called(given: KitInput, name: str) -> Called:
    contact = given.plan.contacts.get(name.removesuffix("?"))
    return Called(text=_contact(given, name), dial=dialled(contact.phone) if contact else "")


def _contact(given: KitInput, name: str) -> str:
    bare = name.removesuffix("?")
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
            parts=self._parts(step),
            answers=tuple(self._answer(number, each) for each in step.decide),
            told=tuple(self._told(step)),
            contacts=tuple(_called(self._given, each) for each in step.contacts),
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

    def _answer(self, number: int, answer: Answer) -> Reference:
        if not answer.runbook:
            where = f"step {self._numbers[answer.go_to] if answer.go_to else number + 1}"
            return Reference(text=f"{answer.answer} → {where}")
        other = self._given.runbooks.get(answer.runbook)
        where = f"runbook “{other.runbook.title if other else answer.runbook}”"
        file = _file(self._given, answer.runbook, self._system) if other else ""
        return Reference(text=f"{answer.answer} → {where}", file=file)

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
            return f"With the kit: {systems}{older if _is_asked(step) else ''}."
        if step.command[:2] == (_OURS, "points"):
            return 'With the kit: "python3 dro-kit.py points".'
        if step.command and step.command[0] == _OURS:
            return "Only where the backup machine still runs."
        return ""

    @staticmethod
    def _parts(step: Step) -> tuple[str, ...]:
        if step.kind is Kind.RESTORE:
            return ("back", "use")
        return ("commands",) if step.command[:2] == (_OURS, "points") else ()

    def _restored(self, systems: tuple[str, ...]) -> Iterator[str]:
        protected = self._given.plan.protected
        for name in systems:
            if name == ALL:
                yield from (each.title for each in protected.values())
            else:
                yield protected[self._system if name == THIS else name].title
