"""A key sheet to look at."""

from __future__ import annotations

from typing import Any

from dr_orchestrator.core.custody import HeldKey
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.custody.sheet import KeySheet, key_sheet
from dr_orchestrator.plan.secret_reference import SecretReference
from tests.support.clock import START as NOW
from tests.support.evidence import PRACTICE, make_plan

KEY = Secret("EYJS7-14Y4H-199Z4-26SYR-EMK8V-DT28Z-TVN63-C6F70")


def read_secret(reference: SecretReference) -> Secret:
    """Return a secret that says where it is from."""
    return Secret(f"the {reference.env}")


def make_key() -> HeldKey:
    """Return what is on record of the manager's key."""
    return HeldKey(
        practice=PRACTICE,
        repository="onsite",
        key="23e673c3",
        holder="manager",
        form="sealed sheet",
        made_at=NOW,
        made_by="Kim",
    )


def make_sheet(*, practice: dict[str, Any] | None = None, **offsite: Any) -> KeySheet:
    """Return the sheet of a key that opens `onsite` and `offsite`, which is changed as stated."""
    plan = make_plan(practice, repositories={"offsite": offsite})
    opens = {"onsite": make_key(), "offsite": make_key()}
    return key_sheet(plan, "manager", KEY, opens, read_secret, site="backup-1", made=NOW)
