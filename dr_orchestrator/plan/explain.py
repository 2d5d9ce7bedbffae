"""What pydantic found wrong, in our own words and at the place in the file.

pydantic's texts are for programmers and quote the input, which can be a password in the wrong
place. Here every kind of error has words of ours, and none of them repeats a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Table
from collections.abc import Sequence as Ordered
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from dr_orchestrator import __version__
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.plan.document import (
    Document,
    Entry,
    Mapping,
    Node,
    Position,
    Sequence,
    Unusable,
    text_of,
)
from dr_orchestrator.plan.problem import Problem, did_you_mean
from dr_orchestrator.plan.quantity import MISTAKE
from dr_orchestrator.plan.secret_reference import HINT as REFERENCE_HINT
from dr_orchestrator.plan.secret_reference import SecretReference

Location = tuple[str | int, ...]

LATER = frozenset(
    {
        *("keyring", "labels"),
    }
)
"""Keys that the plan format has and this version of the program does not read."""
_LATER_HINT = "take it out: it comes with a later version"
_KINDS = [kind.value for kind in AssetKind]
_KINDS_HINT = f"kinds are {', '.join(_KINDS[:-1])} and {_KINDS[-1]}"
_UNKNOWN_KEY, _MISSING_KEY = "unknown key", "is missing"
_NEAR_KEY = re.compile(r"^did you mean `(.+)`\?$")
_SUPPRESSED = frozenset({"default_factory_not_called"})
"""Follows from another error, which is reported."""

_WORDS: dict[str, tuple[str, str]] = {
    "bool_type": ("must be true or false", ""),
    "date_from_datetime_inexact": ("must be a date without a time", "write it as 2026-11-21"),
    "date_from_datetime_parsing": ("must be a date", "write it as 2026-11-21"),
    "date_parsing": ("is not a date that exists", "write it as 2026-11-21"),
    "date_type": ("must be a date", "write it as 2026-11-21"),
    "float_type": ("must be a number", ""),
    "int_from_float": ("must be a whole number", ""),
    "int_type": ("must be a whole number", "write it without quotes"),
    "path_type": ("must be a path, as text", ""),
    "string_type": ("must be text", "put it in quotes"),
    "tuple_type": ("must be a list", "write [one, two], or a line for each beginning with `- `"),
    "zoneinfo_str": ("is not a time zone of the IANA list", "write one as America/Chicago"),
}


def explain(
    error: ValidationError,
    document: Document,
    model: type[BaseModel],
    without_tags: Callable[[Location], Location] = tuple,
) -> list[Problem]:
    """Return each error at its place, leaving out what only follows from an unusable node.

    `without_tags` takes out of a location what pydantic puts in for members of unions.
    """
    problems = []
    for detail in error.errors(include_url=False, include_input=False):
        place = _Place.of(without_tags(detail["loc"]), document.root)
        if detail["type"] in _SUPPRESSED or isinstance(place.node, Unusable):
            continue
        if _is_echo(detail, place.node):
            continue
        problems.append(_problem(detail, place, document, model))
    return _without_echoes_of_slips(problems)


def _without_echoes_of_slips(problems: list[Problem]) -> list[Problem]:
    """Leave out that a key is missing where another one is taken for its misspelling."""
    slips = set()
    for problem in problems:
        if problem.message == _UNKNOWN_KEY and (found := _NEAR_KEY.search(problem.hint)):
            slips.add(_below(problem.path.rpartition(".")[0], found[1]))
    return [
        problem
        for problem in problems
        if not (problem.message == _MISSING_KEY and problem.path in slips)
    ]


class _Place:
    """The node that an error is about, as near as it exists."""

    def __init__(self, node: Node, key: Position | None, rest: Location) -> None:
        self.node = node
        self.key = key
        """Where its own key stands."""
        self.rest = rest
        """What of the location the file does not hold."""

    @classmethod
    def of(cls, location: Location, root: Node) -> _Place:
        """Follow a location as far as the file goes."""
        node, key = root, None
        for index, step in enumerate(location):
            match node:
                case Mapping(entries=entries) if str(step) in entries:
                    entry: Entry = entries[str(step)]
                    node, key = entry.node, entry.key
                case Sequence(items=items) if isinstance(step, int) and step < len(items):
                    node, key = items[step], None
                case _:
                    return cls(node, key, location[index:])
        return cls(node, key, ())


def _problem(
    detail: Any,
    place: _Place,
    document: Document,
    model: type[BaseModel],
) -> Problem:
    node, kind, context = place.node, detail["type"], detail.get("ctx", {})
    position, path = node.position, node.path
    if kind == "missing":
        name = str(place.rest[-1])
        hint = _description(model, detail["loc"])
        return document.problem(position, _below(path, name), _MISSING_KEY, hint)
    if kind == "extra_forbidden":
        message, hint = _unknown_key(detail["loc"], model)
        return document.problem(place.key or position, path, message, hint)
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _wrong_kind(node, document)
    if place.rest == ("[key]",):
        position = place.key or position
    message, hint = _words(kind, context, node)
    return document.problem(position, path, message, hint)


def _is_echo(detail: Any, node: Node) -> bool:
    """Whether this only says that a collection is empty once its wrong members are gone."""
    if detail["type"] != "too_short":
        return False
    return bool(getattr(node, "items", ()) or getattr(node, "entries", ()))


def _words(kind: str, context: Table[str, Any], node: Node) -> tuple[str, str]:
    if kind == MISTAKE:
        return context["words"], context["hint"]
    if _is_empty(node):
        return "has no value", "write one, or leave the key out"
    if kind in {"literal_error", "enum"}:
        allowed = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        near = did_you_mean(text_of(node) or "", allowed)
        if node.path == "version":
            near = f"this is dro {__version__}; a newer one may read another"
        return f"must be {'one of ' if len(allowed) > 1 else ''}{', '.join(allowed)}", near
    if kind == "string_pattern_mismatch":
        return _wrong_pattern(context["pattern"])
    if kind in {"string_too_short", "too_short"}:
        return "must not be empty", ""
    if kind in {"greater_than_equal", "less_than_equal"}:
        limit = context.get("ge", context.get("le"))
        return f"must be at {'least' if 'ge' in context else 'most'} {limit}", ""
    if kind in {"model_type", "dict_type"}:
        return _no_mapping(context, node)
    return _WORDS.get(kind, ("is not valid here", ""))


def _no_mapping(context: Table[str, Any], node: Node) -> tuple[str, str]:
    if context.get("class_name") == SecretReference.__name__:
        return "must be a reference: a password never stands in a plan", REFERENCE_HINT
    near = did_you_mean(text_of(node) or "", ["baseline"])
    return "must be a mapping of keys to values", near


def _is_empty(node: Node) -> bool:
    return getattr(node, "value", "") is None


def _wrong_pattern(pattern: str) -> tuple[str, str]:
    if pattern == "^/":
        return "must be an absolute path", "begin it with /"
    if pattern.startswith("^[a-z]"):
        return (
            "is not an id",
            "lower-case letters, digits, - and _, beginning with a letter, 40 at most",
        )
    return "is not a name of a variable", "letters, digits and _, not beginning with a digit"


def _wrong_kind(node: Node, document: Document) -> Problem:
    path = _below(node.path, "kind")
    if not isinstance(node, Mapping) or "kind" not in node.entries:
        return document.problem(node.position, path, _MISSING_KEY, _KINDS_HINT)
    kind = node.entries["kind"].node
    text = text_of(kind) or ""
    near = did_you_mean(text, _KINDS)
    return document.problem(kind.position, path, "is no kind of asset", near or _KINDS_HINT)


def _unknown_key(location: Location, model: type[BaseModel]) -> tuple[str, str]:
    key = str(location[-1])
    known = tuple(field.alias or name for name, field in fields_at(model, location).items())
    if key in LATER:
        return "is not in this version yet", _LATER_HINT
    for other in ("protected_by", "not_protected"):
        if other in known and key in _fields_of_a_protected_system(model, location):
            return "has no effect", f"with `{other}`, this plan does not protect it"
    if "existing" in known and key in _fields_of_assets(model, location):
        return "has no effect", "with `existing`, another tool saves it"
    near = did_you_mean(key, (*known, "existing") if "kind" in known else known)
    return _UNKNOWN_KEY, near or f"dro {__version__} knows here: {', '.join(known)}"


def _fields_of_a_protected_system(model: type[BaseModel], location: Location) -> Ordered[str]:
    return tuple(fields_at(model, (*location[:2], "protected", "-")))


def _fields_of_assets(model: type[BaseModel], location: Location) -> Ordered[str]:
    above = location[:-2]
    return tuple(name for kind in _KINDS for name in fields_at(model, (*above, kind, "-")))


def _description(model: type[BaseModel], location: Location) -> str:
    for name, field in fields_at(model, location).items():
        if location[-1] == (field.alias or name):
            return field.description or ""
    return ""


def fields_at(model: type[BaseModel], location: Location) -> dict[str, Any]:
    """Return the fields that may stand where the last step of a location stands."""
    current: Any = model
    for step in location[:-1]:
        current = _step(current, step)
    return dict(current.model_fields) if _is_model(current) else {}


def _step(kind: Any, step: str | int) -> Any:
    kind = _bare(kind)
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if step == (field.alias or name):
                return _bare(field.annotation)
        return None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _bare(arguments[1])
    if get_origin(kind) is tuple:
        return _bare(arguments[0])
    if _is_union(kind):
        return next((_bare(one) for one in arguments if step in _tags(one)), None)
    return None


def _tags(member: Any) -> set[str]:
    marks = {str(mark.tag) for mark in get_args(member)[1:] if isinstance(mark, Tag)}
    bare = _bare(member)
    if not marks and _is_model(bare) and "kind" in bare.model_fields:
        return {str(value) for value in get_args(bare.model_fields["kind"].annotation)}
    return marks


def _bare(kind: Any) -> Any:
    """Return an annotation without metadata, and without `None` where that leaves one type."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if _is_union(kind):
        members = [member for member in get_args(kind) if member is not type(None)]
        if len(members) == 1:
            return _bare(members[0])
    return kind


def _is_union(kind: Any) -> bool:
    import types

    return get_origin(kind) in {Union, types.UnionType}


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
