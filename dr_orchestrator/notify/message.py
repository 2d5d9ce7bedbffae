"""What a person reads, and a program: made of sentences that are on record, and nothing else.

One message is about one practice and one system. It holds no patient data and no secret, because
none of its parts can: ids and titles of the plan, and the problem's own sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from dr_orchestrator.core.letter import Attachment
from dr_orchestrator.core.problem import Occasion, ProblemKind
from dr_orchestrator.core.wording import duration_words, instant_words, printable, sentence
from dr_orchestrator.notify.decision import Duty
from dr_orchestrator.plan.model import Plan

_HEADLINES = {
    ProblemKind.FAILURE: "failed",
    ProblemKind.BREACH: "promise not kept",
    ProblemKind.NEVER_STARTED: "not started",
    ProblemKind.TEST_OVERDUE: "not proven in time",
    ProblemKind.SUSPICIOUS: "suspicious",
    ProblemKind.UNDELIVERED: "somebody cannot be told",
    ProblemKind.SITE: "the machine that makes backups",
}
UNRECORDED = "unrecorded"
"""The id of the one problem that is on no record."""
_OCCASIONS = {
    Occasion.OPENED: "",
    Occasion.REMINDER: "still: ",
    Occasion.ESCALATION: "nobody answered: ",
    Occasion.RECOVERED: "over: ",
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one channel is told at once."""

    id: str
    """The same if it is ever sent twice."""
    subject: str
    """One line."""
    text: str
    facts: Mapping[str, Any]
    """The same for programs: of the first problem, where it is about several."""
    attachments: tuple[Attachment, ...] = ()
    """For e-mail alone."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Whom a message is about, and which machine it comes from."""

    site: str
    practice: str = ""
    """The id; empty where it is about the machine."""
    name: str = ""
    zone: tzinfo = UTC
    titles: Mapping[str, str]
    """System -> what it is called."""

    @classmethod
    def of(cls, plan: Plan, site: str) -> Sender:
        """Return the sender of what is about a practice."""
        return cls(
            site=site,
            practice=plan.practice.id,
            name=printable(plan.practice.name),
            zone=plan.practice.timezone,
            titles={name: printable(each.title) for name, each in plan.systems.items()},
        )


def messages(
    duties: Sequence[Duty], sender: Sender, now: datetime
) -> Iterator[tuple[tuple[Duty, ...], Message]]:
    """Yield what is sent, with what it tells; a machine is told of one problem at a time."""
    together: dict[tuple[str, ...], list[Duty]] = {}
    for duty in duties:
        problem = duty.problem
        single = problem.id if duty.channel.spec.webhook else ""
        group = (duty.channel.name, problem.problem.system, duty.occasion, single)
        together.setdefault(group, []).append(duty)
    for told in together.values():
        yield tuple(told), _message(told, sender, now)


def _message(told: Sequence[Duty], sender: Sender, now: datetime) -> Message:
    first = told[0]
    kinds = dict.fromkeys(_HEADLINES[duty.problem.problem.kind] for duty in told)
    system = first.problem.problem.system
    where = ": ".join(
        part
        for part in (sender.name or sender.site, sender.titles.get(system, "") or system)
        if part
    )
    subject = printable(f"{_OCCASIONS[first.occasion]}{where}: {' and '.join(kinds)}")
    parts = [_part(duty, sender, now) for duty in told]
    foot = f"{sender.name} ({sender.practice}), from {sender.site}" if sender.practice else ""
    text = "\n\n".join([*parts, foot or f"from {sender.site}"]) + "\n"
    number = f"{first.problem.id}-{first.occasion.value}-{first.number}"
    return Message(
        id=number,
        subject=subject,
        text=text,
        facts=_facts(first, sender, number) | {"subject": subject, "text": text},
    )


def _part(duty: Duty, sender: Sender, now: datetime) -> str:
    known, problem = duty.problem, duty.problem.problem
    lines = [sentence(printable(problem.what))]
    if problem.since:
        lines.append(f"Since {instant_words(problem.since, sender.zone)}.")
    if known.closed_at is not None:
        return "\n".join([*lines, f"Over since {instant_words(known.closed_at, sender.zone)}."])
    if duty.occasion is Occasion.ESCALATION:
        lines.append(f"Nobody acknowledged it for {duration_words(now - known.opened_at)}.")
    lines.append(f"Do now: {printable(problem.next)}.")
    if known.id != UNRECORDED:
        lines.append(f"Say that you look after it: dro ack {known.id}")
    return "\n".join(lines)


def _facts(duty: Duty, sender: Sender, number: str) -> dict[str, Any]:
    known, problem = duty.problem, duty.problem.problem
    return {
        "schema": 1,
        "message": number,
        "occasion": duty.occasion.value,
        "site": sender.site,
        "practice": {"id": sender.practice, "name": sender.name},
        "problem": {
            "id": known.id,
            "key": problem.key,
            "kind": problem.kind.value,
            "system": problem.system,
            "title": sender.titles.get(problem.system, ""),
            "what": printable(problem.what),
            "next": printable(problem.next),
            "since": _iso(problem.since),
            "opened_at": _iso(known.opened_at),
            "acknowledged_at": _iso(known.acknowledged_at),
            "closed_at": _iso(known.closed_at),
        },
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).isoformat() if instant else None
