"""`dro repository prepare` and the doctor, with buckets of a real server of S3."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from click.testing import CliRunner, Result

from dr_orchestrator.app import App
from dr_orchestrator.aws import AwsAccess, aws_client
from dr_orchestrator.cli import repository as repository_command
from dr_orchestrator.cli.main import Context
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.doctor.buckets import look_at_bucket_settings
from dr_orchestrator.doctor.complaint import Complaint, Kind, Severity
from dr_orchestrator.doctor.examine import examine
from dr_orchestrator.doctor.instruments import Patient
from dr_orchestrator.errors import ExitCode, StorageUnusable, UsageMistake
from dr_orchestrator.repositories.bucket import Setting, Wanted, wanted_bucket
from dr_orchestrator.repositories.bucket_policy import backup_policy, maintenance_policy
from dr_orchestrator.repositories.bucket_settings import look_at_bucket, make_bucket, mend_bucket
from dr_orchestrator.repositories.s3_place import S3Place, s3_location
from dr_orchestrator.settings import load_settings
from tests.support.clock import FakeClock
from tests.support.s3 import PROFILE, S3, s3_server

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
"""Still the 21st at the practice."""
BOUND = "2026-12-21"
PLAN = """\
version: 1
practice: {{id: riverside, name: Riverside, timezone: America/Chicago}}
repositories:
  onsite: {{location: {folder}/onsite, password: {{file: {folder}/key}}}}
  offsite:
    location: {location}
    password: {{file: {folder}/key}}
    credentials: {{aws_profile: backup}}
    maintenance: {{credentials: {{aws_profile: upkeep}}}}
    {lock}
systems:
  emr:
    rto: 4h
    rpo: 1h
    backup: {{schedule: every 30m, to: [onsite], copy_to: [offsite]}}
    assets:
      documents: {{kind: files, path: /srv/documents}}
"""
COMPLIANCE = "object_lock: {mode: compliance, days: 30}"
GOVERNANCE = "object_lock: {mode: governance, days: 30}"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        where = s3_location(server.location("*", "dro"))
        server.add_user("backup", json.dumps(backup_policy(where, None)))
        server.add_user("upkeep", json.dumps(maintenance_policy(where, None)))
        yield server


@dataclass(frozen=True)
class Machine:
    """A machine with one plan, whose copies go to a bucket."""

    folder: Path
    s3: S3
    bucket: str
    client: Any
    """One and the same, in which a test may spoil an answer."""

    def plan_says(self, lock: str) -> None:
        (self.folder / "plans").mkdir(exist_ok=True)
        (self.folder / "key").write_text("a key of the tests")
        (self.folder / "key").chmod(0o600)
        location = self.s3.location(self.bucket, "dro")
        plan = PLAN.format(folder=self.folder, location=location, lock=lock)
        (self.folder / "plans" / "riverside.yaml").write_text(plan)
        paths = {name: str(self.folder / name) for name in ("plans", "state", "cache")}
        (self.folder / "dro.yaml").write_text(json.dumps(paths))

    def prepare(self, *words: str, typed: str = "") -> Result:
        """Run the command at the fixed time; an error of ours is the result's exception."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DRO_SETTINGS", str(self.folder / "dro.yaml"))
            context = Context(json="--json" in words)
            context.clock = FakeClock(NOW)
            try:
                return CliRunner().invoke(
                    repository_command.command,
                    ("prepare", *words),
                    obj=context,
                    input=typed,
                    standalone_mode=False,
                )
            finally:
                context.close()

    @contextlib.contextmanager
    def patient(self) -> Iterator[Patient]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DRO_SETTINGS", str(self.folder / "dro.yaml"))
            (self.folder / "state").mkdir(exist_ok=True)
            app = App(load_settings(), FakeClock(NOW))
        with contextlib.closing(app):
            record = PracticeRecord(
                practice="riverside", first_seen={}, points=(), tests=(), last_runs=()
            )
            (loaded,) = app.plans(("riverside",))
            yield Patient(loaded=loaded, record=record, tools=app._doctor_tools())

    def complaints(self) -> list[Complaint]:
        """Return what the doctor says of the bucket as if it were Amazon's, and reached by TLS."""
        with self.patient() as patient:
            tools = replace(patient.tools, place=lambda *_: self.place())
            return list(look_at_bucket_settings(replace(patient, tools=tools), "offsite"))

    def place(self) -> S3Place:
        location = replace(s3_location(self.s3.location(self.bucket, "dro")), endpoint=None)
        return S3Place(name="offsite", location=location, client=self.client)

    def wanted(self) -> Wanted:
        with self.patient() as patient:
            return wanted_bucket(patient.plan.repositories["offsite"], self.place().location)

    def mend(self) -> None:
        """Bring the bucket to what the plan says, as if it were Amazon's."""
        place, wanted = self.place(), self.wanted()
        if look_at_bucket(place) is None:
            make_bucket(place, wanted)
        mend_bucket(place, wanted, FakeClock(NOW), on_change=lambda _: None)


@pytest.fixture
def machine(tmp_path: Path, s3: S3, request: pytest.FixtureRequest) -> Machine:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[-50:].strip("-")
    made = Machine(tmp_path, s3, f"b-{name}", s3.client())
    made.plan_says(COMPLIANCE)
    return made


def bucket_of(result: Result) -> Any:
    assert result.exception is None, result.exception
    return json.loads(result.stdout)["bucket"]


def test_prepare_makes_a_bucket_and_changes_nothing_the_second_time(
    machine: Machine, s3: S3
) -> None:
    with s3.enforcing():
        first = machine.prepare("--yes-until", BOUND, "--json")
        second = machine.prepare("--json")
    made = bucket_of(first)
    assert (made["made"], made["bound_until"], made["left"]) == (True, BOUND, [])
    assert {each["setting"] for each in made["changed"]} >= {"public-access", "object-lock"}
    again = bucket_of(second)
    assert (again["made"], again["changed"], again["bound_until"]) == (False, [], None)
    assert (first.return_value, second.return_value) == (ExitCode.OK, ExitCode.OK)
    assert "nothing to change" in machine.prepare().stdout
    lock = machine.client.get_object_lock_configuration(Bucket=machine.bucket)
    retention = lock["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("COMPLIANCE", 30)


@pytest.mark.parametrize("typed", ["", "2026-12-22\n"])
def test_prepare_changes_nothing_until_the_date_is_typed(machine: Machine, typed: str) -> None:
    refused = machine.prepare(typed=typed)
    assert isinstance(refused.exception, UsageMistake)
    assert BOUND in refused.stderr
    assert look_at_bucket(machine.place()) is None
    assert machine.prepare(typed=f"{BOUND}\n").return_value is ExitCode.OK


def test_prepare_asks_for_nothing_in_governance_mode(machine: Machine) -> None:
    machine.plan_says(GOVERNANCE)
    assert bucket_of(machine.prepare("--json"))["bound_until"] is None
    machine.plan_says(COMPLIANCE)
    assert isinstance(machine.prepare().exception, UsageMistake)


def test_prepare_leaves_what_is_stricter_and_says_so(machine: Machine, s3: S3) -> None:
    s3.make_bucket(machine.bucket, lock=True, days=90)
    machine.plan_says(GOVERNANCE)
    result = machine.prepare("--json")
    stricter = [{"setting": "object-lock", "found": "compliance, 90 days"}]
    said = bucket_of(result)["stricter"]
    assert [{key: each[key] for key in ("setting", "found")} for each in said] == stricter
    assert "stays so" in result.stderr
    assert Kind.BUCKET_STRICTER in {each.kind for each in machine.complaints()}


def test_prepare_says_what_to_do_where_storage_refuses_a_lock(machine: Machine, s3: S3) -> None:
    s3.make_bucket(machine.bucket)
    machine.client.put_object(Bucket=machine.bucket, Key="dro/config", Body=b"")
    refused = machine.prepare("--yes-until", BOUND).exception
    assert isinstance(refused, StorageUnusable)
    assert "name another bucket" in refused.hint


def test_prepare_prints_policies_without_a_key_or_a_bucket(machine: Machine) -> None:
    machine.s3.credentials.rename(machine.s3.credentials.with_suffix(".away"))
    try:
        policies = json.loads(machine.prepare("--policy", "--json").stdout)["policies"]
    finally:
        machine.s3.credentials.with_suffix(".away").rename(machine.s3.credentials)
    where = s3_location(machine.s3.location(machine.bucket, "dro"))
    assert policies["backup"] == backup_policy(where, None)
    assert policies["maintenance"] == maintenance_policy(where, None)
    assert look_at_bucket(machine.place()) is None


def test_prepare_needs_the_maintenance_credential(machine: Machine, s3: S3) -> None:
    s3.make_bucket(machine.bucket)
    plan = machine.folder / "plans" / "riverside.yaml"
    plan.write_text(plan.read_text().replace("aws_profile: upkeep", "aws_profile: backup"))
    with s3.enforcing():
        refused = machine.prepare("--yes-until", BOUND).exception
        with machine.patient() as patient:
            said = list(look_at_bucket_settings(patient, "offsite"))
    assert isinstance(refused, StorageUnusable)
    assert "--policy" in refused.hint
    assert [each.kind for each in said] == [Kind.BUCKET_UNSEEN]


@contextlib.contextmanager
def answering(client: Any, call: str, status: int, code: str) -> Iterator[None]:
    """Have a call of S3 answered as other storage would."""
    body = f"<Error><Code>{code}</Code></Error>".encode()

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield body

    def answer(request: Any, **_: object) -> AWSResponse:
        return AWSResponse(request.url, status, {}, Raw())

    client.meta.events.register_first(f"before-send.s3.{call}", answer)
    try:
        yield
    finally:
        client.meta.events.unregister(f"before-send.s3.{call}", answer)


def test_bucket_of_somebody_else_is_not_taken(machine: Machine) -> None:
    with (
        answering(machine.client, "CreateBucket", 409, "BucketAlreadyExists"),
        pytest.raises(StorageUnusable, match="belongs to somebody else"),
    ):
        machine.mend()


def test_bucket_of_our_own_is_made_use_of(machine: Machine, s3: S3) -> None:
    s3.make_bucket(machine.bucket)
    with answering(machine.client, "CreateBucket", 409, "BucketAlreadyOwnedByYou"):
        make_bucket(machine.place(), machine.wanted())
    machine.mend()
    assert machine.complaints() == []


def test_bucket_is_made_in_its_region(machine: Machine, s3: S3) -> None:
    access = AwsAccess(profile=PROFILE, endpoint=s3.endpoint, region="eu-central-1")
    replace(machine, client=aws_client("s3", access)).mend()
    where = machine.client.get_bucket_location(Bucket=machine.bucket)["LocationConstraint"]
    assert where == "eu-central-1"


def test_setting_that_storage_does_not_know_is_said_and_no_fault(machine: Machine) -> None:
    with answering(machine.client, "GetPublicAccessBlock", 501, "NotImplemented"):
        machine.mend()
        said = machine.complaints()
    assert [(each.kind, each.severity) for each in said] == [(Kind.BUCKET_NOT_KNOWN, Severity.NOTE)]


def test_storage_without_object_lock_cannot_be_prepared(machine: Machine, s3: S3) -> None:
    s3.make_bucket(machine.bucket)
    with answering(machine.client, "GetObjectLockConfiguration", 405, "MethodNotAllowed"):
        with pytest.raises(StorageUnusable, match="no object lock"):
            machine.mend()
        kinds = {each.kind for each in machine.complaints() if "object lock" in each.what}
    assert kinds == {Kind.BUCKET_UNSEEN}
    assert not look_at_bucket(machine.place())[Setting.PUBLIC_ACCESS]  # type: ignore[index]


RULE_OF_OTHERS = {"ID": "old", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}


def expire(client: Any, bucket: str) -> None:
    rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [*rules, RULE_OF_OTHERS]}
    )


SPOILT: Mapping[Kind, Callable[[Any, str], object]] = {
    Kind.BUCKET_PUBLIC: lambda s3, bucket: s3.delete_public_access_block(Bucket=bucket),
    Kind.BUCKET_VERSIONING: lambda s3, bucket: s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    ),
    Kind.BUCKET_LOCK: lambda s3, bucket: s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    ),
    Kind.BUCKET_TLS: lambda s3, bucket: s3.delete_bucket_policy(Bucket=bucket),
    Kind.BUCKET_ENCRYPTION: lambda s3, bucket: s3.delete_bucket_encryption(Bucket=bucket),
    Kind.BUCKET_LIFECYCLE: lambda s3, bucket: s3.delete_bucket_lifecycle(Bucket=bucket),
}


def test_doctor_names_each_setting_that_was_changed_with_its_fix(machine: Machine) -> None:
    missing = machine.complaints()
    assert [each.kind for each in missing] == [Kind.BUCKET_MISSING]
    machine.mend()
    assert machine.complaints() == []
    for kind, spoil in SPOILT.items():
        spoil(machine.client, machine.bucket)
        (complaint,) = machine.complaints()
        assert complaint.kind is kind
        assert "`dro repository prepare riverside --repository offsite`" in complaint.do
        machine.mend()
        assert machine.complaints() == []
    expire(machine.client, machine.bucket)
    (complaint,) = machine.complaints()
    assert (complaint.kind, complaint.severity) == (Kind.BUCKET_EXPIRY, Severity.FAILS)
    assert complaint.do.startswith("remove the rule")


def test_prepare_leaves_a_rule_of_others_to_a_person(machine: Machine) -> None:
    machine.prepare("--yes-until", BOUND)
    expire(machine.client, machine.bucket)
    result = machine.prepare("--json")
    assert result.return_value is ExitCode.PARTIAL
    assert [each["setting"] for each in bucket_of(result)["left"]] == ["expiry"]
    rules = machine.client.get_bucket_lifecycle_configuration(Bucket=machine.bucket)["Rules"]
    assert "old" in {each["ID"] for each in rules}


def test_doctor_looks_at_no_bucket_that_the_plan_says_nothing_of(machine: Machine) -> None:
    for lock, looks in (("", False), (COMPLIANCE, True)):
        machine.plan_says(lock)
        with machine.patient() as patient:
            made = patient.tools
            found = examine(("riverside",), made.settings, lambda: made, lambda *_: 0, bool)  # noqa: B023 - called at once
        assert (Kind.BUCKET_MISSING in {each.kind for each in found.complaints}) is looks
