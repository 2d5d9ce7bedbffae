"""What comes back for a person is all there is of it, or says what is missing."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.backup.backup import BackupTools, back_up
from dr_orchestrator.backup.recovery_point import BackupRequest
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import RepositoryFull
from dr_orchestrator.plan.load import effective_yaml
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.settings import load_settings
from tests.support.site import Site, make_small_practice, new_site

RELEASE = ("retention", "release", "riverside", "--reason", "the disk was lost")


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        make_small_practice(site)
        yield site
        assert site.leftovers() == []


class _FullFor:
    """A repository that has no room for one folder."""

    def __init__(self, repository: Any, folder: Path) -> None:
        self._repository = repository
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)

    def save_tree(self, path: Path, **options: Any) -> Any:
        if path == self._folder:
            raise RepositoryFull("no space left")
        return self._repository.save_tree(path, **options)


@pytest.fixture
def half(site: Site) -> Site:
    """Make a practice whose only point lacks its documents in the first repository."""
    text = site.plan.read_text()
    offsite = f"  offsite: {{location: {site.folder}/offsite, password: {{file: {site.key}}}}}\n"
    to = "    backup: {schedule: every 30m, to: [onsite, offsite]}\n"
    site.plan.write_text(
        text.replace("systems:\n", f"{offsite}systems:\n").replace("rpo: 1h\n", f"rpo: 1h\n{to}")
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        app = App(load_settings(), SystemClock())
    with contextlib.closing(app):
        (loaded,) = app.plans(("riverside",))

        def open_repository(plan: Plan, name: str) -> Any:
            repository = app.repositories.open_for_writing(plan, name)
            return _FullFor(repository, site.documents) if name == "onsite" else repository

        tools = BackupTools(
            mirrors=site.state / "mirrors",
            store=app.store,
            clock=app.clock,
            drivers=app.drivers,
            open_repository=open_repository,
            staging=site.state / "staging",
            files_key=lambda _practice: bytes(32),
            lock_wait=app.settings.lock_wait,
        )
        request = BackupRequest(
            plan=loaded.plan, plan_text=effective_yaml(loaded), runbooks={}, system="emr"
        )
        assert back_up(request, tools).outcome is Outcome.PARTIAL
    return site


def test_restore_takes_the_repository_that_holds_everything(half: Site) -> None:
    ended = half.dro("restore", "riverside", "--to", f"{half.folder}/back", "--json")

    assert ended.code == 0, ended.said
    assert ended.json["repository"] == "offsite"
    assert set(ended.json["restored"]) == {"database", "documents"}


def test_restore_from_a_repository_that_lacks_an_asset_says_so(half: Site) -> None:
    ended = half.dro(
        "restore", "riverside", "--repository", "onsite", "--to", f"{half.folder}/back", "--json"
    )

    assert ended.code == 3, ended.said
    assert set(ended.json["restored"]) == {"database"}
    assert [each["asset"] for each in ended.json["failures"]] == ["documents"]
    assert "--asset documents --repository offsite" in ended.stderr


def test_a_point_rebuilt_from_its_half_first_is_whole_in_the_end(half: Site) -> None:
    assert half.dro("points", "riverside", "--json").json["points"]
    (half.state / "dro.sqlite3").rename(half.folder / "lost.sqlite3")

    for repository in ("onsite", "offsite"):
        ended = half.dro("points", "rebuild", "riverside", "--repository", repository)
        assert ended.code == 0, ended.said
        released = half.dro(*RELEASE, "--repository", repository)
        assert released.code == 0, released.said

    (point,) = half.dro("points", "riverside", "--json").json["points"]
    assert set(point["assets"]) == {"database", "documents"}
    found = half.dro("status", "riverside", "--json").json["practices"][0]["findings"]
    assert {each["verdict"] for each in found if each["objective"] == "coverage"} == {"met"}


def test_restore_of_one_asset_never_removes_another(site: Site) -> None:
    """`scans` and `incoming-scans`: where one is unpacked, the other must not lie."""
    text = site.plan.read_text()
    for old, new in (("database", "incoming-scans"), ("documents", "scans")):
        text = text.replace(f"      {old}: {{kind", f"      {new}: {{kind")
        text = text.replace(f"asset: {old}", f"asset: {new}")
    site.plan.write_text(text)
    assert site.dro("backup", "riverside").code == 0

    ended = site.dro("restore", "riverside", "--to", f"{site.folder}/back")

    assert ended.code == 0, ended.said
    assert (site.folder / "back" / "incoming-scans" / site.database.name).is_file()
    assert (site.folder / "back" / "scans").is_dir()


def test_an_asset_that_is_named_twice_is_restored_once(site: Site) -> None:
    assert site.dro("backup", "riverside").code == 0
    twice = ("--asset", "database", "--asset", "database")

    ended = site.dro("restore", "riverside", *twice, "--to", f"{site.folder}/back", "--json")

    assert ended.code == 0, ended.said
    assert set(ended.json["restored"]) == {"database"}


def test_what_was_saved_from_a_folder_written_with_dots_can_be_restored(site: Site) -> None:
    """Restic takes the dots out of a path; what the manifest names must be what restic has."""
    settings = site.folder / "dro.yaml"
    dots = f"state: {site.folder}/plans/../state"
    settings.write_text(settings.read_text().replace(f"state: {site.state}", dots))

    assert site.dro("backup", "riverside").code == 0

    assert site.dro("test", "riverside").code == 0
    assert site.dro("restore", "riverside", "--to", f"{site.folder}/back").code == 0


def test_a_leftover_that_cannot_be_removed_is_said_and_stops_nothing(site: Site) -> None:
    """Somebody looked into a killed test's sandbox and left something mounted there."""
    stuck = site.folder / "state-sandbox" / "abcdefgh" / "room"
    other = site.folder / "state-sandbox" / "zyxwvuts"
    stuck.parents[1].mkdir(mode=0o711)
    for folder in (stuck, other):
        folder.mkdir(parents=True)
    subprocess.run(("mount", "-t", "tmpfs", "dro-test", stuck), check=True)
    try:
        for words in (("backup",), ("test",), ("restore", "--to", f"{site.folder}/back")):
            ended = site.dro(words[0], "riverside", *words[1:])
            assert ended.code == 3, ended.said
            assert "something is mounted in it" in ended.stderr
        assert not other.exists()
        assert (site.folder / "back" / "documents").is_dir()
    finally:
        subprocess.run(("umount", stuck), check=True)
    assert site.dro("backup", "riverside").code == 0


def test_a_restore_that_never_began_leaves_no_directory_in_the_way(site: Site) -> None:
    assert site.dro("backup", "riverside").code == 0
    key = site.key.read_text()
    site.key.write_text("another key")
    place = site.folder / "restored"
    assert site.dro("restore", "riverside", "--to", str(place)).code == 1
    site.key.write_text(key)
    assert site.dro("restore", "riverside", "--to", str(place)).code == 0
