"""A key that people write down, read aloud and type: groups of which each shows its own mistakes.

160 random bits in Crockford's base 32 (digits and letters but I, L, O and U), eight groups of four
signs, each with a fifth that checks it. The text as it is printed is the password itself, so bare
restic takes it. Pure but for `new_groups`; it must not tell what a sign should have been.

The check is a sum in GF(32), x⁵ + x² + 1: each place has a factor of its own, none of them 0 or 1,
so one wrong sign and two neighbours swapped always show; each group has a summand of its own, so
that no group is right in the place of another one.
"""

from __future__ import annotations

import re
import secrets

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import UsageMistake

_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_GROUPS, _DATA, _WHOLE = 8, 4, 5
_BITS = 5
_FIELD, _REDUCE = 1 << _BITS, 0b100101
_FACTORS = (2, 4, 8, 16)
_BETWEEN = re.compile(r"[\s–—-]+")
_ABOUT_ALL = range(_GROUPS * _WHOLE - 2, _GROUPS * _WHOLE + 3)
"""So many signs are a key with one or two of them missing or too many."""


def new_groups() -> Secret:
    """Draw a new key."""
    drawn = secrets.randbits(_GROUPS * _DATA * _BITS)
    signs = [drawn >> _BITS * place & _FIELD - 1 for place in range(_GROUPS * _DATA)]
    return Secret(groups_of(signs))


def groups_of(values: list[int]) -> str:
    """Return 32 values of 5 bits as they are printed: `7K2MX-…`, eight groups of five signs."""
    groups = [values[start : start + _DATA] for start in range(0, len(values), _DATA)]
    checked = ([*group, _check(number, group)] for number, group in enumerate(groups))
    return "-".join("".join(_SIGNS[value] for value in group) for group in checked)


def looks_like_groups(typed: str) -> bool:
    """Return whether somebody may have meant a key of groups: letters and digits, about 40, or half
    a key of groups that are right somewhere in a key.
    """
    signs = _BETWEEN.sub("", typed)
    if not (signs.isalnum() and signs.isascii()):
        return False
    parts = _BETWEEN.split(typed.upper().translate(_READ_AS))
    return len(signs) in _ABOUT_ALL or any(
        sum(map(_is_a_group, pieces)) >= _GROUPS // 2 for pieces in (parts, _pieces("".join(parts)))
    )


def read_groups(typed: str) -> Secret:
    """Return the key that was typed, as it was printed. Lower case, O for 0, I or L for 1, and any
    blanks and dashes, or none, are as good.

    Raises:
        UsageMistake: it is none; the first group that is not right is named.
    """
    groups = _groups(typed.upper().translate(_READ_AS))
    if len(groups[-1]) == _WHOLE:
        _require_all(groups)
    for number, group in enumerate(groups[:_GROUPS]):
        if len(group) != _WHOLE:
            raise _not_as_printed(number, f": it has {count_words(len(group), 'sign')}, not 5")
        if not set(group) <= set(_SIGNS):
            raise _not_as_printed(number, ": it has a sign that no key has")
        *data, check = (_SIGNS.index(sign) for sign in group)
        if check != _check(number, data):
            raise _not_as_printed(number)
    _require_all(groups)
    return Secret("-".join(groups))


def _require_all(groups: list[str]) -> None:
    if len(groups) != _GROUPS:
        raise UsageMistake(
            f"{count_words(len(groups), 'group')} were typed, and a key has {_GROUPS}",
            hint="type them from left to right, line by line",
        )


def _groups(typed: str) -> list[str]:
    parts = [part for part in _BETWEEN.split(typed) if part]
    if len(parts) == _GROUPS:
        return parts
    return _pieces("".join(parts))


def _pieces(signs: str) -> list[str]:
    return [signs[start : start + _WHOLE] for start in range(0, len(signs), _WHOLE)]


def _is_a_group(piece: str) -> bool:
    """Return whether this is a group of a key, in whichever place."""
    if len(piece) != _WHOLE or not set(piece) <= set(_SIGNS):
        return False
    *data, check = (_SIGNS.index(sign) for sign in piece)
    return any(check == _check(number, data) for number in range(_GROUPS))


def _check(number: int, data: list[int]) -> int:
    total = number + 1
    for factor, value in zip(_FACTORS, data, strict=True):
        total ^= _times(factor, value)
    return total


def _times(factor: int, value: int) -> int:
    product = 0
    while factor:
        if factor & 1:
            product ^= value
        factor >>= 1
        value <<= 1
        if value & _FIELD:
            value ^= _REDUCE
    return product


def _not_as_printed(number: int, why: str = "") -> UsageMistake:
    return UsageMistake(
        f"group {number + 1} is not as it was printed{why}",
        hint="compare it with the sheet, sign by sign, and type all groups again",
    )
