"""What goes wrong while MariaDB is captured must be a failure, with a sentence that helps."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets import mariadb_lock
from dr_orchestrator.assets.base import Stream
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.errors import CaptureFailed, DroError, ProgramMissing
from dr_orchestrator.plan.model import MariadbAsset
from dr_orchestrator.process import SystemLauncher
from tests.support.mariadb import (
    BACKUP_PASSWORD,
    EMR,
    OLD_TABLES,
    PATIENT,
    PATTERNS,
    SEARCH_PATH,
    Bench,
    Production,
    physical,
    production,
    save_stream,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as running, running.database("emr", EMR):
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    launcher = SystemLauncher(SEARCH_PATH)
    yield Bench(launcher, tmp_path)
    launcher.close()


@pytest.fixture
def limited(server: Production) -> Iterator[str]:
    """Make a user without any right, with the same password."""
    escaped = BACKUP_PASSWORD.replace("\\", "\\\\").replace("'", "''")
    server.run(f"create user limited identified by '{escaped}'")
    yield "limited"
    server.run("drop user limited")


class LateClock(SystemClock):
    def now(self) -> datetime:
        return super().now() - timedelta(hours=2)


def refused(bench: Bench, asset: MariadbAsset, *, by_probe: bool = True) -> DroError:
    """Capture, expecting an error on entering that tells nothing it should not.

    A probe says the same, unless it shows only while data is being read.
    """
    with pytest.raises(DroError) as raised:  # noqa: SIM117
        with bench.driver.capture(bench.request(asset)):
            pytest.fail("it was captured")
    if by_probe:
        with pytest.raises(type(raised.value)) as probed:
            bench.driver.probe(bench.request(asset))
        assert str(probed.value) == str(raised.value)
    chain = "".join(str(part) for part in (raised.value, raised.value.__cause__))
    assert BACKUP_PASSWORD not in chain
    assert PATIENT not in chain
    runtime = bench.folder / "runtime"
    assert not runtime.exists() or not list(runtime.iterdir())
    return raised.value


def fake_client(bench: Bench, script: str) -> Bench:
    """Return a bench whose mariadb-dump is a script; `$REAL` is the real one."""
    folder = bench.folder / "programs" / "bin"
    folder.mkdir(parents=True)
    real = shutil.which("mariadb-dump")
    program = folder / "mariadb-dump"
    program.write_text(
        f'#!/bin/sh\nREAL={real}\ncase "$*" in *--version*) exec $REAL "$@";; esac\n{script}\n'
    )
    program.chmod(0o755)
    return Bench(bench.launcher, bench.folder, patterns=(str(folder),))


@pytest.mark.parametrize("is_physical", [False, True])
def test_wrong_password(server: Production, bench: Bench, is_physical: bool) -> None:
    bench = Bench(bench.launcher, bench.folder, password="canary-wrong")
    asset = physical(server.asset()) if is_physical else server.asset()
    error = refused(bench, asset)
    assert isinstance(error, CaptureFailed)
    assert "refused backup: wrong password" in error.message
    assert "canary-wrong" not in str(error)


def test_server_down(bench: Bench, server: Production) -> None:
    for asset in (server.asset(host="/nonexistent"), server.asset(host="127.0.0.1", port=1)):
        assert "cannot be reached" in refused(bench, asset).message


def test_something_else_listens_there(bench: Bench, server: Production) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            with other.accept()[0] as line:
                line.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        asset = server.asset(host="127.0.0.1", port=other.getsockname()[1])
        error = refused(bench, asset, by_probe=False)  # it greets once
        thread.join(10)
    assert isinstance(error, CaptureFailed)


def test_database_absent(server: Production, bench: Bench) -> None:
    assert "has no database nowhere" in refused(bench, server.asset("nowhere")).message


def test_encryption_demanded_of_a_server_without(server: Production, bench: Bench) -> None:
    error = refused(bench, server.asset(host="127.0.0.1", sslmode="require"))
    assert "no encrypted connection" in error.message


def test_rights_missing_that_hide_things_without_a_word(
    server: Production, bench: Bench, limited: str
) -> None:
    asset = server.asset(user=limited)
    assert "does not let limited use the database emr" in refused(bench, asset).message
    server.run("grant select on emr.patient to limited")  # of other tables it sees nothing at all
    error = refused(bench, asset)
    assert "limited lacks the right SELECT, SHOW VIEW, TRIGGER, EVENT on emr" in error.message
    server.run("grant select, show view, event on emr.* to limited")
    assert "lacks the right TRIGGER on emr" in refused(bench, asset).message
    server.run("grant trigger on emr.* to limited")
    error = refused(bench, asset)
    assert "may not read stored procedures and functions" in error.message
    assert "GRANT SELECT ON mysql.proc TO limited" in error.hint
    server.run("grant select on mysql.proc to limited")
    _, _, captured = bench.capture(asset)
    assert any("the server's accounts are not in the backup" in c for c in captured.conditions)
    assert b"CREATE USER IF NOT EXISTS 'emr_owner'@'localhost'" in captured.sidecars["users.sql"]


def test_rights_missing_to_copy_the_server(server: Production, bench: Bench, limited: str) -> None:
    server.run("grant select, show view, trigger, event on *.* to limited")
    error = refused(bench, physical(server.asset(user=limited)))
    assert "lacks RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR" in error.message


def test_view_that_does_not_work_is_named(server: Production, bench: Bench) -> None:
    with server.database("broken", "create table t (id int); create view v as select id from t"):
        server.run("drop table t; create table other (id int)", "broken")
        error = refused(bench, server.asset("broken"))
    assert "the view v does not work in production" in error.message


def test_view_that_the_backup_user_may_not_look_at_is_no_fault_of_production(
    server: Production, bench: Bench
) -> None:
    schema = """create function f() returns int deterministic return 1;
                create view v as select f(); create view w as select * from v"""
    with server.database("ruled", schema):
        error = refused(bench, server.asset("ruled"))
    assert error.message.startswith("backup may not run a function that the view")
    assert error.hint == "GRANT EXECUTE ON `ruled`.* TO backup"


def test_old_tables_without_the_right_to_lock(
    server: Production, bench: Bench, limited: str
) -> None:
    server.run("grant select, show view, trigger, event on *.* to limited")
    with server.database("old", OLD_TABLES):
        error = refused(bench, server.asset("old", user=limited))
    assert "2 tables of old without transactions (appointment, recall)" in error.message
    assert "GRANT RELOAD ON *.* TO limited" in error.hint


def test_lock_is_not_waited_for_endlessly(
    server: Production, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_WAIT_SECONDS", "_ATTEMPTS", "_PAUSE_SECONDS"):
        monkeypatch.setattr(mariadb_lock, name, 1)
    with server.database("old", OLD_TABLES), contextlib.closing(server.connect("old")) as other:
        other.execute("lock tables appointment write")
        error = refused(bench, server.asset("old"), by_probe=False)
        other.execute("unlock tables")
    assert "another program holds a lock (1205)" in error.message


def test_lock_taken_away_while_old_tables_are_read(server: Production, bench: Bench) -> None:
    with (
        server.database("old", OLD_TABLES),
        bench.driver.capture(bench.request(server.asset("old"))) as capture,
        contextlib.closing(server.connect()) as root,
    ):
        query = "select id from information_schema.processlist where user = 'backup' order by id"
        root.execute(f"kill {root.rows(query)[1][0]}")  # the first is ours, the last the client's
        assert isinstance(capture.content, Stream)
        save_stream(capture.content, bench.folder / "kept")
        capture.measure()
        with pytest.raises(CaptureFailed, match="gave our read lock up"):
            capture.finish()


def test_client_too_old(server: Production, bench: Bench) -> None:
    folder = bench.folder / "old" / "bin"
    folder.mkdir(parents=True)
    program = folder / "mariadb-dump"
    program.write_text("#!/bin/sh\necho 'mariadb-dump  Ver 10.19 Distrib 10.6.12-MariaDB, for x'\n")
    program.chmod(0o755)
    bench = Bench(bench.launcher, bench.folder, patterns=(str(folder),))
    error = refused(bench, server.asset())
    assert isinstance(error, ProgramMissing)
    assert "10.11 or newer are not on this machine (found: mariadb 10.6)" in error.message
    assert "10.11, and no other" in refused(bench, physical(server.asset())).message


def test_dump_cut_at_the_end_of_a_statement(server: Production, bench: Bench) -> None:
    bench = fake_client(bench, '$REAL "$@" | head -n 2000; exit 0')
    with bench.driver.capture(bench.request(server.asset())) as capture:
        assert isinstance(capture.content, Stream)
        with pytest.raises(CaptureFailed, match="has no end: it is not complete"):
            save_stream(capture.content, bench.folder / "kept")


def test_client_that_fails_before_its_first_word(server: Production, bench: Bench) -> None:
    text = f"mariadb-dump: Got error: 1045: Access denied for '{PATIENT}'"
    error = refused(
        fake_client(bench, f'echo "{text}" >&2; exit 2'), server.asset(), by_probe=False
    )
    assert error.message == "mariadb-dump failed (exit code 2: access denied (1045))"


def test_lock_does_not_outlive_a_client_that_hangs(
    server: Production, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dr_orchestrator.assets.mariadb_logical._SNAPSHOT_SECONDS", 0.5)
    begun = time.monotonic()
    error = refused(fake_client(bench, "exec sleep 60"), server.asset(), by_probe=False)
    assert "has not ended yet" in error.message
    server.run(
        "insert into setting values ('after', 'x'); delete from setting where name='after'", "emr"
    )
    assert time.monotonic() - begun < 10


def test_client_killed_in_mid_stream(server: Production, bench: Bench) -> None:
    bench = fake_client(bench, '$REAL "$@" | { head -c 100000; exec sleep 60; }')
    with bench.driver.capture(bench.request(server.asset())) as capture:
        content = capture.content
        assert isinstance(content, Stream)
        read_end, write_end = os.pipe()
        producer = content.start(write_end)
        os.close(write_end)
        os.kill(producer.pid, signal.SIGKILL)
        with open(read_end, "rb") as source:  # noqa: PTH123 - a descriptor
            data = source.read()
        assert producer.wait() == -signal.SIGKILL
        with pytest.raises(CaptureFailed):
            content.check(data[:4096], data[-4096:], len(data))
        capture.measure()
        with pytest.raises(CaptureFailed, match="ended by SIGKILL"):
            capture.finish()


def test_copy_that_does_not_say_it_is_complete(server: Production, bench: Bench) -> None:
    folder = bench.folder / "programs" / "bin"
    folder.mkdir(parents=True)
    for name in ("mariadb-dump", "mbstream"):
        (folder / name).symlink_to(str(shutil.which(name)))
    program = folder / "mariadb-backup"
    program.write_text(f'#!/bin/sh\n{shutil.which("mariadb-backup")} "$@" 2>/dev/null\n')
    program.chmod(0o755)
    bench = Bench(bench.launcher, bench.folder, patterns=(str(folder),))
    with bench.driver.capture(bench.request(physical(server.asset()))) as capture:
        assert isinstance(capture.content, Stream)
        with pytest.raises(CaptureFailed, match="did not report that its copy is complete"):
            save_stream(capture.content, bench.folder / "kept")


def test_files_of_another_machine_are_never_taken(server: Production, bench: Bench) -> None:
    error = refused(bench, physical(server.asset(host="127.0.0.1")))
    assert "is not a unix socket" in error.message


def test_files_of_another_server_are_never_taken(server: Production, bench: Bench) -> None:
    """A socket that leads elsewhere, as one of a container does."""
    path = bench.folder / "elsewhere.sock"
    stop = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(0.1)
        thread = threading.Thread(target=_forward, args=(listening, server.host, stop))
        thread.start()
        try:
            error = refused(bench, physical(server.asset(host=str(path))))
        finally:
            stop.set()
            thread.join(10)
    assert "is not the one of the server that answers" in error.message


def _forward(listening: socket.socket, to: str, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            line, _ = listening.accept()
            with line, socket.socket(socket.AF_UNIX) as server:
                server.connect(to)
                threading.Thread(target=_pump, args=(server, line), daemon=True).start()
                _pump(line, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            sink.sendall(block)


def test_physical_without_cluster_scope(server: Production, bench: Bench) -> None:
    asset = physical(server.asset()).model_copy(update={"scope": "database"})
    assert "whole server" in refused(bench, asset).message


def test_programs_missing(server: Production, bench: Bench) -> None:
    bench = Bench(bench.launcher, bench.folder, patterns=("/nonexistent/*/bin",))
    assert "apt install mariadb-client" in refused(bench, server.asset()).hint
    assert "apt install mariadb-backup" in refused(bench, physical(server.asset())).hint


def test_connection_cut_in_mid_capture(server: Production, bench: Bench) -> None:
    with bench.driver.capture(bench.request(server.asset())) as capture:
        with contextlib.closing(server.connect()) as root:
            for (number,) in root.rows(
                "select id from information_schema.processlist where user = 'backup'"
            ):
                root.execute(f"kill {number}")
        with pytest.raises(CaptureFailed, match="the connection was lost"):
            capture.measure()


def test_leaving_while_the_baseline_is_taken_breaks_it_off(
    server: Production, bench: Bench
) -> None:
    slow = "select count(*) from seq_1_to_100000000 a, seq_1_to_100000000 b"
    failed: list[BaseException] = []
    begun = time.monotonic()
    with bench.driver.capture(bench.request(server.asset(), queries=(slow,))) as capture:

        def measure() -> None:
            try:
                capture.measure()
            except CaptureFailed as error:
                failed.append(error)

        thread = threading.Thread(target=measure)
        thread.start()
        time.sleep(0.3)
    thread.join(30)
    still = "select count(*) from information_schema.processlist where user = 'backup'"
    with contextlib.closing(server.connect()) as root:
        while root.one(still):
            assert time.monotonic() - begun < 20
            time.sleep(0.1)
    assert len(failed) == 1


def test_a_failing_query_of_the_plan_does_not_keep_the_data_from_being_captured(
    server: Production, bench: Bench
) -> None:
    queries = (
        "select nonsense",
        f"select '{PATIENT}'",
        "select 1/0 from nowhere",
        "drop table lab",
    )
    state, _, _ = bench.capture(server.asset(), queries=queries)
    assert getattr(state.baseline, "queries", None) == {}
    assert sum("no answer at capture" in text for text in state.conditions) == 4
    assert PATIENT not in repr(state.conditions)
    assert getattr(state.baseline, "tables", {})["lab"].rows == 4000


def test_clocks_apart_are_said(server: Production, bench: Bench) -> None:
    late = replace(bench.driver, clock=LateClock())
    with late.capture(bench.request(server.asset())) as capture:
        assert isinstance(capture.content, Stream)
        save_stream(capture.content, bench.folder / "kept")
        capture.measure()
        conditions = capture.finish().conditions
    assert "the database server's clock and this machine's are 2 h apart" in conditions


def test_damaged_table_is_a_failure_and_said_to_be_productions(
    server: Production, bench: Bench
) -> None:
    with server.database("old", OLD_TABLES):
        server.run("flush tables", "old")
        os.truncate(server.data / "old" / "appointment.MYD", 1000)
        with (
            bench.driver.capture(bench.request(server.asset("old"))) as capture,
            (bench.folder / "kept").open("wb") as kept,
        ):
            assert isinstance(capture.content, Stream)
            assert capture.content.start(kept.fileno()).wait() != 0
            capture.measure()
            with pytest.raises(CaptureFailed, match=r"the table is damaged \(1194\)") as raised:
                capture.finish()
    assert "production itself is damaged" in raised.value.hint


def test_programs_inherit_no_password_and_no_setting(server: Production, bench: Bench) -> None:
    seen = bench.folder / "seen"
    fake = fake_client(
        bench, f'tr "\\0" "\\n" < /proc/$$/environ > {seen}; echo "$@" >> {seen}; exec $REAL "$@"'
    )
    _, _, captured = fake.capture(server.asset())
    assert captured.baseline is not None
    text = seen.read_text()
    assert "--defaults-file=" in text.splitlines()[-1].split()[0]
    assert "canary" not in text
    assert "MYSQL" not in text
    assert PATTERNS == ("/usr/bin", "/opt/mariadb-*/bin")
