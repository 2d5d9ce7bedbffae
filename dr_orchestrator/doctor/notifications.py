"""Whether anybody would be told: who there is to tell, and whether their servers are there.

Nothing is sent. A mail server is logged in to; a web server is connected to and told nothing.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dr_orchestrator.aws import NAMES, AwsAccess, aws_client, in_our_words
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.doctor.certificates import https_certificate, remaining
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.errors import SecretUnavailable, StorageUnusable
from dr_orchestrator.plan.anchoring import anchor_contacts
from dr_orchestrator.settings import MailServer

if TYPE_CHECKING:
    from datetime import tzinfo

    from dr_orchestrator.doctor.instruments import DoctorTools, Patient
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.notification import Notification, Ses
    from dr_orchestrator.plan.secret_reference import SecretReference

_CONNECT_SECONDS = 15.0
_PORTS = {"http": 80, "https": 443}
_MAY_NOT_LOOK = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError"})
_TELL = "add `notify` to the plan, or to the machine's settings"

Found = tuple[Kind, str, str]
"""Of what kind, what is wrong, and what to do."""


def look_for_listeners(patient: Patient) -> Iterator[Complaint]:
    """Complain where nobody is told of what is wrong with a practice."""
    if not patient.plan.notify and not patient.tools.settings.notify:
        what = f"neither the plan of {patient.plan.practice.id} nor the settings name anybody"
        yield of_plan(patient.loaded, "", Kind.NOBODY_TOLD, what, _TELL)


def look_at_mail(tools: DoctorTools, plans: tuple[LoadedPlan, ...]) -> Iterator[Complaint]:
    """Complain of a mail server that would not take our mail, where anybody is told by e-mail."""
    by_mail = [
        (loaded, f"notify[{number}]")
        for loaded in plans
        for number, entry in enumerate(loaded.plan.notify)
        if entry.by_mail_server
    ]
    by_mail += [(each, "kit.mail") for each in plans if each.plan.kit and each.plan.kit.mail]
    reported = (each for each in plans if each.plan.report and each.plan.report.mail)
    by_mail += [(each, "report.mail") for each in reported]
    by_mail += [(each, "evidence.anchor.mail") for each in plans if each.plan.evidence.anchor.mail]
    by_default = any(anchor_contacts(each.plan, has_mail=True) for each in plans)
    mail, do = tools.settings.mail, "write `mail` in the machine's settings"
    if mail is None:
        what = "somebody is told by e-mail, and the settings name no mail server"
        for loaded, field in by_mail:
            yield of_plan(loaded, field, Kind.NOT_TOLD, what, do)
        if any(entry.by_mail_server for entry in tools.settings.notify):
            yield Complaint(kind=Kind.NOT_TOLD, what=what, do=do)
    elif by_mail or by_default or any(each.by_mail_server for each in tools.settings.notify):
        for kind, what, do in _mail_server(tools, mail, plans):
            yield Complaint(kind=kind, what=what, do=do)


def look_at_listener(patient: Patient, number: int) -> Iterator[Complaint]:
    """Complain of the server behind one entry of a plan's `notify`."""
    entry = patient.plan.notify[number]
    for kind, what, do in _listener(patient.tools, entry, patient.plan.practice.timezone):
        yield of_plan(patient.loaded, f"notify[{number}]", kind, what, do)


def look_at_own_listener(
    tools: DoctorTools, entry: Notification, zone: tzinfo
) -> Iterator[Complaint]:
    """Complain of the server behind one entry of `notify` in the machine's settings."""
    for kind, what, do in _listener(tools, entry, zone):
        yield Complaint(kind=kind, what=what, do=do)


def _listener(tools: DoctorTools, entry: Notification, zone: tzinfo) -> Iterator[Found]:
    if entry.sns is not None or entry.ses is not None:
        yield from _amazon(entry)
    reference = entry.secret
    if reference is None:
        return
    try:
        url = tools.secrets.read(reference)
    except SecretUnavailable as error:
        yield Kind.NOT_TOLD, error.message, error.hint or "put the URL there"
        return
    if entry.url is not None:
        if not _apprise_knows(url):
            what = f"the URL from {reference} is none that apprise knows"
            yield Kind.NOT_TOLD, what, "docs/howto/notifications.md shows some"
        return
    yield from _web_server(tools, reference, url, zone)


def _amazon(entry: Notification) -> Iterator[Found]:
    """Yield what keeps SNS or SES from telling; whether we may look is another question there."""
    do = "docs/howto/notifications.md shows what SNS and SES want"
    try:
        if entry.sns is not None:
            sns = entry.sns
            client = aws_client("sns", AwsAccess(profile=sns.aws_profile, region=sns.region))
            with in_our_words(NAMES["sns"]):
                client.get_topic_attributes(TopicArn=sns.topic)
        if entry.ses is not None:
            yield from _sender(entry.ses)
    except StorageUnusable as error:
        if error.code not in _MAY_NOT_LOOK:
            yield Kind.NOT_TOLD, error.message, error.hint or do


def _sender(ses: Ses) -> Iterator[Found]:
    client = aws_client("ses", AwsAccess(profile=ses.aws_profile, region=ses.region))
    identities = [ses.sender, ses.sender.rpartition("@")[2]]
    with in_our_words(NAMES["ses"]):
        answer = client.get_identity_verification_attributes(Identities=identities)
    states = answer["VerificationAttributes"].values()
    if not any(each.get("VerificationStatus") == "Success" for each in states):
        what = f"SES does not know {ses.sender} as an address of ours"
        yield Kind.NOT_TOLD, what, "verify it, or its domain, in SES"


def _web_server(
    tools: DoctorTools, reference: SecretReference, url: Secret, zone: tzinfo
) -> Iterator[Found]:
    parts = urlsplit(url.reveal())
    if parts.scheme not in _PORTS or not parts.hostname:
        yield Kind.NOT_TOLD, f"the URL from {reference} is no http or https URL", "correct it"
        return
    environment = tools.settings.environment_value
    if environment(f"{parts.scheme}_proxy") or environment(f"{parts.scheme.upper()}_PROXY"):
        return  # the proxy leads there, and connects by itself
    shown = f"the server of the URL from {reference}"
    try:
        if parts.scheme == "https":
            certificate = https_certificate(parts.hostname, parts.port)
            if certificate is not None:
                named = f"the certificate of {shown}"
                yield from remaining(certificate, named, tools.clock.now(), zone)
        else:
            address = (parts.hostname, parts.port or _PORTS[parts.scheme])
            socket.create_connection(address, _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        what = f"{shown} does not answer{_cause(error)}"
        yield Kind.NOT_TOLD, what, "is the URL right, and does a firewall let this machine out?"


def _mail_server(
    tools: DoctorTools, mail: MailServer, plans: tuple[LoadedPlan, ...]
) -> Iterator[Found]:
    where = f"the mail server {mail.host}:{mail.port}"
    do = "check `mail` in the machine's settings"
    certificate = None
    try:
        password = mail.password and tools.secrets.read(mail.password)
        with _connected(mail) as connection:
            if isinstance(connection.sock, ssl.SSLSocket):
                certificate = connection.sock.getpeercert(binary_form=True)
            if mail.user is not None:
                connection.login(mail.user, password.reveal() if password else "")
    except SecretUnavailable as error:
        yield Kind.NOT_TOLD, f"{where}: {error.message}", error.hint or do
    except smtplib.SMTPAuthenticationError:
        yield Kind.NOT_TOLD, f"{where} does not accept our user and password", do
    except ssl.SSLCertVerificationError:
        yield Kind.NOT_TOLD, f"{where} has a certificate that is not trusted here", do
    except smtplib.SMTPException as error:
        yield Kind.NOT_TOLD, f"{where} does not take our mail ({type(error).__name__})", do
    except (OSError, ValueError) as error:
        yield Kind.NOT_TOLD, f"{where} does not answer{_cause(error)}", do
    if certificate is not None and plans:
        zone = plans[0].plan.practice.timezone
        named = f"the certificate of {where}"
        yield from remaining(certificate, named, tools.clock.now(), zone)


@contextlib.contextmanager
def _connected(mail: MailServer) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    connection: smtplib.SMTP
    if mail.encryption == "tls":
        connection = smtplib.SMTP_SSL(
            mail.host, mail.port, timeout=_CONNECT_SECONDS, context=context
        )
    else:
        connection = smtplib.SMTP(mail.host, mail.port, timeout=_CONNECT_SECONDS)
    with connection:
        if mail.encryption == "starttls":
            connection.starttls(context=context)
        connection.ehlo_or_helo_if_needed()
        yield connection


def _apprise_knows(url: Secret) -> bool:
    import logging

    from apprise import Apprise

    logging.getLogger("apprise").disabled = True  # it would log the URL
    return bool(Apprise().add(url.reveal()))


def _cause(error: Exception) -> str:
    words = getattr(error, "strerror", None) or ("timed out" if "timed out" in str(error) else "")
    return f" ({words.lower()})" if words else ""
