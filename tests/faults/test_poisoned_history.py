"""Somebody with the password writes into the repository: it is found and told, and costs nothing.

The attacker has our key, knows our tags, and dates what he saves as he likes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.problem import Problem, ProblemKind
from dr_orchestrator.core.record import RepositorySeen, RestoreTestRecorded
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import ManifestInvalid
from dr_orchestrator.maintenance.check import CheckResult, check
from dr_orchestrator.maintenance.forget import ForgetResult, forget
from dr_orchestrator.maintenance.look import look_into
from dr_orchestrator.maintenance.release import Released, release
from dr_orchestrator.notify.problems import Situation, troubles
from dr_orchestrator.repositories.manifests import (
    FoundManifest,
    asset_tags,
    find_manifest,
    manifest_tags,
    save_manifest,
)
from dr_orchestrator.restore.choose import choose_point, doubts_about
from dr_orchestrator.restore.rebuild import RebuildResult, rebuild_points
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, SYSTEM, make_plan, make_test
from tests.support.keeper import Keeper, at_work, new_keeper
from tests.support.site import Site, make_small_practice, new_site

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_DAYS = 4
_FORGED, _LATER = "20990101-000000-forged", "2026-01-01T00:00:00Z"
_KEPT = 3
"""Of `THREE_DAYS`."""


@dataclass(frozen=True)
class Victim:
    """A machine of ours, whose repository somebody else can write to."""

    keeper: Keeper
    points: tuple[str, ...]
    """Those we made, the newest first."""
    attacker: Keeper
    """Somebody with a memory of his own, and the password of our repository."""

    def check(self) -> CheckResult:
        return check(self.keeper.request, self.keeper.tools)

    def forget(self) -> ForgetResult:
        return forget(self.keeper.request, self.keeper.tools)

    def release(self) -> Released:
        self.keeper.clock.advance(timedelta(minutes=1))
        return release(self.keeper.request, self.keeper.tools, by="kim", why="looked into it")

    def rebuild(self) -> RebuildResult:
        return rebuild_points(
            self.keeper.plan,
            "onsite",
            store=self.keeper.store,
            clock=self.keeper.clock,
            open_repository=self.keeper.tools.open_repository,
        )

    def told(self) -> list[Problem]:
        """Return what a person is told of at once."""
        keeper = self.keeper
        record, now = keeper.store.practice_record(PRACTICE), keeper.clock.now()
        found = troubles(Situation(plan=keeper.plan, record=record, now=now, findings=()))
        return [each.problem for each in found if each.problem.kind is ProblemKind.SUSPICIOUS]

    def forge(self, *words: str, **tags: str) -> str:
        """Save a snapshot as plain restic does; return its id."""
        file = self.attacker.folder / "evil"
        file.write_text(f"{words} {tags}")
        tagged = [f"--tag={key}={value}" for key, value in tags.items()]
        before = {each["id"] for each in self.keeper.raw.snapshots()}
        self.keeper.raw.run("backup", *words, *tagged, str(file))
        (made,) = {each["id"] for each in self.keeper.raw.snapshots()} - before
        return str(made)

    def forge_manifest(self, ours: FoundManifest) -> str:
        """Save another manifest of a point of ours; return its snapshot's id."""
        folder = Path(tempfile.mkdtemp(dir=self.attacker.folder)) / "manifest"
        forged = replace(ours.manifest, practice_name="Evil")
        return save_manifest(
            self.attacker.repository(), forged, folder, attachments={}
        ).manifest_snapshot

    def manifest(self, point: str) -> FoundManifest:
        """Read what a restore of a point goes by."""
        recorded = self.keeper.store.find_point(PRACTICE, point).copy_in("onsite")
        return find_manifest(self.keeper.repository(), PRACTICE, SYSTEM, point, recorded)

    def verdict(self, objective: Objective) -> Verdict:
        record = self.keeper.store.practice_record(PRACTICE)
        findings = judge(self.keeper.plan, record, self.keeper.clock.now())
        return next(each.verdict for each in findings if each.objective is objective)


@pytest.fixture(scope="module")
def aged() -> Iterator[tuple[Keeper, tuple[str, ...]]]:
    """Make a machine with a point a day, the newest first."""
    with new_keeper() as keeper:
        ids = [keeper.back_up(NOW - age * DAY) for age in reversed(range(_DAYS))]
        yield keeper, tuple(reversed(ids))


@pytest.fixture
def victim(aged: tuple[Keeper, tuple[str, ...]]) -> Iterator[Victim]:
    """Lend a copy of that machine, to attack."""
    original, points = aged
    folder = original.folder.with_name(f"{original.folder.name}-copy")
    shutil.copytree(original.folder, folder)
    try:
        with at_work(folder) as keeper, open_store(folder / "his", keeper.clock) as his:
            yield Victim(keeper, points, replace(keeper, store=his))
    finally:
        shutil.rmtree(folder)


# --- what we did not make -----------------------------------------------------------------------


def test_what_others_save_is_found_by_the_next_check_and_told_until_a_person_has_seen_it(
    victim: Victim,
) -> None:
    victim.forge("--time=2019-01-01 00:00:00", "--host=\x1b[31mevil")
    forged = victim.attacker.back_up(NOW - HOUR)

    checked = victim.check()

    assert (checked.outcome, checked.sound) == (Outcome.DONE, True)
    (doubt,) = checked.suspicious
    assert "4 snapshots here are on no record of this machine" in doubt
    (problem,) = victim.told()
    assert doubt in problem.what
    assert "dro retention release" in problem.next
    assert problem.since == victim.keeper.clock.now()
    assert victim.forget().outcome is Outcome.UNPROVEN
    assert victim.keeper.on_record() == {*victim.points}
    assert forged in victim.keeper.listed()

    seen = look_into(victim.keeper.request, victim.keeper.tools).survey.strangers
    assert len(victim.release().accepted) == len(seen) == 4
    assert victim.check().suspicious == ()
    assert victim.told() == []

    # dated before that person looked, and yet nobody has seen it
    later = victim.forge("--time=2018-01-01 00:00:00", **asset_tags(PRACTICE, SYSTEM, "x", "y"))
    assert len(victim.check().suspicious) == 1
    (stranger,) = look_into(victim.keeper.request, victim.keeper.tools).survey.strangers
    assert stranger.snapshot.id == later


def test_what_is_saved_while_it_is_looked_at_alarms_nobody(victim: Victim) -> None:
    """A backup of ours goes on beside the check, in every state that it may be seen in."""
    left = victim.keeper.back_up(NOW, on_record=False)
    for snapshot in victim.keeper.repository().snapshots({"point": left, "dro": "manifest"}):
        victim.keeper.repository().forget([snapshot.id])
    victim.keeper.back_up(NOW)
    assert victim.check().suspicious == ()


def test_vanished_newest_proven_point_is_told_by_the_check(victim: Victim) -> None:
    proven = victim.keeper.store.find_point(PRACTICE, victim.points[1])
    test = make_test(NOW, point=proven.id, point_as_of=proven.as_of)
    victim.keeper.store.record(RestoreTestRecorded(test=test))
    victim.keeper.raw.run("forget", proven.copies[0].snapshots["database"])

    (doubt,) = victim.check().suspicious

    assert "1 recovery point is no longer whole" in doubt
    assert f"{proven.id} was the newest one proven from here" in doubt
    assert doubt in victim.told()[0].what


def test_what_comes_while_retention_is_frozen_is_told_too(victim: Victim) -> None:
    victim.forge()
    victim.check()
    (before,) = victim.told()
    victim.keeper.clock.advance(DAY)
    manifest = victim.keeper.store.find_point(PRACTICE, victim.points[0]).copies[0]
    victim.keeper.raw.run("forget", manifest.manifest_snapshot)
    victim.check()
    (after,) = victim.told()
    assert "no longer whole" in after.what
    assert after.since == before.since


# --- manifests we do not know -------------------------------------------------------------------


def test_second_manifest_of_a_point_is_told_and_keeps_nobody_from_restoring_ours(
    victim: Victim,
) -> None:
    point = victim.points[0]
    ours = victim.manifest(point)
    for time in ("2019-01-01 00:00:00", "2026-11-18 11:59:59"):
        victim.forge(f"--time={time}", **manifest_tags(PRACTICE, SYSTEM, point))

    (doubt,) = victim.check().suspicious

    assert "2 of them beside what we saved ourselves" in doubt
    assert victim.manifest(point) == ours
    assert {short for short, _ in victim.rebuild().unusable}
    assert victim.manifest(point) == ours


def test_manifest_that_takes_the_place_of_ours_is_not_restored_from(victim: Victim) -> None:
    point = victim.keeper.store.find_point(PRACTICE, victim.points[0])
    ours = victim.manifest(point.id)
    forged = victim.forge_manifest(ours)
    victim.keeper.raw.run("forget", ours.snapshot)

    with pytest.raises(ManifestInvalid, match="not the one recorded"):
        victim.manifest(point.id)

    result = victim.rebuild()
    assert [short for short, _ in result.unusable] == [forged[:8]]
    assert victim.keeper.store.find_point(PRACTICE, point.id) == point
    doubts = " ".join(victim.check().suspicious)
    assert "no longer whole" in doubts
    assert "on no record" in doubts


def test_memory_that_was_lost_believes_neither_of_two_manifests_that_differ(
    victim: Victim,
) -> None:
    victim.forge_manifest(victim.manifest(victim.points[0]))
    with open_store(victim.keeper.folder / "new", victim.keeper.clock) as store:
        fresh = replace(victim, keeper=replace(victim.keeper, store=store))
        result = fresh.rebuild()
    assert {point.id for point in result.points} == {*victim.points[1:]}
    assert len(result.unusable) == 2
    assert all("forget the others" in why for _, why in result.unusable)


# --- forged points ------------------------------------------------------------------------------


def test_forged_points_push_none_of_ours_out_and_stand_for_nothing_until_released(
    victim: Victim,
) -> None:
    keeper, newest = victim.keeper, victim.points[0]
    forged = [
        victim.attacker.back_up(at)
        for at in (NOW + 29 * HOUR, *(NOW - age * DAY + HOUR for age in range(2)))
    ]
    keeper.clock.set(NOW + 30 * HOUR)

    assert {point.id for point in victim.rebuild().points} >= {*forged}

    record, points = keeper.store.practice_record(PRACTICE), keeper.store.points(PRACTICE)
    chosen = choose_point(
        points,
        system=SYSTEM,
        repository="onsite",
        wanted="latest",
        now=keeper.clock.now(),
        vouched=record.vouches_for,
    )
    assert chosen.id == newest
    assert "passed over" in doubts_about(chosen, points, record.vouches_for)
    assert victim.verdict(Objective.COPIES) is Verdict.BREACHED
    assert victim.forget().outcome is Outcome.UNPROVEN

    victim.release()
    assert victim.verdict(Objective.COPIES) is Verdict.MET
    assert victim.forget().outcome is Outcome.DONE
    assert keeper.on_record() >= {*victim.points[:_KEPT]}
    assert keeper.last_run(Operation.FORGET).outcome is Outcome.DONE


def test_points_that_were_read_back_count_once_a_person_looked(victim: Victim) -> None:
    with open_store(victim.keeper.folder / "new", victim.keeper.clock) as store:
        fresh = replace(victim, keeper=replace(victim.keeper, store=store))
        seen = RepositorySeen(
            practice=PRACTICE,
            repository="onsite",
            restic_id=fresh.keeper.repository().identity(),
            at=NOW,
        )
        store.record(seen)
        fresh.rebuild()
        assert fresh.verdict(Objective.COVERAGE) is Verdict.UNPROVEN
        fresh.release()
        assert fresh.verdict(Objective.COVERAGE) is Verdict.MET
        assert fresh.check().suspicious == ()
        assert fresh.keeper.on_record() == {*victim.points}


# --- nothing of it is run -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Make a practice with one good point, and one that carries commands wherever any could be."""
    with new_site() as site:
        make_small_practice(site)
        assert site.dro("backup", "riverside").code == 0
        forge_point_with_commands(site)
        yield site
        assert site.leftovers() == []


def forge_point_with_commands(site: Site) -> None:
    (snapshot,) = json.loads(site.restic("snapshots", "--json", "--tag=dro=manifest"))
    folder = snapshot["paths"][0]
    manifest = json.loads(site.restic("dump", snapshot["id"], f"{folder}/manifest.json"))
    run = f"touch {site.folder}/ran"
    words = ["/bin/sh", "-c", run]
    database, documents = manifest["assets"]["database"], manifest["assets"]["documents"]
    database |= {"kind": "command", "method": "stream", "tools": {"load": run, "run": run}}
    documents["tools"] = {"restic": f"$({run})"}
    forged = manifest | {"point": _FORGED, "as_of": _LATER, "label": f"\x1b[2J$({run})"}
    evil = site.folder / "evil"
    (evil / "runbooks").mkdir(parents=True)
    (evil / "manifest.json").write_text(json.dumps(forged))
    (evil / "runbooks" / "emr.yaml").write_text(json.dumps({"steps": [{"run": words}]}))
    asset = {"kind": "command", "dump": words, "load": words, "start": words}
    plan = {"systems": {"emr": {"assets": {"database": asset}}}}
    (evil / "plan.yaml").write_text(json.dumps(plan))
    tags = manifest_tags("riverside", "emr", _FORGED)
    site.restic("backup", *(f"--tag={key}={value}" for key, value in tags.items()), str(evil))


def test_point_that_carries_commands_runs_none(site: Site) -> None:
    for words, code in (
        (("points", "rebuild", "riverside", "--repository", "onsite"), 0),
        (("test", "riverside", "--point", "20990101"), 4),
        (("restore", "riverside", "--point", "20990101", "--to", f"{site.folder}/back"), 0),
    ):
        ended = site.dro(*words)
        assert ended.code == code, ended.said
        assert _FORGED in ended.said
        assert "\x1b" not in ended.said
    assert not (site.folder / "ran").exists()


# --- what the next backup goes by ---------------------------------------------------------------


def test_backup_goes_by_no_snapshot_but_ours(site: Site) -> None:
    # restic believes the parent of each file that looks unchanged, and takes the newest there is
    (ours,) = json.loads(site.restic("snapshots", "--json", "--tag=asset=documents"))
    site.restic("backup", "--host=riverside", str(site.documents))
    unreadable = site.repository / "snapshots" / ("0" * 64)
    unreadable.write_bytes(b"what whoever can only upload leaves")
    try:
        ended = site.dro("backup", "riverside")
        assert ended.code == 0, ended.said
    finally:
        unreadable.unlink()

    saved = json.loads(site.restic("snapshots", "--json", "--tag=asset=documents"))
    (made,) = (each for each in saved if each["id"] != ours["id"])
    assert made["parent"] == ours["id"]


# --- another repository in its place ------------------------------------------------------------


def test_other_repository_in_the_place_of_ours_is_told_at_once_and_until_a_person_looked(
    site: Site,
) -> None:
    aside = site.repository.rename(site.folder / "aside")
    try:
        site.restic("init")
        ended = site.dro("repository", "check", "riverside")
        assert ended.code == 1, ended.said
        (problem,) = told_of(site)
        assert "another repository is at the place of onsite" in problem.what
        assert "dro doctor riverside" in problem.next
    finally:
        shutil.rmtree(site.repository)
        aside.rename(site.repository)

    assert len(told_of(site)) == 1  # whoever did that may have read what we saved meanwhile
    release = ("retention", "release", "riverside", "--repository", "onsite", "--reason", "a drill")
    assert site.dro(*release).code == 0
    assert told_of(site) == []


def told_of(site: Site) -> list[Problem]:
    with open_store(site.state, SystemClock()) as store:
        record = store.practice_record(PRACTICE)
    situation = Situation(plan=make_plan(), record=record, now=SystemClock().now(), findings=())
    found = (each.problem for each in troubles(situation))
    return [each for each in found if each.kind is ProblemKind.SUSPICIOUS]
