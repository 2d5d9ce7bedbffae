"""Looking into a repository that another tool fills: what becomes a point, and what stays as is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.core.point import Method
from dr_orchestrator.core.record import PointForgotten
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import ManifestInvalid, PointNotFound, UsageMistake
from dr_orchestrator.evidence.facts import KINDS
from dr_orchestrator.evidence.line import read_line
from dr_orchestrator.repositories.manifests import find_manifest
from dr_orchestrator.repositories.restic import ResticRepository
from tests.support.clock import START
from tests.support.evidence import PRACTICE, SYSTEM
from tests.support.theirs import DAY, HOUR, Theirs, theirs

MINUTE = timedelta(minutes=1)
LAST_NIGHT = START - 8 * HOUR


@pytest.fixture
def lent() -> Iterator[Theirs]:
    with theirs() as lent:
        yield lent


def why_forgotten(lent: Theirs) -> list[str]:
    lines = lent.store.evidence.lines(PRACTICE, kinds={KINDS[PointForgotten]})
    return [str(read_line(each).about["why"]) for each in lines]


def test_look_records_a_point_and_leaves_everything_as_it_was(lent: Theirs) -> None:
    lent.write("emr.db", b"sqlite")
    lent.write("scans/1.pdf", b"12345")
    lent.write("scans/2.pdf", b"123")
    snapshot = lent.save(LAST_NIGHT)
    plan = lent.plan(database=("sqlite", "emr.db"), documents=("files", "scans"))
    before = lent.all_there()

    result = lent.look(plan)
    again = lent.look(plan)

    assert lent.all_there() == before
    (point,) = lent.points()
    assert (result.outcome, result.point) == (Outcome.DONE, point)
    assert point.as_of == LAST_NIGHT
    assert {name: (each.method, each.bytes) for name, each in point.assets.items()} == {
        "database": (Method.COPY, 6),
        "documents": (Method.TREE, 8),
    }
    (copy,) = point.copies
    assert copy.is_existing
    assert copy.all_snapshots == (snapshot, snapshot)
    assert again.existing is not None
    assert (again.existing.new, again.existing.gone, again.existing.points) == (0, 0, 1)


def test_manifest_is_the_kept_one_as_long_as_its_snapshots_are_there(lent: Theirs) -> None:
    lent.write("emr.db")
    snapshot = lent.save(LAST_NIGHT)
    plan = lent.plan(database=("sqlite", "emr.db"))
    lent.look(plan)
    (point,) = lent.points()

    def find(kept: Callable[[str, str], str | None]) -> Any:
        where = (lent.repository, PRACTICE, SYSTEM, point.id, point.copies[0])
        return find_manifest(*where, kept=kept)

    found = find(lent.store.kept_manifest)
    assert found.manifest.assets["database"].snapshot == snapshot
    assert found.paths("database") == (str(lent.data / "emr.db"),)
    with pytest.raises(ManifestInvalid, match="not the one recorded"):
        find(lambda *_: (lent.store.kept_manifest(PRACTICE, point.id) or "") + " ")
    with pytest.raises(PointNotFound, match="not on record"):
        find(lambda *_: None)

    lent.raw.run("forget", snapshot)
    with pytest.raises(PointNotFound, match="let go of them"):
        find(lent.store.kept_manifest)
    result = lent.look(plan)

    assert (result.outcome, result.point, lent.points()) == (Outcome.FAILED, None, ())
    assert why_forgotten(lent) == ["whoever saves there let go of it"]
    assert "no snapshot in onsite holds" in result.failures[0].reason


def test_point_is_replaced_when_a_nearer_part_turns_up_and_comes_back_when_that_goes(
    lent: Theirs,
) -> None:
    lent.write("db/emr.db")
    lent.write("scans/1.pdf")
    lent.save(LAST_NIGHT - DAY, "scans")
    lent.save(LAST_NIGHT, "db")
    plan = lent.plan(database=("sqlite", "db/emr.db"), documents=("files", "scans"))
    lent.look(plan)
    (first,) = lent.points()
    nearer = lent.save(LAST_NIGHT + 5 * MINUTE, "scans")

    lent.look(plan)
    (second,) = lent.points()
    lent.raw.run("forget", nearer)
    lent.look(plan)

    assert second.id != first.id
    assert second.copies[0].snapshots["documents"] == nearer
    assert lent.points()[0].id == first.id
    assert lent.points()[0].copies[0].manifest_sha256 == first.copies[0].manifest_sha256
    assert why_forgotten(lent)[0].startswith("its parts belong to other points")


def test_newest_dump_of_a_folder_is_taken_and_tells_how_old_it_is(lent: Theirs) -> None:
    lent.write("dumps/emr-2026-11-18.sql", b"newer", at=LAST_NIGHT - 3 * DAY)
    lent.write("dumps/emr-2026-11-19.sql", b"old", at=LAST_NIGHT - 9 * DAY)
    lent.write("dumps/other.sql", at=LAST_NIGHT)
    lent.write("dumps/emr-2030-01-01.sql", b"of a wrong clock", at=LAST_NIGHT + 1000 * DAY)
    lent.save(LAST_NIGHT)

    lent.look(lent.plan(database=("postgres", "dumps/emr-*.sql")))

    (point,) = lent.points()
    asset = point.assets["database"]
    assert (asset.method, asset.bytes) == (Method.DUMP, 5)
    assert asset.data_as_of == LAST_NIGHT - 3 * DAY


def test_older_points_are_found_when_the_newest_hold_nothing_of_it(
    lent: Theirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dr_orchestrator.backup.existing._AT_ONCE", 1)
    lent.write("db/emr.db")
    lent.save(LAST_NIGHT - DAY)
    (lent.data / "db/emr.db").rename(lent.data / "elsewhere.db")
    lent.save(LAST_NIGHT)

    lent.look(lent.plan(database=("sqlite", "db/emr.db")))

    assert [point.as_of for point in lent.points()] == [LAST_NIGHT - DAY]


def test_stream_is_as_old_as_its_snapshot(lent: Theirs) -> None:
    lent.stream(LAST_NIGHT, "emr.sql", b"dump")

    lent.look(lent.plan(database=("postgres", "/emr.sql")))

    (point,) = lent.points()
    assert (point.as_of, point.assets["database"].data_as_of) == (LAST_NIGHT, None)


def test_folder_that_came_empty_is_missing_from_its_point(lent: Theirs) -> None:
    lent.write("db/emr.db")
    (lent.data / "scans").mkdir()
    lent.save(LAST_NIGHT)

    result = lent.look(lent.plan(database=("sqlite", "db/emr.db"), documents=("files", "scans")))

    assert result.outcome is Outcome.PARTIAL
    assert set(lent.points()[0].assets) == {"database"}
    (failure,) = result.failures
    assert (failure.asset, "does not hold" in failure.reason) == ("documents", True)


def test_write_ahead_log_that_stays_behind_is_told(lent: Theirs) -> None:
    lent.write("emr.db")
    lent.write("emr.db-wal", b"w" * 4096)
    lent.write("emr.db-journal", b"j" * 1024)
    lent.save(LAST_NIGHT)

    lent.look(lent.plan(database=("sqlite", "emr.db")))

    kept = lent.store.kept_manifest(PRACTICE, lent.points()[0].id) or ""
    assert "4.0 KiB that were not in it yet" in kept
    assert "1.0 KiB by which half a change is taken back" in kept


def _writing(repository: ResticRepository, folder: Path) -> list[Callable[[], object]]:
    tags, now = {"dro": "asset"}, START
    return [
        repository.create,
        lambda: repository.save_tree(folder, tags=tags, time=now, timeout=HOUR),
        lambda: repository.save_stream("x", 0, tags=tags, time=now, timeout=HOUR),
        lambda: repository.copy_from(repository, ("a" * 64,), timeout=HOUR),
        lambda: repository.forget(("a" * 64,)),
        lambda: repository.prune(timeout=HOUR),
        lambda: repository.add_key(Secret("another"), user="manager", host=PRACTICE),
        lambda: repository.remove_key("a" * 8),
    ]


def test_repository_of_another_tool_is_never_written_to(lent: Theirs) -> None:
    lent.write("emr.db")
    lent.save(LAST_NIGHT)
    lock = lent.raw.leave_a_dead_lock()
    before = lent.all_there()

    for writing in _writing(lent.repository, lent.data):
        with pytest.raises(UsageMistake, match="only read"):
            writing()
    lent.repository.locks_of_the_dead()
    lent.repository.check(1, 1, timeout=HOUR)
    (key,) = lent.repository.list_keys()

    assert (key.is_current, key.host) == (True, os.uname().nodename)
    assert lent.all_there() == before
    assert lent.raw.lock_ids() == [lock]
