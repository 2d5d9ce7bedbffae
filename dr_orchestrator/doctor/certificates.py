"""How long the certificates of servers last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import date_words, duration_words
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.servers.certificate import shown_certificate

if TYPE_CHECKING:
    from datetime import tzinfo

    from dr_orchestrator.doctor.instruments import Patient

SOON = timedelta(days=14)
_CONNECT_SECONDS = 15.0
_HTTPS = 443


def look_at_certificate(
    patient: Patient, field: str, shown: str, certificate: bytes
) -> Iterator[Complaint]:
    """Complain of a certificate (DER) that is over or soon will be; `shown` is whose it is."""
    zone, now = patient.plan.practice.timezone, patient.tools.clock.now()
    for kind, what, do in remaining(certificate, shown, now, zone):
        yield of_plan(patient.loaded, field, kind, what, do)


def remaining(
    certificate: bytes, shown: str, now: datetime, zone: tzinfo
) -> Iterator[tuple[Kind, str, str]]:
    """Yield what is to be said of a certificate (DER) at `now`: nothing while it lasts."""
    from cryptography import x509

    end = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    do = "renew it on that server"
    if end <= now:
        yield Kind.CERTIFICATE_OVER, f"{shown} ended on {date_words(end, zone)}", do
    elif end - now < SOON:
        left = duration_words(end - now)
        yield Kind.CERTIFICATE_ENDS, f"{shown} ends on {date_words(end, zone)}, in {left}", do


def https_certificate(host: str, port: int | None) -> bytes | None:
    """Return what a web server proves itself with.

    Raises:
        OSError: it does not answer, or not by TLS.
    """
    return shown_certificate(host, port or _HTTPS, seconds=_CONNECT_SECONDS)
