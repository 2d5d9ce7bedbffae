"""A share goes away while it is saved: what restic saves then without complaint is no backup.

With real mounts, which only root can make; tests/unit/assets/test_files.py does the same with
folders for everybody.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.errors import CaptureFailed, SandboxNotRemoved, SandboxUnavailable
from dr_orchestrator.sandbox.bubblewrap import _inhabitants
from tests.support.assets import capture_request, files_asset
from tests.support.sandbox import SANDBOX_UID, is_root, sandbox_driver

pytestmark = pytest.mark.skipif(not is_root(), reason="only root can mount")


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)), check=True)
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=False, stderr=subprocess.DEVNULL)


def test_capture_fails_when_the_share_is_unmounted_meanwhile(tmp_path: Path) -> None:
    with _mounted(tmp_path / "share") as share:
        (share / "scan.pdf").touch()
        with FilesDriver(SystemClock()).capture(
            capture_request(files_asset(share, require_files=0))
        ) as capture:
            capture.measure()
            subprocess.run(("umount", "--lazy", str(share)), check=True)

            with pytest.raises(CaptureFailed, match="another file system is there now"):
                capture.finish()


def test_capture_fails_when_the_share_is_unmounted_before_it_is_read(tmp_path: Path) -> None:
    with _mounted(tmp_path / "share") as share:
        (share / ".here").touch()
        asset = files_asset(share, marker=".here")
        with FilesDriver(SystemClock()).capture(capture_request(asset)) as capture:
            subprocess.run(("umount", "--lazy", str(share)), check=True)

            with pytest.raises(CaptureFailed, match="the share is not mounted"):
                capture.measure()


def test_what_is_mounted_in_a_sandbox_is_neither_handed_over_nor_emptied(tmp_path: Path) -> None:
    with _mounted(tmp_path / "share") as share, sandbox_driver() as driver:
        (share / "scan.pdf").touch()
        entered = driver.open("run", bytes_needed=1)
        sandbox = entered.__enter__()
        folder = sandbox.target.path.parent
        tree = sandbox.target.path / "asset"
        (tree / "mounted").mkdir(parents=True)
        subprocess.run(("mount", "--bind", str(share), str(tree / "mounted")), check=True)
        try:
            with pytest.raises(SandboxUnavailable, match="something is mounted"):
                sandbox.adopt(tree)
            # Every process of this machine has that mounted now. None of them may be ended for it:
            # asked first, so that a mistake fails this test instead of ending it and all others.
            assert _inhabitants(folder.name, SANDBOX_UID) == ()
            assert _inhabitants(folder.name, 0) == ()
            with pytest.raises(SandboxNotRemoved, match="something is mounted in it") as caught:
                entered.__exit__(None, None, None)
        finally:
            subprocess.run(("umount", str(tree / "mounted")), check=False)

        assert str(folder) in caught.value.message
        assert (tree / "mounted").is_dir(), "nothing was removed"
        assert (share / "scan.pdf").exists()
        assert (share / "scan.pdf").stat().st_uid == 0
        assert list(driver._directory.glob("*.owner")), "the next start can try again"


def test_bystanders_live_on_when_a_sandbox_is_removed(tmp_path: Path) -> None:
    """Not even a process of the sandbox's own uid counts as inside, where it is not."""
    user = f"--reuid={SANDBOX_UID}", f"--regid={SANDBOX_UID}", "--clear-groups"
    argv = ("setpriv", "--pdeathsig", "KILL", *user, "sleep", "60")
    with sandbox_driver() as driver, subprocess.Popen(argv) as bystander:
        with driver.open("run", bytes_needed=1) as sandbox:
            folder = sandbox.target.path / "mounted"
            folder.mkdir()
            subprocess.run(("mount", "--bind", str(tmp_path), str(folder)), check=True)
            try:
                found = _inhabitants(sandbox.target.path.parent.name, SANDBOX_UID)
            finally:
                subprocess.run(("umount", str(folder)), check=True)
            assert bystander.pid not in found
        assert bystander.poll() is None
        bystander.kill()
