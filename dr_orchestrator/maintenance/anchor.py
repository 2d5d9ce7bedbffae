"""Putting the head of the evidence where this machine cannot take it back from.

Whoever owns this machine owns its key: he can cut the tail off our own chain and sign what is left.
He cannot take a number out of somebody's mailbox, nor an object out of a bucket that locks it. What
is put there is the last line of the chain itself: its SHA-256 is the head, and it is signed.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from hashlib import md5
from typing import TYPE_CHECKING, Any

from dr_orchestrator.aws import AwsAccess, aws_client, in_our_words
from dr_orchestrator.core.letter import Letter
from dr_orchestrator.core.wording import instant_words
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.evidence.chain import SHORTEST_HEAD
from dr_orchestrator.evidence.signing import fingerprint
from dr_orchestrator.plan.anchoring import anchor_contacts, bucket_words, mailbox_words

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import AnchorSpec, BucketPlace, Contact, Plan

_KEY = re.compile(rf"([0-9]{{1,15}})-([0-9a-f]{{{SHORTEST_HEAD}}})\.json")
_TAKES_NO_LOCK = frozenset({"InvalidRequest", "NotImplemented", "AccessDenied"})
"""Of a bucket without Object Lock, storage that knows none, and keys that may not lock."""
_LINE_LIMIT = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Head:
    """The end of a chain that is signed."""

    practice: str
    chain: str
    number: int
    hash: str
    at: datetime
    key: str
    """The public key (hex) that signed it."""
    line: str
    """The last line itself."""


@dataclass(frozen=True, kw_only=True)
class AnchorPlace:
    """One place outside of this machine's reach."""

    name: str
    """As the record calls it."""
    put: Callable[[Head], str]
    """Puts a head there, and returns what is to be said of it, mostly nothing."""


SendLetter = Callable[["Contact", Letter], None]


def anchor_places(
    plan: Plan, *, send: SendLetter, has_mail: bool, now: datetime
) -> Iterator[AnchorPlace]:
    """Yield where a plan wants the head of its evidence, beside its repositories."""
    spec = plan.evidence.anchor
    for contact in anchor_contacts(plan, has_mail=has_mail):
        put = partial(_mail, plan, plan.contacts[contact], send)
        yield AnchorPlace(name=mailbox_words(contact), put=put)
    if spec.s3 is not None:
        put = partial(_put, spec, spec.s3, now)
        yield AnchorPlace(name=bucket_words(spec.s3, plan.practice.id), put=put)


# --- by e-mail ------------------------------------------------------------------------------------


def _mail(plan: Plan, contact: Contact, send: SendLetter, head: Head) -> str:
    send(contact, anchor_letter(head, name=plan.practice.name, zone=plan.practice.timezone))
    return ""


def anchor_letter(head: Head, *, name: str, zone: tzinfo) -> Letter:
    """Return what a contact gets: what to do with it comes first, since there is nothing to do."""
    return Letter(
        subject=f"{name}: please keep this e-mail (backup record {head.hash[:SHORTEST_HEAD]})",
        text=f"""\
Please keep this e-mail. There is nothing to read or to do.

Every backup of {name}, and every test of one, is written to a record.
The number below stands for all of that record up to {instant_words(head.at, zone)}.
If anybody ever shortens or changes the record, the number does not fit any more.
That is why it is kept with you, and not only with us.

If an auditor, an insurer or a court asks: forward this e-mail.

For whoever checks:
  practice          {head.practice}
  head              {head.hash}
  entry             {head.number} of chain {head.chain}
  written           {head.at:%Y-%m-%dT%H:%M:%SZ}
  key fingerprint   {fingerprint(head.key)}

  dro evidence verify {head.practice} --expect {head.hash}
""",
    )


# --- in a bucket ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AnchoredObject:
    """A head that lies in a bucket, as its name says."""

    number: int
    head: str
    """The first 12 digits of it."""
    key: str


def _put(spec: AnchorSpec, bucket: BucketPlace, now: datetime, head: Head) -> str:
    client, name, prefix = _opened(bucket, head.practice)
    where, content = bucket_words(bucket, head.practice), head.line.encode()
    asked: dict[str, Any] = {
        "Bucket": name,
        "Key": f"{prefix}{head.number}-{head.hash[:SHORTEST_HEAD]}.json",
        "Body": content,
        "ContentType": "application/json",
        # asked for where objects are locked: S3 API reference, PutObject, `Content-MD5`
        "ContentMD5": b64encode(md5(content, usedforsecurity=False).digest()).decode(),
    }
    until = (now + spec.keep).replace(microsecond=0)
    try:
        with in_our_words(where):
            client.put_object(**asked, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    except StorageUnusable as error:
        if error.code not in _TAKES_NO_LOCK:
            raise
        with in_our_words(where):
            client.put_object(**asked)
        return f"{where} does not lock it: whoever has its keys can remove it"
    return ""


def anchored_in(bucket: BucketPlace, practice: str) -> tuple[AnchoredObject, ...]:
    """Return the heads that lie in a bucket, by number.

    Raises:
        StorageUnusable: it cannot be looked into.
    """
    client, name, prefix = _opened(bucket, practice)
    with in_our_words(bucket_words(bucket, practice)):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    found = [
        AnchoredObject(number=int(said[1]), head=said[2], key=key)
        for key in keys
        if (said := _KEY.fullmatch(key.removeprefix(prefix)))
    ]
    return tuple(sorted(found, key=lambda each: (each.number, each.head)))


def line_in(bucket: BucketPlace, practice: str, anchored: AnchoredObject) -> str:
    """Return the line that was put into a bucket.

    Raises:
        StorageUnusable: it cannot be read.
    """
    client, name, _ = _opened(bucket, practice)
    with in_our_words(bucket_words(bucket, practice)):
        body = client.get_object(Bucket=name, Key=anchored.key)["Body"]
        content: bytes = body.read(_LINE_LIMIT)
    return content.decode(errors="replace")


def _opened(bucket: BucketPlace, practice: str) -> tuple[Any, str, str]:
    name, _, prefix = bucket.to.removeprefix("s3://").partition("/")
    access = AwsAccess(profile=bucket.aws_profile, endpoint=bucket.endpoint)
    below = "".join(f"{each}/" for each in (prefix.strip("/"), practice, "evidence") if each)
    return aws_client("s3", access), name, below
