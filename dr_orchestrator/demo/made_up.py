"""A practice that does not exist: a SQLite record system in use, and its scanned documents.

Everything is made by a seeded generator, so that every demo protects the same data. No name in it
belongs to a person.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENTS = 5_000
VISITS = 40_000
DOCUMENTS = 2_000
VISITS_TODAY = 300
MARKER = ".this-is-the-share"

_SYLLABLES = ("al", "ber", "cor", "da", "el", "fin", "gra", "hol", "in", "jor", "ka", "len", "mo")
_COMPLAINTS = ("cough", "follow-up", "back pain", "vaccination", "blood pressure", "rash", "fever")
_SCHEMA = """
create table patient (id integer primary key, name text not null, born text not null);
create table visit (
    id integer primary key, patient_id integer not null references patient (id),
    seen_at text not null, note text not null);
create table document (
    id integer primary key, patient_id integer not null references patient (id),
    path text not null unique, sha256 text not null);
create index visit_by_patient on visit (patient_id, seen_at);
create view patient_last_seen as
    select patient_id, max(seen_at) as seen_at from visit group by patient_id;
"""

PLAN = """\
version: 1
practice:
  id: riverside
  name: Riverside Family Practice (made up)
  timezone: America/Chicago
contacts:
  manager: {{role: practice manager, email: manager@riverside.example, phone: "+1 555 0100"}}
custody:
  - {{holder: manager, form: sealed sheet in the safe}}
repositories:
  onsite:
    location: {repository}
    password: {{file: {key}, obtain: "made by the demo"}}
systems:
  emr:
    title: Electronic medical record
    importance: critical
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: sqlite, path: {database}}}
      documents: {{kind: files, path: {documents}, marker: {marker}}}
    newest: {{asset: database, sql: "select max(seen_at) from visit", timezone: UTC}}
    verify:
      - baseline
      - title: every visit belongs to a patient
        asset: database
        sql: >-
          select count(*) from visit v left join patient p on p.id = v.patient_id
          where p.id is null
        expect: 0
      - title: every scanned document is there and unchanged
        files:
          asset: documents
          listed_by: {{asset: database, sql: "select path, sha256 from document"}}
  phones: {{title: Telephones, protected_by: the telephone vendor}}
"""


@dataclass(frozen=True)
class MadeUpPractice:
    """Where the made-up practice keeps its data."""

    folder: Path

    @property
    def database(self) -> Path:
        """The record system's database file."""
        return self.folder / "emr.sqlite3"

    @property
    def documents(self) -> Path:
        """The share with the scanned documents."""
        return self.folder / "documents"

    def plan_text(self, *, repository: Path, key: Path) -> str:
        """Return a plan that protects it to `repository`."""
        return PLAN.format(
            repository=repository,
            key=key,
            database=self.database,
            documents=self.documents,
            marker=MARKER,
        )


@contextmanager
def practice_at_work(folder: Path, now: datetime) -> Iterator[MadeUpPractice]:
    """Make up the practice in `folder` and keep its record system open and in use meanwhile.

    Today's visits are written but not yet moved from the write-ahead log to the main file, as in
    any SQLite database that is in use.
    """
    practice = MadeUpPractice(folder)
    chance = random.Random(7)  # noqa: S311 - made-up data, the same each time
    practice.documents.mkdir(parents=True)
    (practice.documents / MARKER).touch()
    database = sqlite3.connect(practice.database)
    try:
        database.executescript(f"pragma journal_mode=wal; pragma wal_autocheckpoint=0; {_SCHEMA}")
        with database:
            _fill(database, practice.documents, chance, now)
        database.execute("pragma wal_checkpoint(truncate)")
        with database:
            start = now - timedelta(hours=5)
            rows = _visits(chance, start, timedelta(minutes=1), VISITS_TODAY)
            database.executemany("insert into visit values (null, ?, ?, ?)", rows)
        yield practice
    finally:
        database.close()


def _fill(
    database: sqlite3.Connection, documents: Path, chance: random.Random, now: datetime
) -> None:
    born = datetime(1935, 1, 1, tzinfo=UTC)
    database.executemany(
        "insert into patient values (?, ?, ?)",
        (
            (number, _name(chance), f"{born + timedelta(days=chance.randrange(31_000)):%Y-%m-%d}")
            for number in range(1, PATIENTS + 1)
        ),
    )
    earlier = VISITS - VISITS_TODAY
    step = timedelta(days=700) / earlier
    rows = _visits(chance, now - timedelta(days=701), step, earlier)
    database.executemany("insert into visit values (null, ?, ?, ?)", rows)
    database.executemany(
        "insert into document values (null, ?, ?, ?)",
        (_scan(documents, number, chance) for number in range(DOCUMENTS)),
    )


def _visits(
    chance: random.Random, start: datetime, step: timedelta, count: int
) -> Iterator[tuple[int, str, str]]:
    for number in range(count):
        note = " ".join(chance.choices(_COMPLAINTS, k=12))
        seen_at = f"{start + number * step:%Y-%m-%d %H:%M:%S}"
        yield chance.randrange(1, PATIENTS + 1), seen_at, note


def _scan(documents: Path, number: int, chance: random.Random) -> tuple[int, str, str]:
    folder = documents / f"{number % 50:02d}"
    folder.mkdir(exist_ok=True)
    content = chance.randbytes(chance.randrange(2_000, 12_000))
    (folder / f"scan-{number:05d}.pdf").write_bytes(content)
    path = f"{number % 50:02d}/scan-{number:05d}.pdf"
    return chance.randrange(1, PATIENTS + 1), path, hashlib.sha256(content).hexdigest()


def _name(chance: random.Random) -> str:
    first, last = ("".join(chance.choices(_SYLLABLES, k=2)).title() for _ in range(2))
    return f"{first} {last}"
