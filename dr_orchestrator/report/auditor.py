"""What an auditor gets: every rule with what the record shows of it, and all that this rests on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.report.controls import judged_by, matrix
from dr_orchestrator.report.document import Document, Fact, Paragraph, Section, Tone
from dr_orchestrator.report.exact import Exact
from dr_orchestrator.report.places import (
    coverage,
    custody_section,
    evidence_section,
    places_section,
    verify_section,
)
from dr_orchestrator.report.promised import actions_section, promise_section, sign_offs_section
from dr_orchestrator.report.say import say
from dr_orchestrator.report.tested import calendar_section, exercises_section, last_tests
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.report.document import Table
    from dr_orchestrator.report.subject import Subject


def auditor_document(subject: Subject) -> Document:
    """Return the auditor's report."""
    exact = Exact(subject)
    judged = [judged_by(exact, name) for name in dict.fromkeys(subject.plan.policies)]
    counted = Counter(
        each.verdict for policy, controls in judged for each in controls if policy.is_law
    )
    document = Document(
        reader="auditor",
        practice=subject.plan.practice.id,
        name=subject.plan.practice.name,
        title=say("auditor.title"),
        made=exact.at(subject.now),
        verdict=exact.verdict,
        verdict_words=say(f"auditor.badge.{exact.verdict.value}"),
        summary=" ".join(_summary(exact, counted)),
        sections=(
            Section(id="scope", title=say("auditor.scope.title"), blocks=_scope(exact)),
            *(
                Section(
                    id=policy.id,
                    title=policy.title,
                    blocks=(
                        *_mark(policy.standing, is_law=policy.is_law),
                        matrix(exact, policy, controls),
                        Paragraph(text=say("auditor.controls.note", note=policy.note)),
                        Paragraph(text=say("auditor.controls.source", source=policy.source)),
                    ),
                )
                for policy, controls in judged
            ),
            calendar_section(exact),
            Section(id="tests", title=say("auditor.tests.heading"), blocks=_tests(exact)),
            exercises_section(exact),
            promise_section(exact),
            sign_offs_section(exact),
            actions_section(exact),
            places_section(exact),
            custody_section(exact),
            evidence_section(exact),
            verify_section(exact),
        ),
        footer=footer(exact),
        head=subject.evidence.head_shown,
        notice=exact.view.notice,
    )
    return printable_parts(document)


def _summary(exact: Exact, counted: Counter[Verdict]) -> Iterator[str]:
    yield say(f"auditor.summary.{exact.verdict.value}")
    if counted:
        yield say(
            "auditor.summary.controls",
            total=counted.total(),
            met=counted[Verdict.MET],
            breached=counted[Verdict.BREACHED],
            unproven=counted[Verdict.UNPROVEN],
        )


def _scope(exact: Exact) -> tuple[Paragraph | Table, ...]:
    return (Paragraph(text=say("auditor.scope.explained")), coverage(exact))


def _mark(standing: str, *, is_law: bool) -> tuple[Paragraph, ...]:
    if is_law:
        return ()
    return (Paragraph(text=say("auditor.controls.mark", standing=standing), tone=Tone.OPEN),)


def _tests(exact: Exact) -> tuple[Paragraph | Table, ...]:
    return (Paragraph(text=say("auditor.tests.explained")), last_tests(exact))


def footer(exact: Exact) -> tuple[Fact, ...]:
    """Return by what a report can be told from another one."""
    promises = exact.subject.record.promises
    facts = {
        "practice": exact.plan.practice.id,
        "promise": str(len(promises)) if promises else say("auditor.versions.none"),
        "plan": exact.subject.plan_sha256,
        "head": exact.subject.evidence.head or say("auditor.evidence.none"),
    }
    return tuple(
        Fact(label=say(f"auditor.footer.{name}"), text=text) for name, text in facts.items()
    )
