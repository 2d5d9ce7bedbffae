"""What a responder restores comes from whichever repository still gives back all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import NotDelivered
from dr_orchestrator.plan.model import Contact
from dr_orchestrator.responder_tools import ResponderTools
from dr_orchestrator.runbook.desk import Doing
from dr_orchestrator.runbook.tools import RestoredSystem, RunbookTools, ToNewDirectories
from dr_orchestrator.settings import load_settings
from tests.support.sinks import MailSink, mail_sink
from tests.support.site import MARKER, SMALL_EMR, Site, make_small_practice, new_site


@dataclass
class Scene:
    """A practice kept in two repositories, and a responder's tools."""

    site: Site
    mail: MailSink
    tools: RunbookTools
    restored: Path

    @property
    def offsite(self) -> Path:
        return self.site.folder / "offsite"

    def restore(self) -> tuple[RestoredSystem, list[Doing]]:
        doings: list[Doing] = []
        assert isinstance(self.tools.restoring, ToNewDirectories)
        return self.tools.restoring.restore("emr", doings.append, None), doings


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with (
        new_site() as site,
        mail_sink() as mail,
        pytest.MonkeyPatch.context() as patch,
        contextlib.ExitStack() as leaving,
    ):
        make_small_practice(site, patients=4, documents=3)
        emr = SMALL_EMR.format(database=site.database, documents=site.documents, marker=MARKER)
        to = "    backup: {schedule: every 30m, to: [onsite, offsite]}\n"
        site.write_plan(
            emr.replace("    rpo: 1h\n", f"    rpo: 1h\n{to}"),
            repositories=f"  offsite: {{location: {site.folder}/offsite, "
            f"password: {{file: {site.key}}}}}\n",
        )
        with (site.folder / "dro.yaml").open("a") as settings:
            sink = f"host: 127.0.0.1, port: {mail.port}, encryption: none"
            settings.write(f"mail: {{{sink}, from: dro@example.org}}\n")
        backup = site.dro("backup", "riverside")
        assert backup.code == 0, backup.said
        for name, value in site.environment.items():
            patch.setenv(name, value)
        app = leaving.enter_context(contextlib.closing(App(load_settings(), SystemClock())))
        (loaded,) = app.plans(("riverside",))
        (restored := site.folder / "restored").mkdir()
        tools = ResponderTools(app).of(loaded, by="Ada", live_folder=restored, sender="run-1")
        yield Scene(site, mail, tools, restored)


@contextlib.contextmanager
def _gone(folder: Path) -> Iterator[None]:
    folder.rename(folder.with_name("gone"))
    try:
        yield
    finally:
        folder.with_name("gone").rename(folder)


def test_restore_goes_to_new_folders_and_says_how_far_it_is(scene: Scene) -> None:
    first, doings = scene.restore()
    second, _ = scene.restore()

    assert (first.result, first.repository, first.reason) == (Result.PASSED, "onsite", "")
    assert [Path(each.place).name for each in (first, second)] == ["emr", "emr-2"]
    assert {Path(each.place).parent for each in (first, second)} == {scene.restored}
    assert [doings[0].text, doings[-1].text] == ["from onsite", "passed"]
    assert any(each.startswith("database: ") for each in first.next_steps)


def test_restore_comes_from_the_next_repository_when_the_first_is_gone(scene: Scene) -> None:
    with _gone(scene.site.repository):
        ended, _ = scene.restore()

    assert (ended.result, ended.repository) == (Result.PASSED, "offsite")
    assert ended.next_steps[0].startswith("not from onsite: ")
    assert list((Path(ended.place) / "documents").rglob("scan-2.pdf"))


def test_restore_comes_from_the_next_repository_when_the_first_is_damaged(scene: Scene) -> None:
    packs = [each for each in (scene.site.repository / "data").rglob("*") if each.is_file()]
    whole = {each: each.read_bytes() for each in packs}
    for each in packs:
        each.chmod(0o600)
        each.write_bytes(bytes(len(whole[each])))
    try:
        ended, _ = scene.restore()
    finally:
        for each in packs:
            each.write_bytes(whole[each])

    assert (ended.result, ended.repository) == (Result.PASSED, "offsite")
    assert ended.next_steps[0].startswith("not from onsite: ")


def test_restore_that_fails_says_why_of_each_repository_and_leaves_nothing(scene: Scene) -> None:
    before = sorted(scene.restored.iterdir())
    with _gone(scene.site.repository):
        scene.offsite.rename(scene.offsite.with_name("gone-too"))
        try:
            ended, _ = scene.restore()
        finally:
            scene.offsite.with_name("gone-too").rename(scene.offsite)

    assert (ended.result, ended.place) == (Result.FAILED, "")
    assert "onsite" in ended.reason
    assert "offsite" in ended.reason
    assert sorted(scene.restored.iterdir()) == before


def test_tell_sends_one_mail_and_the_same_id_if_it_is_ever_sent_twice(scene: Scene) -> None:
    manager = Contact(role="manager", email="max@example.org")

    scene.tools.tell(manager, "Down", "We work on paper.")
    scene.tools.tell(manager, "Down", "We work on paper.")

    first, second = scene.mail.mails
    assert first.to == ["max@example.org"]
    assert (first.subject, first.text) == ("Down", "We work on paper.\n")
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_tell_says_that_nobody_was_told(scene: Scene) -> None:
    scene.mail.refuses.add("max@example.org")

    with pytest.raises(NotDelivered, match="refuses this address"):
        scene.tools.tell(Contact(role="manager", email="max@example.org"), "Down", "…")
    with pytest.raises(NotDelivered, match="no e-mail address"):
        scene.tools.tell(Contact(role="manager"), "Down", "…")


def test_run_command_starts_in_an_empty_folder_and_ends_in_time(scene: Scene) -> None:
    looked = scene.tools.run_command(("sh", "-c", "ls -A; echo done >&2"), timedelta(seconds=20))
    late = scene.tools.run_command(("sleep", "60"), timedelta(seconds=0.1))
    own = scene.tools.run_command(("dro", "--version"), timedelta(seconds=60))

    assert (looked.exit_code, looked.output) == (0, ("done",))
    assert (late.exit_code, late.output) == (None, ())
    assert "did not end" in late.reason
    assert own.exit_code == 0
    assert own.output[0].startswith("dro ")
