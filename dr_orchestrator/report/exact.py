"""How documents for people who check say things: instants with their time zone, ids, places, and
who said what. Nothing is rounded for comfort.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.sign_off import HowGiven
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import instant_words, printable, some_names
from dr_orchestrator.report.document import Cell, Column, Tone
from dr_orchestrator.report.say import say
from dr_orchestrator.report.view import MSP, View

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.sign_off import SignOff
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.report.subject import Subject

TONES = {Verdict.MET: Tone.GOOD, Verdict.BREACHED: Tone.BAD, Verdict.UNPROVEN: Tone.OPEN}
RESULT_TONES = {Result.PASSED: Tone.GOOD, Result.FAILED: Tone.BAD, Result.UNPROVEN: Tone.OPEN}
_LONGEST = 160
"""Signs of a value of the plan: a query in full helps nobody on a page."""


@dataclass(frozen=True)
class Exact:
    """What is known of one practice, for who checks it."""

    subject: Subject

    @cached_property
    def view(self) -> View:
        """The same, with findings doubted where the record does not carry them."""
        return View(self.subject)

    @property
    def plan(self) -> Plan:
        """What is promised."""
        return self.subject.plan

    @property
    def zone(self) -> ZoneInfo:
        """The practice's own time zone."""
        return self.plan.practice.timezone

    @property
    def verdict(self) -> Verdict:
        """The worst verdict on any system: what the manager's page says too."""
        return self.view.practice_verdict

    @cached_property
    def tests(self) -> tuple[RestoreTest, ...]:
        """Every restore test that is known, those of the last 13 months whole, oldest first."""
        known = {test.id: test for test in (*self.subject.record.tests, *self.subject.tests)}
        return tuple(sorted(known.values(), key=lambda test: (test.started_at, test.id)))

    def at(self, instant: datetime | None) -> str:
        """Return an instant as the practice's wall clock shows it; empty for none."""
        return instant_words(instant, self.zone) if instant else ""

    def systems(self, names: Iterable[str]) -> str:
        """Return the titles of systems as part of a sentence."""
        return some_names([self.view.title(name) for name in names])

    def who(self, name: str) -> str:
        """Return the role of a contact, or the plan's own word for somebody."""
        contact = self.plan.contacts.get(name)
        if contact:
            return contact.role
        return say("auditor.person.msp") if name == MSP else printable(name)

    def given(self, how: HowGiven, recorded_by: str) -> str:
        """Return how a person's word was given; what somebody recorded is never her signature."""
        return say(f"auditor.given.{how.name.lower()}", by=printable(recorded_by))

    def accepted(self, index: int) -> SignOff | None:
        """Return the first sign-off that accepts a version of the promise: on it or a later one."""
        places = {each.id: at for at, each in enumerate(self.subject.record.promises)}
        return next(
            (each for each in self.view.sign_offs if places.get(each.promise, -1) >= index),
            None,
        )


def columns(table: str, *names: str | tuple[str, int]) -> tuple[Column, ...]:
    """Return the heads of a table, whose words are `TABLE.column.NAME`; with a number, how wide.

    A name that begins with `#` is a column of numbers.
    """
    found = []
    for each in names:
        name, share = (each, 1) if isinstance(each, str) else each
        plain = name.removeprefix("#")
        title = say(f"{table}.column.{plain}")
        found.append(Column(title=title, is_number=plain != name, share=share))
    return tuple(found)


def row(*cells: str | Cell) -> tuple[Cell, ...]:
    """Return a row of a table."""
    return tuple(cell if isinstance(cell, Cell) else Cell(text=cell) for cell in cells)


def shortened(text: str) -> str:
    """Return a value of the plan on one line, the end of a long one left out."""
    line = printable(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
