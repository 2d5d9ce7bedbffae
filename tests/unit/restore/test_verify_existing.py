"""What is asked of data that another tool saved: what it tells itself, and what the plan asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from dr_orchestrator.assets.base import Restoration
from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.core.verification import (
    BASELINE_OF_OTHERS,
    NO_BASELINE,
    NOTHING_TOLD,
    Result,
    Verification,
)
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.restore.verify import Verifier
from tests.support.clock import START
from tests.support.evidence import make_plan

UNCOMPARED = Verification(title="compare", asset="db", result=Result.UNPROVEN, reason=NO_BASELINE)
SOUND = Verification(title="integrity_check", asset="db", result=Result.PASSED)
DAMAGED = Verification(title="integrity_check", asset="db", result=Result.FAILED, reason="damaged")

_STATE = AssetState(
    kind=AssetKind.SQLITE,
    method=Method.COPY,
    scope="file",
    snapshot="a" * 64,
    path="/srv/emr.db",
    bytes=1,
    captured_at=START,
)
_MANIFEST = Manifest(
    point="p",
    practice="riverside",
    practice_name="Riverside",
    system="emr",
    run="r",
    as_of=START,
    finished=START,
    skew_seconds=0.0,
    repository="r",
    assets={"db": _STATE, "scans": _STATE},
    recoverable=Recoverable(start=START, end=START),
    plan_sha256="c",
    made_by="a test",
)


@dataclass
class _Restored:
    """What came back, as far as it compares itself."""

    answers: Sequence[Verification] | CouldNotVerify
    root: Path = Path("/nonexistent")

    def rows(self, _sql: str) -> tuple[tuple[object, ...], ...]:
        return ()

    def compare(self) -> tuple[Verification, ...]:
        if isinstance(self.answers, CouldNotVerify):
            raise self.answers
        return tuple(self.answers)


def proof(
    answers: Sequence[Verification] | CouldNotVerify, *, asked: bool, compared: bool = False
) -> list[tuple[Result, str]]:
    system: dict[str, Any] = {
        "assets": {"db": {"kind": "sqlite", "existing": {"path": "/srv/emr.db"}}}
    }
    if asked:
        system["verify"] = [{"title": "rows", "asset": "db", "sql": "select 1", "expect": 1}]
    if compared:
        system["verify"].insert(0, "baseline")
    plan = make_plan(**system)
    restored = {"db": cast("Restoration", _Restored(answers))}
    found = Verifier(plan, plan.protected["emr"], _MANIFEST, restored).proof()
    return [(each.result, each.reason) for each in found]


@pytest.mark.parametrize(
    ("files", "reasons"),
    [
        ({"at_least": 0}, {NOTHING_TOLD}),
        ({"listed_by": {"asset": "db", "sql": "none"}}, {"the rows name no file, so none was"}),
    ],
)
def test_check_that_asks_nothing_of_files_proves_nothing(
    tmp_path: Path, files: dict[str, Any], reasons: set[str]
) -> None:
    existing = {"existing": {"path": "/srv/scans"}}
    assets = {"db": {"kind": "sqlite", **existing}, "scans": {"kind": "files", **existing}}
    asked = {"title": "rows", "asset": "db", "sql": "1", "expect": 1}
    check = {"title": "scans", "files": {"asset": "scans", **files}}
    plan = make_plan(assets=assets, verify=[asked, check])
    restored = cast("Restoration", _Restored((), tmp_path))

    found = Verifier(
        plan, plan.protected["emr"], _MANIFEST, {"db": restored, "scans": restored}
    ).proof()

    open_ = {each.reason[:34] for each in found if each.result is Result.UNPROVEN}
    assert open_ == {each[:34] for each in reasons}


def test_nothing_tells_whether_it_is_right_until_the_plan_asks() -> None:
    assert proof([UNCOMPARED, SOUND], asked=False) == [
        (Result.UNPROVEN, NOTHING_TOLD),
        (Result.PASSED, ""),
    ]


def test_baseline_that_nobody_took_is_to_be_taken_out_when_the_plan_asks_more() -> None:
    assert proof([UNCOMPARED, SOUND], asked=True, compared=True) == [
        (Result.UNPROVEN, BASELINE_OF_OTHERS),
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
