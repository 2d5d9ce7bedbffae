"""What the two credentials of a bucket may do, with restic and a server that holds them to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dr_orchestrator.repositories.bucket_policy import backup_policy, maintenance_policy
from dr_orchestrator.repositories.s3_place import s3_location
from tests.support.restic import Bench, RawRestic, bench
from tests.support.s3 import S3, s3_server
from tests.support.tools import require_tool

__all__ = ["bench"]
BUCKET = "riverside-backups"
PREFIX = "dro"
UNTIL = "2036-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    require_tool("restic")
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.make_bucket(BUCKET, lock=True)
        where = s3_location(server.location(BUCKET, PREFIX))
        server.add_user("backup", json.dumps(backup_policy(where, None)))
        server.add_user("upkeep", json.dumps(maintenance_policy(where, None)))
        yield server


def restic(bench: Bench, s3: S3, profile: str) -> RawRestic:
    return bench.raw(
        s3.location(BUCKET, PREFIX),
        AWS_PROFILE=profile,
        AWS_SHARED_CREDENTIALS_FILE=str(s3.credentials),
        AWS_DEFAULT_REGION="us-east-1",
        NO_PROXY="127.0.0.1",
    )


def test_policies_let_restic_work_and_keep_what_was_saved(bench: Bench, s3: S3) -> None:
    with s3.enforcing():
        backup, upkeep = restic(bench, s3, "backup"), restic(bench, s3, "upkeep")
        backup.run("init")
        backup.run("backup", str(bench.tree()))
        backup.run("check", "--read-data")
        backup.run("restore", "latest", "--target", str(bench.folder / "restored"))
        upkeep.run("forget", "latest")
        upkeep.run("prune")
        listed = s3.client(profile="upkeep").list_object_versions(Bucket=BUCKET, Prefix=PREFIX)
    deleted = {each["Key"] for each in listed["DeleteMarkers"] if each["IsLatest"]}
    kept = {each["Key"] for each in listed["Versions"]}
    assert {key.split("/")[1] for key in deleted} == {"data", "index", "locks", "snapshots"}
    assert deleted <= kept
    assert {key.split("/")[1] for key in kept - deleted} == {"config", "index", "keys"}


FORBIDDEN: dict[str, dict[str, Any]] = {
    "delete_object": {"Key": f"{PREFIX}/config"},
    "delete_bucket": {},
    "delete_bucket_policy": {},
    "delete_bucket_lifecycle": {},
    "delete_bucket_encryption": {},
    "delete_public_access_block": {},
    "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Suspended"}},
    "put_object_lock_configuration": {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
    "put_bucket_policy": {"Policy": "{}"},
    "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": []}},
    "put_object_retention": {
        "Key": f"{PREFIX}/config",
        "Retention": {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL},
    },
    "get_bucket_policy": {},
    "list_object_versions": {},
}


@pytest.mark.parametrize("call", FORBIDDEN)
def test_backup_policy_refuses(s3: S3, call: str) -> None:
    assert refused(s3, "backup", call, **FORBIDDEN[call])


def test_backup_policy_refuses_what_is_not_below_its_prefix(s3: S3) -> None:
    for call in ("get_object", "put_object", "delete_object"):
        assert refused(s3, "backup", call, Key="of-others/locks/1")
        assert refused(s3, "upkeep", call, Key="of-others/locks/1")


def test_no_policy_lets_a_locked_version_go(s3: S3) -> None:
    version = put(s3, f"{PREFIX}/data/1")
    for profile in ("backup", "upkeep"):
        assert refused(s3, profile, "delete_object", Key=f"{PREFIX}/data/1", VersionId=version)
    for call in ("delete_bucket", "delete_bucket_policy"):
        assert refused(s3, "upkeep", call)


def test_maintenance_policy_brings_back_what_was_deleted(s3: S3) -> None:
    key = f"{PREFIX}/data/2"
    put(s3, key)
    with s3.enforcing():
        client = s3.client(profile="upkeep")
        marker = client.delete_object(Bucket=BUCKET, Key=key)["VersionId"]
        client.delete_object(Bucket=BUCKET, Key=key, VersionId=marker)
        assert client.head_object(Bucket=BUCKET, Key=key)["ObjectLockMode"] == "COMPLIANCE"
        retention = {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL}
        client.put_object_retention(Bucket=BUCKET, Key=key, Retention=retention)


def put(s3: S3, key: str) -> str:
    saved = s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"", ChecksumAlgorithm="SHA256")
    return str(saved["VersionId"])


def refused(s3: S3, profile: str, call: str, **asked: object) -> bool:
    with s3.enforcing():
        try:
            getattr(s3.client(profile=profile), call)(Bucket=BUCKET, **asked)
        except ClientError as error:
            return str(error.response["Error"]["Code"]) == "AccessDenied"
    return False
