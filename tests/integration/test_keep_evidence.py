"""Evidence leaves the machine: into a real restic repository, a mailbox, a bucket that locks."""

from __future__ import annotations

import json
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.core.letter import Letter
from dr_orchestrator.core.record import RepositorySeen, SystemPaused
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import Busy, EvidenceConflict, RepositoryUnreachable, UsageMistake
from dr_orchestrator.evidence.bundle import lines_in
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.signing import fingerprint
from dr_orchestrator.maintenance.evidence_key import signing
from dr_orchestrator.maintenance.evidence_tools import EvidenceTools, anchored_on_record
from dr_orchestrator.maintenance.export_evidence import ExportRequest, export_evidence
from dr_orchestrator.maintenance.forget import forget
from dr_orchestrator.maintenance.keep_evidence import (
    EvidenceRequest,
    KeptEvidence,
    keep_evidence,
)
from dr_orchestrator.maintenance.look import look_into
from dr_orchestrator.maintenance.tools import MaintenanceTools
from dr_orchestrator.maintenance.verify_evidence import EvidenceVerified, look_at_evidence
from dr_orchestrator.notify.deliver import Post, deliver_by_mail
from dr_orchestrator.notify.message import Message
from dr_orchestrator.plan.model import AnchorSpec, BucketPlace, Contact, EvidenceSpec, Plan
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.repositories.base import Repository
from dr_orchestrator.repositories.evidence import evidence_in, read_evidence
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.restore.rebuild import rebuild_points
from dr_orchestrator.schedule.occurrence import occurrences
from dr_orchestrator.settings import MailServer
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import repository_key
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE
from tests.support.keeper import Keeper, new_keeper
from tests.support.s3 import PROFILE, S3, s3_server
from tests.support.sinks import MailSink, mail_sink

DAY = timedelta(days=1)
MANAGER = Contact(role="practice manager", email="manager@riverside.example")


@pytest.fixture(scope="module")
def sink() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket("vault", lock=True)
        server.make_bucket("shelf")
        yield server


@dataclass
class Site:
    """A machine that keeps evidence: a state folder, and the repository `onsite`."""

    keeper: Keeper
    sink: MailSink
    anchor: AnchorSpec = field(default_factory=AnchorSpec.model_construct)
    has_mail: bool = True
    append_only: bool = False
    _opened: ResticRepository | None = None

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.keeper.folder / "state")

    @property
    def plan(self) -> Plan:
        return self.keeper.plan.model_copy(
            update={
                "contacts": {"manager": MANAGER},
                "evidence": EvidenceSpec.model_construct(anchor=self.anchor),
            }
        )

    @property
    def tools(self) -> EvidenceTools:
        return EvidenceTools(
            store=self.keeper.store,
            clock=self.keeper.clock,
            signer=self.state.evidence_signer,
            open_repository=lambda _plan, _name: self.repository(),
            send=self._send,
            has_mail=self.has_mail,
            last_due=self._last_due,
            scratch=self.keeper.folder,
            lock_wait=timedelta(0),
        )

    @property
    def maintenance(self) -> MaintenanceTools:
        return replace(self.keeper.tools, open_repository=lambda _plan, _name: self.repository())

    def repository(self) -> Repository:
        if self._opened is not None and not self.append_only:
            return self._opened
        opened = ResticRepository(
            "onsite",
            str(self.keeper.place),
            Secret(self.keeper.raw.password),
            launcher=self.keeper.launcher,
            clock=self.keeper.clock,
            cache=self.keeper.folder / "cache",
            tmp=self.keeper.folder / "tmp",
            hostname=PRACTICE,
            lock_wait=timedelta(0),
            append_only=self.append_only,
        )
        self._opened = None if self.append_only else opened
        return opened

    def keep(self, *, anchor_now: bool = False) -> KeptEvidence:
        request = EvidenceRequest(plan=self.plan, anchor_now=anchor_now)
        return keep_evidence(request, self.tools)

    def verified(self, *repositories: str) -> EvidenceVerified:
        found = look_at_evidence(self.plan, self.tools, repositories=repositories)
        assert found is not None
        return found

    def happens(self) -> None:
        at = self.keeper.clock.now()
        pause = SystemPaused(practice=PRACTICE, system="", at=at, until=at, by="kim", why="move")
        self.keeper.store.record(pause)

    def cut_after(self, number: int) -> None:
        """Cut the end off, out of the record too, as somebody who owns the machine can."""
        with sqlite3.connect(self.state.path / FILE_NAME) as file:
            for each in ("evidence_no_delete", "journal_no_delete"):
                file.execute(f"drop trigger {each}")
            file.execute("delete from evidence where number > ?", (number,))
            file.execute("delete from journal")

    @property
    def mails(self) -> list[str]:
        return [each.subject for each in self.sink.mails]

    def _send(self, contact: Contact, letter: Letter) -> None:
        server = MailServer(
            host="127.0.0.1", port=self.sink.port, encryption="none", **{"from": "dro@msp.example"}
        )
        message = Message(id="1", subject=letter.subject, text=letter.text, facts={})
        post = Post(mail=server, read_secret=lambda _reference: Secret(""))
        deliver_by_mail(message, contact.email or "", post, self.keeper.clock.now())

    def _last_due(self, schedule: Schedule, zone: tzinfo) -> datetime | None:
        now = self.keeper.clock.now()
        return max(occurrences(schedule, zone, now - 8 * DAY, now), default=None)


@pytest.fixture
def site(sink: MailSink) -> Iterator[Site]:
    sink.mails.clear()
    sink.refuses.clear()
    with new_keeper() as keeper:
        yield Site(keeper, sink)


@contextmanager
def responder_of(site: Site) -> Iterator[Site]:
    """Make a laptop that follows a runbook of the same practice, out of the same repository."""
    folder = site.keeper.folder / "laptop"
    folder.mkdir()
    (folder / "repository").symlink_to(site.keeper.place)
    with open_store(folder / "state", site.keeper.clock) as store:
        laptop = Site(replace(site.keeper, folder=folder, store=store), site.sink)
        laptop.has_mail = False
        restic_id = site.repository().identity()
        store.record(
            RepositorySeen(practice=PRACTICE, repository="onsite", restic_id=restic_id, at=NOW)
        )
        yield laptop


def bucket_of(s3: S3, name: str) -> BucketPlace:
    return BucketPlace(to=f"s3://{name}/dr/", aws_profile=PROFILE, endpoint=s3.endpoint)


def objects(s3: S3, bucket: str) -> dict[str, bytes]:
    client = s3.client()
    listed = client.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {
        each["Key"]: client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        for each in listed
    }


def test_all_of_it_is_in_the_repository_and_its_head_in_a_mailbox(site: Site) -> None:
    site.happens()
    kept = site.keep()

    assert (kept.outcome, kept.reason) == (Outcome.DONE, "")
    assert kept.places == ("the repository onsite", "the mailbox of manager")
    assert kept.head is not None
    (mail,) = site.sink.mails
    assert f"dro evidence verify riverside --expect {kept.head.hash}" in mail.text
    assert fingerprint(kept.head.key) in mail.text
    ((chain, lines),) = read_evidence(site.repository(), PRACTICE).items()
    assert (chain, len(lines)) == (kept.head.chain, kept.head.number)
    assert verify(lines, expect={kept.head.hash}).is_sound
    assert [each.place for each in anchored_on_record(site.keeper.store, PRACTICE)] == list(
        kept.places
    )
    assert site.keeper.last_run(Operation.EVIDENCE).outcome is Outcome.DONE
    assert site.verified("onsite").matched == 1


def test_head_is_mailed_once_a_week_and_saved_each_time(site: Site) -> None:
    for days, mails in ((1, 1), (4, 1), (1, 2), (0, 2)):
        assert site.keep().outcome is Outcome.DONE
        assert len(site.mails) == mails
        site.keeper.clock.advance(days * DAY)  # from a Wednesday on; due on Monday at 06:00
    assert len(evidence_in(site.repository(), PRACTICE)) == 4
    assert site.keep(anchor_now=True).places[-1] == "the mailbox of manager"
    assert site.verified("onsite").matched == 5


def test_place_that_fails_keeps_nothing_from_the_others_and_is_tried_again(site: Site) -> None:
    site.sink.refuses.add("manager@riverside.example")
    kept = site.keep()
    assert (kept.outcome, kept.places) == (Outcome.PARTIAL, ("the repository onsite",))
    assert kept.reason.startswith("the mailbox of manager: ")
    *_, last = anchored_on_record(site.keeper.store, PRACTICE)
    assert (last.place, last.reason != "") == ("the mailbox of manager", True)

    site.sink.refuses.clear()
    assert site.keep().places == ("the repository onsite", "the mailbox of manager")

    shutil.move(site.keeper.place, site.keeper.folder / "away")
    kept = site.keep()
    assert (kept.outcome, kept.places) == (Outcome.FAILED, ())


def test_nothing_is_mailed_nor_made_where_nobody_asked_for_it(site: Site) -> None:
    site.has_mail = False
    kept = site.keep()
    assert (kept.outcome, kept.places) == (Outcome.DONE, ("the repository onsite",))
    with open_store(site.keeper.folder / "new", site.keeper.clock) as store:
        new = Site(replace(site.keeper, store=store), site.sink, has_mail=False)
        new.tools.store.record()
        site_state = site.keeper.folder / "new"
        tools = replace(new.tools, signer=StateFolder(site_state).evidence_signer)
        kept = keep_evidence(EvidenceRequest(plan=new.plan), tools)
    assert (kept.outcome, kept.places, site.mails) == (Outcome.DONE, (), [])


def test_whoever_works_in_the_repository_alone_is_waited_for(site: Site) -> None:
    site.has_mail = False
    key = repository_key(site.repository().identity())
    locks = site.keeper.store.locks
    with (
        locks.hold({key}, exclusive=True, wait=timedelta(0), what="prune"),
        pytest.raises(Busy),
    ):
        site.keep()
    with signing(site.keeper.store, PRACTICE, wait=timedelta(0)), pytest.raises(Busy):
        site.keep()
    assert anchored_on_record(site.keeper.store, PRACTICE) == ()


def test_bucket_that_locks_keeps_the_signed_head_for_six_years(site: Site, s3: S3) -> None:
    site.anchor = AnchorSpec(mail=(), s3=bucket_of(s3, "vault"))
    kept = site.keep()
    assert kept.head is not None
    place = "s3://vault/dr/riverside/evidence/"
    assert (kept.places, kept.notes) == (("the repository onsite", place), ())
    ((key, content),) = objects(s3, "vault").items()
    assert key == f"dr/riverside/evidence/{kept.head.number}-{kept.head.hash[:12]}.json"
    assert sha256(content).hexdigest() == kept.head.hash
    assert json.loads(content)["kind"] == "checkpoint"
    lock = s3.client().head_object(Bucket="vault", Key=key)
    assert lock["ObjectLockMode"] == "COMPLIANCE"
    assert lock["ObjectLockRetainUntilDate"] == NOW + timedelta(days=6 * 365 + 2)

    assert site.verified().matched == 1
    nothing = b64encode(md5(b"", usedforsecurity=False).digest()).decode()
    forged = f"dr/riverside/evidence/7-{'0' * 12}.json"
    s3.client().put_object(Bucket="vault", Key=forged, Body=b"", ContentMD5=nothing)
    found = site.verified()
    assert (found.is_sound, "somebody else put it there" in found.notes[0]) == (True, True)
    site.cut_after(2)
    assert any(f"{place} keeps entry {kept.head.number}" in each for each in site.verified().faults)


def test_bucket_that_does_not_lock_takes_it_and_that_is_said(site: Site, s3: S3) -> None:
    site.anchor = AnchorSpec(mail=(), s3=bucket_of(s3, "shelf"))
    kept = site.keep()
    assert (kept.outcome, len(objects(s3, "shelf"))) == (Outcome.DONE, 1)
    assert "does not lock it" in kept.notes[0]
    assert "does not lock it" in site.keeper.last_run(Operation.EVIDENCE).reason

    site.anchor = AnchorSpec(mail=(), s3=bucket_of(s3, "nowhere"))
    assert site.keep().outcome is Outcome.PARTIAL
    assert "not looked into" in site.verified().notes[0]


def test_cut_tail_is_found_by_the_copies_in_a_repository_the_next_night(site: Site) -> None:
    first, second = site.keep(), site.keep()
    assert first.head is not None
    assert second.head is not None
    site.cut_after(first.head.number)
    site.happens()

    kept = site.keep()
    assert (kept.outcome, kept.places) == (Outcome.FAILED, ())
    assert kept.reason.startswith("the evidence is not as it was written: ")
    (fault,) = (each for each in site.verified("onsite").faults if "cut off, or replaced" in each)
    assert fault.startswith(f"the repository onsite keeps entry {second.head.number} with the hash")
    assert len(evidence_in(site.repository(), PRACTICE)) == 2


def test_copies_are_no_strangers_and_old_ones_go(site: Site) -> None:
    points = [site.keeper.back_up(NOW - age * DAY) for age in (1, 0)]
    site.has_mail = False
    for day in (0, 7, 14, 21, 60, 77):
        site.keeper.clock.set(NOW + day * DAY)
        site.keep()
    surveyed = look_into(site.keeper.request, site.maintenance).survey
    assert (surveyed.strangers, surveyed.doubts) == ((), ())

    site.append_only = True
    refused = forget(site.keeper.request, site.maintenance)
    assert (refused.outcome, refused.evidence) == (Outcome.DONE, 0)
    site.append_only = False
    done = forget(site.keeper.request, site.maintenance)
    assert (done.outcome, done.evidence, done.forgotten) == (Outcome.DONE, 2, ())
    # 35 days before 3 February, and the newest of November and of December
    left = [each.snapshot.time for each in evidence_in(site.repository(), PRACTICE)]
    assert left == [NOW + day * DAY for day in (7, 21, 60, 77)]
    assert site.keeper.on_record() == set(points)
    assert site.verified("onsite").matched == 4

    with open_store(site.keeper.folder / "fresh", site.keeper.clock) as store:
        rebuilt = rebuild_points(
            site.plan,
            "onsite",
            store=store,
            clock=site.keeper.clock,
            open_repository=lambda _plan, _name: site.repository(),
        )
    assert {each.id for each in rebuilt.points} == set(points)


def exported(site: Site, out: Path, **more: Any) -> tuple[int, list[bytes]]:
    request = ExportRequest(plan=site.plan, out=out, **more)
    done = export_evidence(request, site.tools)
    return done.taken_in, list(lines_in(out))


def test_two_memories_of_one_practice_are_merged_without_a_false_alarm(
    site: Site, tmp_path: Path
) -> None:
    site.keep()
    with responder_of(site) as laptop:
        laptop.happens()
        theirs = laptop.keep()
        assert theirs.head is not None
        key = fingerprint(theirs.head.key)
        (note,) = site.keep().notes
        assert f"a chain that is not known here: {theirs.head.chain}" in note

        with pytest.raises(UsageMistake, match="not known here") as refused:
            exported(site, tmp_path / "all.zip", repositories=("onsite",))
        assert key in refused.value.hint
        taken, lines = exported(site, tmp_path / "all.zip", repositories=("onsite",), keys=(key,))
        assert taken == theirs.head.number
        own = fingerprint(site.state.evidence_signer().public)
        assert verify(lines, fingerprints={own, key}, expect={theirs.head.hash}).is_sound
        assert (site.keep().notes, site.verified("onsite").notes) == ((), ())

        _, from_laptop = exported(laptop, tmp_path / "laptop.zip")
        taken, _ = exported(site, tmp_path / "all.zip", files=(tmp_path / "laptop.zip",))
        assert taken == len(from_laptop) - theirs.head.number
        assert laptop.keep().outcome is site.keep().outcome is Outcome.DONE


def test_what_was_altered_is_not_taken_in(site: Site, tmp_path: Path) -> None:
    site.happens()
    _, lines = exported(site, tmp_path / "ours.zip")
    with responder_of(site) as laptop:
        laptop.happens()
        _, theirs = exported(laptop, tmp_path / "laptop.zip")
        altered = tmp_path / "altered.jsonl"
        altered.write_bytes(b"".join(theirs).replace(b"move", b"mope"))
        with pytest.raises(EvidenceConflict, match="not as it was written"):
            exported(site, tmp_path / "all.zip", files=(altered,))

    site.happens()
    exported(site, tmp_path / "longer.zip")
    site.cut_after(len(lines))
    with pytest.raises(EvidenceConflict, match="our own chain with an end that is not here"):
        exported(site, tmp_path / "all.zip", files=(tmp_path / "longer.zip",))
    assert not (tmp_path / "all.zip").exists()


def test_repository_that_cannot_be_reached_is_told_of_its_own(site: Site) -> None:
    def unreachable(_plan: Plan, _name: str) -> Repository:
        raise RepositoryUnreachable("the repository onsite could not be reached")

    kept = keep_evidence(
        EvidenceRequest(plan=site.plan), replace(site.tools, open_repository=unreachable)
    )
    assert (kept.outcome, kept.places) == (Outcome.PARTIAL, ("the mailbox of manager",))
    assert kept.reason == "the repository onsite could not be reached"
