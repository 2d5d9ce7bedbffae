"""What a plan would have run on this machine: for a person to read before any of it does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dr_orchestrator.plan.effective import plan_data

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Plan

_ARGV = frozenset({"command", "dump", "restore", "run", "at_capture"})
"""The keys of a plan under which program and arguments stand."""
_OPTION_INSIDE = re.compile(r"rclone:(?:[-:]|[^/:]*,)|sftp:(?://)?(?:[^/@:]*@)?-")
"""rclone takes `:sftp,ssh=PROGRAM:` for a remote (its docs, "Connection strings"), and ssh a host
that begins with `-` for an option."""


def commands_in(plan: Plan) -> tuple[str, ...]:
    """Return the programs that a plan names, each after its field path, as a shell would read
    them.
    """
    return tuple(f"{path}: {shlex.join(argv)}" for path, argv in _argvs(plan_data(plan), ""))


def locations_that_run(plan: Plan) -> tuple[str, ...]:
    """Return the locations of repositories that would have restic run what they say: those run
    whether or not the commands of a plan do.
    """
    return tuple(
        f"repositories.{name}: {location}"
        for name, spec in plan.repositories.items()
        for location in spec.locations
        if _OPTION_INSIDE.match(location)
    )


def _argvs(data: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            below = f"{path}.{key}" if path else str(key)
            if key in _ARGV and isinstance(value, list):
                if value:
                    yield below, value
            else:
                yield from _argvs(value, below)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _argvs(value, f"{path}[{index}]")
