from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.servers.postgres_programs import PostgresPrograms
from tests.support.launcher import Answer, ScriptedLauncher

ALL = ("pg_dump", "pg_restore", "postgres", "initdb")


def versions(tmp_path: Path, **found: tuple[str, tuple[str, ...]]) -> PostgresPrograms:
    """Make folders of programs that say what version they are."""
    answers = []
    for name, (version, programs) in sorted(found.items()):
        folder = tmp_path / name / "bin"
        folder.mkdir(parents=True)
        for program in programs:
            (folder / program).touch()
        witness = "pg_dump" if "pg_dump" in programs else "postgres"
        answers.append(
            Answer(
                argv=(str(folder / witness), "--version"),
                stdout=f"{witness} (PostgreSQL) {version} (Debian)\n".encode(),
            )
        )
    return PostgresPrograms(ScriptedLauncher(*answers), (f"{tmp_path}/*/bin",))


def test_at_least_takes_the_same_major_when_it_is_there(tmp_path: Path) -> None:
    programs = versions(tmp_path, a=("15.18", ALL), b=("16.4", ALL), c=("17.2", ALL))
    assert programs.at_least(16, "pg_dump").version == "16.4"


def test_at_least_takes_the_nearest_newer_major_when_the_same_is_missing(tmp_path: Path) -> None:
    programs = versions(tmp_path, a=("14.9", ALL), b=("18.0", ALL), c=("17.2", ALL))
    assert programs.at_least(15, "pg_dump").major == 17


def test_at_least_passes_over_folders_without_the_program(tmp_path: Path) -> None:
    programs = versions(tmp_path, a=("15.1", ("pg_dump",)), b=("16.1", ALL))
    assert programs.at_least(15, "pg_dump", "postgres").major == 16


def test_exactly_takes_the_newest_of_several_folders_of_that_major(tmp_path: Path) -> None:
    programs = versions(tmp_path, a=("15.9", ALL), b=("15.18", ALL), c=("16.1", ALL))
    assert programs.exactly(15, "postgres").version == "15.18"


def test_exactly_refuses_another_major_and_names_the_package(tmp_path: Path) -> None:
    programs = versions(tmp_path, a=("16.1", ALL))
    with pytest.raises(ProgramMissing, match=r"of version 15 .*found: 16") as raised:
        programs.exactly(15, "pg_verifybackup", "postgres")
    assert raised.value.hint.startswith("apt install postgresql-15,")


def test_at_least_names_the_client_package_when_only_clients_are_wanted(tmp_path: Path) -> None:
    programs = versions(tmp_path)
    with pytest.raises(ProgramMissing, match="found: none") as raised:
        programs.at_least(17, "pg_dump")
    assert "postgresql-client-17" in raised.value.hint


def test_folders_leave_out_what_is_not_postgresql(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "bin"
    folder.mkdir(parents=True)
    (folder / "pg_dump").touch()
    launcher = ScriptedLauncher(Answer(argv=("--version",), stdout=b"something else 1.0\n"))
    assert PostgresPrograms(launcher, (f"{tmp_path}/*/bin",)).folders == ()


def test_folders_asks_each_program_only_once(tmp_path: Path) -> None:
    programs = versions(tmp_path, a=("15.1", ALL))
    assert programs.folders == programs.folders  # the script has one answer
