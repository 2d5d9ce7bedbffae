"""What drawings are put together from: SVG by hand, small, the same bytes each time.

Colours are those of the page around (`picture.css`). Each element carries the light ones too: what
makes PDF does not give a drawing the styles of its page. Lengths are units of a drawing that is as
wide as a phone, to a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from html import escape
from typing import TYPE_CHECKING

from dr_orchestrator.report.say import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 360
"""Of every drawing."""
SMALL, LARGE = 10, 11
"""Heights of letters."""

_COLOURS = {
    "good": "#14612f",
    "bad": "#a11616",
    "open": "#7a4a00",
    "soft": "#4d5761",
    "line": "#d5dae0",
    "tint": "#eef0f3",
    "paper": "#fff",
}
"""As in `base.css` on a light screen."""
_DECEMBER = 12
_YEAR_WIDTH = 26


def drawing(alt: str, height: float, parts: Iterable[str]) -> str:
    """Return a whole drawing; `alt` is read to whoever cannot see it."""
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {number(height)}" font-family="Arial, sans-serif">'
        f"<title>{escape(alt)}</title>{''.join(parts)}</svg>"
    )


def number(value: float) -> str:
    """Return a length as it is written."""
    return f"{round(value, 1):g}"


def point(x: float, y: float) -> str:
    """Return a place in a path."""
    return f"{number(x)} {number(y)}"


def text(x: float, y: float, words: str, *, size: int = LARGE, at: str = "start") -> str:
    """Return a line of text; `at` says which part of it is at `x`: `start`, `middle`, `end`."""
    anchor = "" if at == "start" else f' text-anchor="{at}"'
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{size}"{anchor}>{escape(words)}</text>'
    )


def box(x: float, y: float, width: float, height: float, *, corner: float = 0) -> str:
    """Return a rectangle."""
    rounded = f' rx="{number(corner)}"' if corner else ""
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" '
        f'height="{number(height)}"{rounded}/>'
    )


def filled(colour: str, *parts: str) -> str:
    """Return `parts` in one of the colours."""
    return f'<g class="fill-{colour}" fill="{_COLOURS[colour]}">{"".join(parts)}</g>'


def lined(colour: str, path: str, *, width: float = 1, more: str = "") -> str:
    """Return a path as lines; `more` are further attributes."""
    return (
        f'<path class="line-{colour}" fill="none" stroke="{_COLOURS[colour]}" '
        f'stroke-width="{number(width)}"{more} d="{path}"/>'
    )


@dataclass(frozen=True)
class Axis:
    """Where values stand between two edges."""

    first: float
    last: float
    near: float
    """The place of `first`."""
    far: float

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        part = (value - self.first) / ((self.last - self.first) or 1)
        return self.near + part * (self.far - self.near)


def round_steps(highest: float, sizes: Sequence[float], most: int) -> tuple[float, ...]:
    """Return values for an axis from 0 to `highest`, at most so many above 0: multiples of the
    least of `sizes` that does; of a power of two of the largest, where none does.
    """
    size = next((each for each in sizes if highest <= each * most), sizes[-1])
    while highest > size * most:
        size *= 2
    return tuple(size * count for count in range(int(highest / size) + 1))


def months(start: datetime, end: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return the first instant of each month, from the one `start` is in to the one of `end`."""
    first = start.astimezone(zone)
    year, month, found = first.year, first.month, []
    while (begins := datetime(year, month, 1, tzinfo=zone)) <= end:
        found.append(begins)
        year, month = (year + 1, 1) if month == _DECEMBER else (year, month + 1)
    return tuple(found)


def month_words(month: datetime) -> str:
    """Return a month with its year: `Jan 2027`."""
    return f"{say(f'pictures.month.{month.month}')} {month.year}"


def month_names(places: Sequence[tuple[float, datetime]], y: float, *, at: str = "start") -> str:
    """Return the names of months at their places, and below them the year where one begins."""
    names = [
        text(x, y, say(f"pictures.month.{month.month}"), size=SMALL, at=at) for x, month in places
    ]
    begins = {month.year: x for x, month in reversed(places)}
    years = [
        text(x, y + SMALL + 2, str(year), size=SMALL, at=at)
        for year, x in begins.items()
        if begins.get(year + 1, WIDTH) - x > _YEAR_WIDTH
    ]
    return filled("soft", *names, *years)
