"""What stands in a PDF, by the programs of Poppler."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.tools import require_tool

_WORD = re.compile(
    r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*)<'
)
_PAGE = re.compile(r'<page width="([\d.]+)" height="([\d.]+)">')


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A PDF as somebody holds it."""

    pages: int
    text: str
    """Without any space: a line may end anywhere."""
    beyond: list[str]
    """Words that reach over the edge of their page."""
    is_tagged: bool
    size: str
    """As `pdfinfo` says it, in points of 1/72 inch."""


def read_pdf(content: bytes, folder: Path) -> Paper:
    """Return what stands in a PDF."""
    file = folder / "read.pdf"
    file.write_bytes(content)
    info = _run("pdfinfo", file)
    beyond, width, height = [], 0.0, 0.0
    for line in _run("pdftotext", "-bbox", file, "-").splitlines():
        if page := _PAGE.search(line):
            width, height = float(page[1]), float(page[2])
        elif word := _WORD.search(line):
            left, top, right, bottom = (float(word[number]) for number in range(1, 5))
            if left < 0 or top < 0 or right > width or bottom > height:
                beyond.append(word[5])
    return Paper(
        pages=int(re.search(r"Pages:\s+(\d+)", info)[1]),  # type: ignore[index]
        text=squeezed(_run("pdftotext", "-raw", file, "-")),
        beyond=beyond,
        is_tagged="Tagged:          yes" in info,
        size=re.search(r"Page size:\s+(.*)", info)[1],  # type: ignore[index]
    )


def squeezed(text: str) -> str:
    """Return `text` without any space."""
    return "".join(text.split())


def _run(program: str, *arguments: str | Path) -> str:
    argv = [require_tool(program), *arguments]
    ended = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout
