"""Object locks that are renewed, in a bucket with a real restic's repository in it.

moto knows the true time only: where time is to have passed, our clock is put forward.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.cli import repository as repository_command
from dr_orchestrator.cli.main import Context
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.immutability import LocksExtended
from dr_orchestrator.core.record import PointRecorded, RepositorySeen
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import RepositoryDamaged, UsageMistake
from dr_orchestrator.maintenance.extend import ExtendResult, extend_locks
from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
from dr_orchestrator.plan.model import ObjectLock, Plan
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repositories.owner import Installation
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.repositories.s3_place import S3Place, s3_location
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, make_plan, make_point
from tests.support.quick_repository import put_quick_repository
from tests.support.restic import PASSWORD, PATH
from tests.support.s3 import PROFILE, S3, s3_server
from tests.support.tools import require_tool

DAYS = 30
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def locked_plan(mode: str) -> Plan:
    plan = make_plan()
    lock = ObjectLock.model_validate({"mode": mode, "days": DAYS})
    offsite = plan.repositories["offsite"].model_copy(update={"object_lock": lock})
    return plan.model_copy(update={"repositories": {**plan.repositories, "offsite": offsite}})


@dataclass(frozen=True)
class Bucket:
    """A repository in a bucket of its own, and a machine that looks after it."""

    s3: S3
    name: str
    folder: Path
    launcher: SystemLauncher
    store: Store
    clock: FakeClock
    profile: str = PROFILE
    plan: Plan = field(default_factory=lambda: locked_plan("compliance"))

    @cached_property
    def place(self) -> S3Place:
        return S3Place(
            name="offsite",
            location=s3_location(self.s3.location(self.name, "emr")),
            client=self.s3.client(profile=self.profile),
        )

    @cached_property
    def repository(self) -> ResticRepository:
        return ResticRepository(
            "offsite",
            self.s3.location(self.name, "emr"),
            Secret(PASSWORD),
            launcher=self.launcher,
            clock=SystemClock(),
            cache=self.folder / "cache",
            tmp=self.folder / "tmp",
            hostname=PRACTICE,
            extra_env={
                "AWS_PROFILE": self.profile,
                "AWS_SHARED_CREDENTIALS_FILE": str(self.s3.credentials),
            },
            lock_wait=timedelta(0),
        )

    def extend(self) -> ExtendResult:
        tools = MaintenanceTools(
            store=self.store,
            clock=self.clock,
            open_repository=lambda _plan, _name: self.repository,
            open_as_backup=lambda _plan, _name: self.repository,
            open_place=lambda _plan, _name: self.place,
            open_place_as_backup=lambda _plan, _name: self.place,
            installation=Installation("riverside-box", "riverside-box"),
            scratch=self.folder,
            lock_wait=timedelta(0),
        )
        return extend_locks(RepositoryRequest(plan=self.plan, repository="offsite"), tools)

    def extended(self) -> LocksExtended:
        """Renew the locks, which is to go well."""
        result = self.extend()
        assert result.outcome is Outcome.DONE
        assert result.locks is not None
        return result.locks

    def save(self, content: bytes) -> str:
        """Save a file; return the path of the snapshot."""
        file = self.folder / "file"
        file.write_bytes(content)
        saved = self.repository.save_tree(
            file, tags={"practice": PRACTICE}, time=datetime.now(UTC), timeout=MINUTE
        )
        return f"snapshots/{saved.snapshot}"

    def packs(self) -> set[str]:
        """Return the paths of the packs that the index names."""
        return {f"data/{pack[:2]}/{pack}" for pack in self.repository.packs()}

    def locks(self) -> dict[tuple[str, str], tuple[str, datetime | None]]:
        """Return (path, version) -> mode and end of the lock, of everything that is there."""
        client = self.place.client
        found = {}
        for each in client.list_object_versions(Bucket=self.name).get("Versions", ()):
            which = {"Key": each["Key"], "VersionId": each["VersionId"]}
            head = client.head_object(Bucket=self.name, **which)
            lock = head.get("ObjectLockMode", ""), head.get("ObjectLockRetainUntilDate")
            found[self.place.path(each["Key"]), each["VersionId"]] = lock
        return found

    def ends(self) -> dict[str, set[datetime | None]]:
        """Return path -> ends of the locks of all its versions."""
        found: dict[str, set[datetime | None]] = {}
        for (path, _), (_, until) in self.locks().items():
            found.setdefault(path, set()).add(until)
        return found

    def do(self, call: str, path: str, **more: Any) -> None:
        """Call the bucket about an object."""
        getattr(self.place.client, call)(Bucket=self.name, Key=self.place.key(path), **more)

    def put(self, path: str, content: bytes) -> None:
        """Put an object there; with a checksum, as a bucket with locks demands."""
        self.do("put_object", path, Body=content, ChecksumAlgorithm="SHA256")

    def lock_by_default(self) -> None:
        """Have the bucket lock from now on what is saved to it: moto takes that of an empty bucket
        only.
        """
        from moto.s3.models import s3_backends

        kept = s3_backends["123456789012"]["aws"].buckets[self.name]
        kept.default_lock_mode, kept.default_lock_days = "COMPLIANCE", DAYS

    def days_from_now(self, days: int) -> datetime:
        """Return an instant as S3 keeps it."""
        return (self.clock.now() + days * DAY).replace(microsecond=0)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    try:
        with s3_server(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def in_bucket(s3: S3, name: str, *, by_default: bool = True) -> Iterator[Bucket]:
    """Put an empty repository into a new bucket that can lock; `by_default` what it is given."""
    require_tool("restic")
    if by_default:
        s3.make_bucket(name, lock=True, days=DAYS)
    else:
        s3.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    launcher = SystemLauncher(PATH)
    clock = FakeClock(datetime.now(UTC))
    try:
        with open_store(folder / "state", clock) as store:
            bucket = Bucket(s3, name, folder, launcher, store, clock)
            new = folder / "new"
            put_quick_repository(new, PASSWORD)
            for file in (each for each in new.rglob("*") if each.is_file()):
                bucket.put(str(file.relative_to(new)), file.read_bytes())
            seen = RepositorySeen(
                practice=PRACTICE,
                repository="offsite",
                restic_id=bucket.repository.identity(),
                at=clock.now(),
            )
            store.record(seen)
            yield bucket
    finally:
        launcher.close()
        shutil.rmtree(folder)


def test_extend_renews_what_is_needed_and_leaves_what_was_pruned(s3: S3) -> None:
    with in_bucket(s3, "locked") as bucket:
        kept, gone = bucket.save(b"kept " * 999), bucket.save(b"gone " * 999)
        all_packs = bucket.packs()
        bucket.repository.forget([gone.removeprefix("snapshots/")])
        bucket.repository.prune(timeout=MINUTE)
        junk = f"data/ff/{'f' * 64}"
        bucket.put(junk, b"left by a backup that was killed")
        needed, pruned = bucket.packs(), all_packs - bucket.packs()
        before = bucket.locks()
        assert needed
        assert pruned

        bucket.clock.advance(14 * DAY)
        assert bucket.extended().extended == 0  # two rounds and a day are left of the thirty
        assert bucket.locks() == before
        bucket.clock.advance(2 * DAY)
        locks = bucket.extended()

        assert locks.extended == locks.objects
        assert locks.until == bucket.days_from_now(DAYS)
        after = bucket.ends()
        for path in needed | {kept, "config"}:
            assert after[path] == {locks.until}
        untouched = pruned | {gone, junk} | {path for path in after if path.startswith("locks/")}
        for (path, version), lock in bucket.locks().items():
            assert path not in untouched or lock == before[path, version]
        assert bucket.extended().extended == 0
        assert bucket.store.practice_record(PRACTICE).locks["offsite"].until == locks.until


def test_extend_locks_what_never_was_and_shortens_or_weakens_nothing(s3: S3) -> None:
    with in_bucket(s3, "mixed", by_default=False) as bucket:
        snapshot = bucket.save(b"saved while the bucket locked nothing " * 99)
        assert bucket.ends()[snapshot] == {None}
        far = bucket.days_from_now(400)
        longer = {"Mode": "COMPLIANCE", "RetainUntilDate": far}
        bucket.do("put_object_retention", "config", Retention=longer)

        result = bucket.extend()

        assert result.locks is not None
        assert result.locks.until is None, "what is saved next is not locked"
        assert result.outcome is Outcome.PARTIAL
        assert "its bucket locks nothing that is saved from now on" in result.reason
        assert bucket.ends()[snapshot] == {bucket.days_from_now(DAYS)}
        assert bucket.ends()["config"] == {far}
        bucket.lock_by_default()
        assert bucket.extended().until == bucket.days_from_now(DAYS)

        bucket.clock.advance(20 * DAY)
        replace(bucket, plan=locked_plan("governance")).extended()
        modes = {mode for (path, _), (mode, _) in bucket.locks().items() if path == snapshot}
        assert modes == {"COMPLIANCE"}
        assert bucket.ends()[snapshot] == {bucket.days_from_now(DAYS)}


def test_extend_fails_and_keeps_good_versions_locked_after_an_attack(s3: S3) -> None:
    with in_bucket(s3, "attacked") as bucket:
        snapshot = bucket.save(b"good " * 999)
        point = make_point(bucket.clock.now(), repositories=("offsite",))
        ours = replace(point.copies[0], manifest_snapshot=snapshot.removeprefix("snapshots/"))
        bucket.store.record(PointRecorded(point=replace(point, copies=(ours,))))
        deleted, overwritten = sorted(bucket.packs())
        bucket.do("delete_object", deleted)
        bucket.put(overwritten, b"junk")
        bucket.do("delete_object", snapshot)
        bucket.clock.advance(20 * DAY)

        result = bucket.extend()

        assert result.outcome is Outcome.FAILED
        assert "1 object that offsite needs: deleted" in result.reason
        assert "1 object that offsite needs: overwritten" in result.reason
        assert result.locks is not None
        for path in (deleted, overwritten, snapshot):
            assert bucket.ends()[path] == {result.locks.until}


def test_extend_claims_no_protection_where_packs_or_their_index_are_gone(s3: S3) -> None:
    with in_bucket(s3, "gone", by_default=False) as bucket:
        bucket.save(b"good " * 999)
        point = make_point(bucket.clock.now(), repositories=("offsite",))
        bucket.store.record(PointRecorded(point=point))
        pack = min(bucket.packs())
        (version,) = (version for path, version in bucket.locks() if path == pack)
        bucket.do("delete_object", pack, VersionId=version)

        result = bucket.extend()

        assert result.outcome is Outcome.FAILED
        assert "1 object that offsite needs: not found" in result.reason
        assert result.locks is not None
        assert result.locks.until is None
        for path in bucket.ends():
            if path.startswith("index/"):
                bucket.do("delete_object", path)
        with pytest.raises(RepositoryDamaged, match="no index"):
            bucket.extend()


def test_extend_fails_and_claims_no_more_than_is_true_where_it_may_not(s3: S3) -> None:
    actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions"]
    actions.append("s3:GetBucketObjectLockConfiguration")
    allowed = {"Effect": "Allow", "Resource": "*", "Action": actions}
    s3.add_user("reader", json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    with in_bucket(s3, "refused") as bucket:
        bucket.save(b"good " * 999)
        first = min(until for _, until in bucket.locks().values() if until)
        bucket.clock.advance(20 * DAY)

        with s3.enforcing():
            result = replace(bucket, profile="reader").extend()

        assert result.locks is not None
        assert (result.outcome, result.locks.extended) == (Outcome.FAILED, 0)
        assert "AccessDenied" in result.reason
        assert result.locks.until == first
        record = bucket.store.practice_record(PRACTICE)
        (run,) = (each for each in record.last_runs if each.operation is Operation.EXTEND)
        assert (run.outcome, run.reason) == (Outcome.FAILED, result.reason)


PLAN = """
version: 1
practice: {{id: riverside, name: Riverside, timezone: America/Chicago}}
repositories:
  offsite:
    location: "{location}"
    password: {{file: {folder}/key}}
    credentials: {{aws_profile: {profile}}}
    object_lock: {{mode: compliance, days: 30}}
systems:
  emr: {{rto: 4h, rpo: 1h, assets: {{letters: {{kind: files, path: {folder}}}}}}}
"""


def test_extend_is_a_command_and_follows_a_prune(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    def dro(*words: str) -> Result:
        with contextlib.closing(Context(json="--json" in words)) as context:
            return CliRunner().invoke(
                repository_command.command, words, obj=context, standalone_mode=False
            )

    with in_bucket(s3, "commanded", by_default=False) as bucket:
        folder = bucket.folder
        (folder / "key").write_text(PASSWORD)
        (folder / "key").chmod(0o600)
        location = s3.location("commanded", "emr")
        (folder / "plans").mkdir()
        (folder / "plans" / "riverside.yaml").write_text(
            PLAN.format(folder=folder, location=location, profile=PROFILE)
        )
        paths = {name: str(folder / name) for name in ("plans", "state", "cache")}
        (folder / "dro.yaml").write_text(json.dumps(paths))
        monkeypatch.setenv("DRO_SETTINGS", str(folder / "dro.yaml"))
        assert bucket.ends()["config"] == {None}
        bucket.lock_by_default()

        pruned = dro("prune", "riverside")
        assert (pruned.exception, pruned.return_value, pruned.stdout) == (
            None,
            0,
            "offsite: pruned\n",
        )
        assert None not in bucket.ends()["config"]
        with pytest.raises(UsageMistake, match="locks nothing"):
            replace(bucket, plan=make_plan()).extend()
        told = dro("extend", "riverside", "--json")

        assert (told.exception, told.return_value) == (None, 0)
        (found,) = json.loads(told.stdout)["extended"]
        assert (found["repository"], found["extended"], found["outcome"]) == ("offsite", 0, "done")
        assert found["until"] is not None
