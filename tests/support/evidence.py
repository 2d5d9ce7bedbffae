"""Recovery points, restore tests and runs as tests need them: one line each, told apart by time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from dr_orchestrator.core.immutability import (
    Answer,
    Attempt,
    Deed,
    ImmutabilityTested,
    LocksExtended,
)
from dr_orchestrator.core.point import AssetKind, AssetSummary, Method, PointCopy, RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord, RepositoryChecked
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.runbook import (
    Drill,
    DrilledSystem,
    DrillKind,
    Event,
    Mode,
    Move,
    RunbookRun,
)
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan

PRACTICE = "riverside"
SYSTEM = "emr"
DATABASE = AssetSummary(
    kind=AssetKind.SQLITE, method=Method.COPY, bytes=7_000_000_000, level="full"
)
DOCUMENTS = AssetSummary(kind=AssetKind.FILES, method=Method.TREE, bytes=520_000, level="sampled")


def full_id(*parts: object) -> str:
    """Return 64 hex digits that stand for a snapshot or repository of this name."""
    return sha256(repr(parts).encode()).hexdigest()


def make_point(
    as_of: datetime, *, repositories: tuple[str, ...] = ("onsite",), **changes: Any
) -> RecoveryPoint:
    """Return a point of the EMR captured at `as_of`, with a database and its documents."""
    plain = RecoveryPoint(
        id=f"{as_of:%Y%m%d-%H%M%S}-{full_id(as_of)[:6]}",
        practice=PRACTICE,
        system=SYSTEM,
        run=f"{as_of:%Y%m%d-%H%M%S}-run000",
        label=None,
        as_of=as_of,
        finished=as_of + timedelta(seconds=41.25),
        data_as_of=None,
        skew_seconds=2.5,
        assets={"database": DATABASE, "documents": DOCUMENTS},
        copies=(),
    )
    point = replace(plain, **changes)
    copies = tuple(make_copy(point, repository) for repository in repositories)
    return replace(point, copies=point.copies + copies)


def make_copy(point: RecoveryPoint, repository: str) -> PointCopy:
    """Return the copy of `point` that `repository` holds."""
    return PointCopy(
        repository=repository,
        manifest_snapshot=full_id(point.id, repository, "manifest"),
        manifest_sha256=full_id(point.id, "content"),
        snapshots={asset: full_id(point.id, repository, asset) for asset in point.assets},
        recorded_at=point.finished,
    )


def make_test(started_at: datetime, result: Result = Result.PASSED, **changes: Any) -> RestoreTest:
    """Return a restore test of a point that was an hour old, proven in 41 minutes."""
    as_of = started_at - timedelta(hours=1)
    ran = result is not Result.UNPROVEN
    plain = RestoreTest(
        id=f"{started_at:%Y%m%d-%H%M%S}-{full_id(started_at, changes)[:6]}",
        practice=PRACTICE,
        system=SYSTEM,
        repository="onsite",
        point=make_point(as_of).id,
        point_as_of=as_of,
        started_at=started_at,
        finished_at=started_at + timedelta(minutes=50),
        result=result,
        reason="" if result is Result.PASSED else "because",
        rta_data_seconds=30 * 60.0 if ran else None,
        rta_service_seconds=41 * 60.0 if ran else None,
        proof_seconds=12.5,
        rpa_seconds=3600.0,
        newest=as_of - timedelta(minutes=20) if ran else None,
        data_age_seconds=1200.0 if ran else None,
        depth=Depth.L4 if ran else Depth.L0,
        sandbox="bubblewrap, uid 64000",
        verifications=(
            Verification(title="no more orphans", asset="database", result=result, expected=0),
        ),
        conditions=("1 unlogged table",),
    )
    return replace(plain, **changes)


def make_run(started_at: datetime, **changes: Any) -> Run:
    """Return a backup that began at `started_at` and is still open."""
    plain = Run(
        id=f"{started_at:%Y%m%d-%H%M%S}-{full_id(started_at)[:6]}",
        operation=Operation.BACKUP,
        practice=PRACTICE,
        system=SYSTEM,
        repository=None,
        started_at=started_at,
        host="elsewhere",
        pid=4711,
        pid_started="boot/1",
    )
    return replace(plain, **changes)


def looked_after(at: datetime, *repositories: str, practice: str = PRACTICE) -> dict[str, Any]:
    """Return what a record says of repositories that were wholly read back, and in which points
    were let go of, `at`: its `checks` and `last_runs`.
    """
    return {
        "checks": tuple(
            RepositoryChecked(
                practice=practice,
                repository=name,
                run=f"check-{name}",
                at=at,
                part=1,
                parts=1,
                sound=True,
            )
            for name in repositories
        ),
        "last_runs": tuple(
            make_run(
                at,
                id=f"forget-{name}",
                operation=Operation.FORGET,
                practice=practice,
                system="",
                repository=name,
                finished_at=at,
                outcome=Outcome.DONE,
            )
            for name in repositories
        ),
    }


def make_locks(
    at: datetime, until: datetime | None, repository: str = "offsite", location: str = ""
) -> LocksExtended:
    """Return that the locks of a repository were looked at, and renewed where that was needed."""
    return LocksExtended(
        practice=PRACTICE,
        repository=repository,
        location=location or f"/srv/restic/{repository}",
        run=f"locks-{at:%Y%m%d-%H%M%S}",
        at=at,
        objects=10_240,
        extended=512,
        until=until,
    )


def make_attempts(
    at: datetime, *answers: Answer, repository: str = "offsite", location: str = ""
) -> ImmutabilityTested:
    """Return that it was tried to destroy what a repository holds; refused unless stated."""
    given = (*answers, *[Answer.REFUSED] * (len(Deed) - len(answers)))
    return ImmutabilityTested(
        practice=PRACTICE,
        repository=repository,
        location=location or f"/srv/restic/{repository}",
        run=f"attempts-{at:%Y%m%d-%H%M%S}",
        at=at,
        attempts=tuple(
            Attempt(deed=deed, answer=answer, said="AccessDenied")
            for deed, answer in zip(Deed, given, strict=True)
        ),
    )


def make_runbook_run(opened_at: datetime, **changes: Any) -> RunbookRun:
    """Return a rehearsal of the EMR's runbook that was opened at `opened_at`."""
    run_id = changes.get("id", f"{opened_at:%Y%m%d-%H%M%S}-{full_id(opened_at, changes)[:6]}")
    plain = RunbookRun(
        id=run_id,
        practice=PRACTICE,
        runbook="emr-server-lost",
        mode=Mode.REHEARSAL,
        system=SYSTEM,
        lane="",
        incident=run_id,
        outage_at=opened_at - timedelta(minutes=10),
        opened_at=opened_at,
        opened_by="Ada",
        host="clinic",
        runbook_text="version: 1\n",
        runbook_sha256=full_id("runbook"),
        plan_text="version: 1\n",
        plan_sha256=full_id("plan"),
        trusted=True,
        folder="",
    )
    return replace(plain, **changes)


def make_move(run: RunbookRun, number: int, event: Event = Event.BEGUN, **changes: Any) -> Move:
    """Return a move of a runbook run; each is a minute after the one before."""
    plain = Move(
        run=run.id,
        practice=run.practice,
        number=number,
        at=run.opened_at + timedelta(minutes=number),
        by="Ada",
        host=run.host,
        event=event,
        step="look",
        visit=1,
    )
    return replace(plain, **changes)


def make_drill(started_at: datetime, **changes: Any) -> Drill:
    """Return a drill of the practice in which the EMR came back after 40 minutes."""
    plain = Drill(
        id=f"{started_at:%Y%m%d-%H%M%S}-drill0",
        practice=PRACTICE,
        kind=DrillKind.PRACTICE,
        started_at=started_at,
        finished_at=started_at + timedelta(minutes=41),
        by="Ada",
        host="clinic",
        result=Result.PASSED,
        reason="",
        seconds=2460.0,
        systems=(
            DrilledSystem(
                system=SYSTEM,
                runbook="emr-server-lost",
                run="20261118-120000-run000",
                repository="onsite",
                point="20261118-110000-point0",
                restore_test="20261118-120000-test00",
                result=Result.PASSED,
                reason="",
                begun_seconds=0.25,
                ready_seconds=2400.0,
                rta_service_seconds=2300.5,
                by_hand_seconds=900.0,
            ),
        ),
        critical_path=(SYSTEM,),
        plan_sha256=full_id("plan"),
        runbooks={"emr-server-lost": full_id("runbook")},
    )
    return replace(plain, **changes)


def make_plan(
    practice: dict[str, Any] | None = None,
    repositories: Mapping[str, dict[str, Any]] | None = None,
    **system: Any,
) -> Plan:
    """Return a plan for the EMR: RTO 4 h, RPO 1 h, tested nightly; `system` adds to it or changes.

    The practice is in Chicago, and always open unless `practice` says otherwise. `repositories`
    adds to `onsite` and `offsite`.
    """
    emr = {
        "rto": "4h",
        "rpo": "1h",
        "assets": {
            "database": {"kind": "sqlite", "path": "/srv/emr/emr.db"},
            "documents": {"kind": "files", "path": "/srv/emr/documents"},
        },
        "restore_tests": [{"schedule": "03:30", "from": "onsite", "prove_every": "2d"}],
        **system,
    }
    named = {"id": PRACTICE, "name": "Riverside Family Practice", "timezone": "America/Chicago"}
    content = {
        "version": 1,
        "practice": named | (practice or {}),
        "repositories": {
            name: {
                "location": f"/srv/restic/{name}",
                "password": {"file": f"/etc/dro/keys/{name}"},
                **(repositories or {}).get(name, {}),
            }
            for name in ("onsite", "offsite")
        },
        "systems": {SYSTEM: emr},
    }
    return with_defaults(Plan.model_validate(content))


def make_record(
    *,
    first_seen: datetime | None = None,
    points: Iterable[RecoveryPoint] = (),
    tests: Iterable[RestoreTest] = (),
    repositories_seen: dict[str, datetime] | None = None,
    **more: Any,
) -> PracticeRecord:
    """Return what is known of the practice, whose EMR was first acted on at `first_seen`."""
    return PracticeRecord(
        practice=PRACTICE,
        first_seen={} if first_seen is None else {SYSTEM: first_seen},
        points=tuple(sorted(points, key=lambda point: point.as_of)),
        tests=tuple(sorted(tests, key=lambda test: test.started_at)),
        repositories_seen=repositories_seen or {},
        **({"last_runs": ()} | more),
    )
