"""The demo itself: protect, prove, look at the page; then damage, and be caught."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words, duration_words, size_words
from dr_orchestrator.demo.damage import copied_with_cp, flip_one_byte, half_of_the_share
from dr_orchestrator.demo.made_up import (
    DOCUMENTS,
    PATIENTS,
    VISITS,
    MadeUpPractice,
    practice_at_work,
)
from dr_orchestrator.errors import DroError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dr_orchestrator.assets.base import CaptureRequest
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.restore_test import RestoreTest


class DemoSite(Protocol):
    """A machine of its own that protects one plan: own state, own repository."""

    def back_up(self, careless: dict[AssetKind, Callable[[CaptureRequest], Path]]) -> timedelta:
        """Back the practice up, with careless captures of these kinds; return how long it took."""
        ...

    def prove(self) -> RestoreTest:
        """Test the newest point."""
        ...

    def write_page(self, out: Path) -> Path:
        """Write the practice manager's page into `out`."""
        ...

    def restic_check(self) -> int:
        """Run plain `restic check` and return its exit code."""
        ...


@dataclass(frozen=True)
class _Damage:
    """One way in which a backup goes bad."""

    title: str
    tools_say: str
    careless: dict[AssetKind, Callable[[CaptureRequest], Path]]


def tell(
    folder: Path,
    make_site: Callable[[Path, str], DemoSite],
    clock: Clock,
    say: Callable[[str], None],
) -> bool:
    """Play the demo in `folder` (new or empty) and return whether all of it went as promised.

    `make_site` takes a folder for a site and the plan's text. The page is left in `folder`.
    """
    with practice_at_work(folder / "practice", clock.now()) as practice:
        return _Story(folder, practice, make_site, say).tell()


@dataclass(frozen=True)
class _Story:
    """One telling: where it happens, and to whom it is told."""

    folder: Path
    practice: MadeUpPractice
    make_site: Callable[[Path, str], DemoSite]
    say: Callable[[str], None]

    def tell(self) -> bool:
        self._introduce()
        healthy = self._protect_and_prove(self._new_site("site"))
        self.say("")
        self.say("three damaged backups that exit codes call fine")
        caught = [self._flipped_byte()]
        for number, damage in enumerate(_careless_ways(self.practice), start=2):
            site = self._new_site(f"site-{number}")
            site.back_up(damage.careless)
            caught.append(self._show(number, damage.title, damage.tools_say, site))
        self.say("")
        self.say(f"caught: {sum(caught)} of {len(caught)}")
        return healthy and all(caught)

    def _introduce(self) -> None:
        files = [each for each in self.practice.documents.rglob("*") if each.is_file()]
        size = sum(each.stat().st_size for each in (*files, self.practice.database))
        self.say(
            f"a practice is made up: {count_words(PATIENTS, 'patient')}, "
            f"{count_words(VISITS, 'visit')}, {count_words(DOCUMENTS, 'scanned document')} "
            f"({size_words(size)}), its record system in use"
        )

    def _new_site(self, name: str) -> DemoSite:
        place = self.folder / name
        place.mkdir(mode=0o700)
        key = place / "key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_urlsafe(32))
        return self._site(place)

    def _site(self, place: Path) -> DemoSite:
        plan = self.practice.plan_text(repository=place / "repository", key=place / "key")
        return self.make_site(place, plan)

    def _protect_and_prove(self, site: DemoSite) -> bool:
        took = site.back_up({})
        self.say(f"  dro backup riverside   encrypted and recorded, in {duration_words(took)}")
        test = site.prove()
        back = timedelta(seconds=test.rta_service_seconds or 0)
        self.say(
            f"  dro test riverside     {_verdict(test)}: back in {duration_words(back)} "
            f"(promised: 4 h), {count_words(len(test.verifications), 'check')}, "
            f"depth {test.depth.name}, sandbox: {test.sandbox}"
        )
        self.say(f"  dro report riverside   {site.write_page(self.folder)}")
        return test.result is Result.PASSED

    def _flipped_byte(self) -> bool:
        """Damage a copy of the good site: its record still says that all is well."""
        copy = self.folder / "site-1"
        shutil.copytree(self.folder / "site", copy)
        flip_one_byte(copy / "repository")
        title = "one byte of a pack flipped on the disk"
        return self._show(1, title, "nothing", self._site(copy))

    def _show(self, number: int, title: str, tools_say: str, site: DemoSite) -> bool:
        check = site.restic_check()
        fine = ": no errors were found" if check == 0 else ""
        self.say(f"  {number}  {title}")
        self.say(f"     the tools said      {tools_say}")
        self.say(f"     restic check        exit {check}{fine}")
        try:
            test = site.prove()
        except DroError as error:
            self.say(f"     dro test            could not run: {error.message}")
            return False
        self.say(f"     dro test            {_verdict(test)}: {_most_telling(test)}")
        return test.result is Result.FAILED


def _careless_ways(practice: MadeUpPractice) -> tuple[_Damage, ...]:
    return (
        _Damage(
            "a database in use, copied with cp",
            f"cp exit 0, integrity_check {_integrity_of_cp(practice)}, restic backup exit 0",
            {AssetKind.SQLITE: copied_with_cp},
        ),
        _Damage(
            "a share that went away half way",
            "restic backup exit 0",
            {AssetKind.FILES: half_of_the_share},
        ),
    )


def _most_telling(test: RestoreTest) -> str:
    """Return why a test failed; of several failed checks the last, which is the most specific."""
    failed = [each for each in test.verifications if each.result is Result.FAILED]
    if not failed:
        return test.reason
    others = len(failed) - 1
    more = f" (and {count_words(others, 'more check')})" if others else ""
    return f"{failed[-1].title}: {failed[-1].reason}{more}"


def _verdict(test: RestoreTest) -> str:
    return test.result.value.upper() if test.result is not Result.PASSED else "passed"


def _integrity_of_cp(practice: MadeUpPractice) -> str:
    """Return what SQLite's own check says of a plain copy."""
    copy = practice.folder / "copy.sqlite3"
    shutil.copyfile(practice.database, copy)
    database = sqlite3.connect(copy)
    try:
        return str(database.execute("pragma integrity_check").fetchone()[0])
    finally:
        database.close()
        for leftover in practice.folder.glob("copy.sqlite3*"):
            leftover.unlink()
