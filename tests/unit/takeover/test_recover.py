"""Out of a plan of another machine becomes one that works here, by the key that is at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.plan.model import Plan, RepositorySpec
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.repositories.manifests import FoundManifest
from dr_orchestrator.settings import settings_in
from dr_orchestrator.takeover.found import FoundPractice
from dr_orchestrator.takeover.recover import (
    Opened,
    Recovery,
    plan_from_here,
    repository_name,
    require_harmless,
    write_folder,
)
from dr_orchestrator.takeover.recovered_folder import RecoveredFolder
from dr_orchestrator.takeover.saved_evidence import SavedEvidence
from tests.support.evidence import full_id
from tests.support.kits import manifest_of

PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  onsite:
    location: /srv/restic/riverside
    password: {file: /etc/dro/keys/onsite, obtain: the safe}
  offsite:
    location: "s3:https://s3.amazonaws.com/riverside-dr"
    password: {file: /etc/dro/keys/offsite, obtain: the vault}
    credentials: {aws_profile: riverside}
    object_lock: {mode: compliance, days: 60}
systems:
  emr: {rto: 4h, rpo: 1h, assets: {files: {kind: files, path: /srv/emr}}}
"""
KEY = SecretReference(file="/recovered/keys/x")


def found(text: str = PLAN, **more: Any) -> FoundPractice:
    loaded = read_plan(text.encode(), "plan")
    plain = FoundPractice(
        manifest=FoundManifest(manifest_of({}), full_id("m"), full_id("sha"), "/m"),
        loaded=loaded,
        runbooks={"lost.yaml": b"title: Lost\n", "note.md": b"# Note\n"},
        packs={"own.yaml": b"name: own\n"},
        evidence=SavedEvidence(),
        points=(),
        manifests=frozenset(),
        doubts=(),
    )
    return replace(plain, **more)


def here(location: str) -> RepositorySpec:
    return Opened(location=location, password=Secret("k")).as_in_a_plan(KEY, KEY)


def changed(name: str, location: str) -> Plan:
    return read_plan(plan_from_here(found().loaded.plan, name, here(location)).encode(), "x").plan


def test_repository_is_reached_as_it_was_now_and_all_else_stays() -> None:
    plan = changed("offsite", "s3:https://s3.eu-west-1.amazonaws.com/copy-of-it")

    spec = plan.repositories["offsite"]
    assert spec.location == "s3:https://s3.eu-west-1.amazonaws.com/copy-of-it"
    assert (spec.password.file, spec.password.obtain) == ("/recovered/keys/x", "the vault")
    assert spec.credentials.aws_profile is None
    assert spec.object_lock is not None
    assert plan.repositories["onsite"] == found().loaded.plan.repositories["onsite"]
    assert plan.systems == found().loaded.plan.systems


def test_what_does_not_hold_of_another_kind_of_place_is_left_out() -> None:
    spec = changed("offsite", "/media/usb/riverside").repositories["offsite"]

    assert spec.location == "/media/usb/riverside"
    assert spec.object_lock is None
    assert spec.password.obtain == "the vault"


def test_login_of_a_rest_server_is_a_key_of_the_folder() -> None:
    opened = Opened(
        location="rest:https://host/x",
        password=Secret("k"),
        rest_user="ada",
        rest_password=Secret("p"),
    )

    spec = opened.as_in_a_plan(KEY, SecretReference(file="/recovered/keys/x.rest"))

    assert spec.credentials.user == "ada"
    assert spec.credentials.password == SecretReference(file="/recovered/keys/x.rest")


class Called(SavedEvidence):
    """Evidence that says how plans called a repository."""

    def called(self, snapshots: object) -> frozenset[str]:
        return frozenset({"offsite", "burnt"})


def test_repository_name_is_what_the_evidence_says() -> None:
    assert repository_name(found(evidence=Called()), "/media/usb", None) == "offsite"


def test_repository_name_is_the_stated_one_before_all() -> None:
    assert repository_name(found(evidence=Called()), "/media/usb", "onsite") == "onsite"
    with pytest.raises(UsageMistake, match="no repository nowhere"):
        repository_name(found(), "/media/usb", "nowhere")


def test_repository_name_is_the_one_at_that_location_or_the_only_one() -> None:
    alone = PLAN[: PLAN.index("  offsite:")] + PLAN[PLAN.index("systems:") :]

    assert repository_name(found(), "/srv/restic/riverside", None) == "onsite"
    assert repository_name(found(alone), "/media/usb", None) == "onsite"
    with pytest.raises(UsageMistake, match="which repository of the plan is it"):
        repository_name(found(), "/media/usb", None)


def test_plan_that_could_run_something_anyhow_is_refused() -> None:
    require_harmless(found())
    hostile = PLAN.replace("s3:https://s3.amazonaws.com/riverside-dr", "rclone::sftp,ssh=sh:/x")
    hostile = hostile.replace("    object_lock: {mode: compliance, days: 60}\n", "")

    with pytest.raises(UsageMistake, match=r"could run a program: repositories\.offsite"):
        require_harmless(found(hostile))


@pytest.mark.parametrize("allowed", [True, False])
def test_write_folder_writes_a_machine_to_go_on_from(tmp_path: Path, allowed: bool) -> None:
    folder = RecoveredFolder(tmp_path / "recovered: #1")
    opened = Opened(location="/media/usb/riverside", password=Secret("the key"))

    write_folder(
        Recovery(
            found=found(),
            opened=opened,
            repository="onsite",
            folder=folder,
            commands_allowed=allowed,
            reads_allowed=allowed,
        )
    )

    settings = settings_in(folder.settings)
    assert settings.commands_allowed is allowed
    assert settings.plans == folder.path / "plans"
    assert {settings.state.parent, settings.sandbox_directory.parent} == {folder.path}
    assert folder.key("onsite").read_text() == "the key\n"
    plan = read_plan((settings.plans / "riverside.yaml").read_bytes(), "x").plan
    assert plan.repositories["onsite"].password.file == str(folder.key("onsite"))
    there = "/etc/dro/keys/offsite" if allowed else folder.key("repositories.offsite.password")
    assert plan.repositories["offsite"].password.file == str(there)
    assert {str(each.relative_to(folder.path)) for each in folder.path.rglob("*.*")} == {
        "dro.yaml",
        "recovered.json",
        "plans/riverside.yaml",
        "plans/packs/own.yaml",
        "runbooks/lost.yaml",
        "runbooks/note.md",
    }
    assert folder.begun("/media/usb/riverside") is not None
