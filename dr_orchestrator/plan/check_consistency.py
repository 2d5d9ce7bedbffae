"""What a plan asks of restored data, and whether what it asks can answer.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.plan.asset_consistency import program, stays_inside
from dr_orchestrator.plan.document import Node, child, children, elements, text_of
from dr_orchestrator.plan.notes import Notes

Kinds = dict[str, str | None]
"""The assets of a system, and what kind each states."""

_DATABASES = ("postgres", "mariadb", "sqlite")
_FOLDERS = ("files", "smb")
_COMMANDS = ("command",)
_IS_NOT = {_DATABASES: "is no database", _FOLDERS: "is no folder of files"}


def check_newest(notes: Notes, system: Node, kinds: Kinds) -> None:
    """Note where the newest row is asked of what has no rows."""
    _asked(notes, child(system, "newest", "asset"), kinds, _DATABASES)


def check_checks(notes: Notes, system: Node, kinds: Kinds) -> None:
    """Note what the checks of a system contradict, and what they leave unlooked at."""
    titles: dict[str, int] = {}
    checks = elements(child(system, "verify"))
    theirs = any(child(entry.node, "existing") for _, entry in children(child(system, "assets")))
    if checks and not theirs and not any(_compares(check) for check in checks):
        notes.warn(
            checks[0],
            "no `baseline` among the checks: what they do not ask about may be lost unseen",
            "add `- baseline`, which compares all of it with the capture",
        )
    for check in checks:
        _title(notes, check, titles)
        if (files := child(check, "files")) is not None:
            _files_check(notes, files, kinds)
        elif child(check, "run") is not None:
            _run_check(notes, check, kinds)
        elif child(check, "pack") is not None:
            for _, entry in children(child(check, "assets")):
                notes.reference(entry.node, list(kinds), "asset")
        else:
            _asked(notes, child(check, "asset"), kinds, _DATABASES)


def _compares(check: Node) -> bool:
    return text_of(check) == "baseline" or child(check, "baseline") is not None


def check_loaded_is_asked(notes: Notes, system: Node) -> None:
    """Warn where a practice's own program loads a dump, and nothing looks at what it loaded."""
    asked = {
        text_of(child(check, "asset"))
        for check in elements(child(system, "verify"))
        if child(check, "run") is not None
    }
    for name, entry in children(child(system, "assets")):
        restore = child(entry.node, "restore")
        if restore is not None and elements(restore) and name not in asked:
            notes.warn(
                restore,
                "no `run` check looks at what it loads: its restore tests stay unproven",
                "add one to `verify`",
            )


def _asked(notes: Notes, node: Node | None, kinds: Kinds, wanted: tuple[str, ...]) -> None:
    """Report an asset that does not exist, or is of a kind that cannot be asked this."""
    name = notes.reference(node, list(kinds), "asset")
    if node is None or name is None:
        return
    if kinds[name] in set(AssetKind) and kinds[name] not in wanted:
        fitting = [other for other, its in kinds.items() if its in wanted]
        hint = f"this system has {', '.join(fitting)}" if fitting else ""
        notes.mistake(node, _IS_NOT.get(wanted, "is not of kind command"), hint)


def _title(notes: Notes, check: Node, titles: dict[str, int]) -> None:
    node = check if text_of(check) == "baseline" else child(check, "title")
    title = text_of(node)
    if node is None or not title:
        return
    if title in titles:
        notes.mistake(
            node,
            "another check has this title",
            f"it stands in line {titles[title]} too; reports tell checks by it",
        )
    titles.setdefault(title, node.position.line)


def _run_check(notes: Notes, check: Node, kinds: Kinds) -> None:
    _asked(notes, child(check, "asset"), kinds, _COMMANDS)
    program(notes, child(check, "run"), may_name=("{dump}", "{folder}"))
    at_capture, expect = child(check, "at_capture"), child(check, "expect")
    program(notes, at_capture, may_name=())
    as_captured = text_of(expect) == "baseline"
    if expect is not None and as_captured and not elements(at_capture):
        notes.mistake(
            expect, "needs `at_capture`", "the program that asks production while the dump is made"
        )
    elif at_capture is not None and elements(at_capture) and not as_captured:
        notes.mistake(at_capture, "has no effect", "only `expect: baseline` compares with it")


def _files_check(notes: Notes, files: Node, kinds: Kinds) -> None:
    _asked(notes, child(files, "asset"), kinds, _FOLDERS)
    _asked(notes, child(files, "listed_by", "asset"), kinds, _DATABASES)
    asset = child(files, "asset")
    if asset and all(child(files, key) is None for key in ("listed_by", "at_least")):
        notes.mistake(files, "asks for nothing", "add `at_least` or `listed_by`")
    for key, entry in children(child(files, "listed_by", "prefix")):
        text = text_of(entry.node)
        if not key:
            notes.mistake(entry.node, "an empty prefix fits every path", "write its beginning")
        elif text is not None and not stays_inside(text):
            notes.mistake(
                entry.node, "must be a path inside the asset", "`.` is the asset's own folder"
            )
