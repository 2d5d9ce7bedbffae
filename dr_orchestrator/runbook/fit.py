"""Whether a runbook fits a plan: all it asks for is looked up before anybody needs it at night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dr_orchestrator.core.wording import some_names
from dr_orchestrator.plan.document import (
    Node,
    child,
    children,
    elements,
    read_document,
    text_of,
)
from dr_orchestrator.plan.problem import Problem, did_you_mean
from dr_orchestrator.runbook.consistency import texts_of
from dr_orchestrator.runbook.model import ALL, THIS
from dr_orchestrator.runbook.values import (
    WHILE_FOLLOWED,
    Values,
    may_be_blank,
    names_in,
    values_of,
)

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.load import LoadedRunbook

_OF_ONE_SYSTEM = ("system.", "point.", "restored.")
"""Names that say nothing in a runbook about the practice."""


def systems_for(loaded: LoadedRunbook, plan: Plan) -> tuple[str, ...]:
    """Return the systems that a runbook is for, in file order: those that the plan recovers by it,
    else any; one empty name where it is about the practice.
    """
    if loaded.runbook.about == "practice":
        return ("",)
    by_it = (name for name, system in plan.protected.items() if system.runbook == loaded.name)
    return tuple(by_it) or tuple(plan.protected)


def problems_with(
    loaded: LoadedRunbook, plan: Plan, *, names: frozenset[str]
) -> tuple[Problem, ...]:
    """Return what a runbook asks for and a plan does not have, each at its place in the file:
    unknown values, contacts, systems, and runbooks that are not among `names`.

    One about a system is held against each that the plan recovers by it, or against all of them
    where that is none.
    """
    fitting = _Fitting(loaded, plan)
    for step in fitting.steps:
        fitting.at_texts(step)
        fitting.at_contacts(step)
        fitting.at_restore(step)
        for answer in elements(child(step, "decide")):
            fitting.at_runbook(child(answer, "runbook"), names)
    for _, entry in children(child(fitting.root, "lanes")):
        fitting.at_contact(child(entry.node, "contact"))
    for node in elements(child(fitting.root, "opens")):
        fitting.at_runbook(node, names)
    return tuple(sorted(set(fitting.problems)))


def blanks_of(loaded: LoadedRunbook, plan: Plan) -> tuple[str, ...]:
    """Return what a runbook leaves to be filled in by hand, each once: `contacts.insurer` where the
    plan has no such contact, else the name of a value.
    """
    fitting = _Fitting(loaded, plan)
    asked = [node for step in fitting.steps for node in texts_of(step)]
    named = [name for node in asked for name, _ in names_in(text_of(node) or "")]
    named += [f"contacts.{text_of(node) or ''}" for node in fitting.contact_nodes()]
    named += [f"contacts.{text_of(node) or ''}.email" for node in fitting.told_nodes()]
    names = (name.replace("?", "") for name in named if "?" in name)
    return tuple(dict.fromkeys(blank for name in names for blank in fitting.blanks(name)))


class _Fitting:
    """A runbook that is held against a plan, and what does not fit."""

    def __init__(self, loaded: LoadedRunbook, plan: Plan) -> None:
        self._document = read_document(loaded.text.encode(), loaded.origin)
        self._plan = plan
        self._about_practice = loaded.runbook.about == "practice"
        systems = systems_for(loaded, plan) or ("",)
        self._values: dict[str, Values] = {name: values_of(plan, name) for name in systems}
        self.root = self._document.root
        self.steps = elements(child(self.root, "steps"))
        self.problems: list[Problem] = []

    def contact_nodes(self) -> Iterator[Node]:
        """Yield what names a contact to call."""
        for _, entry in children(child(self.root, "lanes")):
            if (node := child(entry.node, "contact")) is not None:
                yield node
        for step in self.steps:
            yield from elements(child(step, "contacts"))

    def told_nodes(self) -> Iterator[Node]:
        """Yield what names a contact to write to."""
        for step in self.steps:
            yield from elements(child(step, "notify", "to"))

    def blanks(self, name: str) -> Iterator[str]:
        """Yield the blank that a name leaves, if it does."""
        _, _, contact = name.partition("contacts.")
        id_, _, what = contact.partition(".")
        if contact and id_ not in self._plan.contacts:
            yield f"contacts.{id_}"
        elif (what or not contact) and self._lacking(name):
            yield name

    def _lacking(self, name: str) -> list[str]:
        """Return the systems for which the plan does not have a value."""
        return [system for system, values in self._values.items() if name not in values]

    def at_texts(self, step: Node) -> None:
        """Look for values that the plan does not have."""
        for node in texts_of(step):
            for name, _ in names_in(text_of(node) or ""):
                self._at_value(node, name)

    def _at_value(self, node: Node, asked: str) -> None:
        name = asked.removesuffix("?")
        if name != asked and not may_be_blank(name):
            hint = "only what a plan may leave out can be a blank"
            return self._note(node, f"`{{{{ {asked} }}}}` cannot be left blank", hint)
        if self._about_practice and name.startswith(_OF_ONE_SYSTEM):
            hint = "the runbook is about the practice: name a system, as {{ systems.ID.title }}"
            return self._note(node, f"there is no value `{name}` here", hint)
        lacking = self._lacking(name)
        if name == asked and name not in WHILE_FOLLOWED and lacking:
            some = len(lacking) < len(self._values)
            whose = f" of {some_names(lacking)}" if some else ""
            self._note(node, f"there is no value `{name}`{whose}", self._value_hint(name))
        return None

    def _value_hint(self, name: str) -> str:
        known = {*WHILE_FOLLOWED, *(each for values in self._values.values() for each in values)}
        above = ""
        for part in (*name.split("."), ""):
            after = (each.removeprefix(above) for each in known if each.startswith(above))
            beside = sorted({each.partition(".")[0] for each in after})
            if part not in beside:
                break
            above += f"{part}."
        if near := did_you_mean(part, beside):
            return near
        if may_be_blank(name):
            return f"add it to the plan, or write {{{{ {name}? }}}} for a blank to fill in by hand"
        behind = f" behind `{above}`" if above else ""
        return f"there are{behind} {', '.join(beside)}"

    def at_contacts(self, step: Node) -> None:
        """Look for contacts that the plan does not have, or that cannot be written to."""
        for node in elements(child(step, "contacts")):
            self.at_contact(node)
        for node in elements(child(step, "notify", "to")):
            contact = self._plan.contacts.get(text_of(node) or "")
            if contact is None:
                self.at_contact(node)
            elif not contact.email:
                hint = "add its `email` to the plan, or put `?` behind it"
                self._note(node, "the plan has no e-mail address of this contact", hint)

    def at_contact(self, node: Node | None) -> None:
        """Look whether the plan has a contact, where it must."""
        if node is not None and not (text_of(node) or "").endswith("?"):
            more = "add it to the plan, or put `?` behind it for a blank to fill in by hand"
            self._known(node, tuple(self._plan.contacts), "contact", more)

    def at_restore(self, step: Node) -> None:
        """Look for systems that the plan does not protect."""
        for node in elements(child(step, "restore", "systems")):
            if text_of(node) not in {THIS, ALL}:
                self._known(node, tuple(self._plan.protected), "protected system")

    def at_runbook(self, node: Node | None, names: frozenset[str]) -> None:
        """Look whether there is a runbook."""
        if node is not None:
            self._known(node, sorted(names), "runbook")

    def _known(self, node: Node, known: Sequence[str], what: str, more: str = "") -> None:
        name = text_of(node) or ""
        if name in known:
            return
        there_are = f"there are {', '.join(known)}" if known else "the plan has none"
        hint = did_you_mean(name, known) or more or there_are
        self._note(node, f"there is no {what} `{name}`", hint)

    def _note(self, node: Node, message: str, hint: str = "") -> None:
        self.problems.append(self._document.problem(node.position, node.path, message, hint))
