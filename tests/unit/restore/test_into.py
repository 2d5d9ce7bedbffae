"""What is seen of a restore into a database before anybody is asked to confirm it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dr_orchestrator.core.point import AssetKind, AssetSummary, Method, RecoveryPoint
from dr_orchestrator.errors import TargetRefused, UsageMistake
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.restore.into import database_to_load
from dr_orchestrator.sandbox.live import LiveAddress

_AT = datetime(2026, 11, 1, tzinfo=UTC)
_PLAN = b"""\
version: 1
practice: {id: riverside, name: Riverside, timezone: UTC}
repositories: {onsite: {location: /srv/restic, password: {env: KEY}}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets: {database: {kind: postgres, host: 10.0.0.5, database: emr, user: backup}}
"""
_ADDRESS = LiveAddress.parse("postgres://me@10.0.0.5/friday")


def _point(*databases: str) -> RecoveryPoint:
    summary = AssetSummary(kind=AssetKind.POSTGRES, method=Method.LOGICAL, bytes=1, level="none")
    return RecoveryPoint(
        id="20261101-000000-aaaaaa",
        practice="riverside",
        system="emr",
        run="r",
        label=None,
        as_of=_AT,
        finished=_AT,
        data_as_of=None,
        skew_seconds=0,
        assets=dict.fromkeys(databases, summary),
        copies=(),
    )


def test_the_database_that_is_meant_is_told_before_anybody_is_asked() -> None:
    assert database_to_load(_point("database"), "", _ADDRESS, ()) == "database"
    assert database_to_load(_point("old", "new"), "new", _ADDRESS, ()) == "new"
    with pytest.raises(UsageMistake) as refused:
        database_to_load(_point("old", "new"), "", _ADDRESS, ())
    assert refused.value.hint == "--asset is one of: old, new"
    with pytest.raises(UsageMistake, match="holds no asset other"):
        database_to_load(_point("old", "new"), "other", _ADDRESS, ())


def test_a_name_that_a_plan_protects_is_refused_before_anybody_is_asked() -> None:
    plan = read_plan(_PLAN, "plan.yaml").plan
    address = LiveAddress.parse("postgres://me@10.0.0.5/emr")
    with pytest.raises(TargetRefused, match="which a plan protects"):
        database_to_load(_point("database"), "", address, (plan,))
