"""What the record shows: work that would be lost, what was opened and compared, the last tests.

Counts and times only. Raw values of rows do not exist in the types this reads.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words, duration_words, result_words, verdict_words
from dr_orchestrator.report.model import CheckLine, Compared, Loss, TrendLine

if TYPE_CHECKING:
    from dr_orchestrator.core.baseline import Value
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.verification import Verification
    from dr_orchestrator.report.view import View

TREND_LENGTH = 12
_CHECKS_SHOWN = 8
_CHECKS_SHOWN_OF_EACH = 3
"""Checks listed where there are several systems: more would push three over the page's edge."""


def loss(view: View, system: str) -> Loss:
    """Return how much work would be entered again."""
    finding = next((f for f in view.findings_of(system) if f.objective is Objective.RPO), None)
    verdict = finding.verdict if finding else Verdict.UNPROVEN
    parts = []
    if finding and finding.achieved:
        parts.append(
            f"at worst {finding.achieved} of work to enter again (your limit: {finding.promised})."
        )
    else:
        promised = f" (your limit: {finding.promised})" if finding else ""
        parts.append(f"not known yet{promised}.")
    test = view.headline_test(system)
    if test and test.result is Result.PASSED:
        parts.extend(_newest_row(view, test))
    elif verdict is Verdict.MET:
        doubt = "could NOT be rebuilt when tested" if test else "were never rebuilt to prove it"
        parts.append(f"Backups were made in time, but {doubt}.")
    return Loss(
        title=view.title(system),
        verdict=verdict,
        verdict_words=verdict_words(verdict),
        text=" ".join(parts),
    )


def _newest_row(view: View, test: RestoreTest) -> list[str]:
    if test.newest is None:
        return []
    age = test.data_age_seconds
    older = (
        f", {duration_words(timedelta(seconds=age))} older than that backup"
        if age is not None and age > 0
        else ""
    )
    return [f"Newest entry in the tested backup: {view.moment(test.newest)}{older}."]


def compared(view: View, system: str) -> Compared | None:
    """Return what the test that speaks for a system opened and compared."""
    test = view.headline_test(system)
    if test is None:
        return None
    first = [check for check in test.verifications if check.result is not Result.PASSED]
    first.sort(key=lambda check: check.result is not Result.FAILED)
    passed = [check for check in test.verifications if check.result is Result.PASSED]
    room = _CHECKS_SHOWN_OF_EACH if view.several_systems else _CHECKS_SHOWN
    shown = [*first, *passed[: max(1, room - len(first))]]
    left_out = len(test.verifications) - len(shown)
    return Compared(
        title=view.title(system),
        text=_which(view, test),
        checks=tuple(_check_line(view, check) for check in shown),
        more=f"and {left_out:,} more, {'both' if left_out == 2 else 'all'} passed"  # noqa: PLR2004
        if left_out > 1
        else "and one more, passed"
        if left_out
        else "",
    )


def _which(view: View, test: RestoreTest) -> str:
    where = f", “{test.repository}”" if view.several_repositories else ""
    passed = sum(1 for check in test.verifications if check.result is Result.PASSED)
    total = len(test.verifications)
    checks = f"{passed} of {total} checks passed" if total else "nothing to compare"
    return f"backup of {view.moment(test.point_as_of)}{where}: {checks}"


def _check_line(view: View, check: Verification) -> CheckLine:
    return CheckLine(
        result=check.result,
        result_words=result_words(check.result),
        title=check.title,
        text=_found(view, check),
    )


def _found(view: View, check: Verification) -> str:
    actual, expected = value_words(view, check.actual), value_words(view, check.expected)
    if check.result is Result.PASSED:
        if check.actual is None or check.actual is True:
            return ""
        return f"{actual}, as expected" if check.actual == check.expected else actual
    if isinstance(check.actual, str):
        found = actual
    else:
        found = "" if check.actual is None else f"{actual} found, {expected} expected"
    return "; ".join(part for part in (found, check.reason) if part)


def value_words(view: View, value: Value | str) -> str:
    """Return a check's value as people write it: `12,400`, `yes`, a day in the practice's zone."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.10g}"
        case datetime():
            return view.moment(value) if value.tzinfo else f"{value:%Y-%m-%d %H:%M}"
        case _:
            return value


def trend(view: View) -> tuple[TrendLine, ...]:
    """Return the last twelve restore tests, the newest first."""
    return tuple(_trend_line(view, test) for test in reversed(view.all_tests[-TREND_LENGTH:]))


def _trend_line(view: View, test: RestoreTest) -> TrendLine:
    return TrendLine(
        day=view.day(test.started_at),
        system=view.title(test.system),
        point=view.moment(test.point_as_of),
        repository=test.repository,
        result=test.result,
        result_words=_trend_result(test),
        recovery_time=_trend_time(test),
    )


def _trend_result(test: RestoreTest) -> str:
    words = result_words(test.result)
    total = len(test.verifications)
    failed = sum(1 for check in test.verifications if check.result is Result.FAILED)
    if test.result is Result.PASSED:
        words += f", {count_words(total, 'check')}"
    elif test.result is Result.FAILED and failed:
        words += f", {failed} of {count_words(total, 'check')}"
    if not test.share.is_whole:
        words += f", {test.share}"
    return words + (", to find the damage" if test.follow_up_of else "")


def _trend_time(test: RestoreTest) -> str:
    if test.result is Result.FAILED:
        return "–"
    if test.rta_service_seconds is not None:
        return duration_words(timedelta(seconds=test.rta_service_seconds))
    if test.rta_data_seconds is not None:
        return f"{duration_words(timedelta(seconds=test.rta_data_seconds))}, data only"
    return "–"
