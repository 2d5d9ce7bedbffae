"""A checksum of a set that can also tell how two sets differ.

A plain order-free checksum knows only that something differs. That is too little to judge a
restored tree: a temporary file that came and went while the tree was saved may be in it, and is no
damage, while a missing file is. So beside count and sum there is an invertible Bloom lookup table
(Goodrich and Mitzenmacher, 2011): subtract two, and as long as the sets differ in at most some 200
elements those can be read off. It takes 7 KB however large the set, and shows nothing of a name:
elements are keyed hashes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

_VERSION = "t1"
_ROWS = 3
_COLUMNS = 85
_PRIME = 2**61 - 1
_SUM_BYTES = 16
_CELL = struct.Struct("<iQQ")


@dataclass(frozen=True)
class Difference:
    """The elements, by their keyed hashes, that only one of two sets has."""

    only_before: frozenset[int]
    only_after: frozenset[int]


class Tally:
    """A set of facts, each a byte string, of which only hashes are kept."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.count = 0
        self._sum = 0
        self._counts = [0] * (_ROWS * _COLUMNS)
        self._sums = [0] * (_ROWS * _COLUMNS)
        self._squares = [0] * (_ROWS * _COLUMNS)

    def add(self, fact: bytes) -> int:
        """Put a fact into the set and return its keyed hash. A fact must not be added twice."""
        digest = hashlib.blake2b(fact, key=self._key, digest_size=_SUM_BYTES + 8).digest()
        self._sum = (self._sum + int.from_bytes(digest[:_SUM_BYTES])) % 2 ** (8 * _SUM_BYTES)
        element = int.from_bytes(digest[_SUM_BYTES:]) % _PRIME
        self.count += 1
        self._put(element, 1)
        return element

    def equals(self, other: Tally) -> bool:
        """Whether both are of the same set."""
        return (self.count, self._sum) == (other.count, other._sum)

    def difference(self, after: Tally) -> Difference | None:
        """Return what only this and what only `after` has, or `None` where it is too much."""
        rest = Tally(self._key)
        for cell in range(_ROWS * _COLUMNS):
            rest._counts[cell] = self._counts[cell] - after._counts[cell]
            rest._sums[cell] = self._sums[cell] - after._sums[cell]
            rest._squares[cell] = self._squares[cell] - after._squares[cell]
        found: dict[int, set[int]] = {1: set(), -1: set()}
        while (lone := rest._lone()) is not None:
            element, sign = lone
            rest._put(element, -sign)
            found[sign].add(element)
        if any(rest._counts) or any(value % _PRIME for value in (*rest._sums, *rest._squares)):
            return None
        return Difference(frozenset(found[1]), frozenset(found[-1]))

    def text(self) -> str:
        """Return it as one word, for a manifest."""
        sums = [value % _PRIME for value in self._sums]
        squares = [value % _PRIME for value in self._squares]
        cells = b"".join(map(_CELL.pack, self._counts, sums, squares))
        total = self._sum.to_bytes(_SUM_BYTES).hex()
        return f"{_VERSION}:{self.count}:{total}:{base64.b64encode(cells).decode()}"

    @classmethod
    def parse(cls, text: str, key: bytes) -> Tally:
        """Return what `text` made.

        Raises:
            ValueError: it is not such a word.
        """
        version, _, rest = text.partition(":")
        if version != _VERSION:
            raise ValueError("not a tally of a version known here")
        count, total, cells = rest.split(":")
        tally = cls(key)
        tally.count = int(count)
        tally._sum = int.from_bytes(bytes.fromhex(total))
        try:
            content = base64.b64decode(cells, validate=True)
            values = list(_CELL.iter_unpack(content))
        except (binascii.Error, struct.error) as error:
            raise ValueError("not a tally") from error
        if len(values) != _ROWS * _COLUMNS:
            raise ValueError("a tally of another size")
        tally._counts = [value[0] for value in values]
        tally._sums = [value[1] for value in values]
        tally._squares = [value[2] for value in values]
        return tally

    def _put(self, element: int, sign: int) -> None:
        square = element * element % _PRIME
        for cell in _cells(element):
            self._counts[cell] += sign
            self._sums[cell] += sign * element  # reduced only when read: this is the hot path
            self._squares[cell] += sign * square

    def _lone(self) -> tuple[int, int] | None:
        """Return an element that is alone in a cell, and of which set it is, if there is one."""
        for cell, sign in enumerate(self._counts):
            if sign in {1, -1}:
                element = sign * self._sums[cell] % _PRIME
                square = sign * self._squares[cell] % _PRIME
                # Many together can look like one, but their squares do not add up to its square.
                if cell in _cells(element) and element * element % _PRIME == square:
                    return element, sign
        return None


def _cells(element: int) -> tuple[int, ...]:
    return tuple(
        row * _COLUMNS + (element >> (20 * row)) % (1 << 20) % _COLUMNS for row in range(_ROWS)
    )
