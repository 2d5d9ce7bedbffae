"""What a runbook may say `{{ name }}` for, and the text with the values filled in.

A name stands for a value and nothing else: no expression, filter or call, so what a runbook says
can only ever become text. Values are what a plan says, never a secret; what is known only while a
runbook is followed (`run.…`, `point.…`) is filled in then.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dr_orchestrator.plan.quantity import format_duration
from dr_orchestrator.runbook.model import ALL
from dr_orchestrator.runbook.order import recovery_order

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Asset, Contact, Plan, ProtectedSystem, RepositorySpec
    from dr_orchestrator.runbook.model import Step

Values = Mapping[str, str]
"""Dotted name -> text."""

WHILE_FOLLOWED: Mapping[str, str] = {
    "run.id": "id of the runbook run",
    "run.mode": "rehearsal, drill or incident",
    "run.outage": "when the outage was declared",
    "run.folder": "where live restores go",
    "run.by": "who follows it",
    "point.id": "recovery point of the system, as chosen",
    "point.as_of": "as of when it is",
    "point.repository": "the repository it is restored from",
    "restored.place": "where the system was restored to",
}
"""Names whose values are known only while a runbook is followed: part of no fingerprint."""
BLANK = "____________"
"""Where something is asked for with `?` that the plan does not have: to be filled in by hand."""
FROM_THE_PLAN: Mapping[str, str] = {
    "practice.id": "id of the practice, which is typed before anything destructive",
    "practice.name": "name of the practice",
    "practice.timezone": "its time zone, as `America/Chicago`",
    "practice.systems": "ids of the systems that the plan protects, in the order they come back",
    "contacts.ID.role": "what a contact is, as `practice manager`",
    "contacts.ID.phone": "the contact's telephone number",
    "contacts.ID.email": "the contact's e-mail address",
    "custody": "who holds a key, and in which form",
    "repositories.ID.location": "restic location of a repository",
    "repositories.ID.key": "where its key is (`obtain`, else the reference in words); never the "
    "key",
    "systems.ID.title": "title of a system",
    "systems.ID.rto": "its RTO, as `4h`",
    "systems.ID.rpo": "its RPO, as `1h`",
    "systems.ID.importance": "`critical`, `important` or `routine`",
    "systems.ID.depends_on": "ids of the systems it depends on; `nothing` where there are none",
    "systems.ID.runbook": "name of the runbook by which it is recovered",
    "systems.ID.assets.ASSET.kind": "kind of an asset, as `postgres`",
    "systems.ID.assets.ASSET.host": "its host",
    "systems.ID.assets.ASSET.port": "its port",
    "systems.ID.assets.ASSET.database": "name of the database",
    "systems.ID.assets.ASSET.path": "path of the file, or of the folder",
    "systems.ID.assets.ASSET.share": "name of the share",
    "systems.ID.assets.ASSET.user": "whom the server knows us as",
    "system.id": "id of the system that the run is about",
}
"""Shapes of the names whose values a plan gives, for people. What `systems.ID` has, `system` has
too: of the system that the run is about."""

_NAME = re.compile(r"\{\{(?:([^{}]*)\}\})?")
"""Braces, and the name in them; none where nothing closes them."""
_OF_AN_ASSET = ("host", "port", "database", "path", "share", "user")


def values_of(plan: Plan, system: str) -> Values:
    """Return what a plan gives to say; `system` is empty where a runbook is about the practice."""
    practice, protected = plan.practice, plan.protected
    values = {
        "practice.id": practice.id,
        "practice.name": practice.name,
        "practice.timezone": str(practice.timezone),
        "practice.systems": ", ".join(recovery_order(plan, protected)),
        "custody": ", ".join(f"{each.holder}: {each.form}" for each in plan.custody),
    }
    for name, contact in plan.contacts.items():
        values |= {f"contacts.{name}.{key}": text for key, text in _of_contact(contact)}
    for name, spec in plan.repositories.items():
        values |= {f"repositories.{name}.{key}": text for key, text in _of_repository(spec)}
    for name, each in plan.systems.items():
        values[f"systems.{name}.title"] = each.title or name
    for name, each in protected.items():
        values |= {f"systems.{name}.{key}": text for key, text in _of_system(each)}
    if system:
        own = f"systems.{system}."
        values |= {
            f"system.{name.removeprefix(own)}": text
            for name, text in values.items()
            if name.startswith(own)
        }
        values["system.id"] = system
    return {name: text for name, text in values.items() if text}


def _of_contact(contact: Contact) -> Iterator[tuple[str, str]]:
    yield "role", contact.role
    yield "phone", contact.phone or ""
    yield "email", contact.email or ""


def _of_repository(spec: RepositorySpec) -> Iterator[tuple[str, str]]:
    yield "location", spec.location
    yield "key", spec.password.obtain or str(spec.password)


def _of_system(system: ProtectedSystem) -> Iterator[tuple[str, str]]:
    yield "rto", format_duration(system.rto)
    yield "rpo", format_duration(system.rpo)
    yield "importance", system.importance
    yield "depends_on", ", ".join(system.depends_on) or "nothing"
    yield "runbook", system.runbook
    for name, asset in system.assets.items():
        for key, text in _of_asset(asset):
            yield f"assets.{name}.{key}", text


def _of_asset(asset: Asset) -> Iterator[tuple[str, str]]:
    yield "kind", asset.kind.value
    for key in _OF_AN_ASSET:
        if (value := getattr(asset, key, None)) is not None:
            yield key, str(value)


def may_be_blank(name: str) -> bool:
    """Whether a plan may have this value or not, so that `?` may stand behind the name. Of another
    name it would only keep quiet that it is misspelt.
    """
    return _MAY_BE_BLANK.fullmatch(name) is not None


_ID = "[a-z][a-z0-9_-]*"
_MAY_BE_BLANK = re.compile(
    "custody"
    rf"|contacts\.{_ID}\.(?:role|phone|email)"
    rf"|repositories\.{_ID}\.(?:location|key)"
    rf"|(?:system|systems\.{_ID})\.assets\.{_ID}\.(?:kind|{'|'.join(_OF_AN_ASSET)})"
)


def names_in(text: str) -> tuple[tuple[str, int], ...]:
    """Return the names a text asks for, each with the offset at which its braces begin.

    A name keeps its `?`. It is empty where braces open and no name and closing braces follow.
    """
    return tuple(((found[1] or "").strip(), found.start()) for found in _NAME.finditer(text))


def fill(text: str, values: Values, *, blank: bool = False) -> str:
    """Return a text with its names filled in. What has no value yet stays as it is written; with
    `blank`, where nobody could fill it in later, it is a blank.

    What a value says is never filled in itself: hand in all values at once, not one after another.
    """
    return _NAME.sub(lambda found: _value(found, values, blank=blank), text)


def _value(found: re.Match[str], values: Values, *, blank: bool) -> str:
    asked = (found[1] or "").strip()
    name = asked.removesuffix("?")
    if name in values:
        return values[name]
    return BLANK if blank or (name != asked and may_be_blank(name)) else found[0]


def fill_step(step: Step, values: Values, *, blank: bool = False) -> Step:
    """Return a step with all its texts filled in, each as `fill` does it."""

    def filled(text: str) -> str:
        return fill(text, values, blank=blank)

    changed: dict[str, Any] = {
        key: filled(getattr(step, key)) for key in ("do", "expect", "undo", "cite")
    }
    changed["command"] = tuple(filled(each) for each in step.command)
    changed["decide"] = tuple(
        each.model_copy(update={"answer": filled(each.answer)}) for each in step.decide
    )
    for key, texts in (("if_not", ("say",)), ("notify", ("subject", "text")), ("timer", ("of",))):
        if (part := getattr(step, key)) is not None:
            said = {name: filled(getattr(part, name)) for name in texts}
            changed[key] = part.model_copy(update=said)
    return step.model_copy(update=changed)


def fingerprint(step: Step, plan_values: Values) -> str:
    """Return SHA-256 of a step with the plan's values filled in: what is exercised by doing it.

    The same step under the same plan gives the same one, whenever and wherever it is done. One that
    restores all systems changes with which these are.
    """
    known = {name: text for name, text in plan_values.items() if name not in WHILE_FOLLOWED}
    exercised = fill_step(step, known).model_dump(mode="json")
    if step.restore is not None and ALL in step.restore.systems:
        exercised["restore"]["systems"] = plan_values["practice.systems"]
    return hashlib.sha256(json.dumps(exercised, sort_keys=True).encode()).hexdigest()
