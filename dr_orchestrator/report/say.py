"""The words of the reports. All of them lie in `words/en/`, one file a reader, so that they can be
translated: a language is a folder of the same files.

`say("manager.nothing_yet")` is the text `nothing_yet` of `manager.toml`; tables in a file are
groups: `say("auditor.calendar.title")`. What varies stands in braces and is given by name. A text
with `one` and `other` is chosen by `count`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

LANGUAGE = "en"


def say(key: str, /, **values: object) -> str:
    """Return the text of `key` with `values` in their places.

    Raises:
        KeyError: there is no such text, or a value for it is missing.
    """
    text = _text(key)
    if not isinstance(text, str):
        raise KeyError(key)
    return text.format(**values)


def count(key: str, number: int, /, **values: object) -> str:
    """Return the text of `key` for so many: `one`, else `other`; `{n}` is the number."""
    form = "one" if number == 1 else "other"
    return say(f"{key}.{form}", n=f"{number:,}", **values)


def all_texts(language: str = LANGUAGE) -> dict[str, str]:
    """Return every text by its key."""
    found: dict[str, str] = {}
    for name, content in _language(language).items():
        _flatten(name, content, found)
    return found


def places_in(text: str) -> frozenset[str]:
    """Return the names of what varies in a text."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name)


def _text(key: str) -> Any:
    found: Any = _language(LANGUAGE)
    for part in key.split("."):
        found = found[part]
    return found


@cache
def _language(language: str) -> dict[str, Any]:
    folder = files("dr_orchestrator.report") / "words" / language
    return {
        each.name.removesuffix(".toml"): tomllib.loads(each.read_text(encoding="utf-8"))
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(".toml")
    }


def _flatten(name: str, content: Any, found: dict[str, str]) -> None:
    if isinstance(content, str):
        found[name] = content
    else:
        for key, value in content.items():
            _flatten(f"{name}.{key}", value, found)
