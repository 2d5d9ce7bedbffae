"""What a repository of another tool is taken for, and the plan that is made of that."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pytest

from dr_orchestrator.adopt.adopted_plan import Adopted, adopted_plan, rpo_for
from dr_orchestrator.adopt.guesses import Contents, Guess, guesses
from dr_orchestrator.adopt.snapshots import Group, group_snapshots, has_ended
from dr_orchestrator.core.share import Listed
from dr_orchestrator.plan.load import LoadedPlan, read_plan
from dr_orchestrator.plan.model import ExistingAsset
from dr_orchestrator.repositories.base import Snapshot
from tests.support.clock import START
from tests.support.evidence import full_id

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def saved(*paths: str, days: float = 0, host: str = "vm", tags: tuple[str, ...] = ()) -> Snapshot:
    """Return a snapshot so many days after the first."""
    return Snapshot(
        id=full_id(paths, days, host, tags),
        time=START + days * DAY,
        hostname=host,
        tags=frozenset(tags),
        paths=paths,
        original=None,
    )


def guessed(paths: tuple[str, ...], *files: tuple[str, int]) -> list[tuple[str, str]]:
    contents = Contents(paths)
    for path, size in files:
        contents.take(Listed(path, is_link=False, size=size))
    return [(each.kind.value, each.path) for each in guesses(contents.roots())]


# --- which jobs there are ------------------------------------------------------------------------


def test_groups_are_jobs_by_host_paths_and_tags() -> None:
    listed = [
        *(saved("/srv", days=day, tags=("nightly",)) for day in range(5)),
        *(saved("/srv", days=day, tags=("weekly",)) for day in (0, 7)),
        *(saved("/srv", days=day, host="other") for day in (0, 1)),
        *(saved("/emr.sql", days=day / 24) for day in range(48)),
    ]

    found = group_snapshots(listed)

    assert [(each.host, each.paths, sorted(each.tags), len(each.snapshots)) for each in found] == [
        ("vm", ("/srv",), ["weekly"], 2),
        ("vm", ("/srv",), ["nightly"], 5),
        ("vm", ("/emr.sql",), [], 48),
        ("other", ("/srv",), [], 2),
    ]
    assert [each.every for each in found] == [7 * DAY, DAY, HOUR, DAY]


def test_group_is_one_job_when_its_host_or_tag_is_another_one_each_time() -> None:
    listed = [
        saved("/srv", days=day, host=f"container-{day}", tags=(f"day-{day}", "full"))
        for day in range(4)
    ]

    (group,) = group_snapshots(listed)

    assert (group.host, sorted(group.tags)) == ("", ["full"])


def test_groups_leave_out_what_is_ours() -> None:
    ours = saved("/srv", tags=("dro=asset", "practice=riverside"))

    assert group_snapshots([ours]) == ()


@pytest.mark.parametrize(("last", "ended"), [(0, True), (22, False), (30, False)])
def test_job_has_ended_when_it_missed_several_of_its_turns(last: int, ended: bool) -> None:
    (group,) = group_snapshots([saved("/srv", days=last - 1), saved("/srv", days=last)])

    assert has_ended(group, START + 30 * DAY) is ended


# --- what they save ------------------------------------------------------------------------------


def test_guess_is_a_database_by_the_name_of_the_file_that_came_from_a_pipe() -> None:
    assert guessed(("/emr.sql",), ("/emr.sql", 9)) == [("postgres", "/emr.sql")]
    assert guessed(("/mysql-emr.sql.gz",), ("/mysql-emr.sql.gz", 9)) == [
        ("mariadb", "/mysql-emr.sql.gz")
    ]


def test_guess_stands_for_the_newest_of_dated_dumps() -> None:
    found = guessed(
        ("/var/dumps",), ("/var/dumps/emr-2026-11-20.sql", 9), ("/var/dumps/emr-2026-11-21.sql", 9)
    )

    assert found == [("postgres", "/var/dumps/emr-*.sql")]
    assert guessed(("/d",), ("/d/20261121.dump", 9)) == [("postgres", "/d/*.dump")]
    assert guessed(("/d",), ("/d/emr15.dump", 9)) == [("postgres", "/d/emr15.dump")]


def test_guess_finds_databases_inside_a_tree_and_the_tree_itself() -> None:
    found = guessed(
        ("/srv",), ("/srv/emr.sqlite3", 9), ("/srv/scans/1.pdf", 5), ("/srv/scans/Thumbs.db", 5)
    )

    assert found == [("sqlite", "/srv/emr.sqlite3"), ("files", "/srv")]


def test_guess_takes_few_of_the_many_that_a_program_brings_with_it() -> None:
    scripts = [(f"/srv/app/sql/table_{letter}.sql", 9) for letter in "abcdefgh"]

    found = guessed(("/srv",), ("/srv/emr.dump", 5_000), *scripts)

    assert found[0] == ("postgres", "/srv/emr.dump")
    assert len(found) == 4
    assert found[-1] == ("files", "/srv")


def test_guess_knows_where_a_relative_path_begins_in_the_snapshot() -> None:
    assert guessed(("/srv/emr",), ("/emr/scan.pdf", 9)) == [("files", "/emr")]
    assert guessed(("/srv",), ("/scans/1.pdf", 9)) == [("files", "/")]


# --- the plan ------------------------------------------------------------------------------------


def plan_of(*groups: tuple[Group, list[tuple[str, int]]], **changes: Any) -> tuple[str, LoadedPlan]:
    found: list[tuple[Guess, Group]] = []
    for group, files in groups:
        contents = Contents(group.paths)
        for path, size in files:
            contents.take(Listed(path, is_link=False, size=size))
        found += [(guess, group) for guess in guesses(contents.roots())]
    adopted = Adopted(
        practice="riverside",
        timezone="America/Chicago",
        repository="onsite",
        stated={"location": '/srv/restic: it\'s "theirs"', "password": {"file": "/root/key"}},
        found=found,
        **changes,
    )
    text = adopted_plan(adopted, UTC)
    return text, read_plan(text.encode(), "riverside.yaml")


def test_plan_is_valid_and_says_where_everything_lies() -> None:
    database = group_snapshots([saved("/emr.sql", days=day) for day in range(3)])[0]
    rest = group_snapshots([saved("/srv", "/etc", days=day) for day in range(3)])[0]

    text, loaded = plan_of(
        (database, [("/emr.sql", 4_000)]),
        (rest, [("/srv/imaging.db", 900), ("/srv/a.pdf", 5), ("/etc/passwd", 5)]),
    )

    system = loaded.plan.protected["emr"]
    assert system.rpo == timedelta(hours=30)
    told = {
        name: (asset.kind.value, asset.existing.path)
        for name, asset in system.assets.items()
        if isinstance(asset, ExistingAsset)
    }
    assert told == {
        "emr": ("postgres", "/emr.sql"),
        "imaging": ("sqlite", "/srv/imaging.db"),
        "srv": ("files", "/srv"),
        "etc": ("files", "/etc"),
    }
    assert loaded.plan.repositories["onsite"].location == '/srv/restic: it\'s "theirs"'
    assert text.count("DECIDE") >= 7


def test_plan_tells_jobs_apart_that_save_the_same_path() -> None:
    listed = [
        *(saved("/srv", days=day, host="old", tags=("full",)) for day in range(3)),
        *(saved("/srv", days=day, host="new") for day in range(40, 43)),
    ]
    new, old = group_snapshots(listed)

    _, loaded = plan_of((new, [("/srv/a.pdf", 5)]), left_out=[old])

    (asset,) = loaded.plan.protected["emr"].assets.values()
    assert isinstance(asset, ExistingAsset)
    assert (asset.existing.host, asset.existing.tag) == ("new", None)


def test_plan_says_which_jobs_it_leaves_out() -> None:
    (old,) = group_snapshots([saved("/old")])
    (new,) = group_snapshots([saved("/srv", days=40)])

    text, _ = plan_of((new, [("/srv/a.pdf", 5)]), left_out=[old])

    assert "# Left out, since nothing was saved lately:" in text
    assert "vm: /old: 1 snapshot" in text


def test_plan_takes_no_text_of_a_repository_for_its_own() -> None:
    path = "/srv/x: \"'{} # evil: yes"
    (group,) = group_snapshots([saved(path)])
    (ended,) = group_snapshots([saved("/old\n  evil: yes\x1b[31m")])

    text, loaded = plan_of((group, [(f"{path}/a.pdf", 5)]), left_out=[ended])

    (asset,) = loaded.plan.protected["emr"].assets.values()
    assert isinstance(asset, ExistingAsset)
    assert asset.existing.path == path
    assert "\x1b" not in text


@pytest.mark.parametrize("name", ["/srv/a\nb", "/srv/\ufffd", "/srv/*", "/srv/\x1b[31m"])
def test_guess_leaves_out_what_no_plan_can_name(name: str) -> None:
    assert guessed((name,), (f"{name}/a.sql", 5)) == []


@pytest.mark.parametrize(
    ("every", "rpo"),
    [(None, 30), (10 * timedelta(minutes=1), 1), (HOUR, 2), (DAY, 30), (7 * DAY, 210)],
)
def test_rpo_is_kept_by_a_job_that_is_a_little_late(every: timedelta | None, rpo: int) -> None:
    assert rpo_for(every) == rpo * HOUR
