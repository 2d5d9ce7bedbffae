"""What the practice accepted, and what it did not: changes by which less is promised, and systems
that nobody protects.

A word in the plan is the word of whoever edits the plan. Here only what was signed counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from dr_orchestrator.core.sign_off import HowGiven
from dr_orchestrator.core.wording import duration_phrase
from dr_orchestrator.plan.model import NotProtected
from dr_orchestrator.plan.quantity import parse_duration
from dr_orchestrator.report.model import Note
from dr_orchestrator.report.say import all_texts, count, say

if TYPE_CHECKING:
    from dr_orchestrator.compliance.promise import NotAccepted
    from dr_orchestrator.core.promise import PromiseMade
    from dr_orchestrator.core.sign_off import SignOff
    from dr_orchestrator.report.view import View

_SHORT = 48
"""Signs of a value that still says something to a manager; a longer one is a query or a list."""
_COVERED = frozenset({"", "attest"})
_OF = "manager.changed.of."
_IN_BRACKETS = re.compile(r"\[(.*)\]")


def changed(view: View) -> tuple[tuple[Note, ...], str]:
    """Return what promises less than the practice accepted, changed when and by whom, and how much
    more there is than room.
    """
    groups: dict[tuple[str, str, str], list[NotAccepted]] = {}
    for each in view.loosened:
        groups.setdefault((each.system, _kind(each), each.made.id), []).append(each)
    in_order = sorted(groups.items(), key=lambda item: _kinds().index(item[0][1]))
    notes = [_note(view, system, kind, tuple(group)) for (system, kind, _), group in in_order]
    shown = notes[: view.room.changes]
    left_out = len(notes) - len(shown)
    return tuple(shown), count("manager.changed.more", left_out) if left_out else ""


def _note(view: View, system: str, kind: str, group: tuple[NotAccepted, ...]) -> Note:
    what = _what(kind, group)
    title = view.title(system) if system else say("manager.changed.practice")
    made = group[0].made
    by = made.by or say("manager.changed.nobody_known")
    when = {"day": view.day(made.at), "who": by}
    label = say("manager.changed.label", system=title, what=what)
    if len(group) > 1:
        return Note(label=label, text=count("manager.changed.several", len(group), **when))
    before, after = (_value(text) for text in (group[0].change.before, group[0].change.after))
    if max(len(before), len(after)) > _SHORT or not (before or after):
        return Note(label=label, text=say("manager.changed.plainly", **when))
    if not after:
        return Note(label=label, text=say("manager.changed.removed", before=before, **when))
    if not before:
        return Note(label=label, text=say("manager.changed.added", after=after, **when))
    values = {"before": before, "after": after}
    return Note(label=label, text=say("manager.changed.changed", **values, **when))


def _what(kind: str, group: tuple[NotAccepted, ...]) -> str:
    what = say(f"manager.changed.of.{kind}")
    named = _IN_BRACKETS.search(group[0].change.field)
    if len(group) > 1 or named is None:
        return what
    return say("manager.changed.named", what=what, name=named[1])


def _kind(each: NotAccepted) -> str:
    """Return what of the promise a field is about: `rto` of `systems.emr.rto`."""
    parts = each.change.field.split(".")
    after = 2 if parts[0] == "systems" else 0
    name = parts[after].partition("[")[0] if len(parts) > after else ""
    if each.system and name in _COVERED:
        return "covered"
    return name if name in _kinds() else _kinds()[-1]


@cache
def _kinds() -> tuple[str, ...]:
    """Return what a field may be about, the weightiest first; the last stands for all others."""
    return tuple(key.removeprefix(_OF) for key in all_texts() if key.startswith(_OF))


def _value(text: str) -> str:
    try:
        return duration_phrase(parse_duration(text))
    except ValueError:
        return text


def acceptance_words(view: View, system: str) -> str:
    """Return by whose signature it was accepted that nobody protects a system, if by any."""
    signed = _signed_for(view, system)
    if signed is None:
        return say("manager.gaps.unsigned")
    day = view.day(signed.at)
    if signed.how is HowGiven.OWN_KEY:
        return say("manager.gaps.signed", name=signed.name, day=day)
    return say("manager.gaps.recorded", name=signed.name, day=day, recorded_by=signed.recorded_by)


def unsigned_gaps(view: View) -> tuple[str, ...]:
    """Return the titles of systems that nobody protects, where nobody signed for that."""
    return tuple(
        view.title(name)
        for name, system in view.plan.systems.items()
        if isinstance(system, NotProtected) and _signed_for(view, name) is None
    )


def _signed_for(view: View, system: str) -> SignOff | None:
    """Return the first sign-off on a promise that says of a system what the plan says now."""
    promises = {promise.id: promise for promise in view.record.promises}
    if not view.record.promises:
        return None
    now = _of(view.record.promises[-1], system)
    return next(
        (
            signed
            for signed in view.sign_offs
            if (promise := promises.get(signed.promise)) and now and _of(promise, system) == now
        ),
        None,
    )


def _of(promise: PromiseMade, system: str) -> Mapping[str, str]:
    name = f"systems.{system}"
    return {
        field: value
        for field, value in promise.fields.items()
        if field == name or field.startswith(f"{name}.")
    }
