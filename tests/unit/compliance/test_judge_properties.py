"""What holds of the verdict whatever is on record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import PracticeRecord, RepositoryChecked
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.plan.model import Plan
from tests.support.clock import START as NOW
from tests.support.evidence import (
    DATABASE,
    DOCUMENTS,
    PRACTICE,
    make_attempts,
    make_locks,
    make_plan,
    make_point,
    make_record,
    make_run,
    make_test,
)

REPOSITORIES = ("onsite", "offsite")
NEEDS_A_TEST = {Objective.RTO, Objective.RESTORE_TEST, Objective.DATA_AGE}
ALL_ASSETS = {"database": DATABASE, "documents": DOCUMENTS}
FEWER = settings(max_examples=40)
"""A whole plan and record take long to draw, and scripts/check has a minute."""
MINUTES = st.integers(0, 6 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
"""Ages up to six days: within and beyond every limit of the plans below."""

WRITTEN_BY_OTHERS = {
    "database": {"kind": "sqlite", "path": "/srv/emr/emr.db"},
    "documents": {
        "kind": "files",
        "path": "/srv/dumps",
        "made_by": "the vendor's nightly job",
        "data_time": {"newest": "EMR_*.bak", "max_age": "26h"},
    },
}

plans = st.builds(
    make_plan,
    practice=st.sampled_from([{}, {"open": {"mon-fri": "08:00-18:00"}}]),
    rto=st.sampled_from(["1h", "4h", "24h"]),
    rpo=st.sampled_from(["15m", "1h", "24h", "3d"]),
    max_data_age=st.sampled_from(["4h", "24h"]),
    max_skew=st.sampled_from([None, "5m"]),
    assets=st.sampled_from([WRITTEN_BY_OTHERS, make_plan().protected["emr"].assets]),
    backup=st.sampled_from(
        [
            {"schedule": "every 15m", "to": ["onsite"]},
            {"schedule": "every 15m", "to": ["onsite", "offsite"]},
        ]
    ),
    repositories=st.fixed_dictionaries(
        dict.fromkeys(
            REPOSITORIES,
            st.sampled_from(
                [
                    {},
                    {"append_only": True},
                    {"object_lock": {"mode": "compliance", "days": 3}},
                    {
                        "object_lock": {"mode": "governance", "days": 1},
                        "maintenance": {
                            "extend": "every 6h",
                            "immutability": "every 12h",
                            "prune": "never",
                        },
                    },
                ]
            ),
        )
    ),
    restore_tests=st.lists(
        st.fixed_dictionaries(
            {
                "schedule": st.just("03:30"),
                "from": st.sampled_from(REPOSITORIES),
                "prove_every": st.sampled_from(["1d", "2d", "5d"]),
            }
        ),
        max_size=3,
    ),
)


@st.composite
def recovery_points(draw: st.DrawFn) -> RecoveryPoint:
    as_of = NOW - draw(MINUTES)
    older = draw(st.none() | MINUTES)
    written = None if older is None else as_of - older
    held = {**ALL_ASSETS, "documents": replace(DOCUMENTS, data_as_of=written)}
    return make_point(
        as_of,
        data_as_of=written,
        skew_seconds=draw(st.sampled_from([2.5, 300.0, 301.0])),
        repositories=tuple(draw(st.lists(st.sampled_from(REPOSITORIES), unique=True))),
        assets={name: held[name] for name in draw(st.sets(st.sampled_from([*held])))},
    )


@st.composite
def restore_tests(draw: st.DrawFn) -> RestoreTest:
    started_at = NOW - draw(MINUTES)
    as_of = started_at - draw(MINUTES)
    newest = draw(st.none() | MINUTES)
    return make_test(
        started_at,
        draw(st.sampled_from(Result)),
        repository=draw(st.sampled_from(REPOSITORIES)),
        point=make_point(as_of).id,
        point_as_of=as_of,
        newest=None if newest is None else as_of - newest,
        rta_service_seconds=draw(st.none() | st.floats(1, 200_000)),
        follow_up_of=draw(st.sampled_from([None, None, "another"])),
    )


@st.composite
def repository_checks(draw: st.DrawFn) -> RepositoryChecked:
    parts = draw(st.sampled_from([1, 2, 30]))
    sound = draw(st.booleans())
    return RepositoryChecked(
        practice=PRACTICE,
        repository=draw(st.sampled_from(REPOSITORIES)),
        run="a check",
        at=NOW - draw(MINUTES),
        part=draw(st.integers(1, parts)),
        parts=parts,
        sound=sound,
        reason="" if sound else "the repository is damaged",
    )


@st.composite
def records(draw: st.DrawFn) -> PracticeRecord:
    first_seen = draw(st.none() | MINUTES)
    seen = draw(st.dictionaries(st.sampled_from(REPOSITORIES), MINUTES))
    return make_record(
        first_seen=None if first_seen is None else NOW - first_seen,
        points=draw(st.lists(recovery_points(), max_size=8, unique_by=lambda point: point.id)),
        tests=draw(st.lists(restore_tests(), max_size=6, unique_by=lambda test: test.id)),
        repositories_seen={name: NOW - age for name, age in seen.items()},
        checks=draw(st.lists(repository_checks(), max_size=4)),
        locks={
            name: make_locks(NOW - age, None if left is None else NOW - age + left, name)
            for name, (age, left) in draw(
                st.dictionaries(
                    st.sampled_from(REPOSITORIES), st.tuples(MINUTES, st.none() | MINUTES)
                )
            ).items()
        },
        immutability={
            name: make_attempts(NOW - age, answer, repository=name)
            for name, (age, answer) in draw(
                st.dictionaries(
                    st.sampled_from(REPOSITORIES), st.tuples(MINUTES, st.sampled_from(Answer))
                )
            ).items()
        },
        last_runs=[
            make_run(
                NOW - age,
                id=f"forget-{name}",
                operation=Operation.FORGET,
                system="",
                repository=name,
                finished_at=NOW - age,
                outcome=outcome,
            )
            for name, (age, outcome) in draw(
                st.dictionaries(
                    st.sampled_from(REPOSITORIES), st.tuples(MINUTES, st.sampled_from(Outcome))
                )
            ).items()
        ],
    )


def _verdicts(findings: tuple[Finding, ...]) -> dict[tuple[Objective, str | None], Verdict]:
    verdicts = {(each.objective, each.repository): each.verdict for each in findings}
    assert len(verdicts) == len(findings), "two findings on the same thing"
    return verdicts


@FEWER
@given(plans, records())
def test_judge_says_the_same_of_the_same_whatever_its_order(
    plan: Plan, record: PracticeRecord
) -> None:
    shuffled_points, shuffled_tests = list(record.points), list(record.tests)
    Random(1).shuffle(shuffled_points)
    Random(2).shuffle(shuffled_tests)
    shuffled = replace(record, points=tuple(shuffled_points), tests=tuple(shuffled_tests))

    assert judge(plan, record, NOW) == judge(plan, record, NOW) == judge(plan, shuffled, NOW)


@given(plans, st.none() | MINUTES)
def test_judge_never_says_met_without_evidence(plan: Plan, first_seen: timedelta | None) -> None:
    record = make_record(first_seen=None if first_seen is None else NOW - first_seen)

    verdicts = _verdicts(judge(plan, record, NOW))

    assert Verdict.MET not in verdicts.values()
    if first_seen is None:
        assert set(verdicts.values()) == {Verdict.UNPROVEN}
    assert {verdicts[key] for key in verdicts if key[0] in NEEDS_A_TEST} == {Verdict.UNPROVEN}


@given(plans, records())
def test_judge_calls_recovery_met_only_by_a_recent_test_that_passed_last(
    plan: Plan, record: PracticeRecord
) -> None:
    prove_every: dict[str, timedelta] = {}
    for spec in plan.protected["emr"].restore_tests:
        prove_every[spec.from_] = min(spec.prove_every, prove_every.get(spec.from_, timedelta.max))

    for finding in judge(plan, record, NOW):
        if finding.verdict is not Verdict.MET or finding.objective not in NEEDS_A_TEST:
            continue
        if finding.objective is Objective.DATA_AGE:
            assert any(test.newest and test.result is not Result.FAILED for test in record.tests)
            continue
        assert finding.repository is not None
        counted = [
            test
            for test in record.tests
            if test.repository == finding.repository
            and test.follow_up_of is None
            and test.result is not Result.UNPROVEN
        ]
        last = max(test.started_at for test in counted)
        assert NOW - last <= prove_every[finding.repository]
        assert Result.PASSED in {test.result for test in counted if test.started_at == last}


@FEWER
@given(plans, records(), MINUTES)
def test_judge_never_makes_good_by_time_alone(
    plan: Plan, record: PracticeRecord, later: timedelta
) -> None:
    before = _verdicts(judge(plan, record, NOW))
    after = _verdicts(judge(plan, record, NOW + later))

    assert before.keys() <= after.keys()  # what was not due yet is told when it is
    for key, verdict in before.items():
        if verdict is not Verdict.MET:
            assert after[key] is not Verdict.MET, key
        if verdict is Verdict.BREACHED and key[0] not in NEEDS_A_TEST:
            assert after[key] is Verdict.BREACHED, key


@given(plans, st.lists(MINUTES, min_size=2, max_size=8), st.none() | MINUTES, st.floats(0, 1))
def test_rpo_is_never_made_worse_by_one_more_older_point(
    plan: Plan, ages: list[timedelta], first_seen: timedelta | None, share: float
) -> None:
    # Older than the newest, but not than everything: of what lies before the first point nothing
    # was known, so a point there does add a stretch.
    between = min(ages) + share * (max(ages) - min(ages))
    record = make_record(
        first_seen=None if first_seen is None else NOW - first_seen,
        points=[make_point(NOW - age) for age in ages],
    )
    more = replace(record, points=(*record.points, make_point(NOW - between)))

    before, after = _rpo(judge(plan, record, NOW)), _rpo(judge(plan, more, NOW))

    assert after.verdict in {before.verdict, Verdict.MET}


@FEWER
@given(plans, records())
def test_judge_words_every_finding(plan: Plan, record: PracticeRecord) -> None:
    for finding in judge(plan, record, NOW):
        assert finding.promised
        assert finding.reason
        assert finding.reason[-1] not in ".!?"
        if finding.verdict is Verdict.MET:
            assert finding.achieved
            assert finding.since is None
        if finding.verdict is Verdict.BREACHED:
            assert finding.since is not None
            assert finding.since <= NOW


def _rpo(findings: tuple[Finding, ...]) -> Finding:
    return next(each for each in findings if each.objective is Objective.RPO)
