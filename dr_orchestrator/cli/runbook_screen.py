"""A responder's full screen: calm, answered by single keys, and gone without a trace when left.

It shows and asks, and knows nothing of what runbooks mean. The terminal is put back whatever ends
us: the end of a run, an error, a signal; also while something runs.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.text import Text

from dr_orchestrator.cli.runbook_keys import ENTER, LEAVE, TAB, Key, Keys, Line
from dr_orchestrator.cli.runbook_page import (
    ALL_OF_IT,
    Foot,
    Page,
    Rows,
    Size,
    output_rows,
    page,
    part_of,
    whole,
)
from dr_orchestrator.cli.runbook_words import LEAVE_KEY, LEFT, calm_words
from dr_orchestrator.clock import Clock
from dr_orchestrator.errors import Interrupted
from dr_orchestrator.runbook.desk import Choice, Doing, Question, Report, View

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J"
"""Another screen, no cursor, pasted text marked as such, all of it blank."""
_BACK = "\x1b[?2004l\x1b[?25h\x1b[0m\x1b[?1049l"
_LOOK_SECONDS = 0.25
"""How often it is looked whether the time or the size of the terminal has changed."""
_HELD_SECONDS = 0.1
"""A key that comes again sooner is being held down: it answers nothing."""
_ESCAPE_SECONDS = 0.05
"""What an arrow key sends comes at once; an `Escape` that nothing follows so soon is one."""
_PATIENCE_SECONDS = 0.5
_BESIDE = 12
"""Lines of output that are shown beside their step alone; more are shown on pages first."""
_STOPPING = "stopping, and cleaning up: a second time ends it at once\r\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Screen:
    """A full-screen desk. Within its block the terminal is ours, and ours alone."""

    def __init__(self, clock: Clock, *, keyboard: int = 0, terminal: int = 1) -> None:
        self._clock = clock
        self._keyboard = keyboard
        self._terminal = terminal
        self._keys = Keys()
        self._painting = threading.RLock()
        self._painted: tuple[str, ...] = ()
        self._size = Size(0, 0)
        self._printed: tuple[object, tuple[str, ...]] = (None, ())
        self._last_words: list[str] = []
        self._last_key = ("", 0.0)
        self._open = False
        self._before: list[Any] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._keyboard)
        self._open = True
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._stopped)
        self._let_signals(pass_through=True)
        self._write(_ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):  # the terminal is gone
            for words in self._last_words:
                sys.stdout.write(f"{words}\n")
            sys.stdout.flush()

    # --- the desk -------------------------------------------------------------------------------

    def ask(self, view: View, question: Question) -> str:
        """Show a step and return the answer: the key of a choice, or what was typed, stripped."""
        line = Line()
        with self._keys_for_us():
            while question.until is None or self._clock.now() < question.until:
                foot = Foot(question=question, typed=line.text)
                self._show(partial(self._page, view, foot))
                for key in self._pressed():
                    answer = self._answer(key, line, view, question)
                    if answer is not None:
                        return answer
        return ""

    @contextlib.contextmanager
    def working(self, view: View, doing: str) -> Iterator[Report]:
        """Show a step while something runs; see `Desk.working`."""
        began = self._clock.now()
        done: dict[str, str] = {}
        ended = threading.Event()

        def report(now: Doing) -> None:
            with self._painting:
                done[now.subject] = now.text

        def show() -> None:
            foot = Foot(doing=doing, done=done, lasts=calm_words(self._clock.now() - began))
            self._show(partial(self._page, view, foot))

        def keep_showing() -> None:
            with contextlib.suppress(OSError):  # the terminal is gone: whoever asks next is told
                while not ended.wait(_LOOK_SECONDS):
                    show()

        show()
        painter = threading.Thread(target=keep_showing, name="screen", daemon=True)
        painter.start()
        try:
            yield report
        finally:
            ended.set()
            painter.join()

    def output(self, view: View, lines: tuple[str, ...]) -> None:
        """Show what a command printed: page by page where it is long, and beside its step for as
        long as that is asked about.
        """
        self._printed = (_visit(view), lines)
        if len(lines) > _BESIDE:
            with self._keys_for_us():
                self._read_through(partial(output_rows, lines))

    def over(self, view: View, words: tuple[str, ...]) -> None:  # noqa: ARG002 - the desk's signature
        """Say how the run ended, on the screen that stays."""
        self._last_words += words

    # --- keys -----------------------------------------------------------------------------------

    def _answer(self, key: Key, line: Line, view: View, question: Question) -> str | None:
        """Return what a key answers; `None` where it does not yet."""
        pressed = key.text.casefold()
        if key.name == LEAVE or (question.choices and pressed == LEAVE_KEY):
            raise Interrupted(LEFT)
        if key.name == TAB or (question.choices and pressed == ALL_OF_IT):
            printed = self._printed_by(view)
            now = self._clock.now()
            self._read_through(lambda width: whole(view, printed, now=now, width=width))
            return None
        if question.choices:
            return self._chosen(key, line, question.choices)
        if key.name == ENTER:
            return line.text.strip()
        line.take(key)
        return None

    def _chosen(self, key: Key, line: Line, choices: tuple[Choice, ...]) -> str | None:
        """Return the choice that was pressed; one of several signs is complete by `Enter`."""
        if self._is_held(key):
            return None
        if key.name:
            typed, line.text = line.text, ""
            return next((each.key for each in choices if each.key.casefold() == typed), None)
        line.text += key.text.casefold()
        meant = [each.key for each in choices if each.key.casefold().startswith(line.text)]
        if len(meant) == 1 and meant[0].casefold() == line.text:
            return meant[0]
        if not meant:
            line.text = ""
        return None

    def _is_held(self, key: Key) -> bool:
        """Whether a key is held down: it shall not answer one question after another."""
        last, at = self._last_key
        now = self._clock.monotonic()
        self._last_key = (key.text, now)
        return key.text == last and now - at < _HELD_SECONDS

    def _read_through(self, text: Callable[[int], Rows]) -> None:
        """Show more than fits, page by page."""
        first = 0
        while True:
            self._show(partial(_turned, text, first))
            room = self._size.height - 2
            for key in self._pressed():
                if key.name == LEAVE:
                    raise Interrupted(LEFT)
                if key.text == " " and first + room < len(text(self._size.width)):
                    first += room
                elif key.text.casefold() == "b":
                    first = max(first - room, 0)
                else:
                    return

    def _pressed(self) -> Iterator[Key]:
        """Yield the keys that were pressed within a moment."""
        wait = _ESCAPE_SECONDS if self._keys.is_open else _LOOK_SECONDS
        ready, _, _ = select.select([self._keyboard], [], [], wait)
        if not ready:
            yield from self._keys.end()
            return
        content = os.read(self._keyboard, 4096)
        if not content:
            raise Interrupted("the terminal is gone")
        yield from self._keys.feed(content)

    @contextlib.contextmanager
    def _keys_for_us(self) -> Iterator[None]:
        """Take ^C for a key, and forget what was typed before the question could be read."""
        self._keys = Keys()
        termios.tcflush(self._keyboard, termios.TCIFLUSH)
        self._let_signals(pass_through=False)
        try:
            yield
        finally:
            self._let_signals(pass_through=True)

    # --- the terminal ---------------------------------------------------------------------------

    def _let_signals(self, *, pass_through: bool) -> None:
        """Have keys handed over one by one and not shown; ^C stops us, or is one of them."""
        if not self._open:
            return
        modes = [*self._before[:6], list(self._before[6])]
        modes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        if not pass_through:
            modes[3] &= ~termios.ISIG
        modes[0] &= ~(termios.IXON | termios.ICRNL)
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, modes)

    def _stopped(self, number: int, frame: FrameType | None) -> None:
        """Give the terminal back first, whatever becomes of us then."""
        self._leave()
        with contextlib.suppress(OSError):
            os.write(self._terminal, _STOPPING.encode())
        handler = self._handlers[signal.Signals(number)]
        if not callable(handler):
            raise Interrupted
        handler(number, frame)

    def _leave(self) -> None:
        # a handler may have interrupted whoever paints, and must not wait for it for ever
        held = self._painting.acquire(timeout=_PATIENCE_SECONDS)
        try:
            if self._open:
                self._open = False
                with contextlib.suppress(OSError, termios.error):
                    os.write(self._terminal, _BACK.encode())
                    termios.tcsetattr(self._keyboard, termios.TCSAFLUSH, self._before)
        finally:
            if held:
                self._painting.release()

    # --- painting -------------------------------------------------------------------------------

    def _page(self, view: View, foot: Foot, now: datetime, size: Size) -> Page:
        return page(view, foot, self._printed_by(view), now=now, size=size)

    def _printed_by(self, view: View) -> tuple[str, ...]:
        visit, lines = self._printed
        return lines if visit == _visit(view) else ()

    def _show(self, lay_out: Callable[[datetime, Size], Page]) -> None:
        """Paint the rows that changed, and no other: nothing flickers."""
        with self._painting:
            if not self._open:
                return
            size = self._terminal_size()
            changed = size != self._size
            laid = lay_out(self._clock.now(), size)
            rows = tuple(self._painted_row(row) for row in laid.rows)
            known = () if changed else self._painted
            parts = ["\x1b[?25l", "\x1b[0m\x1b[2J" if changed else ""]
            for at, row in enumerate(rows):
                if at >= len(known) or known[at] != row:
                    parts.append(f"\x1b[{at + 1};1H\x1b[0m\x1b[2K{row}")
            if laid.cursor is not None:
                parts.append(f"\x1b[{laid.cursor[0] + 1};{laid.cursor[1] + 1}H\x1b[?25h")
            self._write("".join(parts))
            self._painted, self._size = rows, size

    def _terminal_size(self) -> Size:
        """Return how large it is; a serial line says nothing, and is as large as most."""
        columns, lines = os.get_terminal_size(self._terminal)
        return Size(columns or 80, lines or 24)

    def _painted_row(self, row: Text) -> str:
        text = io.StringIO()
        # rich looks at NO_COLOR and TERM itself
        Console(file=text, force_terminal=True, width=10_000, highlight=False).print(
            row, end="", soft_wrap=True
        )
        return text.getvalue()

    def _write(self, text: str) -> None:
        content = text.encode(errors="replace")
        while content:
            content = content[os.write(self._terminal, content) :]


def _turned(text: Callable[[int], Rows], first: int, _now: datetime, size: Size) -> Page:
    return part_of(text(size.width), first, size)


def _visit(view: View) -> object:
    return view.run, view.step, view.begun_at
