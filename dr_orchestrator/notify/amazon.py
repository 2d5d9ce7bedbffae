"""Telling by Amazon's SNS and SES, with the keys that boto3 finds.

Not through apprise's plugins for both (2.2.0, `NotifySNS`, `NotifySES`): these reach one fixed host
only, create a topic where the name is misspelt, and log why something failed instead of saying so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from dr_orchestrator.aws import NAMES, AwsAccess, aws_client, in_our_words
from dr_orchestrator.errors import NotDelivered, StorageUnusable
from dr_orchestrator.notify.email import written

if TYPE_CHECKING:
    from dr_orchestrator.notify.message import Message
    from dr_orchestrator.plan.notification import Ses, Sns

_LONGEST_SUBJECT = 99
"""SNS, API reference of Publish: ASCII without control characters, fewer than 100 of them."""


def publish_by_sns(message: Message, sns: Sns) -> None:
    """Publish a message to a topic; who subscribed by SMS gets its subject only.

    Raises:
        NotDelivered: SNS did not take it, or could not be reached.
    """
    subject = re.sub(r"[^\x20-\x7e]", "?", message.subject)[:_LONGEST_SUBJECT]
    body = {"default": message.text, "sms": message.subject}
    with _delivery("sns"):
        client = aws_client("sns", AwsAccess(profile=sns.aws_profile, region=sns.region))
        client.publish(
            TopicArn=sns.topic,
            Subject=subject.strip(),
            Message=json.dumps(body),
            MessageStructure="json",
        )


def send_by_ses(message: Message, ses: Ses, *, at: datetime) -> None:
    """Send a message as an e-mail.

    Raises:
        NotDelivered: SES did not take it, or could not be reached.
    """
    mail = written(message, ses.to, ses.sender, host="ses", at=at)
    with _delivery("ses"):
        client = aws_client("ses", AwsAccess(profile=ses.aws_profile, region=ses.region))
        client.send_raw_email(
            Source=ses.sender, Destinations=[ses.to], RawMessage={"Data": mail.as_bytes()}
        )


@contextmanager
def _delivery(service: str) -> Iterator[None]:
    try:
        with in_our_words(NAMES[service]):
            yield
    except StorageUnusable as error:
        raise NotDelivered(error.message, hint=error.hint) from None
