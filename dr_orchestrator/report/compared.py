"""What the record shows: work that would be lost, what was opened and compared, the last tests.

Counts and times only. Raw values of rows do not exist in the types this reads.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words, result_words, verdict_words
from dr_orchestrator.report.model import CheckLine, Compared, Loss, TrendLine
from dr_orchestrator.report.room import ROOMS
from dr_orchestrator.report.say import count, say

if TYPE_CHECKING:
    from dr_orchestrator.core.baseline import Value
    from dr_orchestrator.core.finding import Finding
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.verification import Verification
    from dr_orchestrator.report.view import View

_CHECKS_OF_EACH = 3
"""Checks listed where there are several systems: more would push three over the page's edge."""
_NOTHING = "–"


def loss(view: View, system: str) -> Loss:
    """Return how much work would be entered again; kept only where a restore proved it."""
    finding = next((f for f in view.findings_of(system) if f.objective is Objective.RPO), None)
    verdict = finding.verdict if finding else Verdict.UNPROVEN
    if verdict is Verdict.MET and not view.may_say_kept(system):
        verdict = Verdict.UNPROVEN
    if finding is None:
        parts = [say("manager.loss.unknown")]
    elif nothing := _nothing_left(view, finding):
        parts = [nothing]
    elif finding.achieved:
        known = {"achieved": finding.achieved, "limit": finding.promised}
        parts = [say("manager.loss.worst", **known)]
    else:
        parts = [say("manager.loss.unknown_limit", limit=finding.promised)]
    test = view.headline_test(system)
    if test and test.result is Result.PASSED and view.room.details:
        parts.extend(_newest_row(view, test))
    if finding and finding.verdict is Verdict.MET:
        parts.extend(_doubt(view, system, test))
    return Loss(
        title=view.title(system),
        verdict=verdict,
        verdict_words=verdict_words(verdict),
        text=" ".join(parts),
    )


def _nothing_left(view: View, finding: Finding) -> str:
    """Say that all would be lost, where no backup on record comes back."""
    system, limit = finding.system, finding.promised
    if finding.verdict is Verdict.MET or view.has_restorable(system):
        return ""
    if view.none_came_back(system):
        return say("manager.loss.all_failed", limit=limit)
    known = any(point.system == system for point in view.record.points)
    return "" if known else say("manager.loss.no_backup", limit=limit)


def _doubt(view: View, system: str, test: RestoreTest | None) -> list[str]:
    """Say why backups in time are no proof by themselves."""
    if test is None:
        return [say("manager.loss.never_rebuilt")]
    if test.result is Result.FAILED:
        return [say("manager.loss.could_not")]
    return [] if view.is_recently_proven(system) else [say("manager.loss.not_lately")]


def _newest_row(view: View, test: RestoreTest) -> list[str]:
    if test.newest is None:
        return []
    moment, age = view.moment(test.newest), test.data_age_seconds
    if age is None or age <= 0:
        return [say("manager.loss.newest", moment=moment)]
    older = duration_words(timedelta(seconds=age))
    return [say("manager.loss.newest_older", moment=moment, age=older)]


def compared(view: View, system: str) -> Compared | None:
    """Return what the test that speaks for a system opened and compared."""
    test = view.headline_test(system)
    if test is None:
        return None
    passed = [check for check in test.verifications if check.result is Result.PASSED]
    first = [check for check in test.verifications if check.result is not Result.PASSED]
    first.sort(key=lambda check: check.result is not Result.FAILED)
    most = min(view.room.checks, _CHECKS_OF_EACH) if view.several_systems else view.room.checks
    if view.room is ROOMS[0]:
        most = max(most, len(first) + 1)
    shown = [*first, *passed][:most]
    left_out = [check.result for check in (*first, *passed)[len(shown) :]]
    return Compared(
        title=view.title(system),
        text=_which(view, test),
        checks=tuple(_check_line(view, check) for check in shown),
        more=_more_checks(left_out) if shown else "",
    )


def _more_checks(left_out: list[Result]) -> str:
    bad = sum(1 for result in left_out if result is not Result.PASSED)
    if bad:
        return count("manager.compared.more", len(left_out), bad=bad)
    match len(left_out):
        case 0:
            return ""
        case 1:
            return say("manager.compared.one_more")
        case 2:
            return say("manager.compared.two_more", n=2)
        case number:
            return say("manager.compared.all_more", n=f"{number:,}")


def _which(view: View, test: RestoreTest) -> str:
    passed = sum(1 for check in test.verifications if check.result is Result.PASSED)
    total = len(test.verifications)
    checks = say("manager.compared.nothing")
    if not total and test.result is Result.FAILED:
        checks = say("manager.compared.not_back")
    elif total:
        checks = say("manager.compared.passed_of", passed=passed, total=total)
    if not view.room.details:
        return checks
    moment = view.moment(test.point_as_of)
    if view.several_repositories:
        where = test.repository
        return say("manager.compared.which_in", moment=moment, repository=where, checks=checks)
    return say("manager.compared.which", moment=moment, checks=checks)


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
        as_expected = check.actual == check.expected
        return say("manager.compared.as_expected", found=actual) if as_expected else actual
    if isinstance(check.actual, str):
        found = actual
    elif check.actual is None:
        found = ""
    else:
        found = say("manager.compared.found", found=actual, expected=expected)
    return "; ".join(part for part in (found, check.reason) if part)


def value_words(view: View, value: Value | str) -> str:
    """Return a check's value as people write it: `12,400`, `yes`, a day in the practice's zone."""
    match value:
        case None:
            return say("manager.compared.none")
        case bool():
            return say("manager.compared.yes") if value else say("manager.compared.no")
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.10g}"
        case datetime():
            return view.moment(value) if value.tzinfo else f"{value:%Y-%m-%d %H:%M}"
        case _:
            return value


def trend(view: View) -> tuple[TrendLine, ...]:
    """Return the last restore tests, the newest first."""
    shown = view.all_tests[max(0, len(view.all_tests) - view.room.tests) :]
    return tuple(_trend_line(view, test) for test in reversed(shown))


def older_tests(view: View) -> str:
    """Return what became of as many more tests as a page with all its room shows."""
    older = view.all_tests[-ROOMS[0].tests :]
    older = older[: max(0, len(older) - view.room.tests)]
    if not older:
        return ""
    passed = sum(1 for test in older if test.result is Result.PASSED)
    failed = sum(1 for test in older if test.result is Result.FAILED)
    if view.room.tests:
        return count("manager.trend.more", len(older), passed=passed, failed=failed)
    return count("manager.trend.only", len(older), passed=passed, failed=failed)


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
    checks = count("manager.trend.checks", len(test.verifications))
    failed = sum(1 for check in test.verifications if check.result is Result.FAILED)
    if test.result is Result.PASSED:
        words = say("manager.trend.passed", result=words, checks=checks)
    elif test.result is Result.FAILED and failed:
        words = say("manager.trend.failed", result=words, failed=failed, checks=checks)
    if not test.share.is_whole:
        words = say("manager.trend.share", result=words, share=test.share)
    return say("manager.trend.follow_up", result=words) if test.follow_up_of else words


def _trend_time(test: RestoreTest) -> str:
    if test.result is Result.FAILED:
        return _NOTHING
    if test.rta_service_seconds is not None:
        return duration_words(timedelta(seconds=test.rta_service_seconds))
    if test.rta_data_seconds is not None:
        took = duration_words(timedelta(seconds=test.rta_data_seconds))
        return say("manager.trend.data_only", took=took)
    return _NOTHING
