"""The object locks of what a repository consists of: read, and renewed.

A lock is one of a *version* of an object, so versions are listed: a good one that somebody put
another on top of, or hid behind a delete marker, must not fall out of its lock meanwhile (S3 user
guide, "Locking objects with Object Lock"). Nothing here shortens a lock or makes it weaker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dr_orchestrator.aws import in_our_words
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.repositories.bucket import locked_by
from dr_orchestrator.repositories.s3_place import S3Place

_REFUSALS = frozenset({"AccessDenied", "InvalidRequest"})
"""What is said of one object, and may be otherwise of the next."""


class LockMode(StrEnum):
    """Who can end a lock before its time, as S3 spells it."""

    GOVERNANCE = "GOVERNANCE"
    """Whoever has the right to."""
    COMPLIANCE = "COMPLIANCE"
    """Nobody."""


@dataclass(frozen=True, kw_only=True)
class StoredVersion:
    """One version of one object."""

    path: str
    """Within the repository."""
    version: str
    bytes: int
    is_current: bool
    """Whether it is what restic reads."""


@dataclass(frozen=True, kw_only=True)
class ObjectLock:
    """Until when nobody can remove a version of an object."""

    mode: LockMode
    until: datetime


def stored_versions(place: S3Place, wanted: Callable[[str], bool]) -> Iterator[StoredVersion]:
    """Yield the versions of the objects of a repository whose path is `wanted`, each object's
    newest first; no delete markers.

    API: ListObjectVersions, 1000 at once.

    Raises:
        StorageUnusable: the bucket cannot be listed.
    """
    with in_our_words(place.name):
        pages = place.client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=place.bucket, Prefix=place.location.prefix):
            for each in page.get("Versions", ()):
                path = place.path(each["Key"])
                if wanted(path):
                    yield StoredVersion(
                        path=path,
                        version=each["VersionId"],
                        bytes=each["Size"],
                        is_current=each["IsLatest"],
                    )


def read_lock(place: S3Place, stored: StoredVersion) -> ObjectLock | None:
    """Return the lock of a version, `None` where it has none.

    API: HeadObject, which shows it to whoever has the right s3:GetObjectRetention.

    Raises:
        StorageUnusable: it cannot be read.
    """
    with in_our_words(place.name):
        head = place.client.head_object(
            Bucket=place.bucket, Key=place.key(stored.path), VersionId=stored.version
        )
    mode, until = head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")
    return ObjectLock(mode=LockMode(mode), until=until) if mode and until else None


def default_lock(place: S3Place) -> timedelta | None:
    """Return for how long the bucket locks what is saved to it from now on, `None` where it does
    not.

    API: GetObjectLockConfiguration.

    Raises:
        StorageUnusable: it cannot be read.
    """
    try:
        with in_our_words(place.name):
            found = place.client.get_object_lock_configuration(Bucket=place.bucket)
    except StorageUnusable as error:
        if error.code == "ObjectLockConfigurationNotFoundError":
            return None
        raise
    days = locked_by(found.get("ObjectLockConfiguration") or {}).days
    return timedelta(days=days) if days else None


def renewed(lock: ObjectLock | None, mode: LockMode, until: datetime) -> ObjectLock:
    """Return the lock that is neither weaker nor shorter than `lock`, or than the one asked for."""
    if lock is None:
        return ObjectLock(mode=mode, until=until)
    stronger = LockMode.COMPLIANCE if LockMode.COMPLIANCE in {lock.mode, mode} else mode
    return ObjectLock(mode=stronger, until=max(lock.until, until))


def put_lock(place: S3Place, stored: StoredVersion, lock: ObjectLock) -> str:
    """Lock a version of an object; return the code of the refusal where that was refused.

    That our clock may be wrong is no danger: S3 takes no request that was signed more than 15
    minutes off (RequestTimeTooSkewed). API: PutObjectRetention.

    Raises:
        StorageUnusable: the bucket does not answer, or not as S3 does.
    """
    with in_our_words(place.name):
        try:
            place.client.put_object_retention(
                Bucket=place.bucket,
                Key=place.key(stored.path),
                VersionId=stored.version,
                Retention={"Mode": lock.mode.value, "RetainUntilDate": lock.until},
            )
        except place.client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _REFUSALS:
                raise
            return str(error.response["Error"]["Code"])
    return ""
