"""What `notify` says and another part of the same file contradicts; also of the machine's settings.

The same rules for both, so that what works in one works in the other.
"""

from __future__ import annotations

from dr_orchestrator.plan.document import Node, child, elements, text_of
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.ticket import SAMPLE, ticket_body, ticket_mistake

_BY_REFERENCE = ("url", "webhook", "ping")


def check_notifications(notes: Notes, *, of_machine: bool = False) -> None:
    """Note the mistakes in `notify`; of the machine's settings, which know no contact."""
    for entry in elements(child(notes.root, "notify")):
        for way in _BY_REFERENCE:
            if reference := child(entry, way):
                notes.secret(reference)
        _ticket(notes, child(entry, "ticket"))
        if of_machine:
            _not_of_a_plan(notes, entry)
            continue
        notes.contact_by_mail(child(entry, "to"))
        systems = [name for name, _ in notes.systems()]
        for system in elements(child(entry, "systems")):
            notes.reference(system, systems, "system")


def _not_of_a_plan(notes: Notes, entry: Node) -> None:
    if node := child(entry, "to"):
        notes.mistake(node, "contacts stand in plans", "write `email` with the address")
    if node := child(entry, "systems"):
        notes.mistake(node, "systems stand in plans", "narrow it down in `notify` of the plan")


def _ticket(notes: Notes, node: Node | None) -> None:
    """Fill a template in: only one of this machine, since one out of a repository is data."""
    template = text_of(node)
    if node is None or not template or notes.place is None or ticket_mistake(template):
        return
    try:
        ticket_body(template, SAMPLE)
    except ValueError as error:
        notes.mistake(node, str(error), "put values in as {{ subject|tojson }}")
