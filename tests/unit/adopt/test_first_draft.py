"""What a first plan suggests, of what was found: valid, and only what can be seen to hold."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr_orchestrator.adopt.address import named_assets
from dr_orchestrator.adopt.first_draft import first_draft
from dr_orchestrator.adopt.probe import Found
from dr_orchestrator.assets.outline import (
    DatabaseOutline,
    FolderOutline,
    OutlinedTable,
    TimeColumn,
)
from dr_orchestrator.errors import CaptureFailed, ProgramMissing
from dr_orchestrator.packs.choice import packs_of
from dr_orchestrator.packs.load import find_packs, load_pack
from dr_orchestrator.plan.first import first_plan_text
from dr_orchestrator.plan.load import LoadedPlan, read_plan
from dr_orchestrator.plan.model import PackCheck

GIB = 1 << 30
_PACKS = tuple(load_pack(path).pack for path in find_packs(None).values())
_DATABASE, _FOLDER = named_assets(("mariadb://u@h/emr",), (Path("/srv/emr"),))


def _table(name: str, rows: int, *columns: TimeColumn) -> OutlinedTable:
    return OutlinedTable(name=name, label=f"`{name}`", rows=rows, times=columns)


def _column(name: str, *, indexed: bool = True, has_zone: bool = True) -> TimeColumn:
    return TimeColumn(name=name, has_zone=has_zone, indexed=indexed)


def _database(*tables: OutlinedTable, size: int = GIB) -> Found:
    outline = DatabaseOutline(engine="MariaDB 10.11.6", bytes=size, tables=tables)
    return Found(named=_DATABASE, outline=outline)


def _folder(size: int = GIB, *, is_mounted: bool = False, is_whole: bool = True) -> Found:
    outline = FolderOutline(
        files=3,
        bytes=size,
        newest=datetime(2026, 11, 21, tzinfo=UTC),
        is_whole=is_whole,
        special=1,
        is_mounted=is_mounted,
    )
    return Found(named=_FOLDER, outline=outline)


def _drafted(*found: Found) -> LoadedPlan:
    draft = first_draft(found, _PACKS, zone=UTC, zone_name="America/Chicago", location="")
    text = first_plan_text("riverside", Path("/etc/dro/keys/riverside"), draft)
    loaded = read_plan(text.encode(), "riverside.yaml")
    packs_of(loaded)  # raises where a role fits no asset
    return loaded


def _openemr() -> Found:
    return _database(*(_table(name, 9) for name in ("Patient_Data", "form_encounter", "globals")))


def test_draft_names_a_pack_when_its_tables_and_its_documents_are_there() -> None:
    loaded = _drafted(_openemr(), _folder())

    checks = loaded.plan.protected["emr"].verify
    assert [each.pack for each in checks if isinstance(each, PackCheck)] == ["openemr"]
    assert str(loaded.plan.practice.timezone) == "America/Chicago"


def test_draft_says_what_a_pack_lacks_when_there_is_no_folder_of_documents() -> None:
    loaded = _drafted(_openemr())

    assert len(loaded.plan.protected["emr"].verify) == 1
    assert "# DECIDE: its tables are those of OpenEMR" in loaded.text
    assert "# verify: [baseline, {pack: openemr}]" in loaded.text


def test_draft_asks_the_largest_table_that_says_when_a_row_was_written() -> None:
    loaded = _drafted(
        _database(
            _table("role", 3, _column("created_at")),
            _table("visit", 900, _column("born_at"), _column("updated", indexed=False)),
            _table("audit", 5_000, _column("at")),
        )
    )

    newest = loaded.plan.protected["emr"].newest
    assert newest is not None
    assert (newest.asset, newest.sql) == ("database", "select max(updated) from `visit`")
    assert "without an index: each backup reads 900 rows" in " ".join(loaded.text.split("\n    # "))


def test_draft_suggests_no_newest_row_when_no_column_stands_out() -> None:
    loaded = _drafted(_database(_table("visit", 900, _column("born_at")), _table("empty", 0)))

    assert loaded.plan.protected["emr"].newest is None


@pytest.mark.parametrize(
    ("database", "files", "period", "parts"),
    [(1, 1, 1, 1), (51, 1, 7, 1), (1, 51, 1, 20)],
)
def test_draft_tests_what_is_large_less_often_or_in_shares(
    database: int, files: int, period: int, parts: int
) -> None:
    loaded = _drafted(_database(size=database * GIB), _folder(files * GIB))

    (test,) = loaded.plan.protected["emr"].restore_tests
    assert (test.schedule.period.days, test.parts) == (period, parts)
    assert ("`method: physical`" in loaded.text) == (database > 50)
    assert f"reads about {database + files}.0 GiB" in loaded.text


def test_draft_says_what_is_mounted_and_what_was_not_counted_to_its_end() -> None:
    text = _drafted(_folder(is_mounted=True, is_whole=False)).text

    assert "marker: .this-is-the-share" in text
    assert "at least 3 files" in text
    assert "1 device, socket or pipe, which no backup takes" in text


def test_draft_keeps_what_could_not_be_reached_or_not_be_proven() -> None:
    unreached = Found(named=_DATABASE, trouble=CaptureFailed("no way there", hint="look"))
    unproven = Found(named=_FOLDER, unloadable=ProgramMissing("nothing loads it"))

    loaded = _drafted(unreached, unproven)

    assert set(loaded.plan.protected["emr"].assets) == {"database", "documents"}
    assert "# DECIDE: could not be backed up now: no way there (look)" in loaded.text
    assert "# DECIDE: restore tests here prove nothing: nothing loads it" in loaded.text
