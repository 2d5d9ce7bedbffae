"""What SQLite answers, as the few kinds of value that may leave a sandbox."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo

from dr_orchestrator.core.baseline import Value
from dr_orchestrator.errors import CouldNotVerify

_WHY_NOT = {
    "shape": "the query does not answer one row of one column",
    "other": "the query answers neither a number nor a time",
}


class NoValue(CouldNotVerify):
    """A query gave nothing that may be looked at."""


def as_value(kind: object, value: object, zone: tzinfo) -> Value:
    """Return the value of a kind that `sqlite_inside.one_value` names; naive times are in `zone`.

    Times come back in UTC. Kind and value come out of the sandbox and may be anything.

    Raises:
        NoValue: not a value, or text that reads as a time but is none (the 30th of February).
    """
    if kind == "null" and value is None:
        return None
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, int) or math.isfinite(value):
            return value
    elif kind == "time" and isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
            aware = found if found.utcoffset() is not None else found.replace(tzinfo=zone)
            return aware.astimezone(UTC)
        except (ValueError, OverflowError):
            raise NoValue("the query answers a time that does not exist") from None
    raise NoValue(_WHY_NOT.get(str(kind), "the query answers nothing that can be looked at"))
