"""Real sandboxes for tests, in a short folder that the sandbox's user can pass."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.sandbox.base import Sandbox
from dr_orchestrator.sandbox.bubblewrap import BubblewrapDriver
from tests.support.tools import require_tool

SANDBOX_UID = 64000
"""Free on Debian: no account has it."""
PATH = "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder in /tmp that others can pass but not list, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="dro-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        beneath.remove(folder)


@contextlib.contextmanager
def sandbox_driver() -> Iterator[BubblewrapDriver]:
    """Make a driver with a directory and a launcher of its own."""
    require_tool("bwrap")
    launcher = SystemLauncher(PATH)
    try:
        with short_folder() as folder:
            yield BubblewrapDriver(launcher, folder / "s", SANDBOX_UID, SystemClock())
    finally:
        launcher.close()


@contextlib.contextmanager
def open_sandbox() -> Iterator[Sandbox]:
    """Open one real sandbox."""
    with sandbox_driver() as driver, driver.open("test-run", bytes_needed=1) as sandbox:
        yield sandbox


def is_root() -> bool:
    """Whether tests run as root, so that sandboxes have a uid of their own."""
    return os.geteuid() == 0
