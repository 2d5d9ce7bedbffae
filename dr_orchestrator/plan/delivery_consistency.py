"""What a plan says of where reports and kits go, and another part of it contradicts.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dr_orchestrator.plan.document import Mapping, child, elements, text_of

if TYPE_CHECKING:
    from dr_orchestrator.plan.notes import Notes

_PLACES = ("folder", "s3", "mail")


def check_report(notes: Notes) -> None:
    """Note reports that go nowhere, or to somebody who cannot get them."""
    report = child(notes.root, "report")
    if isinstance(report, Mapping):
        check_places(notes, report)


def check_places(notes: Notes, section: Mapping) -> None:
    """Note that something goes nowhere, to a folder that would be another one wherever the program
    is started, or to a contact without an e-mail address.
    """
    if not any(child(section, place) is not None for place in _PLACES):
        notes.mistake(section, "goes nowhere", "add `folder`, `s3` or `mail`")
    folder = child(section, "folder")
    path = text_of(folder)
    if folder is not None and path and not PurePosixPath(path).is_absolute():
        notes.mistake(folder, "must be an absolute path", "begin it with /")
    for contact in elements(child(section, "mail")):
        notes.contact_by_mail(contact)
