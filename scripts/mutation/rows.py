"""Damage to rows, in any database that speaks SQL.

Every function here makes sure that the data really is another afterwards: a damage that changes
nothing would count against checks that are right not to see it.
"""

# ruff: noqa: S608 - SQL over our own data
from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Protocol

from scripts.mutation.practice import COLUMNS, KEYED, Row
from scripts.mutation.trial import Kind

ROWS = "rows"
"""The baseline's comparison of every table: the check that claims all of this."""

_TEXTS = (("patient", "name"), ("visit", "note"), ("lab", "code"), ("document", "path"))
_NUMBERS = (("patient", "balance"), ("visit", "minutes"), ("lab", "amount"))
_TIMES = (("patient", "born"), ("visit", "seen_at"), ("lab", "taken"))
_NULLABLE = (("patient", "phone"), ("visit", "room"), ("visit", "note"))
_EXCHANGEABLE = (
    ("patient", "name", "phone"),
    ("visit", "minutes", "room"),
    ("lab", "code", "unit"),
)
_PARENTS = {"patient": ("visit", "patient_id"), "visit": ("lab", "visit_id")}

Field = tuple[str, str]
Alter = Callable[[Any, Random], Any]


class Rows(Protocol):
    """A restored database that takes any change, whatever its foreign keys and triggers say."""

    before: Mapping[str, Sequence[Row]]
    """What every table held a month before the capture."""

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows that a query answers; `?` stands for a value."""
        ...

    def do(self, statement: str, *values: object) -> int:
        """Run a statement and return how many rows it changed."""
        ...


# --- rows that are not there, or too many -----------------------------------------------------


def _drop_one(rows: Rows, random: Random) -> str:
    table = random.choice(KEYED)
    _delete(rows, table, [random.choice(_ids(rows, table))])
    return table


def _drop_some(rows: Rows, random: Random) -> str:
    table = random.choice(KEYED)
    ids = _ids(rows, table)
    _delete(rows, table, random.sample(ids, max(2, len(ids) // 10)))
    return table


def _drop_last(rows: Rows, random: Random) -> str:
    table = random.choice(KEYED)
    _delete(rows, table, sorted(_ids(rows, table))[-random.randrange(1, 50) :])
    return table


def _drop_all(rows: Rows, random: Random) -> str:
    table = random.choice(tuple(COLUMNS))
    assert rows.do(f"delete from {table}")
    return table


def _orphan(rows: Rows, random: Random) -> str:
    table = random.choice(tuple(_PARENTS))
    child, column = _PARENTS[table]
    parents = rows.ask(f"select distinct {column} from {child}")
    _delete(rows, table, [random.choice(sorted(parent for (parent,) in parents))])
    return f"{child} without {table}"


def _double(rows: Rows, random: Random) -> str:
    (name, content) = random.choice(sorted(rows.ask("select name, content from setting")))
    assert rows.do("insert into setting values (?, ?)", name, content) == 1
    return "setting"


def _add(rows: Rows, random: Random) -> str:
    table = random.choice(KEYED)
    ids = _ids(rows, table)
    columns = ", ".join(COLUMNS[table][1:])
    path = "path" in columns
    chosen = columns.replace("path", "'another.pdf'") if path else columns
    statement = f"insert into {table} (id, {columns}) select ?, {chosen} from {table} where id = ?"
    assert rows.do(statement, max(ids) + random.randrange(1, 9), random.choice(ids)) == 1
    return table


def _replace(rows: Rows, random: Random) -> str:
    """Put the content of one row in the place of another: the number of rows stays."""
    table = random.choice(("patient", "visit", "lab"))
    columns = COLUMNS[table][1:]
    one, other = _two_that_differ(rows, random, table, ", ".join(columns))
    values = rows.ask(f"select {', '.join(columns)} from {table} where id = ?", other)[0]
    changes = ", ".join(f"{column} = ?" for column in columns)
    assert rows.do(f"update {table} set {changes} where id = ?", *values, one) == 1
    return table


def _exchange_pairs(rows: Rows, random: Random) -> str:
    """Lose a pair of equal rows and double another: exclusive-or would not notice."""
    counted = rows.ask("select name, content, count(*) from setting group by name, content")
    pairs = sorted((name, content) for name, content, count in counted if count == 2)  # noqa: PLR2004
    lost, doubled = random.sample(pairs, 2)
    assert rows.do("delete from setting where name = ? and content = ?", *lost) == 2  # noqa: PLR2004
    for _ in range(2):
        rows.do("insert into setting values (?, ?)", *doubled)
    return "setting"


# --- values that are others -------------------------------------------------------------------


def _swap_rows(rows: Rows, random: Random) -> str:
    table, column = random.choice((*_TEXTS[:3], *_NUMBERS, *_TIMES))
    one, other = _two_that_differ(rows, random, table, column)
    values = [
        rows.ask(f"select {column} from {table} where id = ?", key)[0][0] for key in (one, other)
    ]
    for key, value in zip((other, one), values, strict=True):
        assert rows.do(f"update {table} set {column} = ? where id = ?", value, key) == 1
    return f"{table}.{column}"


def _swap_columns(rows: Rows, random: Random) -> str:
    table, one, other = random.choice(_EXCHANGEABLE)
    found = f"select id from {table} where {one} <> {other} and {one} is not null"
    keys = sorted(key for (key,) in rows.ask(found))
    _exchange_columns(rows, table, one, other, [random.choice(keys)])
    return f"{table}.{one}, {table}.{other}"


def _swap_all_columns(rows: Rows, random: Random) -> str:
    table, one, other = random.choice(_EXCHANGEABLE)
    where = f"{one} is not null and {other} is not null and {one} <> {other}"
    keys = [key for (key,) in rows.ask(f"select id from {table} where {where}")]
    _exchange_columns(rows, table, one, other, keys)
    return f"{table}.{one}, {table}.{other}"


def _shift_zone(rows: Rows, random: Random) -> str:
    hours = random.choice((-6, -5, 1, 5, 6))
    seen = rows.ask("select id, seen_at from visit order by id")
    for key, value in seen[: random.randrange(1, 300)]:
        rows.do("update visit set seen_at = ? where id = ?", _moved(value, hours=hours), key)
    return f"visit.seen_at by {hours} h"


def _flip_flag(rows: Rows, random: Random) -> str:
    key = random.choice(_ids(rows, "patient"))
    ((active,),) = rows.ask("select active from patient where id = ?", key)
    assert rows.do("update patient set active = ? where id = ?", not active, key) == 1
    return "patient.active"


def _flip_in_photo(rows: Rows, random: Random) -> str:
    key = random.choice(_ids(rows, "patient"))
    ((photo,),) = rows.ask("select photo from patient where id = ?", key)
    content = bytearray(photo)
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    assert rows.do("update patient set photo = ? where id = ?", bytes(content), key) == 1
    return "patient.photo"


def _other_letter(value: str, random: Random) -> str:
    at = random.randrange(len(value)) if value else 0
    letter = random.choice("abcdefghijklmnopqrstuvwxyz")  # another digit may be another's path
    return value[:at] + letter + value[at + 1 :]


def _other_case(value: str, random: Random) -> str:
    places = [at for at, letter in enumerate(value) if letter != letter.swapcase()]
    at = random.choice(places) if places else 0
    return value[:at] + value[at : at + 1].swapcase() + value[at + 1 :]


def _cut(value: str, random: Random) -> str:
    return value[: random.randrange(len(value))] if value else value


def _strip_end(value: str, _: Random) -> str:
    return value.rstrip(" ")


def _unix_lines(value: str, _: Random) -> str:
    return value.replace("\r\n", "\n")


def _mojibake(value: str, _: Random) -> str:
    return value.encode().decode("latin-1")


def _question_marks(value: str, _: Random) -> str:
    return value.encode("ascii", "replace").decode()


def _three_bytes(value: str, _: Random) -> str:
    return re.sub(r"[\U00010000-\U0010ffff]", "?", value)


def _decompose(value: str, _: Random) -> str:
    return unicodedata.normalize("NFD", value)


def _round(value: Any, random: Random) -> Any:
    return round(value, random.choice((0, 1, 2)))


def _last_digit(value: Any, random: Random) -> Any:
    return type(value)(str(value)[:-1] + random.choice("123456789"))


def _no_sign(value: Any, _: Random) -> Any:
    return abs(value)


def _another_day(value: Any, random: Random) -> Any:
    return _moved(value, days=random.choice((-1, 1)))


def _another_century(value: Any, random: Random) -> Any:
    return _moved(value, days=random.choice((-36_525, -36_524)))


def _nothing(_: Any, __: Random) -> None:
    return None


# --- tables and databases of another time -----------------------------------------------------


def _older_table(rows: Rows, random: Random) -> str:
    table = random.choice(KEYED)
    rows.do(f"delete from {table}")
    marks = ", ".join("?" for _ in COLUMNS[table])
    for row in rows.before[table]:
        rows.do(f"insert into {table} values ({marks})", *row)
    return table


# --- what the above need ----------------------------------------------------------------------


def _ids(rows: Rows, table: str) -> list[int]:
    return [key for (key,) in rows.ask(f"select id from {table} order by id")]


def _delete(rows: Rows, table: str, keys: Sequence[int]) -> None:
    marks = ", ".join("?" for _ in keys)
    assert rows.do(f"delete from {table} where id in ({marks})", *keys) == len(keys)


def _two_that_differ(rows: Rows, random: Random, table: str, columns: str) -> tuple[int, int]:
    found = {key: values for key, *values in rows.ask(f"select id, {columns} from {table}")}
    keys = sorted(found)
    one = random.choice(keys)
    return one, random.choice([key for key in keys if found[key] != found[one]])


def _exchange_columns(rows: Rows, table: str, one: str, other: str, keys: Sequence[int]) -> None:
    for key in keys:
        ((first, second),) = rows.ask(f"select {one}, {other} from {table} where id = ?", key)
        changed = rows.do(
            f"update {table} set {one} = ?, {other} = ? where id = ?", second, first, key
        )
        assert changed == 1


def _moved(value: Any, **by: int) -> Any:
    """Return a time that lies elsewhere, in the form it has (SQLite has times as text)."""
    if isinstance(value, str):
        found = datetime.fromisoformat(value)
        return (found + timedelta(**by)).isoformat(sep=" ")[: len(value)]
    if isinstance(value, datetime | date):
        return value + timedelta(**by)
    raise TypeError(value)


def _altered(fields: Sequence[Field], alter: Alter) -> Any:
    """Return a damage that alters one value, of a row in which that makes a difference."""

    def damage(rows: Rows, random: Random) -> str:
        for table, column in random.sample(fields, len(fields)):
            keys = [
                key for (key,) in rows.ask(f"select id from {table} where {column} is not null")
            ]
            for key in random.sample(keys, len(keys)):
                ((before,),) = rows.ask(f"select {column} from {table} where id = ?", key)
                after = alter(before, random)
                if after == before:
                    continue
                assert rows.do(f"update {table} set {column} = ? where id = ?", after, key) == 1
                ((found,),) = rows.ask(f"select {column} from {table} where id = ?", key)
                assert found != before
                return f"{table}.{column}"
        raise AssertionError("nothing to alter")

    return damage


def _empty_instead_of_null(rows: Rows, random: Random) -> str:
    table, column, value = random.choice(
        (("patient", "phone", ""), ("visit", "note", ""), ("visit", "room", 0))
    )
    keys = [key for (key,) in rows.ask(f"select id from {table} where {column} is null")]
    changed = rows.do(f"update {table} set {column} = ? where id = ?", value, random.choice(keys))
    assert changed == 1
    return f"{table}.{column}"


_DAMAGES: Mapping[str, Callable[[Rows, Random], str]] = {
    "one row missing": _drop_one,
    "one row in ten missing": _drop_some,
    "the last rows missing": _drop_last,
    "all rows of a table missing": _drop_all,
    "rows whose parent is missing": _orphan,
    "one row doubled": _double,
    "one row too many": _add,
    "one row in the place of another": _replace,
    "one pair of equal rows in the place of another": _exchange_pairs,
    "values swapped between two rows": _swap_rows,
    "values swapped between two columns of a row": _swap_columns,
    "two columns swapped throughout": _swap_all_columns,
    "one character of a text changed": _altered(_TEXTS, _other_letter),
    "upper and lower case changed": _altered(_TEXTS, _other_case),
    "text cut short": _altered(_TEXTS, _cut),
    "blanks at the end of a text lost": _altered(_TEXTS[1:2], _strip_end),
    "line ends of a text changed": _altered(_TEXTS[1:2], _unix_lines),
    "text read in the wrong encoding": _altered(_TEXTS, _mojibake),
    "letters with accents became question marks": _altered(_TEXTS, _question_marks),
    "characters of four bytes lost": _altered(_TEXTS[1:2], _three_bytes),
    "accents written in the other Unicode form": _altered((_TEXTS[0], _TEXTS[3]), _decompose),
    "number rounded": _altered((_NUMBERS[0], _NUMBERS[2]), _round),
    "last digit of a number changed": _altered(_NUMBERS, _last_digit),
    "sign of a number lost": _altered(_NUMBERS[:1], _no_sign),
    "nothing instead of a value": _altered(_NULLABLE, _nothing),
    "an empty value instead of nothing": _empty_instead_of_null,
    "a time moved by a day": _altered(_TIMES, _another_day),
    "a date moved by a century": _altered(_TIMES[:1], _another_century),
    "times moved by a time zone": _shift_zone,
    "a flag turned over": _flip_flag,
    "one bit of binary data flipped": _flip_in_photo,
    "a table from last month": _older_table,
}
_QUICK = {"one row missing", "values swapped between two rows", "a table from last month"}


def row_kinds(claimed_by: str = ROWS) -> tuple[Kind[Any], ...]:
    """Return every kind of damage to rows, claimed by one check."""
    return tuple(
        Kind(title=title, damage=damage, claimed_by=claimed_by, quick=title in _QUICK)
        for title, damage in _DAMAGES.items()
    )
