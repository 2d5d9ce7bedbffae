"""A new repository stands for the old one only once all of it is there and proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.custody import HeldKey
from dr_orchestrator.core.record import PracticeRecord, RepositoryRetired, RetentionFrozen
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.verification import Result
from dr_orchestrator.custody.rekey import (
    Rekey,
    changes_to_make,
    copying_plan,
    keys_to_replace,
    make_key_file,
    moved,
    repository_to_add,
    require_two,
)
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.plan.load import read_plan
from tests.support.evidence import PRACTICE, make_plan, make_point, make_record, make_test

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
ASKED = Rekey(
    plan=make_plan(backup={"schedule": "every 30m", "to": ["onsite"]}), old="onsite", new="offsite"
)
OLD, BOTH, NEWEST = (
    make_point(NOW - 3 * HOUR),
    make_point(NOW - 2 * HOUR, repositories=("onsite", "offsite")),
    make_point(NOW - HOUR, repositories=("onsite", "offsite")),
)


def passwords(**known: str) -> Callable[[str], Secret]:
    return lambda name: Secret(known[name])


def test_moved_tells_what_is_there_and_what_is_missing() -> None:
    there = moved(ASKED, make_record(points=[OLD, BOTH, NEWEST]))

    assert there.arrived == (BOTH, NEWEST)
    assert there.missing == (OLD,)
    assert not there.is_whole
    assert there.newest == {"emr": NEWEST}
    assert there.untested == ("emr",)


@pytest.mark.parametrize(
    ("results", "untested"),
    [
        ([Result.PASSED], ()),
        ([Result.UNPROVEN], ("emr",)),
        ([Result.FAILED, Result.PASSED], ()),
        ([Result.PASSED, Result.FAILED], ("emr",)),
    ],
)
def test_last_test_of_the_newest_point_from_the_new_one_counts(
    results: list[Result], untested: tuple[str, ...]
) -> None:
    tests = [
        make_test(NOW + number * HOUR, result, point=NEWEST.id, repository="offsite")
        for number, result in enumerate(results)
    ]
    elsewhere = make_test(NOW, point=NEWEST.id, repository="onsite")
    before = make_test(NOW, point=BOTH.id, repository="offsite")

    there = moved(ASKED, make_record(points=[BOTH, NEWEST], tests=[elsewhere, before, *tests]))

    assert there.is_whole
    assert there.untested == untested


@pytest.mark.parametrize(
    ("result", "stands", "stands_unproven"),
    [
        (None, False, True),
        (Result.UNPROVEN, False, True),
        (Result.FAILED, False, False),
        (Result.PASSED, True, True),
    ],
)
def test_new_one_may_stand_once_it_is_proven_or_somebody_accepts_that_it_is_not(
    result: Result | None, stands: bool, stands_unproven: bool
) -> None:
    test = make_test(NOW, result or Result.PASSED, point=NEWEST.id, repository="offsite")
    there = moved(ASKED, make_record(points=[BOTH, NEWEST], tests=[test] if result else []))
    lacking = replace(there, missing=(OLD,))

    assert there.may_stand(unproven=False) is stands
    assert there.may_stand(unproven=True) is stands_unproven
    assert not lacking.may_stand(unproven=True)
    assert not replace(there, arrived=()).may_stand(unproven=True)


def test_points_that_only_the_old_one_tells_of_wait_for_a_person() -> None:
    told = replace(OLD, copies=tuple(replace(each, read_back=True) for each in OLD.copies))
    frozen = RetentionFrozen(practice=PRACTICE, repository="onsite", at=NOW, why="read back")
    record = replace(make_record(points=[told, NEWEST]), frozen={"onsite": frozen})

    there = moved(ASKED, record)

    assert there.unseen == (told,)
    assert not there.is_whole


def test_what_cannot_come_over_stays_and_is_named() -> None:
    existing = replace(
        BOTH, copies=tuple(replace(each, manifest_snapshot="") for each in OLD.copies)
    )
    unplanned = make_point(NOW - 5 * HOUR, system="imaging")
    damaged = make_test(NOW, Result.FAILED, point=OLD.id, repository="onsite")
    record = make_record(points=[unplanned, OLD, existing, NEWEST], tests=[damaged])

    there = moved(ASKED, record)

    assert [(point.id, why) for point, why in there.left] == [
        (unplanned.id, "the plan has no such system any more"),
        (OLD.id, "its last restore test failed"),
        (existing.id, "another program saved it"),
    ]
    assert there.is_whole


def test_copying_plan_takes_from_the_old_one_first_and_from_others_then() -> None:
    plan = make_plan(
        repositories={"offsite": {}},
        backup={"schedule": "every 30m", "to": ["offsite"], "copy_to": ["onsite"]},
    )

    changed = copying_plan(Rekey(plan=plan, old="onsite", new="offsite"))

    backup = changed.protected["emr"].backup
    assert (backup.to, backup.copy_to) == (("onsite",), ("offsite",))
    assert changed.repositories == plan.repositories


@pytest.mark.parametrize(
    ("asked", "known", "why"),
    [
        (replace(ASKED, new="onsite"), {"onsite": "a"}, "cannot stand for itself"),
        (ASKED, {"onsite": "a", "offsite": "a"}, "have the same password"),
    ],
)
def test_require_two_refuses_what_leads_to_no_new_key(
    asked: Rekey, known: dict[str, str], why: str
) -> None:
    with pytest.raises(UsageMistake, match=why):
        require_two(asked, make_record(), passwords(**known))


def test_require_two_refuses_one_that_is_retired_itself() -> None:
    retired = {"offsite": _retired("offsite", "third")}
    record = replace(make_record(), retired=retired)

    with pytest.raises(UsageMistake, match="offsite is retired itself"):
        require_two(ASKED, record, passwords(onsite="a", offsite="b"))


def _retired(name: str, by: str) -> RepositoryRetired:
    return RepositoryRetired(
        practice=PRACTICE, repository=name, at=NOW, by="Ada", replaced_by=by, why=""
    )


def test_keys_to_replace_are_those_that_open_the_old_one() -> None:
    key = HeldKey(
        practice=PRACTICE,
        repository="onsite",
        key="1f",
        holder="manager",
        form="sealed sheet",
        made_at=NOW,
        made_by="Ada",
    )
    record: PracticeRecord = replace(
        make_record(),
        keys=(
            key,
            replace(key, holder="msp", repository="offsite"),
            replace(key, holder="kim", revoked_at=NOW),
        ),
    )

    assert keys_to_replace(ASKED, record) == (key,)


def test_what_the_plan_lacks_is_printed_as_it_can_be_added() -> None:
    plan = make_plan(
        repositories={
            "onsite": {
                "location": "s3:https://s3.amazonaws.com/riverside",
                "credentials": {"aws_profile": "riverside"},
                "object_lock": {"mode": "compliance", "days": 60},
            }
        }
    )

    lines = repository_to_add(Rekey(plan=plan, old="onsite", new="second"), Path("/keys/second"))

    assert lines == (
        "repositories:\n"
        "  second:\n"
        '    location: "s3:https://s3.amazonaws.com/riverside-second"\n'
        "    password:\n"
        "      file: /keys/second\n"
        "      obtain: say where a copy of it is kept\n"
        "    credentials:\n"
        "      aws_profile: riverside\n"
        "    object_lock:\n"
        "      mode: compliance\n"
        "      days: 60\n"
    )
    systems = "systems: {a: {rto: 4h, rpo: 1h, assets: {f: {kind: files, path: /srv/f}}}}\n"
    head = "version: 1\npractice: {id: riverside, name: Riverside}\n"
    assert "second" in read_plan((head + lines + systems).encode(), "x").plan.repositories


def test_changes_name_each_field_that_names_the_old_one() -> None:
    plan = make_plan(backup={"schedule": "every 30m", "to": ["onsite"], "copy_to": ["offsite"]})
    asked = Rekey(plan=plan, old="onsite", new="offsite")

    backup = "systems.emr.backup"
    assert changes_to_make(asked, {backup, "systems.emr.restore_tests[0]"}) == (
        "systems.emr.backup.to: [offsite]",
        "systems.emr.restore_tests[0].from: offsite",
    )
    assert changes_to_make(asked, {backup}) == ("systems.emr.backup.to: [offsite]",)


def test_changes_say_the_whole_of_a_backup_that_the_plan_leaves_to_its_defaults() -> None:
    (change,) = changes_to_make(Rekey(plan=make_plan(), old="onsite", new="offsite"), ())

    assert change == "systems.emr.backup: {schedule: every 30m, to: [offsite]}"


def test_key_file_is_private_and_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "second"

    make_key_file(file, Secret("a key"))

    assert file.read_text() == "a key\n"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageMistake, match="exists"):
        make_key_file(file, Secret("another"))
    assert file.read_text() == "a key\n"
