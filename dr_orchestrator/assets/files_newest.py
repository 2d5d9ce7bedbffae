"""Which file of somebody else's job counts, and how old its data is.

The job is not ours: nobody tells us when it is done, or that it died. All there is to go by is the
newest file that is whole: unchanged for a while, and not too small. A file dated after the capture
does not count: taken at its word, it would be the newest for years.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dr_orchestrator.assets.files_exclude import components_expression
from dr_orchestrator.assets.files_look import Seen
from dr_orchestrator.core.wording import duration_words, size_words
from dr_orchestrator.plan.model import DataTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewestFile:
    """The newest file that counts, of those offered, and what was passed over for it."""

    def __init__(self, spec: DataTime, instant: datetime) -> None:
        """Take the plan's word on which files count, and when they are looked at."""
        self._spec = spec
        self._instant = instant
        parts = [part for part in spec.newest.split("/") if part]
        self._expression = re.compile(components_expression(parts) + r"\Z")
        self._passed_over: dict[str, int] = {}
        self.found: Seen | None = None
        """The file that counts. Its name goes nowhere."""

    def offer(self, seen: Seen) -> None:
        """Take note of a name. Only regular files count: a link is saved as a link."""
        path = "".join(f"/{os.fsdecode(part)}" for part in seen.parts)
        if not seen.entry.is_file or not self._expression.match(path):
            return
        written, why_not = seen.entry.stat.st_mtime_ns, self._why_not(seen)
        if why_not:
            self._passed_over[why_not] = max(written, self._passed_over.get(why_not, written))
        elif self.found is None or _rank(seen) > _rank(self.found):
            self.found = seen

    @property
    def data_as_of(self) -> datetime | None:
        """When the file that counts was written."""
        return None if self.found is None else _written(self.found)

    @property
    def why_none(self) -> str:
        """Why no file counts, as a clause."""
        matching = f"no file in it matches `{self._spec.newest}`"
        if not self._passed_over:
            return matching
        newest = max(self._passed_over, key=lambda why: self._passed_over[why])
        return f"{matching} and counts: the newest {newest}"

    @property
    def conditions(self) -> Iterator[str]:
        """What is newer than the file that counts, each a sentence."""
        for why_not, written in self._passed_over.items():
            if self.found is not None and written > self.found.entry.stat.st_mtime_ns:
                yield (
                    f"a newer file that matches `{self._spec.newest}` {why_not}: "
                    "the one before it counts"
                )

    def _why_not(self, seen: Seen) -> str:
        written = _written(seen)
        if written > self._instant:
            return "is dated in the future (is a clock wrong?)"
        if written > self._instant - self._spec.settled:
            return (
                "may still be being written, since it was changed less than "
                f"{duration_words(self._spec.settled)} ago"
            )
        if seen.entry.stat.st_size < self._spec.at_least:
            return f"is smaller than {size_words(self._spec.at_least)}"
        return ""


def _rank(seen: Seen) -> tuple[int, tuple[bytes, ...]]:
    return seen.entry.stat.st_mtime_ns, seen.parts


def _written(seen: Seen) -> datetime:
    # A file system may hold times that no calendar does.
    microseconds = max(0, seen.entry.stat.st_mtime_ns // 1000)
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
