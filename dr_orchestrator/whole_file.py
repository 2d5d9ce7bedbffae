"""Files that are there whole or not at all, whenever we are killed and whoever reads meanwhile."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put `content` at `path`, all of it or nothing, and on disk when this returns.

    Whoever reads meanwhile sees the file before or the file after. A link at `path` is replaced,
    not followed.
    """
    with writing_whole(path, mode=mode) as file:
        file.write(content)


@contextmanager
def writing_whole(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Likewise for what is written piece by piece: it is put at `path` when the block ends, unless
    with an error.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have what a folder lists on disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
