"""A MariaDB server as a lab: whether it is fit, and what we made on it.

The account has rights on databases named `dro_…` and on nothing else, and that is what keeps
hostile data in: it reads and writes no file of the server, runs as nobody else (`DEFINER`), starts
no event and reaches no other server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pymysql

from dr_orchestrator.errors import SandboxUnavailable
from dr_orchestrator.servers.lab import MARKER_DATABASE, ServerAccess
from dr_orchestrator.servers.mariadb_connection import (
    Connection,
    connect,
    failure_code,
    identifier,
)
from dr_orchestrator.servers.mariadb_lab import (
    dial_mariadb,
    lab_address,
    login_file,
    server_identity,
)
from dr_orchestrator.servers.mariadb_programs import Vendor
from dr_orchestrator.servers.relay import Dial

_NO_DATABASE = frozenset({1044, 1049})
"""There is no such database, or none that the account may enter."""
_NO_ACCESS = frozenset({1045, 1130, 1698})
_RIGHTS = frozenset({"USAGE", "SHOW DATABASES"})
"""What the account may have on everything."""
_OWN_DATABASES = r"dro\_%"
_ELSEWHERE = frozenset({"connect", "federated", "s3", "spider"})
"""Storage engines whose tables lie on other servers, or in files of this one."""
_LOCK_SECONDS = 30
_KEPT = """
    show global variables where value = 'ON' and variable_name in
    ('log_bin', 'general_log', 'slow_query_log', 'server_audit_logging')"""


class MariadbLabEngine:
    """What it takes to use a MariaDB server as a lab."""

    default_port = 3306
    errors: tuple[type[Exception], ...] = (pymysql.MySQLError,)

    @contextmanager
    def session(
        self, access: ServerAccess, database: str | None = MARKER_DATABASE
    ) -> Iterator[MariadbLabSession]:
        try:
            connection = connect(lab_address(access), database, password=access.password)
        except pymysql.MySQLError as error:
            raise _refusal(access, failure_code(error)) from None
        with contextlib.closing(connection):
            yield MariadbLabSession(connection)

    def dial(self, access: ServerAccess) -> Dial:
        return partial(dial_mariadb, access)

    def login(self, access: ServerAccess, *, encrypted: bool) -> Callable[[str], str]:
        return partial(login_file, access, encrypted=encrypted)


class MariadbLabSession:
    """Our own connection to the marker database; see `LabSession`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def title(self) -> str:
        return f"MariaDB {self._connection.version.series}"

    @property
    def identity(self) -> str:
        return server_identity(self._connection)

    @property
    def started(self) -> float:
        uptime = self._connection.rows("show global status like 'uptime'")[0][1]
        return float(self._connection.one("select unix_timestamp()")) - float(uptime)

    @property
    def encrypted(self) -> bool:
        return self._connection.encrypted

    def marker_version(self) -> int | None:
        try:
            rows = self._connection.rows("select version from dro_lab.marker")
        except pymysql.ProgrammingError:
            return None
        return int(rows[0][0]) if len(rows) == 1 else None

    def unfit(self) -> str:
        if self._connection.version.vendor is not Vendor.MARIADB:
            return "it runs MySQL, and only MariaDB can be a lab"
        if self._setting("event_scheduler") == "ON":
            return "its event scheduler is on, so events that are restored would run"
        if kept := sorted(self._column(_KEPT)):
            return f"it keeps a log of what is restored ({kept[0]}), which outlives the test"
        engines = self._column("select lower(engine) from information_schema.engines")
        if reaching := sorted(engines & _ELSEWHERE):
            return f"its storage engine {reaching[0]} could reach other servers, or their files"
        return self._unfit_account()

    def _unfit_account(self) -> str:
        everywhere = self._column("select privilege_type from information_schema.user_privileges")
        schemas = self._column("select table_schema from information_schema.schema_privileges")
        roles = self._connection.rows("select role_name from information_schema.applicable_roles")
        if everywhere - _RIGHTS or schemas - {_OWN_DATABASES} or roles:
            return "its account may do more than make databases, and so might what was restored"
        if not schemas:
            return rf"its account may not make databases named {_OWN_DATABASES}"
        if "SHOW DATABASES" not in everywhere:
            return "its account cannot see which databases there are"
        return ""

    def databases(self) -> frozenset[str]:
        return self._column("show databases")

    def record(self, database: str, *, owner: str, host: str, run: str) -> None:
        self._connection.execute(
            "insert into dro_lab.made (name, owner, host, run) values (%s, %s, %s, %s)",
            *(database, owner, host, run),
        )

    def recorded(self, database: str, *, owner: str) -> bool:
        query = "select 1 from dro_lab.made where name = %s and owner = %s"
        return bool(self._connection.rows(query, database, owner))

    def make(self, database: str) -> None:
        self._connection.execute(f"create database {identifier(database)} character set utf8mb4")

    def drop(self, database: str) -> None:
        sessions = self._connection.rows(
            "select id from information_schema.processlist where db = %s", database
        )
        for (session,) in sessions:  # of our own account: it sees no other
            with contextlib.suppress(pymysql.MySQLError):  # it has ended by itself
                self._connection.execute(f"kill {int(session)}")
        self._connection.execute(f"set session lock_wait_timeout = {_LOCK_SECONDS}")
        self._connection.execute(f"drop database if exists {identifier(database)}")
        self._connection.execute("delete from dro_lab.made where name = %s", database)

    def _column(self, query: str) -> frozenset[str]:
        return frozenset(str(row[0]) for row in self._connection.rows(query))

    def _setting(self, name: str) -> str:
        return str(self._connection.one(f"select @@global.{name}")).upper()


def _refusal(access: ServerAccess, code: int | None) -> SandboxUnavailable:
    """Return the error for a connection that failed, by the server's number for it."""
    if code in _NO_DATABASE:
        return SandboxUnavailable(
            f"{access.words} carries no marker database, so nothing is restored to it",
            hint="docs/howto/lab-server.md says how to make it: only on a server that is nothing "
            "but a lab",
        )
    what = f"refuses the account {access.user}" if code in _NO_ACCESS else "cannot be reached"
    return SandboxUnavailable(
        f"{access.words} {what}",
        hint=access.advice,
    )
