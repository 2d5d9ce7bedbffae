"""Where a restore may land. The types keep a restore test away from anything live.

`SandboxTarget` is what a restore test accepts for files, `LabTarget` for a database that it loads
into a lab server; `NewDirectoryTarget` and `LiveTarget` are what `dro restore` makes. None can be
built from a plain path or name by accident: sandbox drivers vouch for the first two (a test keeps
`sandbox_target` and `lab_target` to the folder `sandbox/`), `claim_new_directory` makes the third
by creating the directory itself, and `confirm_live_target` the last once a person typed whose data
it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from dr_orchestrator.errors import TargetRefused, UsageMistake

_SEAL = object()


class SandboxTarget:
    """A throw-away place that cannot reach production. Made only by a sandbox driver."""

    __slots__ = ("level", "path")

    def __init__(self, path: Path, level: str, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only a sandbox makes a SandboxTarget")
        self.path = path
        self.level = level


class LabTarget:
    """A throw-away database on a server that carries our marker and is no asset's host. Made only
    by the driver of lab servers, which drops it whatever happens.
    """

    __slots__ = ("database", "level")

    def __init__(self, database: str, level: str, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only a sandbox driver makes a LabTarget")
        self.database = database
        self.level = level


class NewDirectoryTarget:
    """A directory that did not exist before this restore created it."""

    __slots__ = ("path",)

    def __init__(self, path: Path, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only claim_new_directory makes a NewDirectoryTarget")
        self.path = path


class LiveTarget:
    """A database that is not there yet, on a server that people work with."""

    __slots__ = ("database",)

    def __init__(self, database: str, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only confirm_live_target makes a LiveTarget")
        self.database = database


def sandbox_target(path: Path, level: str) -> SandboxTarget:
    """Vouch that `path` lies in a sandbox. Called by sandbox drivers only."""
    return SandboxTarget(path, level, seal=_SEAL)


def lab_target(database: str, level: str) -> LabTarget:
    """Vouch that `database` is our own on a lab server. Called by sandbox drivers only."""
    return LabTarget(database, level, seal=_SEAL)


def confirm_live_target(database: str, *, practice: str, typed: str) -> LiveTarget:
    """Return a new database as a target, once a person typed the id of the practice.

    Raises:
        UsageMistake: something else was typed.
    """
    if typed != practice:
        raise UsageMistake(
            "not confirmed: nothing was changed",
            hint=f"type {practice} when asked, or say `--yes {practice}`",
        )
    return LiveTarget(database, seal=_SEAL)


def claim_new_directory(path: Path) -> NewDirectoryTarget:
    """Create `path`, readable by this user only, and return it as a target.

    Raises:
        TargetRefused: it exists already (even empty), or its parent does not.
    """
    try:
        os.mkdir(path, mode=0o700)  # noqa: PTH102 - mkdir's EEXIST is the very check
    except FileExistsError:
        raise TargetRefused(
            f"{path} exists already: a restore never goes over anything that is there",
            hint="name a directory that does not exist yet",
        ) from None
    except FileNotFoundError:
        raise TargetRefused(
            f"the folder above {path} does not exist", hint=f"mkdir -p {path.parent}"
        ) from None
    except OSError as error:
        raise TargetRefused(f"{path} cannot be created: {error.strerror}") from None
    return NewDirectoryTarget(path, seal=_SEAL)
