"""Damage to a MariaDB database that lives, to a dump of it, and to a copy of its server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from dr_orchestrator.assets.mariadb_source import USERS
from scripts.mutation import kept as keeping
from scripts.mutation.kept import LOADING, BeforeLoad, Sidecars, flip, in_place_of, write
from scripts.mutation.rows import ROWS
from scripts.mutation.trial import NOBODY, Kind

if TYPE_CHECKING:
    from scripts.mutation.mariadb_subject import MariadbCopy

_OBJECTS = "objects"
_DEFINITIONS = "definitions"
_SEQUENCES = "sequences"
_CHUNK = b"XBSTCK01"
_WORDS = re.compile(rb"blood pressure|penicillin|stethoscope|returns in a week|since Tuesday")
"""Text out of rows, in which each bit makes a difference."""

Damage = Callable[["MariadbCopy", Random], str]


def _run(*choices: str) -> Damage:
    """Return a damage that runs one of these, each one or more statements."""

    def damage(copy: MariadbCopy, random: Random) -> str:
        statement = random.choice(choices)
        for part in statement.split(";;"):
            copy.do(part)
        return statement

    return damage


def _kind(title: str, damage: Damage, claimed_by: str = NOBODY, **more: Any) -> Kind[Any]:
    return Kind(title=title, damage=damage, claimed_by=claimed_by, few=True, **more)


def _damage_index(copy: MariadbCopy, random: Random) -> str:
    """Turn bytes over in an index of MyISAM, which lies in a file of its own."""
    copy.do("flush tables appointment")
    path = copy.data / "appointment.MYI"
    content = bytearray(path.read_bytes())
    start = random.choice((1024, 2048)) + 100
    content[start : start + 400] = random.randbytes(400)
    path.write_bytes(content)
    return f"appointment, byte {start}"


LIVING_KINDS: tuple[Kind[Any], ...] = (
    _kind("table missing", _run("drop table setting", "drop table document"), ROWS, quick=True),
    _kind("partition missing", _run("alter table lab drop partition p2025"), ROWS),
    _kind("table too many", _run("create table lab_old as select * from lab"), _OBJECTS),
    _kind("column missing", _run("alter table lab drop column unit"), ROWS),
    _kind("column too many", _run("alter table lab add column extra text"), ROWS),
    _kind(
        "column of a narrower type",
        _run(
            "alter table lab modify code varchar(30) not null",
            "alter table visit modify minutes smallint",
        ),
        _DEFINITIONS,
    ),
    _kind("numbers became floating point", _run("alter table lab modify amount double"), ROWS),
    _kind(
        "collation of a column changed",
        _run("alter table visit modify note text collate utf8mb4_bin"),
        _DEFINITIONS,
    ),
    _kind(
        "character set of a column narrowed",
        _run("alter table lab modify code varchar(60) character set latin1 not null"),
        _DEFINITIONS,
    ),
    _kind("collation of the database changed", _run("alter database collate utf8mb4_bin")),
    _kind("default lost", _run("alter table patient alter balance drop default"), _DEFINITIONS),
    _kind("not null lost", _run("alter table lab modify code varchar(60)"), _DEFINITIONS),
    _kind("primary key lost", _run("alter table document drop primary key"), _OBJECTS),
    _kind("foreign key lost", _run("alter table visit drop foreign key visit_of"), _OBJECTS),
    _kind("check lost", _run("alter table visit drop constraint visit_lasts"), _OBJECTS),
    _kind("unique lost", _run("alter table document drop key path"), _OBJECTS),
    _kind(
        "unique index became an ordinary one",
        _run("alter table patient drop key patient_once, add key patient_once (id, name)"),
        _DEFINITIONS,
    ),
    _kind("index missing", _run("alter table lab drop key lab_code"), _OBJECTS),
    _kind(
        "index on another column",
        _run("alter table lab drop key lab_code, add key lab_code (visit_id)"),
        _DEFINITIONS,
    ),
    _kind("index damaged", _damage_index),
    _kind("view missing", _run("drop view visit_list", "drop view unpaid"), _OBJECTS),
    _kind("view changed", _run("alter view unpaid as select name from patient")),
    _kind("routine missing", _run("drop function fee"), _OBJECTS),
    _kind(
        "routine changed",
        _run(
            "drop function fee;;create definer=emr_owner@localhost function fee(minutes int) "
            "returns int deterministic return 3 * minutes"
        ),
        _DEFINITIONS,
    ),
    _kind("trigger missing", _run("drop trigger stamp"), _OBJECTS),
    _kind(
        "trigger changed",
        _run(
            "drop trigger stamp;;create definer=emr_owner@localhost trigger stamp before insert "
            "on visit for each row set new.note = 'none'"
        ),
        _DEFINITIONS,
    ),
    _kind("event missing", _run("drop event nightly"), _OBJECTS, quick=True),
    _kind(
        "event changed",
        _run("alter definer=root@localhost event nightly on schedule every 2 day"),
        _DEFINITIONS,
    ),
    _kind("event switched off", _run("alter definer=root@localhost event nightly disable")),
    _kind(
        "engine of a table changed",
        _run("alter table setting engine=MyISAM", "alter table appointment engine=InnoDB"),
        _DEFINITIONS,
    ),
    _kind("sequence behind", _run("alter sequence invoice restart 1000"), _SEQUENCES),
    _kind(
        "automatic numbers behind",
        _run("alter table patient auto_increment = 4000"),
        _SEQUENCES,
    ),
    _kind("sequence lost", _run("drop sequence invoice"), _SEQUENCES),
    _kind(
        "sequence ahead",
        _run("alter sequence invoice restart 9000", "alter table patient auto_increment = 9000"),
        harmless=True,
        quick=True,
    ),
    _kind(
        "owner changed",
        _run(
            "alter definer=emr_owner@localhost view unpaid as "
            "select name from patient where balance < 0"
        ),
        _DEFINITIONS,
    ),
    _kind("account of an owner missing", _run("drop user emr_owner@localhost"), "views answer"),
    _kind("rights lost", _run("revoke all on visit_list from `Dr. O'Hara`@localhost")),
    _kind(
        "comment of a column lost",
        _run("alter table visit modify room int comment 'new'"),
        _DEFINITIONS,
    ),
    _kind("rows in another order", _run("alter table setting order by content"), harmless=True),
    _kind("tables rewritten", _run("alter table visit force"), harmless=True),
    _kind("statistics gathered", _run("analyze table visit"), harmless=True),
)

# --- before loading ---------------------------------------------------------------------------


def _before(title: str, damage: Callable[[Path, Random], str], **more: Any) -> BeforeLoad:
    return BeforeLoad(title=title, damage=damage, **{"claimed_by": LOADING, **more})


def _cut_after_statement(path: Path, random: Random) -> str:
    content = path.read_bytes()
    ends = [match.end() for match in re.finditer(rb";\n", content)][:-1]
    at = random.choice(ends)
    write(path, content[:at])
    return f"at {at} of {len(content)}"


def _without_rows(choose: Callable[[list[int], Random], list[int]]) -> Any:
    """Return a damage that leaves statements out, and the end of the dump where it is."""

    def damage(path: Path, random: Random) -> str:
        lines = path.read_bytes().splitlines(keepends=True)
        rows = [at for at, line in enumerate(lines) if line.startswith(b"INSERT INTO")]
        left_out = set(choose(rows, random))
        write(path, b"".join(line for at, line in enumerate(lines) if at not in left_out))
        return f"{len(left_out)} statements"

    return damage


def _one(rows: list[int], random: Random) -> list[int]:
    return [random.choice(rows)]


def _stretch(rows: list[int], random: Random) -> list[int]:
    start = random.randrange(len(rows) - 1)
    return rows[start : start + random.randrange(1, 200)]


def _all(rows: list[int], _: Random) -> list[int]:
    return rows


def _wrong_encoding(path: Path, _: Random) -> str:
    content = path.read_bytes()
    write(path, content.decode("latin-1").encode())
    return "everything"


def _flip_in_rows(path: Path, random: Random) -> str:
    content = path.read_bytes()
    words = random.choice(list(_WORDS.finditer(content)))
    write(path, flip(content, random.randrange(words.start(), words.end()), random))
    return "a note"


def _flip_in_definition(path: Path, random: Random) -> str:
    content = path.read_bytes()
    definition = random.choice(list(re.finditer(rb"CREATE [^;]+;", content)))
    at = random.randrange(definition.start(), definition.end())
    write(path, flip(content, at, random))
    return f"byte {at}"


def dump_kinds(before: Path, another: Path) -> tuple[Kind[Any], ...]:
    """Return the damage to a dump."""
    return (
        _before("dump cut short", keeping.cut, quick=True),
        _before("dump cut after a statement", _cut_after_statement),
        _before("dump empty", keeping.empty, few=True),
        _before("one row left out of the dump", _without_rows(_one), claimed_by=ROWS),
        _before("many rows left out of the dump", _without_rows(_stretch), claimed_by=ROWS),
        _before("dump without any rows", _without_rows(_all), claimed_by=ROWS, few=True),
        _before("dump in the wrong encoding", _wrong_encoding, claimed_by=ROWS, few=True),
        _before("a block of zeros in the dump", keeping.hole),
        _before("one bit of a row flipped in the dump", _flip_in_rows, claimed_by=ROWS),
        _before(
            "one bit of a definition flipped in the dump", _flip_in_definition, claimed_by=NOBODY
        ),
        *_others(before, another),
    )


def _others(before: Path, another: Path) -> tuple[Kind[Any], ...]:
    return tuple(
        _before(title, in_place_of(path), claimed_by=ROWS, few=True)
        for title, path in (
            ("an older state of the whole database", before),
            ("the database of another practice", another),
        )
    )


def _no_accounts(sidecars: dict[str, bytes], _: Random) -> str:
    del sidecars[USERS]
    return USERS


def _without_account(name: bytes) -> Callable[[dict[str, bytes], Random], str]:
    def damage(sidecars: dict[str, bytes], _: Random) -> str:
        lines = sidecars[USERS].splitlines(keepends=True)
        sidecars[USERS] = b"".join(line for line in lines if name not in line)
        assert len(sidecars[USERS]) < len(b"".join(lines))
        return name.decode()

    return damage


ACCOUNT_KINDS = (
    Sidecars(title="all roles missing", damage=_no_accounts, claimed_by="views answer", few=True),
    Sidecars(
        title="role that owns something missing",
        damage=_without_account(b"emr_owner"),
        claimed_by="views answer",
        few=True,
    ),
    Sidecars(title="role that owns nothing missing", damage=_without_account(b"Hara"), few=True),
)


def _cut_after_chunk(path: Path, random: Random) -> str:
    content = path.read_bytes()
    starts = [match.start() for match in re.finditer(_CHUNK, content)][1:]
    at = random.choice(starts)
    write(path, content[:at])
    return f"at {at} of {len(content)}"


def _without_chunk(*, own: bool) -> Callable[[Path, Random], str]:
    """Return a damage that leaves a piece of a file out: of the database, or of anything else.

    A chunk (xbstream.h): the magic, a byte of flags, its type, the length of its path in four
    bytes, the path; one of type `P` has a piece of the file in it.
    """

    def damage(path: Path, random: Random) -> str:
        content = path.read_bytes()
        starts = [match.start() for match in re.finditer(_CHUNK, content)]
        found = [
            at
            for at, start in enumerate(starts[:-1])
            if content[start + 9 : start + 10] == b"P" and _is_of_database(content, start) is own
        ]
        at = random.choice(found)
        name = _file_name(content, starts[at])
        write(path, content[: starts[at]] + content[starts[at + 1] :])
        return name

    return damage


def _file_name(content: bytes, start: int) -> str:
    length = int.from_bytes(content[start + 10 : start + 14], "little")
    return content[start + 14 : start + 14 + length].decode()


def _is_of_database(content: bytes, start: int) -> bool:
    """Whether it is rows, an index or a definition of the practice's own database."""
    name = _file_name(content, start).removeprefix("./")
    return name.startswith("emr/") and name.endswith((".frm", ".ibd", ".MYD", ".MYI", ".TRG"))


def _flip(path: Path, random: Random) -> str:
    write(path, keeping.flip_anywhere(path.read_bytes(), random))
    return "anywhere"


def stream_kinds(before: Path, another: Path) -> tuple[Kind[Any], ...]:
    """Return the damage to the stream of a copied server."""
    return (
        _before("dump cut short", keeping.cut),
        _before("stream cut after a file", _cut_after_chunk),
        _before("dump empty", keeping.empty, few=True),
        _before(
            "a piece of the database missing from the stream",
            _without_chunk(own=True),
            claimed_by=ROWS,
        ),
        _before(
            "a piece of another file missing from the stream",
            _without_chunk(own=False),
            claimed_by=NOBODY,
        ),
        _before("one bit of the stream flipped", _flip),
        _before("a block of zeros in the stream", keeping.hole),
        *_others(before, another),
    )
