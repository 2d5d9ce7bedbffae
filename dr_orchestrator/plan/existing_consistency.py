"""What a plan says of what another tool saves, and contradicts elsewhere.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already. What a
plan that is written out states as a default is no mistake where it has no effect.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from dr_orchestrator.plan.document import Mapping, Node, child, children, elements, text_of
from dr_orchestrator.plan.notes import Notes

_THEIRS = "another tool saves it"
_NEVER = "never"
_REMOVING = ("forget", "prune")
_UNPROVEN = "its restore tests stay unproven: nothing tells what must be in it"
_ASK = "say in `verify` what must be in each asset, as `{asset: .., sql: .., expect: ..}`"


def is_existing(system: Node) -> bool:
    """Return what `ProtectedSystem.is_existing` will say."""
    return any(True for _ in _existing(system))


def check_existing(notes: Notes, system: Node) -> None:
    """Note what a system contradicts that another tool saves, wholly or in part."""
    if not is_existing(system):
        return
    for _, entry in children(child(system, "assets")):
        if child(entry.node, "existing") is None and isinstance(entry.node, Mapping):
            notes.mistake(
                entry.node,
                "is saved by us, and another asset of the system by another tool",
                "put it into a system of its own: a recovery point is made by one of the two",
            )
    for asset in _existing(system):
        _path(notes, child(asset, "existing", "path"))
        _lab(notes, asset)
    backup = child(system, "backup")
    for node in elements(child(backup, "to"))[1:]:
        notes.mistake(node, "is one too many", f"{_THEIRS}: it is looked for in one repository")
    for key in ("copy_to", "copying"):
        copies = child(backup, key)
        if copies is not None and (elements(copies) or isinstance(copies, Mapping)):
            notes.mistake(copies, "has no effect", f"{_THEIRS}, and nothing of it is copied")
    _retention(notes, child(system, "retention"))
    _tests(notes, system)
    _checks(notes, system)


def check_only_read(notes: Notes) -> None:
    """Note what is to be done in a repository in which all is another tool's."""
    used: dict[str, list[Node]] = {}
    for _, system in notes.systems():
        if child(system, "assets") is not None:
            for name in _repositories(notes, system):
                used.setdefault(name, []).append(system)
    for name, entry in children(child(notes.root, "repositories")):
        if name in used and all(is_existing(system) for system in used[name]):
            _only_read(notes, entry.node)


def _existing(system: Node) -> Iterator[Node]:
    for _, entry in children(child(system, "assets")):
        if child(entry.node, "existing") is not None:
            yield entry.node


def _repositories(notes: Notes, system: Node) -> list[str]:
    backup = child(system, "backup")
    named = [text_of(node) or "" for node in elements(child(backup, "to"))]
    copied = [text_of(node) or "" for node in elements(child(backup, "copy_to"))]
    return (named or notes.repositories[:1]) + copied


def _path(notes: Notes, node: Node | None) -> None:
    path = text_of(node)
    if node is None or not path or not path.startswith("/"):
        return
    above, _, name = path.rpartition("/")
    if path != posixpath.normpath(path) or path.startswith("//"):
        notes.mistake(
            node,
            "is not written as the snapshot has it",
            "without //, /./, /../, and without / at its end",
        )
    elif "*" in above:
        notes.mistake(node, "`*` stands for part of a file's name only", "name the folders")
    elif name == "*":
        notes.mistake(node, "`*` alone fits every file", "write what stays alike, as `emr-*.sql`")


def _lab(notes: Notes, asset: Node) -> None:
    lab, kind = child(asset, "lab"), text_of(child(asset, "kind"))
    if lab is not None and kind in {"sqlite", "files"}:
        notes.mistake(lab, "has no effect", f"{kind} needs no server to be tested")


def _retention(notes: Notes, retention: Node | None) -> None:
    if retention is not None:
        notes.warn(retention, "has no effect", f"{_THEIRS}, and lets go of it")


def _tests(notes: Notes, system: Node) -> None:
    for test in elements(child(system, "restore_tests")):
        files = child(test, "files")
        if files is not None:
            notes.mistake(
                files, "has no effect", "without a baseline nothing tells what a share lacks"
            )


def _checks(notes: Notes, system: Node) -> None:
    checks = elements(child(system, "verify"))
    for check in checks:
        expect = child(check, "expect")
        if expect is not None and text_of(expect) == "baseline":
            notes.mistake(
                expect, "needs a baseline", f"{_THEIRS}, and asks nothing: write what is expected"
            )
    compared = [node for node in checks if _compares(node)]
    if compared or not checks:
        notes.warn(compared[0] if compared else system, _UNPROVEN, _ASK)


def _compares(check: Node) -> bool:
    return text_of(check) == "baseline" or child(check, "baseline") is not None


def _only_read(notes: Notes, repository: Node) -> None:
    why = f"{_THEIRS}: here it is only read"
    for key in ("append_only", "object_lock"):
        node = child(repository, key)
        if node is not None and getattr(node, "value", True) is not False:
            notes.mistake(node, "has no effect", f"{why}, and nobody tries to destroy it")
    maintenance = child(repository, "maintenance")
    for key in _REMOVING:
        node = child(maintenance, key)
        if node is not None and text_of(node) != _NEVER:
            notes.mistake(node, "has no effect", why)
