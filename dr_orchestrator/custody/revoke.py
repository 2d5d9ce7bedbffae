"""Taking keys back: removed in every repository, seen to be gone there, then recorded.

Never the key that the plan itself opens a repository with, so never the last one. What this cannot
undo: whoever kept the master key, as restic has it in memory, still reads all that is there and
will be. A new repository (`dro repository rekey`) is what keeps them out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import KeyRevoked
from dr_orchestrator.errors import DroError, RepositoryError, UsageMistake

if TYPE_CHECKING:
    from dr_orchestrator.custody.list import KeysOfRepository
    from dr_orchestrator.custody.tools import CustodyTools
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.restic import ResticRepository


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """One key that is to open a repository no more."""

    repository: str
    key: str
    holders: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Revoked:
    """What became of it."""

    asked: Revocation
    error: DroError | None
    """Why it is still there; `None` where it is gone."""


def keys_of_holder(
    seen: Iterable[KeysOfRepository], holder: str, *, but_newest: bool = False
) -> tuple[Revocation, ...]:
    """Return the keys that were made for a holder, of those that repositories list; with
    `but_newest` without the newest in each.

    Raises:
        UsageMistake: there is none.
    """
    found: list[Revocation] = []
    for each in seen:
        made = [(key.made, key) for key in each.keys if key.made and key.made.holder == holder]
        made.sort(key=lambda one: (one[0].made_at, one[0].key))
        found += (
            Revocation(repository=each.repository, key=key.listed.id, holders=key.holders)
            for _, key in (made[:-1] if but_newest else made)
        )
        found += (
            Revocation(repository=each.repository, key=gone.key, holders=(holder,))
            for gone in each.gone
            if gone.holder == holder
        )
    if not found:
        raise UsageMistake(
            f"no {'older ' if but_newest else ''}key that was made here for {holder} is there",
            hint="`dro key list` shows all keys; `--key ID` takes one back, whoever made it",
        )
    return tuple(found)


def keys_by_id(seen: Iterable[KeysOfRepository], wanted: str) -> tuple[Revocation, ...]:
    """Return the keys whose id this is, of those that repositories list.

    Raises:
        UsageMistake: there is none, or it is the one that the plan refers to.
    """
    there = [(each.repository, key) for each in seen for key in each.keys]
    found = [(name, key) for name, key in there if wanted.lower().startswith(key.listed.id)]
    if not found:
        raise UsageMistake(
            f"no repository lists a key {wanted[:64]}", hint="`dro key list` shows their ids"
        )
    own = next((name for name, key in found if key.is_plans_own), None)
    if own is not None:
        raise UsageMistake(
            f"{wanted[:8]} is the plan's own key of {own}",
            hint="`dro repository rekey` is how it is replaced",
        )
    return tuple(
        Revocation(repository=name, key=key.listed.id, holders=key.holders) for name, key in found
    )


def revoke_keys(
    plan: Plan,
    keys: Iterable[Revocation],
    tools: CustodyTools,
    *,
    by: str,
    why: str,
) -> tuple[Revoked, ...]:
    """Take these keys back; where one fails, the next is gone on with."""
    done = []
    for each in keys:
        error: DroError | None = None
        try:
            _remove(plan, each, tools)
            tools.store.record(
                KeyRevoked(
                    practice=plan.practice.id,
                    repository=each.repository,
                    key=each.key,
                    at=tools.clock.now(),
                    by=by,
                    why=why,
                )
            )
        except DroError as failed:
            error = failed
        done.append(Revoked(asked=each, error=error))
    return tuple(done)


def _remove(plan: Plan, each: Revocation, tools: CustodyTools) -> None:
    repository = tools.open_to_remove(plan, each.repository)
    if not _is_there(repository, each.key):
        return  # somebody else was first
    repository.remove_key(each.key)
    if _is_there(repository, each.key):
        raise RepositoryError(f"{each.repository} still lists the key {each.key}")


def _is_there(repository: ResticRepository, wanted: str) -> bool:
    """Return whether a repository lists a key.

    Raises:
        UsageMistake: it is the one that opens it for us.
    """
    found = next((key for key in repository.list_keys() if key.id == wanted), None)
    if found is not None and found.is_current:
        raise UsageMistake(f"{wanted} is the plan's own key of {repository.name}")
    return found is not None
