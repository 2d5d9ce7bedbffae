"""The plan format described by its own model: JSON Schema for editors, a page for people.

`scripts/reference` writes the page; a test holds the two in step.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticUndefined
from pydantic_core.core_schema import WithDefaultSchema

from dr_orchestrator.plan.expectation import Expectation
from dr_orchestrator.plan.model import Plan, RestoreTestSpec
from dr_orchestrator.plan.opening import OpeningHours
from dr_orchestrator.plan.quantity import SIZE, format_duration, format_size
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.plan.section import Section

_WORDS: dict[Any, str] = {
    Expectation: "[expectation](#values)",
    OpeningHours: "[opening hours](#values)",
    Path: "absolute path",
    Schedule: "[schedule](#values)",
    ZoneInfo: "time zone",
    bool: "true or false",
    date: "date",
    float: "[percentage](#values)",
    int: "whole number",
    str: "text",
    timedelta: "[duration](#values)",
}
_COMPUTED = {"prove_every": "twice the test's own interval"}
_PLAN_HEAD = """\
# The plan

One YAML file a practice. This page is made from the model (`scripts/reference`); `dro plan schema`
prints the same as a JSON Schema for editors.

Unknown keys, keys given twice, settings without effect, and words and numbers that YAML 1.1 reads
as something else (`yes`, `03:30`, `0123`) are mistakes. All mistakes of a file are reported at
once, each with line and column. Anchors, aliases, merge keys and tags are not used.

The least plan that works is `plans/least.yaml`; everything at once is `plans/example.yaml`.

## Values

| value | how it is written |
|---|---|
{values}
"""
_VALUES = {
    "duration": "`90s`, `45m`, `24h`, `7d`, `2w`, `1h30m`; never a bare number",
    "size": "`512 B`, `10 MiB`, `2.5 GiB`; never a bare number",
    "percentage": "`5%`, `12.5%`; never a bare number",
    "schedule": '`every 30m`, `"03:30"` (daily), `"Sun 04:00"` (weekly), or five cron fields as '
    '`"*/15 8-18 * * 1-5"`; in the practice\'s time zone',
    "opening hours": 'by weekday: `{mon-fri: "08:00-18:00", sat: "09:00-12:00,14:00-16:00"}`',
    "expectation": 'a number, `true`, `false`, a time as `2026-11-21`, a comparison as `"> 0"`, '
    "`{newer_than: 26h}` (at the recovery point's instant), or `baseline` (equal to capture); "
    "never text, which could be patient data",
    "id": "lower-case letters, digits, `-` and `_`, beginning with a letter, 40 at most",
}
_SETTINGS_HEAD = """\
# The machine's settings

What belongs to a machine and not to a practice, in `$DRO_SETTINGS`, else `/etc/dro/dro.yaml`. Every
key has a default, so the file may be absent. It says which programs run: one that others can write
is refused. This page is made from the model (`scripts/reference`).
"""


class _Schema(GenerateJsonSchema):
    """Shows defaults as a plan writes them: `1h`, not `PT1H`; `1 B`, not 1."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema of a value that has a default; a number that is written is a size."""
        described = super().default_schema(schema)
        if described.get("type") == "string" and isinstance(described.get("default"), int):
            described["default"] = format_size(described["default"])
        return described

    def encode_default(self, dft: Any) -> Any:
        """Return a default as JSON has it."""
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, Schedule):
            return str(dft)
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", exclude_none=True)
        return super().encode_default(dft)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a file that such a model describes: of a plan, or of a runbook."""
    schema = model.model_json_schema(by_alias=True, schema_generator=_Schema)
    if "extends" in schema["properties"]:  # what a plan leaves out, its template may say
        needed = {"required": schema.pop("required")}
        schema |= {"if": {"required": ["extends"]}, "else": needed}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def plan_reference() -> str:
    """Return the page that describes plans."""
    values = "\n".join(f"| {name} | {how} |" for name, how in _VALUES.items())
    return _page(_PLAN_HEAD.format(values=values), Plan)


def page_beside_plan(head: str, model: type[BaseModel]) -> str:
    """Return the page that describes another file than the plan, from its model."""
    # how values are written stands on the plan's page
    return _page(head, model).replace("(#values)", "(plan.md#values)")


def settings_reference(model: type[BaseModel]) -> str:
    """Return the page that describes the machine's settings, from their model."""
    return page_beside_plan(_SETTINGS_HEAD, model)


def _page(head: str, model: type[BaseModel]) -> str:
    return "\n".join([head, *(_section(each) for each in _reached(model))]).rstrip() + "\n"


def _reached(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and all that it is made of, each once, from the outside in."""
    found = [model]
    for each in found:
        for field in each.model_fields.values():
            found += [part for part in _models(field.annotation) if part not in found]
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _section(model: type[BaseModel]) -> str:
    lines = [
        f"## {_title(model)}",
        "",
        _cell(inspect.getdoc(model) or ""),
        "",
        "| key | value | unless stated | |",
        "|---|---|---|---|",
    ]
    for name, field in model.model_fields.items():
        cells = (
            f"`{field.alias or name}`",
            "[size](#values)" if SIZE in field.metadata else _type_words(field.annotation),
            _default_words(name, field, model),
            field.description or "",
        )
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join([*lines, ""])


def _title(model: type[BaseModel]) -> str:
    """Return `Postgres asset` for `PostgresAsset`."""
    name = model.__name__.removesuffix("Spec")
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip().capitalize()


def _anchor(model: type[BaseModel]) -> str:
    return f"[{_title(model).lower()}](#{_title(model).lower().replace(' ', '-')})"


def _type_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return "[size](#values)" if SIZE in arguments else _type_words(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{_shown(value)}`" for value in arguments)
    if origin is tuple:
        return f"list of {_type_words(arguments[0])}"
    if origin is dict:
        key = "id" if get_origin(arguments[0]) is Annotated else "text"
        return f"mapping of {key} to {_type_words(arguments[1])}"
    if origin in {Union, types.UnionType}:
        members = [each for each in arguments if each is not types.NoneType]
        return " or ".join(_type_words(each) for each in members)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _anchor(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{each.value}`" for each in annotation)
    return _WORDS[annotation]


def _default_words(name: str, field: FieldInfo, model: type[BaseModel]) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is not None or field.default is PydanticUndefined:
        return _COMPUTED.get(name, "see right") if model is RestoreTestSpec else "see right"
    if SIZE in field.metadata:
        return f"`{format_size(field.default)}`"
    return _default_value(field.default)


def _default_value(value: Any) -> str:
    if value is None or value in ((), {}, ""):
        return ""
    if isinstance(value, BaseModel):
        stated = {key: each for key, each in value if each is not None}
        return ", ".join(f"`{key}: {_shown(each)}`" for key, each in stated.items())
    if isinstance(value, tuple):
        shown = [_shown(each) for each in value if not isinstance(each, Section)]
        return ", ".join(f"`{each}`" for each in shown) or "`baseline`"
    return f"`{_shown(value)}`"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, BaseModel):
        stated = (f"{key}: {_shown(each)}" for key, each in value if each is not None)
        return f"{{{', '.join(stated)}}}"
    return str(value.value if isinstance(value, Enum) else value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
