"""What the answers of storage mean to whoever attacks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.repositories.attack import Reply, Victim
from dr_orchestrator.repositories.s3_attack import S3Access
from dr_orchestrator.repositories.s3_place import S3Place, s3_location

VICTIM = Victim(path="snapshots/ab", content=b"a snapshot", version="1")


class Storage:
    """What of boto3's client removes objects, and answers one error after the other."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers = iter(answers)
        self.asked: list[dict[str, Any]] = []

    def delete_object(self, **asked: Any) -> None:
        self.asked.append(asked)
        answer = next(self._answers)
        if answer is not None:
            raise answer


def answer(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DeleteObject")


def place(client: Storage) -> S3Place:
    location = s3_location("s3:http://127.0.0.1:9000/bucket/dro")
    return S3Place(name="offsite", location=location, client=client)


def delete(*answers: Exception | None) -> tuple[Reply, list[dict[str, Any]]]:
    client = Storage(*answers)
    return S3Access(place(client), place(client)).delete(VICTIM), client.asked


DENIED = answer("AccessDenied")


def cases() -> Iterator[Any]:
    worm = "Object is WORM protected and cannot be overwritten"
    yield pytest.param((DENIED, DENIED), Reply(Answer.REFUSED, "AccessDenied"), id="refused")
    yield pytest.param((DENIED, answer("501")), Reply(Answer.REFUSED, "AccessDenied"), id="simple")
    yield pytest.param(
        (answer("InvalidRequest", worm),) * 2, Reply(Answer.REFUSED, "ObjectLocked"), id="minio"
    )
    yield pytest.param(
        (answer("InvalidRequest"), DENIED), Reply(Answer.UNKNOWN, "InvalidRequest"), id="our fault"
    )
    yield pytest.param(
        (DENIED, answer("InternalError")), Reply(Answer.UNKNOWN, "InternalError"), id="its fault"
    )
    yield pytest.param(
        (DENIED, answer("InvalidAccessKeyId")),
        Reply(Answer.UNKNOWN, "InvalidAccessKeyId"),
        id="no right to ask",
    )
    yield pytest.param(
        (DENIED, ReadTimeoutError(endpoint_url="http://127.0.0.1")),
        Reply(Answer.UNKNOWN, "ReadTimeoutError"),
        id="silence",
    )
    yield pytest.param((DENIED, None), Reply(Answer.DONE), id="bypassed")
    yield pytest.param((None,), Reply(Answer.DONE), id="done")


@pytest.mark.parametrize(("answers", "expected"), list(cases()))
def test_delete_is_refused_only_where_every_way_was_refused(
    answers: tuple[Exception | None, ...], expected: Reply
) -> None:
    reply, _ = delete(*answers)
    assert reply == expected


def test_delete_names_the_version_and_tries_to_bypass_governance_only_after_a_plain_one() -> None:
    _, (plain, bypassing) = delete(DENIED, DENIED)
    assert plain == {"Bucket": "bucket", "Key": "dro/snapshots/ab", "VersionId": "1"}
    assert bypassing == plain | {"BypassGovernanceRetention": True}
