"""What a recovery point takes to be loaded here, by what served it when it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.assets.loadable import LoadingPrograms
from dr_orchestrator.core.point import AssetKind, AssetSummary, Method
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms
from dr_orchestrator.servers.postgres_programs import PostgresPrograms
from tests.support.launcher import Answer, ScriptedLauncher

_POSTGRES = (
    *("pg_dump", "pg_restore", "vacuumdb", "postgres", "initdb", "pg_ctl", "psql", "createdb"),
    *("pg_controldata", "pg_verifybackup", "pg_waldump", "pg_dumpall"),
)
_MARIADB = ("mariadb", "mariadb-dump", "mariadb-install-db", "mariadbd", "mariadb-backup",
            "mbstream", "mariadb-check", "mariadb-upgrade")  # fmt: skip


@pytest.fixture
def loading(tmp_path: Path) -> LoadingPrograms:
    """Return a machine with PostgreSQL 16 and MariaDB 10.11, and nothing else."""
    return LoadingPrograms(
        PostgresPrograms(*_installed(tmp_path / "p", _POSTGRES, b"pg_dump (PostgreSQL) 16.4")),
        MariadbPrograms(
            *_installed(tmp_path / "m", _MARIADB, b"mariadb-dump from 10.11.6-MariaDB")
        ),
    )


def _installed(
    folder: Path, programs: tuple[str, ...], says: bytes
) -> tuple[ScriptedLauncher, tuple[str, ...]]:
    folder.mkdir()
    for program in programs:
        (folder / program).touch()
    return ScriptedLauncher(Answer(argv=("--version",), stdout=says)), (str(folder),)


@pytest.mark.parametrize(
    ("server", "method", "wanted"),
    [
        ("postgres 15.18", Method.LOGICAL, None),
        ("postgres 16.9", Method.PHYSICAL, None),
        ("postgres 15.18", Method.PHYSICAL, "of version 15 are not"),
        ("postgres 17.0", Method.LOGICAL, "of version 17 or newer are not"),
        ("mariadb 10.6.2", Method.LOGICAL, None),
        ("mariadb 10.6.2", Method.PHYSICAL, "of version 10.6, and no other, are not"),
        ("mariadb 11.4.2", Method.LOGICAL, "of version 11.4 or newer are not"),
        ("mysql 8.0.36", Method.LOGICAL, "MySQL's programs mysql"),
        ("", Method.DUMP, None),
        ("", Method.TREE, None),
    ],
)
def test_missing_for_says_what_a_point_of_such_a_server_lacks(
    loading: LoadingPrograms, server: str, method: Method, wanted: str | None
) -> None:
    summary = AssetSummary(
        kind=AssetKind.POSTGRES, method=method, bytes=1, level="full", server=server
    )

    missing = loading.missing_for(summary, False)

    if wanted is None:
        assert missing is None
    else:
        assert missing is not None
        assert wanted in missing.message
        assert "in the machine's settings" in missing.hint
