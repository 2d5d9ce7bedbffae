"""What a restore leaves for a responder, and how much room a restoration takes.

Nothing that reads what came back is run here: this is not the sandbox. Rows are joined to long
statements already, since a responder who waits for a server to take them one by one waits ten times
as long.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from dr_orchestrator.assets import dump_hand_over
from dr_orchestrator.assets.mariadb_dump import for_loading
from dr_orchestrator.assets.mariadb_logical_restoration import log_bytes
from dr_orchestrator.assets.mariadb_restoration import (
    recorded_bytes,
    recorded_settings,
    recorded_version,
    server_settings,
)
from dr_orchestrator.assets.mariadb_source import USERS
from dr_orchestrator.assets.restored_file import opened_file
from dr_orchestrator.assets.script_lines import BLOCK
from dr_orchestrator.core.point import AssetState, Method
from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.servers.mariadb_connection import identifier, literal
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Vendor, Version
from dr_orchestrator.servers.mariadb_server import LARGEST_PACKET, OF_THE_FILES, as_options

_EMPTY_SERVER = 256 * 1024 * 1024
"""System tables, temporary tablespace and other logs of a server of ours."""
_DUMP = "database.sql"
_COPY = "server.xbstream"
_DATA = "data"
_LONGEST_SOCKET = 107


def sandbox_bytes(state: AssetState) -> int:
    """Return the bytes a restoration takes, with what restic writes; see `AssetDriver`."""
    if state.method is Method.PHYSICAL:
        return 2 * state.bytes + _EMPTY_SERVER
    if state.method is Method.DUMP:
        return dump_hand_over.sandbox_bytes(state, empty_server=log_bytes(state) + _EMPTY_SERVER)
    loaded = recorded_bytes(state)
    return state.bytes + loaded + loaded // 4 + log_bytes(state) + _EMPTY_SERVER


def hand_over_dump(
    state: AssetState,
    restored: Path,
    sidecars: Mapping[str, bytes],
    place: Path,
    programs: MariadbPrograms,
) -> tuple[str, ...]:
    """Leave a dump that loads fast, and the accounts; see `AssetDriver.hand_over`."""
    dump, users = place / _DUMP, place / USERS
    _write_joined(restored, dump)
    users.touch(mode=0o600)
    users.write_bytes(sidecars.get(USERS, b""))
    version = recorded_version(state)
    database = state.server.get("database", "")
    create = f"CREATE DATABASE {identifier(database)}"
    if (charset := state.server.get("character_set")) and (
        collation := state.server.get("collation")
    ):
        create += f" CHARACTER SET {literal(charset)} COLLATE {literal(collation)}"
    client = (
        f"{_program(programs, version, 'mariadb')} --host=HOST --user=root --password "
        "--default-character-set=utf8mb4"
    )
    where = (
        f"load them into a {_title(version)} or newer that does not have this database yet, with "
        "its name for HOST:"
    )
    accounts = f"{client} --force --database=mysql < {_quoted(users)}"
    load = (
        f"{client} --binary-mode --max-allowed-packet={LARGEST_PACKET} "
        f"--database={shlex.quote(database)} < {_quoted(dump)}"
    )
    passwords = (
        "then give the database's users their passwords, which are not in the backup: "
        "ALTER USER name@host IDENTIFIED BY '…' ACCOUNT UNLOCK"
    )
    return (
        f"{place} holds the dump of the database, and the server's accounts",
        where,
        f"{client} --execute={shlex.quote(create)}",
        accounts,
        load,
        "and the accounts once more, since rights on single tables need the tables:",
        accounts,
        "where that server runs events (event_scheduler), those of the database run from now on",
        passwords,
    )


def hand_over_foreign_dump(
    restored: Path, place: Path, programs: MariadbPrograms
) -> tuple[str, ...]:
    """Leave a dump that another tool wrote; see `AssetDriver.hand_over`."""
    return dump_hand_over.hand_over_mariadb(
        restored,
        place,
        lambda version, name: name if version is None else _program(programs, version, name),
    )


def hand_over_server(
    state: AssetState,
    restored: Path,
    sidecars: Mapping[str, bytes],
    place: Path,
    programs: MariadbPrograms,
) -> tuple[str, ...]:
    """Leave the copy of the server, and say how it is unpacked; see `AssetDriver.hand_over`."""
    del sidecars  # its accounts are in the copy
    copy, data = place / _COPY, place / _DATA
    restored.rename(copy)
    copy.chmod(0o600)
    version = recorded_version(state)
    mbstream, backup, server, client = (
        _program(programs, version, name)
        for name in ("mbstream", "mariadb-backup", "mariadbd", "mariadb")
    )
    as_server = "runuser -u mysql --"
    socket = _socket(place)
    files = shlex.join(as_options(recorded_settings(state, OF_THE_FILES)))
    settings = shlex.join(as_options(server_settings(state)))
    database = shlex.quote(state.server.get("database", ""))
    prepared = (
        "the account mysql must be able to pass the folders above it; unpack it, and take over "
        "what was written while it was copied:"
    )
    start = (
        f"{as_server} {server} --no-defaults --datadir={_quoted(data)} --socket={_quoted(socket)} "
        f"--skip-networking --event-scheduler=OFF {files} {settings} &"
    )
    ask = (
        f"{client} --no-defaults --socket={_quoted(socket)} --user=root --password "
        f"--database={database}"
    )
    others = (
        "accounts and passwords are production's; its settings are not in the copy: take them "
        "over from /etc/mysql before others may connect"
    )
    return (
        f"{copy} is a copy of a whole server, of {_title(version)}: no other series can start it",
        prepared,
        f"mkdir --mode=700 {_quoted(data)} && chown mysql: {_quoted(place)} {_quoted(data)}",
        f"{as_server} {mbstream} -x -C {_quoted(data)} < {_quoted(copy)}",
        f"{as_server} {backup} --no-defaults --prepare --target-dir={_quoted(data)} {files}",
        "start it on a unix socket only, without events, and look at it:",
        start,
        ask,
        others,
    )


def _write_joined(restored: Path, dump: Path) -> None:
    descriptor = os.open(dump, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file, opened_file(restored) as source:
        for piece in for_loading(iter(lambda: source.read(BLOCK), b"")):
            file.write(piece)
    restored.unlink()


def _program(programs: MariadbPrograms, version: Version, name: str) -> str:
    """Return what to call a program: where it is on this machine, or its name."""
    try:
        return programs.at_least(version, name).path(name)
    except ProgramMissing:
        return name if version.vendor is Vendor.MARIADB else name.replace("mariadb", "mysql")


def _title(version: Version) -> str:
    return f"{'MariaDB' if version.vendor is Vendor.MARIADB else 'MySQL'} {version.series}"


def _socket(place: Path) -> Path:
    """Return where a unix socket's path is short enough."""
    socket = place / "socket"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET:
        return socket
    return Path("/tmp/dro-recovery.sock")  # noqa: S108 - a responder's own machine


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
