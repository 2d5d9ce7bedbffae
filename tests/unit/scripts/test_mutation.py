"""The judge of the checks: it must not call blind what sees, nor seeing what is blind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import CouldNotVerify, LoadFailed
from scripts.mutation import practice
from scripts.mutation.results import Outcomes, Results, write_page
from scripts.mutation.trial import Effort, Kind, Trial, restore_clean, try_all
from scripts.mutation.verdict import Configuration, Living, Said

BOTH = tuple(Configuration)


def said(result: Result, *by: str) -> Said:
    return Said(result=result, by=by, reason="")


def outcomes(*results: Result, claimed_by: str = "rows", harmless: bool = False) -> Outcomes:
    kind: Kind[Any] = Kind(
        title="one row missing",
        damage=lambda _copy, _random: "",
        claimed_by=claimed_by,
        harmless=harmless,
    )
    trials = [
        Trial(
            subject="SQLite",
            kind=kind.title,
            number=number,
            where="patient",
            said=dict.fromkeys(Configuration, said(result, "rows")),
        )
        for number, result in enumerate(results)
    ]
    return Outcomes.of("SQLite", kind, trials)


class Failing(contextlib.AbstractContextManager[Living]):
    """Comes to nothing."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __enter__(self) -> Living:
        raise self.error

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError


@dataclass
class Refusing:
    """A subject that never comes to life."""

    error: Exception
    name: str = "SQLite"
    drawn: list[float] = field(default_factory=list)
    kinds: Sequence[Kind[Any]] = (
        Kind(title="one row missing", damage=lambda _copy, _random: "patient", quick=True),
        Kind(title="view changed", damage=lambda _copy, _random: "unpaid", few=True),
    )

    def damaged(self, kind: Kind[Any], random: Random, where: list[str]) -> Failing:
        self.drawn.append(random.random())
        where.append(kind.damage(None, random))
        return Failing(self.error)

    def clean(self, *, busy: bool) -> Failing:
        return Failing(self.error)


def test_a_claimed_kind_that_is_seen_in_99_of_100_is_as_claimed() -> None:
    kept = Results(1, [outcomes(*[Result.FAILED] * 98, Result.UNPROVEN, Result.PASSED)])
    assert kept.broken() == []
    assert kept.outcomes[0].cell(Configuration.DEFAULT) == "98/100 + 1 unproven"


def test_a_claimed_kind_that_is_missed_twice_in_100_is_named_for_every_plan() -> None:
    broken = Results(1, [outcomes(*[Result.FAILED] * 98, *[Result.PASSED] * 2)]).broken()
    assert broken == [
        f"SQLite: one row missing ({each}): 98/100 MISSED" for each in ("default", "with checks")
    ]


def test_what_nobody_claims_may_be_missed_and_stands_among_the_blind_spots() -> None:
    results = Results(1, [outcomes(Result.PASSED, Result.FAILED, claimed_by="")])
    assert results.broken() == []
    _, blind_spots = results.text().split("## What no check claims to see")
    assert "| one row missing | SQLite 1/2 " in blind_spots


@pytest.mark.parametrize("result", [Result.FAILED, Result.UNPROVEN])
def test_an_alarm_on_what_is_harmless_is_not_as_claimed(result: Result) -> None:
    broken = Results(1, [outcomes(Result.PASSED, result, harmless=True)]).broken()
    assert len(broken) == 2
    assert all(line.endswith("ALARM") for line in broken)


@pytest.mark.parametrize("result", [Result.FAILED, Result.UNPROVEN])
def test_a_clean_restore_that_is_not_green_is_a_false_alarm(result: Result) -> None:
    verdicts = {BOTH[0]: said(Result.PASSED), BOTH[1]: said(result, "rows")}
    clean = Trial(subject="SQLite", kind="at rest", number=0, where="", said=verdicts)
    results = Results(1, clean=[clean])
    assert results.alarms() == [clean]
    assert results.broken() == ["SQLite: alarm on a clean restore (at rest): "]


def test_what_does_not_load_is_judged_as_a_restore_test_does() -> None:
    effort = Effort(seed=1, trials=1)
    for error, expected in (
        (LoadFailed("cut off"), Result.FAILED),
        (CouldNotVerify("no server"), Result.UNPROVEN),
    ):
        trials = [*try_all(Refusing(error), effort), *restore_clean(Refusing(error), 1)]
        assert {each.said[one].result for each in trials for one in BOTH} == {expected}
        assert trials[0].where == "patient"


def test_a_mistake_in_a_damage_is_no_verdict() -> None:
    with pytest.raises(AssertionError):
        list(try_all(Refusing(AssertionError("nothing to alter")), Effort(seed=1, trials=1)))


def test_the_chance_of_a_trial_is_the_same_whatever_else_is_tried() -> None:
    every, one = Refusing(LoadFailed("")), Refusing(LoadFailed(""))
    list(try_all(every, Effort(seed=1, trials=3, few=2)))
    list(try_all(one, Effort(seed=1, trials=3, few=2, only="view")))
    assert len(set(every.drawn)) == 5
    assert one.drawn == every.drawn[3:]


def test_the_quick_selection_has_only_its_own_kinds() -> None:
    effort = Effort(seed=1, trials=1, quick=True)
    tried = [kind.title for kind, _ in effort.kinds(Refusing(LoadFailed("")))]
    assert tried == ["one row missing"]


def test_raw_results_are_json_with_every_trial() -> None:
    raw = json.loads(Results(7, [outcomes(Result.FAILED, Result.PASSED)]).raw())
    assert raw["seed"] == 7
    assert raw["kinds"][0]["trials"] == [
        ["patient", "failed", ["rows"], "failed", ["rows"]],
        ["patient", "passed", ["rows"], "passed", ["rows"]],
    ]


def test_tables_are_put_in_the_place_of_those_of_the_run_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = (f"<!-- written by scripts/mutate: {each} -->\n" for each in ("begin", "end"))
    page.write_text(f"# Checks\n{begin}old\n{end}after\n")
    for _ in range(2):
        write_page(page, "new")
    assert page.read_text() == f"# Checks\n{begin}\nnew\n{end}after\n"


def test_a_month_ago_every_parent_of_a_row_was_there() -> None:
    for months_ago in (0, 1):
        data = practice.rows(months_ago=months_ago)
        patients = {row[0] for row in data["patient"]}
        visits = {row[0] for row in data["visit"]}
        assert {row[1] for row in data["visit"]} <= patients
        assert {row[1] for row in data["lab"]} <= visits
    assert practice.rows() != practice.rows(practice=1)
