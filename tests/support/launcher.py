"""A launcher that plays a script instead of running programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dr_orchestrator.process import Child, Command, Completed

OnLine = Callable[[bytes], None]


@dataclass(frozen=True)
class Answer:
    """What one call is answered with."""

    argv: tuple[str, ...]
    """Words that must stand in the call's argv in this order, others between them allowed."""
    returncode: int = 0
    stdout: bytes = b""
    stderr: str = ""
    error: BaseException | None = None
    """Raised in place of an answer: the program is missing, or timed out."""


class ScriptedLauncher:
    """Answers calls from a script, in order, and fails on a call that is not the next one in it."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.commands: list[Command] = []
        self.stdins: list[int | bytes | None] = []

    @property
    def unused(self) -> list[Answer]:
        """What no call asked for: a test ends with none."""
        return self._answers

    def run(
        self,
        command: Command,
        *,
        stdin: int | bytes | None = None,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Completed:
        self.commands.append(command)
        self.stdins.append(stdin)
        if not self._answers or not _in_order(self._answers[0].argv, command.argv):
            text = f"unexpected call: {command.argv}, expected: {self._answers[:1]}"
            raise AssertionError(text)
        answer = self._answers.pop(0)
        if answer.error is not None:
            raise answer.error
        for line in answer.stderr.encode().splitlines(keepends=True) if on_error_line else ():
            on_error_line(line) if on_error_line else None
        for line in answer.stdout.splitlines(keepends=True) if on_line else ():
            on_line(line) if on_line else None
        stdout = b"" if on_line else answer.stdout
        return Completed(command.program, answer.returncode, stdout, answer.stderr, 0.1)

    def start(
        self,
        command: Command,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Child:
        text = f"a script has no running programs: {command.argv}"
        raise AssertionError(text)


def _in_order(expected: Sequence[str], argv: Sequence[str]) -> bool:
    rest = iter(argv)
    return all(word in rest for word in expected)
