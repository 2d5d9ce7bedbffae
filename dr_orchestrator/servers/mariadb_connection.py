"""Connecting to a MariaDB or MySQL server, with everything stated that would else be looked up.

Sessions are the same everywhere: UTC, no SQL mode, UTF-8, repeatable reads. What a server says in
an error may hold a row, so `failure_words` has our own words only; and one value leaves a query
only where it is a number, a boolean or a time.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import socket
import ssl
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import Cursor, SSCursor

from dr_orchestrator.core.baseline import Value
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.servers.mariadb_programs import Vendor, Version

if TYPE_CHECKING:
    _Session = pymysql.connections.Connection[Cursor]
else:
    _Session = pymysql.connections.Connection  # generic in its stubs only

Row = tuple[Any, ...]

_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_SAME_EVERYWHERE = (
    "set names utf8mb4",
    "set session time_zone = '+00:00', sql_mode = '', group_concat_max_len = 1048576",
    "set session sql_select_limit = default, wait_timeout = 28800, net_write_timeout = 3600",
    "set session transaction isolation level repeatable read",
)
_CANCELLED = frozenset({1317, 1969, 3024})
"""Interrupted, or over MariaDB's `max_statement_time`, MySQL's `max_execution_time`."""
_LOCKED = frozenset({1205})
_GONE = frozenset({1051, 1146, 1412, 1932})
"""A table that was dropped or altered since the snapshot was taken."""
_DAMAGED = frozenset(
    {126, 127, 130, 134, 144, 145, 1016, 1017, 1034, 1035, 1194, 1195, 1712, 1812, 1877}
)
_LOST = frozenset({0, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1184, 2006, 2013, 2055, 4031})
_KINDS: tuple[tuple[frozenset[int], str], ...] = (
    (frozenset({1044, 1045, 1142, 1143, 1227, 1290, 1370, 1419, 1698}), "access denied"),
    (frozenset({1049}), "no such database"),
    (frozenset({1064, 1149}), "it is not valid SQL"),
    (frozenset({1052, 1054}), "no such column"),
    (frozenset({1305, 1630}), "no such function"),
    (frozenset({1021, 1114, 3170}), "the server's disk or memory is full"),
    (frozenset({1040, 1203, 1226}), "the server has no connection left"),
    (frozenset({1213}), "a deadlock with another program"),
    (frozenset({1356}), "a view refers to something that is missing, or may not be read"),
    (frozenset({1449}), "its DEFINER is not a user of the server"),
    (frozenset({1792}), "it would change data"),
    (_CANCELLED, "it took too long"),
    (_LOCKED, "another program holds a lock"),
    (_GONE, "the table is missing, or changed its definition"),
    (_DAMAGED, "the table is damaged"),
    (_LOST, "the connection was lost"),
)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens, and who we are to it."""

    host: str
    """Name, address, or path of a unix socket."""
    port: int
    user: str
    sslmode: str = "disable"
    connect_seconds: int = 15

    @property
    def socket(self) -> str | None:
        """The path of the unix socket, `None` where it is reached over the network."""
        return self.host if self.host.startswith("/") else None


class Connection(_Session):
    """A session. One thread at a time; `connection_id` is its number on the server."""

    _sock: Any
    _secure: bool

    def __init__(self, address: Address, database: str | None, password: Secret | None) -> None:
        """Connect; see `connect`."""
        super().__init__(
            host="localhost" if address.socket else address.host,
            port=address.port,
            user=address.user,
            password=b"" if password is None else password.reveal().encode(),
            database=database,
            charset="utf8mb4",
            connect_timeout=address.connect_seconds,
            read_timeout=address.connect_seconds,
            autocommit=True,
            program_name="dro",
            defer_connect=True,
            **_encryption(address),
        )
        self._secure = address.socket is not None  # a password may be sent as it is
        self.connect(_reach(address))
        try:
            for statement in _SAME_EVERYWHERE:
                self.execute(statement)
            version = Version.parse(str(self.one("select version()")))
            if version is None:
                raise pymysql.OperationalError(2000, "not a MariaDB or MySQL server")
            self.version = version
            self.connection_id = int(self.one("select connection_id()"))
            if version.vendor is Vendor.MARIADB:
                self.execute("set session max_statement_time = 0")
            else:
                self.execute("set session max_execution_time = 0")
                self.execute("set session information_schema_stats_expiry = 0")
        except BaseException:
            self.close()
            raise
        self._read_timeout = None  # from here on a query may take as long as it takes

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return isinstance(self._sock, ssl.SSLSocket)

    @property
    def certificate(self) -> bytes | None:
        """What the server proved itself with (DER), where the connection is encrypted."""
        if not isinstance(self._sock, ssl.SSLSocket):
            return None
        return self._sock.getpeercert(binary_form=True)

    @property
    def peer_pid(self) -> int | None:
        """The process at the other end of a unix socket, as the kernel says."""
        if not isinstance(self._sock, socket.socket) or self._sock.family != socket.AF_UNIX:
            return None
        found = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(found[:4], "little")

    def execute(self, query: str, *arguments: object) -> int:
        """Run one statement; return how many rows it changed or found."""
        with self.cursor() as cursor:
            return cursor.execute(query, arguments or None)

    def rows(self, query: str, *arguments: object) -> Sequence[Row]:
        """Return all rows of a query."""
        with self.cursor() as cursor:
            cursor.execute(query, arguments or None)
            return cursor.fetchall()

    def one(self, query: str, *arguments: object) -> Any:
        """Return the first value of the first row, `None` where there is no row."""
        rows = self.rows(query, *arguments)
        return rows[0][0] if rows else None

    def stream(self, query: str, at_once: int = 5000) -> Iterator[Row]:
        """Yield the rows of a query without keeping them; nothing else may run meanwhile."""
        with self.cursor(SSCursor) as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(at_once):
                yield from rows

    def close(self) -> None:
        """End the session; not an error where it has ended already."""
        if self.open:
            super().close()

    def shut(self) -> None:
        """Make what another thread does on this connection fail at once, without a word."""
        with contextlib.suppress(OSError, AttributeError, TypeError):
            self._sock.shutdown(socket.SHUT_RDWR)


def connect(
    address: Address, database: str | None = None, *, password: Secret | None = None
) -> Connection:
    """Open a session whose settings are known.

    Raises:
        pymysql.MySQLError: it fails. The text may name users and databases: classify it.
    """
    try:
        return Connection(address, database, password)
    except pymysql.OperationalError as error:
        if isinstance(getattr(error, "original_exception", None), ssl.SSLError):
            raise pymysql.OperationalError(2026, "no encrypted connection") from error
        raise
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise pymysql.OperationalError(2013, "not what a server says") from error


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Give back the locks on the tables that the block reads, and keep the snapshot.

    Else a schema change of the practice's would wait until the transaction ends, and every query
    behind it as well.
    """
    connection.execute("savepoint dro")
    try:
        yield
    finally:
        if connection.open:
            with contextlib.suppress(pymysql.MySQLError):
                connection.execute("rollback to savepoint dro")


@contextmanager
def limited(connection: Connection, limit: timedelta | None) -> Iterator[None]:
    """Have the server end any query of the block that takes longer than `limit`.

    MySQL limits only what begins with SELECT.
    """
    if limit is None:
        yield
        return
    seconds = max(0.001, limit.total_seconds())
    mariadb = connection.version.vendor is Vendor.MARIADB
    name = "max_statement_time" if mariadb else "max_execution_time"
    value = f"{seconds:.3f}" if mariadb else f"{seconds * 1000:.0f}"
    connection.execute(f"set session {name} = {value}")
    try:
        yield
    finally:
        if connection.open:
            with contextlib.suppress(pymysql.MySQLError):
                connection.execute(f"set session {name} = 0")


def answer(connection: Connection, query: str, zone: tzinfo) -> Value:
    """Return the one value that `query`, a single statement, answers.

    A DATETIME carries no zone and is read in `zone`; a TIMESTAMP is an instant, whatever `zone` is.

    Raises:
        CouldNotVerify: not one row of one column, a value of another kind, or the query fails. The
            message has neither the value nor the server's words in it.
    """
    try:
        with connection.cursor(SSCursor) as cursor:
            cursor.execute(query)
            columns: Any = cursor.description or ()
            if len(columns) != 1:
                raise CouldNotVerify("the query does not answer with one column")
            rows = cursor.fetchmany(2)
    except (pymysql.MySQLError, UnicodeError) as error:
        raise CouldNotVerify(f"the query failed: {failure_words(error)}") from None
    if len(rows) != 1:
        raise CouldNotVerify(f"the query answered {'no row' if not rows else 'several rows'}")
    kind = columns[0][1]
    return as_value(rows[0][0], UTC if kind == FIELD_TYPE.TIMESTAMP else zone, kind)


def as_value(found: object, zone: tzinfo, kind: int | None = None) -> Value:
    """Return what the server answered as one of the kinds that may leave a sandbox.

    `kind` is the column's type as the protocol numbers it.

    Raises:
        CouldNotVerify: it is of another kind, text for one.
    """
    match found:
        case None | bool() | int():
            return found
        case float() if math.isfinite(found):
            return found
        case Decimal() if found.is_finite() and found == found.to_integral_value():
            return int(found)
        case Decimal() if found.is_finite():
            return float(found)
        case datetime():
            return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
        case date():
            return datetime(found.year, found.month, found.day, tzinfo=zone).astimezone(UTC)
        case bytes() if kind == FIELD_TYPE.BIT:
            return int.from_bytes(found)
    raise CouldNotVerify(
        "the query answered something else than a number, a boolean or a time",
        hint="only such values may leave a sandbox: count or compare in the query",
    )


def failure_words(error: Exception) -> str:
    """Return what kind of failure it was, without the server's own words: those may hold rows."""
    code = failure_code(error)
    if code is None:
        return "the connection was lost"
    words = next((words for codes, words in _KINDS if code in codes), "the server refused")
    return f"{words} ({code})" if code else words


def failure_code(error: Exception) -> int | None:
    """Return the server's number for an error, `None` where it gave none."""
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) else None


def took_too_long(error: Exception) -> bool:
    """Whether a query was ended because its time was up."""
    return failure_code(error) in _CANCELLED


def is_locked(error: Exception) -> bool:
    """Whether another program's lock was not given up in time."""
    return failure_code(error) in _LOCKED


def is_gone(error: Exception) -> bool:
    """Whether a table was dropped or altered since the snapshot was taken."""
    return failure_code(error) in _GONE


def is_damage(error: Exception) -> bool:
    """Whether the server says that a table is damaged, not merely that it will not answer."""
    return failure_code(error) in _DAMAGED


def is_lost(error: Exception, connection: Connection) -> bool:
    """Whether there is no use in asking on this connection again."""
    return not connection.open or failure_code(error) in _LOST


@contextmanager
def defaults_file(
    folder: Path,
    address: Address,
    *,
    password: Secret | None = None,
    vendor: Vendor = Vendor.MARIADB,
    encrypted: bool = False,
) -> Iterator[Path]:
    """Write what leads the server's own programs there, the password too, in a file of 0600.

    Its path is given as `--defaults-file=`, the first argument: nothing else is read then. It lies
    in a folder of its own in `folder`, and is gone when the block is left. `encrypted` says whether
    our own connection is: `sslmode: prefer` must lead the programs the same way.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix="my-", dir=folder))
    try:
        path = private / "my.cnf"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(client_settings(address, password, vendor, encrypted=encrypted))
        yield path
    finally:
        shutil.rmtree(private)


def client_settings(
    address: Address, password: Secret | None, vendor: Vendor, *, encrypted: bool
) -> str:
    """Return the content of a defaults file."""
    stated: dict[str, str | None] = {"user": address.user}
    stated["password"] = "" if password is None else password.reveal()
    if address.socket:
        stated |= {"socket": address.socket, "protocol": "socket"}
    else:
        stated |= {"host": address.host, "port": str(address.port), "protocol": "tcp"}
    verified = address.sslmode == "verify-full"
    authorities = ssl.get_default_verify_paths().cafile
    if verified and authorities:  # the same as our own connection goes by
        stated["ssl-ca"] = authorities
    if vendor is Vendor.MYSQL:
        checked = "VERIFY_IDENTITY" if verified else "REQUIRED"
        stated["ssl-mode"] = checked if encrypted else "DISABLED"
    elif encrypted:
        stated |= {"ssl": None, f"{'' if verified else 'skip-'}ssl-verify-server-cert": None}
    else:
        stated["skip-ssl"] = None
    lines = (
        name if value is None else f'{name}="{_option_text(value)}"'
        for name, value in stated.items()
    )
    return "\n".join(("[client]", *lines, ""))


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return "`{}`".format(name.replace("`", "``"))


def literal(text: str) -> str:
    """Return text quoted for SQL, as a session of ours reads it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _option_text(value: str) -> str:
    """Escape as an option file wants it (MariaDB's page on option files, "Option File Syntax")."""
    for sign, escaped in _ESCAPES:
        value = value.replace(sign, escaped)
    return value


_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ('"', '\\"'))


def _reach(address: Address) -> socket.socket:
    """Return a socket that is connected to the server; it is noticed when the server vanishes.

    Our own, since PyMySQL 1.2 leaves one that cannot be connected open.
    """
    try:
        if address.socket is None:
            reached = socket.create_connection(
                (address.host, address.port), address.connect_seconds
            )
            for level, option, value in _KEEPALIVE:
                reached.setsockopt(level, option, value)
            return reached
        reached = socket.socket(socket.AF_UNIX)
        try:
            reached.settimeout(address.connect_seconds)
            reached.connect(address.socket)
        except BaseException:
            reached.close()
            raise
    except OSError as error:
        raise pymysql.OperationalError(2003, "unreachable") from error
    return reached


def _encryption(address: Address) -> Mapping[str, Any]:
    """Return PyMySQL's words for an `sslmode`."""
    if address.socket or address.sslmode == "disable":
        return {"ssl_disabled": True}
    if address.sslmode == "prefer":  # PyMySQL's own way where nothing is said, since 1.2
        return {}
    context = ssl.create_default_context()
    if address.sslmode != "verify-full":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}
