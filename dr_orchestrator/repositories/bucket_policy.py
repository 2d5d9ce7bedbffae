"""What each credential of a repository in S3 may do, as IAM policies; and a bucket's own policy.

An attacker is thought to hold the backup credential: it adds to the repository, reads it, and
removes nothing but restic's locks. The other one looks after the bucket and removes what retention
lets go of; it cannot end a lock before its time either.

Sources: AWS's Service Authorization Reference, "Actions, resources, and condition keys for Amazon
S3"; S3 user guide, "Required permissions for Amazon S3 API operations". Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dr_orchestrator.repositories.s3_place import S3Location

Policy = dict[str, Any]
"""A policy, as `json.dumps` writes it."""
_TLS_ONLY = "DroTlsOnly"

_NEVER = ("s3:BypassGovernanceRetention", "s3:DeleteBucket", "s3:DeleteBucketPolicy")
"""What nobody's unattended credential needs, ever."""
_SETTINGS = (
    "BucketObjectLockConfiguration",
    "BucketPolicy",
    "BucketPublicAccessBlock",
    "BucketVersioning",
    "EncryptionConfiguration",
    "LifecycleConfiguration",
)
"""What protects a bucket, after `s3:Get` or `s3:Put`."""
_SET = tuple(f"s3:Put{setting}" for setting in _SETTINGS)


def backup_policy(location: S3Location, kms_key: str | None) -> Policy:
    """Return what the backup credential needs, with what must never be its right denied outright,
    so that no other policy of the same user grants it by mistake.
    """
    bucket, below = _resources(location)
    denied = (
        *_NEVER,
        *_SET,
        *("s3:DeleteObjectVersion", "s3:PutObjectLegalHold", "s3:PutObjectRetention"),
        *("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
        *("s3:PutBucketAcl", "s3:PutBucketOwnershipControls", "s3:PutReplicationConfiguration"),
    )
    return _policy(
        _list(location, "s3:ListBucket"),
        _statement("Find", ("s3:GetBucketLocation",), bucket),
        _statement("Save", ("s3:GetObject", "s3:GetObjectRetention", "s3:PutObject"), f"{below}*"),
        _statement("Unlock", ("s3:DeleteObject",), f"{below}locks/*"),
        *_encrypt(location, kms_key),
        _statement("Never", denied, bucket, f"{bucket}/*", effect="Deny"),
    )


def maintenance_policy(location: S3Location, kms_key: str | None) -> Policy:
    """Return what is needed to forget, prune, renew locks, bring back what was deleted, and prepare
    the bucket.

    `s3:DeleteObjectVersion` removes delete markers; of IAM's conditions none tells these from other
    versions, so versions whose lock ran out can be removed with it too.
    """
    bucket, below = _resources(location)
    look_after = ("s3:CreateBucket", "s3:GetBucketLocation")
    read = tuple(f"s3:Get{setting}" for setting in _SETTINGS)
    objects = (
        *("s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion"),
        *("s3:PutObject", "s3:PutObjectRetention"),
        *("s3:DeleteObject", "s3:DeleteObjectVersion"),
    )
    return _policy(
        _list(location, "s3:ListBucket", "s3:ListBucketVersions"),
        _statement("LookAfter", (*look_after, *read, *_SET), bucket),
        _statement("Maintain", objects, f"{below}*"),
        *_encrypt(location, kms_key),
        _statement("Never", _NEVER, bucket, f"{bucket}/*", effect="Deny"),
    )


def has_tls_only(policy: Mapping[str, Any], location: S3Location) -> bool:
    """Tell whether a bucket's policy refuses whoever comes by plain HTTP, as written by anybody."""
    return any(_refuses_plain_http(each, location) for each in _listed(policy.get("Statement")))


def with_tls_only(policy: Mapping[str, Any], location: S3Location) -> Policy:
    """Return a bucket's policy with what it lacks to refuse plain HTTP; the rest stays as it is.

    S3 user guide, "Security best practices", "Enforce encryption of data in transit".
    """
    bucket, _ = _resources(location)
    refuse = _statement(_TLS_ONLY, ("s3:*",), bucket, f"{bucket}/*", effect="Deny")
    refuse |= {"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    others = [each for each in _listed(policy.get("Statement")) if each.get("Sid") != _TLS_ONLY]
    return {**_policy(), **policy, "Statement": [*others, refuse]}


def _refuses_plain_http(statement: Mapping[str, Any], location: S3Location) -> bool:
    bucket, _ = _resources(location)
    resources = set(_listed(statement.get("Resource")))
    condition = {
        operator: {key.lower(): [str(each).lower() for each in _listed(value)]}
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    }
    return (
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and not {"*", "s3:*"}.isdisjoint(_listed(statement.get("Action")))
        and (bool(resources & {"*", f"{bucket}*"}) or resources >= {bucket, f"{bucket}/*"})
        and condition == {"Bool": {"aws:securetransport": ["false"]}}
    )


def _listed(value: Any) -> list[Any]:
    """Return as a list what a policy may write as one or as several."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _resources(location: S3Location) -> tuple[str, str]:
    """Return the bucket, and what keys of the repository begin with."""
    bucket = f"arn:{_partition(location)}:s3:::{location.bucket}"
    return bucket, f"{bucket}/{location.prefix}"


def _partition(location: S3Location) -> str:
    """Return which of AWS's separate worlds it is in."""
    region = location.region or ""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _list(location: S3Location, *actions: str) -> Policy:
    """Let it list what is below the prefix. `IfExists` lets requests pass that have no prefix:
    HeadBucket, by which restic 0.14 looks for the bucket in `init` (its issue 4085), and HeadObject
    and GetObject, which say 403 instead of 404 to who lacks this right.
    """
    listing = _statement("List", actions, _resources(location)[0])
    if location.prefix:
        listing["Condition"] = {"StringLikeIfExists": {"s3:prefix": [f"{location.prefix}*"]}}
    return listing


def _encrypt(location: S3Location, kms_key: str | None) -> tuple[Policy, ...]:
    """Let S3 encrypt and decrypt for it with a key of AWS KMS: an ARN, an id or `alias/NAME`."""
    if kms_key is None:
        return ()
    actions, any_of = ("kms:Decrypt", "kms:GenerateDataKey"), f"arn:{_partition(location)}:kms:*:*"
    _, is_alias, name = kms_key.rpartition("alias/")
    if is_alias:
        # An alias is no resource of these actions: KMS's guide, "Use aliases to control access".
        encrypt = _statement("Encrypt", actions, f"{any_of}:key/*")
        named = {"kms:ResourceAliases": f"alias/{name}"}
        encrypt["Condition"] = {"ForAnyValue:StringEquals": named}
        return (encrypt,)
    key = kms_key if kms_key.startswith("arn:") else f"{any_of}:key/{kms_key}"
    return (_statement("Encrypt", actions, key),)


def _statement(
    name: str, actions: tuple[str, ...], *resources: str, effect: str = "Allow"
) -> Policy:
    return {
        "Sid": name,
        "Effect": effect,
        "Action": list(actions),
        "Resource": list(resources),
    }


def _policy(*statements: Policy) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}
