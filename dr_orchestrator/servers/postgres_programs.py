"""Finding PostgreSQL's programs, each major version in its own folder.

Which version is meant is never left to PATH: pg_dump refuses a newer server, pg_restore a newer
archive, and a data directory starts under its own major only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from dr_orchestrator.errors import DroError, ProgramMissing
from dr_orchestrator.process import Command, Launcher

_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)(\.\d+)?")
_ANY_MAJOR = 15
"""Named where any would do, and there is none: Debian 12 has it."""
_ASKING = timedelta(seconds=20)
_WITNESSES = ("pg_dump", "postgres")
"""Programs that are asked for the version: a folder may hold clients only, or a server only."""
_SERVER_PROGRAMS = frozenset({"initdb", "pg_controldata", "pg_ctl", "pg_verifybackup", "postgres"})


@dataclass(frozen=True)
class ProgramFolder:
    """The programs of one version."""

    major: int
    version: str
    """`15.18`."""
    folder: Path

    def path(self, program: str) -> str:
        """Return the full path of one of its programs."""
        return str(self.folder / program)

    def offers(self, programs: Sequence[str]) -> bool:
        """Whether it has all of these."""
        return all((self.folder / program).is_file() for program in programs)


class PostgresPrograms:
    """Every version of PostgreSQL's programs on this machine."""

    def __init__(self, launcher: Launcher, patterns: Sequence[str]) -> None:
        """Take glob patterns of absolute folders: `/usr/lib/postgresql/*/bin`."""
        self._launcher = launcher
        self._patterns = tuple(patterns)

    @cached_property
    def folders(self) -> tuple[ProgramFolder, ...]:
        """All that were found, oldest version first."""
        paths = sorted({path for pattern in self._patterns for path in _matches(pattern)})
        found = (self._recognise(path) for path in paths)
        return tuple(sorted((one for one in found if one), key=lambda one: _numbers(one.version)))

    def at_least(self, major: int, *programs: str) -> ProgramFolder:
        """Return the programs of `major`, or else of the next newer version that has them.

        The nearest, since a newer pg_dump writes settings an older server does not know
        (pg_dump 17 and `transaction_timeout`).

        Raises:
            ProgramMissing: there is none; the hint names Debian's package.
        """
        fitting = [one for one in self._offering(programs) if one.major >= major]
        nearest = min((one.major for one in fitting), default=None)
        return self._newest(fitting, nearest, f"{major} or newer", major, programs)

    def exactly(self, major: int, *programs: str) -> ProgramFolder:
        """Return the programs of `major`.

        Raises:
            ProgramMissing: there is none; the hint names Debian's package.
        """
        return self._newest(self._offering(programs), major, f"{major}", major, programs)

    def newest(self, *programs: str) -> ProgramFolder:
        """Return the programs of the newest version there is.

        Raises:
            ProgramMissing: there is none.
        """
        majors = [one.major for one in self._offering(programs)]
        return self.at_least(max(majors, default=_ANY_MAJOR), *programs)

    def _offering(self, programs: Sequence[str]) -> list[ProgramFolder]:
        return [one for one in self.folders if one.offers(programs)]

    def _newest(
        self,
        folders: list[ProgramFolder],
        wanted: int | None,
        words: str,
        major: int,
        programs: Sequence[str],
    ) -> ProgramFolder:
        of_major = [one for one in folders if one.major == wanted]
        if of_major:
            return of_major[-1]
        package = "postgresql" if _SERVER_PROGRAMS & set(programs) else "postgresql-client"
        there = ", ".join(sorted({str(one.major) for one in self.folders})) or "none"
        raise ProgramMissing(
            f"PostgreSQL's programs {', '.join(programs)} of version {words} are not on this "
            f"machine (found: {there})",
            hint=f"apt install {package}-{major}, from apt.postgresql.org where Debian has none; "
            "or name their folder in the machine's settings (`postgres_programs`)",
        )

    def _recognise(self, folder: Path) -> ProgramFolder | None:
        """Return what `folder` holds, `None` where it is not PostgreSQL or does not run here."""
        for program in _WITNESSES:
            if not (folder / program).is_file():
                continue
            try:
                asked = self._launcher.run(
                    Command(argv=(str(folder / program), "--version"), timeout=_ASKING)
                )
            except ProgramMissing:
                continue
            except DroError:
                return None
            if asked.ok and (match := _VERSION.search(asked.stdout)):
                version = (match[1] + (match[2] or b"")).decode()
                return ProgramFolder(int(match[1]), version, folder)
        return None


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    return (
        [
            found
            for found in Path(path.anchor).glob(str(path.relative_to(path.anchor)))
            if found.is_dir()
        ]
        if path.is_absolute()
        else []
    )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
