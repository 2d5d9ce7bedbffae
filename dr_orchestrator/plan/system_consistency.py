"""What a plan says of one system in one place and contradicts in another.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import PurePosixPath

from dr_orchestrator.plan.document import Node, Scalar, child, children, elements, text_of
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.quantity import parse_duration
from dr_orchestrator.plan.schedule import Schedule

_DATABASES = ("postgres", "sqlite")
_REMOTE = re.compile(r"[a-z0-9]{2,}:")


def check_system(notes: Notes, system: Node) -> None:
    """Note what one system contradicts, in itself and with the rest of the plan."""
    if child(system, "not_protected") is not None:
        notes.reference(child(system, "accepted_by"), notes.contacts, "contact")
    if any(child(system, key) is not None for key in ("not_protected", "protected_by")):
        return
    kinds = {
        name: text_of(child(entry.node, "kind"))
        for name, entry in children(child(system, "assets"))
    }
    for _, entry in children(child(system, "assets")):
        _asset(notes, entry.node)
    _promise(notes, system)
    saved_to = _backup(notes, system)
    for test in elements(child(system, "restore_tests")):
        _restore_test(notes, test, saved_to)
    _newest(notes, system, kinds)
    _checks(notes, system, kinds)
    for step in elements(child(system, "recovery")):
        notes.nearly_a_contact(child(step, "by"))


def _asset(notes: Notes, asset: Node) -> None:
    kind = text_of(child(asset, "kind"))
    if kind == "postgres":
        _scope(notes, asset)
    path_node = child(asset, "path")
    path = text_of(path_node)
    if kind not in {"files", "sqlite"} or path_node is None or not path:
        return
    if not PurePosixPath(path).is_absolute():
        notes.mistake(path_node, "must be an absolute path", "begin it with /")
        return
    if kind == "files":
        _location_against(notes, _normal(path), path_node)
        _inside(notes, child(asset, "marker"))


def _scope(notes: Notes, asset: Node) -> None:
    method, scope = child(asset, "method"), child(asset, "scope")
    physical, cluster = text_of(method) == "physical", text_of(scope) == "cluster"
    if physical and method is not None and scope is None:
        notes.mistake(method, "takes the whole cluster, and must say so", "add `scope: cluster`")
    elif physical and scope is not None and text_of(scope) == "database":
        notes.mistake(scope, "`physical` takes the whole cluster", "write `scope: cluster`")
    elif cluster and not physical and scope is not None:
        known = method is None or text_of(method) == "logical"
        if known:
            notes.mistake(
                scope, "`logical` takes one database", "add `method: physical`, or leave it out"
            )


def _location_against(notes: Notes, path: PurePosixPath, node: Node) -> None:
    """Report a repository inside what is protected, or the reverse: it would save itself."""
    for name, entry in children(child(notes.root, "repositories")):
        folder = local_folder(text_of(child(entry.node, "location")) or "s3:")
        if folder is None or not folder.is_absolute():
            continue
        if folder.is_relative_to(path):
            notes.mistake(
                node, f"repository `{name}` lies inside it", "a backup must not hold itself"
            )
        elif path.is_relative_to(folder):
            notes.mistake(
                node, f"lies inside repository `{name}`", "nothing else lies in a repository"
            )


def _inside(notes: Notes, node: Node | None) -> None:
    text = text_of(node)
    if node is None or text is None:
        return
    if not text or not _stays_inside(text):
        notes.mistake(node, "must be a path inside the folder", "without / before it, or ..")


def _promise(notes: Notes, system: Node) -> None:
    age = child(system, "max_data_age")
    if isinstance(age, Scalar) and child(system, "newest") is None:
        notes.mistake(age, "has no effect", "add `newest`, the query that tells the data's age")
    rto = _duration(child(system, "rto"))
    steps = [_duration(child(step, "allow")) for step in elements(child(system, "recovery"))]
    allowed = sum((step for step in steps if step is not None), timedelta())
    if rto is not None and (node := child(system, "rto")) and allowed >= rto:
        notes.warn(node, "the steps of `recovery` alone take that long", "nothing is left")


def _backup(notes: Notes, system: Node) -> list[str]:
    """Return the repositories the system is saved to."""
    listed = child(system, "backup", "to")
    known: list[str] = []
    for node in elements(listed):
        name = notes.reference(node, notes.repositories, "repository")
        if name is not None and name in known:
            notes.mistake(node, "is named twice")
        elif name is not None:
            known.append(name)
    schedule, rpo = child(system, "backup", "schedule"), _duration(child(system, "rpo"))
    period = _period(schedule)
    if schedule is not None and period is not None and rpo is not None and period > rpo:
        notes.warn(
            schedule, "leaves longer without a backup than the RPO", "the RPO will be breached"
        )
    return known or (notes.repositories[:1] if listed is None else notes.repositories)


def _restore_test(notes: Notes, test: Node, saved_to: list[str]) -> None:
    node = child(test, "from")
    name = notes.reference(node, notes.repositories, "repository")
    if node is not None and name is not None and name not in saved_to:
        notes.mistake(
            node,
            "this system is not backed up to it",
            f"it is backed up to {', '.join(saved_to)}",
        )
    limit_node = child(test, "prove_every")
    limit, period = _duration(limit_node), _period(child(test, "schedule"))
    if limit_node is not None and limit and period is not None and limit < period:
        notes.warn(
            limit_node,
            "is shorter than the test's own interval",
            "between two tests, recovery will count as not proven",
        )


def _newest(notes: Notes, system: Node, kinds: dict[str, str | None]) -> None:
    _asked(notes, child(system, "newest", "asset"), kinds, _DATABASES)


def _asked(
    notes: Notes, node: Node | None, kinds: dict[str, str | None], wanted: tuple[str, ...]
) -> None:
    """Report an asset that does not exist, or is of a kind that cannot be asked this."""
    name = notes.reference(node, list(kinds), "asset")
    if node is None or name is None:
        return
    kind = kinds[name]
    if kind in {"postgres", "sqlite", "files"} and kind not in wanted:
        what = "no database" if wanted == _DATABASES else "not of kind files"
        fitting = [other for other, its in kinds.items() if its in wanted]
        hint = f"this system has {', '.join(fitting)}" if fitting else ""
        notes.mistake(node, f"is {what}", hint)


def _checks(notes: Notes, system: Node, kinds: dict[str, str | None]) -> None:
    titles: dict[str, int] = {}
    for check in elements(child(system, "verify")):
        title_node = child(check, "title")
        title = text_of(title_node)
        if text_of(check) == "baseline":
            title, title_node = "baseline", check
        if title is not None and title_node is not None:
            if title in titles:
                notes.mistake(
                    title_node,
                    "another check has this title",
                    f"it stands in line {titles[title]} too; reports tell checks by it",
                )
            titles.setdefault(title, title_node.position.line)
        files = child(check, "files")
        if files is None:
            _asked(notes, child(check, "asset"), kinds, _DATABASES)
        else:
            _files_check(notes, files, kinds)


def _files_check(notes: Notes, files: Node, kinds: dict[str, str | None]) -> None:
    _asked(notes, child(files, "asset"), kinds, ("files",))
    _asked(notes, child(files, "listed_by", "asset"), kinds, _DATABASES)
    asset = child(files, "asset")
    if asset and all(child(files, key) is None for key in ("listed_by", "at_least")):
        notes.mistake(files, "asks for nothing", "add `at_least` or `listed_by`")
    for key, entry in children(child(files, "listed_by", "prefix")):
        text = text_of(entry.node)
        if not key:
            notes.mistake(entry.node, "an empty prefix fits every path", "write its beginning")
        elif text is not None and not _stays_inside(text):
            notes.mistake(
                entry.node, "must be a path inside the asset", "`.` is the asset's own folder"
            )


def local_folder(location: str) -> PurePosixPath | None:
    """Return the folder a restic location means on this machine, `None` where it is elsewhere."""
    if location.startswith("local:"):
        return _normal(location.removeprefix("local:"))
    return None if _REMOTE.match(location) else _normal(location)


def _normal(path: str) -> PurePosixPath:
    normal = os.path.normpath(path)
    return PurePosixPath("/" + normal.lstrip("/") if normal.startswith("/") else normal)


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def _duration(node: Node | None) -> timedelta | None:
    with suppress(ValueError):
        return parse_duration(text_of(node) or "")
    return None


def _period(node: Node | None) -> timedelta | None:
    with suppress(ValueError):
        return Schedule.parse(text_of(node) or "").period
    return None
