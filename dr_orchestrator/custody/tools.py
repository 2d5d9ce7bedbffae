"""What the use cases of keys work with; made by `app.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.restic import ResticRepository
    from dr_orchestrator.store.base import Store


@dataclass(frozen=True, kw_only=True)
class CustodyTools:
    """The record, and the ways into a repository. None of them makes one."""

    store: Store
    clock: Clock
    open_repository: Callable[[Plan, str], ResticRepository]
    """With the plan's own key, to list keys and add some."""
    open_to_remove: Callable[[Plan, str], ResticRepository]
    """The same, by the way of who may remove from it."""
    open_by: Callable[[Plan, str, Secret], ResticRepository]
    """With a key that somebody holds."""
