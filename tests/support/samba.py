"""A real Samba on a loopback port, run by an unprivileged user, with one share."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dr_orchestrator.assets.base import Captured, CaptureRequest
from dr_orchestrator.assets.smb import SmbDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.baseline import Level
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.verification import Verification
from dr_orchestrator.plan.model import SmbAsset
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.process import Command, Completed, SystemLauncher
from dr_orchestrator.program_plumbing import OnLine
from tests.support.asset_contract import Subject, captured_by
from tests.support.assets import baseline_spec, capture_request, restore_request, state_of
from tests.support.plain_place import PlainPlace
from tests.support.servers import as_user, free_port, server_user
from tests.support.tools import require_tool

PASSWORD = "  pass=word; \"#'%s ü-Canary-71"
REFERENCE = SecretReference(env="SHARE_PASSWORD")
_ACCOUNT = "nobody"
_USER = server_user(_ACCOUNT)
_CONFIGURATION = """\
[global]
  workgroup = CLINIC
  server role = standalone server
  smb ports = {port}
  interfaces = 127.0.0.1/8
  bind interfaces only = yes
  disable netbios = yes
  disable spoolss = yes
  load printers = no
  log level = 0
  private dir = {state}
  state directory = {state}
  cache directory = {state}
  lock directory = {state}
  pid directory = {state}
  ncalrpc dir = {state}/rpc
  binddns dir = {state}
  log file = {state}/log
  passdb backend = tdbsam:{state}/passdb.tdb
[documents]
  path = {share}
  read only = no
  strict locking = yes
"""


class Passwords:
    """A reader of secrets that has one."""

    def __init__(self, password: str = PASSWORD) -> None:
        self.password = password

    def read(self, reference: SecretReference, /) -> Secret:
        return Secret(self.password)


@dataclass
class FileServer:
    """A running Samba, and the folder it shares as `documents`."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def share(self) -> Path:
        return self.root / "share"

    def asset(self, path: str = "", **fields: object) -> SmbAsset:
        described: dict[str, object] = {
            "kind": AssetKind.SMB,
            "host": "127.0.0.1",
            "port": self.port,
            "share": "documents",
            "path": path,
            "user": _USER.pw_name,
            "domain": "CLINIC",
            "password": REFERENCE,
            "baseline": baseline_spec(Level.FULL),
            **fields,
        }
        return SmbAsset.model_validate(described)

    def folder(self, name: str, files: dict[str, str]) -> Path:
        """Make a folder on the share that its users may read and write."""
        folder = self.share / name
        for file, content in files.items():
            write(folder / file, content)
        own(folder)
        return folder

    def client(self, commands: str) -> str:
        """Have smbclient do something on the share; return what it printed."""
        argv = ("smbclient", "//127.0.0.1/documents", "-p", str(self.port), "-s", "/dev/null")
        done = subprocess.run(
            (*argv, "-U", f"CLINIC\\{_USER.pw_name}"),
            env={**os.environ, "PASSWD_FILE": str(self.root / "password")},
            input=commands.encode(),
            capture_output=True,
            check=True,
        )
        return done.stdout.decode()

    def stop(self) -> None:
        """End it with everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def contents(root: Path) -> dict[str, bytes]:
    """Return every file of a tree by its path in it."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def own(folder: Path) -> None:
    """Give a tree to the user that the server is."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _USER.pw_uid, _USER.pw_gid, follow_symlinks=False)


@contextlib.contextmanager
def file_server() -> Iterator[FileServer]:
    """Run a Samba until the block is left."""
    smbd, pdbedit = require_tool("smbd"), require_tool("pdbedit")
    for tool in ("rclone", "smbclient"):
        require_tool(tool)
    root = Path(tempfile.mkdtemp(prefix="dro-"))
    server = None
    try:
        port = free_port()
        configuration = root / "smb.conf"
        state, share = root / "state", root / "share"
        for folder in (state, share):
            folder.mkdir()
        configuration.write_text(_CONFIGURATION.format(port=port, state=state, share=share))
        (root / "password").write_text(PASSWORD)
        own(root)
        _run(str(pdbedit), "-s", str(configuration), "-t", "-a", _USER.pw_name)
        server = FileServer(root, port, _start(smbd, configuration))
        _await(server)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(root)


def _run(*argv: str) -> None:
    answer = f"{PASSWORD}\n{PASSWORD}\n".encode()
    subprocess.run((*as_user(_ACCOUNT), *argv), input=answer, check=True, capture_output=True)


def _start(smbd: Path, configuration: Path) -> subprocess.Popen[bytes]:
    argv = (str(smbd), "--foreground", "--no-process-group", f"--configfile={configuration}")
    return subprocess.Popen(
        (*as_user(_ACCOUNT), *argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _await(server: FileServer) -> None:
    for _ in range(200):
        assert server.process.poll() is None, "smbd ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("smbd does not answer")


class WatchedLauncher(SystemLauncher):
    """A launcher that keeps every command, and lets a test do something before one of them."""

    def __init__(self) -> None:
        super().__init__(os.environ["PATH"])
        self.commands: list[Command] = []
        self.before: dict[str, list[Callable[[], object]]] = {}
        """First argument of rclone -> what happens before its first call, its second …"""

    def run(
        self,
        command: Command,
        *,
        stdin: int | bytes | None = None,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Completed:
        self.commands.append(command)
        if planned := self.before.get(command.argv[1]):
            planned.pop(0)()
        return super().run(command, stdin=stdin, on_line=on_line, on_error_line=on_error_line)


@dataclass
class ShareBench:
    """A driver, and folders for its requests."""

    launcher: WatchedLauncher
    folder: Path
    passwords: Passwords

    @property
    def driver(self) -> SmbDriver:
        return SmbDriver(
            launcher=self.launcher,
            secrets=self.passwords,
            clock=SystemClock(),
            runtime_folder=self.folder / "runtime",
        )

    @property
    def mirror(self) -> Path:
        """Where the copy of the share is."""
        return self.folder / "mirror" / "files"

    def request(self, asset: SmbAsset) -> CaptureRequest:
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=self.folder))
        request = capture_request(asset, staging=staging)
        return replace(request, mirror=self.folder / "mirror")


@contextlib.contextmanager
def share_bench(folder: Path) -> Iterator[ShareBench]:
    launcher = WatchedLauncher()
    try:
        yield ShareBench(launcher, folder, Passwords())
    finally:
        launcher.close()


def captured_share(bench: ShareBench, asset: SmbAsset) -> Captured:
    """Capture as a backup does."""
    request = bench.request(asset)
    return captured_by(Subject(bench.driver, lambda: request, lambda: request))


def compare_with_mirror(bench: ShareBench, captured: Captured) -> tuple[Verification, ...]:
    """Compare what was captured with the mirror, as if that had come back."""
    place = PlainPlace(bench.folder, bench.launcher)
    request = restore_request(state_of(captured, bench.mirror), place)
    with bench.driver.restoration(request) as back:
        back.prepare()
        back.load(bench.mirror)
        return back.compare()
