"""One file that came back from a repository, opened with the distrust it deserves."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from dr_orchestrator.errors import LoadFailed


@contextmanager
def opened_file(restored: Path) -> Iterator[FileIO]:
    """Open what came back; links are not followed.

    Raises:
        LoadFailed: it is no file.
    """
    try:
        descriptor = os.open(restored, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        raise LoadFailed("the backup holds no dump") from None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LoadFailed("the backup holds no dump")
        yield file
