"""A recovery point that lives in a sandbox, as checks ask it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

from dr_orchestrator.assets.command_answer import argv_text, expected_answer
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.plan.expectation import NOT_CAPTURED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from dr_orchestrator.assets.base import Restoration
    from dr_orchestrator.assets.files_share import FilesShare
    from dr_orchestrator.core.baseline import Value
    from dr_orchestrator.core.point import Manifest
    from dr_orchestrator.plan.expectation import Expectation, Judgement, NotCaptured

Judged = tuple["Value", "Judgement"]
"""What was answered, and whether that is what is expected."""


@dataclass(frozen=True)
class LivingPoint:
    """The assets of one recovery point, brought back to life.

    Its methods raise `CouldNotVerify` where the asset is not in the point, or gives no answer.
    """

    manifest: Manifest
    restorations: Mapping[str, Restoration]
    shares: Mapping[str, FilesShare] = field(default_factory=dict)
    """What came back of trees that did not come back whole, by asset."""

    def living(self, asset: str) -> Restoration:
        """Return an asset that can be asked."""
        if asset not in self.restorations:
            raise CouldNotVerify(f"{asset} is not in this recovery point")
        return self.restorations[asset]

    def judged(self, asset: str, sql: str, expect: Expectation, *, zone: tzinfo) -> Judged:
        """Judge what a query answers."""
        value = self._value(asset, sql, expect, zone)
        baseline = self.manifest.assets[asset].baseline
        answers = baseline.queries if isinstance(baseline, DatabaseBaseline) else {}
        return value, self._judgement(value, expect, answers.get(sql, NOT_CAPTURED), zone)

    def judged_run(
        self,
        asset: str,
        run: tuple[str, ...],
        expect: Expectation,
        *,
        at_capture: tuple[str, ...],
        zone: tzinfo,
    ) -> Judged:
        """Judge what a program of the practice's own answers."""
        value = self._value(asset, argv_text(run), expect, zone)
        answer = expected_answer(self.manifest.assets[asset].baseline, at_capture, value)
        return value, self._judgement(value, expect, answer, zone)

    def _value(self, asset: str, question: str, expect: Expectation, zone: tzinfo) -> Value:
        # as at capture, whatever the plan has said of zones since
        return self.living(asset).value(question, zone=UTC if expect.needs_baseline else zone)

    def _judgement(
        self, value: Value, expect: Expectation, answer: Value | NotCaptured, zone: tzinfo
    ) -> Judgement:
        zone = UTC if expect.needs_baseline else zone
        return expect.judge(value, as_of=self.manifest.as_of, baseline=answer, zone=zone)
