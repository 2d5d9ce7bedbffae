"""Looking after a repository, with a real restic and a real record."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.record import HoldPlaced, PointRecorded, RepositorySeen
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import Busy, NotTheOwner, RemovalRefused, RepositoryLocked
from dr_orchestrator.maintenance.check import check
from dr_orchestrator.maintenance.forget import ForgetResult, forget
from dr_orchestrator.maintenance.look import look_into
from dr_orchestrator.maintenance.ownership import take_over
from dr_orchestrator.maintenance.prune import prune
from dr_orchestrator.maintenance.release import release
from dr_orchestrator.plan.model import Maintenance
from dr_orchestrator.restore.hold import held
from dr_orchestrator.restore.rebuild import rebuild_points
from dr_orchestrator.store.base import point_key, repository_key
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE
from tests.support.keeper import WHOLE, Keeper, at_work, new_keeper
from tests.support.rclone import rest_server
from tests.support.restic import Bench, bench, flip_a_byte, packs

__all__ = ["bench"]
DAY = timedelta(days=1)
_AGES = (0, 1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def aged() -> Iterator[tuple[Keeper, tuple[str, ...]]]:
    """Make a machine with a point a day, the newest first."""
    with new_keeper() as keeper:
        ids = tuple(keeper.back_up(NOW - age * DAY) for age in reversed(_AGES))
        yield keeper, ids[::-1]


@pytest.fixture
def kept(aged: tuple[Keeper, tuple[str, ...]]) -> Iterator[tuple[Keeper, tuple[str, ...]]]:
    """Lend a copy of that machine, to spoil."""
    original, ids = aged
    folder = original.folder.with_name(f"{original.folder.name}-copy")
    shutil.copytree(original.folder, folder)
    try:
        with at_work(folder) as keeper:
            yield keeper, ids
    finally:
        shutil.rmtree(folder)


Kept = tuple[Keeper, tuple[str, ...]]


def let_go(keeper: Keeper) -> ForgetResult:
    return forget(keeper.request, keeper.tools)


# --- forget -------------------------------------------------------------------------------------


def test_forget_leaves_exactly_what_retention_keeps(kept: Kept) -> None:
    keeper, ids = kept

    result = let_go(keeper)

    assert set(result.forgotten) == {*ids[3:]}
    assert keeper.on_record() == {*ids[:3]}
    assert keeper.listed() == dict.fromkeys(ids[:3], WHOLE)
    run = keeper.last_run(Operation.FORGET)
    assert (run.outcome, run.system, run.repository) == (Outcome.DONE, "", "onsite")
    assert keeper.raw.lock_ids() == []
    assert let_go(keeper).forgotten == ()


def test_forget_leaves_a_point_that_is_read_for_the_next_time(kept: Kept) -> None:
    keeper, ids = kept
    with keeper.store.locks.hold(
        {point_key(PRACTICE, ids[4])}, exclusive=False, wait=timedelta(0), what="a test"
    ):
        result = let_go(keeper)
    assert result.busy == (ids[4],)
    assert result.outcome is Outcome.DONE
    assert keeper.listed() == dict.fromkeys((*ids[:3], ids[4]), WHOLE)
    assert let_go(keeper).forgotten == (ids[4],)


def test_forget_keeps_what_a_person_holds(kept: Kept) -> None:
    keeper, ids = kept
    hold = HoldPlaced(practice=PRACTICE, point=ids[5], at=NOW, until=None, by="kim", why="audit")
    keeper.store.record(hold)
    assert set(let_go(keeper).forgotten) == {*ids[3:5]}


def test_forget_attempts_nothing_in_a_repository_that_is_in_use(kept: Kept) -> None:
    keeper, ids = kept
    key = repository_key(keeper.repository().identity())
    for operation in (forget, prune):
        with (
            keeper.store.locks.hold({key}, exclusive=False, wait=timedelta(0), what="a backup"),
            pytest.raises(Busy, match="the repository onsite"),
        ):
            operation(keeper.request, keeper.tools)
    assert keeper.on_record() == {*ids}
    assert keeper.store.practice_record(PRACTICE).last_runs[-1].operation is Operation.BACKUP


def test_forget_is_done_where_nothing_was_ever_saved(kept: Kept) -> None:
    keeper, _ = kept
    elsewhere = replace(keeper.request, repository="offsite")
    for operation in (forget, prune, check):
        assert operation(elsewhere, keeper.tools).outcome is Outcome.DONE


def test_forget_removes_what_a_failed_backup_left_two_days_ago(kept: Kept) -> None:
    keeper, ids = kept
    died = keeper.back_up(NOW - 3 * DAY, on_record=False)
    manifest = keeper.repository().snapshots({"dro": "manifest", "point": died})
    keeper.repository().forget([each.id for each in manifest])

    assert let_go(keeper).rubble == 2
    assert keeper.listed() == dict.fromkeys(ids[:3], WHOLE)


def test_forget_spares_a_snapshot_of_a_good_point_that_was_tagged_as_one_that_goes(
    kept: Kept,
) -> None:
    keeper, ids = kept
    good = keeper.store.find_point(PRACTICE, ids[0]).copies[0].snapshots["database"]
    keeper.raw.run("tag", "--remove", f"point={ids[0]}", "--add", f"point={ids[5]}", good)

    assert ids[5] in let_go(keeper).forgotten
    assert good in {each.original for each in keeper.repository().snapshots({})}


def test_forget_spares_what_stays_under_another_name_of_the_same_repository(kept: Kept) -> None:
    keeper, ids = kept
    elsewhere = keeper.plan.repositories["onsite"]
    repositories = {**keeper.plan.repositories, "mirror": elsewhere}
    keeper = replace(keeper, plan=keeper.plan.model_copy(update={"repositories": repositories}))
    point = keeper.store.find_point(PRACTICE, ids[5])
    again = keeper.save_asset(point.id, point.as_of, "database", b"").snapshot
    copy = replace(point.copies[0], repository="mirror", snapshots={"database": again})
    keeper.store.record(PointRecorded(point=replace(point, copies=(copy,))))

    assert ids[5] in let_go(keeper).forgotten
    assert again in {each.id for each in keeper.repository().snapshots({"point": ids[5]})}


# --- frozen -------------------------------------------------------------------------------------


def test_nothing_is_forgotten_or_pruned_after_somebody_else_s_forget_until_released(
    kept: Kept,
) -> None:
    keeper, ids = kept
    copy = keeper.store.find_point(PRACTICE, ids[1]).copies[0]
    keeper.raw.run("forget", copy.manifest_snapshot)

    for operation in (forget, prune):
        result = operation(keeper.request, keeper.tools)
        assert result.outcome is Outcome.UNPROVEN
        assert "1 recovery point is no longer whole here" in result.reason
    assert keeper.on_record() == {*ids}
    finding = _finding(keeper, Objective.RETENTION)
    assert (finding, keeper.last_run(Operation.FORGET).outcome) == (
        Verdict.UNPROVEN,
        Outcome.UNPROVEN,
    )

    keeper.clock.advance(timedelta(minutes=1))
    (given_up,) = release(keeper.request, keeper.tools, by="kim", why="it was me").given_up
    assert given_up.id == ids[1]
    assert _finding(keeper, Objective.RETENTION) is None  # the next night will tell
    assert set(let_go(keeper).forgotten) == {*ids[4:]}
    assert _finding(keeper, Objective.RETENTION) is Verdict.MET


def test_nothing_is_forgotten_after_points_were_read_back_until_released(kept: Kept) -> None:
    keeper, ids = kept
    with open_store(keeper.folder / "fresh", keeper.clock) as store:
        fresh = replace(keeper, store=store)
        for _ in range(2):
            result = rebuild_points(
                keeper.plan,
                "onsite",
                store=store,
                clock=keeper.clock,
                open_repository=keeper.tools.open_repository,
            )
            assert len(result.points) == len(ids)
        identity = keeper.repository().identity()
        store.record(
            RepositorySeen(practice=PRACTICE, repository="onsite", restic_id=identity, at=NOW)
        )
        assert "read back" in let_go(fresh).reason
        release(fresh.request, fresh.tools, by="kim", why="the disk was new")
        assert set(let_go(fresh).forgotten) == {*ids[3:]}


def test_forget_under_a_clock_that_was_ahead_freezes_nothing_later(kept: Kept) -> None:
    keeper, ids = kept
    assert set(let_go(keeper).forgotten) == {*ids[3:]}
    keeper.clock.set(NOW + 700 * DAY)
    assert let_go(keeper).outcome is Outcome.DONE
    later = [keeper.back_up(NOW + day * DAY) for day in range(1, 9)]
    keeper.clock.set(NOW + 9 * DAY)

    result = let_go(keeper)

    assert (result.outcome, result.reason) == (Outcome.DONE, "")
    assert keeper.on_record() == {*later[-3:]}


# --- one owner ----------------------------------------------------------------------------------


def test_only_the_first_to_forget_forgets_until_another_takes_over(kept: Kept) -> None:
    keeper, ids = kept
    other = replace(keeper, site="other-box")
    let_go(keeper)

    for operation in (forget, prune):
        with pytest.raises(NotTheOwner, match=r"installation \(riverside-box\), since 2026"):
            operation(other.request, other.tools)
    assert not look_into(other.request, other.tools).is_ours
    assert look_into(other.request, other.tools).site == "riverside-box"

    keeper.clock.advance(timedelta(minutes=1))
    take_over(other.request, other.tools, "the old one is gone")

    assert look_into(other.request, other.tools).is_ours
    assert let_go(other).outcome is Outcome.DONE
    with pytest.raises(NotTheOwner, match="other-box"):
        let_go(keeper)
    assert keeper.listed() == dict.fromkeys(ids[:3], WHOLE)


def test_a_place_that_lets_nothing_be_removed_says_so_at_once(bench: Bench) -> None:
    (bench.folder / "served").mkdir()
    with rest_server(bench.folder / "served", "--append-only") as location:
        repository = bench.repository(location, create=True)
        saved = repository.save_tree(bench.tree(), tags={}, time=NOW, timeout=DAY)
        with pytest.raises(RemovalRefused):
            repository.forget([saved.snapshot])
        assert bench.raw(location).lock_ids() == []
        assert len(repository.snapshots({})) == 1


# --- prune and check ----------------------------------------------------------------------------


def test_prune_frees_the_space_of_what_was_forgotten_and_nothing_else(kept: Kept) -> None:
    keeper, ids = kept
    old = keeper.back_up(NOW - 6 * DAY, content=os.urandom(2_000_000))
    before = _size(keeper.place)
    assert old in let_go(keeper).forgotten
    assert _size(keeper.place) > before - 100_000

    assert prune(keeper.request, keeper.tools).outcome is Outcome.DONE

    assert _size(keeper.place) < before - 1_900_000
    keeper.raw.run("check", "--read-data")
    assert keeper.listed() == dict.fromkeys(ids[:3], WHOLE)


def test_prune_takes_no_pack_away_that_is_being_restored_from(kept: Kept) -> None:
    keeper, ids = kept
    keeper.repository().forget([each.id for each in keeper.repository().snapshots({})][:-3])
    before = packs(keeper.place)
    point = keeper.store.find_point(PRACTICE, ids[0])
    with (
        held(point, "onsite", keeper.store, wait=timedelta(0)),
        pytest.raises(Busy, match="the repository onsite"),
    ):
        prune(keeper.request, keeper.tools)
    assert packs(keeper.place) == before
    assert keeper.store.practice_record(PRACTICE).last_runs[-1].operation is Operation.BACKUP


def test_prune_waits_for_nobody_s_restic_longer_than_it_may(kept: Kept) -> None:
    keeper, _ = kept
    with keeper.raw.holding_a_lock(), pytest.raises(RepositoryLocked):
        prune(keeper.request, keeper.tools)
    assert keeper.last_run(Operation.PRUNE).outcome is Outcome.FAILED


def test_forget_and_prune_remove_the_lock_of_a_killed_restic(kept: Kept) -> None:
    keeper, ids = kept
    keeper.raw.leave_a_dead_lock()
    assert set(let_go(keeper).forgotten) == {*ids[3:]}
    keeper.raw.leave_a_dead_lock()
    assert prune(keeper.request, keeper.tools).outcome is Outcome.DONE


def test_check_finds_a_flipped_byte_within_one_round_and_tells_when_it_is_mended(
    kept: Kept,
) -> None:
    keeper, _ = kept
    spec = keeper.plan.repositories["onsite"].model_copy(
        update={"maintenance": Maintenance.model_validate({"read_all_every": "5d"})}
    )
    repositories = {**keeper.plan.repositories, "onsite": spec}
    keeper = replace(keeper, plan=keeper.plan.model_copy(update={"repositories": repositories}))
    keeper.back_up(NOW, content=os.urandom(500_000))
    pack = packs(keeper.place)[0]
    whole = pack.read_bytes()
    flip_a_byte(pack)

    results = []
    for _ in range(5):
        results.append(check(keeper.request, keeper.tools))
        keeper.clock.advance(DAY)

    assert {result.part for result in results} == {1, 2, 3, 4, 5}
    (damaged,) = (result for result in results if not result.sound)
    assert int(pack.name[:2], 16) % 5 == damaged.part - 1
    assert damaged.outcome is Outcome.FAILED
    assert f"--part {damaged.part}" in damaged.next
    assert _finding(keeper, Objective.REPOSITORY_CHECK) is Verdict.BREACHED

    pack.write_bytes(whole)
    assert check(keeper.request, keeper.tools, part=damaged.part).sound
    assert _finding(keeper, Objective.REPOSITORY_CHECK) is Verdict.MET


def test_check_goes_on_beside_a_backup(kept: Kept) -> None:
    keeper, _ = kept
    key = repository_key(keeper.repository().identity())
    with (
        keeper.store.locks.hold({key}, exclusive=False, wait=timedelta(0), what="a backup"),
        keeper.raw.holding_a_lock(),
    ):
        assert check(keeper.request, keeper.tools).sound


def _finding(keeper: Keeper, objective: Objective) -> Verdict | None:
    record = keeper.store.practice_record(PRACTICE)
    findings = judge(keeper.plan, record, keeper.clock.now())
    return next(
        (
            each.verdict
            for each in findings
            if each.objective is objective and each.repository == "onsite"
        ),
        None,
    )


def _size(place: Path) -> int:
    return sum(each.stat().st_size for each in place.rglob("*") if each.is_file())
