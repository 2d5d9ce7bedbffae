from __future__ import annotations

import json
from typing import Any

import pytest

from dr_orchestrator.repositories.bucket_policy import (
    Policy,
    backup_policy,
    has_tls_only,
    maintenance_policy,
    with_tls_only,
)
from dr_orchestrator.repositories.s3_place import S3Location, s3_location

WHERE = s3_location("s3:https://s3.eu-central-1.amazonaws.com/riverside-dr/dro")
WHOLE = s3_location("s3:https://s3.eu-central-1.amazonaws.com/riverside-dr")
BUCKET = "arn:aws:s3:::riverside-dr"


def statement(policy: Policy, name: str) -> dict[str, Any]:
    (found,) = [each for each in policy["Statement"] if each["Sid"] == name]
    return dict(found)


def test_backup_policy_lets_nothing_be_removed_but_locks() -> None:
    policy = backup_policy(WHERE, None)
    allowed = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    removing = [each for each in allowed if any("Delete" in action for action in each["Action"])]
    assert removing == [statement(policy, "Unlock")]
    assert removing[0]["Action"] == ["s3:DeleteObject"]
    assert removing[0]["Resource"] == [f"{BUCKET}/dro/locks/*"]


def test_backup_policy_denies_outright_what_would_undo_protection() -> None:
    never = statement(backup_policy(WHERE, None), "Never")
    assert never["Effect"] == "Deny"
    assert never["Resource"] == [BUCKET, f"{BUCKET}/*"]
    assert {
        "s3:BypassGovernanceRetention",
        "s3:DeleteBucket",
        "s3:DeleteObjectVersion",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutBucketPolicy",
        "s3:PutBucketVersioning",
        "s3:PutLifecycleConfiguration",
        "s3:PutObjectRetention",
    } <= set(never["Action"])


def test_maintenance_policy_never_ends_a_lock_before_its_time() -> None:
    never = statement(maintenance_policy(WHERE, None), "Never")
    assert "s3:BypassGovernanceRetention" in never["Action"]
    maintain = statement(maintenance_policy(WHERE, None), "Maintain")
    assert maintain["Resource"] == [f"{BUCKET}/dro/*"]


@pytest.mark.parametrize("of", [backup_policy, maintenance_policy])
def test_policy_lists_no_further_than_the_prefix(of: Any) -> None:
    listing = statement(of(WHERE, None), "List")
    assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": ["dro/*"]}}
    assert "Condition" not in statement(of(WHOLE, None), "List")


@pytest.mark.parametrize(
    ("key", "resource"),
    [
        ("1234abcd-12ab", "arn:aws:kms:*:*:key/1234abcd-12ab"),
        ("arn:aws:kms:eu-central-1:1:key/1234", "arn:aws:kms:eu-central-1:1:key/1234"),
        ("alias/dro", "arn:aws:kms:*:*:key/*"),
        ("arn:aws:kms:eu-central-1:1:alias/dro", "arn:aws:kms:*:*:key/*"),
    ],
)
def test_policy_lets_s3_encrypt_with_one_key_only(key: str, resource: str) -> None:
    encrypt = statement(backup_policy(WHERE, key), "Encrypt")
    assert encrypt["Resource"] == [resource]
    named = encrypt.get("Condition", {}).get("ForAnyValue:StringEquals", {})
    assert named == ({"kms:ResourceAliases": "alias/dro"} if "alias" in key else {})


@pytest.mark.parametrize(
    ("host", "partition"),
    [
        ("s3.cn-north-1.amazonaws.com.cn", "aws-cn"),
        ("s3.us-gov-west-1.amazonaws.com", "aws-us-gov"),
        ("s3.amazonaws.com", "aws"),
        ("s3.example.com", "aws"),
    ],
)
def test_policy_names_the_bucket_in_its_part_of_the_world(host: str, partition: str) -> None:
    find = statement(backup_policy(s3_location(f"s3:https://{host}/riverside-dr"), None), "Find")
    assert find["Resource"] == [f"arn:{partition}:s3:::riverside-dr"]


OTHER = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:PutBucketAcl"}
STRICT: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "s3:*",
    "Resource": [f"{BUCKET}/*", BUCKET],
    "Condition": {"Bool": {"aws:securetransport": False}},
}


def test_tls_only_is_added_beside_what_others_wrote() -> None:
    theirs = {"Version": "2008-10-17", "Id": "theirs", "Statement": OTHER}
    policy = with_tls_only(theirs, WHERE)
    assert policy["Statement"][0] == OTHER
    assert (policy["Version"], policy["Id"]) == ("2008-10-17", "theirs")
    assert has_tls_only(policy, WHERE)
    assert with_tls_only(policy, WHERE) == policy
    assert json.loads(json.dumps(policy)) == policy


def test_tls_only_is_recognised_as_others_write_it() -> None:
    assert has_tls_only({"Statement": STRICT}, WHERE)


@pytest.mark.parametrize(
    "looser",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::1:user/one"}},
        {"Action": "s3:GetObject"},
        {"Resource": f"{BUCKET}/*"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {**STRICT["Condition"], "StringEquals": {"aws:username": "one"}}},
    ],
)
def test_tls_only_is_not_seen_in_what_lets_some_in(looser: dict[str, Any]) -> None:
    assert not has_tls_only({"Statement": [{**STRICT, **looser}]}, WHERE)
    assert not has_tls_only({}, S3Location(endpoint=None, region=None, bucket="b", prefix=""))
