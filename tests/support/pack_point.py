"""A recovery point that a pack is asked of: a living database and a folder, without a restore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from dr_orchestrator.core.baseline import DatabaseBaseline, Level, Value
from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.core.verification import Depth, Verification
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.packs.choice import Packs, pack_queries, packs_of
from dr_orchestrator.plan.load import LoadedPlan, read_plan
from dr_orchestrator.restore.verify import Verifier
from dr_orchestrator.servers.mariadb_connection import Connection, answer

AS_OF = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
repositories:
  onsite: {location: /srv/restic, password: {file: /etc/dro/key}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    max_data_age: 4h
    assets:
      database: {kind: mariadb, host: /run/m.sock, database: openemr, user: backup}
      documents: {kind: files, path: /srv/openemr/sites}
    verify: [{pack: openemr}]
"""


@dataclass(frozen=True)
class LivingDatabase:
    """A database of a running server. Has what packs ask of a `Restoration`."""

    connection: Connection

    @property
    def loading_proof_seconds(self) -> float:
        return 0.0

    @property
    def depth(self) -> Depth:
        return Depth.L3

    @property
    def conditions(self) -> tuple[str, ...]:
        return ()

    @property
    def root(self) -> Path:
        raise CouldNotVerify("a database is no folder")

    def prepare(self) -> None:
        raise NotImplementedError

    def load(self, restored: Path) -> None:
        raise NotImplementedError

    def compare(self) -> tuple[Verification, ...]:
        raise NotImplementedError

    def value(self, sql: str, *, zone: tzinfo) -> Value:
        return answer(self.connection, sql, zone)

    def rows(self, sql: str) -> Iterator[tuple[object, ...]]:
        return self.connection.stream(sql)


@dataclass(frozen=True)
class LivingFolder(LivingDatabase):
    """A folder of files. Has what packs ask of a `Restoration`."""

    connection: Connection = field(init=False, repr=False)
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder


def plan_of(text: str = PLAN) -> tuple[LoadedPlan, Packs]:
    """Return a plan with its packs."""
    loaded = read_plan(text.encode(), "riverside.yaml")
    return loaded, {name: each.pack for name, each in packs_of(loaded).items()}


def captured(connection: Connection, plan: str = PLAN) -> dict[str, Value]:
    """Return what a capture would keep of a database for the pack of the plan."""
    loaded, packs = plan_of(plan)
    queries = pack_queries(loaded.plan.protected["emr"], "database", packs)
    return {sql: answer(connection, sql, UTC) for sql in queries}


def verifier(
    connection: Connection, folder: Path, answers: Mapping[str, Value], plan: str = PLAN
) -> Verifier:
    """Return what a restore test would ask, of a living database and a folder."""
    loaded, packs = plan_of(plan)
    manifest = manifest_with(answers)
    living = {"database": LivingDatabase(connection), "documents": LivingFolder(folder=folder)}
    return Verifier(loaded.plan, loaded.plan.protected["emr"], manifest, living, packs)


def manifest_with(answers: Mapping[str, Value]) -> Manifest:
    """Return a manifest whose database gave these answers at capture."""
    baseline = DatabaseBaseline(level=Level.NONE, algorithm="", tables={}, queries=answers)

    def state(kind: AssetKind, method: Method) -> AssetState:
        return AssetState(
            kind=kind,
            method=method,
            scope="database",
            snapshot="0" * 64,
            path="/x",
            bytes=1,
            captured_at=AS_OF,
            baseline=baseline if kind.is_database else None,
        )

    return Manifest(
        point="p",
        practice="riverside",
        practice_name="Riverside",
        system="emr",
        run="r",
        as_of=AS_OF,
        finished=AS_OF,
        skew_seconds=0,
        repository="0" * 64,
        assets={
            "database": state(AssetKind.MARIADB, Method.LOGICAL),
            "documents": state(AssetKind.FILES, Method.TREE),
        },
        recoverable=Recoverable(start=AS_OF, end=AS_OF),
        plan_sha256="0" * 64,
        made_by="dr-orchestrator tests",
    )
