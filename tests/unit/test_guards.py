"""The guards of tests/conftest.py hold."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.guards import NetworkOutOfReach, guard_home
from tests.support.tools import require_tool


def test_home_is_a_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()

    assert Path.home().is_relative_to(base)
    for name in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR", "STATE_HOME"):
        assert Path(os.environ[f"XDG_{name}"]).is_relative_to(base)


def test_environment_of_the_programs_we_drive_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign = ("RESTIC_PASSWORD", "PGHOST", "MYSQL_PWD", "AWS_PROFILE", "DRO_SETTINGS")
    for name in foreign:
        monkeypatch.setenv(name, "mine")

    guard_home(monkeypatch, tmp_path)

    assert [name for name in foreign if name in os.environ] == []


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("192.0.2.1", 80)),
        (socket.AF_INET, ("practice.example", 80)),
        (socket.AF_INET6, ("2001:db8::1", 80, 0, 0)),
    ],
)
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_network_is_out_of_reach(family: int, address: tuple[object, ...], method: str) -> None:
    with socket.socket(family) as client, pytest.raises(NetworkOutOfReach):
        getattr(client, method)(address)


def test_loopback_is_in_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_missing_tool_skips_or_fails_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DR_REQUIRE_TOOLS", raising=False)
    with pytest.raises(pytest.skip.Exception):
        require_tool("no-such-program")

    monkeypatch.setenv("DR_REQUIRE_TOOLS", "1")
    with pytest.raises(pytest.fail.Exception):
        require_tool("no-such-program")
