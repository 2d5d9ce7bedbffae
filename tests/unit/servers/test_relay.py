"""A unix socket that leads to one server, and to no other."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from dr_orchestrator.servers.relay import dial_path, loopback_port, passing_on, relay

OURS = (os.getuid(), os.getgid())


class Echo:
    """A server that answers with what it was told, in capitals."""

    def __init__(self) -> None:
        self.lines: list[socket.socket] = []

    def dial(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.lines.append(theirs)
        threading.Thread(target=self._answer, args=(theirs,), daemon=True).start()
        return ours

    def _answer(self, line: socket.socket) -> None:
        while said := line.recv(65536):
            line.sendall(said.upper())
        line.close()


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # a unix socket's path is short
    return Path("s")


def test_relay_passes_on_both_ways_until_the_end(door: Path) -> None:
    echo = Echo()
    with relay(door, echo.dial, owner=OURS):
        lines = [dial_path(door) for _ in range(3)]
        for number, line in enumerate(lines):
            line.sendall(f"line {number} ".encode() * 50_000)
            line.shutdown(socket.SHUT_WR)
        for number, line in enumerate(lines):
            assert line.makefile("rb").read() == f"LINE {number} ".encode() * 50_000
            line.close()


def test_relay_cuts_whoever_still_speaks_when_it_is_left(door: Path) -> None:
    with relay(door, Echo().dial, owner=OURS):
        line = dial_path(door)
        line.sendall(b"x")
        assert line.recv(1) == b"X"
    assert line.recv(1) == b""
    line.close()
    with pytest.raises(ConnectionRefusedError):
        dial_path(door)


def test_relay_cuts_a_line_to_a_server_that_is_gone(door: Path) -> None:
    def nobody() -> socket.socket:
        raise ConnectionRefusedError

    with relay(door, nobody, owner=OURS):
        line = dial_path(door)
        assert line.recv(1) == b""
        line.close()


def test_a_port_is_of_this_machine_alone_and_of_nobody_afterwards() -> None:
    with loopback_port(0) as listening:
        address = listening.getsockname()
        assert address[0] == "127.0.0.1"
        with pytest.raises(OSError, match="in use"):
            loopback_port(address[1])
        with passing_on(listening, Echo().dial):
            line = socket.create_connection(address)
            line.sendall(b"x")
            assert line.recv(1) == b"X"
        assert line.recv(1) == b""
        line.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
