"""What a restored PostgreSQL database is, held against what it was at capture.

Pure, as `database_comparison` is, which has what is common to all servers.
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_orchestrator.assets import database_comparison
from dr_orchestrator.assets.database_comparison import (
    FINGERPRINT,
    compare_definitions,
    compare_objects,
    compare_sequences,
    compare_tables,
)
from dr_orchestrator.assets.postgres_definitions import KINDS
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.core.point import Method
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.core.wording import count_words

_INVALID = "invalid indexes"
_MAY_GROW = frozenset({"extensions", "schemas"})
"""A new database has some of these already: plpgsql, public."""


@dataclass(frozen=True, kw_only=True)
class Restored(database_comparison.Restored):
    """What was found in the restored database."""

    major: str


def compare(
    asset: str, method: Method, baseline: DatabaseBaseline, restored: Restored
) -> tuple[Verification, ...]:
    """Return one verification each for rows, objects, definitions, sequences and indexes.

    A point of before definitions were looked at has none for them.
    """
    same = baseline.algorithm == f"hashtextextended/{restored.major}"
    elsewhere = "" if same else "its checksum was made by another version of PostgreSQL"
    counts = {
        kind: count
        for kind, count in baseline.objects.items()
        if kind != _INVALID and not kind.startswith(FINGERPRINT)
    }
    verifications = (
        compare_tables(asset, method, baseline, restored, elsewhere=elsewhere),
        compare_objects(asset, counts, restored.objects, certain=same, may_grow=_MAY_GROW),
        compare_sequences(asset, baseline, restored),
        _check_indexes(asset, method, baseline, restored),
    )
    definitions = {kind: mark for kind, mark in baseline.objects.items() if kind in KINDS}
    if not definitions:
        return verifications
    words = "" if same else "another version of PostgreSQL writes them otherwise"
    return (
        *verifications,
        compare_definitions(asset, definitions, restored.objects, elsewhere=words),
    )


def _check_indexes(
    asset: str, method: Method, baseline: DatabaseBaseline, restored: Restored
) -> Verification:
    """Expect none: a dump leaves them out. A physical copy has those that production has."""
    allowed = baseline.objects.get(_INVALID, 0) if method is Method.PHYSICAL else 0
    found = restored.objects.get(_INVALID, 0)
    return Verification(
        title="no unusable indexes",
        asset=asset,
        result=Result.FAILED if found > allowed else Result.PASSED,
        expected=allowed,
        actual=found,
        reason=f"{count_words(found, 'index', 'indexes')} invalid" if found > allowed else "",
        proves=Depth.L4,
    )
