"""What became of the files of a repository in a bucket that keeps every version of them.

There a delete puts a delete marker on top and an overwrite a new version; what lay below stays. So
each object can be made what it was at an earlier time, by what loses nothing either: markers are
removed, an older version is copied on top, or another marker set aside what was not there then.

Sources: S3 user guide, "How S3 Versioning works" and "Restoring previous versions"; the APIs
ListObjectVersions, CopyObject, DeleteObject.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import Any

from dr_orchestrator.aws import in_our_words
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.repositories.s3_place import S3Place

KEYS = "keys/"
CONFIG = "config"
FILES = ("data/", "index/", KEYS, "key/", CONFIG, "snapshots/", "snapshot/")
"""What restic looks at below a repository's prefix, in the order in which it can be brought back
and no snapshot is ever listed whose data is not there. Where there is a `key/` beside `keys/`,
restic does not know which layout it has before it, and opens nothing (restic 0.14, layout.go)."""
LOCKS = ("locks/", "lock/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an object, or a delete marker."""

    id: str
    at: datetime
    """By the server's clock; whole seconds with Amazon."""
    size: int | None
    """In bytes; `None`: it is a delete marker."""
    etag: str = ""
    storage_class: str = ""

    @property
    def is_content(self) -> bool:
        """Whether it is no delete marker."""
        return self.size is not None

    def is_like(self, other: Version) -> bool:
        """Return whether it certainly has the content of `other`.

        An ETag is a digest of the content but where AWS KMS encrypts it: there no two are alike.
        """
        if not (self.is_content and other.is_content):
            return False
        return self.id == other.id or (
            self.etag != "" and (self.etag, self.size) == (other.etag, other.size)
        )


@dataclass(frozen=True, slots=True)
class ObjectHistory:
    """All versions of one object."""

    path: str
    """Below the repository's prefix."""
    versions: tuple[Version, ...]
    """Newest first; at least one."""


class Step(StrEnum):
    """What makes an object what it was."""

    UNCOVER = "remove the delete markers"
    COPY = "copy the earlier version on top"
    SET_ASIDE = "put a delete marker on top"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be done about one object."""

    path: str
    step: Step
    versions: tuple[Version, ...]
    """The markers that are removed, newest first; or the one version that is brought back, or set
    aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """What an object was at an earlier time, and what makes it that again."""

    path: str
    then: Version | None
    """Its content; `None` where it was not there."""
    change: Change | None = None
    """`None` where it is so already."""
    is_newer: bool = False
    """It was made since."""
    is_lost: bool = False
    """It was deleted since, and the bucket no longer keeps any version of it."""
    is_doubtful: bool = False
    """Its content was another one before: nothing of restic's is ever written over."""


def as_of(history: ObjectHistory, before: datetime | None) -> AsOf:
    """Return what an object was just before an instant, and what makes it so again; with `None`
    nothing was there yet. Pure.
    """
    path, versions = history.path, history.versions
    older = [each for each in versions if before is not None and each.at < before]
    then = older[0] if older and older[0].is_content else None
    if then is None:
        aside = Change(path=path, step=Step.SET_ASIDE, versions=versions[:1])
        return AsOf(
            path=path,
            then=None,
            change=aside if versions[0].is_content else None,
            is_newer=any(each.is_content for each in versions[: len(versions) - len(older)]),
            is_lost=bool(before and not older) and not any(each.is_content for each in versions),
        )
    first = next(each for each in reversed(older) if each.is_content)
    change = None if versions[0].is_like(then) else _bring_back(path, then, versions)
    return AsOf(path=path, then=then, change=change, is_doubtful=not then.is_like(first))


def _bring_back(path: str, then: Version, versions: tuple[Version, ...]) -> Change:
    newer = versions[: versions.index(then)]
    if any(each.is_content for each in newer):
        return Change(path=path, step=Step.COPY, versions=(then,))
    return Change(path=path, step=Step.UNCOVER, versions=newer)


class Deed(StrEnum):
    """What became of an object that was there."""

    DELETED = "deleted"
    OVERWRITTEN = "overwritten"


def deeds(history: ObjectHistory) -> Iterator[tuple[datetime, Deed]]:
    """Yield when an object was deleted or overwritten by other content, newest first."""
    for newer, older in zip(history.versions, (*history.versions[1:], None), strict=True):
        if not newer.is_content and (older is None or older.is_content):
            yield newer.at, Deed.DELETED
        elif (
            newer.is_content and older is not None and older.is_content and not newer.is_like(older)
        ):
            yield newer.at, Deed.OVERWRITTEN


def histories(place: S3Place, folders: tuple[str, ...]) -> Iterator[ObjectHistory]:
    """Yield what became of every object of these folders of a repository, a page of 1000 versions
    at a time, folder by folder.

    Raises:
        StorageUnusable: the bucket cannot be read.
    """
    return chain.from_iterable(_histories(place, folder) for folder in folders)


def require_versions(place: S3Place) -> None:
    """Make sure that a delete loses nothing in this bucket.

    Raises:
        StorageUnusable: it does, or it cannot be found out.
    """
    with in_our_words(f"the bucket of {place.name}"):
        answer = place.client.get_bucket_versioning(Bucket=place.bucket)
    if answer.get("Status") != "Enabled":
        raise StorageUnusable(
            f"the bucket of {place.name} keeps no versions, so nothing is deleted or written there",
            hint="`dro repository prepare` turns versioning on; what was overwritten or deleted "
            "while it was off is lost",
        )


def read_version(place: S3Place, path: str, version: Version) -> bytes:
    """Return the content of a version of a small object.

    Raises:
        StorageUnusable: it cannot be read.
    """
    with in_our_words(f"the bucket of {place.name}"):
        answer = place.client.get_object(
            Bucket=place.bucket, Key=place.key(path), VersionId=version.id
        )
        content: bytes = answer["Body"].read()
    return content


def carry_out(place: S3Place, change: Change) -> None:
    """Make one object what it was. Done again it does no harm.

    Only for a bucket that keeps versions: see `require_versions`.

    Raises:
        StorageUnusable: it was refused, or could not be done.
    """
    where = {"Bucket": place.bucket, "Key": place.key(change.path)}
    with in_our_words(f"the bucket of {place.name}"):
        if change.step is Step.UNCOVER:
            for marker in change.versions:
                place.client.delete_object(**where, VersionId=marker.id)
        elif change.step is Step.SET_ASIDE:
            place.client.delete_object(**where)
        else:
            (version,) = change.versions
            # One request takes 5 GiB, and restic's largest files, its packs, are of 128 MiB. Some
            # storage copies nothing onto itself unless something of it is replaced. The copy is
            # locked and encrypted as the bucket's defaults say.
            place.client.copy_object(
                **where,
                CopySource=where | {"VersionId": version.id},
                MetadataDirective="REPLACE",
                **({"StorageClass": version.storage_class} if version.storage_class else {}),
            )


def _histories(place: S3Place, folder: str) -> Iterator[ObjectHistory]:
    # markers and versions come in two lists, each by key; a key may go on upon the next page
    pages = place.client.get_paginator("list_object_versions").paginate(
        Bucket=place.bucket, Prefix=place.key(folder)
    )
    turning = iter(pages)
    begun: dict[str, list[tuple[bool, Version]]] = {}
    while True:
        with in_our_words(f"the bucket of {place.name}"):
            page = next(turning, None)
        if page is None:
            break
        for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            begun.setdefault(each["Key"], []).append((each["IsLatest"], _version(each)))
        goes_on = page.get("NextKeyMarker")
        for key in sorted(begun):
            if key != goes_on:
                yield from _history(place.path(key), begun.pop(key), folder)
    for key, versions in begun.items():
        yield from _history(place.path(key), versions, folder)


def _history(path: str, found: list[tuple[bool, Version]], folder: str) -> Iterator[ObjectHistory]:
    if path != folder and not folder.endswith("/"):
        return  # `config` is the beginning of other names too
    # Of the same second, which of two versions is newer is their order in the list; whether a
    # marker is newer than a version nobody says, and then what could be restored counts.
    found.sort(key=lambda each: (each[0], each[1].at, each[1].is_content), reverse=True)
    yield ObjectHistory(path, tuple(version for _, version in found))


def _version(listed: dict[str, Any]) -> Version:
    at: datetime = listed["LastModified"]
    storage_class = listed.get("StorageClass") or ""
    return Version(
        id=listed["VersionId"],
        at=at.astimezone(UTC),
        size=listed.get("Size"),
        etag=listed.get("ETag", ""),
        storage_class="" if storage_class == "STANDARD" else storage_class,
    )
