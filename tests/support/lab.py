"""Lab servers for tests: a second server, on loopback TCP, with the marker as our page has it."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import mariadb, postgres
from tests.support.postgres import BACKUP_PASSWORD, Production, production
from tests.support.servers import server_user
from tests.support.site import ROOT, Site
from tests.support.tools import require_tool

LAB_PASSWORD = r"lab:canary\secret"
_PAGE = ROOT / "docs" / "howto" / "lab-server.md"


@dataclass(frozen=True)
class PostgresLab:
    """A running server that is fit to be a lab."""

    server: Production
    host: str
    kind: str = "postgres"

    @property
    def port(self) -> int:
        return self.server.port

    def databases(self) -> set[str]:
        """Return the databases that a server does not have by itself."""
        with self.server.connect() as connection:
            rows = connection.execute("select datname from pg_database where not datistemplate")
            return {row[0] for row in rows.fetchall()} - {"postgres", "dro_lab"}

    def made(self) -> int:
        """Return how many databases are written down in the marker database."""
        with self.server.connect("dro_lab") as connection:
            return len(connection.execute("select from made").fetchall())


def marker_statements(heading: str) -> str:
    """Return the SQL that the page has under a heading, with a password in it."""
    text = _PAGE.read_text()
    section = re.split(rf"^### {heading}.*$", text, flags=re.MULTILINE)[1]
    statements: str
    (statements,) = re.findall(r"```sql\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
    password = LAB_PASSWORD.replace("\\", r"\\") if heading == "MariaDB" else LAB_PASSWORD
    return statements.replace("choose one", password)


@contextlib.contextmanager
def postgres_lab() -> Iterator[PostgresLab]:
    """Make and run a server with the marker, that speaks TLS on an address of its own."""
    host = f"127.0.{random.randint(1, 250)}.{random.randint(2, 250)}"
    with (
        _certificate(server_user(postgres.ACCOUNT)) as folder,
        production(
            f"listen_addresses={host}",
            "ssl=on",
            f"ssl_cert_file={folder}/cert.pem",
            f"ssl_key_file={folder}/key.pem",
        ) as server,
    ):
        subprocess.run(
            ("psql", "-X", "-q", "-h", server.host, "-U", "postgres", "-v", "ON_ERROR_STOP=1"),
            input=marker_statements("PostgreSQL"),
            text=True,
            check=True,
            capture_output=True,
        )
        yield PostgresLab(server, host)


@contextlib.contextmanager
def _certificate(user: pwd.struct_passwd) -> Iterator[Path]:
    require_tool("openssl")
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    try:
        folder.chmod(0o755)
        key = folder / "key.pem"
        subprocess.run(
            (
                *("openssl", "req", "-x509", "-newkey", "ec", "-days", "2", "-nodes"),
                *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=lab"),
                *("-keyout", str(key), "-out", str(folder / "cert.pem")),
            ),
            check=True,
            capture_output=True,
        )
        if os.getuid() == 0:  # PostgreSQL takes a key of root's that its group may read
            os.chown(key, 0, user.pw_gid)
            key.chmod(0o640)
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True)
class MariadbLab:
    """A running server that is fit to be a lab."""

    server: mariadb.Production
    kind: str = "mariadb"
    host: str = "127.0.0.1"

    @property
    def port(self) -> int:
        return self.server.port

    def databases(self) -> set[str]:
        """Return the databases that a server does not have by itself."""
        with contextlib.closing(self.server.connect()) as connection:
            found = {str(row[0]) for row in connection.rows("show databases")}
        own = {"dro_lab", "information_schema", "mysql", "performance_schema", "sys"}
        return found - own

    def made(self) -> int:
        """Return how many databases are written down in the marker database."""
        with contextlib.closing(self.server.connect()) as connection:
            return len(connection.rows("select 1 from dro_lab.made"))


@contextlib.contextmanager
def mariadb_lab() -> Iterator[MariadbLab]:
    """Make and run a server with the marker, that speaks TLS on loopback."""
    with _certificate(server_user(mariadb.ACCOUNT)) as folder:
        tls = (f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem")
        with mariadb.production(*tls) as server:
            server.run(marker_statements("MariaDB"))
            yield MariadbLab(server)


def name_lab(
    site: Site,
    lab: PostgresLab | MariadbLab,
    *,
    host: str | None = None,
    password: str = LAB_PASSWORD,
    user: str = "dro_lab",
    sslmode: str = "require",
) -> None:
    """Write the lab server `lab1` into the machine's settings."""
    file = site.folder / "lab-password"
    file.touch(mode=0o600)
    file.write_text(password)
    settings = site.folder / "dro.yaml"
    kept = settings.read_text().partition("lab_servers:")[0]
    settings.write_text(
        f"{kept}lab_servers:\n  lab1: {{kind: {lab.kind}, host: {host or lab.host}, "
        f"port: {lab.port}, user: {user}, password: {{file: {file}}}, sslmode: {sslmode}}}\n"
    )


def protect_by_lab(site: Site, server: Production | mariadb.Production) -> None:
    """Write a plan whose database is tested on `lab1`, and make a recovery point."""
    postgres = isinstance(server, Production)
    kind, secret, schema = (
        ("postgres", BACKUP_PASSWORD, "emr.")
        if postgres
        else ("mariadb", mariadb.BACKUP_PASSWORD, "")
    )
    password = site.folder / "db-password"
    password.touch(mode=0o600)
    password.write_text(secret)
    site.write_plan(
        f"""\
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: {kind}, host: {server.host}, database: emr, user: backup,
                 password: {{file: {password}}}, lab: lab1}}
    newest: {{asset: database, sql: "select max(seen_at) from {schema}encounter"}}
    verify:
      - baseline
      - {{title: patients, asset: database, sql: "select count(*) from patient",
         expect: baseline}}
"""
    )
    backup = site.dro("backup", "riverside")
    assert backup.code == 0, backup.said
