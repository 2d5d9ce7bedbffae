"""One file back, or one database, on an ordinary day; and nobody else learns whose it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.target import confirm_live_target
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify, TargetRefused
from dr_orchestrator.restore.into import RestoredDatabase, RestoreIntoDatabase
from dr_orchestrator.sandbox.live import LiveAddress
from dr_orchestrator.settings import load_settings
from tests.support import mariadb
from tests.support.postgres import (
    BACKUP_PASSWORD,
    EMR,
    SUPERUSER,
    Production,
    production,
)
from tests.support.site import Ended, Site, make_small_practice, new_site
from tests.support.terminal import terminal

_NAME = "Yolande Wrenryson"
"""Of another patient than the one that tests beside this look for in all there is."""
_LETTER = f"letters/{_NAME}/note of 2026.txt"
_ALIKE = _LETTER.replace("Yolande", "Yannick")
"""As long as the one that is wanted: restic cannot tell the two apart by what it is told."""
_ARGUMENTS = """#!/bin/sh
printf '%s\\n' "$*" >>"{folder}/arguments"
exec /usr/bin/restic "$@"
"""


@dataclass
class _Practice:
    """A practice whose restic writes down what it is told."""

    site: Site
    app: App
    points: list[str] = field(default_factory=list)
    """Oldest first."""

    @property
    def arguments(self) -> Path:
        return self.site.folder / "arguments"

    def back_up(self) -> None:
        result = self.app.back_up(self.app.plans(("riverside",))[0], "emr")
        assert result.point is not None
        assert result.failures == ()
        self.points.append(result.point.id)

    def dro(self, *words: str, typed: str = "", **environment: str) -> Ended:
        """Run `dro` with something on stdin."""
        path = f"{self.site.folder}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            (*self.site.argv, *words),
            env=self.site.environment | {"PATH": path} | environment,
            cwd=self.site.folder,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def into(self, url: str, password: str | None = None) -> RestoredDatabase:
        """Have the one database restored into a new one, as somebody who confirmed it."""
        address = LiveAddress.parse(url)
        request = RestoreIntoDatabase(
            plan=self.app.plans(("riverside",))[0].plan,
            point=self.app.store.points("riverside", "emr")[0],
            repository="onsite",
            asset="",
            address=address,
            password=Secret(password) if password else None,
            target=confirm_live_target(address.database, practice="riverside", typed="riverside"),
            by="msp",
            why="one table",
        )
        return self.app.restore_into(request, lambda _asset, _progress: None)

    def places_of(self, name: str) -> str:
        """Return where a name is: in what restic was told, in our state, in a cache."""
        # by another process: one that closes a database's file lets go of its own locks on it
        places = (self.arguments, self.site.state, self.site.folder / "cache")
        found = subprocess.run(
            ("grep", "--recursive", "--files-with-matches", "--text", "-F", name, *places),
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stderr == ""
        return found.stdout


@contextlib.contextmanager
def _app(site: Site) -> Iterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        app = App(load_settings(), SystemClock())
    with contextlib.closing(app):
        yield app


@pytest.fixture(scope="module")
def practice() -> Iterator[_Practice]:
    """Make a practice with three recovery points; a note is written, changed and lost in them."""
    with new_site() as site:
        with _app(site) as app:
            make_small_practice(site, patients=3, documents=3)
            practice = _Practice(site, app)
            watched = site.folder / "bin" / "restic"
            watched.parent.mkdir()
            watched.write_text(_ARGUMENTS.format(folder=site.folder))
            watched.chmod(0o755)
            for path, content in ((_LETTER, "as it was first"), (_ALIKE, "of somebody else")):
                (site.documents / path).parent.mkdir(parents=True)
                (site.documents / path).write_text(content)
            practice.back_up()
            (site.documents / _LETTER).write_text("as it was changed")
            practice.back_up()
            (site.documents / _LETTER).unlink()
            practice.back_up()
            yield practice
        assert site.leftovers() == []


def test_find_shows_every_version_and_keeps_nothing_of_what_was_looked_for(
    practice: _Practice,
) -> None:
    found = practice.dro("find", "riverside", "--json", typed="yolande\n")

    assert found.code == 0, found.said
    versions = [
        (each["path"], each["bytes"], each["points"], each["still_there"])
        for each in found.json["versions"]
    ]
    assert versions == [
        (_LETTER, len("as it was changed"), [practice.points[1]], False),
        (_LETTER, len("as it was first"), [practice.points[0]], False),
    ]
    assert found.json["not_searched"] == ["database"]
    assert "Wrenryson" not in found.stderr
    assert practice.places_of("Wrenryson") == ""


def test_restore_brings_back_one_file_and_restic_is_not_told_its_name(practice: _Practice) -> None:
    back = practice.site.folder / "back"
    words = ("--point", practice.points[0], "--path", "--to", str(back), "--json")
    typed = f"{practice.site.documents}/{_LETTER}\nletters/nobody.txt\n"
    ended = practice.dro("restore", "riverside", *words, typed=typed)

    assert ended.code == 3, ended.said
    assert ended.json["missing"] == ["letters/nobody.txt"]
    assert ended.json["restored"]["documents"]["files"] == 1
    files = [each for each in back.rglob("*") if each.is_file()]
    assert [each.read_text() for each in files] == ["as it was first"]
    assert str(files[0]).endswith(f"documents/{_LETTER}")
    assert "--include=" in practice.arguments.read_text()
    assert practice.places_of("Wrenryson") == ""


def test_restore_takes_paths_from_a_file_and_none_as_an_argument(practice: _Practice) -> None:
    paths = practice.site.folder / "paths"
    paths.write_bytes(b"\xef\xbb\xbfletters\r\n")
    back = practice.site.folder / "all-letters"
    words = ("restore", "riverside", "--to", str(back))
    named = practice.dro(*words, "--path", _LETTER)
    assert (named.code, back.exists(), _NAME in named.said) == (2, False, False)

    ended = practice.dro(*words, "--path-file", str(paths))
    assert ended.code == 0, ended.said
    files = [each.read_text() for each in back.rglob("*") if each.is_file()]
    assert files == ["of somebody else"]


def test_restore_of_a_path_that_is_nowhere_leaves_nothing(practice: _Practice) -> None:
    back = practice.site.folder / "nothing"
    words = ("restore", "riverside", "--path", "--to", str(back), "--json")
    ended = practice.dro(*words, typed=f"{_LETTER}\n")
    assert (ended.code, ended.json["missing"], back.exists()) == (1, [_LETTER], False)
    assert _NAME not in ended.stderr


def test_a_person_finds_a_file_and_has_it_back_without_typing_its_path(
    practice: _Practice,
) -> None:
    site, back = practice.site, practice.site.folder / "by-hand"
    argv = (*site.argv, "find", "riverside", "--system", "emr")
    with terminal(site.folder / "t", argv, site.environment, site.folder) as it:
        it.see("which name?")
        it.type("yolande")
        it.see("for what?")
        it.type("a call")
        it.see("2 versions in 3 recovery points", "not looked through", "which one")
        it.type("2")
        it.see("where to?")
        it.type(str(back))
        it.see("documents, 1 file")
        assert it.wait() == 0
    (file,) = (each for each in back.rglob("*") if each.is_file())
    assert file.read_text() == "as it was first"


_MAKER = "maker"
_SECRET = "canary-s3cret"


_PLAN = """\
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: {kind}, host: {host}, database: emr, user: backup,
                 password: {{file: {folder}/db-password}}}}
"""


@dataclass(frozen=True)
class _Protected:
    """A practice with one point of its database, and the server that this is on."""

    practice: _Practice
    server: Production

    def url(self, name: str, user: str = SUPERUSER) -> str:
        return f"postgres://{user}@{self.server.host.replace('/', '%2F')}/{name}"

    def databases(self) -> set[str]:
        with self.server.connect("postgres") as connection:
            rows = connection.execute("select datname from pg_database").fetchall()
        return {row[0] for row in rows}


@pytest.fixture(scope="module")
def protected() -> Iterator[_Protected]:
    with (
        production() as server,
        server.database("emr", EMR),
        _backed_up("postgres", server.host, BACKUP_PASSWORD) as practice,
    ):
        yield _Protected(practice, server)


@contextlib.contextmanager
def _backed_up(kind: str, host: str, password: str) -> Iterator[_Practice]:
    with new_site() as site:
        file = site.folder / "db-password"
        file.touch(mode=0o600)
        file.write_text(password)
        site.write_plan(_PLAN.format(kind=kind, host=host, folder=site.folder))
        with (site.folder / "dro.yaml").open("a") as settings:
            settings.write("work_jobs: 2\n")
        with _app(site) as app:
            practice = _Practice(site, app)
            practice.back_up()
            yield practice
        assert site.leftovers() == []


def test_restore_into_makes_a_new_database_once_the_practice_was_typed(
    protected: _Protected,
) -> None:
    words = ("restore", "riverside", "--json", "--into", protected.url("friday"))
    unsure = protected.practice.dro(*words, typed="lakeside\n")
    assert (unsure.code, "friday" in protected.databases()) == (2, False), unsure.said

    ended = protected.practice.dro(*words, typed="riverside\n")

    assert ended.code == 0, ended.said
    assert {each["result"] for each in ended.json["verifications"]} == {"passed"}
    with protected.server.connect("friday") as connection:
        assert connection.execute("select count(*) from emr.encounter").fetchone() == (3000,)


def test_restore_into_goes_over_no_database_that_is_there(protected: _Protected) -> None:
    with protected.server.database("taken", "create table ours (id int)"):
        with pytest.raises(TargetRefused, match="exists already"):
            protected.practice.into(protected.url("taken"))
        with protected.server.connect("taken") as connection:
            assert connection.execute("select count(*) from ours").fetchone() == (0,)


def test_restore_into_leaves_no_half_of_a_database(protected: _Protected) -> None:
    # one connection is enough to make a database, and too few for two programs that load it
    with protected.server.connect("postgres") as connection:
        connection.execute(
            f"create role {_MAKER} login createdb connection limit 1 password '{_SECRET}'"
        )
    with pytest.raises(CouldNotVerify, match=r"took no connection|was lost"):
        protected.practice.into(protected.url("half", _MAKER), _SECRET)
    assert "half" not in protected.databases()


def test_restore_into_makes_a_new_database_of_mariadb() -> None:
    with (
        mariadb.production() as server,
        server.database("emr", mariadb.EMR),
        _backed_up("mariadb", server.host, mariadb.BACKUP_PASSWORD) as practice,
    ):
        server.run(
            f"create user {_MAKER}@localhost identified by '{_SECRET}';"
            f"grant all on *.* to {_MAKER}@localhost"
        )
        url = f"mariadb://{_MAKER}@{server.host.replace('/', '%2F')}/friday"
        restored = practice.into(url, _SECRET)

        assert {each.result for each in restored.verifications} == {Result.PASSED}
        with contextlib.closing(server.connect("friday")) as connection:
            assert connection.one("select count(*) from encounter") == 3000
        with pytest.raises(TargetRefused, match="exists already"):
            practice.into(url, _SECRET)
