"""A YAML file as a tree of nodes that know where they stand.

Read from libyaml's events, so nothing is ever constructed that was not asked for, and what YAML
allows but people trip over is a mistake with a position: duplicate keys, aliases (and so the bombs
made of them), tags, words and numbers that YAML 1.1 reads as something else. Plans and the
machine's settings are read through here. It knows nothing of what a key means.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dr_orchestrator.plan.problem import Problem

LARGEST_FILE = 1024 * 1024
"""Bytes. A plan for a practice is a few kilobytes; anything near this is something else."""
_DEEPEST = 32
_LONGEST_NUMBER = 18
"""Digits; what fits into 64 bits."""

_BREAKS = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_BOOLEAN_BY_ACCIDENT = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"[-+]?(?:0[0-9]+|0o[0-7]+|0x[0-9a-fA-F_]+|0b[01_]+)")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass(frozen=True)
class Position:
    """Line and column, both from 1."""

    line: int
    column: int
    file: str = field(default="", compare=False)
    """Where it is another file than the document's own: a template."""


@dataclass(frozen=True, eq=False)
class Node:
    """Something that stands in the file."""

    position: Position
    path: str


@dataclass(frozen=True, eq=False)
class Scalar(Node):
    """A single value."""

    value: bool | float | str | None


@dataclass(frozen=True, eq=False)
class Sequence(Node):
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Entry:
    """One key of a mapping, and what it holds."""

    key: Position
    node: Node


@dataclass(frozen=True, eq=False)
class Mapping(Node):
    """Keys and what they hold, in file order."""

    entries: dict[str, Entry]


@dataclass(frozen=True, eq=False)
class Unusable(Node):
    """Something whose mistake is reported already. What depends on it is not judged."""


@dataclass
class Document:
    """A file that was read."""

    file: str
    root: Node
    problems: list[Problem] = field(default_factory=list)

    def problem(self, position: Position, path: str, message: str, hint: str = "") -> Problem:
        """Return a problem of this file, or of the template it stands in, without adding it."""
        file = position.file or self.file
        return Problem(file, position.line, position.column, path, message, hint)


def read_file(path: Path) -> tuple[bytes, str]:
    """Return the content of a regular file of at most `LARGEST_FILE` bytes, or why there is none.

    The second value is empty where the first can be used.
    """
    try:
        # a pipe of that name would block for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return b"", f"cannot be read: {(error.strerror or 'unknown reason').lower()}"
    except ValueError:
        return b"", "cannot be read: its name is none"
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        return b"", "is a folder, not a file" if stat.S_ISDIR(mode) else "is not a regular file"
    with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor
        try:
            return stream.read(LARGEST_FILE + 1), ""
        except OSError as error:
            return b"", f"cannot be read: {(error.strerror or 'unknown reason').lower()}"


def writable_by_others(file: Path) -> str:
    """Return who else than its owner can change a file, or an empty text.

    Who may write to its folder can put another file in its place, unless the folder is sticky.
    """
    real = Path(os.path.realpath(file))
    try:
        mode, folder = real.stat(), real.parent.stat()
    except OSError:
        return "it is gone"
    if mode.st_uid not in {0, os.geteuid()}:
        return "it belongs to another user"
    if mode.st_mode & 0o022:
        return "others may write to it"
    if folder.st_mode & 0o022 and not folder.st_mode & 0o1000:
        return "others may write to its folder"
    return ""


def read_document(content: bytes, file: str) -> Document:
    """Return the tree of a YAML document. Never raises: what is wrong is in its `problems`.

    Where nothing can be made of the content, `root` is `Unusable`.
    """
    reader = _Reader(file)
    try:
        root = reader.read(content)
    except _Stop:
        root = Unusable(Position(1, 1), "")
    except yaml.YAMLError as error:
        reader.add_syntax_error(error, content)
        root = Unusable(Position(1, 1), "")
    return Document(file, root, reader.problems)


def plain_data(node: Node) -> Any:
    """Return a node as JSON has it; null stands where a node is unusable."""
    match node:
        case Mapping():
            return {key: plain_data(entry.node) for key, entry in node.entries.items()}
        case Sequence():
            return [plain_data(item) for item in node.items]
        case Scalar():
            return node.value
        case _:
            return None


def child(node: Node | None, *keys: str) -> Node | None:
    """Return what lies below `node` under `keys`, or `None`."""
    for key in keys:
        if not isinstance(node, Mapping) or key not in node.entries:
            return None
        node = node.entries[key].node
    return node


def children(node: Node | None) -> Iterator[tuple[str, Entry]]:
    """Yield the keys of a mapping and what they hold; nothing where it is none."""
    if isinstance(node, Mapping):
        yield from node.entries.items()


def elements(node: Node | None) -> tuple[Node, ...]:
    """Return the items of a list; none where it is not one."""
    return node.items if isinstance(node, Sequence) else ()


def text_of(node: Node | None) -> str | None:
    """Return the text of a node that is text, else `None`."""
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


class _Stop(Exception):
    """Nothing more can be read; the problem is noted."""


class _Reader:
    """Builds the tree, noting what is wrong on the way."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []

    def read(self, content: bytes) -> Node:
        events = iter(yaml.parse(self._decoded(content), Loader=yaml.CSafeLoader))
        next(events)  # the stream's start
        first = next(events)
        if isinstance(first, yaml.StreamEndEvent):
            self._stop(Position(1, 1), "the file is empty")
        root = self._node(next(events), events, "", 0)
        next(events)  # the document's end
        following = next(events)
        if isinstance(following, yaml.DocumentStartEvent):
            self._add(
                _position(following), "", "a second document begins here", "one file, one document"
            )
            return Unusable(Position(1, 1), "")
        return root

    def add_syntax_error(self, error: yaml.YAMLError, content: bytes) -> None:
        """Note where and why libyaml gave up. Its reasons are fixed words, never content."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        reason = getattr(error, "problem", None) or "it cannot be parsed"
        if mark is None:
            self._add(Position(1, 1), "", f"not valid YAML: {reason}")
            return
        text = content.decode()
        lines = _BREAKS.split(text)
        if mark.line >= len(lines):  # libyaml puts the end of the file on a line of its own
            position, line = _place(text, len(text)), ""
        else:
            position, line = Position(mark.line + 1, mark.column + 1), lines[mark.line]
        indentation = line[: len(line) - len(line.lstrip())]
        if "\t" in indentation or line[mark.column : mark.column + 1] == "\t":
            column = line.index("\t") + 1
            self._add(
                Position(position.line, column), "", "a tab", "YAML is indented with spaces only"
            )
            return
        self._add(position, "", f"not valid YAML: {reason}", "look at the line above it too")

    def _decoded(self, content: bytes) -> str:
        start = Position(1, 1)
        if len(content) > LARGEST_FILE:
            self._stop(start, "is larger than 1 MiB", "this is no plan")
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            self._stop(start, "is UTF-16, not UTF-8", "save it as UTF-8")
        if content.startswith(b"\xef\xbb\xbf"):
            self._stop(start, "begins with a byte order mark", "save it as UTF-8 without BOM")
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            before = content[: error.start].decode()
            self._stop(_place(before, len(before)), "is not UTF-8 from here on", "save it as UTF-8")
        if found := _NOT_TEXT.search(text):
            self._stop(_place(text, found.start()), "a control character, which no text has")
        return text

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], path: str, depth: int) -> Node:
        position = _position(event)
        if isinstance(event, yaml.AliasEvent):
            return self._unusable(
                position, path, "an alias", "write it out: plans have no anchors and aliases"
            )
        collection = isinstance(event, yaml.CollectionStartEvent)
        if collection and depth >= _DEEPEST:
            self._stop(position, f"is nested more than {_DEEPEST} deep")
        node = self._content(event, events, path, depth)
        if getattr(event, "anchor", None) is not None:
            self._add(position, path, "an anchor", "leave it out: plans have no aliases")
        if getattr(event, "tag", None) is not None:
            return self._unusable(position, path, "a tag", "leave out what begins with `!`")
        return node

    def _content(
        self, event: yaml.Event, events: Iterator[yaml.Event], path: str, depth: int
    ) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, events, path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, events, path, depth)
        return self._scalar(event, path)

    def _sequence(
        self, start: yaml.Event, events: Iterator[yaml.Event], path: str, depth: int
    ) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, f"{path}[{len(items)}]", depth + 1))
        return Sequence(_position(start), path, tuple(items))

    def _mapping(
        self, start: yaml.Event, events: Iterator[yaml.Event], path: str, depth: int
    ) -> Node:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            position = _position(event)
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                self._skip(event, events, depth)
                self._skip(next(events), events, depth)
                self._add(position, path, "a key that is no word")
                continue
            key = event.value
            here = f"{path}.{_shown(key)}" if path else _shown(key)
            if key == "<<":
                self._skip(next(events), events, depth)
                self._add(position, here, "a merge key", "write out what is to be merged")
                continue
            node = self._node(next(events), events, here, depth + 1)
            if event.anchor is not None:
                self._add(position, here, "an anchor", "leave it out: plans have no aliases")
            if key in entries:
                first = entries[key].key.line
                self._add(position, here, "the same key again", f"it stands in line {first} too")
                continue
            entries[key] = Entry(position, node)
        return Mapping(_position(start), path, entries)

    def _skip(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> None:
        """Pass over a node, keeping its own mistakes quiet."""
        noted = len(self.problems)
        self._node(event, events, "", depth + 1)
        del self.problems[noted:]

    def _scalar(self, event: Any, path: str) -> Node:
        position, text = _position(event), event.value
        if _NOT_TEXT.search(text):
            return self._unusable(position, path, "a control character, which no text has")
        if event.style is not None and event.style != "":
            return Scalar(position, path, text)
        if text in _NULLS:
            return Scalar(position, path, None)
        if text in _TRUE or text in _FALSE:
            return Scalar(position, path, text in _TRUE)
        if text[0] in "+-.0123456789":
            return self._number(position, path, text)
        if _BOOLEAN_BY_ACCIDENT.fullmatch(text):
            return self._unusable(
                position,
                path,
                "an unquoted word that YAML 1.1 reads as true or false",
                "write true or false, or put the word in quotes",
            )
        return Scalar(position, path, text)

    def _number(self, position: Position, path: str, text: str) -> Node:
        quotes = "put it in quotes if it is text"
        if _INTEGER.fullmatch(text):
            if len(text) > _LONGEST_NUMBER:
                return self._unusable(position, path, "a number with too many digits", quotes)
            return Scalar(position, path, int(text))
        if _FLOAT.fullmatch(text):
            if not math.isfinite(value := float(text)):
                return self._unusable(position, path, "a number that is too large", quotes)
            return Scalar(position, path, value)
        if _SEXAGESIMAL.fullmatch(text):
            return self._unusable(
                position,
                path,
                "an unquoted time, which YAML 1.1 reads as a number to the base of 60",
                'put it in quotes, as "03:30"',
            )
        if _OTHER_BASE.fullmatch(text) or _UNDERSCORED.fullmatch(text):
            return self._unusable(
                position,
                path,
                "an unquoted number that YAML 1.1 reads as another one",
                "write a plain decimal number, or put it in quotes if it is text",
            )
        if _NOT_FINITE.fullmatch(text):
            return self._unusable(position, path, "a number that is none", quotes)
        return Scalar(position, path, text)

    def _unusable(self, position: Position, path: str, message: str, hint: str = "") -> Unusable:
        self._add(position, path, message, hint)
        return Unusable(position, path)

    def _add(self, position: Position, path: str, message: str, hint: str = "") -> None:
        self.problems.append(
            Problem(self._file, position.line, position.column, path, message, hint)
        )

    def _stop(self, position: Position, message: str, hint: str = "") -> None:
        self._add(position, "", message, hint)
        raise _Stop


def _position(event: Any) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _place(text: str, index: int) -> Position:
    """Return the position of a character, lines being cut as libyaml cuts them."""
    line, begin = 1, 0
    for found in _BREAKS.finditer(text, 0, index):
        line, begin = line + 1, found.end()
    return Position(line, index - begin + 1)


def _shown(key: str) -> str:
    """Return a key as a field path shows it: on one line, and not without end."""
    cut = key if len(key) <= 60 else f"{key[:57]}..."  # noqa: PLR2004
    return cut if cut.isprintable() else ascii(cut)[1:-1]
