"""A plan that says only what is its own, laid over a template: what an MSP's plans have in common.

Done on the nodes, before anything is validated, so each value still knows in which file it stands.
What comes out is a plan like any other; nobody further on knows of templates.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dr_orchestrator.plan.document import (
    Document,
    Entry,
    Mapping,
    Node,
    Position,
    Scalar,
    Sequence,
    Unusable,
    child,
    read_document,
    read_file,
    text_of,
)
from dr_orchestrator.plan.problem import Problem

EXTENDS = "extends"
_PRACTICE = "{practice}"
_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_DEEPEST = 5
_SECRETS = frozenset({"env", "file", "command", "keyring", "aws_secret"})
"""The keys of a reference to a secret: of two, one alone is meant."""
_FORMS = frozenset({"existing", "protected_by", "not_protected"})
"""Keys that make of a system, or of an asset, another one than it is without them."""
_THING = re.compile(r"systems\.[^.]+(\.assets\.[^.]+)?")
"""The path of one. In a mapping of them the same words are names that somebody gave."""


@dataclass(frozen=True)
class Source:
    """A file that a plan was made of, as it was read."""

    path: Path
    content: bytes


def with_templates(
    document: Document, content: bytes, place: Path | None
) -> tuple[Document, tuple[Source, ...]]:
    """Return a plan's document with its templates under it, and the files it was made of, its own
    first. One without `extends` is returned as it is.

    Mappings are laid over each other key by key; all else in the plan, lists too, takes the place
    of what the template says. So does a mapping that is another thing: of another `kind`, a
    reference to a secret. `{practice}` in a template's texts is the plan's own id.

    Never raises: what is wrong is in the `problems`. `place` is the plan's file; out of a
    repository, where templates are resolved already, it is `None`, and `extends` a mistake.
    """
    source = Source(place or Path(document.file), content)
    extends = child(document.root, EXTENDS)
    if extends is None or not isinstance(document.root, Mapping):
        return document, (source,)
    laying = _Laying(document, place)
    root = laying.over_templates(document.root, source.path, ())
    whole = Document(document.file, root, [*document.problems, *laying.problems])
    return whole, (source, *laying.templates)


class _Laying:
    """A plan, and the templates under it."""

    def __init__(self, document: Document, place: Path | None) -> None:
        self._document = document
        self._place = place
        self._practice = text_of(child(document.root, "practice", "id")) or ""
        self.problems: list[Problem] = []
        self.templates: list[Source] = []

    def over_templates(self, root: Mapping, file: Path, above: tuple[str, ...]) -> Node:
        """Return the content of `file` over that of the template it names, however deep."""
        named = child(root, EXTENDS)
        own = replace(root, entries={key: e for key, e in root.entries.items() if key != EXTENDS})
        if named is None:
            return own
        above = (*above, os.path.realpath(file))
        template = self._read(named, file, above)
        if template is None:
            return Unusable(root.position, root.path)
        path, content = template
        under = self.over_templates(content, path, above)
        return _laid(own, under) if isinstance(under, Mapping) else under

    def _read(self, named: Node, file: Path, above: tuple[str, ...]) -> tuple[Path, Mapping] | None:
        path = Path(os.path.normpath(file.parent / (text_of(named) or "")))
        trouble, hint = self._why_not(named, path, above)
        content = b""
        if not trouble:
            content, why = read_file(path)
            trouble = f"{path} {why}" if why else ""
        if trouble:
            self._note(self._document.problem(named.position, EXTENDS, trouble, hint))
            return None
        read = read_document(content, str(path))
        self.templates.append(Source(path, content))
        self.problems += read.problems
        if not isinstance(read.root, Mapping):
            if not read.problems:
                what = f"{path} is no template: it holds no keys"
                self._note(self._document.problem(named.position, EXTENDS, what))
            return None
        own_id = child(read.root, "practice", "id")
        if own_id is not None:
            what, mend = "stands in a template", "each plan says its own id"
            self._note(read.problem(own_id.position, own_id.path, what, mend))
        return path, _placed(read.root, str(path), self._practice)

    def _why_not(self, named: Node, path: Path, above: tuple[str, ...]) -> tuple[str, str]:
        if self._place is None:
            hint = "what is saved to a repository has its templates in it"
            return "names a file of another machine", hint
        if not text_of(named):
            hint = "name a file from this one's folder, as templates/small-practice.yaml"
            return "must be the path of a template", hint
        if os.path.realpath(path) in above:
            return "extends itself in the end", ""
        if len(above) > _DEEPEST:
            return f"is more than {_DEEPEST} templates deep", ""
        return "", ""

    def _note(self, problem: Problem) -> None:
        self.problems.append(problem)


def _placed(node: Mapping, file: str, practice: str) -> Mapping:
    """Return a template's content, each node with the file it is of, and with the practice's id
    where it asks for it.
    """

    def position(of: Position) -> Position:
        return replace(of, file=file)

    def place(node: Node) -> Node:
        where = position(node.position)
        match node:
            case Mapping():
                return placed(node)
            case Sequence():
                return replace(node, position=where, items=tuple(map(place, node.items)))
            case Scalar(value=str(text)) if _ID.fullmatch(practice):
                return replace(node, position=where, value=text.replace(_PRACTICE, practice))
            case _:
                return replace(node, position=where)

    def placed(node: Mapping) -> Mapping:
        entries = {
            key: Entry(position(entry.key), place(entry.node))
            for key, entry in node.entries.items()
        }
        return replace(node, position=position(node.position), entries=entries)

    return placed(node)


def _laid(over: Mapping, under: Mapping) -> Mapping:
    """Return what both say, and where they differ what `over` says. In the template's order, what
    is new after it: which repository is the first is the template's to say.
    """
    if not _is_one_thing(over, under):
        return over
    entries = dict(under.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        node = entry.node
        if below is not None and isinstance(node, Mapping) and isinstance(below.node, Mapping):
            node = _laid(node, below.node)
        entries[key] = Entry(entry.key, node)
    return replace(over, entries=entries)


def _is_one_thing(over: Mapping, under: Mapping) -> bool:
    if _THING.fullmatch(over.path):
        kinds = {text_of(kind) for each in (over, under) if (kind := child(each, "kind"))}
        forms = {frozenset(_FORMS & each.entries.keys()) for each in (over, under)}
        return not (len(kinds) > 1 or (len(forms) > 1 and _says_what_it_is(over)))
    return not (_is_secret(over) and _is_secret(under))


def _is_secret(node: Mapping) -> bool:
    """Whether it refers to one; an asset or a repository may have the name of such a key."""
    return any(
        key in _SECRETS and not isinstance(entry.node, Mapping)
        for key, entry in node.entries.items()
    )


def _says_what_it_is(over: Mapping) -> bool:
    return bool(_FORMS & over.entries.keys()) or "assets" in over.entries or "kind" in over.entries
