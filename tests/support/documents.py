"""A made-up document with one of everything that a report may hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.report.calendar import Became, CalendarEntry
from dr_orchestrator.report.document import (
    Cell,
    Column,
    Commands,
    Document,
    Fact,
    Facts,
    Paragraph,
    Picture,
    Section,
    Table,
    Tone,
)
from dr_orchestrator.report.pictures import CalendarLine, calendar, growth, recovery_times
from tests.support.evidence import DATABASE, make_point, make_test

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
ZONE = ZoneInfo("America/Chicago")
DAY = timedelta(days=1)
SYSTEM_TITLE = "Electronic medical record"


def pictures() -> tuple[Picture, ...]:
    """Return one of each picture, of a year of weekly tests."""
    results = {3: Result.FAILED, 9: Result.UNPROVEN}
    tests = [
        make_test(NOW - week * 7 * DAY, results.get(week, Result.PASSED))
        for week in range(52, -1, -1)
    ]
    points = [
        make_point(
            NOW - day * DAY, assets={"database": replace(DATABASE, bytes=(900 - day) * 8_000_000)}
        )
        for day in range(60, -1, -1)
    ]
    entries = tuple(
        CalendarEntry(
            at=NOW - number * 20 * DAY,
            system="emr",
            repository="onsite",
            became=became,
            reason="because",
        )
        for number, became in enumerate(Became)
    )
    hours = {"limit": timedelta(hours=4), "allowed": timedelta(hours=2)}
    return (
        recovery_times(SYSTEM_TITLE, tests, **hours, now=NOW, zone=ZONE),
        growth(SYSTEM_TITLE, points, now=NOW, zone=ZONE),
        calendar([CalendarLine(title=SYSTEM_TITLE, entries=entries)], now=NOW, zone=ZONE),
    )


def make_table(rows: int = 40) -> Table:
    """Return a table that takes more than one sheet; its last row says so."""
    tones = (Tone.GOOD, Tone.BAD, Tone.OPEN, Tone.PLAIN)
    return Table(
        caption="What is asked",
        columns=(
            Column(title="Control", share=2),
            Column(title="Verdict"),
            Column(title="Record", share=4),
            Column(title="Days", is_number=True),
        ),
        rows=tuple(
            (
                Cell(text="the last row" if number == rows - 1 else f"control {number}"),
                Cell(text=tones[number % 4].value, tone=tones[number % 4]),
                Cell(text="it was done, and written down", detail="5f1d7a3c9be04e62" * 4),
                Cell(text=str(number)),
            )
            for number in range(rows)
        ),
        empty="Nothing is asked.",
    )


def make_document(**changes: Any) -> Document:
    """Return a report for the auditor of Riverside Family Practice."""
    sections = (
        Section(
            id="asked",
            title="What is asked",
            blocks=(
                Paragraph(text="Each line is one thing."),
                make_table(),
                replace(make_table(0), caption="Nothing here"),
            ),
        ),
        Section(id="pictures", title="Pictures", blocks=pictures(), new_page=True),
        Section(
            id="places",
            title="Places",
            blocks=(
                Facts(
                    facts=(
                        Fact(label="The server", text="not encrypted", tone=Tone.OPEN),
                        Fact(label="The repository", text="encrypted"),
                    )
                ),
                Paragraph(text="One place is not encrypted.", tone=Tone.BAD),
            ),
        ),
        Section(
            id="verify",
            title="How to verify",
            blocks=(Commands(lines=("sha256sum evidence", f"verify --key {'ab' * 32}")),),
        ),
    )
    plain = Document(
        reader="auditor",
        practice="riverside",
        name="Riverside Family Practice",
        title="Report for the auditor",
        made="21 November 2026",
        verdict=Verdict.BREACHED,
        verdict_words="not kept",
        summary="One of 40 things that are asked is not kept.",
        sections=sections,
        footer=(Fact(label="Plan version", text="5f1d7a3c9be0"),),
        head="a4f0b7c31d22",
    )
    return replace(plain, **changes)
