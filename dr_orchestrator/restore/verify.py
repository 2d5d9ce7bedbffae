"""Ask the restored data what the plan wants to know.

Two groups, for two clocks: what the application needs to work again (`service`), and the
exhaustive comparison that proves it (`proof`). Each check is answered, whatever becomes of another.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from dr_orchestrator.assets.files_listed import check_listed
from dr_orchestrator.core.verification import (
    BASELINE_OF_OTHERS,
    NO_BASELINE,
    NOTHING_TOLD,
    Depth,
    Result,
    Verification,
)
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify, DroError
from dr_orchestrator.packs.choice import newest_row, roles_of
from dr_orchestrator.plan.model import BaselineCheck, FilesCheck, PackCheck, RunCheck, SqlCheck
from dr_orchestrator.restore.living_point import LivingPoint
from dr_orchestrator.restore.outcome import result_of
from dr_orchestrator.restore.pack_checks import PackChecks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import tzinfo
    from pathlib import Path

    from dr_orchestrator.assets.base import Restoration
    from dr_orchestrator.assets.files_share import FilesShare
    from dr_orchestrator.core.baseline import Value
    from dr_orchestrator.core.point import Manifest
    from dr_orchestrator.packs.choice import Packs
    from dr_orchestrator.plan.expectation import Judgement
    from dr_orchestrator.plan.model import Check, Plan, ProtectedSystem


@dataclass(frozen=True)
class Verifier:
    """The checks of one system, asked of one recovery point that lives in a sandbox."""

    plan: Plan
    system: ProtectedSystem
    manifest: Manifest
    restorations: Mapping[str, Restoration]
    packs: Packs = field(default_factory=dict)
    shares: Mapping[str, FilesShare] = field(default_factory=dict)
    """What came back of trees that did not come back whole, by asset."""

    def service(self) -> tuple[Verification, ...]:
        """Answer what the application needs: each check of a value; and no asset is missing."""
        answers = self._absent()
        for check in self.system.verify:
            if isinstance(check, SqlCheck):
                answers.append(self._answer(check, self._sql))
            elif isinstance(check, RunCheck):
                answers.append(self._answer(check, self._run))
            elif isinstance(check, PackCheck):
                answers += self._pack(check, PackChecks.service)
        return tuple(answers)

    def proof(self) -> tuple[Verification, ...]:
        """Compare with the baseline, and files with the rows that name them."""
        found = self._unasked()
        for check in self.system.verify:
            if isinstance(check, BaselineCheck):
                for asset, restoration in self.restorations.items():
                    found += self._compare(asset, restoration)
            elif isinstance(check, FilesCheck):
                found.append(self._answer(check, self._files))
            elif isinstance(check, PackCheck) and check.pack in self.packs:
                found += self._pack(check, PackChecks.proof)
        if self.system.is_existing and not self._compares:
            found += self._own_proof()
        return tuple(found)

    @property
    def _compares(self) -> bool:
        return any(isinstance(check, BaselineCheck) for check in self.system.verify)

    def _own_proof(self) -> Iterable[Verification]:
        """Answer what the data itself can tell, as whether SQLite finds damage in it: that nobody
        can compare it is said in the plan, which asks for something else.
        """
        for asset, restoration in self.restorations.items():
            for each in self._compare(asset, restoration):
                if each.reason != NOTHING_TOLD:
                    yield each

    def _compare(self, asset: str, restoration: Restoration) -> tuple[Verification, ...]:
        try:
            answers = restoration.compare()
        except DroError as error:
            title = f"{asset}: the data is what it was at capture"
            return (
                Verification(
                    title=title, asset=asset, result=result_of(error), reason=error.message
                ),
            )
        if not self.system.is_existing or self.manifest.assets[asset].baseline is not None:
            return answers
        only = all(isinstance(check, BaselineCheck) for check in self.system.verify)
        reason = BASELINE_OF_OTHERS if self._compares and not only else NOTHING_TOLD
        return tuple(
            replace(each, title=f"{asset} is what it was", reason=reason)
            if each.reason == NO_BASELINE
            else each
            for each in answers
        )

    def newest(self) -> datetime | None:
        """Return the time of the newest row, where the plan asks and the data answers."""
        query = newest_row(self.system, self.packs)
        if query is None or query.asset not in self.restorations:
            return None
        zone = query.timezone or self.plan.practice.timezone
        try:
            value = self.restorations[query.asset].value(query.sql, zone=zone)
        except CouldNotVerify:
            return None  # `data_age` is then unproven: judge never takes silence for youth
        return value if isinstance(value, datetime) else None

    def _absent(self) -> list[Verification]:
        """Say which of the plan's assets this point does not hold, and so were not tested."""
        reasons = {
            asset: f"{asset} is not in this recovery point, so nothing is known about it"
            for asset in self.system.assets
            if asset not in self.restorations
        }
        reasons |= {
            asset: f"{asset} was something else when this recovery point was made: "
            f"{state.kind.value}, and now {self.system.assets[asset].kind.value}"
            for asset, state in self.manifest.assets.items()
            if asset in self.system.assets and state.kind is not self.system.assets[asset].kind
        }
        return [
            Verification(
                title=f"{asset} is in the recovery point",
                asset=asset,
                result=Result.UNPROVEN,
                expected="present",
                actual="not in this point",
                reason=reason,
                proves=Depth.L2,
            )
            for asset, reason in reasons.items()
        ]

    def _unasked(self) -> list[Verification]:
        """Say which assets no check of the plan looks at: that they load does not prove them."""
        checks = self.system.verify
        if self._compares:
            return []
        asked = {check.asset for check in checks if isinstance(check, SqlCheck | RunCheck)}
        asked |= {
            check.files.asset
            for check in checks
            if isinstance(check, FilesCheck) and (check.files.listed_by or check.files.at_least)
        }
        for check in checks:
            if isinstance(check, PackCheck) and check.pack in self.packs:
                asked |= self._pack_checks(check).asked
        return [
            Verification(
                title=f"{asset} is what it was",
                asset=asset,
                result=Result.UNPROVEN,
                reason=NOTHING_TOLD
                if self.system.is_existing
                else f"no check of the plan looks at {asset}: `- baseline` in `verify` does",
                proves=Depth.L2,
            )
            for asset in self.restorations
            if asset not in asked
        ]

    def _answer(self, check: Check, ask: Callable[[Check], Verification]) -> Verification:
        """Ask; an error becomes an answer that is not green."""
        try:
            return ask(check)
        except DroError as error:
            asset = (
                check.files.asset if isinstance(check, FilesCheck) else getattr(check, "asset", "")
            )
            return Verification(
                title=check.title, asset=asset, result=result_of(error), reason=error.message
            )

    @property
    def _point(self) -> LivingPoint:
        return LivingPoint(self.manifest, self.restorations, self.shares)

    def _sql(self, check: Check) -> Verification:
        if not isinstance(check, SqlCheck):
            raise TypeError(check)
        value, judgement = self._point.judged(
            check.asset, check.sql, check.expect, zone=self._zone(check)
        )
        return _judged(check, value, judgement)

    def _run(self, check: Check) -> Verification:
        if not isinstance(check, RunCheck):
            raise TypeError(check)
        value, judgement = self._point.judged_run(
            check.asset,
            check.run,
            check.expect,
            at_capture=check.at_capture,
            zone=self._zone(check),
        )
        return _judged(check, value, judgement)

    def _zone(self, check: SqlCheck | RunCheck) -> tzinfo:
        return check.timezone or self.plan.practice.timezone

    def _pack(
        self, check: PackCheck, ask: Callable[[PackChecks], Iterable[Verification]]
    ) -> Iterable[Verification]:
        if check.pack in self.packs:
            return ask(self._pack_checks(check))
        reason = f"the pack {check.pack} is not known here, so nothing it asks was answered"
        return [
            Verification(
                title=check.title or check.pack, asset="", result=Result.UNPROVEN, reason=reason
            )
        ]

    def _pack_checks(self, check: PackCheck) -> PackChecks:
        pack = self.packs[check.pack]
        systems = self.plan.protected.values()
        return PackChecks(
            pack=pack,
            title=check.title or pack.title,
            roles=roles_of(pack, check, self.system.assets),
            point=self._point,
            zone=self.plan.practice.timezone,
            planned=tuple(asset for system in systems for asset in system.assets.values()),
        )

    def _files(self, check: Check) -> Verification:
        if not isinstance(check, FilesCheck):
            raise TypeError(check)
        wanted, files = check.files, self._point.living(check.files.asset)
        if wanted.listed_by is not None:
            listed = wanted.listed_by
            rows = self._point.living(listed.asset).rows(listed.sql)
            share = self.shares.get(wanted.asset)
            found = check_listed(rows, listed.prefix, files.root, share=share)
            told = found.verification(check.title, wanted.asset)
            if found.listed or self._compares:
                return told
            reason = "the rows name no file, so none was looked for"
            return replace(told, result=Result.UNPROVEN, reason=reason)
        return self._at_least(check.title, wanted.asset, files.root, wanted.at_least or 0)

    def _at_least(self, title: str, asset: str, root: Path, wanted: int) -> Verification:
        share = self.shares.get(asset)
        came = "came back" if share is None else "came back or are listed in the repository"
        # os.walk never follows links to folders
        count = sum(len(files) for _, _, files in os.walk(root)) if share is None else share.listed
        return Verification(
            title=title,
            asset=asset,
            result=Result.PASSED if count >= wanted else Result.FAILED,
            expected=f"at least {count_words(wanted, 'file')}",
            actual=count if share is None else f"{count_words(count, 'file')} listed",
            reason="" if count >= wanted else f"only {count_words(count, 'file')} {came}",
            proves=Depth.L2 if share is None else Depth.L1,
        )


def _judged(check: SqlCheck | RunCheck, value: Value, judgement: Judgement) -> Verification:
    return Verification(
        title=check.title,
        asset=check.asset,
        result=judgement.result,
        expected=judgement.expected,
        actual=value,
        reason=judgement.reason,
        proves=Depth.L4,
    )
