"""What was tested, what was not, and what was rehearsed. The times are never mixed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

from dr_orchestrator.core.runbook import Mode
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import (
    depth_words,
    duration_words,
    printable,
    result_words,
    sentence,
)
from dr_orchestrator.report.calendar import Became, calendar_entries
from dr_orchestrator.report.document import Cell, Paragraph, Section, Table, Tone
from dr_orchestrator.report.drawing import months
from dr_orchestrator.report.exact import RESULT_TONES, columns, row
from dr_orchestrator.report.pictures import CalendarLine, calendar
from dr_orchestrator.report.say import count, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.runbook import Drill, RunbookRun
    from dr_orchestrator.report.calendar import CalendarEntry
    from dr_orchestrator.report.exact import Exact

_MONTHS = 12
_COUNTED = (Became.PASSED, Became.FAILED, Became.NO_RESULT, Became.MISSED, Became.SKIPPED)
_BECAME_TONES = {
    Became.FAILED: Tone.BAD,
    Became.NO_RESULT: Tone.OPEN,
    Became.MISSED: Tone.BAD,
    Became.SKIPPED: Tone.PLAIN,
}


def calendar_section(exact: Exact) -> Section:
    """Return the restore tests of twelve months, with those that were missed and skipped."""
    entries = year_of_tests(exact)
    lines = {
        pair: tuple(each for each in entries if (each.system, each.repository) == pair)
        for pair in _tested(exact, entries)
    }
    drawn = [
        CalendarLine(title=_from(exact, *pair), entries=those) for pair, those in lines.items()
    ]
    followed = sum(
        1
        for test in exact.subject.tests
        if test.follow_up_of is not None and _is_shown(exact, test.started_at)
    )
    return Section(
        id="calendar",
        title=say("auditor.calendar.title"),
        blocks=(
            Paragraph(text=say("auditor.calendar.explained")),
            calendar(drawn, now=exact.subject.now, zone=exact.zone),
            _totals(exact, lines),
            *([Paragraph(text=count("auditor.calendar.followed", followed))] if followed else []),
            _not_passed(exact, entries),
        ),
    )


def year_of_tests(exact: Exact) -> tuple[CalendarEntry, ...]:
    """Return what became of each restore test of this month and the eleven before it, by time."""
    entries = calendar_entries(exact.subject.tests, exact.subject.due)
    return tuple(each for each in entries if _is_shown(exact, each.at))


def _is_shown(exact: Exact, at: datetime) -> bool:
    return first_month(exact) <= at <= exact.subject.now


def first_month(exact: Exact) -> datetime:
    """Return when the twelve months of the calendar begin."""
    now = exact.subject.now
    return months(now - timedelta(days=366), now, exact.zone)[-_MONTHS]


def _tested(exact: Exact, entries: tuple[CalendarEntry, ...]) -> tuple[tuple[str, str], ...]:
    """Return what is tested from where: what the plan asks for first, then what else was."""
    planned = (
        (name, test.from_ or exact.plan.repositories_of(name)[0])
        for name, system in exact.plan.protected.items()
        for test in system.restore_tests
    )
    made = ((each.system, each.repository) for each in entries)
    return tuple(dict.fromkeys(chain(planned, made)))


def _from(exact: Exact, system: str, repository: str) -> str:
    title = exact.view.title(system)
    return say("auditor.from", system=title, repository=repository) if repository else title


def _totals(exact: Exact, lines: dict[tuple[str, str], tuple[CalendarEntry, ...]]) -> Table:
    return Table(
        caption=say("auditor.calendar.totals", start=exact.at(first_month(exact))),
        columns=columns(
            "auditor.calendar",
            ("what", 3),
            "#made",
            *(f"#{each.value}" for each in _COUNTED),
            "#by_hand",
        ),
        rows=tuple(_total(exact, pair, entries) for pair, entries in lines.items()),
        empty=say("auditor.calendar.empty"),
    )


def _total(
    exact: Exact, pair: tuple[str, str], entries: tuple[CalendarEntry, ...]
) -> tuple[Cell, ...]:
    counts = Counter(each.became for each in entries)
    made = sum(counts[each] for each in (Became.PASSED, Became.FAILED, Became.NO_RESULT))
    return row(
        _from(exact, *pair),
        f"{made:,}",
        *(
            Cell(
                text=f"{counts[each]:,}",
                tone=_BECAME_TONES.get(each, Tone.PLAIN) if counts[each] else Tone.PLAIN,
            )
            for each in _COUNTED
        ),
        f"{sum(each.by_hand for each in entries):,}",
    )


def _not_passed(exact: Exact, entries: tuple[CalendarEntry, ...]) -> Table:
    return Table(
        caption=say("auditor.not_passed.title"),
        columns=columns("auditor.not_passed", ("when", 2), ("what", 3), ("became", 2), ("why", 5)),
        rows=tuple(_group(exact, group) for group in _alike(entries)),
        empty=say("auditor.not_passed.none"),
    )


def _group(exact: Exact, group: tuple[CalendarEntry, ...]) -> tuple[Cell, ...]:
    first, several = group[0], len(group) > 1
    return row(
        _span(exact, group) if several else exact.at(first.at),
        _from(exact, first.system, first.repository),
        Cell(
            text=say(f"pictures.became.{first.became.value}"),
            tone=_BECAME_TONES[first.became],
            detail=count("auditor.not_passed.times", len(group)) if several else "",
        ),
        sentence(printable(first.reason)) or say("auditor.no_reason"),
    )


def _span(exact: Exact, group: tuple[CalendarEntry, ...]) -> str:
    return say("auditor.span", start=exact.at(group[0].at), end=exact.at(group[-1].at))


def _alike(entries: tuple[CalendarEntry, ...]) -> tuple[tuple[CalendarEntry, ...], ...]:
    """Return those that did not pass; one after the other that went the same way, for the same
    reason, stand together: a holiday week is one line.
    """
    groups: list[list[CalendarEntry]] = []
    newest: dict[tuple[str, str], list[CalendarEntry]] = {}
    for each in entries:
        pair = (each.system, each.repository)
        group = newest.pop(pair, None)
        if each.became is Became.PASSED:
            continue
        if group is None or (group[-1].became, group[-1].reason) != (each.became, each.reason):
            group = []
            groups.append(group)
        group.append(each)
        newest[pair] = group
    return tuple(tuple(group) for group in groups)


def last_tests(exact: Exact) -> Table:
    """Return the newest restore test of each system from each repository that came to a result."""
    newest = {
        (test.system, test.repository): test
        for test in exact.tests
        if test.result is not Result.UNPROVEN
        and test.follow_up_of is None
        and test.system in exact.plan.protected
        and test.finished_at <= exact.subject.now
    }
    return Table(
        caption=say("auditor.tests.title"),
        columns=columns(
            "auditor.tests",
            ("what", 3),
            ("tested", 2),
            ("result", 3),
            ("loaded", 2),
            ("usable", 2),
            ("compared", 2),
            ("checks", 2),
            ("id", 4),
        ),
        rows=tuple(_tested_row(exact, test) for test in newest.values()),
        empty=say("auditor.tests.none"),
    )


def _tested_row(exact: Exact, test: RestoreTest) -> tuple[Cell, ...]:
    passed = sum(1 for each in test.verifications if each.result is Result.PASSED)
    share = "" if test.share.is_whole else str(test.share)
    return row(
        _from(exact, test.system, test.repository),
        Cell(
            text=exact.at(test.started_at),
            detail=say("auditor.tests.point", at=exact.at(test.point_as_of)),
        ),
        Cell(
            text=result_words(test.result),
            tone=RESULT_TONES[test.result],
            detail=sentence(printable(test.reason))
            or say("auditor.tests.depth", level=int(test.depth), words=depth_words(test.depth)),
        ),
        _seconds(test.rta_data_seconds),
        _seconds(test.rta_service_seconds),
        _seconds(test.proof_seconds),
        Cell(text=f"{passed}/{len(test.verifications)}", detail=share),
        Cell(text=test.id, detail=say("auditor.tests.of", point=test.point)),
    )


def _seconds(seconds: float | None) -> str:
    return (
        say("auditor.not_timed") if seconds is None else duration_words(timedelta(seconds=seconds))
    )


def exercises_section(exact: Exact) -> Section:
    """Return what was rehearsed and what really happened, by whom, and how."""
    return Section(
        id="exercises",
        title=say("auditor.exercises.title"),
        blocks=(
            Paragraph(text=say("auditor.exercises.explained")),
            _drills(exact),
            followed(exact, (Mode.REHEARSAL,), "auditor.rehearsals"),
            incidents(exact),
        ),
    )


def _drills(exact: Exact) -> Table:
    return Table(
        caption=say("auditor.drills.title"),
        columns=columns(
            "auditor.drills",
            ("when", 2),
            ("kind", 2),
            ("led_by", 2),
            ("result", 3),
            ("took", 2),
            ("systems", 3),
            ("id", 3),
        ),
        rows=tuple(_drill(exact, each) for each in reversed(exact.subject.drills)),
        empty=say("auditor.drills.none"),
    )


def _drill(exact: Exact, drill: Drill) -> tuple[Cell, ...]:
    back = [each.system for each in drill.systems if each.result is Result.PASSED]
    return row(
        exact.at(drill.started_at),
        say(f"auditor.drills.{drill.kind.name.lower()}"),
        Cell(text=printable(drill.by), detail=printable(drill.host)),
        Cell(
            text=result_words(drill.result),
            tone=RESULT_TONES[drill.result],
            detail=sentence(printable(drill.reason)),
        ),
        duration_words(timedelta(seconds=drill.seconds)),
        say("auditor.drills.back", back=len(back), total=len(drill.systems)),
        drill.id,
    )


def incidents(exact: Exact) -> Table:
    """Return the incidents on record: runbooks that were followed in earnest."""
    return followed(exact, (Mode.INCIDENT,), "auditor.incidents")


def followed(exact: Exact, modes: tuple[Mode, ...], table: str) -> Table:
    """Return the runbooks that were followed, the newest first, with who and how much."""
    runs = [each for each in reversed(exact.subject.followed) if each.mode in modes]
    return Table(
        caption=say(f"{table}.title"),
        columns=columns(
            "auditor.followed",
            ("when", 2),
            ("runbook", 3),
            ("who", 3),
            ("done", 2),
            ("id", 3),
        ),
        rows=tuple(_followed(exact, each) for each in runs),
        empty=say(f"{table}.none"),
    )


def _followed(exact: Exact, run: RunbookRun) -> tuple[Cell, ...]:
    done = sum(1 for each in exact.subject.exercised if each.run == run.id)
    return row(
        exact.at(run.opened_at),
        Cell(text=run.runbook, detail=exact.view.title(run.system) if run.system else ""),
        Cell(text=printable(run.opened_by), detail=", ".join(_where(run))),
        f"{done:,}",
        Cell(
            text=run.id,
            detail="" if run.incident == run.id else say("auditor.followed.of", id=run.incident),
        ),
    )


def _where(run: RunbookRun) -> Iterator[str]:
    yield printable(run.host)
    if run.lane:
        yield printable(run.lane)


def restored(exact: Exact) -> Table:
    """Return what was restored for people to work with, and why."""
    return Table(
        caption=say("auditor.restored.title"),
        columns=columns(
            "auditor.restored", ("when", 2), ("what", 3), ("place", 3), ("by", 2), ("why", 4)
        ),
        rows=tuple(
            row(
                exact.at(each.at),
                Cell(
                    text=_from(exact, each.system, each.repository),
                    detail=say("auditor.tests.of", point=each.point),
                ),
                printable(each.place),
                printable(each.by),
                printable(each.why) or say("auditor.restored.not_said"),
            )
            for each in reversed(exact.subject.restored)
        ),
        empty=say("auditor.restored.none"),
    )
