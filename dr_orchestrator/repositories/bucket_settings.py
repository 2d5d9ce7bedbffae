"""Looking at an S3 bucket's own settings, and changing them: the only ones who ask S3 for either.

What a setting must be is decided elsewhere, in `bucket.py`. Actions are those of the Amazon S3 API
reference; storage that is not Amazon's knows some of them, and what it does not know is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dr_orchestrator.aws import in_our_words
from dr_orchestrator.core.wording import some_names
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.repositories.bucket import (
    ESSENTIAL,
    Drift,
    Found,
    Judgement,
    Setting,
    Unseen,
    Wanted,
    judge_bucket,
)

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.repositories.s3_place import S3Place

_READ = {
    Setting.PUBLIC_ACCESS: ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
    Setting.VERSIONING: ("get_bucket_versioning", ""),
    Setting.OBJECT_LOCK: (
        "get_object_lock_configuration",
        "ObjectLockConfigurationNotFoundError",
    ),
    Setting.TLS_ONLY: ("get_bucket_policy", "NoSuchBucketPolicy"),
    Setting.ENCRYPTION: (
        "get_bucket_encryption",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    Setting.LIFECYCLE: ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
}
"""How each is asked for, and what S3 says where it was never made."""
_WRAPPED = (
    "PublicAccessBlockConfiguration",
    "ObjectLockConfiguration",
    "ServerSideEncryptionConfiguration",
)
"""What the setting lies in, in some of the answers."""
_CHANGE = {
    Setting.PUBLIC_ACCESS: "put_public_access_block",
    Setting.VERSIONING: "put_bucket_versioning",
    Setting.OBJECT_LOCK: "put_object_lock_configuration",
    Setting.TLS_ONLY: "put_bucket_policy",
    Setting.ENCRYPTION: "put_bucket_encryption",
    Setting.LIFECYCLE: "put_bucket_lifecycle_configuration",
}
_NO_BUCKET = "NoSuchBucket"
_NOT_KNOWN = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented"})
"""What storage says that has no such setting."""
_WITHOUT_CONSTRAINT = (None, "aws-global", "us-east-1")
"""Regions that CreateBucket wants left out."""
_LOOKS, _PAUSE_SECONDS = 5, 2.0
"""S3 may show a change a moment late: S3 user guide, "Amazon S3 data consistency model"."""

NOTHING: Found = {setting: {} for setting in _READ}
"""What is found where there is no bucket."""


def look_at_bucket(place: S3Place) -> Found | None:
    """Return how a bucket is set; `None` where there is none. Changes nothing.

    Raises:
        StorageUnusable: it does not answer, or not to us.
    """
    try:
        return {setting: _look(place, setting) for setting in _READ}
    except StorageUnusable as error:
        if error.code == _NO_BUCKET:
            return None
        raise


def make_bucket(place: S3Place, wanted: Wanted) -> None:
    """Make the bucket, with object lock where that is wanted; one of ours may be there already.

    Raises:
        StorageUnusable: somebody else has one of this name, or it is refused.
    """
    asked: dict[str, Any] = {"ObjectLockEnabledForBucket": True} if wanted.lock else {}
    region = place.client.meta.region_name
    if region not in _WITHOUT_CONSTRAINT:
        asked["CreateBucketConfiguration"] = {"LocationConstraint": region}
    try:
        _ask(place, "create_bucket", asked)
    except StorageUnusable as error:
        if error.code == "BucketAlreadyExists":
            raise StorageUnusable(
                f"a bucket {place.bucket} belongs to somebody else",
                code=error.code,
                hint="their names are the whole world's: choose another one",
            ) from None
        if error.code != "BucketAlreadyOwnedByYou":
            raise


def require_all_seen(place: S3Place, judgement: Judgement) -> None:
    """Go on only where everything that matters was seen, before anything is changed.

    Raises:
        StorageUnusable: we may not look, or this storage cannot do what the plan promises.
    """
    refused = [each.words for each, why in judgement.unseen.items() if why.is_known]
    if refused:
        raise StorageUnusable(
            f"the bucket {place.bucket} does not let us look at: {some_names(refused)}",
            code="AccessDenied",
            hint="give the maintenance credential what `dro repository prepare --policy` prints",
        )
    cannot = [each.words for each in judgement.unseen if each in ESSENTIAL]
    if cannot:
        raise StorageUnusable(
            f"the storage of the bucket {place.bucket} has no {some_names(cannot)}",
            hint="keep what nobody may destroy on other storage",
        )


def mend_bucket(
    place: S3Place, wanted: Wanted, clock: Clock, *, on_change: Callable[[Drift], None]
) -> Judgement:
    """Bring a bucket that is there to what is wanted, and return how it is then. Whatever was
    changed is named before the next one is.

    Raises:
        StorageUnusable: a change was refused, or did not become so.
    """
    judgement = _judge(place, wanted)
    for drift in judgement.drifts:
        if drift.change is not None:
            _change(place, drift, drift.change)
            on_change(drift)
    for _ in range(_LOOKS):
        judgement = _judge(place, wanted)
        left = [each.setting.words for each in judgement.drifts if each.change is not None]
        if not left:
            return judgement
        clock.sleep(_PAUSE_SECONDS)
    raise StorageUnusable(
        f"the bucket {place.bucket} took a change and does not show it: {some_names(left)}",
        hint="run this again; if it stays so, this storage does not do what it says",
    )


def _judge(place: S3Place, wanted: Wanted) -> Judgement:
    found = look_at_bucket(place)
    judgement = judge_bucket(wanted, NOTHING if found is None else found)
    require_all_seen(place, judgement)
    return judgement


def read_setting(place: S3Place, setting: Setting) -> Mapping[str, Any] | None:
    """Return a setting as S3 answers it, `None` where it was never made.

    Raises:
        StorageUnusable: it cannot be read.
    """
    call, absent = _READ[setting]
    try:
        return _ask(place, call, {})
    except StorageUnusable as error:
        if error.code == absent:
            return None
        raise


def _look(place: S3Place, setting: Setting) -> Mapping[str, Any] | Unseen:
    try:
        answer = read_setting(place, setting)
    except StorageUnusable as error:
        if error.code == "AccessDenied" or error.code in _NOT_KNOWN:
            return Unseen(code=error.code, is_known=error.code not in _NOT_KNOWN)
        raise
    if answer is None:
        return {}
    if "Policy" in answer:
        return _policy(answer["Policy"])
    return next((answer[name] for name in _WRAPPED if name in answer), answer)


def _policy(text: str) -> Mapping[str, Any]:
    with in_our_words("the bucket's policy"):
        parsed: Mapping[str, Any] = json.loads(text)
    return parsed


def _change(place: S3Place, drift: Drift, change: Mapping[str, Any]) -> None:
    try:
        _ask(place, _CHANGE[drift.setting], change)
    except StorageUnusable as error:
        hint = error.hint
        if drift.setting is Setting.OBJECT_LOCK and error.code != "AccessDenied":
            hint = (
                "some storage takes it for new buckets only: name another bucket in the plan's "
                "`location`; at Amazon, wait a quarter of an hour after versioning was switched on"
            )
        raise StorageUnusable(
            f"the bucket {place.bucket} refuses a change of {drift.setting.words}: {error.code}",
            code=error.code,
            hint=hint,
        ) from None


def _ask(place: S3Place, call: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    with in_our_words(f"the bucket {place.bucket}"):
        answer: Mapping[str, Any] = getattr(place.client, call)(Bucket=place.bucket, **asked)
    return answer
