"""What a program of the practice's own is asked, and the one value that may come of its answer.

A program is known by its arguments, written as JSON: that is what stands for SQL in
`CaptureRequest.queries`, in a baseline, and in `Restoration.value`. What it prints may be anything
out of a record, so nothing of it leaves here but a number, a boolean or a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from dr_orchestrator.core.baseline import Baseline, DatabaseBaseline, Value
from dr_orchestrator.errors import CouldNotVerify, ProgramFailed
from dr_orchestrator.plan.expectation import NOT_CAPTURED, NotCaptured
from dr_orchestrator.process import exit_words, known_cause

if TYPE_CHECKING:
    from dr_orchestrator.process import Command, Launcher

LONGEST_ANSWER = 4096
"""Bytes of stdout after which a program that should print one value is ended."""
_AFTER = " after"
"""What marks the answer once the dump was made: no JSON text ends so."""
_INTEGER = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"[-+]?\d{1,18}\.\d{1,18}", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[-+]\d\d:\d\d)?)?", re.ASCII
)


def argv_text(argv: tuple[str, ...]) -> str:
    """Return the text that stands for a program and its arguments."""
    return json.dumps(argv, ensure_ascii=False)


def argv_of(text: str) -> tuple[str, ...]:
    """Return the program and arguments that `text` stands for.

    Raises:
        CouldNotVerify: it stands for none: it is SQL.
    """
    try:
        argv = json.loads(text)
    except ValueError:
        argv = None
    if not isinstance(argv, list) or not argv or not all(isinstance(each, str) for each in argv):
        raise CouldNotVerify(
            "what the practice's own programs restored answers no SQL", hint="ask it with `run`"
        )
    return tuple(argv)


def filled(argv: tuple[str, ...], placeholders: Mapping[str, str]) -> tuple[str, ...]:
    """Return `argv` with each `{name}` replaced, an argument staying one whatever is put into it.

    Braces around any other word stay as they are.
    """
    if not placeholders:
        return argv
    known = re.compile("{(" + "|".join(map(re.escape, placeholders)) + ")}")
    return tuple(known.sub(lambda found: placeholders[found[1]], each) for each in argv)


def parse_answer(output: bytes, zone: tzinfo) -> Value:
    """Return the one value that a program printed; times that carry no zone are read in `zone`.

    Raises:
        CouldNotVerify: it printed something else; the message has nothing of it.
    """
    text = output.decode(errors="replace").strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if _TIME.fullmatch(text):
        return _time(text, zone)
    if not text:
        raise CouldNotVerify("the program printed nothing")
    if len(text.splitlines()) > 1:
        raise CouldNotVerify("the program printed more than one line")
    raise CouldNotVerify("the program printed neither a number nor true, false or a time")


def _time(text: str, zone: tzinfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        aware = found if found.tzinfo is not None else found.replace(tzinfo=zone)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise CouldNotVerify("the program printed a time that does not exist") from None


def ask(launcher: Launcher, command: Command, zone: tzinfo) -> Value:
    """Run a program and return the one value it prints.

    Raises:
        CouldNotVerify: it failed, did not end in time, or printed something else.
        DroError: it could not be run, by its class.
    """
    try:
        completed = launcher.run(command)
    except ProgramFailed as error:
        raise CouldNotVerify(error.message) from None
    if not completed.ok:
        raise CouldNotVerify(
            f"{completed.program} failed ({exit_words(completed.returncode)}"
            f"{known_cause(completed.stderr)})"
        )
    return parse_answer(completed.stdout, zone)


def both_answers(text: str, before: Value, after: Value) -> dict[str, Value]:
    """Return what a baseline keeps of one program that was asked before and after the dump."""
    return {text: before} | ({} if before == after else {f"{text}{_AFTER}": after})


def expected_answer(
    baseline: Baseline | None, at_capture: tuple[str, ...], restored: Value
) -> Value | NotCaptured:
    """Return what a restored value must equal.

    Where production moved on while the dump was made, nobody knows which of the answers between the
    two is the dump's: then any of them will do.
    """
    answers = baseline.queries if isinstance(baseline, DatabaseBaseline) else {}
    text = argv_text(at_capture)
    if text not in answers:
        return NOT_CAPTURED
    before = answers[text]
    after = answers.get(f"{text}{_AFTER}", before)
    return restored if _lies_between(before, restored, after) else before


def _lies_between(one: Value, value: Value, other: Value) -> bool:
    if isinstance(value, datetime):
        ends = [end for end in (one, other) if isinstance(end, datetime)]
        return len(ends) == 2 and min(ends) <= value <= max(ends)  # noqa: PLR2004 - both
    if isinstance(value, bool) or value is None:
        return value is one or value is other
    numbers = [end for end in (one, other) if isinstance(end, int | float)]
    return len(numbers) == 2 and min(numbers) <= value <= max(numbers)  # noqa: PLR2004 - both
