"""What the answers about a restored SQLite database mean, held against its baseline. No I/O.

The answers come out of the sandbox and may be anything: only numbers, names of result codes and
names of tables are taken from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dr_orchestrator.assets import sqlite_inside
from dr_orchestrator.assets.sqlite_capture import ALREADY_DAMAGED
from dr_orchestrator.core.baseline import DatabaseBaseline, TableBaseline, Value
from dr_orchestrator.core.verification import NO_BASELINE, Depth, Result, Verification
from dr_orchestrator.core.wording import count_words

Answer = Mapping[str, object]

_BYTES = "the database file is the one that was captured, byte for byte"
_DAMAGE = "SQLite finds no damage (integrity_check)"
_TABLES = "every table has the rows it had at capture"
_OBJECTS = "indexes, views, triggers and sequences are there"
_CODE = re.compile(r"[A-Za-z_]{1,60}")
_UNREADABLE = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CANTOPEN", "DatabaseError")
_NAMED = 3
"""How many tables a sentence names."""


def levels_to_measure(baseline: DatabaseBaseline | None) -> dict[str, str]:
    """Return how closely to look at each table, to be able to compare it."""
    if baseline is None or not _same_way(baseline):
        return {}
    return {name: table.level.value for name, table in baseline.tables.items()}


def code_words(value: object) -> str:
    """Return a number or the name of a result code; what else the sandbox says is not shown."""
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "unknown"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A restored database beside what it was."""

    asset: str
    baseline: DatabaseBaseline | None
    damaged_at_capture: bool
    equal_bytes: bool | None
    """`None` where the baseline has no hash of the file."""
    tables: Mapping[str, Answer]
    others: Answer

    def verifications(self) -> Iterator[Verification]:
        """Yield what can be said."""
        if self.baseline is None:
            title = "the data is what it was at capture"
            actual = self._came_back()
            yield self._judge(title, Result.UNPROVEN, actual=actual, reason=NO_BASELINE)
            yield from self._damage()
            return
        if self.equal_bytes is not None:
            yield self._bytes(equal=self.equal_bytes)
        yield from self._damage()
        yield self._all_tables(self.baseline)
        yield self._objects(self.baseline)

    def _came_back(self) -> str:
        counts = (each.get("rows") for each in self.tables.values())
        rows = sum(count for count in counts if isinstance(count, int))
        return f"{count_words(len(self.tables), 'table')}, {count_words(rows, 'row')}"

    def _bytes(self, *, equal: bool) -> Verification:
        return self._judge(
            _BYTES,
            Result.PASSED if equal else Result.FAILED,
            expected="equal to capture",
            actual="equal" if equal else "not equal",
            reason="" if equal else "the restored file is not the file that was captured",
            proves=Depth.L2,
        )

    def _damage(self) -> Iterator[Verification]:
        found, code = self.others.get("damages"), code_words(self.others.get("damages failed"))
        if found == 0:
            yield self._judge(_DAMAGE, Result.PASSED, expected=0, actual=0, proves=Depth.L3)
            return
        if isinstance(found, int) or code.startswith(_UNREADABLE):
            yield self._judge(
                _DAMAGE,
                Result.FAILED,
                expected=0,
                actual=found if isinstance(found, int) else code,
                reason=f"{ALREADY_DAMAGED}: the backup is a true copy of it"
                if self.equal_bytes or self.damaged_at_capture
                else "the restored database is damaged",
                proves=Depth.L3,
            )
        elif not self.equal_bytes:
            # With equal bytes nothing is open: SQLite lacks a collation of the program's own.
            reason = "SQLite could not look for damage in this database"
            yield self._judge(
                _DAMAGE, Result.UNPROVEN, expected=0, actual=code, reason=reason, proves=Depth.L3
            )

    def _all_tables(self, baseline: DatabaseBaseline) -> Verification:
        verdicts = {
            name: _verdict(table, self.tables.get(name), same_way=_same_way(baseline))
            for name, table in baseline.tables.items()
        }
        different = [f"{name} ({verdict})" for name, verdict in verdicts.items() if verdict]
        different += [f"{name} (new)" for name in sorted(self.tables.keys() - verdicts.keys())]
        unknown = [name for name, verdict in verdicts.items() if verdict is None]
        total, expected = len(verdicts), f"{count_words(len(verdicts), 'table')} as at capture"
        if different:
            return self._judge(
                _TABLES,
                Result.FAILED,
                expected=expected,
                actual=f"{count_words(len(different), 'table')} not equal",
                reason=f"not as at capture: {_listed(different)}",
            )
        if unknown and not self.equal_bytes:
            return self._judge(
                _TABLES,
                Result.UNPROVEN,
                expected=expected,
                actual=f"{total - len(unknown):,} of {total:,} equal",
                reason=f"could not be compared with capture: {_listed(unknown)}",
            )
        return self._judge(
            _TABLES,
            Result.PASSED,
            expected=expected,
            actual=f"{total:,} of {total:,} equal{self._how_closely(baseline, len(unknown))}",
        )

    def _how_closely(self, baseline: DatabaseBaseline, unknown: int) -> str:
        counted = sum(1 for table in baseline.tables.values() if table.checksum is None)
        if not counted and not unknown:
            return ""
        if self.equal_bytes:
            return ", some of them by the bytes of the file only"
        return f", {counted:,} of them in number only"

    def _objects(self, baseline: DatabaseBaseline) -> Verification:
        found, ends = self.others.get("objects"), self.others.get("sequences")
        if not isinstance(found, dict) or not isinstance(ends, dict):
            reason = "they cannot be read in the restored database"
            return self._judge(_OBJECTS, Result.FAILED, expected="as at capture", reason=reason)
        violations = self.others.get(sqlite_inside.FOREIGN_KEYS)
        now = {**found, sqlite_inside.FOREIGN_KEYS: violations}
        different = [
            f"{kind} ({count:,}, now {code_words(now.get(kind))})"
            for kind, count in baseline.objects.items()
            if now.get(kind) != count
        ]
        different += [
            f"the sequence of {table}"
            for table, last in baseline.sequences.items()
            if not _reaches(ends.get(table), last)
        ]
        if different:
            return self._judge(
                _OBJECTS,
                Result.FAILED,
                expected="as at capture",
                actual="not equal",
                reason=f"not as at capture: {_listed(different)}",
            )
        return self._judge(_OBJECTS, Result.PASSED, expected="as at capture", actual="equal")

    def _judge(
        self,
        title: str,
        result: Result,
        *,
        expected: Value | str = None,
        actual: Value | str = None,
        reason: str = "",
        proves: Depth = Depth.L4,
    ) -> Verification:
        return Verification(
            title=title,
            asset=self.asset,
            result=result,
            expected=expected,
            actual=actual,
            reason=reason,
            proves=proves,
        )


def _same_way(baseline: DatabaseBaseline) -> bool:
    return baseline.algorithm == sqlite_inside.ALGORITHM


def _verdict(table: TableBaseline, found: Answer | None, *, same_way: bool) -> str | None:
    """Return in what a table differs, nothing where it does not, `None` where nobody knows."""
    if found is None:
        return "gone"
    if table.rows is None:
        return None
    rows = found.get("rows")
    if not isinstance(rows, int):
        return "cannot be read"
    if rows != table.rows:
        return f"{count_words(table.rows, 'row')}, now {rows:,}"
    if table.checksum is None:
        return ""
    if not same_way:
        return None
    if found.get("checksum") is None:
        return "cannot be read"
    return "" if found["checksum"] == table.checksum else "other content"


def _reaches(end: object, last: int) -> bool:
    return isinstance(end, int) and end >= last


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
