"""Which steps were exercised as they are now: held against the definition, for any history."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.runbook import Mode, StepExercised
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.runbook.coverage import FRESH_FOR, Standing, coverage
from dr_orchestrator.runbook.load import LoadedRunbook
from dr_orchestrator.runbook.model import Runbook
from dr_orchestrator.runbook.values import fingerprint, values_of
from tests.support.clock import START as NOW
from tests.support.evidence import SYSTEM, make_plan

DAY = timedelta(days=1)
PLAN = make_plan(rto="4h")
AS_IT_IS = "as it is"


def runbook_of(*texts: str) -> LoadedRunbook:
    """Return a runbook with a step for each text."""
    content = {
        "version": 1,
        "title": "A server is lost",
        "when": "it is lost",
        "lanes": {"responder": {"title": "Responder"}},
        "steps": [
            {"id": f"step-{number}", "lane": "responder", "kind": "manual", "do": text}
            for number, text in enumerate(texts)
        ],
    }
    return LoadedRunbook(
        name="lost",
        runbook=Runbook.model_validate(content),
        origin="lost.yaml",
        text="",
        sha256="",
        trusted=True,
    )


def done(
    loaded: LoadedRunbook,
    number: int,
    at: datetime,
    *,
    as_it_is: str = AS_IT_IS,
    system: str = SYSTEM,
    plan: Plan = PLAN,
) -> StepExercised:
    """Return that a step was done, as it is in `loaded` under `plan` or otherwise."""
    step = loaded.runbook.steps[number]
    now = fingerprint(step, values_of(plan, SYSTEM))
    return StepExercised(
        runbook=loaded.name,
        system=system,
        step=step.id,
        at=at,
        fingerprint=now if as_it_is == AS_IT_IS else as_it_is,
        seconds=60.0,
        mode=Mode.REHEARSAL,
        run="20261118-120000-4k7q2z",
    )


def standings(
    loaded: LoadedRunbook, *exercised: StepExercised, plan: Plan = PLAN
) -> list[Standing]:
    return [each.standing for each in coverage(loaded, plan, SYSTEM, exercised, NOW).steps]


HISTORIES = st.lists(
    st.none() | st.tuples(st.booleans(), st.integers(0, 800)), min_size=1, max_size=6
)
"""Of each step: never done, or whether as it is now, and how many days ago."""


@given(HISTORIES)
def test_coverage_is_as_defined_whatever_was_done(
    history: list[tuple[bool, int] | None],
) -> None:
    loaded = runbook_of(*("Do it." for _ in history))
    rows = [
        done(loaded, number, NOW - each[1] * DAY, as_it_is=AS_IT_IS if each[0] else "otherwise")
        for number, each in enumerate(history)
        if each is not None
    ]

    found = coverage(loaded, PLAN, SYSTEM, rows, NOW)

    for number, (each, step) in enumerate(zip(history, found.steps, strict=True)):
        changed = [before is not None and not before[0] for before in history]
        is_verified = (
            each is not None
            and each[0]
            and each[1] * DAY <= FRESH_FOR
            and not any(changed[:number])
        )
        assert (step.standing is Standing.VERIFIED) == is_verified
        assert (step.standing is Standing.NEVER) == (each is None) == (step.last is None)
        assert (step.standing is Standing.CHANGED) == changed[number]
    verified = sum(step.standing is Standing.VERIFIED for step in found.steps)
    assert found.share == verified / len(history)


def test_step_that_was_edited_is_not_verified_and_nothing_after_it() -> None:
    before = runbook_of("Pull the cable.", "Call the vendor.", "Restore.")
    after = runbook_of("Pull the cable.", "Call the EMR vendor.", "Restore.")
    rows = [done(before, number, NOW - DAY) for number in range(3)]

    assert standings(before, *rows) == [Standing.VERIFIED] * 3
    assert standings(after, *rows) == [
        Standing.VERIFIED,
        Standing.CHANGED,
        Standing.AFTER_A_CHANGE,
    ]


def test_change_of_the_plan_changes_the_steps_that_show_it() -> None:
    loaded = runbook_of("Pull the cable.", "Say: back in {{ system.rto }}.")
    rows = [done(loaded, number, NOW - DAY) for number in range(2)]

    changed = standings(loaded, *rows, plan=make_plan(rto="8h"))

    assert changed == [Standing.VERIFIED, Standing.CHANGED]


def test_step_done_again_as_it_is_verifies_what_follows() -> None:
    loaded = runbook_of("Pull the cable.", "Restore.")
    rows = [
        done(loaded, 1, NOW - 2 * DAY),
        done(loaded, 0, NOW - DAY),
        done(loaded, 0, NOW - 3 * DAY, as_it_is="otherwise"),
    ]

    assert standings(loaded, *rows) == [Standing.VERIFIED, Standing.VERIFIED]


def test_coverage_counts_neither_another_system_nor_what_was_done_in_the_future() -> None:
    loaded = runbook_of("Pull the cable.", "Restore.")
    rows = [done(loaded, 0, NOW - DAY, system="imaging"), done(loaded, 1, NOW + DAY)]

    assert standings(loaded, *rows) == [Standing.NEVER, Standing.NEVER]


def test_step_done_too_long_ago_is_stale_and_tells_when() -> None:
    loaded = runbook_of("Pull the cable.")
    (step,) = coverage(loaded, PLAN, SYSTEM, [done(loaded, 0, NOW - FRESH_FOR - DAY)], NOW).steps

    assert (step.standing, step.last, step.seconds) == (
        Standing.STALE,
        NOW - FRESH_FOR - DAY,
        60.0,
    )
