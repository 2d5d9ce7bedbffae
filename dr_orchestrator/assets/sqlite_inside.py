"""What is asked of a SQLite database, at capture by us and at restore from inside the sandbox.

One file, standard library only: a restored database is hostile, so it is opened by a separate
program that runs this file in the sandbox, and the same functions take the baseline, or the two
could not be compared. As a program it reads one request (JSON) from stdin, writes answers as JSON
lines, and ends with `{"done": true}`: without that line the answers are not complete.

Nothing SQLite says in words leaves this file, only the names of its result codes: words can hold
values.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

ALGORITHM = "sum of blake2b-128 over ascii(row)/1, sampled: rowid % 16"
SAMPLED_FROM_ROWS = 10_000
"""Tables up to this many rows are read in full when a sample is asked for."""
FOREIGN_KEYS = "foreign key violations"

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?(Z|[+-]\d\d:?\d\d))?)?", re.ASCII
)
_VIRTUAL = re.compile(r"\s*create\s+virtual\s+table", re.IGNORECASE)
_KINDS = (("index", "indexes"), ("view", "views"), ("trigger", "triggers"))
_STEPS_BETWEEN_LOOKS_AT_THE_CLOCK = 50_000


def connect(path: str) -> sqlite3.Connection:
    """Open a database file that nobody else has open, for reading only.

    Raises:
        sqlite3.Error: it is no database.
    """
    connection = sqlite3.connect(
        f"file:{quote(path.encode(errors='surrogateescape'))}?mode=ro&immutable=1",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    # Text that is no UTF-8 must be compared, too.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.execute("PRAGMA query_only = on")
    connection.execute("PRAGMA trusted_schema = off")  # no function with effects in a view
    connection.execute("SELECT count(*) FROM sqlite_master")
    return connection


def stop_when(connection: sqlite3.Connection, expired: Callable[[], bool] | None) -> None:
    """Have whatever runs fail with SQLITE_INTERRUPT once `expired` says so."""
    connection.set_progress_handler(expired, _STEPS_BETWEEN_LOOKS_AT_THE_CLOCK)


def code(error: sqlite3.Error) -> str:
    """Return the name of SQLite's result code: `SQLITE_CORRUPT`."""
    return str(getattr(error, "sqlite_errorname", "") or type(error).__name__)


def tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the names of the tables that hold rows: not SQLite's own, and not virtual ones, whose
    rows lie in tables of their own.
    """
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return tuple(
        sorted(
            name
            for name, sql in found
            if not name.startswith("sqlite_") and not _VIRTUAL.match(sql or "")
        )
    )


def count(connection: sqlite3.Connection, table: str) -> int:
    """Return the number of rows of a table."""
    rows: int = connection.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0]  # noqa: S608
    return rows


def checksum(connection: sqlite3.Connection, table: str, *, sampled: bool) -> str:
    """Return an order-free checksum of all rows, or of every sixteenth."""
    # Tables without a rowid are read in full.
    where = " WHERE _rowid_ % 16 = 0" if sampled and _has_rowid(connection, table) else ""
    total = 0
    for row in connection.execute(f"SELECT * FROM {_quoted(table)}{where}"):  # noqa: S608
        # ascii() tells 1 from '1' from 1.0 from x'31', and is the same in every Python.
        digest = hashlib.blake2b(ascii(row).encode(), digest_size=16).digest()
        total += int.from_bytes(digest, "big")
    return f"{total % 2**128:032x}"


def objects(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many there are of what is no table with rows, by kind."""
    found = list(connection.execute("SELECT type, sql FROM sqlite_master"))
    counts = {
        plural: sum(1 for kind, _ in found if kind == singular) for singular, plural in _KINDS
    }
    counts["virtual tables"] = sum(1 for _, sql in found if _VIRTUAL.match(sql or ""))
    return counts


def sequences(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the last value each AUTOINCREMENT handed out, by table."""
    own = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
    if connection.execute(own).fetchone() is None:
        return {}
    found = connection.execute("SELECT name, seq FROM sqlite_sequence")
    return {str(name): value for name, value in found if isinstance(value, int)}


def damages(connection: sqlite3.Connection, *, quick: bool) -> int:
    """Return how many faults SQLite finds in the file, up to 100; quick does not read indexes."""
    check = "quick_check" if quick else "integrity_check"
    found = connection.execute(f"PRAGMA {check}(100)").fetchall()
    return 0 if found == [("ok",)] else len(found)


def foreign_key_violations(connection: sqlite3.Connection) -> int:
    """Return how many rows refer to a row that is not there."""
    return sum(1 for _ in connection.execute("PRAGMA foreign_key_check"))


def one_value(connection: sqlite3.Connection, sql: str) -> tuple[str, object]:
    """Return the kind of the only value that `sql` answers, and the value unless it is `other`.

    Kinds: null, number, time (text that reads as one), other (any other text or bytes; the value
    stays here), shape (not one row of one column).
    """
    cursor = connection.execute(sql)
    rows = cursor.fetchmany(2)
    if len(rows) != 1 or len(rows[0]) != 1:
        return "shape", None
    value = rows[0][0]
    if value is None:
        return "null", None
    if isinstance(value, int | float):
        return "number", value
    if isinstance(value, str) and _TIME.fullmatch(value):
        return "time", value
    return "other", None


def _has_rowid(connection: sqlite3.Connection, table: str) -> bool:
    try:
        connection.execute(f"SELECT _rowid_ FROM {_quoted(table)} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError:
        return False
    return True


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --- as a program in the sandbox ---


def _answers(request: dict[str, object]) -> Iterator[dict[str, object]]:
    connection = connect(str(request["path"]))
    wanted = request["do"]
    if wanted == "value":
        kind, value = one_value(connection, str(request["sql"]))
        yield {"kind": kind, "value": value}
    elif wanted == "rows":
        for row in connection.execute(str(request["sql"])):
            yield {"row": [{"b": cell.hex()} if isinstance(cell, bytes) else cell for cell in row]}
    elif wanted == "compare":
        levels = request["tables"]
        yield from _measured(connection, levels if isinstance(levels, dict) else {})


def _measured(
    connection: sqlite3.Connection, levels: dict[str, str]
) -> Iterator[dict[str, object]]:
    yield _guarded("damages", partial(damages, connection, quick=False))
    yield _guarded(FOREIGN_KEYS, partial(foreign_key_violations, connection))
    yield _guarded("objects", partial(objects, connection))
    yield _guarded("sequences", partial(sequences, connection))
    for table in tables(connection):
        level = levels.get(table, "counts")
        answer = _guarded("rows", partial(count, connection, table))
        if level in {"full", "sampled"}:
            ask = partial(checksum, connection, table, sampled=level == "sampled")
            answer |= _guarded("checksum", ask)
        yield {"table": table, **answer}


def _guarded(name: str, ask: Callable[[], object]) -> dict[str, object]:
    """Return the answer under `name`; where the data cannot be read, none, and the code."""
    try:
        return {name: ask()}
    except sqlite3.Error as error:
        return {name: None, f"{name} failed": code(error)}


def main() -> None:
    """Answer one request."""
    try:
        for answer in _answers(json.loads(sys.stdin.buffer.read())):
            sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.write('{"done": true}\n')
    except sqlite3.Error as error:
        sys.stdout.write(json.dumps({"error": code(error)}) + "\n")
    except (sqlite3.Warning, ValueError, TypeError, OverflowError) as error:
        sys.stdout.write(json.dumps({"error": type(error).__name__}) + "\n")


if __name__ == "__main__":
    main()
