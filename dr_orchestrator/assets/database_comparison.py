"""What a restored database is, held against what it was at capture: common to all servers.

Pure: two sets of numbers in, verifications out. Names of tables and numbers of rows may appear in
them; values never do.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from dr_orchestrator.core.baseline import DatabaseBaseline, Level, TableBaseline
from dr_orchestrator.core.point import Method
from dr_orchestrator.core.verification import NO_BASELINE, Depth, Result, Verification
from dr_orchestrator.core.wording import count_words

EQUAL = "equal to capture"
FINGERPRINT = "fingerprint of "
"""How the kinds of `objects` begin that are no counts: equal, or a definition differs."""
_SHOWN = 5
_OTHER_CONTENT = "as many rows, but other content"
_MANY_ROWS = 100
"""From so many on, a table that works keeps more than half of them while it is captured."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What was found in the restored database, looked at exactly as closely as at capture."""

    tables: Mapping[str, TableBaseline]
    """Of every table there is; the level is what the baseline has, or `counts` where the table
    changed while it was captured."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Table -> why reading it failed, in our words."""
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Table -> that its pages are damaged, whatever they were at capture."""
    views: Mapping[str, bool] = field(default_factory=dict)
    """Materialised view -> whether it is populated."""
    objects: Mapping[str, int]
    sequences: Mapping[str, int]


@dataclass
class _Tables:
    """Every table of the baseline, in one of these."""

    equal: list[str] = field(default_factory=list)
    differ: dict[str, str] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(
            len(names)
            for names in (
                *(self.equal, self.differ, self.unsettled),
                *(self.rebuilt, self.unknown, self.skipped),
            )
        )


def compare_tables(
    asset: str,
    method: Method,
    baseline: DatabaseBaseline,
    restored: Restored,
    *,
    elsewhere: str = "",
) -> Verification:
    """Hold every table against the baseline.

    `elsewhere` says why a checksum may differ though the content does not; empty where it may not.
    """
    sorted_out = _sort_out(method, baseline, restored, elsewhere)
    result, reason = _judge_tables(method, sorted_out)
    return Verification(
        title="every table has the rows it had at capture",
        asset=asset,
        result=result,
        expected=EQUAL,
        actual=_tables_in_words(baseline, sorted_out),
        reason=reason,
        proves=Depth.L4,
    )


def _sort_out(
    method: Method,
    baseline: DatabaseBaseline,
    restored: Restored,
    elsewhere: str,
) -> _Tables:
    tables = _Tables()
    tables.differ.update(restored.damaged)
    compared = {n: then for n, then in baseline.tables.items() if n not in restored.damaged}
    for name, then in compared.items():
        if few := _too_few(then, restored.tables.get(name)):
            tables.unknown[name] = few
        elif not then.settled:
            tables.unsettled.append(name)
        elif then.level is Level.NONE:
            tables.skipped.append(name)
        elif name in restored.unreadable:
            tables.unknown[name] = restored.unreadable[name]
        elif what := _difference(then, restored.tables.get(name)):
            if method is Method.LOGICAL and restored.views.get(name):
                tables.rebuilt.append(name)  # production's may have been stale
            elif what is _OTHER_CONTENT and elsewhere:
                tables.unknown[name] = elsewhere
            else:
                tables.differ[name] = what
        else:
            tables.equal.append(name)
    if method is Method.LOGICAL:
        known = baseline.tables.keys() | restored.views.keys() | restored.damaged.keys()
        for name in restored.tables.keys() - known:
            tables.differ[name] = "was not there at capture"
    return tables


def _difference(then: TableBaseline, now: TableBaseline | None) -> str:
    """Return how a table differs, nothing where it does not."""
    if now is None:
        return "missing"
    if now.rows != then.rows:
        return f"{count_words(now.rows or 0, 'row')} instead of {then.rows:,}"
    if then.checksum is not None and now.checksum != then.checksum:
        return _OTHER_CONTENT
    return ""


def _too_few(then: TableBaseline, now: TableBaseline | None) -> str:
    """Say so where most rows are gone of a table that was looked at before and after its capture.

    It may have been emptied and filled in between, so it is not certain that they are lost.
    """
    if then.rows is None or then.rows_after is None or now is None or now.rows is None:
        return ""
    least = min(then.rows, then.rows_after)
    if least < _MANY_ROWS or 2 * now.rows >= least:
        return ""
    return f"{count_words(now.rows, 'row')}, and {least:,} or more while it was captured"


def _judge_tables(method: Method, tables: _Tables) -> tuple[Result, str]:
    if tables.differ:
        return Result.FAILED, some(f"{name}: {what}" for name, what in tables.differ.items())
    if tables.unknown:
        return Result.UNPROVEN, some(f"{name}: {what}" for name, what in tables.unknown.items())
    if method is Method.LOGICAL and tables.skipped:
        return Result.UNPROVEN, (
            f"not looked at when it was captured: {some(tables.skipped)}; "
            "the baseline's budget may be too short"
        )
    if tables.unsettled and not tables.equal:
        return Result.UNPROVEN, "every table changed while it was captured"
    return Result.PASSED, ""


def _tables_in_words(baseline: DatabaseBaseline, tables: _Tables) -> str:
    if tables.differ:
        return f"{len(tables.differ):,} of {count_words(tables.count, 'table')} differ"
    if not tables.count:
        return "no table, as at capture"
    parts = [f"{len(tables.equal):,} of {count_words(tables.count, 'table')} equal"]
    for level, words in ((Level.SAMPLED, "sampled"), (Level.COUNTS, "counted only")):
        looked = sum(baseline.tables[name].level is level for name in tables.equal)
        if looked:
            parts.append(f"{looked:,} of them {words}")
    for names, words in (
        (tables.unsettled, "could not be compared exactly: changed while captured"),
        (tables.rebuilt, "made anew by loading, not as they were"),
        (list(tables.unknown), "could not be compared"),
        (tables.skipped, "left out"),
    ):
        if names:
            parts.append(f"{len(names):,} {words}")
    return ", ".join(parts)


def compare_objects(
    asset: str,
    then: Mapping[str, int],
    now: Mapping[str, int],
    *,
    certain: bool,
    may_grow: Container[str] = (),
) -> Verification:
    """Hold the counts of objects against those at capture.

    Where a server of another version counts otherwise, it is not `certain` that they differ.
    """
    differ = {}
    for kind, count in then.items():
        found = now.get(kind, 0)
        if found < count if kind in may_grow else found != count:
            differ[kind] = f"{found:,} {kind} instead of {count:,}"
    others = "views, routines, triggers, indexes, constraints and the like"
    wrong = Result.FAILED if certain else Result.UNPROVEN
    return Verification(
        title=f"{others} are all there",
        asset=asset,
        result=wrong if differ else Result.PASSED,
        expected=EQUAL,
        actual=f"{len(differ)} of {len(then)} kinds differ"
        if differ
        else f"{len(then)} kinds equal",
        reason=some(differ.values()),
        proves=Depth.L4,
    )


def compare_definitions(
    asset: str, then: Mapping[str, int], now: Mapping[str, int], *, elsewhere: str = ""
) -> Verification:
    """Hold the fingerprints of definitions against those at capture.

    `elsewhere` says why they may differ though the definitions do not; empty where they may not.
    What differs then is left out, and said.
    """
    unread = [kind for kind in then if kind not in now]
    differ = [kind for kind in then if kind in now and now[kind] != then[kind]]
    result, reason, actual = Result.PASSED, "", f"{len(then)} kinds equal"
    if differ and elsewhere:
        equal = len(then) - len(differ) - len(unread)
        actual = f"{equal} of {len(then)} kinds equal, {len(differ)} left out: {elsewhere}"
    elif differ:
        result, actual = Result.FAILED, f"{len(differ)} of {len(then)} kinds differ"
        reason = f"not defined as at capture: {_kinds(differ)}"
    if unread and not reason:
        result, reason = Result.UNPROVEN, f"could not be read: {_kinds(unread)}"
    return Verification(
        title="columns, indexes, views, routines and the like are defined as they were",
        asset=asset,
        result=result,
        expected=EQUAL,
        actual=actual,
        reason=reason,
        proves=Depth.L4,
    )


def _kinds(fingerprints: Iterable[str]) -> str:
    return some(name.removeprefix(FINGERPRINT) for name in fingerprints)


def compare_sequences(asset: str, baseline: DatabaseBaseline, restored: Restored) -> Verification:
    """Hold what sequences hand out next against what they did at capture."""
    behind = [
        name
        for name, value in baseline.sequences.items()
        if restored.sequences.get(name) is None or restored.sequences[name] < value
    ]
    total = count_words(len(baseline.sequences), "sequence")
    return Verification(
        title="no sequence would hand out a number twice",
        asset=asset,
        result=Result.FAILED if behind else Result.PASSED,
        expected="none behind",
        actual=f"{len(behind):,} of {total} behind" if behind else f"{total}, none behind",
        reason=f"behind or missing: {some(behind)}" if behind else "",
        proves=Depth.L4,
    )


def without_baseline(asset: str, rows: Mapping[str, int | None]) -> Verification:
    """Say what came back of a database that another tool saved: `rows` of each table, `None` where
    there was no time to count.
    """
    counted = [count for count in rows.values() if count is not None]
    actual = f"{count_words(len(rows), 'table')}, {count_words(sum(counted), 'row')}"
    if len(counted) < len(rows):
        actual += f" in {len(counted):,} of them"
    return unproven(asset, NO_BASELINE, actual=actual)


def unproven(asset: str, reason: str, *, actual: str = "") -> Verification:
    """Say that nothing shows whether a database is what it was."""
    return Verification(
        title="the data is what it was at capture",
        asset=asset,
        result=Result.UNPROVEN,
        actual=actual or None,
        reason=reason,
    )


def some(items: Iterable[str]) -> str:
    """Return the first few, and how many more there are."""
    everything = list(items)
    shown = "; ".join(everything[:_SHOWN])
    more = len(everything) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
