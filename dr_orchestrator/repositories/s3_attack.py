"""What somebody who holds the backup credential would do to a repository in S3.

It is done with that credential; looking at what became of it is done with that of maintenance,
since a backup need not read versions or settings. Nothing of the bucket's settings is changed: what
is written is what is there.

Sources: S3 user guide, "Locking objects with Object Lock"; S3 API reference, DeleteObject,
PutObjectRetention.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from dr_orchestrator.aws import in_our_words
from dr_orchestrator.core.immutability import Answer, Attempt, Deed
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.repositories.attack import Kept, Reply, Victim, attempt, withstood, worst
from dr_orchestrator.repositories.bucket import Setting
from dr_orchestrator.repositories.bucket_settings import read_setting
from dr_orchestrator.repositories.s3_place import S3Place

_MADE = "dro-immutability/attempt"
"""restic looks into its own folders alone: tried with 0.14, `check`, `prune` and `list`."""
_REFUSED = frozenset(
    {
        *("AccessDenied", "AllAccessDisabled", "403"),
        *("MethodNotAllowed", "405", "NotImplemented", "501"),
        "ObjectLocked",
    }
)
"""Codes that say no. Whatever else is answered, our own request may have been wrong."""
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_UNKNOWN_THERE = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_SHORTER = timedelta(hours=1)
"""A lock lasts a day at least; a date that is past is refused whoever asks."""
_BYPASS: dict[str, Any] = {"BypassGovernanceRetention": True}
_Act = Callable[[], object]


class S3Access:
    """A repository in a bucket, reached with the backup credential: an `Access`."""

    def __init__(self, place: S3Place, looking: S3Place) -> None:
        """Attack `place`; what became of it is looked at from `looking`, the same place."""
        self._place = place
        self._looking = looking

    def make(self, content: bytes) -> Victim:
        """Save an object to be attacked.

        Raises:
            StorageUnusable: nothing can be saved there, so that no refusal would prove anything.
        """
        version = self._put(_MADE, content)
        return Victim(path=_MADE, content=content, version=version, is_missed=False)

    def oldest(self, folder: str) -> Victim | None:
        """Return the object of a folder of the repository that was saved longest ago: no backup
        renews its lock.

        Raises:
            StorageUnusable: it could not be looked at.
        """
        place, prefix = self._looking, self._looking.key(f"{folder}/")
        with in_our_words(place.name):
            pages = place.client.get_paginator("list_objects_v2")
            listed = (
                each
                for page in pages.paginate(Bucket=place.bucket, Prefix=prefix)
                for each in page.get("Contents", ())
            )
            oldest = min(listed, key=lambda each: each["LastModified"], default=None)
            if oldest is None:
                return None
            found = place.client.get_object(Bucket=place.bucket, Key=oldest["Key"])
            return Victim(
                path=place.path(oldest["Key"]),
                content=found["Body"].read(),
                version=found.get("VersionId"),
            )

    def delete(self, victim: Victim) -> Reply:
        """Try to remove this version of it, also with the right to bypass governance.

        Whoever asks to bypass needs that right too (S3 user guide, "Governance mode"): so a refusal
        with it proves nothing of a removal without it.
        """
        delete = partial(self._place.client.delete_object, **self._named(victim))
        return _any_of(delete, partial(delete, **_BYPASS))

    def overwrite(self, victim: Victim) -> Reply:
        return _any_of(lambda: self._put(victim.path, b"overwritten"))

    def shorten(self, victim: Victim, mode: str, now: datetime) -> Reply:
        """Try to end its lock in an hour. On something made for it alone."""
        retention = {"Mode": mode.upper(), "RetainUntilDate": now + _SHORTER}
        named = self._named(victim)
        shorten = partial(self._place.client.put_object_retention, **named, Retention=retention)
        return _any_of(shorten, partial(shorten, **_BYPASS))

    def unprotect(self) -> Reply | None:
        """Try to write each setting that protects the bucket, as it is: who may do that may do
        worse. `None` where there is none.
        """
        replies = list(self._settings_rewritten())
        return worst(replies) if replies else None

    def read(self, victim: Victim) -> bytes | None:
        return self._content(**self._named(victim))

    def find(self, path: str) -> bytes | None:
        return self._content(Bucket=self._place.bucket, Key=self._place.key(path))

    def put(self, path: str, content: bytes) -> None:
        self._put(path, content)

    def hide(self, victim: Victim) -> None:
        """Put a delete marker over what was made, where that is allowed, so that no listing shows
        it; its lock keeps it all the same.
        """
        key = self._place.key(victim.path)
        with suppress(StorageUnusable), in_our_words(self._place.name):
            self._place.client.delete_object(Bucket=self._place.bucket, Key=key)

    def _put(self, path: str, content: bytes) -> str | None:
        place = self._place
        with in_our_words(place.name):
            # asked for where objects are locked: S3 API reference, PutObject, `Content-MD5`
            digest = hashlib.md5(content, usedforsecurity=False).digest()
            saved = place.client.put_object(
                Bucket=place.bucket,
                Key=place.key(path),
                Body=content,
                ContentMD5=base64.b64encode(digest).decode(),
            )
        version: str | None = saved.get("VersionId")
        return version

    def _content(self, **named: str) -> bytes | None:
        try:
            with in_our_words(self._looking.name):
                content: bytes = self._looking.client.get_object(**named)["Body"].read()
                return content
        except StorageUnusable as error:
            if error.code in _GONE:
                return None
            raise

    def _named(self, victim: Victim) -> dict[str, str]:
        named = {"Bucket": self._place.bucket, "Key": self._place.key(victim.path)}
        return named | ({"VersionId": victim.version} if victim.version else {})

    def _settings_rewritten(self) -> Iterator[Reply]:
        for read in (self._lifecycle, self._versioning, self._object_lock, self._policy):
            try:
                write = read()
            except StorageUnusable as error:
                if error.code not in _UNKNOWN_THERE:
                    yield Reply(Answer.UNKNOWN, error.code)
                continue
            if write is not None:
                yield _any_of(write)

    def _lifecycle(self) -> _Act | None:
        found = read_setting(self._looking, Setting.LIFECYCLE)
        writing = self._place.client
        if found is None:  # there is none: to remove it needs the same right, and changes nothing
            return partial(writing.delete_bucket_lifecycle, Bucket=self._place.bucket)
        said = {"LifecycleConfiguration": {"Rules": found["Rules"]}}
        if least := found.get("TransitionDefaultMinimumObjectSize"):
            said["TransitionDefaultMinimumObjectSize"] = least
        put = writing.put_bucket_lifecycle_configuration
        return partial(put, Bucket=self._place.bucket, **said)

    def _versioning(self) -> _Act | None:
        status = (read_setting(self._looking, Setting.VERSIONING) or {}).get("Status")
        return status and partial(
            self._place.client.put_bucket_versioning,
            Bucket=self._place.bucket,
            VersioningConfiguration={"Status": status},
        )

    def _object_lock(self) -> _Act | None:
        found = read_setting(self._looking, Setting.OBJECT_LOCK)
        if found is None:
            return None
        return partial(
            self._place.client.put_object_lock_configuration,
            Bucket=self._place.bucket,
            ObjectLockConfiguration=found["ObjectLockConfiguration"],
        )

    def _policy(self) -> _Act | None:
        found = read_setting(self._looking, Setting.TLS_ONLY)  # stands in the policy
        writing = self._place.client
        if found is None:  # as of the lifecycle
            return partial(writing.delete_bucket_policy, Bucket=self._place.bucket)
        return partial(writing.put_bucket_policy, Bucket=self._place.bucket, Policy=found["Policy"])


def attack_s3(
    access: S3Access, kept: Kept, *, mode: str | None, mark: bytes, now: datetime
) -> tuple[Attempt, ...]:
    """Try each deed, and put right what was not refused.

    A real object is attacked only where the one that was made for it, which holds `mark`, withstood
    the same. `mode` is that of the locks, where the plan has any.

    Raises:
        StorageUnusable: nothing was attempted.
    """
    real = access.oldest("snapshots")
    made = access.make(mark)
    attempts = [attempt(Deed.OVERWRITE, made, access, kept)]
    if mode is not None:  # while there still is something to shorten
        attempts.append(_as_attempt(Deed.SHORTEN, access.shorten(made, mode, now)))
    attempts.append(attempt(Deed.DELETE_MADE, made, access, kept))
    if real is not None and withstood(attempts):
        attempts.append(attempt(Deed.DELETE_REAL, real, access, kept))
    if (reply := access.unprotect()) is not None:
        attempts.append(_as_attempt(Deed.UNPROTECT, reply))
    access.hide(made)
    return tuple(attempts)


def _as_attempt(deed: Deed, reply: Reply) -> Attempt:
    return Attempt(deed=deed, answer=reply.answer, said=reply.said)


def _any_of(*acts: _Act) -> Reply:
    """Try one way after the other until one succeeds."""
    replies = []
    for act in acts:
        replies.append(_reply(act))
        if replies[-1].answer is Answer.DONE:
            break
    return worst(replies)


def _reply(act: _Act) -> Reply:
    try:
        with in_our_words("S3"):
            act()
    except StorageUnusable as error:
        return Reply(Answer.REFUSED if error.code in _REFUSED else Answer.UNKNOWN, error.code)
    return Reply(Answer.DONE)
