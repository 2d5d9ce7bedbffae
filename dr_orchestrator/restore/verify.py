"""Ask the restored data what the plan wants to know.

Two groups, for two clocks: what the application needs to work again (`service`), and the
exhaustive comparison that proves it (`proof`). Each check is answered, whatever becomes of another.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dr_orchestrator.assets.files_listed import check_listed
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import CouldNotVerify, DroError
from dr_orchestrator.plan.expectation import NOT_CAPTURED
from dr_orchestrator.plan.model import BaselineCheck, FilesCheck, SqlCheck
from dr_orchestrator.restore.outcome import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo
    from pathlib import Path

    from dr_orchestrator.assets.base import Restoration
    from dr_orchestrator.core.point import Manifest
    from dr_orchestrator.plan.model import Check, Plan, ProtectedSystem


@dataclass(frozen=True)
class Verifier:
    """The checks of one system, asked of one recovery point that lives in a sandbox."""

    plan: Plan
    system: ProtectedSystem
    manifest: Manifest
    restorations: Mapping[str, Restoration]

    def service(self) -> tuple[Verification, ...]:
        """Answer what the application needs: every SQL check, and that no asset is missing."""
        checks = [check for check in self.system.verify if isinstance(check, SqlCheck)]
        return (*self._absent(), *(self._answer(check, self._sql) for check in checks))

    def proof(self) -> tuple[Verification, ...]:
        """Compare with the baseline, and files with the rows that name them."""
        found = self._unasked()
        for check in self.system.verify:
            if isinstance(check, BaselineCheck):
                for asset, restoration in self.restorations.items():
                    found += _compare(asset, restoration)
            elif isinstance(check, FilesCheck):
                found.append(self._answer(check, self._files))
        return tuple(found)

    def newest(self) -> datetime | None:
        """Return the time of the newest row, where the plan asks and the data answers."""
        query = self.system.newest
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
        if any(isinstance(check, BaselineCheck) for check in checks):
            return []
        asked = {check.asset for check in checks if isinstance(check, SqlCheck)}
        asked |= {check.files.asset for check in checks if isinstance(check, FilesCheck)}
        return [
            Verification(
                title=f"{asset} is what it was",
                asset=asset,
                result=Result.UNPROVEN,
                reason=f"no check of the plan looks at {asset}: `- baseline` in `verify` does",
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

    def _living(self, asset: str) -> Restoration:
        if asset not in self.restorations:
            raise CouldNotVerify(f"{asset} is not in this recovery point")
        return self.restorations[asset]

    def _sql(self, check: Check) -> Verification:
        if not isinstance(check, SqlCheck):
            raise TypeError(check)
        zone: tzinfo = check.timezone or self.plan.practice.timezone
        if check.expect.needs_baseline:
            zone = UTC  # as at capture, whatever the plan has said of zones since
        value = self._living(check.asset).value(check.sql, zone=zone)
        baseline = self.manifest.assets[check.asset].baseline
        answers = baseline.queries if isinstance(baseline, DatabaseBaseline) else {}
        judgement = check.expect.judge(
            value,
            as_of=self.manifest.as_of,
            baseline=answers.get(check.sql, NOT_CAPTURED),
            zone=zone,
        )
        return Verification(
            title=check.title,
            asset=check.asset,
            result=judgement.result,
            expected=judgement.expected,
            actual=value,
            reason=judgement.reason,
            proves=Depth.L4,
        )

    def _files(self, check: Check) -> Verification:
        if not isinstance(check, FilesCheck):
            raise TypeError(check)
        wanted, files = check.files, self._living(check.files.asset)
        if wanted.listed_by is not None:
            listed = wanted.listed_by
            rows = self._living(listed.asset).rows(listed.sql)
            found = check_listed(rows, listed.prefix, files.root)
            return found.verification(check.title, wanted.asset)
        return _at_least(check.title, wanted.asset, files.root, wanted.at_least or 0)


def _compare(asset: str, restoration: Restoration) -> tuple[Verification, ...]:
    try:
        return restoration.compare()
    except DroError as error:
        title = f"{asset}: the data is what it was at capture"
        return (
            Verification(title=title, asset=asset, result=result_of(error), reason=error.message),
        )


def _at_least(title: str, asset: str, root: Path, wanted: int) -> Verification:
    count = sum(len(files) for _, _, files in os.walk(root))  # never follows links to folders
    return Verification(
        title=title,
        asset=asset,
        result=Result.PASSED if count >= wanted else Result.FAILED,
        expected=f"at least {count_words(wanted, 'file')}",
        actual=count,
        reason="" if count >= wanted else f"only {count_words(count, 'file')} came back",
        proves=Depth.L2,
    )
