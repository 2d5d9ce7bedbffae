"""A repository that was retired for another one like it is promised as before; for less, it is not
accepted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dr_orchestrator.compliance.promise import not_accepted, promise_of
from dr_orchestrator.core.record import PracticeRecord, RepositoryRetired
from tests.support.evidence import PRACTICE, make_plan, make_record
from tests.support.promises import make_promise

AT = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)


def record(accepted: dict[str, str], now: dict[str, str]) -> PracticeRecord:
    """Return what is known where `onsite` was retired for `second` after what was accepted."""
    retired = RepositoryRetired(
        practice=PRACTICE, repository="onsite", at=AT, by="Ada", replaced_by="second", why="Kim"
    )
    versions = (make_promise(AT, fields=accepted), make_promise(AT, rto="5h", fields=now))
    others = {"offsite": replace(retired, repository="offsite")}
    return make_record(promises=versions, retired={"onsite": retired, **others})


def promised(to: list[str], **repositories: dict[str, str]) -> dict[str, str]:
    plan = make_plan(backup={"schedule": "every 30m", "to": to})
    fields = {
        field: value
        for field, value in promise_of(plan).items()
        if not field.startswith(("repositories.", "systems.emr.restore_tests"))
    }
    for name, spec in repositories.items():
        fields |= {f"repositories.{name}{key}": value for key, value in spec.items()}
    return fields | {f"systems.emr.restore_tests[{name}]": "03:30" for name in to}


LOCK = {".object_lock": "compliance", ".object_lock.days": "30"}
ONE = {"": "s3:https://s3.example.com/one", **LOCK}
TWO = {"": "s3:https://s3.example.com/two", **LOCK}


def loosened(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {each.change.field for each in not_accepted(record(before, after))}


@pytest.mark.parametrize("kept", [{}, {"onsite": ONE}])
def test_successor_of_the_same_kind_is_no_loosening(kept: dict[str, dict[str, str]]) -> None:
    before, after = promised(["onsite"], onsite=ONE), promised(["second"], second=TWO, **kept)

    assert loosened(before, after) == set()
    assert not_accepted(replace(record(before, after), retired={}))


@pytest.mark.parametrize(
    "weaker",
    [
        {"": TWO[""]},
        {**TWO, ".object_lock": "governance"},
        {**TWO, ".object_lock.days": "7"},
        {**TWO, "": "/srv/restic"},
    ],
)
def test_successor_of_a_weaker_kind_is_not_accepted(weaker: dict[str, str]) -> None:
    before = promised(["onsite"], onsite=ONE)

    assert "systems.emr.backup.to" in loosened(before, promised(["second"], second=weaker))


@pytest.mark.parametrize("other", ["second", "offsite"])
def test_one_copy_less_is_not_accepted(other: str) -> None:
    before = promised(["onsite", other], onsite=ONE, **{other: TWO})

    assert "systems.emr.backup.to" in loosened(before, promised(["second"], second=TWO))


def test_a_test_less_often_is_not_accepted_of_the_successor_either() -> None:
    before, after = promised(["onsite"], onsite=ONE), promised(["second"], second=TWO)
    after["systems.emr.restore_tests[second]"] = "Sun 03:30"

    assert loosened(before, after) == {"systems.emr.restore_tests[second]"}
