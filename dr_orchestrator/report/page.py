"""The one page a practice manager reads, as a pure function.

It puts into words what was judged and recorded; it reads no file, no clock and no settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator import __version__
from dr_orchestrator.core.finding import worst
from dr_orchestrator.core.wording import date_words, verdict_words
from dr_orchestrator.report.evidence import compared, loss, trend
from dr_orchestrator.report.gaps import keys, not_covered
from dr_orchestrator.report.model import Note, Page
from dr_orchestrator.report.needs import needs
from dr_orchestrator.report.verdict import summary, system_verdict
from dr_orchestrator.report.view import View
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.core.finding import Finding
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.plan.model import Plan

_SHA_SHOWN = 12
_RULE = (
    "US Code of Federal Regulations, title 45 (45 CFR), 164.308(a)(7)(ii): (A) data backup, "
    "(B) disaster recovery, (D) testing and revision"
)


def build_page(
    plan: Plan,
    findings: tuple[Finding, ...],
    record: PracticeRecord,
    now: datetime,
    *,
    plan_sha256: str,
) -> Page:
    """Return the page of one practice as it reads at `now` (aware).

    Recovery is never called kept unless `record` holds a passed restore test that is young enough
    by the plan, whatever `findings` say.
    """
    view = View(plan=plan, given=findings, record=record, now=now)
    verdict = worst(tuple(view.verdict(system) for system in view.systems))
    page = Page(
        practice=plan.practice.id,
        name=plan.practice.name,
        made=date_words(now, view.zone),
        verdict=verdict,
        verdict_words=verdict_words(verdict),
        summary=summary(view),
        systems=tuple(system_verdict(view, system) for system in view.systems),
        losses=tuple(loss(view, system) for system in view.systems),
        compared=tuple(
            part for part in (compared(view, system) for system in view.systems) if part
        ),
        not_covered=not_covered(view),
        keys=keys(view),
        trend=trend(view),
        needs=needs(view),
        footer=_footer(view, plan_sha256),
    )
    return printable_parts(page)


def _footer(view: View, plan_sha256: str) -> tuple[Note, ...]:
    tested = [test for test in map(view.headline_test, view.systems) if test]
    points = tuple(dict.fromkeys(test.point for test in tested))
    depths = [str(int(depth)) for depth in sorted({test.depth for test in tested})]
    return (
        Note(label="Plan version", text=plan_sha256[:_SHA_SHOWN]),
        Note(
            label="Tested recovery points" if len(points) > 1 else "Tested recovery point",
            text=", ".join(points) or "none",
        ),
        Note(
            label="Depth reached",
            text=f"level {' and '.join(depths)} of 5" if depths else "nothing was restored",
        ),
        Note(label="Rule this speaks to", text=_RULE),
        Note(
            label="Made",
            text=f"{view.moment(view.now)} (times: {view.zone.key}) "
            f"by dr-orchestrator {__version__}; holds no patient data",
        ),
    )
