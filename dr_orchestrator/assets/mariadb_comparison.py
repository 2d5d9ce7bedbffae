"""What a restored MariaDB database is, held against what it was at capture.

Pure, as `database_comparison` is, which has what is common to all servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dr_orchestrator.assets import database_comparison
from dr_orchestrator.assets.database_comparison import (
    EQUAL,
    compare_objects,
    compare_sequences,
    compare_tables,
    some,
)
from dr_orchestrator.assets.mariadb_catalog import FINGERPRINT
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.core.point import Method
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.core.wording import count_words


@dataclass(frozen=True, kw_only=True)
class Restored(database_comparison.Restored):
    """What was found in the restored database."""

    algorithm: str
    """How its checksums are made."""
    broken_views: Mapping[str, str] = field(default_factory=dict)
    """View -> why it does not answer, in our words. All answered at capture."""
    homeless: tuple[str, ...] = ()
    """`user@host` of whoever something runs as that has lost its account."""


def compare(
    asset: str, method: Method, baseline: DatabaseBaseline, restored: Restored
) -> tuple[Verification, ...]:
    """Return one verification each for rows, objects, definitions, sequences, and what runs."""
    same = baseline.algorithm == restored.algorithm
    elsewhere = "" if same else "its checksum was made by another version of the server"
    counts = {
        kind: count for kind, count in baseline.objects.items() if not kind.startswith(FINGERPRINT)
    }
    return (
        compare_tables(asset, method, baseline, restored, elsewhere=elsewhere),
        compare_objects(asset, counts, restored.objects, certain=same),
        _compare_definitions(asset, baseline, restored, certain=same),
        compare_sequences(asset, _kept_sequences(method, baseline), restored),
        _check_runs(asset, baseline, restored),
    )


def _kept_sequences(method: Method, baseline: DatabaseBaseline) -> DatabaseBaseline:
    """Return the baseline without what no restart keeps: AUTO_INCREMENT values that the server had
    reserved beyond the last one it used (InnoDB's page on AUTO_INCREMENT handling).
    """
    if method is Method.LOGICAL:
        return baseline
    kept = {name: end for name, end in baseline.sequences.items() if name not in baseline.tables}
    return replace(baseline, sequences=kept)


def _compare_definitions(
    asset: str, baseline: DatabaseBaseline, restored: Restored, *, certain: bool
) -> Verification:
    """Hold the definitions themselves against those at capture: their fingerprints are recorded."""
    then = {kind: mark for kind, mark in baseline.objects.items() if kind.startswith(FINGERPRINT)}
    differ = [
        kind.removeprefix(FINGERPRINT)
        for kind, mark in then.items()
        if restored.objects.get(kind) != mark
    ]
    wrong = Result.FAILED if certain else Result.UNPROVEN
    return Verification(
        title="columns, indexes, collations, routines and the like are defined as they were",
        asset=asset,
        result=wrong if differ else Result.PASSED,
        expected=EQUAL,
        actual=f"{len(differ)} of {len(then)} kinds differ"
        if differ
        else f"{len(then)} kinds equal",
        reason=f"not defined as at capture: {some(differ)}" if differ else "",
        proves=Depth.L4,
    )


def _check_runs(asset: str, baseline: DatabaseBaseline, restored: Restored) -> Verification:
    """Expect every view to answer, and everybody that something runs as to have an account."""
    broken = [f"{view}: {why}" for view, why in restored.broken_views.items()]
    broken += [f"no account {name}, which something runs as" for name in restored.homeless]
    views = count_words(baseline.objects.get("views", 0), "view")
    return Verification(
        title="every view answers, and whoever it runs as has an account",
        asset=asset,
        result=Result.FAILED if broken else Result.PASSED,
        expected="none broken",
        actual=f"{len(broken):,} broken" if broken else f"{views}, none broken",
        reason=some(broken),
        proves=Depth.L4,
    )
