"""What a restore leaves of a dump that another tool wrote: the file, and how a person loads it.

Nothing that reads what came back is started here: this is not the sandbox. Its first bytes are
looked at, to give it a name that says what it is and the commands that fit.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from dr_orchestrator.assets import mariadb_script, postgres_script
from dr_orchestrator.assets.foreign_dump import (
    ForeignDump,
    Format,
    Packing,
    archive_header,
    look_at,
    major_of,
)
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.errors import DroError
from dr_orchestrator.servers.mariadb_programs import Version
from dr_orchestrator.servers.mariadb_server import LARGEST_PACKET

_ENDINGS = {Format.SQL: ".sql", Format.CUSTOM: ".pgdump", Format.TAR: ".tar"}
_PACKED_ENDINGS = {
    Packing.NONE: "",
    Packing.GZIP: ".gz",
    Packing.BZIP2: ".bz2",
    Packing.XZ: ".xz",
}
_UNPACK = {
    Packing.GZIP: "gunzip",
    Packing.BZIP2: "bunzip2",
    Packing.XZ: "unxz",
}
_GROWTH, _PACKED_GROWTH = 2, 6
"""A loaded database is about so many times as large as its dump, as text and compressed."""


def sandbox_bytes(state: AssetState, *, empty_server: int) -> int:
    """Return about how much loading a dump takes, with the dump itself. Its name alone tells here
    whether it is compressed; how much there really is, is seen before it is loaded.
    """
    is_text = PurePosixPath(state.path).suffix == ".sql"
    return state.bytes * (1 + (_GROWTH if is_text else _PACKED_GROWTH)) + empty_server


def hand_over_postgres(
    restored: Path, place: Path, program: Callable[[int, str], str]
) -> tuple[str, ...]:
    """Leave a dump of PostgreSQL; see `AssetDriver.hand_over`. `program` returns what to call a
    program of a major version, 0 where it is not known.
    """
    try:
        dump = look_at(restored)
    except DroError as error:
        return _as_it_is(restored, place, error)
    file = _moved(dump, place)
    if dump.format is not Format.SQL:
        return _pg_restore_lines(dump, file, program)
    script = postgres_script.survey((dump.head,))
    psql = f"{program(script.major, 'psql')} --no-psqlrc --set=ON_ERROR_STOP=1 {_TO_POSTGRES}"
    if script.databases or script.is_of_a_cluster:
        return (
            f"{file} is a dump that makes its databases itself",
            _where_of(script.major),
            _fed(dump.packing, file, f"{psql} --dbname=postgres"),
            "it ends at the first error: where a role or database is there already, that is why",
        )
    names = r"grep --text --extended-regexp --only-matching '(OWNER TO|GRANT .* TO) [^;]+;'"
    return (
        f"{file} is a dump of one database, without its roles",
        _where_of(script.major),
        f"{program(script.major, 'createdb')} {_TO_POSTGRES} --template=template0 NAME",
        "make the roles first that this lists:",
        f"{_shown(dump.packing, file)} | {names} | sort --unique",
        _fed(dump.packing, file, f"{psql} --dbname=NAME"),
    )


def hand_over_mariadb(
    restored: Path, place: Path, program: Callable[[Version | None, str], str]
) -> tuple[str, ...]:
    """Leave a dump of MariaDB or MySQL; see `AssetDriver.hand_over`. `program` returns what to call
    a program of a version, `None` where it is not known.
    """
    try:
        dump = look_at(restored)
    except DroError as error:
        return _as_it_is(restored, place, error)
    file = _moved(dump, place)
    script = mariadb_script.survey((dump.head,))
    client = f"{program(script.version, 'mariadb')} --host=HOST --user=root --password"
    load = f"{client} --binary-mode --max-allowed-packet={LARGEST_PACKET}"
    server = "the version that production ran"
    if script.version is not None:
        server = f"{script.version.vendor.product} {script.version.series}"
    where = f"load it into {server} or newer, with its name for HOST:"
    if script.databases:
        return (
            f"{file} is a dump that makes its databases itself",
            where,
            _fed(dump.packing, file, load),
        )
    return (
        f"{file} is a dump of one database",
        f"{where.removesuffix(':')} and the database's for NAME, which views may depend on:",
        f"{client} --execute='CREATE DATABASE NAME CHARACTER SET utf8mb4'",
        _fed(dump.packing, file, f"{load} --database=NAME"),
        "then make the accounts that its views and routines run as: it holds none",
    )


_TO_POSTGRES = "--host=HOST --username=postgres"


def _pg_restore_lines(
    dump: ForeignDump, file: Path, program: Callable[[int, str], str]
) -> tuple[str, ...]:
    header = archive_header(dump.head)
    major = max(major_of(header.server), major_of(header.tool)) if header else 0
    unpacked = file.with_name(file.name.removesuffix(_PACKED_ENDINGS[dump.packing]))
    unpack = (
        (f"{_UNPACK[dump.packing]} {_quoted(file)}",) if dump.packing is not Packing.NONE else ()
    )
    pg_restore = program(major, "pg_restore")
    jobs = "" if dump.format is Format.TAR else "--jobs=4 "
    load = f"{pg_restore} --exit-on-error {jobs}{_TO_POSTGRES} --create --dbname=postgres"
    return (
        f"{file} is an archive of one database, without its roles",
        _where_of(major),
        *unpack,
        "make the roles first that this lists at the end of its lines:",
        f"{pg_restore} --list {_quoted(unpacked)}",
        f"{load} {_quoted(unpacked)}",
    )


def _as_it_is(restored: Path, place: Path, error: DroError) -> tuple[str, ...]:
    """Leave what came back though it is no dump that is known: whoever restores may know better."""
    file = place / "dump"
    restored.rename(file)
    file.chmod(0o600)
    return (f"{file} is what came back: {error.message}", *filter(None, (error.hint,)))


def _moved(dump: ForeignDump, place: Path) -> Path:
    file = place / f"database{_ENDINGS[dump.format]}{_PACKED_ENDINGS[dump.packing]}"
    dump.path.rename(file)
    file.chmod(0o600)
    return file


def _where_of(major: int) -> str:
    server = f"PostgreSQL {major}" if major else "the version that production ran"
    return f"load it into {server} or newer, with its name or socket folder for HOST:"


def _shown(packing: Packing, file: Path) -> str:
    unpack = f"{_UNPACK[packing]} --stdout" if packing is not Packing.NONE else "cat"
    return f"{unpack} {_quoted(file)}"


def _fed(packing: Packing, file: Path, client: str) -> str:
    if packing is Packing.NONE:
        return f"{client} < {_quoted(file)}"
    return f"{_shown(packing, file)} | {client}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
