"""Kits that are made and brought to a folder, a bucket and a contact, on servers of loopback."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.letter import Letter
from dr_orchestrator.core.record import PointRecorded, RestoreTestRecorded
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import (
    RepositoryUnreachable,
    SettingsInvalid,
    StorageUnusable,
)
from dr_orchestrator.notify.deliver import Post, deliver_by_mail
from dr_orchestrator.notify.message import Message
from dr_orchestrator.plan.load import LoadedPlan
from dr_orchestrator.plan.model import Contact, Plan
from dr_orchestrator.repositories.base import Repository
from dr_orchestrator.runbook.kit.given import inputs_of
from dr_orchestrator.runbook.kit.look import look_at_kit
from dr_orchestrator.runbook.kit.make import (
    KitRequest,
    KitTools,
    MadeKit,
    kit_due,
    make_kit,
    read_programs,
)
from dr_orchestrator.runbook.kit.standing import KitState
from dr_orchestrator.runbook.shelf import shelf_of
from dr_orchestrator.settings import KitProgram, MailServer
from dr_orchestrator.store.base import DEFAULT_LIMITS, Store
from tests.support.clock import FakeClock
from tests.support.evidence import make_test
from tests.support.kits import MADE, PLAN, POINT, no_paper, plan_of, read_all
from tests.support.s3 import BUCKET, PROFILE, S3, s3_server
from tests.support.sinks import MailSink, mail_sink
from tests.support.stores import sqlite


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket(BUCKET)
        yield server


@dataclass
class Desk:
    """A machine whose repositories never answer."""

    folder: Path
    clock: FakeClock
    store: Store
    sink: MailSink
    endpoint: str
    programs: tuple[KitProgram, ...] = ()

    def plan(self, more: str = "", folder: str = "kits") -> LoadedPlan:
        (self.folder / "kits").mkdir(exist_ok=True)
        kit = (
            f"kit: {{folder: {self.folder}/{folder}, mail: [manager], "
            f"s3: {{to: 's3://{BUCKET}/dr', aws_profile: {PROFILE}, endpoint: {self.endpoint}}}}}"
        )
        return plan_of(f"{PLAN.rpartition('kit:')[0]}{kit}\n{more}")

    def make(self, loaded: LoadedPlan, out: Path | None = None) -> MadeKit:
        tools = KitTools(
            store=self.store,
            clock=self.clock,
            open_repository=self._unreachable,
            programs=self.programs,
            send=self._send,
            lock_wait=timedelta(seconds=1),
            make_paper=no_paper,
        )
        return make_kit(KitRequest(loaded=loaded, out=out), tools)

    def _unreachable(self, _plan: Plan, name: str) -> Repository:
        raise RepositoryUnreachable(f"the repository {name} could not be reached")

    def _send(self, contact: Contact, mail: Letter) -> None:
        message = Message(
            id="1", subject=mail.subject, text=mail.text, facts={}, attachments=mail.attachments
        )
        server = MailServer(
            host="127.0.0.1",
            port=self.sink.port,
            encryption="none",
            **{"from": "dro@msp.example"},
        )
        post = Post(mail=server, read_secret=_no_secret)
        deliver_by_mail(message, contact.email or "", post, self.clock.now())


def _no_secret(_reference: object) -> Secret:
    raise AssertionError("a kit takes no secret")


def other_bucket(desk: Desk) -> LoadedPlan:
    loaded = desk.plan()
    kit = loaded.plan.kit
    assert kit is not None
    assert kit.s3 is not None
    s3 = kit.s3.model_copy(update={"to": "s3://none/dr"})
    changed = loaded.plan.model_copy(update={"kit": kit.model_copy(update={"s3": s3})})
    return replace(loaded, plan=changed)


@pytest.fixture
def desk(tmp_path: Path, s3: S3) -> Iterator[Desk]:
    clock = FakeClock(MADE)
    (tmp_path / "state").mkdir()
    store = sqlite(tmp_path / "state", clock, DEFAULT_LIMITS)
    with mail_sink() as sink:
        yield Desk(tmp_path, clock, store, sink, s3.endpoint)
    store.close()


def test_kit_goes_to_the_folder_the_bucket_and_the_contact(desk: Desk, s3: S3) -> None:
    desk.store.record(
        PointRecorded(point=POINT),
        RestoreTestRecorded(test=make_test(MADE, point=POINT.id)),
    )
    loaded = desk.plan()
    made = desk.make(loaded)
    assert (made.outcome, made.reason) == (Outcome.DONE, "")
    assert made.unread == {
        name: f"the repository {name} could not be reached" for name in ("onsite", "offsite")
    }
    files = read_all(desk.folder / "kits" / "riverside")
    assert POINT.copies[0].snapshots["database"].encode() in files["kit.json"]
    pages = s3.client().list_objects_v2(Bucket=BUCKET, Prefix="dr/riverside/")
    assert {each["Key"].removeprefix("dr/riverside/") for each in pages["Contents"]} == set(files)
    (mail,) = desk.sink.mails
    (attached,) = mail.message.iter_attachments()
    with zipfile.ZipFile(io.BytesIO(attached.get_content())) as archive:
        assert archive.read("riverside/kit.json") == files["kit.json"]
    place = f"s3://{BUCKET}/dr"
    for where in (str(desk.folder / "kits"), place):
        assert look_at_kit(loaded, where, MADE).state is KitState.CURRENT
    s3.client().put_object(Bucket=BUCKET, Key="dr/riverside/kit.json", Body=b"{}")
    assert look_at_kit(loaded, place, MADE).reasons == ("changed: kit.json",)


def test_kit_is_due_until_it_was_made_of_what_there_is_now(desk: Desk) -> None:
    loaded = desk.plan()
    assert kit_due(loaded, desk.store)
    desk.make(loaded)
    assert not kit_due(loaded, desk.store)
    edited = desk.plan("# edited\n")
    assert kit_due(edited, desk.store) == inputs_of(edited, shelf_of(edited).runbooks)
    assert not kit_due(plan_of(PLAN.rpartition("kit:")[0]), desk.store)


def test_kit_is_mailed_again_once_it_changed_or_nears_its_end(desk: Desk) -> None:
    for _ in range(2):
        desk.make(desk.plan())
        desk.clock.advance(timedelta(hours=1))
    assert len(desk.sink.mails) == 1
    desk.make(desk.plan("# edited\n"))
    assert len(desk.sink.mails) == 2
    desk.clock.advance(timedelta(days=30))
    desk.make(desk.plan("# edited\n"))
    assert len(desk.sink.mails) == 3


def test_place_that_fails_keeps_no_other_from_its_kit_and_gets_it_later(desk: Desk) -> None:
    loaded = desk.plan(folder="mnt")
    made = desk.make(loaded)
    assert made.outcome is Outcome.PARTIAL
    assert made.reason.startswith(f"the kit {desk.folder}/mnt/riverside cannot be written")
    assert len(made.places) == 2
    assert kit_due(loaded, desk.store)
    (desk.folder / "mnt").mkdir()
    assert desk.make(loaded).outcome is Outcome.DONE
    assert not kit_due(loaded, desk.store)
    assert len(desk.sink.mails) == 1


def test_kit_to_a_folder_of_the_command_line_goes_nowhere_else(desk: Desk) -> None:
    loaded = desk.plan()
    (desk.folder / "usb").mkdir()
    made = desk.make(loaded, out=desk.folder / "usb")
    assert made.places == (str(desk.folder / "usb" / "riverside"),)
    assert desk.sink.mails == []
    assert kit_due(loaded, desk.store)


def test_bucket_that_is_not_there_is_said(desk: Desk) -> None:
    with pytest.raises(StorageUnusable, match="NoSuchBucket"):
        look_at_kit(other_bucket(desk), "s3://none/dr", MADE)


def test_program_goes_into_the_kit_only_as_the_settings_describe_it(desk: Desk) -> None:
    file = desk.folder / "restic.exe"
    file.write_bytes(b"MZ")
    good = KitProgram(name="restic.exe", file=file, sha256=hashlib.sha256(b"MZ").hexdigest())
    assert read_programs((good,)) == {"restic.exe": b"MZ"}
    file.write_bytes(b"MZ and a virus")
    desk.programs = (good,)
    with pytest.raises(SettingsInvalid, match="is not the program the settings say"):
        desk.make(desk.plan())
    assert list((desk.folder / "kits").iterdir()) == []
