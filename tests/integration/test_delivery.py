"""Reports that are made and brought to a folder, a bucket and a contact, on servers of loopback."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.core.letter import Letter
from dr_orchestrator.core.occurrence import AFTER_TEST, Serves
from dr_orchestrator.core.record import (
    PointRecorded,
    ReportDelivered,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.load import LoadedPlan
from dr_orchestrator.plan.model import Contact
from dr_orchestrator.report.deliver import Delivered, DeliveryTools, deliver_reports
from dr_orchestrator.report.gather import said
from dr_orchestrator.schedule.inline import InlineDispatcher
from dr_orchestrator.schedule.log import scheduler_log
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.schedule.worker import InProcessWorker
from dr_orchestrator.settings import load_settings
from dr_orchestrator.unattended import Unattended
from tests.support.clock import FakeClock
from tests.support.evidence import make_point, make_run, make_test
from tests.support.s3 import BUCKET, PROFILE, S3, s3_server
from tests.support.sinks import MailSink, mail_sink

NOW = datetime.fromisoformat("2026-11-22T10:00:00+00:00")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PLAN = """\
version: 1
practice: {{id: riverside, name: Riverside Family Practice, timezone: America/Chicago}}
contacts:
  manager: {{role: practice manager, email: manager@riverside.example}}
repositories:
  onsite: {{location: {folder}/repository, password: {{file: /etc/dro/key}}}}
systems:
  emr:
    title: Electronic medical record
    rto: 4h
    rpo: 2h
    assets:
      database: {{kind: sqlite, path: {folder}/emr.db}}
      documents: {{kind: files, path: {folder}/documents, marker: here}}
report:
  schedule: "Mon 07:00"
  folder: {folder}/reports
  s3: {{to: "s3://{bucket}/reports", aws_profile: {profile}, endpoint: {endpoint}}}
  mail: [manager]
  readers: [manager, engineer]
"""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket(BUCKET)
        yield server


@dataclass
class Desk:
    """A machine with a plan, a record and a mail server."""

    folder: Path
    app: App
    clock: FakeClock
    sink: MailSink

    @property
    def loaded(self) -> LoadedPlan:
        return self.app.plans()[0]

    def only_for_the_manager(self) -> None:
        file = self.folder / "plans" / "riverside.yaml"
        file.write_text(file.read_text().replace("[manager, engineer]", "[manager]"))

    def tested(self, result: Result = Result.PASSED) -> None:
        """Record a restore test that ends now, and its run."""
        now = self.clock.now()
        run = make_run(
            now - MINUTE,
            operation=Operation.RESTORE_TEST,
            system="emr",
            repository="onsite",
            practice="riverside",
        )
        point = make_point(now - HOUR)
        self.app.store.record(
            RunOpened(run=run),
            PointRecorded(point=point),
            RestoreTestRecorded(
                test=make_test(now - MINUTE, result, id=run.id, point=point.id, finished_at=now)
            ),
            RunClosed(run=run.id, finished_at=now, outcome=Outcome.DONE, reason=""),
        )

    def deliver(
        self,
        *,
        send: Callable[[Contact, Letter], None] | None = None,
        serves: Serves | None = None,
    ) -> Delivered:
        """Deliver without the PDF, as a machine that has no WeasyPrint does."""
        tools = DeliveryTools(
            store=self.app.store,
            clock=self.clock,
            subject=self.app.subject,
            send=send or self.app.send,
            lock_wait=timedelta(seconds=1),
            make_pdf=lambda _html, _made: None,
        )
        return deliver_reports(self.loaded, tools, serves=serves)

    def deliveries(self) -> tuple[ReportDelivered, ...]:
        return said(self.app.store.evidence, "riverside", ReportDelivered, NOW - MINUTE)

    def round(self) -> int:
        """Do once what a scheduler does after a test; return how many reports were made by then."""
        unattended = Unattended(self.app)
        log = scheduler_log(sys.stderr, self.clock)
        worker = InProcessWorker(
            self.app.store.ledger,
            unattended.carry_out,
            clock=self.clock,
            give_up=lambda _occurrence: None,
            renew_every=MINUTE,
        )
        dispatcher = InlineDispatcher(self.app.store.ledger, worker, slots=1)
        planning = unattended.planning(dispatcher, Troubles(self.clock, log), log)
        planning.tick()
        (chore,) = (
            each for each in unattended.chores(planning) if each.name.endswith("tests to report")
        )
        chore.do()
        history = self.app.store.runs(["riverside"], since=NOW - MINUTE, limit=100)
        return sum(1 for each in history.closed if each.operation is Operation.REPORT)


@pytest.fixture
def desk(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "plans").mkdir()
    plan = PLAN.format(folder=tmp_path, bucket=BUCKET, profile=PROFILE, endpoint=s3.endpoint)
    (tmp_path / "plans" / "riverside.yaml").write_text(plan)
    clock = FakeClock(NOW)
    with mail_sink() as sink, contextlib.ExitStack() as closing:
        settings = {each: str(tmp_path / each) for each in ("plans", "state", "cache")}
        mail = {
            "host": "127.0.0.1",
            "port": sink.port,
            "encryption": "none",
            "from": "dro@msp.example",
        }
        (tmp_path / "dro.yaml").write_text(json.dumps({**settings, "mail": mail}))
        monkeypatch.setenv("DRO_SETTINGS", str(tmp_path / "dro.yaml"))
        app = closing.enter_context(contextlib.closing(App(load_settings(), clock)))
        yield Desk(tmp_path, app, clock, sink)


def names_in(s3: S3) -> dict[str, bytes]:
    client = s3.client()
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix="reports/riverside/")["Contents"]
    return {
        each["Key"].removeprefix("reports/riverside/"): client.get_object(
            Bucket=BUCKET, Key=each["Key"]
        )["Body"].read()
        for each in listed
    }


def test_reports_go_to_the_folder_the_bucket_and_the_contact(desk: Desk, s3: S3) -> None:
    desk.tested()
    delivered = desk.app.deliver_reports(desk.loaded, serves=None)
    assert (delivered.outcome, delivered.reason) == (Outcome.DONE, "")
    files = {each.name: each.read_bytes() for each in (desk.folder / "reports").iterdir()}
    names = {"riverside.html", "riverside.pdf"}
    names |= {"riverside.engineer.html", "riverside.engineer.pdf"}
    assert set(files) == names
    assert names_in(s3) == files
    (mail,) = desk.sink.mails
    assert mail.to == ["manager@riverside.example"]
    attached = {each.get_filename(): each for each in mail.message.iter_attachments()}
    assert set(attached) == {"riverside.pdf", "riverside.engineer.pdf"}
    assert attached["riverside.pdf"].get_content() == files["riverside.pdf"]
    assert attached["riverside.pdf"].get_content_type() == "application/pdf"


def test_mail_says_the_verdict_and_how_to_sign(desk: Desk) -> None:
    desk.tested()
    desk.deliver()
    (mail,) = desk.sink.mails
    body = mail.message.get_body()
    assert body is not None
    text = body.get_content()
    head = desk.app.store.evidence.lines("riverside")
    assert mail.subject.startswith("Riverside Family Practice: backup report, ")
    assert "made on 22 November 2026, 04:00" in text
    code = text.split("code of this report is ")[1][:12]
    assert f"I have read this page and accept what it promises. {code}" in text
    assert code in (desk.folder / "reports" / "riverside.html").read_text()
    assert any(hash_begins(line, code) for line in head)
    assert "can make no PDF" in text
    attached = [each.get_filename() for each in mail.message.iter_attachments()]
    assert attached == ["riverside.html", "riverside.engineer.html"]


def hash_begins(line: str, code: str) -> bool:
    from dr_orchestrator.evidence.line import hash_of

    return hash_of(line).startswith(code)


def test_each_delivery_is_evidence_of_what_went_where(desk: Desk) -> None:
    import hashlib

    desk.tested()
    desk.deliver()
    found = {(each.report, each.place): each for each in desk.deliveries()}
    page = desk.folder / "reports" / "riverside.html"
    on_disk = hashlib.sha256(page.read_bytes()).hexdigest()
    assert {place for reader, place in found if reader == "manager"} == {
        str(page),
        f"s3://{BUCKET}/reports/riverside/riverside.html",
        "the mailbox of manager",
    }
    assert {each.sha256 for each in found.values() if each.report == "manager"} == {on_disk}
    assert all(each.reason == "" for each in found.values())
    assert len({each.says for each in found.values()}) == 1


def test_place_that_fails_keeps_the_others_from_nothing(desk: Desk) -> None:
    desk.sink.refuses.add("manager@riverside.example")
    serves = Serves(schedule_id="riverside/report/0123", due_at=NOW, attempt=1)
    delivered = desk.deliver(serves=serves)
    assert delivered.outcome is Outcome.PARTIAL
    assert delivered.reason == "the mailbox of manager: the mail server refuses this address"
    desk.sink.refuses.clear()
    page = desk.folder / "reports" / "riverside.html"
    page.unlink()
    desk.clock.advance(MINUTE)
    delivered = desk.deliver(serves=replace(serves, attempt=2))
    assert (delivered.outcome, len(desk.sink.mails)) == (Outcome.DONE, 1)
    assert not page.exists(), "what an attempt brought, the next one does not bring again"


def test_attempt_after_a_crash_sends_no_mail_twice(desk: Desk) -> None:
    serves = Serves(schedule_id="riverside/report/0123", due_at=NOW, attempt=1)
    sent: list[str] = []

    def killed_then(contact: Contact, letter: Letter) -> None:
        if not sent:
            sent.append("killed")
            raise KeyboardInterrupt
        desk.app.send(contact, letter)

    with pytest.raises(KeyboardInterrupt):
        desk.deliver(send=killed_then, serves=serves)
    assert len(desk.deliveries()) == 4
    desk.deliver(send=killed_then, serves=replace(serves, attempt=2))
    desk.deliver(send=killed_then, serves=replace(serves, attempt=3))
    assert len(desk.sink.mails) == 1
    assert len(desk.deliveries()) == 6


def test_round_after_a_restore_test_makes_the_reports_once(desk: Desk) -> None:
    desk.only_for_the_manager()
    assert desk.round() == 0
    desk.tested()
    assert [desk.round() for _ in range(3)] == [1, 1, 1]
    page = (desk.folder / "reports" / "riverside.html").read_bytes()
    desk.clock.advance(HOUR)
    desk.tested()
    assert desk.round() == 2
    assert (desk.folder / "reports" / "riverside.html").read_bytes() != page
    (came,) = desk.app.store.occurrences(since=desk.clock.now() - MINUTE, limit=1)
    assert came.occurrence.schedule_id.endswith(f"/{AFTER_TEST}")
    assert came.outcome is Outcome.DONE


def test_mail_goes_out_after_a_test_only_where_what_is_proven_changed(desk: Desk) -> None:
    results = (Result.PASSED, Result.PASSED, Result.FAILED, Result.FAILED, Result.PASSED)
    mails = []
    for number, result in enumerate(results):
        desk.clock.advance(HOUR)
        desk.tested(result)
        serves = Serves(
            schedule_id=f"riverside/report/{AFTER_TEST}",
            due_at=NOW + number * MINUTE,
            attempt=1,
        )
        desk.deliver(serves=serves)
        mails.append(len(desk.sink.mails))
    assert mails == [1, 1, 2, 2, 3]
    desk.deliver()
    assert len(desk.sink.mails) == 4, "on schedule it goes out whatever it says"


def test_mail_that_failed_is_sent_after_the_next_test(desk: Desk) -> None:
    after_test = Serves(schedule_id=f"riverside/report/{AFTER_TEST}", due_at=NOW, attempt=1)
    desk.tested()
    desk.sink.refuses.add("manager@riverside.example")
    desk.deliver()
    desk.sink.refuses.clear()
    desk.clock.advance(HOUR)
    desk.tested()
    desk.deliver(serves=after_test)
    assert len(desk.sink.mails) == 1
