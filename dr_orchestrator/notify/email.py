"""Telling by e-mail, through the machine's mail server."""

from __future__ import annotations

import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import NotDelivered
from dr_orchestrator.notify.message import Message
from dr_orchestrator.notify.request import network_words
from dr_orchestrator.settings import MailServer


def send_email(
    message: Message,
    address: str,
    server: MailServer,
    *,
    password: Secret | None,
    at: datetime,
    timeout_seconds: float,
) -> None:
    """Hand a message to the mail server; its certificate is verified unless nothing is encrypted.

    Raises:
        NotDelivered: the server did not take it, or could not be reached.
    """
    mail = written(message, address, server.sender, host=server.host, at=at)
    if server.reply_to is not None:
        mail["Reply-To"] = server.reply_to
    try:
        with _connected(server, timeout_seconds) as connection:
            if server.user is not None:
                connection.login(server.user, password.reveal() if password else "")
            connection.send_message(mail)
    except smtplib.SMTPAuthenticationError:
        raise NotDelivered("the mail server does not accept our password") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotDelivered("the mail server refuses this address") from None
    except smtplib.SMTPServerDisconnected:  # also where it was silent for too long
        raise NotDelivered("the mail server did not answer in time, or hung up") from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"the mail server answered {error.smtp_code}") from None
    except smtplib.SMTPException as error:
        raise NotDelivered(f"the mail server did not take it ({type(error).__name__})") from None
    except (OSError, ValueError) as error:
        raise NotDelivered(network_words(error, "the mail server of this machine")) from None


def written(
    message: Message, address: str, sender: str, *, host: str, at: datetime
) -> EmailMessage:
    """Return a message as an e-mail; `host` names us in its id where the sender has no domain."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, address
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2] or host}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from holidays
    mail.set_content(message.text)
    for each in message.attachments:
        kind, _, subtype = each.media_type.partition("/")
        mail.add_attachment(each.content, maintype=kind, subtype=subtype, filename=each.name)
    return mail


def _connected(server: MailServer, timeout_seconds: float) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if server.encryption == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=timeout_seconds, context=context)
    connection = smtplib.SMTP(server.host, server.port, timeout=timeout_seconds)
    if server.encryption == "starttls":
        try:
            connection.starttls(context=context)
        except BaseException:
            connection.close()
            raise
    return connection
