"""The only maker of boto3 sessions, and the only one who knows how botocore fails.

boto3 finds keys where it always does: the profile, its environment, the machine's role. Only those
that a plan refers to as secrets pass through our hands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import StorageUnusable

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import BucketPlace

_ATTEMPTS = 3
_CONNECT_SECONDS = 10
_READ_SECONDS = 30
_NOT_THERE = 404
_GONE = frozenset({"NoSuchKey", "404", "NotFound"})
_BLOCK = 1 << 20
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".pdf": "application/pdf",
}
_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
NAMES = {"s3": "S3", "secretsmanager": "AWS Secrets Manager", "sns": "SNS", "ses": "SES"}
"""What people call the services we use."""
_LOCKED = "WORM protected"
"""What MinIO says of a locked object, with a code that stands for much else (`InvalidRequest`; its
cmd/api-errors.go, ErrObjectLocked)."""
_HINTS = {
    "AccessDenied": "may the user of these keys do that there?",
    "AccessDeniedException": "may the user of these keys do that there?",
    "AuthorizationError": "may the user of these keys do that there?",
    "ExpiredToken": "these are temporary keys, and their time is over",
    "InvalidAccessKeyId": "is it the right `aws_profile`?",
    "InvalidClientTokenId": "is it the right `aws_profile`?",
    "MessageRejected": "is the sender verified in SES, and is SES out of its sandbox?",
    "NoCredentialsError": "name a profile of ~/.aws/credentials as `aws_profile`",
    "NoRegionError": "name the `region`, or give the profile one",
    "NoSuchBucket": "make the bucket, or correct its name",
    "NotFound": "is its name right, and its region?",
    "ProfileNotFound": "is it in ~/.aws/credentials of the user who runs dro?",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "ResourceNotFoundException": "is its name right, and its region?",
    "SignatureDoesNotMatch": "the secret key is not the one that belongs to this id",
    "UnrecognizedClientException": "is it the right `aws_profile`?",
}


@dataclass(frozen=True, kw_only=True)
class AwsAccess:
    """Whose keys open a service of AWS, or storage that speaks like S3, and where it is."""

    profile: str | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    """With the id, instead of a profile."""
    region: str | None = None
    """As the profile or the environment says, unless stated."""
    endpoint: str | None = None
    """Of storage that is not Amazon's."""


@cache
def aws_client(service: str, access: AwsAccess) -> Any:
    """Return a boto3 client of a service: `s3`, `secretsmanager`, `sns`.

    It is kept: each new one costs 0.1 s, and memory that Python is slow to give back.

    Raises:
        StorageUnusable: there is no such profile, or the endpoint is no URL.
    """
    import boto3
    from botocore.config import Config

    endpoint = access.endpoint
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
    key = access.access_key_id, access.secret_access_key
    with _naming(access.profile), in_our_words(NAMES.get(service, service)):
        session = boto3.session.Session(
            profile_name=access.profile,
            region_name=access.region,
            aws_access_key_id=key[0].reveal() if key[0] else None,
            aws_secret_access_key=key[1].reveal() if key[1] else None,
        )
        return session.client(service, endpoint_url=endpoint, config=config)


@contextmanager
def _naming(profile: str | None) -> Iterator[None]:
    try:
        yield
    except StorageUnusable as error:
        if profile is None:
            raise
        message = f"{error.message} (aws_profile: {profile})"
        raise StorageUnusable(message, code=error.code, hint=error.hint) from None


@contextmanager
def in_our_words(what: str) -> Iterator[None]:
    """Turn an error of boto3's into ours: by its code or class, and none of its text.

    Raises:
        StorageUnusable: boto3 could not do what the block asked; `what` it was asked of.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        response = getattr(error, "response", None) or {}
        stated = response.get("Error", {})
        said = str(stated.get("Code", "")) or type(error).__name__
        if _LOCKED in str(stated.get("Message", "")):
            said = "ObjectLocked"
        if response.get("ResponseMetadata", {}).get("HTTPStatusCode") != _NOT_THERE:
            aws_client.cache_clear()  # keys may have been changed: the next one reads them anew
        code = re.sub(r"\W", "", said, flags=re.ASCII)[:60]
        hint = _HINTS.get(code, "")
        raise StorageUnusable(f"{what} cannot be used: {code}", code=code, hint=hint) from None


class BucketObjects:
    """What lies in a bucket below a practice's id. Each method may raise `StorageUnusable`."""

    def __init__(self, place: BucketPlace, practice: str) -> None:
        bucket, _, prefix = place.to.removeprefix("s3://").partition("/")
        self._bucket = bucket
        self._prefix = "".join(f"{each}/" for each in (prefix.strip("/"), practice) if each)
        self.where = f"s3://{bucket}/{self._prefix}"
        access = AwsAccess(profile=place.aws_profile, endpoint=place.endpoint)
        self._client: Any = aws_client("s3", access)

    def put(self, name: str, content: bytes, *, is_text: bool = True) -> None:
        """Put an object there. Whoever opens it in a browser sees what its name says; anything else
        as text, unless it is none.
        """
        with in_our_words(self.where):
            self._client.put_object(
                Bucket=self._bucket,
                Key=f"{self._prefix}{name}",
                Body=content,
                ContentType=_TYPES.get(PurePosixPath(name).suffix, _TEXT if is_text else _BYTES),
            )

    def get(self, name: str) -> bytes | None:
        """Return an object, `None` where there is none."""
        body = self._body(name)
        if body is None:
            return None
        with in_our_words(self.where):
            content: bytes = body.read()
        return content

    def sha256(self, name: str) -> str | None:
        """Return the hash of an object, `None` where there is none."""
        body = self._body(name)
        if body is None:
            return None
        found = hashlib.sha256()
        with in_our_words(self.where):
            while block := body.read(_BLOCK):
                found.update(block)
        return found.hexdigest()

    def _body(self, name: str) -> Any:
        try:
            with in_our_words(self.where):
                asked = {"Bucket": self._bucket, "Key": f"{self._prefix}{name}"}
                return self._client.get_object(**asked)["Body"]
        except StorageUnusable as error:
            if error.code in _GONE:
                return None
            raise


def credentials_file(key_id: Secret, key: Secret, token: Secret | None = None) -> Secret:
    """Return keys as `~/.aws/credentials` has them, for a program that reads nothing else."""
    lines = [f"aws_access_key_id = {key_id.reveal()}", f"aws_secret_access_key = {key.reveal()}"]
    if token is not None:
        lines.append(f"aws_session_token = {token.reveal()}")
    return Secret("\n".join(["[default]", *lines, ""]))
