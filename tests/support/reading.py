"""How hard a text is to read: the grade of Flesch and Kincaid, 1975 (US Navy, report 8-75)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLACE = re.compile(r"\{[^}]*\}")
_END = re.compile(r"(?<=[.!?])\s+")
_FEWEST = 5
"""Words of a sentence; what has less is a label."""
_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")
_VOWELS = re.compile(r"[aeiouy]+")
_SILENT = re.compile(r"(?:[^laeiouy]e|[^td]ed|[^scgzx]es)$")


def sentences(texts: Iterable[str]) -> list[str]:
    """Return the sentences in `texts`; what varies in one is a short word."""
    whole = (_PLACE.sub("day", text) for text in texts)
    parts = (each for text in whole for each in _END.split(text))
    return [each for each in parts if len(_WORD.findall(each)) >= _FEWEST]


def grade(parts: list[str]) -> float:
    """Return the years at school that `parts`, a sentence each, ask for."""
    words = [word for part in parts for word in _WORD.findall(part)]
    syllables = sum(map(_syllables, words))
    return 0.39 * len(words) / len(parts) + 11.8 * syllables / len(words) - 15.59


def _syllables(word: str) -> int:
    return max(1, len(_VOWELS.findall(_SILENT.sub("", word.lower()) or word.lower())))
