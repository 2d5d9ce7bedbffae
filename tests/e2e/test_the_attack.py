"""An attacker has the backup credential and the repository's password, and an hour.

He deletes and overwrites what he can and uploads what was never backed up, with commands in it.
Nothing verified is lost, nothing of his runs, it is told, and the repository comes back.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from tests.support.s3 import REGION, S3, s3_server
from tests.support.site import MARKER, SMALL_EMR, Ended, Site, make_small_practice, new_site

pytestmark = pytest.mark.timeout(600)

BUCKET, PREFIX = "riverside-backups", "dro/"
DAYS = 30
BACKUP, MAINTENANCE = "backup", "upkeep"
_REPOSITORIES = """\
  offsite:
    location: {location}
    password: {{file: {key}}}
    credentials: {{aws_profile: backup}}
    object_lock: {{mode: compliance, days: 30}}
    maintenance: {{credentials: {{aws_profile: upkeep}}}}
"""
GARBAGE = b"garbage" * 40


@dataclass(frozen=True)
class Practice:
    """A machine that copies what it saves to a bucket, and whoever got hold of its keys."""

    site: Site
    s3: S3

    def dro(self, *words: str) -> Ended:
        return self.site.dro(
            *words,
            AWS_SHARED_CREDENTIALS_FILE=str(self.s3.credentials),
            AWS_DEFAULT_REGION=REGION,
            NO_PROXY="127.0.0.1",
        )

    def offsite(self, *words: str) -> Ended:
        return self.dro(*words, "riverside", "--repository", "offsite", "--json")

    def versions(self) -> list[tuple[str, str]]:
        """Return every version of every object: key and id."""
        pages = self.s3.client(profile=MAINTENANCE).get_paginator("list_object_versions")
        found = pages.paginate(Bucket=BUCKET, Prefix=PREFIX)
        return [(v["Key"], v["VersionId"]) for page in found for v in page.get("Versions", ())]

    def problems(self) -> list[dict[str, Any]]:
        """Return what needs a person, as the scheduler finds it."""
        ran = self.dro("schedule", "run", "--once")
        assert (ran.code, "error" in ran.stderr) == (0, False), ran.said
        found: list[dict[str, Any]] = self.dro("ack", "--json").json["problems"]
        return found


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with s3_server(tmp_path_factory.mktemp("s3")) as s3, new_site() as site:
        make_small_practice(site)
        emr = SMALL_EMR.format(database=site.database, documents=site.documents, marker=MARKER)
        site.write_plan(
            # so long that nothing comes due while the test runs
            emr.replace("rpo: 1h", "rpo: 15d")
            + '    backup: {schedule: "Sun 05:00", copy_to: [offsite]}\n',
            repositories=_REPOSITORIES.format(location=s3.location(BUCKET, PREFIX), key=site.key),
        )
        practice = Practice(site, s3)
        printed = practice.dro("repository", "prepare", "riverside", "--policy", "--json")
        assert printed.code == 0, printed.said
        for user, policy in ((BACKUP, "backup"), (MAINTENANCE, "maintenance")):
            s3.add_user(user, json.dumps(printed.json["policies"][policy]))
        with s3.enforcing():
            yield practice


def test_an_attack_with_the_backup_credential_is_survived(practice: Practice) -> None:
    newest = _make_it_safe(practice)
    verified = practice.versions()
    before = _next_second()
    ran = practice.site.folder / "the-attacker-was-here"

    _forge(practice, ran)
    _nothing_of_his_is_run_or_believed(practice, newest, ran)
    frozen = practice.offsite("repository", "check")
    assert frozen.code == 4, frozen.said
    assert frozen.json["checks"][0]["suspicious"]

    succeeded = _destroy_all_that_can_be(practice)
    assert succeeded == {"overwrite", "delete a lock"}
    assert set(verified) <= set(practice.versions()), "something verified is lost"
    broken = practice.offsite("repository", "check")
    assert broken.code == 1, broken.said
    told = [each for each in practice.problems() if "offsite" in each["what"]]
    assert {each["kind"] for each in told} >= {"suspicious", "failure"}, told

    shown = practice.offsite("repository", "undelete", "--show")
    assert shown.code == 0, shown.said
    assert datetime.fromisoformat(shown.json["first"]) >= before
    assert len(shown.json["strange"]) == 2, "his manifest, and what it names"
    _back_from_it(practice, before, newest)
    assert set(verified) <= set(practice.versions())
    assert not ran.exists()
    assert practice.site.leftovers() == []


def _make_it_safe(practice: Practice) -> str:
    """Prepare the bucket, back up, copy, prove the copy, and prove that it cannot be destroyed.
    Return the point.
    """
    bound = datetime.now(ZoneInfo("America/Chicago")).date() + timedelta(days=DAYS)
    prepared = practice.offsite("repository", "prepare", "--yes-until", bound.isoformat())
    assert prepared.code == 0, prepared.said
    saved = practice.dro("backup", "riverside", "--json")
    assert saved.code == 0, saved.said
    assert saved.json["points"][0]["repositories"] == ["onsite", "offsite"]
    proven = practice.offsite("test")
    assert (proven.code, proven.json["tests"][0]["result"]) == (0, "passed"), proven.said
    refused = practice.offsite("repository", "immutability")
    assert refused.code == 0, refused.said
    return str(saved.json["points"][0]["id"])


def _next_second() -> datetime:
    """Wait until all that was done so far is of an earlier second; return this one."""
    now = time.time()
    time.sleep(int(now) + 1 - now)
    return datetime.now(UTC).replace(microsecond=0)


def _forge(practice: Practice, ran: Path) -> None:
    """Upload a newer point than any, with a plan and runbooks that carry commands."""
    folder = practice.site.folder / "forged"
    folder.mkdir()
    tags = ("practice=riverside", "system=emr", "point=20360101-000000-forged")
    asset = _restic(practice, "backup", "--json", *_tagged("dro=asset", *tags), str(folder))
    snapshot = json.loads(asset.splitlines()[-1])["snapshot_id"]
    (folder / "runbooks").mkdir()
    command = ["/bin/touch", str(ran)]
    (folder / "runbooks" / "restore.yaml").write_text(f"steps: [{{run: {command}}}]\n")
    (folder / "plan.yaml").write_text(
        "systems: {emr: {assets: {database: {kind: command, "
        f"capture: {command}, restore: {command}}}}}}}\n"
    )
    (folder / "manifest.json").write_text(json.dumps(_forged_manifest(practice, snapshot)))
    manifest = _tagged("dro=manifest", *tags)
    _restic(practice, "backup", *manifest, "--time", "2036-01-01 00:00:00", str(folder))


def _forged_manifest(practice: Practice, snapshot: str) -> dict[str, Any]:
    """Return a manifest as ours are, of a point that we never made."""
    site = practice.site
    mine = json.loads(site.restic("snapshots", "--json", "--tag", "dro=manifest"))[-1]
    content: dict[str, Any] = json.loads(
        site.restic("dump", mine["id"], f"{mine['paths'][0]}/manifest.json")
    )
    content |= {"point": "20360101-000000-forged", "as_of": "2036-01-01T00:00:00+00:00"}
    for asset in content["assets"].values():
        asset["snapshot"] = f"{snapshot:0<64}"
    return content


def _tagged(*tags: str) -> tuple[str, ...]:
    return ("--tag", ",".join(tags), "--host", "riverside")


def _restic(practice: Practice, *words: str) -> str:
    done = subprocess.run(
        ("restic", "--no-cache", "-r", practice.s3.location(BUCKET, PREFIX), *words),
        env={
            "PATH": os.environ["PATH"],
            "RESTIC_PASSWORD_FILE": str(practice.site.key),
            "AWS_PROFILE": BACKUP,
            "AWS_SHARED_CREDENTIALS_FILE": str(practice.s3.credentials),
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def _nothing_of_his_is_run_or_believed(practice: Practice, newest: str, ran: Path) -> None:
    rebuilt = practice.offsite("points", "rebuild")
    assert rebuilt.code in {0, 3}, rebuilt.said
    tested = practice.offsite("test")
    assert [each["point"] for each in tested.json["tests"]] == [newest], tested.said
    practice.offsite("test", "--point", "20360101")
    assert not ran.exists()


def _destroy_all_that_can_be(practice: Practice) -> set[str]:
    """Do the worst that the backup credential allows; return what succeeded."""
    client = practice.s3.client(profile=BACKUP)
    done: set[str] = set()

    def attempt(deed: str, do: Callable[..., Any], **more: Any) -> None:
        try:
            do(Bucket=BUCKET, **more)
        except ClientError:
            return
        done.add(deed)

    keys = sorted({key for key, _ in practice.versions()})
    for key, version in practice.versions():
        attempt("delete a version", client.delete_object, Key=key, VersionId=version)
    for key in keys:
        kind = "a lock" if "/locks/" in key else "a file"
        attempt(f"delete {kind}", client.delete_object, Key=key)
        attempt("overwrite", client.put_object, Key=key, Body=GARBAGE, ChecksumAlgorithm="SHA256")
    config, until = f"{PREFIX}config", datetime.now(UTC) + timedelta(minutes=1)
    attempt(
        "shorten a lock",
        client.put_object_retention,
        Key=config,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
        BypassGovernanceRetention=True,
        ChecksumAlgorithm="SHA256",
    )
    suspended = {"Status": "Suspended"}
    attempt("no versions", client.put_bucket_versioning, VersioningConfiguration=suspended)
    attempt("no locks", client.put_object_lock_configuration, ObjectLockConfiguration={})
    attempt("no policy", client.delete_bucket_policy)
    attempt("no bucket", client.delete_bucket)
    rule = {"ID": "x", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}
    attempt(
        "let it expire",
        client.put_bucket_lifecycle_configuration,
        LifecycleConfiguration={"Rules": [rule]},
    )
    return done


def _back_from_it(practice: Practice, before: datetime, newest: str) -> None:
    undelete = ("repository", "undelete", "riverside", "--repository", "offsite", "--json")
    when = ("--before", before.isoformat())
    unsure = practice.dro(*undelete, *when, "--yes", "another")
    assert (unsure.code, "nothing was changed" in unsure.said) == (2, True)

    back = practice.dro(*undelete, *when, "--yes", "riverside")

    assert back.code == 0, back.said
    (test,) = back.json["tests"]
    assert (test["result"], test["repository"], test["point"]) == ("passed", "offsite", newest)
    assert back.json["outcome"] == "done"
    assert back.json["points"]["back"] == [newest]
    files = back.json["files"]
    assert (files["lost"], files["doubtful"]) == (0, 0)
    assert min(files["copied"], files["set_aside"]) > 0
    saved = practice.dro("backup", "riverside", "--json")
    assert saved.code == 0, saved.said
