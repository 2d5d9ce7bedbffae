"""Telling people while things break: killed while sending, servers that hang, lie or refuse."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dr_orchestrator.clock import Stopwatch, SystemClock
from dr_orchestrator.core.problem import site_problem
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import NotDelivered, StoreUnusable
from dr_orchestrator.notify.channel import Channel
from dr_orchestrator.notify.deliver import Post, deliver
from dr_orchestrator.notify.message import Message
from dr_orchestrator.notify.tell import Teller, TellTools
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.settings import MailServer
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.clock import FakeClock
from tests.support.sinks import http_sink, mail_sink

ROOT = Path(__file__).parents[2]
HOOK = Notification.model_validate({"webhook": {"env": "HOOK"}})
BROKEN = site_problem("plan", "a plan cannot be used", advice="mend it")
MESSAGE = Message(id="4k7q2z-opened-1", subject="it failed", text="mend it\n", facts={})
_DYING = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.faults.test_telling import tell
tell(Path(sys.argv[1]), sys.argv[2])
"""


def tell(state: Path, url: str) -> None:
    """Tell the webhook at `url` of one broken plan."""
    clock = FakeClock()
    with open_store(state, clock) as store:
        post = Post(mail=None, read_secret=lambda _: Secret(url), timeout_seconds=5)
        tools = TellTools(store=store, clock=clock, post=post, notify=(HOOK,), site="box-1")
        Teller(tools).tell([], [BROKEN])


def test_killed_while_sending_tells_again_with_the_same_id(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with http_sink() as sink:
        child = subprocess.Popen(
            (sys.executable, "-c", _DYING, str(state), sink.url("/hook")),
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
        )
        sink.then = child.kill  # the message has arrived, and nobody hears that it did
        child.wait(60)
        sink.then = None
        tell(state, sink.url("/hook"))
        tell(state, sink.url("/hook"))

    first, second = (each.json for each in sink.requests)
    assert child.returncode == -9
    assert first["message"] == second["message"]


def test_server_that_never_answers_costs_its_time_limit_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and says nothing
        port = silent.getsockname()[1]
        waited = Stopwatch(SystemClock())
        for channel, mail in (
            (webhook(), None),
            (email(), mail_server(port, "none")),
            (email(), mail_server(port, "tls")),
        ):
            post = Post(
                mail=mail,
                read_secret=lambda _: Secret(f"http://127.0.0.1:{port}/"),
                timeout_seconds=0.2,
            )
            with pytest.raises(NotDelivered, match="did not answer in time"):
                deliver(MESSAGE, channel, post, datetime.now(UTC))
    assert waited.elapsed() < 10 * 3  # as long as it would take without a limit of its own


def test_server_that_drips_holds_nobody_up(tmp_path: Path) -> None:
    with dripping() as port, http_sink() as sink, open_store(tmp_path, FakeClock()) as store:
        urls = {"HOOK": f"http://127.0.0.1:{port}/", "OTHER": sink.url("/other")}
        post = Post(
            mail=None, read_secret=lambda each: Secret(urls[str(each.env)]), timeout_seconds=0.1
        )
        notify = (HOOK, Notification.model_validate({"webhook": {"env": "OTHER"}}))
        tools = TellTools(store=store, clock=FakeClock(), post=post, notify=notify, site="box-1")
        waited = Stopwatch(SystemClock())
        Teller(tools).tell([], [BROKEN])
        (problem,) = store.problems()
        reasons = [each.reason for each in store.tellings(problem.id)]
    assert waited.elapsed() < 10
    assert sink.paths() == ["/other"]
    assert "did not answer in time" in "".join(reasons)


@contextmanager
def dripping() -> Iterator[int]:
    """Run a web server that answers a byte at a time, and never to the end."""
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not over.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join()


def test_address_that_nobody_can_read_silences_nobody_else(tmp_path: Path) -> None:
    with http_sink() as sink, open_store(tmp_path, FakeClock()) as store:
        urls = {"HOOK": "https://[hook", "OTHER": sink.url("/other")}
        post = Post(mail=None, read_secret=lambda each: Secret(urls[str(each.env)]))
        notify = (HOOK, Notification.model_validate({"webhook": {"env": "OTHER"}}))
        tools = TellTools(store=store, clock=FakeClock(), post=post, notify=notify, site="box-1")
        Teller(tools).tell([], [BROKEN])
    assert sink.paths() == ["/other"]


def test_record_that_cannot_be_written_is_told_once_a_day(tmp_path: Path) -> None:
    clock = FakeClock()
    with http_sink() as sink, open_store(tmp_path, clock) as store:
        post = Post(mail=None, read_secret=lambda _: Secret(sink.url("/hook")))
        tools = TellTools(store=store, clock=clock, post=post, notify=(HOOK,), site="box-1")
        teller = Teller(tools)
        with sqlite3.connect(tmp_path / FILE_NAME) as connection:
            connection.execute("drop table problem")
        connection.close()
        for _ in range(30):
            with pytest.raises(StoreUnusable):
                teller.tell([], [BROKEN])
            clock.advance(timedelta(minutes=60))
    told = [each.json for each in sink.requests]
    assert len(told) == 2
    assert "cannot be recorded" in told[0]["problem"]["what"]
    assert "dro ack" not in told[0]["text"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and its own certificate for `localhost`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_mail_goes_only_to_a_server_whose_certificate_is_valid(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, encryption: str
) -> None:
    with mail_sink(certificate=certificate, encryption=encryption, password="right") as sink:
        server = mail_server(sink.port, encryption, user="dro")
        with pytest.raises(NotDelivered, match="certificate is not valid here"):
            deliver(MESSAGE, email(), posting(server, "right"), datetime.now(UTC))
        assert sink.passwords == []

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(NotDelivered, match="does not accept our password"):
            deliver(MESSAGE, email(), posting(server, "wrong"), datetime.now(UTC))
        deliver(MESSAGE, email(), posting(server, "right"), datetime.now(UTC))

    (mail,) = sink.mails
    assert (mail.to, mail.subject, mail.text) == (["jo@msp.example"], "it failed", "mend it\n")
    assert mail.message["Message-ID"] == "<4k7q2z-opened-1@msp.example>"


def test_address_that_is_refused_is_said() -> None:
    with mail_sink() as sink:
        sink.refuses.add("jo@msp.example")
        server = mail_server(sink.port, "none")
        with pytest.raises(NotDelivered, match="refuses this address"):
            deliver(MESSAGE, email(), posting(server, ""), datetime.now(UTC))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://127.0.0.1/x", "no http or https URL"),
        ("file:///etc/passwd", "no http or https URL"),
        ("http://", "no http or https URL"),
        ("http://127.0.0.1:99999/", "its server"),
        ("http://127.0.0.1/a b\n", "could not be reached"),
    ],
)
def test_webhook_that_is_no_address_of_the_web_is_refused(url: str, why: str) -> None:
    post = Post(mail=None, read_secret=lambda _: Secret(url), timeout_seconds=1)
    with pytest.raises(NotDelivered, match=why):
        deliver(MESSAGE, webhook(), post, datetime.now(UTC))


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Serve one connection with these bytes, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "could not be reached"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "could not be reached"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404"),
        (b"HTTP/1.1 500 token-canary\r\nContent-Length: 0\r\n\r\n", "answered 500$"),
    ],
)
def test_webhook_that_is_not_taken_is_not_delivered(answer: bytes, why: str) -> None:
    with answering(answer) as port:
        url = Secret(f"http://127.0.0.1:{port}/")
        post = Post(mail=None, read_secret=lambda _: url, timeout_seconds=2)
        with pytest.raises(NotDelivered, match=why):
            deliver(MESSAGE, webhook(), post, datetime.now(UTC))


def webhook() -> Channel:
    return Channel(name="hook", spec=HOOK, place="hook")


def email() -> Channel:
    spec = Notification.model_validate({"email": "jo@msp.example"})
    return Channel(name="jo", spec=spec, place="jo", address="jo@msp.example")


def mail_server(port: int, encryption: str, user: str | None = None) -> MailServer:
    return MailServer.model_validate(
        {
            "host": "localhost",
            "port": port,
            "encryption": encryption,
            "from": "dro@msp.example",
            "user": user,
            "password": {"env": "MAIL"} if user else None,
        }
    )


def posting(server: MailServer, password: str) -> Post:
    def read(reference: SecretReference) -> Secret:
        assert reference.env == "MAIL"
        return Secret(password)

    return Post(mail=server, read_secret=read, timeout_seconds=5)
