"""What a check expects of the one value it asks for.

An expectation can only be a number, a boolean or a time, compared with another, or `baseline`:
never text. So no row of a database can be quoted in a plan, a record or a report.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, cast, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from dr_orchestrator.core.baseline import Value
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.plan.quantity import format_duration, mistake, parse_duration

Operator = Literal["==", "!=", ">", ">=", "<", "<=", "newer_than", "baseline"]

_HINT = (
    'write a number, true, false, a time as 2026-11-21, a comparison as "> 0", '
    "{newer_than: 26h} or baseline"
)
_TEXT_HINT = "compare inside the query, and expect true"
_COMPARISON = re.compile(r"(==|!=|>=|<=|>|<) ?(\S.*)", re.ASCII)
_NUMBER = re.compile(r"[-+]?\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[-+]\d\d:\d\d)?)?")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LONGEST_CAPTURE = timedelta(days=1)
"""A physical capture takes in what comes while it lasts: so much later than the point it may be."""
_FLOAT_NOISE = 1e-12
"""Relative: a server may add the same floating-point numbers up in another order."""


class NotCaptured(Enum):
    """Says that a query was not asked at capture, which is something else than the answer null."""

    NOT_CAPTURED = "not captured"


NOT_CAPTURED: Final = NotCaptured.NOT_CAPTURED


class Judgement(NamedTuple):
    """What became of one expectation."""

    result: Result
    expected: str
    """In words: `> 0`, `equal to capture`."""
    reason: str
    """One sentence where the result is not `passed`; never the value itself."""


@dataclass(frozen=True)
class Expectation:
    """What the one value of a check must be."""

    operator: Operator
    operand: bool | float | datetime | timedelta | None = None
    """What it is compared with; a duration for `newer_than`, nothing for `baseline`."""
    written: bool | float | str | None = field(default=None, compare=False)
    """The value as the plan writes it; for `newer_than` the duration."""

    @property
    def needs_baseline(self) -> bool:
        """Whether the query must be asked at capture too."""
        return self.operator == "baseline"

    @property
    def words(self) -> str:
        """What is expected, for a person."""
        if self.operator == "baseline":
            return "equal to capture"
        if isinstance(self.operand, timedelta):
            return f"newer than {duration_words(self.operand)} before the recovery point"
        shown = _shown(self.operand)
        return shown if self.operator == "==" else f"{self.operator} {shown}"

    def judge(
        self,
        value: Value,
        *,
        as_of: datetime,
        baseline: Value | NotCaptured = NOT_CAPTURED,
        zone: tzinfo = UTC,
    ) -> Judgement:
        """Return whether `value` is what is expected; times that carry no zone are read in `zone`.

        The age of a time is measured from `as_of`, the recovery point's instant, not from now: a
        restore test a week later must come to the same result.

        - Null (`max` or `sum` over no rows) equals a baseline of null and nothing else. Against
          any other expectation it fails: an emptied table must not pass or stay open.
        - A time that is long after `as_of` (an appointment) has no age: unproven.
        - A value of another kind than expected (a time where a number is expected) is unproven:
          the check says nothing about the data, and the plan is to be corrected.
        - `baseline` without an answer from capture is unproven.
        """
        if self.operator == "baseline":
            return self._against_capture(_aware(value, zone), baseline, zone)
        if value is None:
            return self._failed("the query answers null: there is no value")
        value = _aware(value, zone)
        if isinstance(self.operand, timedelta):
            return self._by_age(value, as_of, self.operand)
        operand = _aware(self.operand, zone)
        if _kind(value) != _kind(operand):
            return self._unproven(
                f"the query answers a {_kind(value)} where a {_kind(operand)} is expected"
            )
        if _COMPARE[self.operator](value, operand):
            return self._passed()
        return self._failed("the query answers something else")

    def _by_age(self, value: Value, as_of: datetime, allowed: timedelta) -> Judgement:
        if not isinstance(value, datetime):
            return self._unproven("the query answers no time, so it has no age")
        if value - as_of > max(allowed, _LONGEST_CAPTURE):
            return self._unproven(
                "the query answers a time after the recovery point, which tells no age: "
                "does it look at appointments?"
            )
        if as_of - value < allowed:
            return self._passed()
        return self._failed("the newest value is older than that")

    def _against_capture(
        self, value: Value, baseline: Value | NotCaptured, zone: tzinfo
    ) -> Judgement:
        if isinstance(baseline, NotCaptured):
            return self._unproven("the query was not answered at capture")
        if _equal(value, _aware(baseline, zone)):
            return self._passed()
        return self._failed("the query answers something else than at capture")

    def _passed(self) -> Judgement:
        return Judgement(Result.PASSED, self.words, "")

    def _failed(self, reason: str) -> Judgement:
        return Judgement(Result.FAILED, self.words, reason)

    def _unproven(self, reason: str) -> Judgement:
        return Judgement(Result.UNPROVEN, self.words, reason)

    @classmethod
    def parse(cls, written: object) -> Expectation:
        """Return the expectation that `expect:` states.

        Raises:
            ValueError: it is none of the kinds an expectation may be.
        """
        if isinstance(written, bool | int | float):
            if not math.isfinite(written):
                raise ValueError("is not a finite number")
            return cls("==", written, written)
        if isinstance(written, dict) and set(written) == {"newer_than"}:
            age = written["newer_than"]
            if not isinstance(age, str) or not parse_duration(age):
                raise ValueError("needs a duration in newer_than")
            return cls("newer_than", parse_duration(age), age)
        if isinstance(written, str):
            return cls._of_text(written)
        raise ValueError("is nothing that can be expected")

    @classmethod
    def _of_text(cls, text: str) -> Expectation:
        if text == "baseline":
            return cls("baseline", None, text)
        if found := _COMPARISON.fullmatch(text):
            return cls(_operator(found[1]), _operand(found[2]), text)
        if _TIME.fullmatch(text):
            return cls("==", _operand(text), text)
        raise ValueError("text cannot be expected, since it could be patient data")

    def as_written(self) -> bool | float | str | dict[str, str] | None:
        """Return what `parse` reads back."""
        if isinstance(self.operand, timedelta):
            return {"newer_than": format_duration(self.operand)}
        return self.written

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls.as_written, when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": ["number", "boolean"]},
                {"type": "string", "description": "baseline, a time, or a comparison as `> 0`"},
                {
                    "type": "object",
                    "properties": {"newer_than": {"type": "string"}},
                    "required": ["newer_than"],
                    "additionalProperties": False,
                },
            ]
        }

    @classmethod
    def _read(cls, value: object) -> Expectation:
        if isinstance(value, Expectation):
            return value
        try:
            return cls.parse(value)
        except ValueError as error:
            is_text = str(error).startswith("text")
            raise mistake(str(error), _TEXT_HINT if is_text else _HINT) from None


def _operator(text: str) -> Operator:
    for known in get_args(Operator):
        if text == known:
            return cast("Operator", known)
    raise ValueError("is no comparison")


def _operand(text: str) -> float | datetime:
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    if _TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("is a time that does not exist") from None
    raise ValueError("compares with something that is neither a number nor a time")


def _aware(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=zone)
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "time" if isinstance(value, datetime) else "number"


def _equal(value: Value, other: Value) -> bool:
    if value is None or other is None:
        return value is other
    if _kind(value) != _kind(other):
        return False
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=_FLOAT_NOISE, abs_tol=0)
    return value == other


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        midnight = value.time() == time() and value.tzinfo is None
        return str(date(value.year, value.month, value.day) if midnight else value)
    return str(value)
