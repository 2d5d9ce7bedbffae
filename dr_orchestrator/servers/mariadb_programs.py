"""Finding the programs of MariaDB and MySQL, each version in its own folder.

Which version is meant is never left to PATH: an older client does not know what a newer server
writes, and a copied data directory starts under its own series only. Programs are asked for by
MariaDB's names; where only the old `mysql*` names are there, those are taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Self

from dr_orchestrator.errors import DroError, ProgramMissing
from dr_orchestrator.process import Command, Launcher

_MARIADB = re.compile(r"(\d+)\.(\d+)\.(\d+)-MariaDB")
_MYSQL = re.compile(r"(?:Distrib|Ver) (\d+)\.(\d+)\.(\d+)")
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_ASKING = timedelta(seconds=20)
_WITNESSES = ("mariadb-dump", "mariadbd")
"""Programs that are asked for the version: a folder may hold clients only, or a server only."""
_OLD_NAMES = {
    "mariadb": "mysql",
    "mariadb-backup": "mariabackup",
    "mariadb-check": "mysqlcheck",
    "mariadb-dump": "mysqldump",
    "mariadb-install-db": "mysql_install_db",
    "mariadb-upgrade": "mysql_upgrade",
    "mariadbd": "mysqld",
}
_PACKAGES = {
    "mariadb-backup": "mariadb-backup",
    "mbstream": "mariadb-backup",
    "mariadb-install-db": "mariadb-server",
    "mariadbd": "mariadb-server",
}


class Vendor(StrEnum):
    """Whose server it is: their file formats and checksums differ."""

    MARIADB = "mariadb"
    MYSQL = "mysql"

    @property
    def product(self) -> str:
        """What people call it."""
        return "MariaDB" if self is Vendor.MARIADB else "MySQL"


@dataclass(frozen=True)
class Version:
    """A version of one vendor's."""

    vendor: Vendor
    numbers: tuple[int, ...]
    """Three of them."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return what `select version()` means: `10.11.19-MariaDB-log`, `8.0.36`; else `None`."""
        if match := _MARIADB.search(text):
            return cls(Vendor.MARIADB, _three(match))
        if match := _NUMBERS.match(text):
            return cls(Vendor.MYSQL, _three(match))
        return None

    @property
    def series(self) -> str:
        """`10.11`: what is compatible on disk and in checksums."""
        return f"{self.numbers[0]}.{self.numbers[1]}"

    def __str__(self) -> str:
        return ".".join(str(number) for number in self.numbers)


_ANY_VERSION = Version(Vendor.MARIADB, (10, 11, 0))
"""Named where any would do, and there is none: Debian 12 has it."""


@dataclass(frozen=True)
class ProgramFolder:
    """The programs of one version."""

    version: Version
    folders: tuple[Path, ...]
    """Its `bin`, and the `sbin` beside it."""

    def path(self, program: str) -> str:
        """Return the full path of one of its programs, by MariaDB's name for it.

        Raises:
            ProgramMissing: it is not there.
        """
        found = _find(program, self.folders)
        if found is None:
            raise _missing((program,), f"of version {self.version}", "", self.version.vendor)
        return str(found)

    def offers(self, programs: Sequence[str]) -> bool:
        """Whether it has all of these."""
        return all(_find(program, self.folders) for program in programs)


class MariadbPrograms:
    """Every version of MariaDB's and MySQL's programs on this machine."""

    def __init__(self, launcher: Launcher, patterns: Sequence[str]) -> None:
        """Take glob patterns of absolute folders: `/usr/bin`, `/opt/mariadb-*/bin`."""
        self._launcher = launcher
        self._patterns = tuple(patterns)

    @cached_property
    def folders(self) -> tuple[ProgramFolder, ...]:
        """All that were found, oldest version first."""
        paths = sorted({path for pattern in self._patterns for path in _matches(pattern)})
        found = (self._recognise(path) for path in paths)
        return tuple(sorted((one for one in found if one), key=lambda one: one.version.numbers))

    def at_least(self, version: Version, *programs: str) -> ProgramFolder:
        """Return the programs of `version`'s series, or of the vendor's next newer that has them.

        Raises:
            ProgramMissing: there is none; the hint names Debian's package.
        """
        wanted = version.numbers[:2]
        fitting = [one for one in self._offering(version, programs) if _series(one) >= wanted]
        nearest = min((_series(one) for one in fitting), default=wanted)
        words = f"of version {version.series} or newer"
        return self._newest(fitting, version.vendor, nearest, programs, words)

    def newest(self, *programs: str) -> ProgramFolder:
        """Return MariaDB's programs of the newest version there is.

        Raises:
            ProgramMissing: there is none.
        """
        offering = self._offering(_ANY_VERSION, programs)
        version = offering[-1].version if offering else _ANY_VERSION
        return self.at_least(version, *programs)

    def same_series(self, version: Version, *programs: str) -> ProgramFolder:
        """Return the programs of `version`'s own series, as copied data directories need them.

        Raises:
            ProgramMissing: there is none; the hint names Debian's package.
        """
        offering, words = self._offering(version, programs), f"of version {version.series}, and no"
        series = version.numbers[:2]
        return self._newest(offering, version.vendor, series, programs, f"{words} other,")

    def _offering(self, version: Version, programs: Sequence[str]) -> list[ProgramFolder]:
        return [
            one
            for one in self.folders
            if one.version.vendor is version.vendor and one.offers(programs)
        ]

    def _newest(
        self,
        folders: list[ProgramFolder],
        vendor: Vendor,
        series: tuple[int, ...],
        programs: Sequence[str],
        words: str,
    ) -> ProgramFolder:
        fitting = [one for one in folders if _series(one) == series]
        if fitting:
            return fitting[-1]
        found = sorted({f"{one.version.vendor} {one.version.series}" for one in self.folders})
        raise _missing(programs, words, f" (found: {', '.join(found) or 'none'})", vendor)

    def _recognise(self, folder: Path) -> ProgramFolder | None:
        """Return what `folder` holds, `None` where it is neither or does not run here."""
        folders = tuple(one for one in (folder, folder.with_name("sbin")) if one.is_dir())
        for witness in _WITNESSES:
            program = _find(witness, folders)
            if program is None:
                continue
            try:
                asked = self._launcher.run(
                    Command(argv=(str(program), "--no-defaults", "--version"), timeout=_ASKING)
                )
            except ProgramMissing:
                continue
            except DroError:
                return None
            text = asked.stdout.decode(errors="replace")
            if asked.ok and (match := _MARIADB.search(text)):
                return ProgramFolder(Version(Vendor.MARIADB, _three(match)), folders)
            if asked.ok and (match := _MYSQL.search(text)):
                return ProgramFolder(Version(Vendor.MYSQL, _three(match)), folders)
        return None


def _find(program: str, folders: Sequence[Path]) -> Path | None:
    names = (program, _OLD_NAMES.get(program, program))
    candidates = (folder / name for name in names for folder in folders)
    return next((path for path in candidates if path.is_file()), None)


def _missing(programs: Sequence[str], words: str, found: str, vendor: Vendor) -> ProgramMissing:
    packages = sorted({_PACKAGES.get(program, "mariadb-client") for program in programs})
    get = f"apt install {' '.join(packages)}, from mariadb.org where Debian's version is another"
    if vendor is Vendor.MYSQL:
        programs = tuple(_OLD_NAMES.get(program, program) for program in programs)
        get = "get MySQL of that version, which Debian does not have, from dev.mysql.com"
    return ProgramMissing(
        f"{vendor.product}'s programs {', '.join(programs)} {words} are not on this machine{found}",
        hint=f"{get}; or name their folder in the machine's settings (`mariadb_programs`)",
    )


def _three(match: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(number) for number in match.groups())


def _series(folder: ProgramFolder) -> tuple[int, ...]:
    return folder.version.numbers[:2]


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if not path.is_absolute():
        return []
    found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    return [one for one in found if one.is_dir()]
