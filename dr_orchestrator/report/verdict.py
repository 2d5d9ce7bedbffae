"""The verdict on each system, in sentences a practice manager can repeat.

It never says that a system was rebuilt without naming the day, and never softens a failure.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.immutability import protected_until
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.compliance.vouched import is_doubted
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import (
    duration_phrase,
    duration_words,
    objective_words,
    sentence,
    verdict_words,
)
from dr_orchestrator.report.model import Shortfall, SystemVerdict
from dr_orchestrator.report.rehearsed import open_actions
from dr_orchestrator.report.say import count, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.report.view import View


_ASKS_LESS = frozenset({Objective.CORRECTIVE_ACTIONS})
"""What is still to be done weighs less than that less is promised."""


def system_verdict(view: View, system: str) -> SystemVerdict:
    """Return the answer for one system."""
    verdict = view.verdict(system)
    told = _told_first(view, system)
    first, *more = _sentences(view, system, told)
    findings = view.findings_of(system)
    shortfalls = _shortfalls(view, findings, told)
    shown, left_out = shortfalls[: view.room.shortfalls], shortfalls[view.room.shortfalls :]
    met = _met(view, system)
    may_say_kept = view.may_say_kept(system)
    return SystemVerdict(
        system=system,
        title=view.title(system),
        importance=view.importance(system),
        verdict=verdict,
        verdict_words=verdict_words(verdict),
        sentence=first,
        more=tuple(more),
        recovery=_recovery(view, findings),
        protection=tuple(_protection(view, system)),
        shortfalls=shown,
        more_shortfalls=_more(left_out),
        kept=met if may_say_kept else (),
        in_order=() if may_say_kept else met,
    )


def _met(view: View, system: str) -> tuple[str, ...]:
    """Return the objectives that were met; with the repository where another one was not, or was
    not judged yet.
    """
    findings = view.findings_of(system)
    partly = {finding.objective for finding in findings if finding.verdict is not Verdict.MET}
    if not _is_read_back(view, system):
        partly.add(Objective.REPOSITORY_CHECK)
    met = (finding for finding in findings if finding.verdict is Verdict.MET)
    words = (
        say(
            "manager.short.from",
            objective=objective_words(finding.objective),
            repository=finding.repository,
        )
        if finding.objective in partly and finding.repository
        else objective_words(finding.objective)
        for finding in met
    )
    named = tuple(dict.fromkeys(words))
    if view.room.details or not named:
        return named
    return (count("manager.short.promises", len(named)),)


def _is_read_back(view: View, system: str) -> bool:
    """Return whether every place of a system was read back: one that is not due has no finding."""
    held = view.plan.repositories_of(system) if system in view.plan.protected else ()
    findings = view.findings_of(system)
    read = {each.repository for each in findings if each.objective is Objective.REPOSITORY_CHECK}
    return read.issuperset(held)


def _more(left_out: tuple[Shortfall, ...]) -> str:
    return "; ".join(
        say("manager.short.name", objective=each.objective, verdict=each.verdict_words)
        for each in left_out
    )


def summary(view: View) -> str:
    """Return the answer for the whole practice in one sentence."""
    if view.is_altered:
        return say("manager.summary.altered")
    verdicts = [view.verdict(system) for system in view.systems]
    if view.loosened and set(verdicts) == {Verdict.MET}:
        return say("manager.summary.changed")
    if len(verdicts) == 1:
        only = view.systems[0]
        return _sentences(view, only, _told_first(view, only))[0]
    broken, open_ = verdicts.count(Verdict.BREACHED), verdicts.count(Verdict.UNPROVEN)
    if not verdicts:
        return say("manager.summary.no_system")
    if not broken and not open_:
        return say("manager.summary.all_kept", total=len(verdicts))
    what = [say("manager.summary.broken", number=broken)] if broken else []
    what += [say("manager.summary.unproven", number=open_)] if open_ else []
    both = what[0] if len(what) == 1 else say("manager.summary.both", first=what[0], second=what[1])
    return say("manager.summary.open", what=both, total=len(verdicts))


def _told_first(view: View, system: str) -> Finding | None:
    """Return the finding that the first sentence tells, so that it is not told twice."""
    open_findings = _open(view, view.findings_of(system))
    about_tests = [f for f in open_findings if f.objective is Objective.RESTORE_TEST]
    if failed := view.failures(system):
        here = [f for f in about_tests if f.repository in {None, failed[0].repository}]
        return next(iter(here), None)
    open_findings.sort(key=lambda finding: _urgency(view, finding))
    first = next(iter(open_findings), None)
    if first and first.verdict is Verdict.UNPROVEN and view.headline_test(system) is None:
        return min(about_tests, key=lambda finding: finding.due or view.now, default=first)
    return first


def _open(view: View, findings: tuple[Finding, ...]) -> list[Finding]:
    """Return what is not kept or not proven. That less is promised is told by itself, as is that
    nothing can be vouched for.
    """
    return [
        finding
        for finding in findings
        if finding.verdict is not Verdict.MET
        and not is_doubted(finding)
        and not (
            finding.objective is Objective.ACCEPTANCE
            and finding.verdict is Verdict.UNPROVEN
            and view.loosened
        )
    ]


def _urgency(view: View, finding: Finding) -> int:
    if finding.verdict is Verdict.BREACHED:
        return 0
    return 1 if is_overdue(finding, view.now) else 2


def _sentences(view: View, system: str, told: Finding | None) -> list[str]:
    test = view.headline_test(system)
    changed = bool(view.loosened_of(system))
    too = [say("manager.sentence.changed_too")] if changed else []
    if test is not None and test.result is Result.FAILED:
        return [*_could_not(view, test), *too]
    if view.is_altered:
        return [say("manager.sentence.altered"), *too]
    rebuilt = _rebuilt(view, test) if test else []
    if told is None:
        if rebuilt and view.verdict(system) is Verdict.MET:
            return rebuilt
        return [*_not_accepted(view, system), *rebuilt]
    if not rebuilt and told.objective is Objective.RESTORE_TEST:
        return [_never_rebuilt(view, told), *_inconclusive(view, system), *too]
    judged, left = _judged(view, told), _inconclusive(view, system)
    if not view.tests(system):
        left = [say("manager.sentence.never_too")]
    if changed and told.verdict is Verdict.UNPROVEN and told.objective in _ASKS_LESS:
        return [say("manager.sentence.changed", yours=view.yours(system)), judged, *rebuilt, *left]
    return [judged, *too, *rebuilt, *left]


def _not_accepted(view: View, system: str) -> list[str]:
    """Say why a system of which nothing else is open is not kept."""
    yours = view.yours(system)
    if not view.loosened_of(system):
        return [say("manager.sentence.not_judged", yours=yours)]
    changed = [say("manager.sentence.changed", yours=yours)]
    if view.would_be_kept(system):
        changed.append(say("manager.sentence.would_be_kept"))
    return changed


def _judged(view: View, finding: Finding) -> str:
    yet = finding.verdict is Verdict.UNPROVEN and not is_overdue(finding, view.now)
    why = (_reason(view, finding) or objective_words(finding.objective)).rstrip(".")
    verdict = verdict_words(finding.verdict).capitalize()
    form = "judged_yet" if yet else "judged"
    if finding.repository and view.several_repositories:
        return say(
            f"manager.sentence.{form}_for", verdict=verdict, repository=finding.repository, why=why
        )
    return say(f"manager.sentence.{form}", verdict=verdict, why=why)


def _rebuilt(view: View, test: RestoreTest) -> list[str]:
    return [say("manager.sentence.rebuilt", when=_rebuilt_when(view, test), checks=_passed(test))]


def _rebuilt_when(view: View, test: RestoreTest) -> str:
    yours, day = view.yours(test.system), view.day(test.started_at)
    whole = test.share.is_whole
    what = yours if whole else say("manager.sentence.share", yours=yours, share=test.share)
    if test.rta_service_seconds is None:
        return say("manager.sentence.rebuilt_when", day=day, what=what)
    took = duration_phrase(timedelta(seconds=test.rta_service_seconds))
    spec = view.plan.protected.get(test.system)
    if spec is None or spec.recovery or not whole or view.is_loosened(test.system, "rto"):
        return say("manager.sentence.rebuilt_in", day=day, what=what, took=took)
    limit = duration_phrase(spec.rto)
    return say("manager.sentence.rebuilt_within", day=day, what=what, took=took, limit=limit)


def _passed(test: RestoreTest) -> str:
    total = len(test.verifications)
    if total == 1:
        return say("manager.sentence.one_check")
    return say("manager.sentence.all_checks", total=total)


def _could_not(view: View, test: RestoreTest) -> list[str]:
    sentences = [_could_not_on(view, test)]
    if test.reason:
        sentences.append(sentence(view.plain(test.reason)))
    if rescue := view.rescue(test):
        sentences.append(_rescued(view, rescue, test.repository))
    return sentences


def _could_not_on(view: View, test: RestoreTest) -> str:
    failed = sum(1 for check in test.verifications if check.result is Result.FAILED)
    known: dict[str, object] = {"yours": view.yours(test.system), "day": view.day(test.started_at)}
    form = "could_not"
    if view.several_repositories:
        form, known["repository"] = "could_not_in", test.repository
    if not failed:
        return say(f"manager.sentence.{form}", **known)
    total = len(test.verifications)
    return say(f"manager.sentence.{form}_checks", **known, failed=failed, total=total)


def _rescued(view: View, rescue: RestoreTest, failed_in: str) -> str:
    known = {"moment": view.moment(rescue.point_as_of)}
    form = "rescue"
    if view.several_repositories and rescue.repository != failed_in:
        form, known["repository"] = "rescue_in", rescue.repository
    if rescue.rta_service_seconds is None:
        return say(f"manager.sentence.{form}", **known)
    took = duration_words(timedelta(seconds=rescue.rta_service_seconds))
    return say(f"manager.sentence.{form}_time", **known, took=took)


def _never_rebuilt(view: View, told: Finding) -> str:
    yours = view.yours(told.system)
    newest = next(reversed(view.tests(told.system)), None)
    if newest is not None and newest.result is Result.UNPROVEN:
        return say("manager.sentence.no_result", yours=yours)
    if told.due is None:
        return say("manager.sentence.never", yours=yours)
    day = view.moment(told.due)
    if is_overdue(told, view.now):
        return say("manager.sentence.never_due", yours=yours, day=day)
    return say("manager.sentence.never_yet", yours=yours, day=day)


def _inconclusive(view: View, system: str) -> list[str]:
    """Tell of the newest test where it came to nothing: it must not hide behind an older one."""
    newest = next(reversed(view.tests(system)), None)
    if newest is None or newest.result is not Result.UNPROVEN:
        return []
    day = view.day(newest.started_at)
    if not newest.reason:
        return [say("manager.sentence.inconclusive", day=day)]
    why = view.plain(newest.reason)
    return [sentence(say("manager.sentence.inconclusive_why", day=day, why=why))]


def _recovery(view: View, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    timed = [f for f in findings if f.objective is Objective.RTO and f.achieved]
    return tuple(
        say(
            "manager.recovery.whole_from",
            repository=finding.repository,
            achieved=finding.achieved,
            against=_against_limit(view, finding),
        )
        if finding.repository and view.several_repositories
        else say(
            "manager.recovery.whole",
            achieved=finding.achieved,
            against=_against_limit(view, finding),
        )
        for finding in timed
    )


def _protection(view: View, system: str) -> Iterator[str]:
    """Say it only of locks that stand, and of a repository in which nothing could be destroyed."""
    broken = {
        finding.repository
        for finding in view.findings_of(system)
        if finding.objective is Objective.IMMUTABILITY and finding.verdict is Verdict.BREACHED
    }
    places = view.plan.repositories_of(system) if system in view.plan.protected else ()
    for place in (each for each in places if each not in broken):
        until = protected_until(view.record, view.plan, system, place)
        if until is not None and until > view.now:
            moment = view.moment(until)
            yield say("manager.recovery.locked", repository=place, moment=moment)


def _against_limit(view: View, rto: Finding) -> str:
    if view.is_loosened(rto.system, "rto"):
        return say("manager.recovery.changed", limit=rto.promised)
    match rto.verdict:
        case Verdict.MET:
            return say("manager.recovery.within", limit=rto.promised)
        case Verdict.BREACHED:
            return say("manager.recovery.over", limit=rto.promised)
        case _:
            return say("manager.recovery.unproven", limit=rto.promised)


def _shortfalls(
    view: View, findings: tuple[Finding, ...], told: Finding | None
) -> tuple[Shortfall, ...]:
    """Return what is not kept or not proven; a recovery time that only lacks its test joins it."""
    open_findings = _open(view, findings)
    tests = [finding for finding in open_findings if finding.objective is Objective.RESTORE_TEST]
    joined = {
        (finding.repository, finding.verdict)
        for finding in open_findings
        if finding.objective is Objective.RTO and not finding.achieved
    } & {(finding.repository, finding.verdict) for finding in tests}
    return tuple(
        _shortfall(
            view,
            finding,
            told=finding is told,
            joined=finding in tests and (finding.repository, finding.verdict) in joined,
        )
        for finding in open_findings
        if finding.objective is not Objective.RTO
        or finding.achieved
        or (finding.repository, finding.verdict) not in joined
    )


def _shortfall(view: View, finding: Finding, *, told: bool, joined: bool) -> Shortfall:
    objective = objective_words(finding.objective)
    if joined:
        first = objective_words(Objective.RTO)
        objective = say("manager.short.joined", first=first, second=objective)
    if finding.repository and view.several_repositories:
        objective = say("manager.short.promise", objective=objective, repository=finding.repository)
    parts = [_why(view, finding, told=told), _when(view, finding)]
    return Shortfall(
        objective=objective,
        verdict=finding.verdict,
        verdict_words=_verdict_said(view, finding),
        text="; ".join(part for part in parts if part) or say("manager.short.told"),
    )


def _verdict_said(view: View, finding: Finding) -> str:
    """Return the verdict in words; `not proven yet` where it is not due, as `dro status` says."""
    words = verdict_words(finding.verdict)
    if finding.verdict is not Verdict.UNPROVEN or is_overdue(finding, view.now):
        return words
    return say("manager.short.yet", verdict=words)


def _why(view: View, finding: Finding, *, told: bool) -> str:
    listed_below = finding.objective is Objective.CORRECTIVE_ACTIONS and any(
        action.system == finding.system for action in open_actions(view)
    )
    return "" if told or listed_below else _reason(view, finding)


def _reason(view: View, finding: Finding) -> str:
    """Return why a promise is not kept, in words of the page."""
    if finding.objective is Objective.CORRECTIVE_ACTIONS:
        late = finding.verdict is Verdict.BREACHED
        return say("manager.short.actions_late" if late else "manager.short.actions_open")
    return view.plain(finding.reason).replace(
        say("manager.short.reasons_call_it"), say("manager.short.backup")
    )


def _when(view: View, finding: Finding) -> str:
    if finding.due is not None and finding.verdict is Verdict.UNPROVEN:
        moment = view.moment(finding.due)
        if finding.due > view.now:
            return say("manager.short.due", moment=moment)
        return say("manager.short.was_due", moment=moment)
    return say("manager.short.since", moment=view.moment(finding.since)) if finding.since else ""
