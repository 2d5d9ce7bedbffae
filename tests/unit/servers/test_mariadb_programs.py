from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Vendor, Version
from tests.support.launcher import Answer, ScriptedLauncher

CLIENTS = ("mariadb", "mariadb-dump")
OLD_CLIENTS = ("mysql", "mysqldump")
V10_11 = Version(Vendor.MARIADB, (10, 11, 19))


def programs_in(tmp_path: Path, **found: tuple[str, tuple[str, ...]]) -> MariadbPrograms:
    """Make folders of programs that say what version they are."""
    answers = []
    for name, (words, programs) in sorted(found.items()):
        folder = tmp_path / name / "bin"
        folder.mkdir(parents=True)
        for program in programs:
            (folder / program).touch()
        witness = next(
            one for one in ("mariadb-dump", "mysqldump", "mariadbd", "mysqld") if one in programs
        )
        answers.append(
            Answer(argv=(str(folder / witness), "--version"), stdout=f"{witness}  {words}".encode())
        )
    return MariadbPrograms(ScriptedLauncher(*answers), (f"{tmp_path}/*/bin",))


@pytest.mark.parametrize(
    ("text", "vendor", "numbers"),
    [
        ("10.11.19-MariaDB-0+deb12u1-log", Vendor.MARIADB, (10, 11, 19)),
        ("5.5.5-10.6.12-MariaDB", Vendor.MARIADB, (10, 6, 12)),
        ("11.4.2-MariaDB-ubu2404", Vendor.MARIADB, (11, 4, 2)),
        ("8.0.36", Vendor.MYSQL, (8, 0, 36)),
        ("8.4.1-commercial", Vendor.MYSQL, (8, 4, 1)),
    ],
)
def test_version_is_read_from_what_a_server_says(
    text: str, vendor: Vendor, numbers: tuple[int, ...]
) -> None:
    assert Version.parse(text) == Version(vendor, numbers)


def test_version_of_something_else_is_none() -> None:
    assert Version.parse("PostgreSQL fifteen") is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)", "10.11.19"),
        ("from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)", "11.4.2"),
    ],
)
def test_folders_know_the_version_of_a_client(tmp_path: Path, words: str, expected: str) -> None:
    (folder,) = programs_in(tmp_path, a=(words, CLIENTS)).folders
    assert (str(folder.version), folder.version.vendor) == (expected, Vendor.MARIADB)


def test_folders_know_mysqls_own_from_mariadbs_under_old_names(tmp_path: Path) -> None:
    programs = programs_in(
        tmp_path,
        a=("Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", OLD_CLIENTS),
        b=("Ver 10.17 Distrib 10.3.39-MariaDB, for debian-linux-gnu (x86_64)", OLD_CLIENTS),
    )
    found = {(one.version.vendor, one.version.series) for one in programs.folders}
    assert found == {(Vendor.MYSQL, "8.0"), (Vendor.MARIADB, "10.3")}
    mysql = programs.at_least(Version(Vendor.MYSQL, (8, 0, 1)), "mariadb-dump")
    assert mysql.path("mariadb-dump").endswith("/a/bin/mysqldump")


def test_path_finds_server_programs_in_the_sbin_beside(tmp_path: Path) -> None:
    programs = programs_in(tmp_path, a=("Distrib 10.11.19-MariaDB", CLIENTS))
    (tmp_path / "a" / "sbin").mkdir()
    (tmp_path / "a" / "sbin" / "mariadbd").touch()
    folder = programs.at_least(V10_11, "mariadb-dump", "mariadbd")
    assert folder.path("mariadbd") == str(tmp_path / "a" / "sbin" / "mariadbd")


def test_at_least_takes_an_older_release_of_the_same_series(tmp_path: Path) -> None:
    programs = programs_in(
        tmp_path,
        a=("Distrib 10.11.2-MariaDB", CLIENTS),
        b=("Distrib 11.4.2-MariaDB", CLIENTS),
        c=("Distrib 10.6.2-MariaDB", CLIENTS),
    )
    assert str(programs.at_least(V10_11, "mariadb-dump").version) == "10.11.2"


def test_at_least_takes_the_nearest_newer_series_when_the_same_is_missing(tmp_path: Path) -> None:
    programs = programs_in(
        tmp_path, a=("from 11.4.2-MariaDB", CLIENTS), b=("from 11.8.1-MariaDB", CLIENTS)
    )
    assert programs.at_least(V10_11, "mariadb-dump").version.series == "11.4"


def test_at_least_refuses_an_older_client_and_names_the_package(tmp_path: Path) -> None:
    programs = programs_in(tmp_path, a=("Distrib 10.6.2-MariaDB", CLIENTS))
    with pytest.raises(ProgramMissing, match=r"version 10\.11 or newer .*found: mariadb 10\.6"):
        programs.at_least(V10_11, "mariadb-dump")


def test_same_series_refuses_any_other(tmp_path: Path) -> None:
    programs = programs_in(
        tmp_path, a=("Distrib 11.4.2-MariaDB", (*CLIENTS, "mariadb-backup", "mbstream"))
    )
    with pytest.raises(ProgramMissing, match=r"10\.11, and no other") as raised:
        programs.same_series(V10_11, "mariadb-backup", "mbstream")
    assert raised.value.hint.startswith("apt install mariadb-backup,")


def test_folders_are_none_when_nothing_is_there(tmp_path: Path) -> None:
    programs = MariadbPrograms(ScriptedLauncher(), (f"{tmp_path}/no-*/bin", "relative/bin"))
    assert programs.folders == ()
    with pytest.raises(ProgramMissing, match="found: none"):
        programs.at_least(V10_11, "mariadbd")
