"""The made-up practice whose data is damaged: the same rows for every engine.

It is small, since it is brought back thousands of times, and it has what real data has and tests
forget: names with accents, characters of four bytes, blanks at the end, two kinds of line ends,
numbers with more digits than money, nothing and the empty text side by side, rows without a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

Row = tuple[object, ...]
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "patient": ("id", "name", "born", "balance", "phone", "active", "photo"),
    "visit": ("id", "patient_id", "seen_at", "minutes", "room", "note"),
    "lab": ("id", "visit_id", "taken", "code", "unit", "amount"),
    "document": ("id", "patient_id", "path", "sha256"),
    "setting": ("name", "content"),
}
CHECKS: tuple[Mapping[str, str], ...] = tuple(
    {"title": title, "asset": "database", "sql": sql, "expect": "baseline"}
    for title, sql in {
        "patients": "select count(*) from patient",
        "sum of balances": "select sum(balance) from patient",
        "newest visit": "select max(seen_at) from visit",
        "visits without a patient": """select count(*) from visit v
            left join patient p on p.id = v.patient_id where p.id is null""",
    }.items()
)
"""What somebody who knows the application would have asked in the plan."""
KEYED = ("patient", "visit", "lab", "document")
_SIZES = {"patient": 240, "visit": 1000, "lab": 800, "document": 60}
_EVERY_REMOVED = 97
_NAMES = ("Zoë Müller", "José Peña", "Łukasz Wójcik", "Anne-Marie O’Neill", "Jane Roe", "Bo Li")
_NOTES = (
    "blood pressure 120/80 ",
    "seen with mother\r\nreturns in a week",
    "pain since Tuesday; 2 × 400 mg",
    "stethoscope \N{STETHOSCOPE} clear",
    "allergic to penicillin",
)
_SETTINGS = (("practice", "Riverside"), ("printer", "front desk"), ("fax", "none"))


def rows(*, practice: int = 0, months_ago: int = 0) -> dict[str, list[Row]]:
    """Return the rows of every table: of another practice, or as they were some months ago.

    A month ago there were fewer rows, and a few of them have been corrected or removed since.
    """
    return {
        **{
            table: [
                _row(table, number, practice, months_ago)
                for number in range(1, count + 1)
                if _existed(number, count, months_ago)
            ]
            for table, count in _SIZES.items()
        },
        "setting": [*_SETTINGS, *_SETTINGS[:2], ("practice id", str(practice))],
    }


def _existed(number: int, count: int, months_ago: int) -> bool:
    removed_since = number % _EVERY_REMOVED == 0
    if months_ago == 0:
        return not removed_since
    return number <= count - months_ago * (count // 20)


def _row(table: str, number: int, practice: int, months_ago: int) -> Row:
    corrected = "" if months_ago or number % 41 else " (corrected)"
    random = Random(f"{practice}/{table}/{number}")
    return (number, *_MAKERS[table](random, number, corrected))


def _some(random: Random, table: str) -> int:
    """Return the id of a row that is there in every month."""
    number = random.randrange(1, _SIZES[table] * 3 // 4)
    return number if number % _EVERY_REMOVED else number + 1


def _patient(random: Random, number: int, corrected: str) -> Row:
    return (
        f"{random.choice(_NAMES)} {number}{corrected}",
        date(1930, 1, 1) + timedelta(days=random.randrange(30_000)),
        Decimal(random.randrange(-99_999, 999_999)) / 1000,
        (None, "", f"+1 555 {random.randrange(10_000):04d}")[number % 3],
        random.random() < 0.8,  # noqa: PLR2004
        random.randbytes(48),
    )


def _visit(random: Random, number: int, corrected: str) -> Row:
    note = None if number % 11 == 0 else f"{number}: {random.choice(_NOTES)}{corrected}"
    return (
        _some(random, "patient"),
        datetime(2026, 1, 5, 8) + timedelta(minutes=97 * number),  # noqa: DTZ001 - as many store it
        random.randrange(5, 60),
        None if number % 7 == 0 else random.randrange(60, 90),
        note,
    )


def _lab(random: Random, number: int, corrected: str) -> Row:
    return (
        _some(random, "visit"),
        date(2025, 3, 1) + timedelta(days=number % 500),
        f"L{random.randrange(40)}{corrected}",
        random.choice(("mg/dl", "mmol/l", "µg/l")),
        Decimal(random.randrange(1, 9_999_999)) / 10_000,
    )


def _document(random: Random, number: int, corrected: str) -> Row:
    content = f"{number}/{random.random()}{corrected}".encode()
    return (
        _some(random, "patient"),
        f"{number % 10:02d}/scan über {number}.pdf",
        hashlib.sha256(content).hexdigest(),
    )


_MAKERS = {"patient": _patient, "visit": _visit, "lab": _lab, "document": _document}
