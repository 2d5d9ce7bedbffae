"""One mistake in a file that a person wrote, with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake (or one warning). Ordered as in the file."""

    file: str
    line: int
    """From 1; 1 too where the whole file is meant."""
    column: int
    """From 1, in characters."""
    path: str
    """Field path, as `systems.emr.assets.database.host`; empty where the whole file is meant."""
    message: str
    """What is wrong. Never a value out of the file that could be a secret."""
    hint: str = ""

    def text(self) -> str:
        """Return it as compilers do, the hint on a line of its own."""
        where = f"{self.file}:{self.line}:{self.column}: "
        what = f"{self.path}: {self.message}" if self.path else self.message
        return f"{where}{what}" + (f"\n  hint: {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, str | int]:
        """Return it as JSON output has it."""
        return asdict(self)


def report(problems: Iterable[Problem]) -> str:
    """Return all problems, one below the other."""
    return "\n".join(problem.text() for problem in problems)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `did you mean …?` for a word that is nearly one of `known`, else an empty text."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else ""
