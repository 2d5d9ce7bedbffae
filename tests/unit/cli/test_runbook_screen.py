from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from dr_orchestrator.cli.runbook_screen import Screen
from dr_orchestrator.errors import Interrupted
from dr_orchestrator.runbook.desk import Doing, Question, Report
from tests.support.clock import FakeClock
from tests.support.practices import NOW
from tests.support.views import IS_IT_SO, WHICH_ID, full_view

VIEW = full_view()
ALTERNATE, NORMAL = b"\x1b[?1049h", b"\x1b[?1049l"


@dataclass
class Terminal:
    """A terminal, and somebody before it who presses keys once a question stands there."""

    person: int
    screen: Screen
    keyboard: int
    shown: bytes = b""
    _keys: list[tuple[bytes, bytes]] = field(default_factory=list)

    def press(self, *keys: tuple[bytes, bytes]) -> None:
        """Press keys, each after a text was shown."""
        self._keys += keys

    def watch(self) -> None:
        """Read what is shown, and press what is to be pressed, until the terminal is gone."""
        seen = 0
        with contextlib.suppress(OSError):
            while content := os.read(self.person, 65536):
                self.shown += content
                while self._keys and self._keys[0][0] in self.shown[seen:]:
                    seen = len(self.shown)
                    os.write(self.person, self._keys.pop(0)[1])

    @property
    def modes(self) -> int:
        """The local modes: echo, lines, signals."""
        return int(termios.tcgetattr(self.keyboard)[3])


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Lend a terminal of 80 by 24."""
    person, keyboard = pty.openpty()
    fcntl.ioctl(keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    screen = Screen(FakeClock(NOW), keyboard=keyboard, terminal=keyboard)
    lent = Terminal(person, screen, keyboard)
    watching = threading.Thread(target=lent.watch, daemon=True)
    watching.start()
    yield lent
    os.close(keyboard)
    watching.join(5)
    os.close(person)


def test_ask_is_answered_by_a_single_key_and_the_terminal_is_put_back(terminal: Terminal) -> None:
    before = terminal.modes
    terminal.press((b"Is it so?", b"zn"))
    with terminal.screen as screen:
        assert terminal.modes != before
        assert screen.ask(VIEW, IS_IT_SO) == "n"
    assert terminal.modes == before


def test_ask_takes_a_line_with_corrections_and_no_line_end_that_was_pasted(
    terminal: Terminal,
) -> None:
    terminal.press((b"practice's id", b"x\x15\x1b[200~riverside\r\x1b[201~s\x7f\x1b[D\r"))
    with terminal.screen as screen:
        assert screen.ask(VIEW, WHICH_ID) == "riverside"


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_ask_leaves_on_q_and_on_control_c(terminal: Terminal, key: bytes) -> None:
    before = terminal.modes
    terminal.press((b"Is it so?", key))
    with pytest.raises(Interrupted), terminal.screen as screen:
        screen.ask(VIEW, IS_IT_SO)
    assert terminal.modes == before


def test_ask_does_not_take_q_for_leaving_while_something_is_typed(terminal: Terminal) -> None:
    terminal.press((b"practice's id", b"quay\r"))
    with terminal.screen as screen:
        assert screen.ask(VIEW, WHICH_ID) == "quay"


def test_ask_forgets_what_was_pressed_before_the_question_was_there(terminal: Terminal) -> None:
    with terminal.screen as screen:
        os.write(terminal.person, b"d")
        terminal.press((b"Is it so?", b"n"))
        assert screen.ask(VIEW, IS_IT_SO) == "n"


def test_ask_is_not_answered_again_by_a_key_that_is_held_down(terminal: Terminal) -> None:
    terminal.press((b"first", b"d"), (b"second", b"ddn"))
    with terminal.screen as screen:
        screen.ask(VIEW, replace(IS_IT_SO, text="first"))
        assert screen.ask(VIEW, replace(IS_IT_SO, text="second")) == "n"


def test_ask_needs_no_answer_once_its_time_is_over(terminal: Terminal) -> None:
    over = Question(text="wait", choices=IS_IT_SO.choices, until=NOW - timedelta(seconds=1))
    with terminal.screen as screen:
        assert not screen.ask(VIEW, over)


def test_ask_shows_all_of_a_step_when_asked_to_and_comes_back(terminal: Terminal) -> None:
    terminal.press(
        (b"Is it so?", b"m"), (b"more lines", b" "), (b"the end", b"x"), (b"Is it so?", b"d")
    )
    with terminal.screen as screen:
        assert screen.ask(replace(VIEW, points=VIEW.points * 2), IS_IT_SO) == "d"


def test_the_terminal_is_put_back_when_something_breaks_while_something_runs(
    terminal: Terminal,
) -> None:
    before = terminal.modes
    with (
        pytest.raises(OSError, match="no space"),
        terminal.screen as screen,
        screen.working(VIEW, "restoring") as report,
    ):
        _report_and_fail(report)
    assert terminal.modes == before


def _report_and_fail(report: Report) -> None:
    report(Doing(subject="emr", text="1 GiB"))
    raise OSError("no space")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_back_before_a_signal_ends_us(
    terminal: Terminal, stop: signal.Signals
) -> None:
    def handler(_number: int, _frame: object) -> None:
        assert terminal.modes == before
        raise Interrupted

    before = terminal.modes
    was = signal.signal(stop, handler)
    try:
        with (
            pytest.raises(Interrupted),
            terminal.screen as screen,
            screen.working(VIEW, "restoring"),
        ):
            signal.raise_signal(stop)
        assert signal.getsignal(stop) is handler
    finally:
        signal.signal(stop, was)


def test_control_c_is_a_key_at_a_question_and_a_signal_while_something_runs(
    terminal: Terminal,
) -> None:
    with terminal.screen as screen:
        with screen.working(VIEW, "restoring"):
            assert terminal.modes & termios.ISIG
        terminal.press((b"Is it so?", b"d"))
        screen.ask(VIEW, IS_IT_SO)
        assert terminal.modes & termios.ISIG


def test_a_long_output_is_read_through_before_it_is_asked_about(terminal: Terminal) -> None:
    terminal.press((b"line 0", b" "), (b"line 29", b"x"), (b"Is it so?", b"d"))
    with terminal.screen as screen:
        screen.output(VIEW, tuple(f"line {n}" for n in range(30)))
        assert screen.ask(VIEW, IS_IT_SO) == "d"


def test_the_last_words_stay_on_the_screen_that_was_there_before(
    terminal: Terminal, capfd: pytest.CaptureFixture[str]
) -> None:
    with terminal.screen as screen:
        screen.over(VIEW, ("this runbook is done",))
        assert "this runbook is done" not in capfd.readouterr().out
    assert capfd.readouterr().out == "this runbook is done\n"
