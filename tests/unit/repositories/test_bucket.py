from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.plan.model import Bucket, ObjectLock, RepositorySpec
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.repositories.bucket import (
    Found,
    Lock,
    Setting,
    Unseen,
    Wanted,
    is_described,
    judge_bucket,
    wanted_bucket,
)
from dr_orchestrator.repositories.s3_place import s3_location

LOCATION = "s3:https://s3.eu-central-1.amazonaws.com/riverside-dr/dro"
WANTED = Wanted(
    location=s3_location(LOCATION),
    lock=Lock("compliance", 30),
    kms_key=None,
    noncurrent_days=60,
)
READ = [setting for setting in Setting if setting is not Setting.EXPIRY]
WRAPPED = {
    Setting.PUBLIC_ACCESS: "PublicAccessBlockConfiguration",
    Setting.VERSIONING: "VersioningConfiguration",
    Setting.OBJECT_LOCK: "ObjectLockConfiguration",
    Setting.ENCRYPTION: "ServerSideEncryptionConfiguration",
    Setting.LIFECYCLE: "LifecycleConfiguration",
}
NEW: Found = {setting: {} for setting in READ}


def spec(**stated: Any) -> RepositorySpec:
    return RepositorySpec(location=LOCATION, password=SecretReference(env="KEY"), **stated)


def mended(wanted: Wanted, found: Found) -> Found:
    """Return what S3 would answer once every change was made."""
    after = dict(found)
    for drift in judge_bucket(wanted, found).drifts:
        change = drift.change or {}
        if drift.setting is Setting.TLS_ONLY:
            after[drift.setting] = json.loads(change["Policy"])
        elif drift.change:
            after[drift.setting] = change[WRAPPED[drift.setting]]
    return after


READY = mended(WANTED, NEW)


def drifting(wanted: Wanted, found: Found) -> set[Setting]:
    return {each.setting for each in judge_bucket(wanted, found).drifts}


def test_new_bucket_lacks_everything_and_a_mended_one_nothing() -> None:
    assert drifting(WANTED, NEW) == set(READ)
    assert judge_bucket(WANTED, READY).drifts == ()
    assert judge_bucket(WANTED, READY).binding_days is None


def test_nothing_is_tidied_up_before_what_must_stay_is_locked() -> None:
    order = [each.setting for each in judge_bucket(WANTED, NEW).drifts]
    assert order[:3] == [Setting.PUBLIC_ACCESS, Setting.VERSIONING, Setting.OBJECT_LOCK]
    assert order[-1] is Setting.LIFECYCLE


SPOILT: dict[str, tuple[Setting, dict[str, Any]]] = {
    "three blocks": (
        Setting.PUBLIC_ACCESS,
        {**READY[Setting.PUBLIC_ACCESS], "RestrictPublicBuckets": False},  # type: ignore[dict-item]
    ),
    "versioning suspended": (Setting.VERSIONING, {"Status": "Suspended"}),
    "lock without retention": (Setting.OBJECT_LOCK, {"ObjectLockEnabled": "Enabled"}),
    "policy of others": (Setting.TLS_ONLY, {"Statement": []}),
    "no encryption": (Setting.ENCRYPTION, {"Rules": []}),
    "no rule": (Setting.LIFECYCLE, {"Rules": []}),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_each_setting_is_missed_alone_and_mended(spoilt: str) -> None:
    setting, answer = SPOILT[spoilt]
    found = {**READY, setting: answer}
    assert drifting(WANTED, found) == {setting}
    assert drifting(WANTED, mended(WANTED, found)) == set()


def test_rule_of_others_is_for_a_person_to_see_to() -> None:
    rule = {"ID": "old\nones", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    rules = READY[Setting.LIFECYCLE]["Rules"]  # type: ignore[index]
    found = {**READY, Setting.LIFECYCLE: {"Rules": [rule, *rules]}}
    (drift,) = judge_bucket(WANTED, found).drifts
    assert (drift.setting, drift.change) == (Setting.EXPIRY, None)
    assert "old ones" in drift.fix


def lock(mode: str, days: int) -> dict[str, Any]:
    retention = {"Mode": mode, "Days": days}
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}


LOCKS = st.one_of(
    st.just({}),
    st.builds(lock, st.sampled_from(["GOVERNANCE", "COMPLIANCE"]), st.integers(1, 400)),
)


@given(LOCKS, st.sampled_from(["governance", "compliance"]), st.integers(1, 400))
def test_lock_is_never_loosened_and_compliance_never_begun_unasked(
    answer: dict[str, Any], mode: str, days: int
) -> None:
    wanted = replace(WANTED, lock=Lock(mode, days))
    found = {**READY, Setting.OBJECT_LOCK: answer}
    judgement = judge_bucket(wanted, found)
    after = mended(wanted, found)[Setting.OBJECT_LOCK]
    assert not isinstance(after, Unseen)
    became, before = (each.get("Rule", {}).get("DefaultRetention", {}) for each in (after, answer))
    assert became["Days"] >= max(days, before.get("Days", 0))
    strict = "COMPLIANCE" in {mode.upper(), before.get("Mode")}
    assert became["Mode"] == ("COMPLIANCE" if strict else "GOVERNANCE")
    binds = became["Days"] if strict and after != answer else None
    assert judgement.binding_days == binds
    is_stricter = before.get("Days", 0) > days or (before and strict and mode == "governance")
    assert bool(judgement.stricter) == bool(is_stricter)


def test_lock_in_years_counts_as_days() -> None:
    retention = {"Mode": "COMPLIANCE", "Years": 1, "Days": None}
    answer = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}
    judgement = judge_bucket(WANTED, {**READY, Setting.OBJECT_LOCK: answer})
    assert (judgement.drifts, judgement.binding_days) == ((), None)
    assert [each.found for each in judgement.stricter] == ["compliance, 365 days"]


def test_without_object_lock_all_the_rest_is_wanted() -> None:
    wanted = replace(WANTED, lock=None)
    assert drifting(wanted, NEW) == set(READ) - {Setting.OBJECT_LOCK}
    found = {**READY, Setting.OBJECT_LOCK: Unseen(code="NotImplemented", is_known=False)}
    assert judge_bucket(wanted, found).unseen == {}


def test_plain_http_is_not_refused_where_we_come_by_it() -> None:
    wanted = replace(WANTED, location=s3_location("s3:http://127.0.0.1:9000/riverside-dr"))
    assert Setting.TLS_ONLY not in drifting(wanted, NEW)


@pytest.mark.parametrize(
    ("wanted", "algorithm", "found", "is_right"),
    [
        (None, "AES256", None, True),
        (None, "aws:kms", "arn:aws:kms:eu-central-1:1:key/1234", True),
        ("1234", "aws:kms", "arn:aws:kms:eu-central-1:1:key/1234", True),
        ("alias/dro", "aws:kms:dsse", "arn:aws:kms:eu-central-1:1:alias/dro", True),
        ("1234", "aws:kms", "arn:aws:kms:eu-central-1:1:key/5678", False),
        ("1234", "aws:kms", None, False),
        ("1234", "AES256", None, False),
    ],
)
def test_encryption_is_with_the_key_of_the_plan(
    *, wanted: str | None, algorithm: str, found: str | None, is_right: bool
) -> None:
    by_default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": found} if found else {})}
    answer = {"Rules": [{"ApplyServerSideEncryptionByDefault": by_default}]}
    drifts = drifting(replace(WANTED, kms_key=wanted), {**READY, Setting.ENCRYPTION: answer})
    assert drifts == (set() if is_right else {Setting.ENCRYPTION})


@pytest.mark.parametrize("setting", READ)
def test_setting_that_was_not_seen_is_neither_right_nor_wrong(setting: Setting) -> None:
    unseen = Unseen(code="AccessDenied", is_known=True)
    judgement = judge_bucket(WANTED, {**READY, setting: unseen})
    assert (judgement.drifts, judgement.unseen) == ((), {setting: unseen})


def test_what_is_wanted_follows_from_the_plan() -> None:
    stated = spec(
        object_lock=ObjectLock(mode="governance", days=14),
        bucket=Bucket(keep_noncurrent=timedelta(hours=36)),
    )
    wanted = wanted_bucket(stated, s3_location(LOCATION))
    assert (wanted.lock, wanted.noncurrent_days) == (Lock("governance", 14), 16)
    assert wanted_bucket(spec(), s3_location(LOCATION)).noncurrent_days == 30


def test_bucket_is_described_where_the_plan_says_something_of_it() -> None:
    assert not is_described(spec())
    assert is_described(spec(bucket=Bucket()))
    assert is_described(spec(object_lock=ObjectLock(mode="governance", days=14)))
