"""What is restored may be hostile: from inside a sandbox it reaches, changes and keeps nothing.

"Production" runs here as the very uid that the sandbox has: where a test passes, it is not because
of file modes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator import beneath
from dr_orchestrator.process import Command, Completed, ProcessIdentity
from dr_orchestrator.sandbox.base import Sandbox
from tests.support.sandbox import (
    SANDBOX_UID,
    is_root,
    open_sandbox,
    sandbox_driver,
    short_folder,
)
from tests.support.servers import free_port
from tests.support.tools import require_tool

_MINUTE = timedelta(minutes=1)
_REPOSITORY = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(not is_root(), reason="only root can make what is tried here")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with open_sandbox() as opened:
        yield opened


def _inside(sandbox: Sandbox, *argv: str) -> Completed:
    return sandbox.inside.run(Command(argv=argv, timeout=_MINUTE))


# --- production next door ---


@dataclass(frozen=True)
class Production:
    sockets: Path
    port: int
    pid: int

    def answers(self) -> bool:
        return _psql(str(self.sockets), self.port).returncode == 0


def _as_sandbox_user(*argv: str) -> tuple[str, ...]:
    return (*_as(SANDBOX_UID), *argv) if is_root() else argv


def _as(uid: int) -> tuple[str, ...]:
    user = f"--reuid={uid}", f"--regid={uid}", "--clear-groups"
    return ("setpriv", "--pdeathsig", "KILL", *user, "--")


def _psql(host: str, port: int) -> subprocess.CompletedProcess[bytes]:
    argv = _psql_argv(host, port)
    return subprocess.run(_as_sandbox_user(*argv), capture_output=True, cwd="/", check=False)


def _psql_argv(host: str, port: int) -> tuple[str, ...]:
    psql = str(require_tool("initdb").resolve().parent / "psql")
    return (
        psql,
        "-X",
        "-h",
        host,
        "-p",
        str(port),
        "-U",
        "owner",
        "-d",
        "postgres",
        "-Atc",
        "select 1",
    )


@pytest.fixture(scope="module")
def production() -> Iterator[Production]:
    """Start a server that trusts everybody, on a socket under /run and on loopback."""
    binaries = require_tool("initdb").resolve().parent
    run = Path("/run") if os.access("/run", os.W_OK) else Path("/tmp")
    with short_folder() as folder, contextlib.ExitStack() as leaving:
        sockets = Path(tempfile.mkdtemp(prefix="dro-", dir=run))
        leaving.callback(beneath.remove, sockets)
        data = folder / "data"
        data.mkdir(mode=0o700)
        nobody = _as(65534) if is_root() else ()  # initdb wants an account; the server does not
        if is_root():
            os.chown(data, 65534, 65534)
        initdb = (f"{binaries}/initdb", "-D", str(data), "-U", "owner", "-A", "trust", "-N")
        subprocess.run((*nobody, *initdb), check=True, capture_output=True, cwd="/")
        if is_root():
            for path in (sockets, data, *data.rglob("*")):
                os.chown(path, SANDBOX_UID, SANDBOX_UID)
        sockets.chmod(0o755)
        port = free_port()
        server = subprocess.Popen(
            _as_sandbox_user(
                *(f"{binaries}/postgres", "-D", str(data), "-k", str(sockets), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        try:
            found = Production(sockets, port, server.pid)
            deadline = time.monotonic() + 30
            while not found.answers():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield found
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


def test_sandbox_does_not_reach_production_through_its_socket(
    sandbox: Sandbox, production: Production
) -> None:
    assert production.answers()

    inside = _inside(sandbox, *_psql_argv(str(production.sockets), production.port))

    assert inside.returncode == 2, "psql says 2 when it could not connect"
    assert _inside(sandbox, "ls", "/run").returncode != 0


def test_sandbox_does_not_reach_production_through_loopback(
    sandbox: Sandbox, production: Production
) -> None:
    assert _psql("127.0.0.1", production.port).returncode == 0

    inside = _inside(sandbox, *_psql_argv("127.0.0.1", production.port))

    assert inside.returncode == 2


def test_sandbox_does_not_reach_an_abstract_socket(sandbox: Sandbox) -> None:
    name = f"dro-test-{os.getpid()}"
    script = f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        outside = subprocess.run(("/usr/bin/python3", "-c", script), check=False)
        inside = _inside(sandbox, "python3", "-c", script)

    assert (outside.returncode, inside.returncode) == (0, 1)


def test_sandbox_cannot_signal_production(sandbox: Sandbox, production: Production) -> None:
    pid = str(production.pid)
    assert subprocess.run(_as_sandbox_user("kill", "-0", pid), check=False).returncode == 0

    killed = _inside(sandbox, "sh", "-c", f"kill -9 {pid}; kill -9 -1; true")

    assert killed.returncode in {0, 137}
    assert production.answers()


# --- a hostile dump ---

_HOSTILE_DUMP = """
create table loot (line text);
create function grab() returns event_trigger language plpgsql as $$
begin copy loot from program 'echo trigger ran'; end $$;
create event trigger hostile on ddl_command_end execute function grab();
create table victim (id int);
copy loot from program 'id -u; cat /etc/shadow; touch {outside} /etc/dro-was-here; true';
copy loot from program 'cat {secret}; ls /root /home /var /run /srv; true';
select * from loot;
"""


def test_hostile_dump_gains_nothing_outside(sandbox: Sandbox) -> None:
    binaries = require_tool("initdb").resolve().parent
    folder = sandbox.folder("pg")
    data = folder / "data"
    assert _inside(
        sandbox, f"{binaries}/initdb", "-D", str(data), "-U", "o", "-A", "trust", "-N"
    ).ok
    server = sandbox.inside.start(
        Command(
            argv=(f"{binaries}/postgres", "-D", str(data), "-k", str(folder), "-h", ""),
            timeout=_MINUTE,
        )
    )
    with short_folder() as elsewhere:
        elsewhere.chmod(0o777)
        secret = elsewhere / "secret"
        secret.write_text("canary of a neighbour")
        secret.chmod(0o644)
        dump = _HOSTILE_DUMP.format(outside=elsewhere / "touched", secret=secret)
        psql = Command(
            argv=(f"{binaries}/psql", "-X", "-h", str(folder), "-U", "o", "-d", "postgres", "-At"),
            timeout=_MINUTE,
        )
        deadline = time.monotonic() + 30
        while not (loaded := sandbox.inside.run(psql, stdin=dump.encode())).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        loot = loaded.stdout.decode()

        assert f"\n{sandbox.level.rpartition(' ')[2]}\n" in loot, "the program did run, inside"
        assert "trigger ran" in loot
        assert "canary" not in loot
        assert "root:" not in loot
        assert sorted(path.name for path in elsewhere.iterdir()) == ["secret"]
    assert not Path("/etc/dro-was-here").exists()
    assert server.running


# --- a hostile tree ---


@pytest.fixture
def outside() -> Iterator[Path]:
    """Make the folder that links of the hostile tree lead to.

    In a system that is really attacked it would be /etc. Here it must not be: code that is wrong,
    as it is while somebody tries whether these tests notice, would really give /etc away.
    """
    with short_folder() as folder:
        (folder / "hostname").write_text("of our own")
        (folder / "hostname").chmod(0o600)
        yield folder


@pytest.fixture
def hostile(sandbox: Sandbox, outside: Path) -> Path:
    """Make what restic, run as root, brings back from a repository that somebody prepared."""
    tree = sandbox.target.path / "asset" / "srv" / "shared"
    tree.mkdir(parents=True)
    (tree / "shell").write_bytes(Path("/bin/sh").read_bytes())
    (tree / "shell").chmod(0o6755)
    os.mkfifo(tree / "pipe")
    (tree / "link").symlink_to(outside / "hostname")
    (tree / "folder link").symlink_to(outside)
    (tree / "up").symlink_to("../../../..")
    (tree / "...").mkdir()
    (tree / "..\n").write_text("plain")
    (tree / "closed").mkdir()
    (tree / "closed" / "scan.pdf").write_text("plain")
    (tree / "closed").chmod(0o000)
    (tree / "first name").write_text("two names, both here")
    os.link(tree / "first name", tree / "second name")
    if is_root():
        os.mknod(tree / "disk", 0o666 | stat.S_IFBLK, Path("/").stat().st_dev)
        os.mknod(tree / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    return sandbox.target.path / "asset"


def _owner_and_mode(path: Path) -> tuple[int, int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, status.st_mode, status.st_ctime_ns


@needs_root
def test_hostile_tree_is_made_harmless_when_adopted(
    sandbox: Sandbox, hostile: Path, outside: Path
) -> None:
    around = (outside, outside / "hostname", sandbox.target.path.parent)
    before = [_owner_and_mode(path) for path in around]

    adopted = sandbox.adopt(hostile)

    tree = hostile / "srv" / "shared"
    assert (adopted.removed_special, adopted.stripped_privilege) == (3, 1)
    assert not {"disk", "null", "pipe"} & {path.name for path in tree.iterdir()}
    assert stat.S_IMODE((tree / "shell").stat().st_mode) == 0o755
    assert [_owner_and_mode(path) for path in around] == before, "what links name is as it was"
    for path in (tree, *tree.rglob("*")):
        assert path.lstat().st_uid == SANDBOX_UID, path


@needs_root
def test_hostile_tree_cannot_have_a_file_outside_handed_over_by_a_hard_link(
    sandbox: Sandbox, hostile: Path
) -> None:
    ours = sandbox.target.path.parent / "ours"
    ours.write_text("not to be given away")
    os.link(ours, hostile / "srv" / "shared" / "hard link")

    adopted = sandbox.adopt(hostile)

    assert ours.stat().st_uid == 0
    assert not (hostile / "srv" / "shared" / "hard link").exists()
    assert (hostile / "srv" / "shared" / "second name").stat().st_uid == SANDBOX_UID
    assert adopted.removed_special == 4


def test_setuid_program_of_a_hostile_tree_has_no_effect_inside(
    sandbox: Sandbox, hostile: Path
) -> None:
    sandbox.adopt(hostile)
    shell = hostile / "srv" / "shared" / "shell"
    if is_root():  # even if stripping it had been forgotten
        os.chown(shell, 0, 0)
        shell.chmod(0o6755)

    ran = _inside(sandbox, str(shell), "-p", "-c", "id -u; id -g; cat /etc/shadow")

    uid = sandbox.level.rpartition(" ")[2]
    assert ran.stdout.decode().split() == [uid, uid]


def test_device_made_after_adoption_cannot_be_opened_inside(sandbox: Sandbox) -> None:
    folder = sandbox.folder("tree")
    if not is_root():
        pytest.skip("only root can make a device")
    device = folder / "disk"
    os.mknod(device, 0o666 | stat.S_IFBLK, Path("/").stat().st_dev)
    device.chmod(0o666)

    assert _inside(sandbox, "head", "-c1", str(device)).returncode != 0


def test_tree_that_is_not_adopted_is_not_seen_inside(sandbox: Sandbox, hostile: Path) -> None:
    other = sandbox.target.path / "other"
    other.mkdir()
    sandbox.adopt(hostile)

    assert _inside(sandbox, "ls", str(hostile)).ok
    assert not _inside(sandbox, "ls", str(other)).ok


def test_program_inside_cannot_put_a_link_in_the_place_of_a_folder(sandbox: Sandbox) -> None:
    folder = sandbox.folder("data")

    moved = _inside(sandbox, "sh", "-c", f"mv {folder} {folder}x || rmdir {folder}")
    early = _inside(sandbox, "mkdir", str(folder.parent / "later"))

    assert not moved.ok
    assert not early.ok
    assert folder.is_dir()


def test_program_inside_does_not_see_a_folder_that_is_made_later(sandbox: Sandbox) -> None:
    early = sandbox.folder("early")
    wait_read, wait_write = os.pipe()
    seen_read, seen_write = os.pipe()
    sandbox.inside.start(
        Command(argv=("sh", "-c", f"read go; ls {early.parent}"), timeout=_MINUTE),
        stdin=wait_read,
        stdout=seen_write,
    )
    sandbox.folder("later")
    for descriptor, content in ((wait_write, b"go\n"), (wait_read, b""), (seen_write, b"")):
        if content:
            os.write(descriptor, content)
        os.close(descriptor)

    with os.fdopen(seen_read) as seen:
        assert seen.read().split() == ["early", "home"]


def test_user_namespaces_and_privileges_are_out_of_reach_inside(sandbox: Sandbox) -> None:
    status = _inside(sandbox, "cat", "/proc/self/status").stdout.decode()

    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert not _inside(sandbox, "unshare", "--user", "true").ok
    assert not _inside(sandbox, "touch", "/usr/dro-was-here").ok


# --- the orchestrator dies ---

_DYING = """
import sys, time
from datetime import timedelta
from pathlib import Path
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.process import Command, SystemLauncher
from dr_orchestrator.sandbox.bubblewrap import BubblewrapDriver
driver = BubblewrapDriver(
    SystemLauncher("/usr/bin:/usr/sbin:/bin"), Path(sys.argv[1]), int(sys.argv[2]), SystemClock()
)
with driver.open("run-that-dies", bytes_needed=1) as sandbox:
    (sandbox.target.path / "patient.txt").write_text("restored")
    minute = timedelta(minutes=1)
    stubborn = "trap '' INT TERM HUP; setsid sleep 600 & sleep 600"
    sandbox.inside.start(Command(argv=("sh", "-c", stubborn), timeout=minute))
    time.sleep(0.5)
    print("ready", flush=True)
    time.sleep(600)
"""


def _living_in(folder: Path) -> list[int]:
    """Return the processes that have something of `folder` mounted; the dead have not."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and str(folder) in (process / "mountinfo").read_text():
                found.append(int(process.name))
    return found


def test_nothing_is_left_when_the_orchestrator_is_killed() -> None:
    with sandbox_driver() as driver:
        directory = driver._directory
        dying = subprocess.Popen(
            (sys.executable, "-c", _DYING, str(directory), str(SANDBOX_UID)),
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
        )
        assert dying.stdout is not None
        assert dying.stdout.readline() == b"ready\n"
        assert _living_in(directory)
        assert driver.sweep() == 0, "its owner lives"
        assert list(directory.glob("*/incoming/patient.txt"))

        dying.kill()
        dying.wait()
        dying.stdout.close()

        deadline = time.monotonic() + 5
        while _living_in(directory):
            assert time.monotonic() < deadline, "a program outlived the orchestrator"
            time.sleep(0.05)
        assert driver.sweep() == 1
        assert list(directory.iterdir()) == []


def test_sweep_kills_what_still_runs_in_a_dead_sandbox() -> None:
    gone = subprocess.Popen(("sleep", "60"))
    identity = ProcessIdentity.of(gone.pid)
    gone.kill()
    gone.wait()
    assert identity is not None
    with sandbox_driver() as driver:
        entered = driver.open("run", bytes_needed=1)
        sandbox = entered.__enter__()
        child = sandbox.inside.start(Command(argv=("sleep", "600"), timeout=_MINUTE))
        assert _inside(sandbox, "true").ok
        marker = next(driver._directory.glob("*.owner"))
        marker.write_text(
            marker.read_text()
            .replace(f'"pid": {os.getpid()}', f'"pid": {identity.pid}')
            .replace(ProcessIdentity.ours().started, identity.started)
        )

        assert driver.sweep() == 1

        assert child.wait() != 0
        assert list(driver._directory.iterdir()) == []
        entered.__exit__(None, None, None)
