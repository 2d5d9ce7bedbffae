"""Who can open what: the keys that repositories list, joined with what is on record of them.

Nothing is changed. What nobody here made is said to be so: a key that was added by somebody else
opens every backup there is and will be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.custody import HeldKey
from dr_orchestrator.errors import DroError

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.custody.tools import CustodyTools
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import ListedKey


@dataclass(frozen=True, kw_only=True)
class KnownKey:
    """A key that a repository lists, and what is on record of it."""

    listed: ListedKey
    made: HeldKey | None
    """What was made here; `None` where somebody else made it."""
    holders: tuple[str, ...]
    """For whom it was made, and who showed that they hold it."""
    proven: datetime | None
    """When somebody last showed that."""

    @property
    def is_plans_own(self) -> bool:
        """Whether it is the one that the plan refers to."""
        return self.listed.is_current

    @property
    def is_known(self) -> bool:
        """Whether anybody here can say whose it is."""
        return self.is_plans_own or bool(self.holders)


@dataclass(frozen=True, kw_only=True)
class KeysOfRepository:
    """Who can open one repository."""

    repository: str
    keys: tuple[KnownKey, ...]
    """As it lists them; empty where it does not answer."""
    gone: tuple[HeldKey, ...]
    """Made or proven here, revoked by nobody here, and not there any more."""
    without: tuple[str, ...]
    """Holders whom the plan names, and of whom no key there is known."""
    error: DroError | None = None
    """Why it does not answer."""


def list_keys(
    plan: Plan, record: PracticeRecord, repositories: Iterable[str], tools: CustodyTools
) -> tuple[KeysOfRepository, ...]:
    """Return who can open each of these repositories; of one that does not answer, why not."""
    return tuple(_keys_of(plan, record, name, tools) for name in repositories)


def _keys_of(
    plan: Plan, record: PracticeRecord, name: str, tools: CustodyTools
) -> KeysOfRepository:
    try:
        listed = tools.open_repository(plan, name).list_keys()
    except DroError as error:
        return KeysOfRepository(repository=name, keys=(), gone=(), without=(), error=error)
    keys = tuple(_known(each, record, name) for each in listed)
    there = {each.id for each in listed}
    held = {holder for each in keys for holder in each.holders}
    return KeysOfRepository(
        repository=name,
        keys=keys,
        gone=gone_keys(record, name, there),
        without=tuple(
            holder
            for holder in dict.fromkeys(each.holder for each in plan.custody)
            if holder not in held
        ),
    )


def gone_keys(record: PracticeRecord, name: str, there: Collection[str]) -> tuple[HeldKey, ...]:
    """Return the keys that were made or proven here, and that a repository lists no more: it may be
    the plan's own that somebody proved, and that was changed since. Pure.
    """
    made = {each.key: each for each in record.keys if each.repository == name}
    proven = {
        each.key: HeldKey(
            practice=each.practice,
            repository=name,
            key=each.key,
            holder=each.holder,
            form="",
            made_at=each.at,
            made_by="",
        )
        for each in record.key_proofs
        if each.opened and each.key and each.repository == name
    }
    known = (proven | made).values()
    return tuple(each for each in known if not each.is_revoked and each.key not in there)


def _known(listed: ListedKey, record: PracticeRecord, name: str) -> KnownKey:
    made = next(
        (each for each in record.keys if (each.repository, each.key) == (name, listed.id)), None
    )
    proofs = [
        each
        for each in record.key_proofs
        if each.opened and (each.repository, each.key) == (name, listed.id)
    ]
    holders = [made.holder] if made and made.holder else []
    return KnownKey(
        listed=listed,
        made=made if holders else None,
        holders=tuple(dict.fromkeys([*holders, *(each.holder for each in proofs)])),
        proven=max((each.at for each in proofs), default=None),
    )
