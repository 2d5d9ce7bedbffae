"""What an insurer gets: the questions that they ask, answered from the record. What the record does
not know is said to be unknown; nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.wording import duration_words, printable, verdict_words
from dr_orchestrator.report.auditor import footer
from dr_orchestrator.report.controls import ids, judged_by, reason
from dr_orchestrator.report.document import Cell, Document, Facts, Paragraph, Section, Table, Tone
from dr_orchestrator.report.exact import TONES, Exact, columns, row
from dr_orchestrator.report.places import coverage, repositories, verify_section
from dr_orchestrator.report.promised import action_facts
from dr_orchestrator.report.say import say
from dr_orchestrator.report.tested import incidents, last_tests
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Retention
    from dr_orchestrator.policies.model import Judged
    from dr_orchestrator.report.subject import Subject

_QUESTIONS = "insurer-common"


def insurer_document(subject: Subject) -> Document:
    """Return the insurer's report."""
    exact = Exact(subject)
    policy, judged = judged_by(exact, _QUESTIONS)
    counted = Counter(each.verdict for each in judged)
    document = Document(
        reader="insurer",
        practice=subject.plan.practice.id,
        name=subject.plan.practice.name,
        title=say("insurer.title"),
        made=exact.at(subject.now),
        verdict=exact.verdict,
        verdict_words=say(f"auditor.badge.{exact.verdict.value}"),
        summary=say(
            "insurer.summary",
            total=len(judged),
            met=counted[Verdict.MET],
            breached=counted[Verdict.BREACHED],
            unproven=counted[Verdict.UNPROVEN],
        ),
        sections=(
            Section(
                id="answers",
                title=say("insurer.answers.title"),
                blocks=(
                    Paragraph(text=policy.note),
                    _answers(exact, judged),
                    Paragraph(text=say("auditor.controls.source", source=policy.source)),
                ),
            ),
            Section(
                id="objectives", title=say("insurer.objectives.title"), blocks=(_objectives(exact),)
            ),
            Section(
                id="tests",
                title=say("insurer.tests.title"),
                blocks=(
                    Paragraph(text=say("auditor.tests.explained")),
                    last_tests(exact),
                    Facts(facts=action_facts(exact)),
                ),
            ),
            Section(id="coverage", title=say("insurer.coverage.title"), blocks=(coverage(exact),)),
            Section(
                id="backups",
                title=say("insurer.backups.title"),
                blocks=(_schedules(exact), repositories(exact)),
            ),
            Section(
                id="incidents", title=say("insurer.incidents.title"), blocks=(incidents(exact),)
            ),
            verify_section(exact),
        ),
        footer=footer(exact),
        head=subject.evidence.head_shown,
        notice=exact.view.notice,
    )
    return printable_parts(document)


def _answers(exact: Exact, judged: tuple[Judged, ...]) -> Table:
    return Table(
        caption=say("insurer.answers.table"),
        columns=columns(
            "insurer.answers", ("question", 7), ("answer", 3), ("shown", 8), ("date", 4), ("id", 6)
        ),
        rows=tuple(
            row(
                Cell(text=each.control.title, detail=each.control.citation),
                _answer(each),
                reason(exact, each.found),
                exact.at(each.found.since) or say("insurer.answers.no_date"),
                ids(each.found.records) or say("insurer.answers.no_id"),
            )
            for each in judged
        ),
        empty="",
    )


def _answer(judged: Judged) -> Cell:
    """Return yes, no or that it is not known: questions are not promises, so none is `kept`."""
    verdict = judged.verdict
    return Cell(text=say(f"insurer.answer.{verdict.value}"), tone=TONES[verdict])


def _objectives(exact: Exact) -> Table:
    return Table(
        caption=say("insurer.objectives.table"),
        columns=columns(
            "insurer.objectives",
            ("system", 3),
            ("what", 3),
            ("promised", 2),
            ("shown", 5),
            ("verdict", 2),
        ),
        rows=tuple(
            row(
                exact.view.title(each.system),
                Cell(
                    text=say(f"insurer.objectives.{each.objective.value}"),
                    detail=each.repository or "",
                ),
                each.promised,
                Cell(text=each.achieved or say("insurer.objectives.unknown"), detail=each.reason),
                Cell(text=verdict_words(each.verdict), tone=TONES[each.verdict]),
            )
            for each in exact.view.findings
            if each.objective in {Objective.RTO, Objective.RPO}
        ),
        empty=say("controls.nothing_protected"),
    )


def _schedules(exact: Exact) -> Table:
    return Table(
        caption=say("insurer.schedules.table"),
        columns=columns(
            "insurer.schedules",
            ("system", 3),
            ("backup", 3),
            ("copied", 3),
            ("kept", 5),
            ("tests", 4),
        ),
        rows=tuple(
            row(
                exact.view.title(name),
                Cell(text=str(system.backup.schedule), detail=", ".join(system.backup.to)),
                ", ".join(system.backup.copy_to)
                or Cell(text=say("insurer.schedules.not_copied"), tone=Tone.OPEN),
                _kept(system.retention),
                "; ".join(
                    say(
                        "insurer.schedules.test",
                        schedule=str(test.schedule),
                        repository=printable(test.from_),
                        every=duration_words(test.prove_every),
                    )
                    for test in system.restore_tests
                ),
            )
            for name, system in exact.plan.protected.items()
        ),
        empty=say("controls.nothing_protected"),
    )


def _kept(retention: Retention) -> str:
    return ", ".join(
        say(f"insurer.schedules.kept.{name}", number=number)
        for name, number in retention.model_dump().items()
        if number
    )
