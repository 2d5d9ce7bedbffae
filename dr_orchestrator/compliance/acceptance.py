"""Acceptance: what is promised is not less than what the practice accepted.

Whoever looks after a practice may edit its plan. Less may be promised, but not in silence: until
the practice signs, it is not proven that what it relies on is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from dr_orchestrator.compliance.case import Case
from dr_orchestrator.compliance.promise import (
    NotAccepted,
    accepted_version,
    certifications,
    not_accepted,
)
from dr_orchestrator.compliance.promised_field import change_words
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.wording import count_words, printable
from dr_orchestrator.plan.model import IMPORTANCES, Plan

TIME_TO_SIGN = timedelta(days=14)
_SHOWN = 2


def judge_acceptance(case: Case, record: PracticeRecord) -> Iterator[Finding]:
    """Judge what changed of a system's promise; with the most important system, what changed of the
    practice's, and of systems that are not protected any more.

    Nothing is judged before anything was signed, or loosened.
    """
    loosened = tuple(each for each in not_accepted(record) if _where(case, each) == case.name)
    accepted = accepted_version(record)
    if loosened:
        since = min(each.since for each in loosened)
        yield case.finding(
            Objective.ACCEPTANCE,
            Verdict.UNPROVEN,
            promised="not less than accepted",
            achieved=f"{count_words(len(loosened), 'change')} not accepted",
            reason=_reason(case, loosened),
            since=since,
            due=since + TIME_TO_SIGN,
        )
    elif accepted is not None:
        given = certifications(record)
        signed = max(each.at for each in given if each.promise == accepted.id)
        yield case.finding(
            Objective.ACCEPTANCE,
            Verdict.MET,
            promised="not less than accepted",
            achieved=f"accepted {case.at(signed)}",
            reason="nothing that the practice accepted was loosened since",
        )


def most_important(plan: Plan) -> str:
    """Return the protected system that findings on the whole practice stand with."""
    systems = plan.protected
    return min(systems, key=lambda name: IMPORTANCES.index(systems[name].importance))


def _where(case: Case, each: NotAccepted) -> str:
    return each.system if each.system in case.plan.protected else most_important(case.plan)


def _reason(case: Case, loosened: tuple[NotAccepted, ...]) -> str:
    shown = "; ".join(_words(case, each) for each in loosened[:_SHOWN])
    more = len(loosened) - _SHOWN
    and_more = f"; and {count_words(more, 'more change')}" if more > 0 else ""
    return f"{shown}{and_more}; not accepted by the practice"


def _words(case: Case, each: NotAccepted) -> str:
    whose = ""
    if each.system != case.name:
        whose = f"system {each.system}: " if each.system else "for the whole practice, "
    if not each.made.is_on_record:
        return f"{whose}{change_words(each.change)}, which is not on record yet"
    by = f", by {printable(each.made.by)}" if each.made.by else ""
    return f"{whose}{change_words(each.change)} on {case.at(each.made.at)}{by}"
