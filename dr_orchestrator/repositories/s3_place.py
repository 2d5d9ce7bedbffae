"""Where in an S3 bucket a repository lies, as restic's location says it.

restic's manual, "Preparing a new repository", section "Amazon S3": `s3:HOST/BUCKET/PREFIX`, by
HTTPS unless the host is written as `http://HOST`.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from dr_orchestrator.errors import UsageMistake

_AMAZON = re.compile(r"s3(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, kw_only=True)
class S3Location:
    """A bucket, and what of it is ours."""

    endpoint: str | None
    """URL of storage that is not Amazon's."""
    region: str | None
    """Of Amazon's, where the host says it."""
    bucket: str
    prefix: str
    """Of every key: empty, or with a slash at its end."""


@dataclass(frozen=True, kw_only=True)
class S3Place:
    """A repository in a bucket, reached with one credential."""

    name: str
    """The plan's name of the repository."""
    location: S3Location
    client: Any
    """boto3's client of S3; whoever calls it does so within `in_our_words`."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.location.bucket

    def key(self, path: str) -> str:
        """Return the key of a file of the repository, as `data/12/1234…`."""
        return f"{self.location.prefix}{path}"

    def path(self, key: str) -> str:
        """Return what `key` made this key of."""
        return key.removeprefix(self.location.prefix)


def stated_region(location: str, region: str | None) -> str | None:
    """Return the region that restic must be told, `None` where the location's host says it or it
    is not in S3: one that is told would go before the host's.
    """
    if not location.startswith("s3:") or s3_location(location).region is not None:
        return None
    return region


def s3_location(location: str) -> S3Location:
    """Return where `s3:…` leads.

    Raises:
        UsageMistake: it names no bucket.
    """
    rest = location.removeprefix("s3:")
    if "://" in rest:
        parts = urlsplit(rest)
        path = unquote(parts.path)
    else:
        host, _, path = rest.removeprefix("//").partition("/")
        parts = urlsplit(f"https://{host}")
    bucket, _, below = path.removeprefix("/").partition("/")
    if not parts.hostname or not bucket:
        raise UsageMistake(
            "the location names no bucket", hint="write it as s3:https://HOST/BUCKET/PREFIX"
        )
    amazon = _AMAZON.fullmatch(parts.hostname)
    return S3Location(
        endpoint=None if amazon else f"{parts.scheme}://{parts.netloc}",
        region=amazon["region"] if amazon else None,
        bucket=bucket,
        prefix=_prefix(below),
    )


def _prefix(below: str) -> str:
    """Return what keys begin with, tidied up as restic does: Go's `path.Clean` (restic 0.14, its
    internal/backend/s3/config.go).
    """
    if not below:
        return ""
    clean = re.sub("^/+", "/", posixpath.normpath(below))
    return "" if clean == "." else f"{clean.rstrip('/')}/"
