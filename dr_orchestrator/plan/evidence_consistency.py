"""What a plan says of its evidence, and another part of it contradicts.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.plan.asset_consistency import duration_of
from dr_orchestrator.plan.document import child, elements
from dr_orchestrator.plan.timing_consistency import period_of

if TYPE_CHECKING:
    from dr_orchestrator.plan.notes import Notes

_SIX_YEARS = timedelta(days=6 * 365)
"""For how long records are kept: 45 CFR 164.316(b)(2)(i)."""
_WEEK, _MONTH = timedelta(days=7), timedelta(days=31)


def check_evidence(notes: Notes) -> None:
    """Note an anchor for somebody who cannot get it, a lock that ends before records may go, and
    evidence that leaves the machine so seldom that much of it could be cut off.
    """
    evidence = child(notes.root, "evidence")
    anchor = child(evidence, "anchor")
    for contact in elements(child(anchor, "mail")):
        notes.contact_by_mail(contact)
    keep = child(anchor, "keep")
    locked = duration_of(keep) if keep is not None else None
    if keep is not None and locked is not None and locked < _SIX_YEARS:
        notes.warn(keep, "ends before records may be given up", "HIPAA asks for six years")
    for of, longest, words in (
        (evidence, _WEEK, "leaves more than a week of evidence on this machine alone"),
        (anchor, _MONTH, "leaves more than a month of evidence that could be cut off unseen"),
    ):
        schedule = child(of, "schedule")
        period = period_of(schedule) if schedule is not None else None
        if schedule is not None and period is not None and period > longest:
            notes.warn(schedule, words, "have it done more often")
