"""Where published status lies: a folder, or a bucket of S3.

Nothing that lies there is trusted: what is read has a size at most, and is a plain file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, Protocol

from dr_orchestrator.aws import AwsAccess, aws_client, in_our_words
from dr_orchestrator.errors import SpaceExhausted, StorageUnusable, UsageMistake
from dr_orchestrator.whole_file import write_whole

SUFFIX = ".json"
_MOST_BYTES = 16 * 1024 * 1024
"""A practice with ten systems comes to some 30 KB."""
_SCHEME = "s3://"


class Place(Protocol):
    """A place that holds one file a site. Each method may raise `StorageUnusable`."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    def write(self, site: str, content: bytes) -> None:
        """Put a site's file there, all of it or nothing, in the place of the one before."""
        ...

    def sites(self) -> tuple[str, ...]:
        """Return which sites have a file there, by what the files are called."""
        ...

    def read(self, site: str) -> bytes:
        """Return a site's file."""
        ...


def place_at(where: str, aws_profile: str | None, endpoint: str | None) -> Place:
    """Return the place that a folder or `s3://BUCKET/PREFIX` means.

    Raises:
        UsageMistake: the bucket has no name.
        StorageUnusable: boto3 does not know the profile.
    """
    if not where.startswith(_SCHEME):
        return Folder(Path(where))
    bucket, _, prefix = where.removeprefix(_SCHEME).partition("/")
    if not bucket:
        raise UsageMistake(f"{where} names no bucket", hint="write s3://BUCKET/PREFIX")
    access = AwsAccess(profile=aws_profile, endpoint=endpoint)
    return Bucket(where, aws_client("s3", access), bucket, prefix.strip("/"))


class Folder:
    """A folder of this machine, or one that is mounted here. It is never made."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    def write(self, site: str, content: bytes) -> None:
        """Put a site's file there; see `Place.write`.

        Raises:
            SpaceExhausted: the disk is full.
        """
        try:
            write_whole(self._path / f"{site}{SUFFIX}", content)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise SpaceExhausted(f"the disk of the folder {self._path} is full") from None
            raise self._unusable(error) from None

    def sites(self) -> tuple[str, ...]:
        """Return which sites have a file there; see `Place.sites`."""
        try:
            names = sorted(each.name for each in self._path.iterdir())
        except OSError as error:
            raise self._unusable(error) from None
        return _sites(names)

    def read(self, site: str) -> bytes:
        """Return a site's file; see `Place.read`."""
        path = self._path / f"{site}{SUFFIX}"
        try:
            # A pipe in its place must not hold us up, nor a link lead us anywhere.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise StorageUnusable(f"{path} is no file")
                return _whole(file.read(_MOST_BYTES + 1), str(path))
        except OSError as error:
            raise StorageUnusable(f"{path} cannot be read: {error.strerror}") from None

    def _unusable(self, error: OSError) -> StorageUnusable:
        hint = "is it mounted? it is not made here" if error.errno == errno.ENOENT else ""
        return StorageUnusable(
            f"the folder {self._path} cannot be used: {error.strerror}", hint=hint
        )


class Bucket:
    """Objects below a prefix of a bucket."""

    def __init__(self, name: str, client: Any, bucket: str, prefix: str) -> None:
        self._name = name
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def name(self) -> str:
        """As the settings or the command line have it."""
        return self._name

    def write(self, site: str, content: bytes) -> None:
        """Put a site's object there; see `Place.write`."""
        with in_our_words(self._name):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(site),
                Body=content,
                ContentType="application/json",
            )

    def sites(self) -> tuple[str, ...]:
        """Return which sites have an object there; see `Place.sites`."""
        with in_our_words(self._name):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return _sites(sorted(key.removeprefix(self._prefix) for key in keys))

    def read(self, site: str) -> bytes:
        """Return a site's object; see `Place.read`."""
        with in_our_words(f"{self._name} ({site}{SUFFIX})"):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(site))
            return _whole(answer["Body"].read(_MOST_BYTES + 1), site)

    def _key(self, site: str) -> str:
        return f"{self._prefix}{site}{SUFFIX}"


def _sites(names: list[str]) -> tuple[str, ...]:
    return tuple(
        name.removesuffix(SUFFIX)
        for name in names
        if name.endswith(SUFFIX) and not name.startswith(".")
    )


def _whole(content: bytes, what: str) -> bytes:
    if len(content) > _MOST_BYTES:
        raise StorageUnusable(f"{what} is larger than any status is")
    return content
