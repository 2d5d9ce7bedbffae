"""The server in production that is captured: how it is reached, and what it says of itself.

Nothing here writes to it. Its words never go into an error: they may name a patient.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pymysql

from dr_orchestrator.assets.mariadb_catalog import Facts
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import count_words, duration_words
from dr_orchestrator.errors import CaptureFailed, PasswordRefused
from dr_orchestrator.plan.model import MariadbAsset
from dr_orchestrator.servers.mariadb_connection import (
    Address,
    Connection,
    connect,
    defaults_file,
    failure_code,
    failure_words,
    identifier,
    literal,
)
from dr_orchestrator.servers.mariadb_lab import server_identity
from dr_orchestrator.servers.mariadb_programs import Vendor

USERS = "users.sql"
"""The sidecar with the server's accounts and their rights."""
OLDEST = {Vendor.MARIADB: (10, 3), Vendor.MYSQL: (8, 0)}
"""What the queries on the catalogs here are written for."""
_CLOCKS_APART = timedelta(seconds=60)
_KEPT_SETTINGS = (
    "character_set_server",
    "collation_server",
    "default_storage_engine",
    "event_scheduler",
    "explicit_defaults_for_timestamp",
    "ft_min_word_len",
    "innodb_data_file_path",
    "innodb_default_row_format",
    "innodb_ft_min_token_size",
    "innodb_log_file_size",
    "innodb_page_size",
    "innodb_strict_mode",
    "innodb_undo_tablespaces",
    "log_bin_trust_function_creators",
    "lower_case_table_names",
    "max_allowed_packet",
    "sql_mode",
    "system_time_zone",
    "time_zone",
)
"""Settings outside the database that its tables, its queries, or its restart, depend on."""
_SERVERS_OWN = frozenset(
    {"root", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC", ""}
)
_ACCOUNT = r"(?:`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*')(?:@(?:`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'))?"
_AUTHENTICATION = r"[\w.]+(?: (?:USING|AS) '[^']*')?"
_IDENTIFIED = re.compile(
    rf"^(?P<kept>GRANT .+? TO {_ACCOUNT})"
    rf"(?: IDENTIFIED (?:BY PASSWORD '[^']*'"
    rf"|(?:VIA|WITH) {_AUTHENTICATION}(?: OR {_AUTHENTICATION})*))?"
    r"(?P<rest>(?: REQUIRE .*| WITH .*)?)$",
    re.DOTALL,
)
_OF_DATABASE = re.compile(r"^GRANT .+? ON (?:(?:PROCEDURE|FUNCTION) )?`((?:[^`]|``)*)`\.")


@dataclass(frozen=True)
class Source:
    """A database in production, as the plan names it."""

    asset: MariadbAsset
    password: Secret | None
    runtime_folder: Path
    """Where a file with the password may lie for a while; nobody else may enter it."""

    @property
    def address(self) -> Address:
        """Where the server listens."""
        asset = self.asset
        return Address(host=asset.host, port=asset.port, user=asset.user, sslmode=asset.sslmode)

    def connect(self) -> Connection:
        """Connect to the database.

        Raises:
            CaptureFailed: it cannot be reached, or refuses us.
        """
        try:
            connection = connect(self.address, self.asset.database, password=self.password)
        except pymysql.MySQLError as error:
            raise self._refusal(error) from None
        except (RuntimeError, UnicodeError):  # PyMySQL lacks a package for this authentication
            raise CaptureFailed(
                f"the server at {self._where} wants a way of logging in that is not supported",
                hint="give the account a password by mysql_native_password, or connect by TLS",
            ) from None
        version = connection.version
        if version.numbers < OLDEST[version.vendor]:
            connection.close()
            oldest = ".".join(str(number) for number in OLDEST[version.vendor])
            raise CaptureFailed(
                f"{self._where} runs {version.vendor} {version}; older than {oldest} is not "
                "supported"
            )
        return connection

    @contextmanager
    def client_file(self, connection: Connection) -> Iterator[Path]:
        """Give the server's own programs the way to it, the password in a file of 0600.

        It is gone when the block is left.
        """
        with defaults_file(
            self.runtime_folder,
            self.address,
            password=self.password,
            vendor=connection.version.vendor,
            encrypted=connection.encrypted,
        ) as path:
            yield path

    def break_off(self, connection: Connection) -> None:
        """Make what another thread does on `connection` fail at once, there and on the server."""
        with contextlib.suppress(pymysql.MySQLError, OSError):
            killer = connect(self.address, password=self.password)
            with contextlib.closing(killer):
                killer.execute(f"kill {connection.connection_id}")
        connection.shut()

    def unreadable(self, error: Exception) -> CaptureFailed:
        """Return the error for a database that cannot be looked at."""
        return CaptureFailed(f"{self.asset.database} could not be read: {failure_words(error)}")

    @property
    def _where(self) -> str:
        asset = self.asset
        return asset.host if self.address.socket else f"{asset.host}:{asset.port}"

    def _refusal(self, error: Exception) -> CaptureFailed:
        asset = self.asset
        code = failure_code(error) or 0
        words, hint = _REFUSALS.get(code, _UNKNOWN_REFUSAL)
        parts = {"where": self._where, "user": asset.user, "database": asset.database}
        kind = PasswordRefused if code == _ACCESS_DENIED else CaptureFailed
        return kind(words.format(**parts), hint=hint.format(**parts))


_UNKNOWN_REFUSAL = (
    "no connection to the MariaDB server at {where}",
    "the server's own log says why it refused",
)
_UNREACHABLE = (
    "the MariaDB server at {where} cannot be reached",
    "is it running, and does a firewall let this machine in?",
)
_FULL = ("the MariaDB server at {where} has no connection left", "raise its max_connections")
_ACCESS_DENIED = 1045
_REFUSALS = {
    1040: _FULL,
    1203: _FULL,
    1226: _FULL,
    1044: (
        "the MariaDB server at {where} does not let {user} use the database {database}",
        "check the asset's `database`; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {database}.*",
    ),
    _ACCESS_DENIED: (
        "the MariaDB server at {where} refused {user}: wrong password, or no such user",
        "check what the asset's `password` refers to, and that {user} may come from this machine",
    ),
    1698: (
        "the MariaDB server at {where} refused {user}: it wants another way of logging in",
        "give {user} a password: ALTER USER {user} IDENTIFIED BY …",
    ),
    1049: (
        "the MariaDB server at {where} has no database {database}",
        "check the asset's `database`",
    ),
    1129: (
        "the MariaDB server at {where} has shut this machine out after many failures",
        "on the server: mariadb-admin flush-hosts",
    ),
    1130: (
        "the MariaDB server at {where} does not let this machine in",
        "CREATE USER {user}@ADDRESS for the address of this machine",
    ),
    2002: _UNREACHABLE,
    2003: _UNREACHABLE,
    2013: _UNREACHABLE,
    2026: (
        "no encrypted connection to the MariaDB server at {where}",
        "the asset's `sslmode` and the server's certificate do not fit",
    ),
    2059: _UNKNOWN_REFUSAL,
}
"""The server's, or PyMySQL's, number for what went wrong -> what we say, and what to do."""


def describe(connection: Connection, facts: Facts) -> dict[str, str]:
    """Return what a server must offer to take this database back.

    Raises:
        pymysql.MySQLError: the connection is lost.
    """
    database, charset, collation = connection.rows(
        """select schema_name, default_character_set_name, default_collation_name
           from information_schema.schemata where schema_name = database()"""
    )[0]
    size = connection.one(
        """select sum(data_length + index_length) from information_schema.tables
           where table_schema = database()"""
    )
    names = ", ".join(literal(name) for name in _KEPT_SETTINGS)
    query = f"show global variables where variable_name in ({names})"
    settings = {str(name): str(value) for name, value in connection.rows(query)}
    engines = sorted({table.engine for table in facts.tables})
    return {
        "vendor": str(connection.version.vendor),
        "version": str(connection.version),
        "series": connection.version.series,
        "database": str(database),
        "database_bytes": str(int(size or 0)),
        "character_set": str(charset),
        "collation": str(collation),
        "lower_case_table_names": settings.get("lower_case_table_names", "0"),
        "sql_mode": settings.get("sql_mode", ""),
        "time_zone": settings.get("time_zone", "SYSTEM"),
        "engines": json.dumps(engines),
        "definers": json.dumps(facts.definers),
        "identity": server_identity(connection),
        "settings": json.dumps(settings),
    }


def clock_condition(connection: Connection, clock: Clock) -> tuple[str, ...]:
    """Return a sentence where the server's clock and ours are more than a minute apart.

    Raises:
        pymysql.MySQLError: the connection is lost.
    """
    seconds = float(connection.one("select unix_timestamp(now(6))"))
    difference = timedelta(seconds=abs(seconds - clock.now().timestamp()))
    if difference <= _CLOCKS_APART:
        return ()
    return (
        f"the database server's clock and this machine's are {duration_words(difference)} apart",
    )


def read_users(
    connection: Connection, database: str, definers: tuple[str, ...]
) -> tuple[bytes, tuple[str, ...]]:
    """Return SQL that makes the server's accounts anew, and what is not in it.

    No password, in no form: every account is locked until somebody gives it one. Views, routines
    and triggers that run as it work even so. Of rights on single databases those on this one.

    Raises:
        pymysql.MySQLError: the connection is lost.
    """
    conditions: tuple[str, ...] = ("passwords of database users are not in the backup",)
    try:
        accounts = connection.rows(_ACCOUNTS[connection.version.vendor])
    except pymysql.MySQLError as error:
        sentence = (
            f"the server's accounts are not in the backup ({failure_words(error)}), but for those "
            "that views, routines, triggers and events run as"
        )
        lines = [_create_user(*definer.rsplit("@", 1)) for definer in definers]
        return _script(lines), (*conditions, sentence)
    lines, grants, unknown = [], [], 0
    for name, host, is_role in accounts:
        if name in _SERVERS_OWN:
            continue
        if is_role == "Y":
            lines.append(f"CREATE ROLE IF NOT EXISTS {identifier(name)};")
        else:
            lines.append(_create_user(name, host))
        whose = literal(name) if is_role == "Y" else f"{literal(name)}@{literal(host)}"
        for (grant,) in connection.rows(f"show grants for {whose}"):
            if not _concerns(grant, database):
                continue
            if statement := without_password(grant):
                grants.append(f"{statement};")
            else:
                unknown += 1
    if unknown:
        conditions += (f"{count_words(unknown, 'right')} of database users not in the backup",)
    return _script([*lines, *grants]), conditions


def without_password(grant: str) -> str:
    """Return a line of `SHOW GRANTS` without how the account is identified.

    Nothing where it is not understood: better a right too few than a hash of a password.
    """
    if grant.startswith("SET DEFAULT ROLE "):
        return grant
    match = _IDENTIFIED.match(grant)
    if match is None or "IDENTIFIED" in match["rest"]:
        return ""
    return match["kept"] + match["rest"]


def _concerns(grant: str, database: str) -> bool:
    """Whether a right is one on the server, a role, or one on this database."""
    match = _OF_DATABASE.match(grant)
    if match is None or grant.startswith("GRANT PROXY"):
        return not grant.startswith("GRANT PROXY")
    unescaped = re.sub(r"\\([_%])", r"\1", match[1].replace("``", "`"))
    return unescaped.lower() == database.lower()


def _create_user(name: str, host: str) -> str:
    return f"CREATE USER IF NOT EXISTS {literal(name)}@{literal(host)} ACCOUNT LOCK;"


def _script(lines: list[str]) -> bytes:
    head = (
        "-- accounts of the server, locked: they have no password until somebody gives them one",
        "-- ALTER USER name@host IDENTIFIED BY '…' ACCOUNT UNLOCK;",
    )
    return "\n".join((*head, *lines, "")).encode()


_ACCOUNTS = {
    Vendor.MARIADB: "select user, host, is_role from mysql.user order by is_role, user, host",
    Vendor.MYSQL: "select user, host, 'N' from mysql.user order by user, host",
}
