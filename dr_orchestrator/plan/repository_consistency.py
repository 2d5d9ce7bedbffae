"""What a plan says of one repository in one place and contradicts in another.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already. What a
plan that is written out states as a default is no mistake where it has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.plan.asset_consistency import duration_of, lies_in, local_folder
from dr_orchestrator.plan.document import Node, Scalar, child, children, plain_data, text_of
from dr_orchestrator.plan.model import Bucket, Maintenance
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.timing_consistency import check_maintenance, period_of

_SECRET_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_REST_USER = re.compile(r"rest:https?://[^/@\s]+@")
_DAY = timedelta(days=1)
_NEVER = "never"
_ALWAYS = ("check", "forget", "prune")
"""What is done in every repository."""
_KEY_HALVES = ("access_key_id", "secret_access_key")
_LOGIN = ("user", "password")
_KEYS_OF = {"s3": ("aws_profile", *_KEY_HALVES), "rclone": ("aws_profile",), "rest": _LOGIN}
"""Which credentials each kind of location takes."""
_LONGEST = 36_500
"""Days: more are a mistake of their own."""
_ROUNDS = 2
"""A lock must outlast so many rounds of its renewal: one of them may be missed."""


def check_repositories(notes: Notes) -> None:
    """Note what the repositories contradict, each in itself and one with the other."""
    seen: dict[str, str] = {}
    for name, entry in children(child(notes.root, "repositories")):
        repository = entry.node
        check_maintenance(notes, child(repository, "maintenance"), _upkeep(repository))
        for node in (child(repository, "location"), child(repository, "maintenance", "location")):
            _location(notes, node, name, seen)
        _key_inside(notes, repository)
        _append_only(notes, repository)
        _locked(notes, repository)
        _bucket(notes, repository)
        _credentials(notes, child(repository, "credentials"), _kind(repository))
        _printed(notes, repository)
        _credentials(
            notes,
            child(repository, "maintenance", "credentials"),
            _kind(child(repository, "maintenance"), repository),
        )


def _upkeep(repository: Node) -> tuple[str, ...]:
    """Return what may be started in a repository."""
    locked = child(repository, "object_lock") is not None
    tried = keeps_attackers_out(repository)
    more = (*(("extend",) if locked else ()), *(("immutability",) if tried else ()))
    return (*_ALWAYS, *more)


def keeps_attackers_out(repository: Node | None) -> bool:
    """Return what `RepositorySpec.keeps_attackers_out` will say."""
    append_only = child(repository, "append_only")
    declared = isinstance(append_only, Scalar) and append_only.value is True
    return declared or child(repository, "object_lock") is not None


def keys_of(notes: Notes, name: str) -> Any:
    """Return what a repository in S3 is opened with, to be compared; `None` of one elsewhere."""
    repository = child(notes.root, "repositories", name)
    if _kind(repository) != "s3":
        return None
    keys, region = child(repository, "credentials"), text_of(child(repository, "bucket", "region"))
    return (plain_data(keys) if keys is not None else None) or {}, region


def references(repository: Node) -> Iterator[Node]:
    """Yield the references to secrets in a repository."""
    stated = [child(repository, key) for key in ("credentials", "sheet_credentials")]
    stated.append(child(repository, "maintenance", "credentials"))
    found = [child(repository, "password")]
    found += [child(each, key) for each in stated for key in (*_KEY_HALVES, "password")]
    yield from (each for each in found if each is not None)


def _kind(*sections: Node | None) -> str:
    """Return the kind of the first location that is stated: `s3`, `rest`; `folder` of one here."""
    location = next((text for each in sections if (text := text_of(child(each, "location")))), "")
    if not location or local_folder(location) is not None:
        return "folder" if location else ""
    return location.partition(":")[0]


def _location(notes: Notes, node: Node | None, name: str, seen: dict[str, str]) -> None:
    location = text_of(node)
    if node is None or not location:
        return
    if _SECRET_IN_URL.search(location):
        notes.mistake(
            node,
            "has a password in it",
            "take it out: a plan is kept in git, and goes into every repository",
        )
        return
    if _REST_USER.match(location):
        notes.mistake(
            node,
            "has a user in it, and no password",
            "take it out, and write credentials: {user: NAME, password: {file: …}}",
        )
        return
    folder = local_folder(location)
    if folder is not None and not folder.is_absolute():
        notes.mistake(node, "must be an absolute path", "begin it with /")
    same = str(folder) if folder is not None else location.rstrip("/")
    if seen.get(same) == name:
        notes.mistake(node, "is what `location` says", "leave it out")
    elif same in seen:
        notes.mistake(
            node,
            f"is where `{seen[same]}` is too",
            "a second copy in the same place is none",
        )
    seen.setdefault(same, name)


def _key_inside(notes: Notes, repository: Node) -> None:
    """Warn of a key beside what it opens."""
    location, file = text_of(child(repository, "location")), child(repository, "password", "file")
    folder, path = local_folder(location) if location else None, text_of(file)
    if file is not None and path and folder is not None and lies_in(path, folder):
        notes.warn(
            file,
            "lies in the folder of the repository that it opens",
            "keep it elsewhere: who gets hold of the folder has both",
        )


def _append_only(notes: Notes, repository: Node) -> None:
    node = child(repository, "append_only")
    if not isinstance(node, Scalar) or node.value is not True:
        return
    kind = _kind(repository)
    if kind == "s3":
        notes.mistake(node, "has no effect on S3", "`object_lock` keeps what is in a bucket")
    elif kind and kind != "rest":
        notes.mistake(
            node,
            "nothing proves it of this location",
            "reach it as rest:… through rest-server or `rclone serve restic --append-only`",
        )
    maintenance = child(repository, "maintenance")
    if child(maintenance, "location") is not None:
        return
    for key in ("forget", "prune"):
        stated = child(maintenance, key)
        if stated is not None and text_of(stated) != _NEVER:
            notes.mistake(
                stated,
                "an append-only server lets nothing be removed",
                "add `maintenance: {location: …}`, another way to the same repository, or "
                "write `never`",
            )


def _locked(notes: Notes, repository: Node) -> None:
    lock, maintenance = child(repository, "object_lock"), child(repository, "maintenance")
    if lock is None:
        _without_effect(notes, child(maintenance, "extend"), "there is no `object_lock`")
    elif _kind(repository) not in {"s3", ""}:
        notes.mistake(lock, "has no effect", "only a bucket of S3 has such locks")
    if not keeps_attackers_out(repository):
        node = child(maintenance, "immutability")
        _without_effect(notes, node, "there is neither `object_lock` nor `append_only`")
    days = child(lock, "days")
    count = getattr(days, "value", None)
    if days is None or not isinstance(count, int) or isinstance(count, bool) or count < 1:
        return
    for key in ("extend", "immutability"):
        _outlasts(notes, days, timedelta(days=min(count, _LONGEST)), child(maintenance, key), key)


def _without_effect(notes: Notes, node: Node | None, why: str) -> None:
    """Note a schedule that starts nothing; stated as by default, it may be written out."""
    if node is None:
        return
    key = node.path.rpartition(".")[2]
    if text_of(node) not in {_NEVER, str(Maintenance.model_fields[key].default)}:
        notes.mistake(node, "has no effect", why)


def _outlasts(notes: Notes, days: Node, lasts: timedelta, schedule: Node | None, key: str) -> None:
    """Note a lock that two rounds of `key` are too long for."""
    default = Maintenance.model_fields[key].default
    period = default.period if schedule is None else period_of(schedule)
    if schedule is not None and text_of(schedule) == _NEVER and key == "extend":
        notes.warn(
            schedule,
            "nobody renews the locks but a prune",
            f"after {count_words(lasts.days, 'day')} what new points rest on can be removed",
        )
    if period is None or lasts >= _ROUNDS * period:
        return
    message = f"is shorter than two rounds of `maintenance.{key}`"
    if key == "extend":
        notes.mistake(days, message, "one round that fails would leave locks to run out")
    else:
        notes.warn(days, message, "locks would come and go that nobody has tried")


def _bucket(notes: Notes, repository: Node) -> None:
    kind = _kind(repository)
    for name, entry in children(child(repository, "bucket")):
        field = Bucket.model_fields.get(name)
        if field is None:
            continue
        keeps = duration_of(entry.node)
        if kind not in {"s3", ""} and not (keeps and keeps == field.default):
            notes.mistake(entry.node, "has no effect", "only S3 has buckets")
        elif name == "keep_noncurrent" and keeps and keeps % _DAY:
            notes.mistake(entry.node, "S3 counts whole days", "write it as 30d")


def _credentials(notes: Notes, node: Node | None, kind: str) -> None:
    stated = {name: entry.node for name, entry in children(node)}
    taken = _KEYS_OF.get(kind, ())
    idle = [name for name in stated if kind and name not in taken and _is_known(name)]
    for name in idle:
        words = " and ".join(f"`{each}`" for each in taken)
        hint = f"{kind}: takes {words}" if taken else "nothing is asked for at this location"
        notes.mistake(stated[name], "has no effect", hint)
    if idle:
        return
    for halves in (_KEY_HALVES, _LOGIN):
        present = [name for name in halves if name in stated]
        if len(present) == 1:
            missing = halves[1 - halves.index(present[0])]
            notes.mistake(stated[present[0]], f"needs `{missing}` beside it")
    if "aws_profile" in stated and any(name in stated for name in _KEY_HALVES):
        notes.mistake(stated["aws_profile"], "names keys a second time", "leave one of them out")


def _printed(notes: Notes, repository: Node) -> None:
    """Note credentials for paper that are none, or that can do more than read."""
    printed = child(repository, "sheet_credentials")
    _credentials(notes, printed, _kind(repository))
    profile, own = child(printed, "aws_profile"), child(repository, "credentials")
    if profile is not None:
        notes.mistake(
            profile, "cannot be printed", "refer to `access_key_id` and `secret_access_key`"
        )
    elif printed is not None and own is not None and plain_data(printed) == plain_data(own):
        notes.mistake(
            printed,
            "are those of the backup",
            "whoever finds the sheet could destroy backups with them: make read-only ones",
        )


def _is_known(name: str) -> bool:
    return any(name in keys for keys in _KEYS_OF.values())
