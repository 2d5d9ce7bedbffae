"""A secret that cannot be shown by accident."""

from __future__ import annotations


class Secret:
    """A password or key. Its text appears only where `reveal` is called.

    `repr`, `str`, `format` and pickling never show it, so neither does a log line or a traceback.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself, for handing to the program that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not to be pickled")
