"""What a responder reads of a step, in words: the same on a full screen and in plain lines.

Every text may come out of a file that others wrote, so none reaches a terminal but by `printable`
or `command_words`.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Mode, StepResult
from dr_orchestrator.core.wording import (
    date_words,
    duration_words,
    instant_words,
    moment_words,
    printable,
)
from dr_orchestrator.runbook.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

    from dr_orchestrator.runbook.desk import ContactLine, LoadLine, PointLine, View
    from dr_orchestrator.runbook.progress import Behind, Limit

MODES = {Mode.REHEARSAL: "REHEARSAL", Mode.DRILL: "DRILL", Mode.INCIDENT: "INCIDENT"}
RESULTS = {
    StepResult.DONE: "done",
    StepResult.NOT_AS_EXPECTED: "NOT as expected",
    StepResult.FAILED: "FAILED",
    StepResult.SIMULATED: "simulated",
    StepResult.SKIPPED: "skipped",
}
LEAVE_KEY = "q"
"""The same in every step, on every desk."""
LEFT = "left; it can be gone on with"
DOT = " \N{MIDDLE DOT} "
LINE = 79
"""Signs on a line outside the full screen."""
_MINUTE = timedelta(minutes=1)
_COMMAND_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|['"\\])+""")
"""What a shell takes for one word: no line is broken within quotes."""


def calm_words(duration: timedelta) -> str:
    """Return a duration that does not change each second: whole minutes passed, or seconds."""
    if duration < _MINUTE:
        return f"{int(duration.total_seconds())} s"
    return duration_words(duration // _MINUTE * _MINUTE)


def headline(view: View) -> str:
    """Return what this is: rehearsal or incident, of which practice, and by which runbook."""
    parts = (view.practice_name, view.system, view.runbook)
    return DOT.join((MODES[view.mode], *(printable(each) for each in parts if each)))


def clock_words(
    outage_at: datetime, rto: timedelta | None, now: datetime, zone: tzinfo
) -> tuple[str, str]:
    """Return for how long the outage lasts, and what is left of the RTO (empty without one)."""
    lasted = max(now - outage_at, timedelta(0))
    began = f"outage {calm_words(lasted)} ago ({clock_time(outage_at, now, zone)})"
    if rto is None:
        return began, ""
    left = rto - lasted
    rest = f"{calm_words(left)} left" if left >= timedelta(0) else f"OVER by {calm_words(-left)}"
    return began, f"RTO {duration_words(rto)}{DOT}{rest}"


def clock_time(instant: datetime, now: datetime, zone: tzinfo) -> str:
    """Return the time of day, with the day where it is not that of `now`."""
    if instant.astimezone(zone).date() == now.astimezone(zone).date():
        return f"{instant.astimezone(zone):%H:%M}"
    return moment_words(instant, zone, beside=now)


def limit_words(limit: Limit, now: datetime, zone: tzinfo) -> str:
    """Return what is due, until when, and how long that is."""
    of, at = printable(limit.of), clock_time(limit.until, now, zone)
    left = limit.until - now
    if left < timedelta(0):
        return f"OVERDUE by {calm_words(-left)}: {of} (by {at})"
    return f"due in {calm_words(left)}: {of} (by {at})"


def step_words(view: View, now: datetime) -> str:
    """Return where we are, whose step it is, and how long it takes."""
    here = f"here {calm_words(max(now - view.begun_at, timedelta(0)))}"
    usual = f"~{duration_words(view.normal)} ({here})" if view.normal is not None else here
    parts = [f"STEP {view.number} of {view.total}", printable(view.lane), usual]
    if view.critical:
        parts.append("must be done")
    if view.two_persons:
        parts.append("two persons")
    return DOT.join(parts)


def command_words(argv: tuple[str, ...]) -> str:
    """Return a command as it could be typed into a shell; no sign in it can hide."""
    return " ".join(_quoted(argument) for argument in argv)


def _quoted(argument: str) -> str:
    if all(_is_visible(sign) for sign in argument):
        return shlex.quote(argument)
    return "$'" + "".join(_escaped(sign) for sign in argument) + "'"


def _is_visible(sign: str) -> bool:
    return sign == " " or printable(sign) == sign


def _escaped(sign: str) -> str:
    if sign in "\\'":
        return f"\\{sign}"
    return sign if _is_visible(sign) else f"\\U{ord(sign):08x}"


def labelled_words(view: View) -> dict[str, str]:
    """Return what is said of a step under a label, empty where there is nothing to say."""
    return {
        "Runs": command_words(view.command),
        "Expect": printable(view.expect),
        "If not": printable(view.if_not),
        "Undo": printable(view.undo),
    }


def contact_words(contact: ContactLine) -> str:
    """Return whom to call, and when that was last tried."""
    reached = printable(contact.phone or contact.email)
    if not contact.role:
        return f"{printable(contact.name)}: the plan does not say who that is"
    who = f"{printable(contact.name)}, {printable(contact.role)}"
    if not reached:
        return f"{who}: no number in the plan"
    tried = f"last tried {printable(contact.verified)}" if contact.verified else "never tried"
    return f"{who}: {reached} ({tried})"


def point_words(point: PointLine, view: View, now: datetime, zone: tzinfo) -> str:
    """Return which point a system comes back from, whether it was proven, and how long it takes."""
    late = " (AFTER THE OUTAGE BEGAN)" if point.as_of >= view.outage_at else ""
    what = f"{printable(point.title)} as of {instant_words(point.as_of, zone)}{late}"
    if point.restored:
        back = f"restored from {printable(point.repository)}"
        return f"{what}, {back}: {printable(point.point)}"
    proven = "NEVER PROVEN"
    if point.proven:
        proven = f"proven {date_words(point.proven, zone, beside=now)}"
    elif view.handed_over:
        proven = "this machine does not know when it was last proven"
    parts = [what, f"from {printable(point.repository)}", proven]
    if point.estimate is not None:
        parts.append(f"~{duration_words(point.estimate)}{_against(point, view, now)}")
    return f"{', '.join(parts)}: {printable(point.point)}"


def _against(point: PointLine, view: View, now: datetime) -> str:
    if view.rto is None or point.estimate is None:
        return ""
    over = now + point.estimate - (view.outage_at + view.rto)
    return f" (OVER the RTO by {calm_words(over)})" if over > timedelta(0) else " (within the RTO)"


def load_words(line: LoadLine) -> str:
    """Return a line of what to do with what was restored, as it is copied: on one line."""
    return printable(line.text)


def load_rows(line: LoadLine, width: int) -> Iterator[str]:
    """Yield the rows of such a line; a command goes on behind a backslash, so that it can be copied
    as it stands.
    """
    text = load_words(line)
    if not line.is_command:
        yield from wrapped_words(text, width=width)
        return
    row = ""
    for word in _COMMAND_WORD.findall(text):
        if row and len(row) + len(word) + 3 > width:
            yield f"{row} \\"
            row = "  "
        row += word if not row.strip() else f" {word}"
        while len(row) > width:  # a word that is longer than a row: a shell joins that too
            yield f"{row[: width - 1]}\\"
            row = row[width - 1 :]
    yield row


def wrapped_words(
    text: str, *, width: int = LINE, indent: str = "", hanging: str = ""
) -> list[str]:
    """Return text as lines that are broken between words; what has no space in it stays whole."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def behind_words(behind: Behind, now: datetime, zone: tzinfo) -> tuple[str, str, str]:
    """Return when a step ended that is behind us, with what result, and which one it was."""
    again = f" (time {behind.visit})" if behind.visit > 1 else ""
    said = f": {printable(behind.text)}" if behind.text else ""
    at = clock_time(behind.ended_at, now, zone)
    return at, RESULTS[behind.result], f"{printable(behind.step)}{again}{said}"


def warnings(view: View) -> tuple[str, ...]:
    """Return what stands out before something that cannot be taken back without loss."""
    if not view.destructive:
        return ()
    if view.mode is not Mode.INCIDENT:
        return ("DESTRUCTIVE: a rehearsal only says so",)
    return "DESTRUCTIVE: something is lost by this", f"PRACTICE:  {printable(view.practice)}"


def what_follows(view: View) -> tuple[str, ...]:
    """Return what the steps say that come next; none where that hangs on the answer."""
    return () if view.kind is Kind.DECIDE else view.after
