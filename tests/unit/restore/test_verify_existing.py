"""What is asked of data that another tool saved: what it tells itself, and what the plan asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from dr_orchestrator.assets.base import Restoration
from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.core.verification import NO_BASELINE, NOTHING_TOLD, Result, Verification
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.restore.verify import Verifier
from tests.support.clock import START
from tests.support.evidence import make_plan

UNCOMPARED = Verification(title="compare", asset="db", result=Result.UNPROVEN, reason=NO_BASELINE)
SOUND = Verification(title="integrity_check", asset="db", result=Result.PASSED)
DAMAGED = Verification(title="integrity_check", asset="db", result=Result.FAILED, reason="damaged")


@dataclass
class _Restored:
    """What came back, as far as it compares itself."""

    answers: Sequence[Verification] | CouldNotVerify

    def compare(self) -> tuple[Verification, ...]:
        if isinstance(self.answers, CouldNotVerify):
            raise self.answers
        return tuple(self.answers)


def proof(
    answers: Sequence[Verification] | CouldNotVerify, *, asked: bool
) -> list[tuple[Result, str]]:
    system: dict[str, Any] = {
        "assets": {"db": {"kind": "sqlite", "existing": {"path": "/srv/emr.db"}}}
    }
    if asked:
        system["verify"] = [{"title": "rows", "asset": "db", "sql": "select 1", "expect": 1}]
    plan = make_plan(**system)
    state = AssetState(
        kind=AssetKind.SQLITE,
        method=Method.COPY,
        scope="file",
        snapshot="a" * 64,
        path="/srv/emr.db",
        bytes=1,
        captured_at=START,
    )
    manifest = Manifest(
        point="p",
        practice="riverside",
        practice_name="Riverside",
        system="emr",
        run="r",
        as_of=START,
        finished=START,
        skew_seconds=0.0,
        repository="r",
        assets={"db": state},
        recoverable=Recoverable(start=START, end=START),
        plan_sha256="c",
        made_by="a test",
    )
    restored = {"db": cast("Restoration", _Restored(answers))}
    found = Verifier(plan, plan.protected["emr"], manifest, restored).proof()
    return [(each.result, each.reason) for each in found]


def test_nothing_tells_whether_it_is_right_until_the_plan_asks() -> None:
    assert proof([UNCOMPARED, SOUND], asked=False) == [
        (Result.UNPROVEN, NOTHING_TOLD),
        (Result.PASSED, ""),
    ]


def test_what_the_data_itself_tells_is_all_that_is_left_once_the_plan_asks() -> None:
    assert proof([UNCOMPARED, SOUND], asked=True) == [(Result.PASSED, "")]


def test_damage_is_found_when_the_plan_asks_for_something_else() -> None:
    assert proof([UNCOMPARED, DAMAGED], asked=True) == [(Result.FAILED, "damaged")]


def test_proof_that_broke_off_is_no_pass_when_the_plan_asks_for_something_else() -> None:
    assert proof(CouldNotVerify("it did not answer"), asked=True) == [
        (Result.UNPROVEN, "it did not answer")
    ]
