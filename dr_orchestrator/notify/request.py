"""One HTTP request, and why it did not arrive, in words that hold nothing of its URL.

A URL of a webhook or a ping is a secret: whoever knows it can speak in our name. Redirects are not
followed: a POST would arrive as a GET, and nobody would have been told.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from dr_orchestrator import __version__
from dr_orchestrator.errors import NotDelivered

_DONE = range(200, 300)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_request: Any) -> None:
        """Follow none: what is answered then counts as it is."""


def request(
    url: str, *, timeout_seconds: float, body: bytes | None = None, content_type: str = ""
) -> None:
    """GET a URL, or POST to it where there is a body; a name and password in it are Basic's.

    The timeout is that of each wait for the network.

    Raises:
        NotDelivered: there was no answer, or one that is not 2xx.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotDelivered("its address is no http or https URL")
    headers = {"User-Agent": f"dro/{__version__}"}
    if content_type:
        headers["Content-Type"] = content_type
    if parts.username is not None:
        said = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(said).decode()}"
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    try:
        asked = urllib.request.Request(bare, data=body, headers=headers)  # noqa: S310 - see above
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(asked, timeout=timeout_seconds) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        error.close()
        status = error.code
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotDelivered(network_words(error)) from None
    if status not in _DONE:
        raise NotDelivered(f"its server answered {status}")


def network_words(error: Exception, server: str = "its server") -> str:
    """Return why a server could not be reached, without anything the error says itself."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(cause, TimeoutError):
        return f"{server} did not answer in time"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{server}'s certificate is not valid here"
    if isinstance(cause, ssl.SSLError):
        return f"no encrypted connection came about with {server}"
    if isinstance(cause, ConnectionRefusedError):
        return f"{server} refused the connection"
    if isinstance(cause, socket.gaierror):
        return f"{server}'s name is not known"
    return f"{server} could not be reached ({type(cause).__name__})"
