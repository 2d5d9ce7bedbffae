"""What the manager and the engineer read in each situation a practice may be in, from before the
first backup until all is lost: nothing that is not so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from dr_orchestrator.compliance.corrective import corrective_actions
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import ActionOpened
from dr_orchestrator.core.restore_test import NOT_READ_BACK, RestoreTest
from dr_orchestrator.core.verification import Result
from dr_orchestrator.report.engineer import engineer_document
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.model import Page
from tests.support import practices
from tests.support.practices import NOW, Practice, judged, restored

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW = NOW - timedelta(minutes=20)


@cache
def points_of(system: str) -> tuple[RecoveryPoint, ...]:
    return tuple(practices.points(system, where=("onsite",)))


def practice(tests: Iterable[RestoreTest], kept: Iterable[RecoveryPoint], **more: Any) -> Practice:
    """Return a practice of two systems, with the corrective actions that its tests ask for."""
    systems = {
        "emr": practices.system("Electronic medical record"),
        "scans": practices.system("Scanned documents", importance="routine"),
    }
    made = judged(practices.plan(systems), tests, kept, **more)
    asked = corrective_actions(made.plan, made.record, made.findings, NOW)
    actions = tuple(each.action for each in asked if isinstance(each, ActionOpened))
    told = replace(made.record, actions=actions)
    return replace(made, record=told, findings=judge(made.plan, told, NOW))


def tried(system: str, back: int, result: Result, reason: str = "", **more: Any) -> RestoreTest:
    """Return a test of the newest point but `back`."""
    point = points_of(system)[-1 - back]
    at = NOW - (2 - back) * HOUR
    known: dict[str, Any] = {
        "id": f"{system}-{back}",
        "point": point.id,
        "point_as_of": point.as_of,
    }
    return restored(system, at=at, result=result, reason=reason, **known, **more)


def newest_failed() -> Practice:
    failed = tried("emr", 0, Result.FAILED, "rows are missing")
    before = tried("emr", 1, Result.PASSED, follow_up_of=failed.id)
    both = (*points_of("emr"), *points_of("scans"))
    return practice((failed, before, restored("scans", at=NOW - HOUR)), both)


def all_failed() -> Practice:
    """Return a practice whose storage is damaged: neither of its last two points comes back."""
    unread: dict[str, Any] = {"reason": f"onsite is damaged: {NOT_READ_BACK}", "verifications": ()}
    tests = []
    for system in ("emr", "scans"):
        tests.append(tried(system, 0, Result.FAILED, **unread))
        tests.append(tried(system, 1, Result.FAILED, follow_up_of=tests[-1].id, **unread))
    return practice(tests, (p for system in ("emr", "scans") for p in points_of(system)[-2:]))


NO_TIME = "Only the data is planned for: no step after it"
NOT_TOGETHER = "Rebuilding all systems together was not tried."
SAID: dict[str, tuple[Callable[[], Practice], *tuple[str, ...]]] = {
    "before any backup": (
        lambda: practice((), (), since=NEW),
        "not proven yet: we have not rebuilt your scanned documents from backup.",
        "all of it: there is no backup yet (your limit: 1 h).",
        NO_TIME,
        NOT_TOGETHER,
    ),
    "backups, no test yet": (
        lambda: practice((), (*points_of("emr"), *points_of("scans")), since=NOW - 2 * DAY),
        "Backups were made in time, but were never rebuilt to prove it.",
        NO_TIME,
        NOT_TOGETHER,
    ),
    "test overdue": (
        lambda: practice((), (*points_of("emr"), *points_of("scans"))),
        "Not kept: not everything was put right in time.",
        "We have never rebuilt it from backup.",
        "Make the restore test from “onsite” that was missed. To be done by your IT provider",
        "Ask your IT provider to rebuild your scanned documents from backup now",
    ),
    "newest failed": (
        newest_failed,
        "We could NOT rebuild your electronic medical record",
        "The backup of 21 November, 18:27 could be rebuilt in 41 min.",
        "passed, 14 checks (second look, after a failed test)",
        "make a new backup of your electronic medical record in “onsite”, and to test it.",
        NOT_TOGETHER,
    ),
    "nothing restorable": (
        all_failed,
        "all of it: no backup could be rebuilt when tested (your limit: 1 h).",
        "it did not come back",
        "back up your scanned documents to a new place, and to test that: what is stored",
        NO_TIME,
    ),
    "loosened": (
        practices.loosened,
        "less is promised for your electronic medical record than the practice accepted.",
        '"Accept the changed promise by your signature, or have it taken back.", "by": "26 Nov',
    ),
    "kept": (practices.healthy, "Each system was rebuilt by itself.", "The time is for the data"),
}
UNSAID = {
    "newest failed": ("FAILED, to find",),
    "nothing restorable": ("late or missing", "Each system was rebuilt", "The time is for"),
    "before any backup": ("Each system was rebuilt", "The time is for", "not known yet"),
    "backups, no test yet": ("Each system was rebuilt", "The time is for"),
}
TODO = {
    "before any backup": "Nothing is overdue; 10 promises are not proven yet.",
    "backups, no test yet": "Nothing is overdue; 4 promises are not proven yet.",
    "loosened": "Nothing is overdue; 1 promise is not proven yet.",
    "kept": "Nothing needs a person.",
}


def words_of(page: Page) -> str:
    return json.dumps(asdict(page), ensure_ascii=False)


@pytest.mark.parametrize("situation", SAID)
def test_page_says_what_is_so_in_each_situation(situation: str) -> None:
    make, *said = SAID[situation]
    words = words_of(build_page(make().subject()))
    assert [each for each in said if each.lower() not in words.lower()] == []
    unsaid = (*UNSAID.get(situation, ()), "dro ", "2026112", "recovery point is", "`")
    found = [each for each in unsaid if each in words.partition('"footer"')[0]]
    assert found == []


@pytest.mark.parametrize("situation", SAID)
def test_engineer_is_told_that_nothing_is_to_do_only_where_nothing_is(situation: str) -> None:
    made = SAID[situation][0]()
    document = engineer_document(replace(made.subject(), tests=made.record.tests))
    if situation in TODO:
        assert document.summary == TODO[situation]
    else:
        assert document.summary.endswith("need a person.")
