"""The one page a practice manager reads, as a pure function.

It puts into words what was judged and recorded; it reads no file, no clock and no settings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dr_orchestrator import __version__
from dr_orchestrator.core.wording import date_words, verdict_words
from dr_orchestrator.report.accepted import changed
from dr_orchestrator.report.compared import compared, loss, older_tests, trend
from dr_orchestrator.report.gaps import keys, not_covered
from dr_orchestrator.report.model import Note, Page, PrintSize
from dr_orchestrator.report.needs import needs
from dr_orchestrator.report.rehearsed import actions, rehearsals
from dr_orchestrator.report.room import ROOMS, Room, fits
from dr_orchestrator.report.say import say
from dr_orchestrator.report.signature import next_page, signature
from dr_orchestrator.report.subject import HEAD_SHOWN
from dr_orchestrator.report.verdict import summary, system_verdict
from dr_orchestrator.report.view import View
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from dr_orchestrator.report.subject import Subject


def build_page(subject: Subject) -> Page:
    """Return the page of one practice as it reads at `subject.now`.

    Recovery is never called kept unless the record holds a passed restore test that is young enough
    by the plan, whatever the findings say; nor is anything while less is promised than the practice
    accepted. What does not fit on one sheet is counted, not cut.
    """
    for room in ROOMS:
        page = _page(subject, room)
        if fits(page, page.print_size):
            break
    if fits(page, PrintSize.LARGE):
        page = replace(page, print_size=PrintSize.LARGE)
    return printable_parts(page)


def _page(subject: Subject, room: Room) -> Page:
    view = View(subject, room)
    verdict = view.practice_verdict
    changes, more_changes = changed(view)
    gaps, more_gaps = not_covered(view)
    to_do, more_to_do = actions(view)
    return Page(
        practice=view.plan.practice.id,
        name=view.plan.practice.name,
        notice=view.notice,
        made=date_words(view.now, view.zone),
        verdict=verdict,
        verdict_words=verdict_words(verdict),
        summary=summary(view),
        changed=changes,
        more_changed=more_changes,
        systems=tuple(system_verdict(view, system) for system in view.systems),
        losses=tuple(loss(view, system) for system in view.systems),
        compared=tuple(
            part for part in (compared(view, system) for system in view.systems) if part
        ),
        not_covered=gaps,
        more_not_covered=more_gaps,
        keys=keys(view),
        rehearsals=rehearsals(view),
        actions=to_do,
        more_actions=more_to_do,
        trend=trend(view),
        more_tests=older_tests(view),
        needs=needs(view),
        next_page=next_page(view),
        signature=signature(view),
        footer=_footer(view),
        print_size=PrintSize.SMALL if room.is_small else PrintSize.NORMAL,
    )


def _footer(view: View) -> tuple[Note, ...]:
    tested = [test for test in map(view.headline_test, view.systems) if test]
    points = tuple(dict.fromkeys(test.point for test in tested))
    return (
        Note(label=say("manager.footer.plan"), text=view.subject.plan_sha256[:HEAD_SHOWN]),
        Note(
            label=say("manager.footer.points" if len(points) > 1 else "manager.footer.point"),
            text=", ".join(points) or say("manager.footer.no_point"),
        ),
        Note(
            label=say("manager.footer.depth"),
            text=_depths([str(int(depth)) for depth in sorted({test.depth for test in tested})]),
        ),
        Note(label=say("manager.footer.evidence"), text=_evidence(view)),
        Note(label=say("manager.footer.rule"), text=say("manager.footer.rule_text")),
        Note(
            label=say("manager.footer.made"),
            text=say(
                "manager.footer.made_text",
                moment=view.moment(view.now),
                zone=view.zone.key,
                version=__version__,
            ),
        ),
    )


def _depths(levels: list[str]) -> str:
    if not levels:
        return say("manager.footer.no_depth")
    return say("manager.footer.depth_text", levels=say("manager.footer.depth_join").join(levels))


def _evidence(view: View) -> str:
    evidence = view.subject.evidence
    if not evidence.head:
        return say("manager.footer.no_evidence")
    return say(
        "manager.footer.evidence_text",
        number=f"{evidence.number:,}",
        code=evidence.head_shown,
        key=evidence.fingerprint,
    )
