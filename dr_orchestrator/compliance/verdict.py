"""What the findings come to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dr_orchestrator.core.finding import Finding, Verdict, worst


def practice_verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the worst of all: breached before unproven before met; unproven where none is."""
    return worst(tuple(finding.verdict for finding in findings))


def is_overdue(finding: Finding, now: datetime) -> bool:
    """Return whether something unproven should have been proven by now; if not, it is quiet.

    Without a due date it should have been: nobody knows since when it has been waiting.
    """
    if finding.verdict is not Verdict.UNPROVEN:
        return False
    return finding.due is None or finding.due <= now
