"""What it takes to destroy what a repository holds, tried on real storage with a real restic.

moto refuses what its IAM users may not do, and the removal of a version that is locked. It lets
everybody shorten a lock of compliance, which Amazon does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.core.immutability import Answer, Deed
from dr_orchestrator.core.record import RepositorySeen
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import Busy, RepositoryDamaged, StorageUnusable
from dr_orchestrator.maintenance.immutability import (
    AttackTools,
    ImmutabilityResult,
    try_to_destroy,
)
from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.repositories.attack import Kept, Victim, attempt
from dr_orchestrator.repositories.bucket_policy import backup_policy, maintenance_policy
from dr_orchestrator.repositories.owner import Installation
from dr_orchestrator.repositories.rest_attack import RestAccess
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.repositories.s3_place import S3Place, s3_location
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.append_only import Served, Servers, rest_servers
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, make_plan
from tests.support.quick_repository import put_quick_repository
from tests.support.restic import MINUTES, PASSWORD, Bench, RawRestic, bench
from tests.support.s3 import PROFILE, S3, s3_server
from tests.support.servers import free_port
from tests.support.sinks import http_sink
from tests.support.tools import require_tool

__all__ = ["bench"]
PREFIX = "dro"
LOCKED = "riverside-locked"
SETTINGS = ("bucket_versioning", "object_lock_configuration", "bucket_lifecycle_configuration")
LIFECYCLE = {
    "Rules": [
        {
            "ID": "old versions",
            "Status": "Enabled",
            "Filter": {"Prefix": PREFIX},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 60},
        }
    ]
}


@dataclass(frozen=True)
class Machine:
    """A machine that attacks `offsite`, wherever that is."""

    bench: Bench
    store: Store
    location: str
    place: Callable[[str], S3Place] = lambda _profile: pytest.fail("it is not in S3")
    backup: str = PROFILE
    upkeep: str = PROFILE
    env: tuple[tuple[str, str], ...] = ()

    @property
    def repository(self) -> ResticRepository:
        return self.bench.repository(self.location, extra_env=self._env)

    @property
    def raw(self) -> RawRestic:
        return self.bench.raw(self.location, **self._env)

    @property
    def _env(self) -> dict[str, str]:
        return {"AWS_PROFILE": self.backup, **dict(self.env)}

    @property
    def plan(self) -> Plan:
        plan = make_plan()
        said: dict[str, Any] = {"location": self.location, "append_only": True}
        if self.location.startswith("s3:"):
            said |= {"append_only": False, "object_lock": {"mode": "compliance", "days": 30}}
        content = plan.repositories["offsite"].model_dump(mode="json", exclude_defaults=True)
        offsite = type(plan.repositories["offsite"]).model_validate(content | said)
        return plan.model_copy(update={"repositories": {"offsite": offsite}})

    def save(self, content: bytes = b"a letter") -> str:
        """Save a file as a backup would; return the id of the snapshot."""
        file = self.bench.folder / "letter"
        file.write_bytes(content)
        tags = {"practice": PRACTICE, "point": "1", "dro": "asset"}
        at = datetime.now(UTC)
        return self.repository.save_tree(file, tags=tags, time=at, timeout=MINUTES).snapshot

    def attack(self) -> ImmutabilityResult:
        identity = self.repository.identity()
        at = datetime.now(UTC)
        seen = RepositorySeen(practice=PRACTICE, repository="offsite", restic_id=identity, at=at)
        self.store.record(seen)
        tools = MaintenanceTools(
            store=self.store,
            clock=FakeClock(at),
            open_repository=lambda _plan, _name: pytest.fail("the maintenance credential is used"),
            open_as_backup=lambda _plan, _name: self.repository,
            open_place=lambda _plan, _name: self.place(self.upkeep),
            open_place_as_backup=lambda _plan, _name: self.place(self.backup),
            installation=Installation("riverside-box", "riverside-box"),
            scratch=self.bench.folder,
            lock_wait=timedelta(0),
        )
        attack_tools = AttackTools(
            location=lambda _plan, _name: Secret(self.location), put_back=self.put_back
        )
        request = RepositoryRequest(plan=self.plan, repository="offsite")
        return try_to_destroy(request, tools, attack_tools)

    @property
    def put_back(self) -> Path:
        return self.bench.folder / "put-back"

    def check(self) -> None:
        """Have restic read everything back."""
        self.raw.run("check", "--read-data")


def answers(result: ImmutabilityResult) -> dict[Deed, set[Answer]]:
    assert result.tested is not None
    found: dict[Deed, set[Answer]] = {}
    for each in result.tested.attempts:
        found.setdefault(each.deed, set()).add(each.answer)
    return found


@pytest.fixture
def store(bench: Bench) -> Iterator[Store]:
    with open_store(bench.folder / "state", FakeClock()) as store:
        yield store


# --- in a bucket --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    require_tool("restic")
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket(LOCKED, lock=True)
        server.client().put_bucket_lifecycle_configuration(
            Bucket=LOCKED, LifecycleConfiguration=LIFECYCLE
        )
        where = s3_location(server.location(LOCKED, PREFIX))
        server.add_user("backup", json.dumps(backup_policy(where, None)))
        server.add_user("upkeep", json.dumps(maintenance_policy(where, None)))
        server.add_user("careless", json.dumps(_careless_policy()))
        server.add_user("admin", json.dumps(_policy("s3:*")))
        server.add_user("reader", json.dumps(_policy("s3:Get*", "s3:List*")))
        yield server


def _policy(*actions: str) -> dict[str, Any]:
    allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [allowed]}


def _careless_policy() -> dict[str, Any]:
    """Return what protects the folder that is attacked, and nothing else."""
    policy = _policy("s3:*")
    spared = "arn:aws:s3:::*/dro/dro-immutability/*"
    denied = ["s3:DeleteObjectVersion", "s3:PutObjectRetention"]
    policy["Statement"].append({"Effect": "Deny", "Action": denied, "Resource": spared})
    return policy


@dataclass(frozen=True)
class InBucket:
    """How a machine comes to a bucket."""

    bench: Bench
    s3: S3
    store: Store

    def machine(self, bucket: str, *, backup: str = PROFILE, upkeep: str = PROFILE) -> Machine:
        """Return a machine with a repository in a bucket; it is put there where there is none."""
        where = s3_location(self.s3.location(bucket, PREFIX))
        client = self.s3.client()
        if not client.list_objects_v2(Bucket=bucket).get("Contents"):
            local = self.bench.folder / bucket
            put_quick_repository(local, PASSWORD)
            for file in (each for each in local.rglob("*") if each.is_file()):
                key = f"{PREFIX}/{file.relative_to(local)}"
                client.put_object(
                    Bucket=bucket, Key=key, Body=file.read_bytes(), ChecksumAlgorithm="SHA256"
                )
        return Machine(
            self.bench,
            self.store,
            self.s3.location(bucket, PREFIX),
            lambda profile: S3Place(
                name="offsite", location=where, client=self.s3.client(profile=profile)
            ),
            backup,
            upkeep,
            (
                ("AWS_SHARED_CREDENTIALS_FILE", str(self.s3.credentials)),
                ("NO_PROXY", "127.0.0.1"),
            ),
        )

    def settings(self, bucket: str) -> list[dict[str, Any]]:
        """Return what protects a bucket."""
        client = self.s3.client(profile="admin")
        found = [getattr(client, f"get_{each}")(Bucket=bucket) for each in SETTINGS]
        return [{key: each[key] for key in each if key != "ResponseMetadata"} for each in found]

    def versions(self, bucket: str, folder: str) -> list[tuple[str, str]]:
        """Return key and version of everything that lies below a folder."""
        client = self.s3.client(profile="admin")
        listed = client.list_object_versions(Bucket=bucket, Prefix=f"{PREFIX}/{folder}")
        return sorted((each["Key"], each["VersionId"]) for each in listed.get("Versions", ()))


@pytest.fixture
def bucket(bench: Bench, s3: S3, store: Store) -> InBucket:
    return InBucket(bench, s3, store)


def test_a_bucket_with_locks_and_the_backup_policy_refuses_everything(bucket: InBucket) -> None:
    machine = bucket.machine(LOCKED, backup="backup", upkeep="upkeep")
    with bucket.s3.enforcing():
        machine.save()
        before = bucket.versions(LOCKED, "snapshots"), bucket.settings(LOCKED)

        result = machine.attack()

        assert (result.outcome, result.reason) == (Outcome.DONE, "")
        assert answers(result) == {deed: {Answer.REFUSED} for deed in Deed}
        assert result.tested is not None
        assert {each.said for each in result.tested.attempts} <= {"", "AccessDenied"}
        assert (bucket.versions(LOCKED, "snapshots"), bucket.settings(LOCKED)) == before
        machine.check()
        assert machine.raw.run("prune").returncode == 0
        record = machine.store.practice_record(PRACTICE)
        assert record.immutability["offsite"] == result.tested
        assert record.last_runs[-1].operation is Operation.IMMUTABILITY
        assert len(bucket.versions(LOCKED, "dro-immutability")) == 2


def test_a_key_that_may_do_anything_is_found_out_and_changes_nothing(bucket: InBucket) -> None:
    machine = bucket.machine(LOCKED)
    machine.save()
    before = bucket.versions(LOCKED, "snapshots"), bucket.settings(LOCKED)

    result = machine.attack()

    assert result.outcome is Outcome.FAILED
    assert "the backup credential was able to: shorten a lock, change what" in result.reason
    assert answers(result) == {
        Deed.OVERWRITE: {Answer.REFUSED},
        Deed.SHORTEN: {Answer.DONE},
        Deed.DELETE_MADE: {Answer.REFUSED},
        Deed.DELETE_REAL: {Answer.REFUSED},
        Deed.UNPROTECT: {Answer.DONE},
    }
    assert (bucket.versions(LOCKED, "snapshots"), bucket.settings(LOCKED)) == before
    machine.check()
    assert machine.store.practice_record(PRACTICE).last_runs[-1].outcome is Outcome.FAILED


def test_a_bucket_without_versions_is_found_out_before_anything_real_is_touched(
    bucket: InBucket,
) -> None:
    bucket.s3.make_bucket("riverside-plain")
    machine = bucket.machine("riverside-plain")
    machine.save()
    before = bucket.versions("riverside-plain", "snapshots")

    result = machine.attack()

    found = answers(result)
    assert (found[Deed.OVERWRITE], found[Deed.DELETE_MADE]) == ({Answer.DONE}, {Answer.DONE})
    assert Deed.DELETE_REAL not in found
    assert bucket.versions("riverside-plain", "snapshots") == before
    assert bucket.versions("riverside-plain", "dro-immutability") == []


def test_a_real_object_that_could_be_removed_is_put_back_byte_for_byte(bucket: InBucket) -> None:
    name = "riverside-versions"
    bucket.s3.make_bucket(name)
    versions = {"Status": "Enabled"}
    bucket.s3.client().put_bucket_versioning(Bucket=name, VersioningConfiguration=versions)
    machine = bucket.machine(name, backup="careless", upkeep="careless")
    with bucket.s3.enforcing():
        snapshot = machine.save()
        before = bucket.versions(name, "snapshots")

        result = machine.attack()

        found = answers(result)
        assert found[Deed.DELETE_MADE] == {Answer.REFUSED}
        assert found[Deed.DELETE_REAL] == {Answer.DONE}
        assert result.tested is not None
        assert result.tested.result is Result.FAILED
        ((key, version),) = bucket.versions(name, "snapshots")
        assert key == f"{PREFIX}/snapshots/{snapshot}"
        assert version != before[0][1]
        assert list(Kept(machine.put_back / machine.repository.identity()).files()) == []
        machine.check()
        assert [each["id"] for each in machine.raw.snapshots()] == [snapshot]


def test_nothing_is_proven_where_nothing_can_be_saved(bucket: InBucket) -> None:
    machine = bucket.machine(LOCKED, backup="reader", upkeep="upkeep")
    with bucket.s3.enforcing(), pytest.raises(StorageUnusable, match="AccessDenied"):
        machine.attack()
    record = machine.store.practice_record(PRACTICE)
    assert (record.immutability, record.last_runs[-1].outcome) == ({}, Outcome.FAILED)


# --- behind a REST server -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with rest_servers(tmp_path_factory.mktemp("rest") / "served") as servers:
        yield servers


@pytest.fixture
def served(servers: Servers, bench: Bench) -> Served:
    return servers.repository(bench.folder.name)


def test_an_append_only_server_refuses_everything_every_time(
    bench: Bench, store: Store, served: Served
) -> None:
    machine = Machine(bench, store, served.append_only)
    machine.save()

    results = [machine.attack() for _ in range(2)]

    for result in results:
        assert (result.outcome, result.reason) == (Outcome.DONE, "")
        assert answers(result) == {
            Deed.OVERWRITE: {Answer.REFUSED},
            Deed.DELETE_MADE: {Answer.REFUSED},
            Deed.DELETE_REAL: {Answer.REFUSED},
        }
    probes = [each for each in machine.raw.snapshots() if "dro=probe" in each["tags"]]
    assert len(probes) == 1
    machine.check()


def test_a_server_that_lets_things_be_removed_is_found_out_and_loses_nothing(
    bench: Bench, store: Store, served: Served
) -> None:
    machine = Machine(bench, store, served.open)
    machine.save()
    before = machine.raw.snapshots()

    result = machine.attack()

    assert result.outcome is Outcome.FAILED
    assert answers(result) == {Deed.OVERWRITE: {Answer.DONE}, Deed.DELETE_MADE: {Answer.DONE}}
    assert "was able to: overwrite what was saved (200), delete what was" in result.reason
    assert [each for each in machine.raw.snapshots() if "dro=probe" not in each["tags"]] == before
    assert len(machine.raw.snapshots()) == 2
    machine.check()


def test_a_real_snapshot_that_could_be_removed_is_put_back_byte_for_byte(
    bench: Bench, store: Store, served: Served
) -> None:
    machine = Machine(bench, store, served.open)
    snapshot = machine.save()
    access, kept = RestAccess("offsite", Secret(served.open)), Kept(machine.put_back)

    made = attempt(Deed.DELETE_REAL, access.snapshot(snapshot), access, kept)

    assert made.answer is Answer.DONE
    assert [each["id"] for each in machine.raw.snapshots()] == [snapshot]
    assert list(kept.files()) == []


def test_what_a_killed_attempt_destroyed_is_put_back_by_the_next_one(
    bench: Bench, store: Store, served: Served
) -> None:
    machine = Machine(bench, store, served.open)
    snapshot = machine.save()
    access = RestAccess("offsite", Secret(served.open))
    kept = Kept(machine.put_back / machine.repository.identity())
    kept.keep(access.snapshot(snapshot))
    access.delete(access.snapshot(snapshot))
    assert machine.raw.snapshots() == []

    machine.attack()

    assert snapshot in {each["id"] for each in machine.raw.snapshots()}
    assert list(kept.files()) == []


def test_a_damaged_snapshot_is_not_attacked(bench: Bench, store: Store, served: Served) -> None:
    machine = Machine(bench, store, served.append_only)
    file = served.folder / "snapshots" / machine.save()
    access = RestAccess("offsite", Secret(served.append_only))
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RepositoryDamaged, match="not what its name says"):
        access.snapshot(file.name)


def test_an_address_with_a_password_is_shown_nowhere(bench: Bench) -> None:
    secret = "canary-rest-password"
    location = Secret(f"rest:http://riverside:{secret}@127.0.0.1:{free_port()}/riverside")
    access = RestAccess("offsite", location)
    with pytest.raises(StorageUnusable) as raised:
        access.find("config")
    assert raised.value.code == "ConnectionRefusedError"
    assert secret not in f"{raised.value} {access!r} {vars(raised.value)}"
    assert access.lets_remove() == (None, "ConnectionRefusedError")


@pytest.mark.parametrize(
    ("status", "expected", "lets_remove"),
    [
        (200, Answer.DONE, True),
        (403, Answer.REFUSED, False),
        (405, Answer.REFUSED, False),
        (404, Answer.UNKNOWN, True),
        (401, Answer.UNKNOWN, None),
        (307, Answer.UNKNOWN, None),
        (500, Answer.UNKNOWN, None),
    ],
)
def test_only_what_says_no_is_a_refusal(
    status: int, expected: Answer, lets_remove: bool | None
) -> None:
    with http_sink() as sink:
        sink.status = status
        access = RestAccess("offsite", Secret(f"rest:{sink.url('/riverside/')}"))
        assert access.delete(Victim(path="snapshots/ab", content=b"")).answer is expected
        assert access.lets_remove() == (lets_remove, str(status))
        assert [(each.method, each.path) for each in sink.requests] == [
            ("DELETE", "/riverside/snapshots/ab"),
            ("DELETE", f"/riverside/snapshots/{'0' * 64}"),
        ]


def test_two_do_not_attack_one_repository_at_a_time(
    bench: Bench, store: Store, served: Served
) -> None:
    machine = Machine(bench, store, served.append_only)
    key = f"attack/{machine.repository.identity()}"
    hold = store.locks.hold({key}, exclusive=True, wait=timedelta(0), what="a test")
    with hold, pytest.raises(Busy, match="immutability test of offsite"):
        machine.attack()


def test_a_folder_proves_nothing(bench: Bench, store: Store) -> None:
    put_quick_repository(bench.store, PASSWORD)
    machine = Machine(bench, store, str(bench.store))

    result = machine.attack()

    assert (result.tested, result.outcome) == (None, Outcome.UNPROVEN)
    assert "nothing can be tried here" in result.reason
