"""Repositories in a bucket are made what they were: restic, and a server that keeps versions."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.record import RepositorySeen
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import (
    Busy,
    RepositoryAbsent,
    RepositoryChanged,
    RepositoryDamaged,
    StorageUnusable,
)
from dr_orchestrator.maintenance.disturbances import disturbances
from dr_orchestrator.maintenance.forget import forget
from dr_orchestrator.maintenance.prune import prune
from dr_orchestrator.maintenance.tools import MaintenanceTools
from dr_orchestrator.maintenance.undelete import (
    UndeletePlan,
    UndeleteTools,
    plan_undelete,
    undelete,
)
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repositories.object_history import FILES, Deed, Step, histories
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.repositories.s3_place import S3Place, s3_location
from dr_orchestrator.store.base import reading_key
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, make_plan
from tests.support.keeper import Keeper
from tests.support.quick_repository import put_quick_repository
from tests.support.restic import PASSWORD, PATH, RawRestic
from tests.support.s3 import PROFILE, REGION, S3, s3_server
from tests.support.tools import require_tool

GARBAGE = b"garbage" * 40
PREFIX = "dro/"


@dataclass(frozen=True)
class Attacked(Keeper):
    """A keeper whose repository is in a bucket of its own."""

    s3: S3 = field(kw_only=True)
    bucket: str = field(kw_only=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_PROFILE": PROFILE,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.s3.credentials),
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def location(self) -> str:
        return self.s3.location(self.bucket, PREFIX)

    @property
    def s3_place(self) -> S3Place:
        return S3Place(name="onsite", location=s3_location(self.location), client=self.s3.client())

    @property
    def raw(self) -> RawRestic:
        return RawRestic(self.location, self.folder / "raw-cache", env=self.environment)

    def repository(self) -> ResticRepository:
        return self._restic(self.location, self.folder / "cache")

    def _restic(self, location: str, cache: Path) -> ResticRepository:
        return ResticRepository(
            "onsite",
            location,
            Secret(PASSWORD),
            launcher=self.launcher,
            clock=SystemClock(),
            cache=cache,
            tmp=self.folder / "tmp",
            hostname=PRACTICE,
            extra_env=self.environment,
            lock_wait=timedelta(0),
        )

    @property
    def tools(self) -> MaintenanceTools:
        return replace(super().tools, open_place=lambda _plan, _name: self.s3_place)

    @property
    def undelete_tools(self) -> UndeleteTools:
        return UndeleteTools(
            maintenance=self.tools,
            open_folder=lambda _plan, _name, folder: self._restic(
                str(folder / "repository"), folder / "cache"
            ),
            cache=self.folder / "cache",
        )

    def plan_undelete(self, before: datetime) -> UndeletePlan:
        return plan_undelete(self.request, self.undelete_tools, before)

    def keys(self, *folders: str) -> list[str]:
        listed = self.s3.client().list_objects_v2(Bucket=self.bucket).get("Contents", ())
        keys = [each["Key"] for each in listed]
        return [each for each in keys if each.startswith(tuple(PREFIX + one for one in folders))]

    def put(self, key: str, content: bytes) -> None:
        self.s3.client().put_object(
            Bucket=self.bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256"
        )

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.s3.client().delete_object(Bucket=self.bucket, Key=key)

    def contents(self) -> dict[str, str]:
        """Return what restic finds there: each file's digest."""
        listed = self.s3.client().list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return {each["Key"]: each["ETag"] for each in listed if "/locks/" not in each["Key"]}

    def versions(self) -> set[tuple[str, str]]:
        listed = self.s3.client().list_object_versions(Bucket=self.bucket)
        return {(each["Key"], each["VersionId"]) for each in listed["Versions"]}


def soon() -> datetime:
    """Return an instant that all that was done so far lies before."""
    return datetime.now(UTC) + timedelta(seconds=1)


def next_second() -> datetime:
    """Wait until the server's clock shows another second than what was done so far; return it."""
    now = time.time()
    time.sleep(int(now) + 1 - now)
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    require_tool("restic")
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@contextmanager
def in_a_bucket(s3: S3, bucket: str) -> Iterator[Attacked]:
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    launcher, clock = SystemLauncher(PATH), FakeClock(datetime.now(UTC))
    try:
        s3.make_bucket(bucket, lock=True)
        with open_store(folder / "state", clock) as store:
            keeper = Attacked(folder, launcher, store, clock, make_plan(), s3=s3, bucket=bucket)
            put_quick_repository(folder / "quick", PASSWORD)
            for file in (folder / "quick").rglob("*"):
                if file.is_file():
                    keeper.put(f"{PREFIX}{file.relative_to(folder / 'quick')}", file.read_bytes())
            restic_id = keeper.repository().identity()
            store.record(
                RepositorySeen(
                    practice=PRACTICE, repository="onsite", restic_id=restic_id, at=clock.now()
                )
            )
            yield keeper
    finally:
        launcher.close()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Attack:
    """What lies behind, and when it began."""

    keeper: Attacked
    good: str
    since: str
    before: datetime
    contents: dict[str, str]
    versions: set[tuple[str, str]]
    overwritten: int
    deleted: int


@pytest.fixture(scope="module")
def attack(s3: S3) -> Iterator[Attack]:
    """One good point; then a second one, everything overwritten or deleted, and files forged."""
    with in_a_bucket(s3, "attacked") as keeper:
        good = keeper.back_up(keeper.clock.now() - timedelta(hours=2))
        contents, versions = keeper.contents(), keeper.versions()
        before = next_second()
        since = keeper.back_up(keeper.clock.now() - timedelta(hours=1))
        overwritten = keeper.keys("config", "keys", "index", "snapshots")
        deleted = [*keeper.keys("data"), *keeper.keys("snapshots")[:1]]
        for key in overwritten:
            keeper.put(key, GARBAGE)
        keeper.delete(*deleted)
        for forged in (
            "snapshots/" + "f" * 64,
            "data/ff/x",
            "key/x",
            "locks/" + "e" * 64,
            "keys/../../../x",
        ):
            keeper.put(PREFIX + forged, GARBAGE)
        yield Attack(
            keeper, good, since, before, contents, versions, len(overwritten), len(deleted)
        )


def test_repository_is_what_it_was_and_nothing_is_destroyed(attack: Attack) -> None:
    keeper = attack.keeper
    keeper.raw.run("snapshots", "--no-lock", check=False)  # restic keeps what it has read

    shown = disturbances(keeper.request, keeper.undelete_tools)
    assert shown.first is not None
    assert shown.first >= attack.before
    assert [name for _, name in shown.strange] == ["f" * 64]
    assert shown.is_told_apart, "by its files of before, whatever lies on top"
    assert sum(hour.counts[Deed.DELETED] for hour in shown.hours) == attack.deleted
    assert sum(hour.counts[Deed.OVERWRITTEN] for hour in shown.hours) == attack.overwritten

    planned = keeper.plan_undelete(attack.before)
    _in_an_order_in_which_no_snapshot_lacks_its_data(planned)
    assert [point.id for point in planned.back] == [attack.good]
    assert [point.id for point in planned.aside] == [attack.since]
    assert (planned.missing, planned.lost, planned.doubtful) == ((), 0, 0)
    assert all(planned.counts[step] for step in Step)
    attacked = keeper.versions()
    # what restic of ours has read of the attacked files must not come back to us
    cached = keeper.folder / "cache" / planned.restic_id / "snapshots"
    lie = next(each for each in attack.contents if "/snapshots/" in each).split("/")[-1]
    (cached / lie[:2]).mkdir(parents=True, exist_ok=True)
    (cached / lie[:2] / lie).write_bytes(GARBAGE)

    keeper.clock.set(datetime.now(UTC))
    result = undelete(keeper.request, keeper.undelete_tools, planned)

    assert (result.outcome, result.reason, result.unknown) == (Outcome.DONE, "", 0)
    assert keeper.contents() == attack.contents
    assert keeper.versions() >= attacked >= attack.versions
    assert result.forgotten == (attack.since,)
    assert keeper.on_record() == {attack.good} == set(keeper.listed())
    assert keeper.keys("locks", "key/") == []
    run = keeper.last_run(Operation.UNDELETE)
    assert (run.outcome, run.repository) == (Outcome.DONE, "onsite")
    keeper.repository().check(1, 1, timeout=timedelta(minutes=1))
    copied = keeper.s3.client().head_object(Bucket=keeper.bucket, Key=f"{PREFIX}config")
    assert copied["ObjectLockMode"] == "COMPLIANCE"

    by_us = disturbances(keeper.request, keeper.undelete_tools)
    assert sum(hour.by_us for hour in by_us.hours) > 0
    again = keeper.plan_undelete(attack.before)
    assert (again.changes, again.aside, again.missing) == ((), (), ())
    versions = keeper.versions()
    assert undelete(keeper.request, keeper.undelete_tools, again).outcome is Outcome.DONE
    assert keeper.versions() == versions


def test_what_is_ours_is_not_called_strange_nor_an_attack_beside_a_failed_prune_ours(
    s3: S3,
) -> None:
    with in_a_bucket(s3, "ours-and-his") as keeper:
        keeper.back_up(keeper.clock.now() - timedelta(hours=2))
        forget(keeper.request, keeper.tools)  # leaves the note of who forgets here
        asset = keeper.folder / "database.data"
        for kind, host in (("probe", PRACTICE), ("asset", "elsewhere")):
            keeper.raw.run(
                *("backup", "--host", host, "--tag", f"dro={kind},practice={PRACTICE}", str(asset))
            )
        (his,) = (each["id"] for each in keeper.raw.snapshots() if each["hostname"] == "elsewhere")
        quiet = disturbances(keeper.request, keeper.undelete_tools)
        assert ([name for _, name in quiet.strange], quiet.first) == ([his], None)

        keeper.delete(f"{PREFIX}config")
        keeper.clock.set(datetime.now(UTC))
        with pytest.raises(RepositoryAbsent):
            prune(keeper.request, keeper.tools)
        keeper.delete(*keeper.keys("data", "index"))
        shown = disturbances(keeper.request, keeper.undelete_tools)
        assert shown.first is not None
        assert sum(hour.by_us for hour in shown.hours) == 0
        assert [name for _, name in shown.strange] == [his], "though nothing opens now"


def test_a_wrong_time_is_told_before_anything_is_done(attack: Attack) -> None:
    keeper = attack.keeper
    with pytest.raises(RepositoryAbsent, match="there was no repository"):
        keeper.plan_undelete(attack.before - timedelta(days=1))


def test_a_time_after_the_attack_is_told(s3: S3) -> None:
    with in_a_bucket(s3, "too-late") as keeper:
        keeper.put(f"{PREFIX}config", GARBAGE)
        keeper.put(f"{PREFIX}keys/../../../escaped", GARBAGE)
        with pytest.raises(RepositoryDamaged, match="does not open") as told:
            keeper.plan_undelete(soon())
        assert "--show" in told.value.hint
        assert not list(keeper.folder.glob("tmp*/repository")), "keys were left behind"
        assert len(keeper.keys("keys/..")) == 1
        assert not (keeper.folder / "escaped").exists()


def test_another_repository_at_that_time_is_told(s3: S3) -> None:
    with in_a_bucket(s3, "another") as keeper:
        before = soon()
        keeper.store.practice_record(PRACTICE)
        other = replace(keeper, plan=make_plan())
        with open_store(keeper.folder / "elsewhere", keeper.clock) as store:
            store.record(
                RepositorySeen(
                    practice=PRACTICE, repository="onsite", restic_id="a" * 64, at=before
                )
            )
            with pytest.raises(RepositoryChanged, match="aaaaaaaa"):
                replace(other, store=store).plan_undelete(before)


def test_a_bucket_without_versions_is_left_alone(s3: S3) -> None:
    s3.make_bucket("plain-bucket")
    place = S3Place(
        name="onsite",
        location=s3_location(s3.location("plain-bucket", "dro")),
        client=s3.client(),
    )
    with in_a_bucket(s3, "versioned") as keeper:
        tools = replace(
            keeper.undelete_tools,
            maintenance=replace(keeper.tools, open_place=lambda _plan, _name: place),
        )
        with pytest.raises(StorageUnusable, match="keeps no versions"):
            plan_undelete(keeper.request, tools, soon())


def test_what_was_cut_short_is_gone_on_with(s3: S3) -> None:
    with in_a_bucket(s3, "cut-short") as keeper:
        good = keeper.back_up(keeper.clock.now() - timedelta(hours=2))
        contents = keeper.contents()
        before = next_second()
        since = keeper.back_up(keeper.clock.now() - timedelta(hours=1))
        for key in keeper.keys("config", "index", "snapshots"):
            keeper.put(key, GARBAGE)
        keeper.delete(*keeper.keys("data"))
        planned = keeper.plan_undelete(before)

        refusing = _refuse_after(keeper.s3_place, requests=len(planned.changes) // 2)
        tools = replace(
            keeper.undelete_tools,
            maintenance=replace(keeper.tools, open_place=lambda _plan, _name: refusing),
        )
        with pytest.raises(StorageUnusable, match="SlowDown"):
            undelete(keeper.request, tools, planned)
        assert keeper.last_run(Operation.UNDELETE).outcome is Outcome.FAILED
        assert keeper.contents() != contents
        assert keeper.on_record() == {good, since}, "recorded before the fact"

        going_on = keeper.plan_undelete(before)
        assert 0 < len(going_on.changes) < len(planned.changes)
        result = undelete(keeper.request, keeper.undelete_tools, going_on)
        assert (result.outcome, result.forgotten) == (Outcome.DONE, (since,))
        assert keeper.contents() == contents
        _a_machine_that_remembers_nothing_can_do_it_too(keeper, before)


def test_one_object_that_nobody_can_copy_keeps_no_other_from_coming_back(s3: S3) -> None:
    with in_a_bucket(s3, "stumbling-block") as keeper:
        keeper.back_up(keeper.clock.now() - timedelta(hours=2))
        before = next_second()
        for key in keeper.keys("config", "data", "index", "snapshots"):
            keeper.put(key, GARBAGE)
        planned = keeper.plan_undelete(before)
        (first, *_) = keeper.keys("data")
        tools = replace(
            keeper.undelete_tools,
            maintenance=replace(
                keeper.tools,
                open_place=lambda _plan, _name: _refusing(
                    keeper.s3_place, "InvalidRequest", lambda key: key.endswith(first)
                ),
            ),
        )

        result = undelete(keeper.request, tools, planned)

        assert result.outcome is Outcome.PARTIAL
        assert "refused what 1 file needed (InvalidRequest)" in result.reason
        (left,) = keeper.plan_undelete(before).changes
        assert first.endswith(left.path)


def test_nobody_reads_or_writes_there_meanwhile(s3: S3) -> None:
    with in_a_bucket(s3, "busy-bucket") as keeper:
        planned = keeper.plan_undelete(soon())
        with (
            keeper.store.locks.hold(
                {reading_key(planned.restic_id)},
                exclusive=False,
                wait=timedelta(0),
                what="a restore test",
            ),
            pytest.raises(Busy),
        ):
            undelete(keeper.request, keeper.undelete_tools, planned)


def test_versions_of_one_object_are_read_over_several_pages(s3: S3) -> None:
    with in_a_bucket(s3, "paged-bucket") as keeper:
        key = f"{PREFIX}data/12/{'1' * 64}"
        for number in range(4):
            keeper.put(key, b"x" * (number + 1))
            keeper.delete(key)
        keeper.put(f"{PREFIX}config2", b"not ours")
        client = s3.client()

        def few(params: dict[str, Any], **_: Any) -> None:
            params["MaxKeys"] = 3

        event = "provide-client-params.s3.ListObjectVersions"
        client.meta.events.register(event, few)
        try:
            found = {each.path: each for each in histories(keeper.s3_place, FILES)}
        finally:
            client.meta.events.unregister(event, few)
        versions = found[f"data/12/{'1' * 64}"].versions
        assert sorted(each.size for each in versions if each.size) == [1, 2, 3, 4]
        assert not versions[0].is_content
        assert len(versions) == 8
        assert "config" in found
        assert "config2" not in found


def _a_machine_that_remembers_nothing_can_do_it_too(keeper: Attacked, before: datetime) -> None:
    with open_store(keeper.folder / "new-machine", keeper.clock) as store:
        new = replace(keeper, store=store)
        planned = new.plan_undelete(before)
        assert planned.back == ()
        result = undelete(new.request, new.undelete_tools, planned)
        assert (result.outcome, result.unknown) == (Outcome.DONE, 1)


def _in_an_order_in_which_no_snapshot_lacks_its_data(planned: UndeletePlan) -> None:
    def folders(*, aside: bool) -> list[str]:
        order = [
            change.path.split("/")[0]
            for change in planned.changes
            if (change.step is Step.SET_ASIDE) is aside
        ]
        return [folder for folder, _ in groupby(order)]

    assert folders(aside=True) == ["snapshots", "key", "keys", "index", "data", "locks"]
    assert folders(aside=False) == ["data", "index", "keys", "config", "snapshots"]


def _refuse_after(place: S3Place, *, requests: int) -> S3Place:
    """Return a place whose client is told to slow down after so many changes."""
    made = iter(range(requests))
    return _refusing(place, "SlowDown", lambda _key: next(made, None) is None)


def _refusing(place: S3Place, code: str, is_refused: Callable[[str], bool]) -> S3Place:
    """Return a place whose client is answered with `code` when it would change some keys."""
    import boto3
    from botocore.config import Config

    client = boto3.session.Session(profile_name=PROFILE, region_name=REGION).client(
        "s3",
        endpoint_url=place.client.meta.endpoint_url,
        config=Config(
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            s3={"addressing_style": "path"},
        ),
    )

    def maybe_refuse(params: Any, **_: Any) -> None:
        if is_refused(params["url_path"]):
            raise ClientError({"Error": {"Code": code}}, "CopyObject")

    for operation in ("CopyObject", "DeleteObject"):
        client.meta.events.register(f"before-call.s3.{operation}", maybe_refuse)
    return replace(place, client=client)
