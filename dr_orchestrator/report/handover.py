"""The page that both sides sign when a practice goes to another machine. Pure.

It says where secrets are, never what they are; and it makes nothing better than it is: what is open
goes along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Finding, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import date_words, objective_words, printable, verdict_words
from dr_orchestrator.report.document import (
    Cell,
    Document,
    Fact,
    Facts,
    Paragraph,
    Section,
    Table,
    Tone,
)
from dr_orchestrator.report.exact import TONES, Exact, columns, row
from dr_orchestrator.report.gaps import not_covered
from dr_orchestrator.report.places import custody_section
from dr_orchestrator.report.say import say
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dr_orchestrator.core.problem import OpenProblem
    from dr_orchestrator.plan.credentials import Credential
    from dr_orchestrator.report.subject import Subject

_SIDES = ("giver", "taker", "practice")
_FILES = {
    "plan": "plan.yaml",
    "runbooks": "runbooks/, packs/",
    "kit": "kit/",
    "evidence": "evidence.zip",
    "record": "record.jsonl",
    "handover": "handover.json",
}
_FILES_KEY = "files.key"
_EFFECTIVE = "effective-plan.yaml"
_SHOWN = 3
"""Objectives of a system that are told one by one."""


@dataclass(frozen=True, kw_only=True)
class Handover:
    """Who hands what over to whom, and what goes along that no report holds."""

    at: datetime
    by: str
    to: str
    why: str
    host: str
    chain: str
    number: int
    head: str
    fingerprint: str
    credentials: tuple[Credential, ...]
    """What the plan refers to."""
    of_machine: tuple[Credential, ...]
    """What the settings of the giver's machine refer to."""
    problems: tuple[OpenProblem, ...]
    notes: tuple[str, ...]


def handover_document(subject: Subject, handover: Handover) -> Document:
    """Return the page; `subject` is the practice as it stood when it was handed over."""
    return printable_parts(_Page(subject, handover).document())


def handover_text(subject: Subject, handover: Handover) -> str:
    """Return the text that lies beside it, for whoever opens the folder."""
    practice = subject.plan.practice
    return say(
        "handover.readme.text",
        name=printable(practice.name),
        practice=practice.id,
        to=printable(handover.to),
        day=date_words(handover.at, practice.timezone),
        file=_FILES_KEY,
        number=f"{handover.number:,}",
        chain=handover.chain,
        head=handover.head,
    ).lstrip()


class _Page:
    """One making of the page."""

    def __init__(self, subject: Subject, handover: Handover) -> None:
        self._at = subject
        self._over = handover
        self._exact = Exact(subject)
        self._view = self._exact.view

    def document(self) -> Document:
        practice, over = self._at.plan.practice, self._over
        verdict = self._exact.verdict
        return Document(
            reader="handover",
            practice=practice.id,
            name=practice.name,
            title=say("handover.title"),
            made=self._exact.at(self._at.now),
            verdict=verdict,
            verdict_words=verdict_words(verdict),
            summary=" ".join(self._summary()),
            sections=(
                self._standing(),
                self._open(),
                self._gaps(),
                self._keys(),
                self._revoke(),
                self._folder(),
                self._sign(),
            ),
            footer=(
                Fact(label=say("handover.footer.practice"), text=practice.id),
                Fact(label=say("handover.footer.plan"), text=self._at.plan_sha256),
                Fact(label=say("handover.footer.chain"), text=over.chain),
                Fact(label=say("handover.footer.host"), text=over.host),
            ),
            head=over.head[:12],
            notice=say("handover.altered") if self._view.is_altered else "",
        )

    def _summary(self) -> Iterator[str]:
        over = self._over
        yield say(
            "handover.summary",
            name=self._at.plan.practice.name,
            to=over.to,
            day=self._day(over.at),
            host=over.host,
            by=over.by,
        )
        if over.why:
            yield say("handover.why", why=over.why.rstrip("."))

    def _standing(self) -> Section:
        table = Table(
            caption=say("handover.standing.table"),
            columns=columns(
                "handover.standing", ("system", 2), ("verdict", 2), ("why", 4), ("tested", 2)
            ),
            rows=tuple(map(self._system, self._view.systems)),
            empty=say("handover.standing.empty"),
        )
        return Section(id="standing", title=say("handover.standing.title"), blocks=(table,))

    def _system(self, system: str) -> tuple[Cell, ...]:
        verdict = self._view.verdict(system)
        wanting = [
            each for each in self._view.findings_of(system) if each.verdict is not Verdict.MET
        ]
        said = [_short(each) for each in wanting[:_SHOWN]]
        if len(wanting) > _SHOWN:
            said.append(say("handover.standing.more", n=len(wanting) - _SHOWN))
        passed = [each for each in self._view.tests(system) if each.result is Result.PASSED]
        return row(
            self._view.title(system),
            Cell(text=verdict_words(verdict), tone=TONES[verdict]),
            "; ".join(said) or say("handover.standing.kept"),
            self._day(passed[-1].finished_at) if passed else say("handover.standing.no_test"),
        )

    def _open(self) -> Section:
        found = tuple(self._open_facts())
        nothing = Fact(
            label=say("handover.open.nothing"),
            text=say("handover.open.nothing_text"),
            tone=Tone.GOOD,
        )
        facts = Facts(facts=found or (nothing,))
        return Section(id="open", title=say("handover.open.title"), blocks=(facts,))

    def _open_facts(self) -> Iterator[Fact]:
        record, now = self._at.record, self._at.now
        for action in sorted(record.actions, key=lambda each: each.due):
            if action.is_open:
                text = say(
                    "handover.open.action_text",
                    what=action.what,
                    owner=self._view.person(action.owner),
                )
                yield self._fact("action", text, action.due, late=action.due <= now)
        for problem in self._over.problems:
            since = problem.problem.since or problem.opened_at
            yield self._fact("problem", problem.problem.what, since, late=True)
        for pause in record.pauses.values():
            if not pause.is_over(now):
                what = self._view.title(pause.system) if pause.system else ""
                text = say(
                    "handover.open.paused_text",
                    what=what or say("handover.open.everything"),
                    why=pause.why,
                    by=pause.by,
                )
                yield self._fact("paused", text, pause.until)
        for hold in record.holds.values():
            text = say("handover.open.held_text", point=hold.point, why=hold.why, by=hold.by)
            yield Fact(label=say("handover.open.held"), text=text)
        for repository, frozen in record.frozen.items():
            label = say("handover.open.frozen", repository=repository)
            yield Fact(label=label, text=frozen.why, tone=Tone.OPEN)
        for note in self._over.notes:
            yield Fact(label=say("handover.open.note"), text=note, tone=Tone.OPEN)

    def _fact(self, kind: str, text: str, at: datetime, *, late: bool = False) -> Fact:
        label = say(f"handover.open.{kind}", day=self._day(at))
        return Fact(label=label, text=text, tone=Tone.BAD if late else Tone.OPEN)

    def _gaps(self) -> Section:
        notes, _ = not_covered(self._view)
        facts = tuple(Fact(label=each.label, text=each.text) for each in notes)
        nothing = Fact(label=say("handover.gaps.nothing"), text=say("handover.gaps.nothing_text"))
        block = Facts(facts=facts or (nothing,))
        return Section(id="gaps", title=say("handover.gaps.title"), blocks=(block,))

    def _keys(self) -> Section:
        custody = custody_section(self._exact)
        rows = tuple(
            row(
                each.key[:8],
                each.repository,
                self._exact.who(each.holder) if each.holder else say("handover.keys.nobody"),
                Cell(text=self._day(each.made_at), detail=each.form),
            )
            for each in self._at.record.keys
            if not each.is_revoked
        )
        table = Table(
            caption=say("handover.keys.table"),
            columns=columns("handover.keys", "key", ("repository", 2), ("holder", 2), ("made", 2)),
            rows=rows,
            empty=say("handover.keys.empty"),
        )
        warning = Paragraph(text=say("handover.keys.master"), tone=Tone.OPEN)
        return Section(id="custody", title=custody.title, blocks=(*custody.blocks, table, warning))

    def _revoke(self) -> Section:
        over = self._over
        names = dict.fromkeys(f"{each.field} ({each.where})" for each in over.of_machine)
        return Section(
            id="revoke",
            title=say("handover.revoke.title"),
            blocks=(
                Paragraph(text=say("handover.revoke.explained")),
                Table(
                    caption=say("handover.revoke.table"),
                    columns=columns("handover.revoke", ("field", 4), ("where", 4), ("done", 2)),
                    rows=tuple(row(each.field, each.where, "") for each in over.credentials),
                    empty=say("handover.revoke.empty"),
                ),
                Paragraph(
                    text=say(
                        "handover.revoke.machine",
                        names=", ".join(names) or say("handover.revoke.none"),
                    )
                ),
            ),
        )

    def _folder(self) -> Section:
        values = {"file": _FILES["evidence"], "effective": _EFFECTIVE}
        facts = tuple(
            Fact(label=file, text=say(f"handover.folder.{name}", **values))
            for name, file in _FILES.items()
        )
        secret = Paragraph(text=say("handover.confidential", file=_FILES_KEY), tone=Tone.OPEN)
        return Section(
            id="folder",
            title=say("handover.folder.title"),
            blocks=(Facts(facts=facts), secret),
        )

    def _sign(self) -> Section:
        over = self._over
        head = say("handover.sign.head", number=f"{over.number:,}")
        return Section(
            id="sign",
            title=say("handover.sign.title"),
            blocks=(
                Paragraph(text=say("handover.sign.statement")),
                Facts(
                    facts=(
                        Fact(label=head, text=over.head),
                        Fact(label=say("handover.sign.key"), text=over.fingerprint),
                    )
                ),
                Table(
                    caption=say("handover.sign.table"),
                    columns=columns(
                        "handover.sign", ("side", 2), ("name", 3), ("date", 2), ("signature", 4)
                    ),
                    rows=tuple(
                        row(Cell(text=say(f"handover.sign.{side}"), detail=who), "", "", "")
                        for side, who in zip(
                            _SIDES, (over.by, over.to, self._at.plan.practice.name), strict=True
                        )
                    ),
                    empty="",
                ),
            ),
        )

    def _day(self, at: datetime) -> str:
        return date_words(at, self._at.plan.practice.timezone)


def _short(finding: Finding) -> str:
    words = objective_words(finding.objective)
    where = f" ({finding.repository})" if finding.repository else ""
    return f"{words}{where}: {finding.reason}" if finding.reason else f"{words}{where}"
