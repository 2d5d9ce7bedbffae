"""What a plan says of one asset in one place and contradicts in another.

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

_REMOTE = re.compile(r"[a-z0-9]{2,}:")
_MARIADB_PORT = 3306
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_UNCERTAIN = re.compile(r"[\[\]\\]")
_SERVER = {"postgres": "cluster", "mariadb": "server"}
"""What `physical` takes, in the words of each kind."""


def check_asset(notes: Notes, asset: Node, *, rpo: Node | None) -> None:
    """Note what one asset contradicts, in itself and with the RPO of its system."""
    kind = text_of(child(asset, "kind"))
    if kind in _SERVER:
        _scope(notes, asset, _SERVER[kind])
        _lab(notes, asset)
    if kind == "mariadb":
        _socket(notes, asset)
    if kind in {"files", "sqlite"}:
        _path(notes, child(asset, "path"), saved=kind == "files")
    if kind == "smb":
        _share(notes, asset)
    if kind == "command":
        _command(notes, asset)
    if kind in {"files", "smb", "command"}:
        _inside(notes, child(asset, "marker"))
        _made_elsewhere(notes, asset, rpo)


def _path(notes: Notes, node: Node | None, *, saved: bool) -> None:
    path = text_of(node)
    if node is None or not path:
        return
    if not PurePosixPath(path).is_absolute():
        notes.mistake(node, "must be an absolute path", "begin it with /")
    elif saved:
        _location_against(notes, _normal(path), node)


def _scope(notes: Notes, asset: Node, whole: str) -> None:
    method, scope = child(asset, "method"), child(asset, "scope")
    physical, cluster = text_of(method) == "physical", text_of(scope) == "cluster"
    if physical and method is not None and scope is None:
        notes.mistake(method, f"takes the whole {whole}, and must say so", "add `scope: cluster`")
    elif physical and scope is not None and text_of(scope) == "database":
        notes.mistake(scope, f"`physical` takes the whole {whole}", "write `scope: cluster`")
    elif cluster and not physical and scope is not None:
        known = method is None or text_of(method) == "logical"
        if known:
            notes.mistake(
                scope, "`logical` takes one database", "add `method: physical`, or leave it out"
            )


def _lab(notes: Notes, asset: Node) -> None:
    lab = child(asset, "lab")
    if lab is not None and text_of(child(asset, "method")) == "physical":
        notes.mistake(
            lab, "has no effect", "a running server cannot load a data directory: use `logical`"
        )


def _socket(notes: Notes, asset: Node) -> None:
    host, port = child(asset, "host"), child(asset, "port")
    text = text_of(host)
    if host is None or not text:
        return
    # written out, a plan has the default too
    stated = isinstance(port, Scalar) and port.value != _MARIADB_PORT
    if text.startswith("/") and port is not None and stated:
        notes.mistake(port, "has no effect", "`host` is the path of a unix socket")
    elif text.endswith("/"):
        notes.mistake(host, "is a folder", "name the socket in it, as /run/mysqld/mysqld.sock")
    elif "/" in text and not text.startswith("/"):
        notes.mistake(host, "must be a name, an address or an absolute path", "begin it with /")


def _share(notes: Notes, asset: Node) -> None:
    for key in ("host", "share"):
        node = child(asset, key)
        if node is not None and re.search(r"[/\\]", text_of(node) or ""):
            notes.mistake(
                node, "must not have slashes in it", "\\\\HOST\\SHARE\\PATH are three keys here"
            )
    path = child(asset, "path")
    text = text_of(path)
    if path is not None and text and ("\\" in text or not stays_inside(text)):
        notes.mistake(
            path, "must be a path inside the share", "with /, without / before it, and without .."
        )
    user = child(asset, "user")
    if user is not None and "\\" in (text_of(user) or ""):
        notes.mistake(user, "must not have the domain in it", "write that as `domain`")


def _command(notes: Notes, asset: Node) -> None:
    dump, restore = child(asset, "dump"), child(asset, "restore")
    tree = text_of(child(asset, "output")) == "tree"
    program(notes, dump, may_name=("{folder}",) if tree else ())
    program(notes, restore, may_name=("{dump}", "{folder}"))
    if tree:
        _must_name(notes, dump, "{folder}", "with `output: tree` it stands for the folder to fill")
    _must_name(notes, restore, "{dump}", "it stands for what came back")
    lab = child(asset, "lab")
    if not elements(restore) and lab is not None:
        notes.mistake(lab, "has no effect", "without `restore` nothing is loaded anywhere")
    if not elements(restore) and dump is not None:
        notes.warn(
            dump,
            "no `restore`: a test can only prove that the dump comes back, not that it loads",
            "add the program that loads it, and `run` checks that look at what it loaded",
        )
    _end(notes, child(asset, "ends_with"), tree=tree)
    for name, entry in children(child(asset, "secrets")):
        if not _VARIABLE.fullmatch(name):
            notes.mistake(
                entry.node,
                "its key is not a name of a variable",
                "letters, digits and _, not beginning with a digit",
            )
    data_time = child(asset, "data_time")
    if data_time is not None and not tree:
        notes.mistake(data_time, "has no effect", "a stream has no files: add `output: tree`")


def _end(notes: Notes, node: Node | None, *, tree: bool) -> None:
    pattern = text_of(node)
    if node is None or not pattern:
        return
    if tree:
        notes.mistake(node, "has no effect", "it speaks of a stream, and this dump is a folder")
        return
    try:
        re.compile(pattern.encode())
    except (re.error, OverflowError, RecursionError):
        notes.mistake(node, "is no regular expression", "as `-- Dump completed`")


def program(notes: Notes, argv: Node | None, *, may_name: tuple[str, ...]) -> None:
    """Note what is wrong with a program and its arguments, and where others could change them."""
    for place, node in enumerate(elements(argv)):
        text = text_of(node) or ""
        if not place and text and not PurePosixPath(text).is_absolute():
            notes.mistake(node, "must be an absolute path", "begin it with /")
        for placeholder in ("{dump}", "{folder}"):
            if placeholder in text and placeholder not in may_name:
                notes.mistake(node, f"`{placeholder}` stands for nothing here")
    if argv is not None and elements(argv) and (why := notes.writable_by_others):
        notes.mistake(
            argv,
            f"commands run only from a file that others cannot write: {why}",
            f"chmod go-w {notes.place} and its folder",
        )


def _must_name(notes: Notes, argv: Node | None, placeholder: str, hint: str) -> None:
    arguments = [text_of(node) or "" for node in elements(argv)]
    if argv is not None and arguments and not any(placeholder in each for each in arguments):
        notes.mistake(argv, f"does not name `{placeholder}`", hint)


def _made_elsewhere(notes: Notes, asset: Node, rpo: Node | None) -> None:
    made_by, data_time = child(asset, "made_by"), child(asset, "data_time")
    notes.nearly_a_contact(made_by)
    if made_by is not None and data_time is None:
        notes.mistake(
            made_by,
            "needs `data_time` beside it: nothing else tells that this job died",
            "as {newest: EMR_FULL_*.bak, max_age: 26h}",
        )
    newest = child(data_time, "newest")
    pattern = text_of(newest)
    if newest is not None and pattern and not _is_pattern(pattern):
        notes.mistake(
            newest,
            "must be a pattern of files inside the folder",
            "of names, `*`, `?` and `**/`, without / before it, and without ..",
        )
    settled, oldest = child(data_time, "settled"), child(data_time, "max_age")
    waits, allowed, promised = duration_of(settled), duration_of(oldest), duration_of(rpo)
    if settled is not None and waits and allowed and waits >= allowed:
        notes.mistake(settled, "is as long as `max_age`", "no file would ever be young enough")
    if oldest is not None and allowed and promised and allowed > promised:
        notes.warn(
            oldest, "is longer than the RPO", "a dump of that age is allowed, and breaks the RPO"
        )


def _is_pattern(text: str) -> bool:
    parts = text.split("/")
    return not (_UNCERTAIN.search(text) or {"", ".", ".."} & set(parts) or parts[-1] == "**")


def _location_against(notes: Notes, path: PurePosixPath, node: Node) -> None:
    """Report a repository inside what is protected, or the reverse: it would save itself."""
    for name, entry in children(child(notes.root, "repositories")):
        for keys in (("location",), ("maintenance", "location")):
            folder = local_folder(text_of(child(entry.node, *keys)) or "s3:")
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
    if not text or not stays_inside(text):
        notes.mistake(node, "must be a path inside the folder", "without / before it, or ..")


def local_folder(location: str) -> PurePosixPath | None:
    """Return the folder a restic location means on this machine, `None` where it is elsewhere."""
    if location.startswith("local:"):
        return _normal(location.removeprefix("local:"))
    return None if _REMOTE.match(location) else _normal(location)


def lies_in(path: str, folder: PurePosixPath) -> bool:
    """Return whether an absolute path leads into a folder; links are not followed."""
    return _normal(path).is_relative_to(folder)


def _normal(path: str) -> PurePosixPath:
    normal = os.path.normpath(path)
    return PurePosixPath("/" + normal.lstrip("/") if normal.startswith("/") else normal)


def duration_of(node: Node | None) -> timedelta | None:
    """Return the duration that a node holds, `None` where it holds none."""
    with suppress(ValueError):
        return parse_duration(text_of(node) or "")
    return None


def stays_inside(path: str) -> bool:
    """Return whether a path in a plan cannot lead out of the folder it is meant to be in."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts
