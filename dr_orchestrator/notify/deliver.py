"""From a message and a channel to the server that takes it; the one place that reads its secret.

Each wait for a server is short, and nothing here is ever done by the thread of a backup.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import NotDelivered
from dr_orchestrator.notify.amazon import publish_by_sns, send_by_ses
from dr_orchestrator.notify.channel import Channel
from dr_orchestrator.notify.email import send_email
from dr_orchestrator.notify.message import Message
from dr_orchestrator.notify.request import request
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.plan.ticket import ticket_body
from dr_orchestrator.settings import MailServer

TIMEOUT_SECONDS = 10.0
_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Post:
    """What this machine sends with."""

    mail: MailServer | None
    read_secret: Callable[[SecretReference], Secret]
    timeout_seconds: float = TIMEOUT_SECONDS


def deliver(message: Message, channel: Channel, post: Post, at: datetime) -> None:
    """Send a message over a channel.

    Raises:
        NotDelivered: it did not arrive; the text holds no secret.
        SecretUnavailable: the channel's address, or the mail server's password, is not there.
    """
    spec = channel.spec
    if spec.url is not None:
        _send_by_apprise(message, post.read_secret(spec.url))
    elif spec.webhook is not None:
        _send_to_webhook(message, channel, post)
    elif spec.sns is not None:
        publish_by_sns(message, spec.sns)
    elif spec.ses is not None:
        send_by_ses(message, spec.ses, at=at)
    elif channel.address:
        deliver_by_mail(message, channel.address, post, at)
    else:
        raise NotDelivered("it has no e-mail address")


def deliver_by_mail(message: Message, address: str, post: Post, at: datetime) -> None:
    """Send a message to an address, through the machine's mail server.

    Raises:
        NotDelivered, SecretUnavailable: as `deliver`.
    """
    if post.mail is None:
        raise NotDelivered("this machine has no `mail` in its settings")
    reference = post.mail.password
    send_email(
        message,
        address,
        post.mail,
        password=post.read_secret(reference) if reference else None,
        at=at,
        timeout_seconds=post.timeout_seconds,
    )


def ping(channel: Channel, ending: str, post: Post) -> None:
    """Tell a dead-man's switch: `start`, `fail`, or nothing for success (healthchecks.io's words).

    Raises:
        NotDelivered, SecretUnavailable: as `deliver`.
    """
    if channel.spec.ping is None:
        raise ValueError(f"{channel.name} is no dead-man's switch")
    parts = urlsplit(post.read_secret(channel.spec.ping).reveal())
    path = f"{parts.path.rstrip('/')}/{ending}" if ending else parts.path
    request(urlunsplit(parts._replace(path=path)), timeout_seconds=post.timeout_seconds)


def _send_to_webhook(message: Message, channel: Channel, post: Post) -> None:
    spec = channel.spec
    if spec.webhook is None:
        raise ValueError(f"{channel.name} is no webhook")
    if spec.ticket is None:
        body = json.dumps(message.facts, ensure_ascii=False).encode()
    else:
        try:
            body = ticket_body(spec.ticket, message.facts)
        except ValueError as error:
            raise NotDelivered(f"its `ticket` {error}") from None
    url = post.read_secret(spec.webhook).reveal()
    request(url, timeout_seconds=post.timeout_seconds, body=body, content_type=_JSON)


def _send_by_apprise(message: Message, url: Secret) -> None:
    """Send by apprise (2.2), which waits at most 4 s to connect and 4 s for an answer.

    What it logs may hold the URL, so it logs nothing.
    """
    from apprise import Apprise, NotifyFormat

    logging.getLogger("apprise").disabled = True
    way = Apprise()
    try:
        sent = way.add(url.reveal()) and way.notify(
            title=message.subject, body=message.text, body_format=NotifyFormat.TEXT
        )
    except Exception as error:  # noqa: BLE001 - a hundred services' code; its text may hold the URL
        raise NotDelivered(f"apprise could not send it ({type(error).__name__})") from None
    if not len(way):
        raise NotDelivered("its address is none that apprise knows")
    if not sent:
        raise NotDelivered("its server could not be reached, or did not take it")
