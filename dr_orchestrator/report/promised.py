"""What was promised and when that changed, who accepted it, and what is being put right."""

from __future__ import annotations

from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from dr_orchestrator.core.promise import Direction
from dr_orchestrator.core.wording import duration_words, printable, sentence
from dr_orchestrator.report.document import Cell, Fact, Facts, Paragraph, Section, Table, Tone
from dr_orchestrator.report.exact import columns, row, shortened
from dr_orchestrator.report.say import count, say
from dr_orchestrator.report.subject import HEAD_SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.core.promise import PromiseChange, PromiseMade
    from dr_orchestrator.core.sign_off import CorrectiveAction, SignOff
    from dr_orchestrator.report.exact import Exact

_SHOWN_FOR = timedelta(days=396)


def promise_section(exact: Exact) -> Section:
    """Return the versions of the plan's promise, and each change field by field."""
    return Section(
        id="promise",
        title=say("auditor.promise.title"),
        blocks=(
            Paragraph(text=say("auditor.promise.explained")),
            Table(
                caption=say("auditor.versions.title"),
                columns=columns(
                    "auditor.versions",
                    "#number",
                    ("since", 2),
                    ("by", 3),
                    ("changes", 2),
                    ("accepted", 4),
                ),
                rows=tuple(
                    _version(exact, index, each)
                    for index, each in enumerate(exact.subject.record.promises)
                ),
                empty=say("auditor.versions.none"),
            ),
            Table(
                caption=say("auditor.changes.title"),
                columns=columns(
                    "auditor.changes",
                    "#version",
                    ("field", 4),
                    ("before", 3),
                    ("after", 3),
                    ("direction", 2),
                    ("accepted", 2),
                ),
                rows=tuple(_changes(exact)),
                empty=say("auditor.changes.none"),
            ),
        ),
    )


def _version(exact: Exact, index: int, promise: PromiseMade) -> tuple[Cell, ...]:
    loosened = len(promise.loosened)
    return row(
        str(index + 1),
        exact.at(promise.at),
        Cell(text=printable(promise.by), detail=printable(promise.known_by)),
        Cell(
            text=count("auditor.versions.changed", len(promise.changes))
            if index
            else say("auditor.versions.first"),
            tone=Tone.BAD if loosened else Tone.PLAIN,
            detail=count("auditor.versions.loosened", loosened) if loosened else "",
        ),
        _accepted(exact, exact.accepted(index)),
    )


def _accepted(exact: Exact, signed: SignOff | None) -> Cell:
    if signed is None:
        return Cell(text=say("auditor.versions.not_accepted"), tone=Tone.OPEN)
    return Cell(
        text=say(
            "auditor.versions.accepted",
            name=printable(signed.name),
            role=printable(signed.role),
            at=exact.at(signed.at),
        ),
        detail=exact.given(signed.how, signed.recorded_by),
    )


def _changes(exact: Exact) -> Iterator[tuple[Cell, ...]]:
    """Yield the changes of the last 13 months, and older ones that nobody accepted."""
    for index, promise in enumerate(exact.subject.record.promises):
        signed = exact.accepted(index)
        if signed is None or exact.subject.now - promise.at <= _SHOWN_FOR:
            for change in promise.changes:
                yield _change(index, change, accepted=signed is not None)


def _change(index: int, change: PromiseChange, *, accepted: bool) -> tuple[Cell, ...]:
    is_less = change.direction is Direction.LOOSENED
    return row(
        str(index + 1),
        printable(change.field),
        shortened(change.before) or say("auditor.changes.nothing"),
        shortened(change.after) or say("auditor.changes.nothing"),
        Cell(
            text=say(f"auditor.changes.{change.direction.value}"),
            tone=Tone.BAD if is_less else Tone.PLAIN,
        ),
        Cell(
            text=say(f"auditor.changes.{'accepted' if accepted else 'not_accepted'}"),
            tone=Tone.PLAIN if accepted else Tone.OPEN,
        ),
    )


def sign_offs_section(exact: Exact) -> Section:
    """Return who certified what, when, and how that was given."""
    return Section(
        id="sign-offs",
        title=say("auditor.sign_offs.title"),
        blocks=(
            Paragraph(text=say("auditor.sign_offs.explained")),
            Table(
                caption=say("auditor.sign_offs.table"),
                columns=columns(
                    "auditor.sign_offs",
                    ("when", 2),
                    ("who", 2),
                    ("how", 4),
                    ("shown", 3),
                    ("hashes", 4),
                ),
                rows=tuple(
                    _signed(exact, each) for each in reversed(exact.subject.record.sign_offs)
                ),
                empty=say("auditor.sign_offs.none"),
            ),
        ),
    )


def _signed(exact: Exact, signed: SignOff) -> tuple[Cell, ...]:
    places = {each.id: at for at, each in enumerate(exact.subject.record.promises, 1)}
    version = places.get(signed.promise)
    return row(
        exact.at(signed.at),
        Cell(
            text=printable(signed.name),
            detail=printable(signed.role)
            if signed in exact.view.sign_offs
            else say("auditor.sign_offs.does_not_count", role=printable(signed.role)),
        ),
        exact.given(signed.how, signed.recorded_by),
        Cell(
            text=say(
                "auditor.sign_offs.line", number=f"{signed.number:,}", head=signed.head[:HEAD_SHOWN]
            ),
            detail=say("auditor.sign_offs.version", n=version) if version else "",
        ),
        Cell(
            text=say("auditor.sign_offs.statement", sha256=signed.statement_sha256[:HEAD_SHOWN]),
            detail=_proof(signed),
        ),
    )


def _proof(signed: SignOff) -> str:
    if signed.key:
        return say("auditor.sign_offs.key", fingerprint=printable(signed.key))
    if signed.document_sha256:
        return say("auditor.sign_offs.document", sha256=signed.document_sha256[:HEAD_SHOWN])
    return ""


def actions_section(exact: Exact) -> Section:
    """Return what had to be put right after a test, by whom, and whether it was in time."""
    now = exact.subject.now
    actions = exact.subject.record.actions
    shown = [
        each
        for each in reversed(actions)
        if each.closed_at is None or now - each.closed_at <= _SHOWN_FOR
    ]
    return Section(
        id="actions",
        title=say("auditor.actions.title"),
        blocks=(
            Facts(facts=action_facts(exact)),
            Table(
                caption=say("auditor.actions.table"),
                columns=columns(
                    "auditor.actions",
                    ("opened", 2),
                    ("what", 5),
                    ("owner", 2),
                    ("due", 2),
                    ("state", 4),
                    ("id", 3),
                ),
                rows=tuple(_action(exact, each) for each in shown),
                empty=say("auditor.actions.none"),
            ),
        ),
    )


def action_facts(exact: Exact) -> tuple[Fact, ...]:
    """Return how many corrective actions are open and overdue, and how long they usually take."""
    now, actions = exact.subject.now, exact.subject.record.actions
    late = sum(1 for each in actions if each.is_open and each.due < now)
    still = sum(1 for each in actions if each.is_open)
    took = [(each.closed_at - each.opened_at).total_seconds() for each in actions if each.closed_at]
    return (
        Fact(label=say("auditor.actions.open"), text=f"{still:,}"),
        Fact(
            label=say("auditor.actions.overdue"),
            text=f"{late:,}",
            tone=Tone.BAD if late else Tone.PLAIN,
        ),
        Fact(
            label=say("auditor.actions.median"),
            text=duration_words(timedelta(seconds=median(took)))
            if took
            else say("auditor.actions.none_closed"),
        ),
    )


def _action(exact: Exact, action: CorrectiveAction) -> tuple[Cell, ...]:
    return row(
        exact.at(action.opened_at),
        Cell(text=sentence(printable(action.what)), detail=printable(action.cause)),
        exact.who(action.owner),
        exact.at(action.due),
        _state(exact, action),
        Cell(
            text=action.id,
            detail=say("auditor.actions.of", test=action.test) if action.test else "",
        ),
    )


def _state(exact: Exact, action: CorrectiveAction) -> Cell:
    if action.closed_at is None:
        late = action.due < exact.subject.now
        return Cell(
            text=say(f"auditor.actions.{'is_overdue' if late else 'is_open'}"),
            tone=Tone.BAD if late else Tone.OPEN,
        )
    late = action.closed_at > action.due
    return Cell(
        text=say(
            f"auditor.actions.{'closed_late' if late else 'closed'}",
            at=exact.at(action.closed_at),
            by=printable(action.closed_by) or say("auditor.actions.itself"),
        ),
        tone=Tone.OPEN if late else Tone.GOOD,
        detail=sentence(printable(action.done)),
    )
