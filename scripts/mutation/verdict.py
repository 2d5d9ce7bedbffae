"""The product's own verdict on what came back: its verifier, its restorations, its plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from dr_orchestrator.assets.base import Restoration
from dr_orchestrator.backup.backup import baseline_queries
from dr_orchestrator.core.point import AssetState, Manifest, Recoverable
from dr_orchestrator.core.verification import Result, overall
from dr_orchestrator.packs.choice import Packs, pack_queries
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan, ProtectedSystem
from dr_orchestrator.restore.verify import Verifier

SYSTEM = "emr"
_SHORT = {
    "every table has the rows": "rows",
    "are all there": "objects",
    "are defined as they were": "definitions",
    "every view answers": "views answer",
    "are there": "objects",
    "hand out a number twice": "sequences",
    "no unusable indexes": "indexes",
    "byte for byte what was captured": "the server's manifest",
    "that was captured, byte for byte": "hash of the file",
    "integrity_check": "integrity_check",
    "every file is there": "listing",
    "content they had": "content",
}
"""What the product calls a verification -> what the table calls it."""


class Configuration(StrEnum):
    """What a plan says of checks."""

    DEFAULT = "default"
    """Nothing: `verify: [baseline]`, and the levels that come with it."""
    WITH_CHECKS = "with checks"
    """The same, and the checks that somebody who knows the application would write."""


@dataclass(frozen=True)
class System:
    """A system as a plan has it, with the checks of somebody who knows it."""

    assets: Mapping[str, Mapping[str, Any]]
    checks: tuple[Mapping[str, Any], ...]
    packs: Packs = field(default_factory=dict)
    _plans: dict[Configuration, Plan] = field(default_factory=dict, init=False, repr=False)

    def plan(self, configuration: Configuration) -> Plan:
        """Return the plan, complete. Validating takes longer than some verifications: once."""
        if configuration not in self._plans:
            self._plans[configuration] = self._validated(configuration)
        return self._plans[configuration]

    def _validated(self, configuration: Configuration) -> Plan:
        checks = self.checks if configuration is Configuration.WITH_CHECKS else ()
        stated = {
            "version": 1,
            "practice": {"id": "riverside", "name": "Riverside", "timezone": "America/Chicago"},
            "repositories": {"onsite": {"location": "/r", "password": {"file": "/k"}}},
            "systems": {
                SYSTEM: {
                    "rto": "4h",
                    "rpo": "1h",
                    "assets": self.assets,
                    "verify": ["baseline", *checks],
                }
            },
        }
        return with_defaults(Plan.model_validate(stated))

    def asset(self, name: str, path: Path | None = None) -> Any:
        """Return one asset as a capture is asked for it; `path` is where it lies instead."""
        asset = self._protected.assets[name]
        return asset if path is None else asset.model_copy(update={"path": path})

    def queries(self, asset: str) -> tuple[str, ...]:
        """Return what is asked of an asset at capture."""
        own = baseline_queries(self._protected, asset)
        return (*own, *pack_queries(self._protected, asset, self.packs))

    @property
    def _protected(self) -> ProtectedSystem:
        return self.plan(Configuration.WITH_CHECKS).protected[SYSTEM]


@dataclass(frozen=True, kw_only=True)
class Living:
    """A recovery point that came back."""

    system: System
    states: Mapping[str, AssetState]
    restorations: Mapping[str, Restoration]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a restore test would say."""

    result: Result
    by: tuple[str, ...]
    """The checks that are not green."""
    reason: str


def ask(living: Living, configuration: Configuration) -> Said:
    """Verify as a restore test does."""
    plan = living.system.plan(configuration)
    manifest = _manifest(living.states)
    verifier = Verifier(
        plan, plan.protected[SYSTEM], manifest, living.restorations, living.system.packs
    )
    answers = (*verifier.service(), *verifier.proof())
    not_green = [each for each in answers if each.result is not Result.PASSED]
    return Said(
        result=overall(answers),
        by=tuple(dict.fromkeys(_short(each.title) for each in not_green)),
        reason="; ".join(each.reason for each in not_green),
    )


def _short(title: str) -> str:
    return next((short for part, short in _SHORT.items() if part in title), f"“{title}”")


def _manifest(states: Mapping[str, AssetState]) -> Manifest:
    instants: list[datetime] = sorted(state.captured_at for state in states.values())
    return Manifest(
        point="20261121-033000-mutate",
        practice="riverside",
        practice_name="Riverside",
        system=SYSTEM,
        run="20261121-033000-mutate",
        as_of=instants[0],
        finished=instants[-1],
        skew_seconds=(instants[-1] - instants[0]).total_seconds(),
        repository="0" * 64,
        assets=states,
        recoverable=Recoverable(start=instants[0], end=instants[-1]),
        plan_sha256="0" * 64,
        made_by="scripts/mutate",
    )
