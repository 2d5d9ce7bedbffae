"""What a contact gets by e-mail though nothing is wrong: a kit, a head of evidence, a report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that goes with an e-mail."""

    name: str
    media_type: str
    """As `application/pdf`."""
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One e-mail."""

    subject: str
    """One line."""
    text: str
    attachments: tuple[Attachment, ...] = ()
