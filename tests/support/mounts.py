"""Small and odd file systems, mounted for one test. Only root may: others skip."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.tools import require_tool


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of a few megabytes at `folder`."""
    folder.mkdir()
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "none"):
        yield folder


@contextmanager
def unreadable_file(path: Path) -> Iterator[Path]:
    """Make a file at `path` that even root gets an input/output error from."""
    path.touch()
    with (
        subprocess.Popen(["sleep", "600"]) as sleeper,
        _mounted(path, "--bind", f"/proc/{sleeper.pid}/mem"),
    ):
        try:
            yield path
        finally:
            sleeper.kill()


@contextmanager
def _mounted(place: Path, *options: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    subprocess.run([require_tool("mount"), *options, place], check=True)
    try:
        yield
    finally:
        subprocess.run([require_tool("umount"), place], check=True)
