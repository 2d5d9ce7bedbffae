"""Servers that take what we send, on loopback: what was told to whom stands in their lists."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.support.servers import free_port


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What a program would read."""
        return json.loads(self.body)


@dataclass
class HttpSink:
    """A web server that takes everything."""

    port: int = 0
    requests: list[Asked] = field(default_factory=list)
    status: int = 200
    """What it answers."""
    then: Callable[[], object] | None = None
    """What is done before it answers."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def paths(self) -> list[str]:
        """Return what was asked for, in order."""
        return [each.path for each in self.requests]


@dataclass
class Mail:
    """One mail, and who it was for."""

    to: list[str]
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"]).strip()  # a long one begins on a line of its own

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


@dataclass
class MailSink:
    """A mail server that takes everything."""

    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    """Addresses it does not take."""
    passwords: list[bytes] = field(default_factory=list)
    """Those it was shown."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = cast("bytes", envelope.content)
        message = message_from_bytes(content, policy=policy.default)
        self.mails.append(Mail(list(envelope.rcpt_tos), message))
        return "250 OK"


@contextmanager
def http_sink(port: int = 0) -> Iterator[HttpSink]:
    """Run a web server on loopback."""
    sink = HttpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            sink.requests.append(Asked(self.command, self.path, dict(self.headers), body))
            if sink.then is not None:
                sink.then()
            self.send_response(sink.status)
            self.send_header("Content-Length", "0")
            if sink.status in range(300, 400):
                self.send_header("Location", sink.url("/elsewhere"))
            self.end_headers()

        do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    sink.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mail_sink(
    *, certificate: Path | None = None, encryption: str = "none", password: str | None = None
) -> Iterator[MailSink]:
    """Run a mail server on loopback; with a password only for whoever knows it.

    `certificate` is a file with the key too, for `encryption` by `starttls` or `tls`.
    """
    sink = MailSink()
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    def authenticate(*asked: Any) -> AuthResult:
        shown = asked[-1].password
        sink.passwords.append(shown)
        return AuthResult(success=shown == (password or "").encode(), handled=False)

    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=context if encryption == "tls" else None,
        tls_context=context if encryption == "starttls" else None,
        authenticator=authenticate if password is not None else None,
        auth_require_tls=encryption == "starttls",
    )
    controller.start()
    sink.port = controller.port
    try:
        yield sink
    finally:
        controller.stop()
