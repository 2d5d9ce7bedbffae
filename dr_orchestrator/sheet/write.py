"""A page, from its bytes to a file in a folder that is made for it."""

from __future__ import annotations

import errno
from pathlib import Path

from dr_orchestrator.errors import SpaceExhausted, UsageMistake
from dr_orchestrator.whole_file import write_whole


def write_sheet(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put `content` at `path`, all of it or nothing, and make its folder.

    Raises:
        SpaceExhausted: the disk is full.
        UsageMistake: this user cannot write there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, mode=mode)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        if error.errno == errno.ENOSPC:
            raise SpaceExhausted(message) from None
        raise UsageMistake(message, hint="name a folder this user may write to") from None
