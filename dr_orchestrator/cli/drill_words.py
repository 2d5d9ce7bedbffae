"""What a drill came to, for people and for other programs.

It must not pass for more than it is: sandboxes prove data and service, and no people.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.cli.output import TITLE, Span
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words, printable
from dr_orchestrator.plan.model import IMPORTANCES
from dr_orchestrator.runbook.order import waits_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.runbook import Drill, DrilledSystem
    from dr_orchestrator.plan.model import Plan, ProtectedSystem

_COLUMNS = ("", "system", "importance", "begun", "ready", "RTO", "kept", "by hand", "waited for")
_STYLES = {Result.PASSED: "green", Result.FAILED: "bold red", Result.UNPROVEN: "yellow"}
_NOTHING = "-"
_LABEL = 18
_WIDTH = 80

Line = tuple[Span, ...]


def clock_words(since: timedelta) -> str:
    """Return how long ago the outage was: `+04:12`, `+2:04:12`."""
    minutes, seconds = divmod(round(since.total_seconds()), 60)
    hours, rest = divmod(minutes, 60)
    return f"+{hours}:{rest:02}:{seconds:02}" if hours else f"+{minutes:02}:{seconds:02}"


@dataclass(frozen=True)
class _Seen:
    """A system in a drill, beside what the plan promises of it."""

    drilled: DrilledSystem
    promised: ProtectedSystem
    waited_for: tuple[str, ...]

    @property
    def allowed(self) -> timedelta:
        """What the plan allows for steps outside our reach."""
        return sum((each.allow for each in self.promised.recovery), timedelta())

    @property
    def whole(self) -> timedelta | None:
        """From the outage until it was ready, and what is allowed; `None` where it never was."""
        ready = self.drilled.ready_seconds
        return None if ready is None else timedelta(seconds=ready) + self.allowed

    @property
    def by_hand(self) -> timedelta:
        """What people would have taken."""
        return timedelta(seconds=self.drilled.by_hand_seconds)

    @property
    def kept(self) -> str:
        """Whether the RTO is, in words; what people take is not proven, and may break it."""
        if self.drilled.result is Result.FAILED:
            return "FAILED"
        if self.drilled.result is Result.UNPROVEN or self.whole is None:
            return "not proven"
        if self.whole > self.promised.rto:
            return "NOT KEPT"
        return "kept" if self.is_kept_by_people else "not with people"

    @property
    def is_kept_by_people(self) -> bool:
        """Whether there is time for what people do."""
        return self.whole is not None and self.whole + self.by_hand <= self.promised.rto


def drill_lines(drill: Drill, plan: Plan) -> Iterator[Line]:
    """Yield what a drill came to, as a person reads it."""
    seen = _seen(drill, plan)
    took = duration_words(timedelta(seconds=drill.seconds))
    mark = drill.result.value if drill.result is Result.PASSED else drill.result.value.upper()
    yield (
        Span(f"Drill of {printable(plan.practice.name)}: ", TITLE),
        Span(mark, _STYLES[drill.result]),
        Span(f", after {took}"),
    )
    yield ()
    yield from _table(seen)
    yield ()
    for each in seen:
        if each.drilled.result is not Result.PASSED:
            yield from _labelled(each.drilled.system, each.drilled.reason)
    yield from _times(drill, seen)
    yield from _next_steps(drill, seen)
    yield from _labelled(
        "people confirmed",
        "not part of a drill, which proves data and service in sandboxes; rehearse that with:",
    )
    yield (Span(f"  {_rehearsal(drill, seen)}"),)


def _seen(drill: Drill, plan: Plan) -> tuple[_Seen, ...]:
    waits = waits_for(plan, [each.system for each in drill.systems])
    return tuple(
        _Seen(each, plan.protected[each.system], waits[each.system]) for each in drill.systems
    )


def _table(seen: tuple[_Seen, ...]) -> Iterator[Line]:
    rows = [_COLUMNS, *(_row(number, each) for number, each in enumerate(seen, 1))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield (Span("  ".join(cells).rstrip(), TITLE if row is _COLUMNS else ""),)


def _row(number: int, seen: _Seen) -> tuple[str, ...]:
    drilled, promised = seen.drilled, seen.promised
    ready = drilled.ready_seconds
    return (
        str(number),
        drilled.system,
        promised.importance,
        clock_words(timedelta(seconds=drilled.begun_seconds)),
        _NOTHING if ready is None else clock_words(timedelta(seconds=ready)),
        duration_words(promised.rto),
        seen.kept,
        duration_words(seen.by_hand) if seen.by_hand else _NOTHING,
        ", ".join(seen.waited_for) or _NOTHING,
    )


def _times(drill: Drill, seen: tuple[_Seen, ...]) -> Iterator[Line]:
    for each in seen:
        if each.allowed and each.whole is not None:
            yield from _labelled(
                each.drilled.system,
                f"{duration_words(each.whole)} with the {duration_words(each.allowed)} that the "
                "plan allows for what is outside our reach",
            )
    yield from _labelled("critical path", " -> ".join(drill.critical_path))
    added_up = _added_up(drill)
    if added_up is not None and len(seen) > 1:
        took = duration_words(timedelta(seconds=drill.seconds))
        yield from _labelled(
            "side by side",
            f"{took}; the times of the systems add up to "
            f"{duration_words(timedelta(seconds=added_up))}",
        )
    if any(each.by_hand for each in seen):
        yield from _labelled("by hand", "what people take by the runbooks: simulated, not measured")
    for each in seen:
        if each.whole is not None and each.whole <= each.promised.rto < each.whole + each.by_hand:
            yield from _labelled(
                each.drilled.system,
                f"with what people do it would take {duration_words(each.whole + each.by_hand)}, "
                f"and {duration_words(each.promised.rto)} are promised",
            )


def _added_up(drill: Drill) -> float | None:
    """Return the seconds that the systems took, added up; `None` where one did not come back.

    One after another they would take less than that: each has the machine to itself then.
    """
    took = [
        None if each.ready_seconds is None else each.ready_seconds - each.begun_seconds
        for each in drill.systems
    ]
    return None if None in took else sum(each for each in took if each is not None)


def _next_steps(drill: Drill, seen: tuple[_Seen, ...]) -> Iterator[Line]:
    troubled = [each.drilled for each in seen if each.drilled.result is not Result.PASSED]
    for number, each in enumerate(troubled):
        what = (
            f"`dro runs show {each.restore_test}` says what is wrong, and what to do"
            if each.restore_test
            else f"mend that, and drill it again: `dro drill {drill.practice} --system "
            f"{each.system}`"
        )
        yield from _labelled("next" if number == 0 else "", f"{each.system}: {what}")


def _rehearsal(drill: Drill, seen: tuple[_Seen, ...]) -> str:
    """Return the command that rehearses the recovery of the most important system."""
    most = min(seen, key=lambda each: IMPORTANCES.index(each.promised.importance)).drilled
    return f"dro runbook start {most.runbook} {drill.practice} --system {most.system} --rehearse"


def _labelled(label: str, text: str) -> Iterator[Line]:
    lines = textwrap.wrap(
        printable(text), _WIDTH - _LABEL, break_long_words=False, break_on_hyphens=False
    )
    for number, line in enumerate(lines):
        yield (Span(f"{label if number == 0 else '':<{_LABEL}}{line}"),)


def drill_json(drill: Drill, plan: Plan) -> dict[str, object]:
    """Return a drill as other programs read it; times in UTC, seconds from its start."""
    return {
        "id": drill.id,
        "practice": drill.practice,
        "kind": drill.kind.value,
        "started_at": drill.started_at,
        "finished_at": drill.finished_at,
        "by": drill.by,
        "host": drill.host,
        "result": drill.result.value,
        "reason": drill.reason,
        "seconds": drill.seconds,
        "added_up_seconds": _added_up(drill),
        "critical_path": list(drill.critical_path),
        "systems": [_system_json(each) for each in _seen(drill, plan)],
    }


def _system_json(seen: _Seen) -> dict[str, object]:
    drilled = seen.drilled
    return {
        "system": drilled.system,
        "importance": seen.promised.importance,
        "waited_for": list(seen.waited_for),
        "runbook": drilled.runbook,
        "run": drilled.run,
        "repository": drilled.repository or None,
        "point": drilled.point or None,
        "restore_test": drilled.restore_test or None,
        "result": drilled.result.value,
        "reason": drilled.reason,
        "begun_seconds": drilled.begun_seconds,
        "ready_seconds": drilled.ready_seconds,
        "rta_service_seconds": drilled.rta_service_seconds,
        "allowed_seconds": seen.allowed.total_seconds(),
        "by_hand_seconds": drilled.by_hand_seconds,
        "rto_seconds": seen.promised.rto.total_seconds(),
        "kept": seen.kept.lower(),
    }
