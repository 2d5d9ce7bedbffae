"""`dro open`, as a person uses it, and as it ends: in time, by Ctrl-C, or killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.record import Restored
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.report.gather import said
from dr_orchestrator.store.sqlite import open_store
from tests.support.postgres import (
    BACKUP_PASSWORD,
    BACKUP_USER,
    EMR,
    PATIENT,
    Production,
    production,
)
from tests.support.site import Ended, Site, new_site, processes_of

_PATIENCE_SECONDS = 30.0
_WHY = "one table back"
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as server, server.database("emr", EMR):
        yield server


@pytest.fixture(scope="module")
def site(server: Production) -> Iterator[Site]:
    with new_site() as site:
        password = site.folder / "db-password"
        password.touch(mode=0o600)
        password.write_text(BACKUP_PASSWORD)
        site.write_plan(
            f"""\
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: postgres, host: {server.host}, port: {server.port}, database: emr,
                 user: {BACKUP_USER}, password: {{file: {password}}}}}
"""
        )
        assert site.dro("backup", "riverside").code == 0
        yield site


class Opening:
    """A `dro open` that goes on, and what it said of how to come in."""

    def __init__(self, site: Site, *words: str) -> None:
        self.process = site.start("open", "riverside", "--why", _WHY, "--json", *words)
        assert self.process.stdout is not None
        self.said = json.loads(self.process.stdout.readline())

    def connect(self, *, user: str | None = None, password: str | None = None) -> Any:
        return psycopg.connect(
            host=self.said["host"],
            port=self.said["port"],
            user=user or self.said["user"],
            password=password or self.said["password"],
            dbname=self.said["database"],
            autocommit=True,
        )

    def end(self) -> Ended:
        stdout, stderr = self.process.communicate(timeout=_PATIENCE_SECONDS)
        return Ended(self.process.returncode, stdout.decode(), stderr.decode())


@pytest.fixture
def opening(site: Site) -> Iterator[Callable[..., Opening]]:
    begun: list[Opening] = []

    def begin(*words: str) -> Opening:
        begun.append(Opening(site, *words))
        assert "password" in begun[-1].said, begun[-1].said
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.communicate()


def _wait_until(done: Callable[[], bool]) -> None:
    last = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < last
        time.sleep(0.02)


def _is_refused(said: dict[str, Any]) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection((said["host"], said["port"])).close()
        return False
    return True


def _assert_kept_nowhere(site: Site, *secrets: str) -> None:
    """Hold every file of this machine's own, and every process, against what is secret."""
    own = [*site.state.rglob("*"), *(site.folder / "cache").rglob("*")]
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            own += [process / "cmdline", process / "environ"]
    for file in own:
        content = b""
        with contextlib.suppress(OSError):  # a folder, or gone by now
            content = file.read_bytes()
        assert not any(each.encode() in content for each in secrets), file


def test_a_point_is_open_to_one_reader_until_a_person_ends_it(
    site: Site, server: Production, opening: Callable[..., Opening]
) -> None:
    server.run("delete from emr.setting", "emr")
    opened = opening("--for", "10m")
    with opened.connect() as reader:
        assert reader.execute("select count(*) from emr.setting").fetchone() == (2,)
        assert reader.execute("select max(name) from emr.patient").fetchone() == (PATIENT,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("delete from emr.patient")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("copy emr.patient to program 'true'")
    for user in ("postgres", "dro_sandbox", BACKUP_USER):
        with pytest.raises(psycopg.OperationalError, match="rejects"):
            opened.connect(user=user, password=BACKUP_PASSWORD)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        opened.connect(password="another")
    taken = site.dro("open", "riverside", "--port", str(opened.said["port"]))
    assert (taken.code, "cannot be had" in taken.stderr) == (2, True), taken.said

    opened.connect().close()  # that swept, and left it alone
    _assert_kept_nowhere(site, opened.said["password"], PATIENT)

    os.killpg(opened.process.pid, signal.SIGINT)
    ended = opened.end()
    assert (ended.code, "is removed" in ended.stderr) == (0, True), ended.said
    assert opened.said["password"] not in ended.said
    assert _is_refused(opened.said)
    assert site.leftovers() == []
    _assert_kept_nowhere(site, opened.said["password"], PATIENT)
    with contextlib.closing(open_store(site.state, SystemClock())) as store:
        (entry,) = said(store.evidence, "riverside", Restored, _LONG_AGO)
        runs = store.runs({"riverside"}, since=_LONG_AGO, limit=9).closed
    assert entry.place.startswith("read-only server on 127.0.0.1 until 20")
    assert (entry.assets, entry.point, entry.why) == (("database",), opened.said["point"], _WHY)
    ended_as = [each.outcome for each in runs if each.operation is Operation.OPEN]
    assert (ended_as, entry.run in {each.id for each in runs}) == ([Outcome.DONE], True)


def test_what_is_open_is_gone_when_its_time_is_over(
    site: Site, opening: Callable[..., Opening]
) -> None:
    opened = opening("--for", "1s")
    ended = opened.end()
    assert (ended.code, "is removed" in ended.stderr) == (0, True), ended.said
    assert _is_refused(opened.said)
    assert site.leftovers() == []


def test_what_is_open_is_gone_when_its_process_is_killed(
    site: Site, opening: Callable[..., Opening]
) -> None:
    opened = opening("--for", "10m")
    opened.connect().close()
    (sandbox,) = (each for each in (site.folder / "state-sandbox").iterdir() if each.is_dir())
    assert any(str(sandbox) in line for _, line in processes_of(site.folder))

    opened.process.kill()
    opened.process.communicate()
    assert _is_refused(opened.said)
    _wait_until(lambda: not any(str(sandbox) in line for _, line in processes_of(site.folder)))
    _wait_until(lambda: site.leftovers() == [])  # and nobody started anything
    with contextlib.closing(open_store(site.state, SystemClock())) as store:
        assert store.open_runs() == ()
