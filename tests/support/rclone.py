"""A REST repository on loopback, served by rclone."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import free_port
from tests.support.tools import require_tool


@contextmanager
def rest_server(folder: Path, *options: str) -> Iterator[str]:
    """Serve `folder` as restic's REST backend; yield the location of a repository in it."""
    port = free_port()
    with subprocess.Popen(
        (
            *(str(require_tool("rclone")), "serve", "restic", "--addr", f"127.0.0.1:{port}"),
            *("--config", "/dev/null", *options, str(folder)),
        ),
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_for(port)
            yield f"rest:http://127.0.0.1:{port}/riverside"
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    last = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < last, "rclone does not serve"
            time.sleep(0.05)
        else:
            return
