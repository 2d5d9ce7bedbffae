"""The page a responder sees, laid out for a terminal of any size. Pure.

Nothing is cut at the edge and nothing overlaps: what has no room is left out, the least needed
first, it is said that there is more, and one key shows all of it. The question always has its
place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from io import StringIO
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dr_orchestrator.cli.runbook_words import (
    DOT,
    LEAVE_KEY,
    behind_words,
    calm_words,
    clock_words,
    contact_words,
    headline,
    labelled_words,
    limit_words,
    load_rows,
    point_words,
    step_words,
    warnings,
    what_follows,
)
from dr_orchestrator.core.runbook import Mode, StepResult
from dr_orchestrator.core.wording import printable
from dr_orchestrator.runbook.desk import Choice, Question, View
from dr_orchestrator.runbook.progress import Behind

Rows = tuple[Text, ...]

ALL_OF_IT = "m"
"""The key that shows what has no room."""
_WIDEST, _HIGHEST = 110, 32
"""Longer lines are hard to read; on a higher terminal the question stays near its step."""
_LABEL = 11
_ALARM = "bold red reverse"
_HEADS = {Mode.INCIDENT: _ALARM, Mode.REHEARSAL: "bold cyan reverse", Mode.DRILL: "bold reverse"}
_STYLES = {
    StepResult.DONE: "green",
    StepResult.NOT_AS_EXPECTED: "bold yellow",
    StepResult.FAILED: "bold red",
    StepResult.SIMULATED: "cyan",
    StepResult.SKIPPED: "dim",
}
_ALL = 10_000
_LAST = "notes"
"""Nearest to the question."""
_YIELDS = (
    *(("behind", 8), ("after", 4), ("behind", 5), ("printed", 12), ("after", 3), ("behind", 3)),
    *(("printed", 8), ("after", 2), ("behind", 2), ("contacts", 4), ("after", 1), ("printed", 5)),
    *((_LAST, 8), ("cite", 0), ("gap", 0), ("behind", 1), ("contacts", 2), ("points", 4)),
    *(("after", 0), ("behind", 0), ("space", 0), (_LAST, 4), ("points", 2), ("printed", 3)),
    *((_LAST, 2), ("contacts", 1), ("points", 1), (_LAST, 1), ("limits", 1), ("loads", 0)),
    *(("printed", 1), ("Runs", 0), (_LAST, 0), ("Undo", 0), ("limits", 0), ("points", 0)),
    ("contacts", 0),
)
"""What is shortened to how many items, in this order, until the page fits: what is done, what is
lost by it, whom to call and what comes back stay longest.
"""
_WRAPPER = Console(file=StringIO(), width=80)


@dataclass(frozen=True)
class Size:
    """Of a terminal, in cells."""

    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Foot:
    """What stands at the bottom: a question and what was typed so far, or what runs."""

    question: Question | None = None
    typed: str = ""
    doing: str = ""
    done: Mapping[str, str] | None = None
    """Subject -> how far it is, while something runs."""
    lasts: str = ""
    """For how long that runs."""


@dataclass(frozen=True)
class Page:
    """The rows of the whole terminal, and the row and column of the cursor where one is shown."""

    rows: Rows
    cursor: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Some items of one kind, each with the rows it takes."""

    name: str
    items: tuple[Rows, ...]
    newest: bool = False
    """Whether the last ones are kept where there is no room, and not the first."""
    more: str = ""
    """Label under which it is said that some were left out; empty where nobody needs to know."""
    less: Rows = ()
    """What stands there instead, where some were left out."""
    shown: int = _ALL

    @property
    def rows(self) -> Rows:
        left_out = max(len(self.items) - self.shown, 0)
        if left_out and self.less:
            return self.less
        kept = self.items[left_out:] if self.newest else self.items[: self.shown]
        rows = tuple(row for item in kept for row in item)
        if left_out and self.more:
            label = "" if rows else self.more
            return (*rows, *_wrapped(Text(f" {label:{_LABEL - 1}}… {left_out} more", "bold"), 80))
        return rows


def page(view: View, foot: Foot, printed: tuple[str, ...], *, now: datetime, size: Size) -> Page:
    """Lay a step out for a terminal of this size; `printed` is what its command printed."""
    bottom, cursor = _bottom(foot, now, size.width)
    room = max(size.height - len(bottom), 0)
    single_keys = foot.question is None or bool(foot.question.choices)
    parts = _parts(view, printed, now, size.width, ALL_OF_IT if single_keys else "Tab")
    rows = _fitted(parts, room)
    blank = max(min(room, _HIGHEST - len(bottom)) - len(rows), 0)
    lines = (*rows, *(Text() for _ in range(blank)), *bottom)[-size.height :]
    below = (Text() for _ in range(size.height - len(lines)))
    where = cursor and (len(lines) - cursor[0], cursor[1])
    return Page((*lines, *below), where)


def whole(view: View, printed: tuple[str, ...], *, now: datetime, width: int) -> Rows:
    """Return all there is to say of a step, however long: first what is copied from there."""
    parts = {part.name: part for part in _parts(view, printed, now, width, ALL_OF_IT)}
    return (*parts.pop("loads").rows, *_rows(parts))


def output_rows(printed: tuple[str, ...], width: int) -> Rows:
    """Return all that a command printed."""
    lines = (Text(f" {line}") for line in ("Output:", *_clean(printed)))
    return tuple(row for line in lines for row in _wrapped(line, width))


def part_of(rows: Rows, first: int, size: Size) -> Page:
    """Return the page that shows `rows` from `first`, and how to turn it."""
    room = size.height - 2
    shown = rows[first : first + room]
    left = len(rows) - first - len(shown)
    said = f"{left} more lines{DOT}space: next page" if left else "the end"
    blank = (Text() for _ in range(room - len(shown)))
    foot = _wrapped(Text(f" {said}{DOT}b: back a page{DOT}any other key: to the step"), size.width)
    return Page((*shown, *blank, _rule(size.width), *foot)[: size.height])


def _fitted(parts: tuple[_Part, ...], room: int) -> Rows:
    """Return the rows of the page, of each part as much as there is room for."""
    by_name = {part.name: part for part in parts}
    given_up: list[_Part] = []
    for name, shown in _YIELDS:
        if len(_rows(by_name)) <= room:
            break
        if shown < len(by_name[name].items):
            given_up.append(by_name[name])
            by_name[name] = replace(by_name[name], shown=shown)
    for part in reversed(given_up):  # where more was given up than had to be
        taken_back = {**by_name, part.name: part}
        if len(_rows(taken_back)) <= room:
            by_name = taken_back
    rows = _rows(by_name)
    if len(rows) <= room:
        return rows
    notes = by_name[_LAST].rows
    kept = max(room - len(notes) - 1, 0)
    return (*rows[:kept], Text(" … this step goes on", "bold"), *notes)[:room]


def _rows(parts: Mapping[str, _Part]) -> Rows:
    return tuple(row for part in parts.values() for row in part.rows)


def _parts(
    view: View, printed: tuple[str, ...], now: datetime, width: int, all_key: str
) -> tuple[_Part, ...]:
    """Return the page from top to bottom, without the question."""
    return (
        *_top(view, now, width),
        *_step(view, now, width),
        *_about(view, printed, now, width),
        _loads(view, width, all_key),
        _Part(name="cite", items=_labelled("Rule", _clean((view.cite,)), width, "dim")),
        _Part(name="after", items=_labelled("Then", _clean(what_follows(view)), width, "dim")),
        _Part(name=_LAST, items=_labelled("Note", _clean(view.notes), width), more="Note"),
    )


def _top(view: View, now: datetime, width: int) -> tuple[_Part, ...]:
    zone = ZoneInfo(view.timezone)
    began, left = clock_words(view.outage_at, view.rto, now, zone)
    clock = Text(f" {began}")
    if left:
        clock.append(DOT).append(left, _ALARM if "OVER" in left else "bold")
    limits = tuple(
        _wrapped(Text(f" {words}", _ALARM if "OVERDUE" in words else ""), width)
        for words in (limit_words(each, now, zone) for each in view.limits)
    )
    return (
        _Part(name="head", items=(_bar(headline(view), _HEADS[view.mode], width),)),
        _Part(name="clock", items=(_wrapped(clock, width),)),
        _Part(name="limits", items=limits, more="Due"),
        _Part(name="rule", items=((_rule(width),),)),
        _Part(
            name="behind",
            items=tuple(_behind(each, now, zone, width) for each in view.behind),
            newest=True,
        ),
        _Part(name="space", items=((Text(),),) if view.behind else ()),
    )


def _behind(behind: Behind, now: datetime, zone: tzinfo, width: int) -> Rows:
    at, result, which = behind_words(behind, now, zone)
    return _wrapped(
        Text.assemble(f" {at}  ", (result, _STYLES[behind.result]), f"  {which}"), width
    )


def _step(view: View, now: datetime, width: int) -> tuple[_Part, ...]:
    style = _ALARM if view.mode is Mode.INCIDENT else "bold reverse"
    return (
        _Part(name="step", items=(_wrapped(Text(f" {step_words(view, now)}"), width),)),
        _Part(name="do", items=_line(view.do, "bold", width)),
        _Part(name="rehearsal", items=_line(view.in_rehearsal, "cyan", width)),
        _Part(name="warnings", items=tuple(_bar(each, style, width) for each in warnings(view))),
        _Part(name="gap", items=((Text(),),)),
    )


def _about(view: View, printed: tuple[str, ...], now: datetime, width: int) -> tuple[_Part, ...]:
    zone = ZoneInfo(view.timezone)
    contacts = tuple(contact_words(each) for each in view.contacts)
    points = tuple(point_words(each, view, now, zone) for each in view.points)
    output = _labelled("Output", _clean(printed), width)
    return (
        *(
            _Part(name=label, items=_labelled(label, (text,), width))
            for label, text in labelled_words(view).items()
        ),
        _Part(name="printed", items=output, newest=True, more="Output"),
        _Part(name="contacts", items=_labelled("Call", contacts, width), more="Call"),
        _Part(name="points", items=_labelled("Point", points, width), more="Point"),
    )


def _loads(view: View, width: int, all_key: str) -> _Part:
    """Return what to do with what was restored: as a heading and the lines, or the first command
    and the key that shows the rest.
    """
    if not view.loads:
        return _Part(name="loads", items=())
    every: list[Text] = []
    for loads in view.loads:
        every += _wrapped(Text(f" Load: {printable(loads.of)}", "bold"), width)
        for line in loads.lines:
            margin = 0 if line.is_command else 1
            rows = (Text(" " * margin + row) for row in load_rows(line, width - margin))
            every += (part for row in rows for part in _wrapped(row, width))
    commands = [each for loads in view.loads for each in loads.lines if each.is_command]
    first = [row for each in commands[:1] for row in load_rows(each, width)]
    of = printable(view.loads[0].of)
    what = "all the commands" if commands else "what to do with what was restored"
    less = (
        *_wrapped(Text(f" Load: {of}{DOT}{all_key}: {what}", "bold"), width),
        *(part for row in first for part in _wrapped(Text(row), width)),
    )
    return _Part(name="loads", items=(tuple(every),), less=less)


def _bottom(foot: Foot, now: datetime, width: int) -> tuple[Rows, tuple[int, int] | None]:
    """Return the last rows, and where the cursor is: rows from below, and column."""
    asked = foot.question
    if asked is None:
        return (_rule(width), *_runs(foot, width)), None
    said = printable(asked.text)
    if asked.until is not None:
        said += f" (goes on by itself in {calm_words(max(asked.until - now, now - now))})"
    question = _wrapped(Text(f" {said}", "bold"), width)
    if asked.choices:
        return (_rule(width), *question, *_choices(asked, width)), None
    typed = Text(f" > {foot.typed}").wrap(_WRAPPER, max(width - 1, 1), overflow="fold")
    keys = _wrapped(Text(" Enter: answer   ^U: clear   Tab: all of it   ^C: leave", "dim"), width)
    end = cell_len(typed[-1].plain)
    return (_rule(width), *question, *typed, *keys), (len(keys) + 1, end)


def _choices(asked: Question, width: int) -> Rows:
    """Return what may be pressed: numbered answers first, a row each unless all fit on one."""
    ours = (Choice(LEAVE_KEY, "leave; go on later"), Choice(ALL_OF_IT, "all of it"))
    theirs = {choice.key for choice in asked.choices}
    every = (*asked.choices, *(each for each in ours if each.key not in theirs))
    numbered = tuple(each for each in every if each.key.isdigit())
    others = tuple(each for each in every if not each.key.isdigit())
    rows = _beside(numbered, width)
    if len(rows) > 1:
        rows = tuple(row for each in numbered for row in _beside((each,), width))
    return (*rows, *_beside(others, width))


def _beside(choices: Iterable[Choice], width: int) -> Rows:
    """Return choices beside each other, as many a row as fit."""
    rows: list[Text] = []
    for choice in choices:
        key, label = printable(choice.key), printable(choice.label)
        shown = Text.assemble(" ", (f" {key} ", "bold reverse"), f" {label} ")
        if rows and rows[-1].cell_len + shown.cell_len <= min(width, _WIDEST):
            rows[-1] += shown
        else:
            rows += _wrapped(shown, width, hanging=5)
    return tuple(rows)


def _runs(foot: Foot, width: int) -> Rows:
    done = foot.done or {}
    label = max((cell_len(printable(each)) for each in done), default=0)
    lines = (
        Text(f"   {printable(subject):{label}}  {printable(text)}")
        for subject, text in done.items()
    )
    return (
        *_wrapped(Text(f" {printable(foot.doing)}{DOT}{foot.lasts}", "bold"), width),
        *(row for line in lines for row in _wrapped(line, width, hanging=3)),
        *_wrapped(Text(" ^C: stop it; what was done stays written down", "dim"), width),
    )


def _line(text: str, style: str, width: int) -> tuple[Rows, ...]:
    return (_wrapped(Text(f" {printable(text)}", style), width),) if text else ()


def _clean(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(printable(text) for text in texts)


def _labelled(label: str, texts: Iterable[str], width: int, style: str = "") -> tuple[Rows, ...]:
    """Return an item for each text that is not empty, the first one behind its label."""
    items: list[Rows] = []
    for text in filter(None, texts):
        before = "" if items else label
        line = Text.assemble((f" {before:{_LABEL - 1}}", "dim"), (text, style))
        items.append(_wrapped(line, width, hanging=_LABEL))
    return tuple(items)


def _wrapped(line: Text, width: int, *, hanging: int = 1) -> Rows:
    """Return a line as rows that fit; those behind the first are moved in by `hanging`."""
    widest = min(width, _WIDEST)
    if line.cell_len <= widest:
        return (line,)
    before, rest = line.divide([hanging])
    room = widest - max(hanging, before.cell_len)
    rows = rest.wrap(_WRAPPER, max(room, 2), overflow="fold")
    first, *others = rows
    return (before + first, *(Text(" " * hanging) + row for row in others))


def _bar(text: str, style: str, width: int) -> Rows:
    """Return text on a ground that goes from edge to edge."""
    rows = Text(text).wrap(_WRAPPER, max(width - 2, 2), overflow="fold")
    return tuple(Text(f" {row.plain}{' ' * (width - 1 - row.cell_len)}"[:], style) for row in rows)


def _rule(width: int) -> Text:
    return Text("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * width, "dim")
