"""Somebody encrypts what is backed up: every backup of it goes well, and its history tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.compliance.suspicion import suspicions
from dr_orchestrator.core.point import AssetSummary
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.store.sqlite import open_store
from tests.support.site import Site, new_site

FILES = 60
BYTES = 200_000
DAY = timedelta(days=1)


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as made:
        made.documents.mkdir()
        _write_all(made)
        made.write_plan(
            "  emr:\n    rto: 4h\n    rpo: 1h\n"
            f"    assets: {{documents: {{kind: files, path: {made.documents}}}}}\n"
        )
        yield made


def _write_all(site: Site) -> None:
    for number in range(FILES):
        (site.documents / f"{number}.pdf").write_bytes(os.urandom(BYTES))


def _backed_up(site: Site) -> AssetSummary:
    assert site.dro("backup", "riverside").code == 0
    with open_store(site.state, SystemClock()) as store:
        return store.practice_record("riverside").points[-1].assets["documents"]


def test_source_that_was_encrypted_is_suspicious_at_the_next_backup(site: Site) -> None:
    first = _backed_up(site)
    (site.documents / "0.pdf").write_bytes(b"a letter")
    quiet = _backed_up(site)
    _write_all(site)
    encrypted = _backed_up(site)

    assert (first.files, first.changed_files) == (FILES, FILES)
    assert (quiet.files, quiet.changed_files) == (FILES, 1)
    assert (quiet.added_bytes or 0) < BYTES < FILES * BYTES <= (first.added_bytes or 0)
    assert (encrypted.files, encrypted.changed_files) == (FILES, FILES)
    with open_store(site.state, SystemClock()) as store:
        record = store.practice_record("riverside")
    begun, before, newest = record.points
    week = [replace(before, id=f"{day}", as_of=before.as_of - day * DAY) for day in range(7, 0, -1)]
    begun = replace(begun, as_of=begun.as_of - 8 * DAY)
    record = replace(record, points=(begun, *week, before, newest))
    (told,) = suspicions(load_plan(site.plan).plan, record, newest.as_of)
    assert told.point == newest.id
    assert f"{FILES} of {FILES} files new or changed" in told.what
    assert "as if it had been encrypted" in told.what
