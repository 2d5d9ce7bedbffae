"""A practice whose backups go to a server that lets nothing be removed, looked after directly."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.core.record import RepositorySeen
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.doctor.complaint import Complaint, Kind
from dr_orchestrator.errors import RemovalRefused, RepositoryChanged
from dr_orchestrator.plan.load import LoadedPlan, load_plan
from dr_orchestrator.settings import load_settings
from tests.support.append_only import Served, rest_servers
from tests.support.clock import START as NOW
from tests.support.clock import FakeClock
from tests.support.restic import RawRestic
from tests.support.site import Site, new_site

DAY = timedelta(days=1)
_REPOSITORY = "  {name}: {{location: '{location}', password: {{file: {key}}}{more}}}\n"
_RETENTION = "{keep_hourly: 0, keep_daily: 2, keep_monthly: 0, keep_yearly: 0}"


@dataclass(frozen=True)
class Practice:
    """One practice, and the ways to its repository."""

    site: Site
    served: Served

    def plan(self, location: str, more: str = "", *, name: str = "onsite") -> LoadedPlan:
        """Write its plan, and load it."""
        said = _REPOSITORY.format(name=name, location=location, key=self.site.key, more=more)
        self.site.plan.write_text(
            "version: 1\n"
            "practice: {id: riverside, name: Riverside, timezone: America/Chicago}\n"
            f"repositories:\n{said}"
            f"systems:\n  emr:\n    rto: 4h\n    rpo: 1h\n    retention: {_RETENTION}\n"
            f"    assets: {{documents: {{kind: files, path: {self.site.documents}}}}}\n"
        )
        return load_plan(self.site.plan)

    @contextlib.contextmanager
    def app(self) -> Iterator[App]:
        with contextlib.closing(App(load_settings(), FakeClock(NOW))) as app:
            yield app

    def complaints(self, app: App) -> tuple[Complaint, ...]:
        """Return what the doctor says of how things are removed there."""
        return tuple(each for each in app.examine(()).complaints if each.kind in _OF_REMOVAL)

    def complaint(self, location: str, more: str = "") -> Complaint | None:
        """Return the one thing it says of such a plan."""
        self.plan(location, more)
        with self.app() as app:
            (found,) = self.complaints(app) or (None,)
            return found

    @property
    def directly(self) -> str:
        return f", append_only: true, maintenance: {{location: {self.served.folder}}}"


_OF_REMOVAL = {
    *(Kind.REMOVAL_REFUSED, Kind.NOT_APPEND_ONLY, Kind.APPEND_ONLY_UNSAID),
    Kind.MAINTENANCE_UNREACHABLE,
}


@pytest.fixture(scope="module")
def practice() -> Iterator[Practice]:
    with (
        new_site(repository=False) as site,
        rest_servers(site.folder / "served") as servers,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DRO_SETTINGS", site.environment["DRO_SETTINGS"])
        site.documents.mkdir()
        (site.documents / "letter").write_text("a letter")
        yield Practice(site, servers.repository("riverside", site.key.read_text().strip()))


def test_backups_go_through_the_server_and_what_is_let_go_of_goes_directly(
    practice: Practice,
) -> None:
    loaded = practice.plan(practice.served.append_only, practice.directly)
    with practice.app() as app:
        clock = app.clock
        assert isinstance(clock, FakeClock)
        for day in range(3):
            clock.set(NOW + day * DAY)
            content = os.urandom(200_000)
            (practice.site.documents / "letter").write_bytes(content)
            assert app.back_up(loaded, "emr").outcome is Outcome.DONE
        before = _size(practice.served.folder)

        assert len(app.forget(loaded.plan, "onsite").forgotten) == 1
        assert app.prune(loaded.plan, "onsite").outcome is Outcome.DONE

        assert _size(practice.served.folder) < before - 190_000
        (practice.site.documents / "letter").write_text("a letter")
        assert app.back_up(loaded, "emr").outcome is Outcome.DONE
        assert app.check(loaded.plan, "onsite", part=1).sound
        assert app.try_to_destroy(loaded.plan, "onsite").outcome is Outcome.DONE
        assert list((practice.served.folder / "locks").iterdir()) == []

    ended = practice.site.dro("repository", "immutability", "--json")
    assert ended.code == 0, ended.said
    (found,) = ended.json["immutability"]
    assert {each["answer"] for each in found["attempts"]} == {"refused"}
    assert found["outcome"] == "done"
    assert "refused    overwrite what was saved (403)" in ended.stderr


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def test_nothing_is_removed_through_a_server_that_is_said_to_refuse_it(practice: Practice) -> None:
    loaded = practice.plan(practice.served.append_only, ", append_only: true")
    assert loaded.plan.repositories["onsite"].maintenance.forget == "never"
    with practice.app() as app:
        repository = app.repositories.open_for_reading(loaded.plan, "onsite")
        with pytest.raises(RemovalRefused, match="lets nothing be removed"):
            repository.forget(["ab" * 32])
        with pytest.raises(RemovalRefused):
            repository.prune(timeout=DAY)
        app.take_retention(loaded.plan, "onsite", why="the other box is gone")
        app.take_retention(loaded.plan, "onsite", why="and this is the newer one")
        assert app.look_into_retention(loaded.plan, "onsite").is_ours
    assert list((practice.served.folder / "locks").iterdir()) == []


def test_a_lock_of_the_dead_is_removed_through_the_server(practice: Practice) -> None:
    loaded = practice.plan(practice.served.append_only, ", append_only: true")
    password = practice.site.key.read_text().strip()
    cache = practice.site.folder / "raw-cache"
    RawRestic(practice.served.append_only, cache, password).leave_a_dead_lock()
    with practice.app() as app:
        app.repositories.open_for_writing(loaded.plan, "onsite")
    assert list((practice.served.folder / "locks").iterdir()) == []


def test_another_repository_at_the_maintenance_location_is_not_touched(practice: Practice) -> None:
    loaded = practice.plan(practice.served.append_only, practice.directly, name="vault")
    before = sorted(practice.served.folder.rglob("*"))
    with practice.app() as app:
        known = RepositorySeen(
            practice="riverside", repository="vault", restic_id="ab" * 32, at=NOW - DAY
        )
        app.store.record(known)
        for operation in (app.forget, app.prune, app.check):
            with pytest.raises(RepositoryChanged, match=r"by its `maintenance: \{location: ..\}`"):
                operation(loaded.plan, "vault")
        (said,) = practice.complaints(app)
    assert sorted(practice.served.folder.rglob("*")) == before
    assert said.kind is Kind.MAINTENANCE_UNREACHABLE
    assert "leads to another repository" in said.what


def test_doctor_says_where_a_server_and_the_plan_differ_about_removal(practice: Practice) -> None:
    served = practice.served
    never = ", maintenance: {forget: never, prune: never}"

    assert practice.complaint(served.append_only, practice.directly) is None
    assert practice.complaint(served.open) is None
    for location, more, kind, do in (
        (served.append_only, "", Kind.REMOVAL_REFUSED, "`append_only: true`"),
        (served.append_only, never, Kind.APPEND_ONLY_UNSAID, "`append_only: true`"),
        (served.open, ", append_only: true", Kind.NOT_APPEND_ONLY, "`--append-only`"),
    ):
        found = practice.complaint(location, more)
        assert found is not None
        assert found.kind is kind
        assert do in found.do


def test_command_is_refused_where_the_plan_promises_nothing(practice: Practice) -> None:
    practice.plan(practice.served.open)
    ended = practice.site.dro("repository", "immutability", "--json")
    assert ended.code == 2
    assert ended.json["error"]["hint"] == "`object_lock` or `append_only` says so"


def test_command_says_what_succeeded(practice: Practice) -> None:
    practice.plan(practice.served.open, ", append_only: true")
    with practice.app() as app:
        app.repositories.open_for_reading(load_plan(practice.site.plan).plan, "onsite")
    ended = practice.site.dro("repository", "immutability", "riverside", "--repository", "onsite")
    assert ended.code == 1, ended.said
    assert "SUCCEEDED  delete what was made for this test (200)" in ended.stdout
