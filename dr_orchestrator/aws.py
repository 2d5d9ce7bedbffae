"""The only maker of boto3 sessions, and the only one who knows how botocore fails.

boto3 finds keys where it always does: the profile, its environment, the machine's role. None of
them passes through our hands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from dr_orchestrator.errors import StorageUnusable

_ATTEMPTS = 3
_CONNECT_SECONDS = 10
_READ_SECONDS = 30
_HINTS = {
    "AccessDenied": "may the profile's user do that there?",
    "InvalidAccessKeyId": "is `aws_profile` in the machine's settings the right one?",
    "NoCredentialsError": "name a profile of ~/.aws/credentials as `aws_profile` in the settings",
    "NoSuchBucket": "make the bucket, or correct its name",
    "ProfileNotFound": "is it in ~/.aws/credentials of the user who runs dro?",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "SignatureDoesNotMatch": "the secret key of the profile is not the one that belongs to it",
}


@cache
def s3_client(profile: str | None, endpoint: str | None) -> Any:
    """Return a boto3 client of S3, or of S3-compatible storage at `endpoint`.

    It is kept: each new one costs 0.1 s, and memory that Python is slow to give back.

    Raises:
        StorageUnusable: there is no such profile, or the endpoint is no URL.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        # Storage that is not Amazon's often knows neither the checksums that boto3 adds since
        # 1.36, nor a bucket as part of the host's name.
        request_checksum_calculation="when_required" if endpoint else "when_supported",
        response_checksum_validation="when_required" if endpoint else "when_supported",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    with in_our_words("S3"):
        session = boto3.session.Session(profile_name=profile)
        return session.client("s3", endpoint_url=endpoint, config=config)


@contextmanager
def in_our_words(what: str) -> Iterator[None]:
    """Turn an error of boto3's into ours: by its code or class, never by its text.

    Raises:
        StorageUnusable: boto3 could not do what the block asked; `what` it was asked of.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        response = getattr(error, "response", None) or {}
        said = str(response.get("Error", {}).get("Code", "")) or type(error).__name__
        s3_client.cache_clear()  # keys may have been changed: the next one reads them anew
        code = re.sub(r"\W", "", said, flags=re.ASCII)[:60]
        raise StorageUnusable(f"{what} cannot be used: {code}", hint=_HINTS.get(code, "")) from None
