"""What a kit is made of, for a made-up practice; nothing is read but the runbooks we ship."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.plan.load import LoadedPlan, read_plan
from dr_orchestrator.runbook.kit.given import KitInput
from dr_orchestrator.runbook.load import LoadedRunbook, load_runbook
from dr_orchestrator.runbook.shelf import shipped_folder
from tests.support.evidence import full_id, make_point

MADE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
POINT = make_point(MADE - timedelta(minutes=30), repositories=("onsite", "offsite"))
OLDER = make_point(MADE - timedelta(hours=5), repositories=("offsite",))
PLAN = """\
version: 1
practice: {id: riverside, name: Riverside & Sons, timezone: America/Chicago}
contacts:
  manager: {role: practice manager, email: manager@riverside.example, phone: "+1 555 0100"}
custody:
  - {holder: manager, form: sealed sheet}
repositories:
  onsite:
    location: /srv/restic/riverside
    password: {file: /etc/dro/keys/riverside, obtain: "MSP vault, entry riverside"}
  offsite:
    location: s3:https://s3.example/riverside-dr
    password: {file: /etc/dro/keys/offsite}
    credentials: {aws_profile: riverside}
    bucket: {region: us-east-2}
  server:
    location: rest:https://backup.example/riverside
    password: {env: SERVER_PASSWORD}
    credentials: {user: riverside, password: {file: /etc/dro/keys/server, obtain: "MSP vault"}}
systems:
  emr:
    title: Electronic medical record
    depends_on: [directory]
    rto: 4h
    rpo: 1h
    backup: {schedule: every 30m, to: [onsite], copy_to: [offsite]}
    assets:
      database: {kind: postgres, host: /run/postgresql, database: emr, user: backup}
      documents: {kind: files, path: /srv/emr/documents}
  directory:
    title: User directory
    rto: 8h
    rpo: 24h
    backup: {schedule: every 12h, to: [server]}
    assets:
      ledger: {kind: sqlite, path: /srv/directory.db}
  phones: {title: Telephones, protected_by: telephone vendor}
kit: {folder: /srv/kits, mail: [manager], valid: 30d}
"""


def plan_of(text: str = PLAN) -> LoadedPlan:
    """Return a plan, as data."""
    return read_plan(text.encode(), "riverside.yaml")


@cache
def shipped() -> dict[str, LoadedRunbook]:
    """Return the runbooks that we ship."""
    return {path.stem: load_runbook(path) for path in sorted(shipped_folder().glob("*.yaml"))}


def make_input(**changes: Any) -> KitInput:
    """Return what the kit of the practice is made of."""
    plain = KitInput(
        kept={},
        loaded=plan_of(),
        runbooks=shipped(),
        points=(OLDER, POINT),
        manifests={POINT.id: manifest_of({"major": "15", "version": "15.8"})},
        restic={},
        script=b"#!/usr/bin/env python3\n",
        made=MADE,
        expires=MADE + timedelta(days=30),
    )
    return replace(plain, **changes)


def manifest_of(server: dict[str, str]) -> Manifest:
    """Return the manifest of a point whose database was on such a server."""
    database = AssetState(
        kind=AssetKind.POSTGRES,
        method=Method.LOGICAL,
        scope="database",
        snapshot=full_id("database"),
        path="/database.pgdump",
        bytes=1,
        captured_at=POINT.as_of,
        server=server,
    )
    return Manifest(
        point=POINT.id,
        practice="riverside",
        practice_name="Riverside & Sons",
        system="emr",
        run=POINT.run,
        as_of=POINT.as_of,
        finished=POINT.finished,
        skew_seconds=1.0,
        repository=full_id("onsite"),
        assets={"database": database},
        recoverable=Recoverable(start=POINT.as_of, end=POINT.as_of),
        plan_sha256=full_id("plan"),
        made_by="dr-orchestrator",
    )


def no_paper(*_asked: object) -> None:
    """Make no PDF, as a machine without WeasyPrint does."""


def read_all(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
