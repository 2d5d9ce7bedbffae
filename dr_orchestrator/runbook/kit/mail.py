"""A kit as an e-mail: small enough to arrive, and without what mail servers refuse."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.letter import Attachment, Letter
from dr_orchestrator.runbook.kit.build import PAPER, SUMS, sums_of

if TYPE_CHECKING:
    from dr_orchestrator.runbook.kit.build import Kit

MOST_BYTES = 15 * 1024 * 1024
"""Of an attachment: in an e-mail it takes a third more, and servers commonly take 25 MB."""
_REFUSED = ("restore.ps1", "restic/")
"""Gmail refuses programs, also inside of a ZIP (its help: "File types blocked in Gmail")."""
_FIRST_YEAR = datetime(1980, 1, 1, tzinfo=UTC)
"""Before it a ZIP has no times."""


def kit_mail(kit: Kit, *, practice: str, name: str, made: datetime, until: str) -> Letter:
    """Return a kit as an e-mail: all of it that arrives, else the paper alone. `until` is the day
    until which it is current, in words.
    """
    sent = {file: content for file, content in kit.files.items() if not file.startswith(_REFUSED)}
    sent[SUMS] = sums_of({file: content for file, content in sent.items() if file != SUMS})
    packed = _packed(practice, sent, made)
    text = [
        f"This is the recovery kit of {name}, current until {until}: how its data comes back",
        "when the machine that makes the backups is gone. It holds no key and no patient data.",
        "",
        "Keep it where you get at it without the practice's network: on your telephone, and on",
        "paper. Delete the one before.",
        "",
    ]
    if len(packed) <= MOST_BYTES:
        text += ["Unpack it, and open START-HERE.html.", "What mail servers refuse is left out:"]
        text += ["restore.ps1 and restic itself."]
        attached = _attached(f"{practice}-recovery-kit.zip", "application/zip", packed)
    elif PAPER in sent and len(sent[PAPER]) <= MOST_BYTES:
        text += ["All of the kit is too large for an e-mail: this is the one for paper."]
        attached = _attached(f"{practice}-recovery-kit.pdf", "application/pdf", sent[PAPER])
    else:
        text += ["The kit is too large for an e-mail: fetch it from where it is kept."]
        attached = ()
    return Letter(
        subject=f"{name}: recovery kit, current until {until}",
        text="\n".join((*text, "")),
        attachments=attached,
    )


def _attached(name: str, media_type: str, content: bytes) -> tuple[Attachment, ...]:
    return (Attachment(name=name, media_type=media_type, content=content),)


def is_due_by_mail(last_at: datetime, now: datetime, valid: timedelta) -> bool:
    """Return whether a contact gets a kit anew though nothing changed: once in each stretch of
    `valid`, so that none outlives the kit it has.
    """
    return _stretch(last_at, valid) != _stretch(now, valid)


def _stretch(instant: datetime, valid: timedelta) -> int:
    return (instant - _FIRST_YEAR) // valid


def _packed(practice: str, files: dict[str, bytes], made: datetime) -> bytes:
    target = io.BytesIO()
    at = max(made, _FIRST_YEAR).astimezone(UTC).timetuple()[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(f"{practice}/{name}", at), files[name])
    return target.getvalue()
