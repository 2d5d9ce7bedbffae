"""A responder's desk in plain lines: for dumb terminals, for screen readers and for programs.

The same words as on the full screen, printed once a question; no clock ticks and nothing moves.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from dr_orchestrator.cli.runbook_words import (
    DOT,
    LEAVE_KEY,
    LEFT,
    behind_words,
    clock_words,
    contact_words,
    headline,
    labelled_words,
    limit_words,
    load_words,
    point_words,
    step_words,
    warnings,
    what_follows,
)
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import Interrupted
from dr_orchestrator.runbook.desk import Choice, Doing, Question, Report, View

_BEHIND = 3
_AFTER = 2
_LOOK_SECONDS = 0.25


class TypedLines:
    """Lines that come in by a descriptor, one at a time. None is lost between two readers."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._left = b""
        self._ended = False

    def next(self, *, is_over: Callable[[], bool] = lambda: False) -> str | None:
        """Return the next line without its end; `None` once `is_over` says that none is needed.

        Raises:
            Interrupted: there are no more.
        """
        while b"\n" not in self._left and not self._ended:
            if is_over():
                return None
            if select.select([self._descriptor], [], [], _LOOK_SECONDS)[0]:
                content = os.read(self._descriptor, 4096)
                self._left += content
                self._ended = not content
        if not self._left:
            raise Interrupted(LEFT)
        line, _, self._left = self._left.partition(b"\n")
        return printable(line.decode(errors="replace"))


class PlainDesk:
    """A desk of plain lines."""

    def __init__(self, clock: Clock, lines: TypedLines, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._lines = lines
        self._say = say
        self._said: tuple[str, ...] = ()

    def ask(self, view: View, question: Question) -> str:
        """Print a step and a question, and return the answer; see `Desk.ask`."""
        self._show(view)
        self._question(question)
        until = question.until
        while True:
            typed = self._lines.next(
                is_over=lambda: until is not None and self._clock.now() >= until
            )
            if typed is None:
                return ""
            if not question.choices:
                return typed
            if answer := _chosen(typed, question.choices):
                return answer
            self._say("that is none of the answers")
            self._question(question)

    @contextlib.contextmanager
    def working(self, view: View, doing: str) -> Iterator[Report]:
        """Print what is begun, and that it ended: how far it is would only fill the screen."""
        self._show(view)
        self._say(f"begun: {printable(doing)}")
        newest: dict[str, str] = {}

        def report(now: Doing) -> None:
            newest[now.subject] = now.text

        yield report
        for subject, text in newest.items():
            self._say(f"  {printable(subject)}: {printable(text)}" if subject else printable(text))
        self._say(f"ended: {printable(doing)}")

    def output(self, view: View, lines: tuple[str, ...]) -> None:  # noqa: ARG002 - the desk's signature
        """Print what a command printed."""
        for line in lines:
            self._say(f"  | {printable(line)}")

    def over(self, view: View, words: tuple[str, ...]) -> None:  # noqa: ARG002 - the desk's signature
        """Print how the run ended."""
        for each in words:
            self._say(printable(each))

    def _show(self, view: View) -> None:
        """Print a step, or nothing but the clock where all of it stands above already."""
        now = self._clock.now()
        said = tuple(_lines_of(view, now))
        self._say("")
        if said == self._said:
            self._say(_clock(view, now))
            return
        self._said = said
        self._say(headline(view))
        self._say(_clock(view, now))
        for line in said:
            self._say(line)

    def _question(self, question: Question) -> None:
        self._say(f"? {printable(question.text)}")
        for choice in question.choices:
            self._say(f"  {printable(choice.key)}  {printable(choice.label)}")
        if question.choices and LEAVE_KEY not in {each.key for each in question.choices}:
            self._say(f"  {LEAVE_KEY}  leave; go on later")


def _clock(view: View, now: datetime) -> str:
    began, left = clock_words(view.outage_at, view.rto, now, ZoneInfo(view.timezone))
    return f"{began}{DOT}{left}" if left else began


def _lines_of(view: View, now: datetime) -> Iterator[str]:
    """Yield all that is said of a step but the clock, a line each."""
    zone = ZoneInfo(view.timezone)
    yield from (limit_words(each, now, zone) for each in view.limits)
    for behind in view.behind[-_BEHIND:]:
        yield "Behind: {}  {}  {}".format(*behind_words(behind, now, zone))
    yield step_words(view, now)
    yield f"DO: {printable(view.do)}"
    if view.in_rehearsal:
        yield printable(view.in_rehearsal)
    yield from warnings(view)
    yield from (f"{label}: {text}" for label, text in labelled_words(view).items() if text)
    yield from (f"Call: {contact_words(each)}" for each in view.contacts)
    yield from (f"Point: {point_words(each, view, now, zone)}" for each in view.points)
    for loads in view.loads:
        yield f"Load: {printable(loads.of)}"
        yield from (load_words(each) for each in loads.lines)
    yield from (f"Note: {printable(each)}" for each in view.notes)
    if view.cite:
        yield f"Rule: {printable(view.cite)}"
    yield from (f"Then: {printable(each)}" for each in what_follows(view)[:_AFTER])


def _chosen(typed: str, choices: tuple[Choice, ...]) -> str:
    pressed = typed.casefold()
    if pressed == LEAVE_KEY:
        raise Interrupted(LEFT)
    return next((each.key for each in choices if each.key.casefold() == pressed), "")
