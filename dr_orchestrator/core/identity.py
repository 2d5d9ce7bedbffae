"""Names for runs and points that sort by time and never collide."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, lower case: no i, l, o, u, so that it can be read out over a telephone."""


def new_id(at: datetime) -> str:
    """Return an id for something that began `at` (aware UTC): `20261121-191500-4k7q2z`."""
    return f"{at:%Y%m%d-%H%M%S}-{short_id()}"


def derived_id(at: datetime, of: str) -> str:
    """Return an id of the same form that is always the same: for what was there before us, told
    apart by `of` from all else that began then.
    """
    digest = hashlib.blake2b(of.encode(), digest_size=6).digest()
    word = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest)
    return f"{at:%Y%m%d-%H%M%S}-{word}"


def short_id() -> str:
    """Return an id that is short enough to be typed: `4k7q2z`, one of a thousand million."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))
