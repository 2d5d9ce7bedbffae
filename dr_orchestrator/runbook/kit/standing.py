"""Whether a kit that lies somewhere can still be relied on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.wording import date_words, some_names
from dr_orchestrator.runbook.kit.build import ALWAYS, CONTENTS, SUMS
from dr_orchestrator.runbook.kit.contents import KIT_SCHEMA

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from dr_orchestrator.runbook.kit.place import KitFiles

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


class KitState(StrEnum):
    """What a kit is worth."""

    CURRENT = "current"
    STALE = "stale"
    """Whole, and the plan or a runbook changed since, or its time is over."""
    DAMAGED = "damaged"
    """Something is missing or changed, or it is no kit of this practice."""


@dataclass(frozen=True, kw_only=True)
class KitStanding:
    """What a kit is worth, and why."""

    where: str
    state: KitState
    reasons: tuple[str, ...]
    made: datetime | None = None
    expires: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a kit is held against."""

    practice: str
    inputs: str
    """As `inputs_of` says it of the plan and the runbooks that there are now."""
    now: datetime
    zone: ZoneInfo


def standing(files: KitFiles, expected: Expected) -> KitStanding:
    """Return what a kit is worth.

    Raises:
        StorageUnusable: the bucket could not be asked.
        OSError: a file is there and cannot be read.
    """
    damage = _damage(files)
    content = {} if damage else _content(files.read(CONTENTS) or b"")
    if not damage and content.get("practice") != expected.practice:
        damage = (f"{CONTENTS} is not of {expected.practice}",)
    if damage:
        return KitStanding(where=files.where, state=KitState.DAMAGED, reasons=damage)
    try:
        made, expires = (datetime.fromisoformat(content[key]) for key in ("made", "expires"))
        over = expires <= expected.now
    except (KeyError, TypeError, ValueError):
        reasons = (f"{CONTENTS} says no time",)
        return KitStanding(where=files.where, state=KitState.DAMAGED, reasons=reasons)
    stale = []
    if content.get("inputs") != expected.inputs:
        stale.append("the plan or a runbook changed since")
    if over:
        stale.append(f"it was current until {date_words(expires, expected.zone)}")
    return KitStanding(
        where=files.where,
        state=KitState.STALE if stale else KitState.CURRENT,
        reasons=tuple(stale),
        made=made,
        expires=expires,
    )


def _damage(files: KitFiles) -> tuple[str, ...]:
    listed = files.read(SUMS)
    if listed is None:
        return (f"there is no kit: {SUMS} is missing",)
    lines = [_LINE.fullmatch(line) for line in listed.decode(errors="replace").splitlines()]
    stated = {found[2]: found[1] for found in lines if found}
    if len(stated) != len(lines) or not stated.keys() >= ALWAYS:
        return (f"{SUMS} is damaged",)
    try:
        hashes = {name: files.sha256(name) for name in stated}
    except ValueError:
        return (f"{SUMS} names a file that is outside of the kit",)
    missing = [name for name, found in hashes.items() if found is None]
    changed = [name for name, found in hashes.items() if found not in {None, stated[name]}]
    return tuple(
        f"{what}: {some_names(names)}"
        for what, names in (("missing", missing), ("changed", changed))
        if names
    )


def _content(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    is_ours = isinstance(content, dict) and content.get("schema") == KIT_SCHEMA
    return content if is_ours else {}
