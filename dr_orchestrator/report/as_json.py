"""A document as JSON: every text as it stands in the other forms; of a picture its data."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from dr_orchestrator.report.document import Commands, Facts, Paragraph, Picture, Table

if TYPE_CHECKING:
    from dr_orchestrator.report.document import Document

_BLOCKS = {
    Paragraph: "paragraph",
    Facts: "facts",
    Table: "table",
    Commands: "commands",
    Picture: "picture",
}
_DRAWING = "svg"


def document_json(document: Document) -> dict[str, Any]:
    """Return `document` as objects, lists and texts; each block says its kind."""
    found: dict[str, Any] = _plain(document)
    return found


def _plain(part: Any) -> Any:
    if isinstance(part, tuple):
        return [_plain(each) for each in part]
    if not is_dataclass(part):
        return part
    named = {
        each.name: _plain(getattr(part, each.name))
        for each in fields(part)
        if each.name != _DRAWING
    }
    kind = _BLOCKS.get(type(part))
    return named if kind is None else {"kind": kind, **named}
