"""What a plan says of one system in one place and contradicts in another.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from dr_orchestrator.plan.asset_consistency import check_asset, duration_of
from dr_orchestrator.plan.check_consistency import check_checks, check_loaded_is_asked, check_newest
from dr_orchestrator.plan.document import Node, Scalar, child, children, elements, text_of
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.quantity import parse_percentage
from dr_orchestrator.plan.repository_consistency import keys_of
from dr_orchestrator.plan.timing_consistency import (
    check_backup_timing,
    check_copying_timing,
    check_restore_test_timing,
    check_retention,
    period_of,
)


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
        check_asset(notes, entry.node, rpo=child(system, "rpo"))
    _promise(notes, system)
    _skew(notes, system)
    held_in = _backup(notes, system)
    check_retention(notes, child(system, "retention"))
    for test in elements(child(system, "restore_tests")):
        _restore_test(notes, test, held_in, set(kinds.values()))
    _timed(notes, system)
    check_newest(notes, system, kinds)
    check_checks(notes, system, kinds)
    check_loaded_is_asked(notes, system)
    for step in elements(child(system, "recovery")):
        notes.nearly_a_contact(child(step, "by"))


def _promise(notes: Notes, system: Node) -> None:
    age = child(system, "max_data_age")
    # a pack may know the query
    packs = [check for check in elements(child(system, "verify")) if child(check, "pack")]
    if isinstance(age, Scalar) and child(system, "newest") is None and not packs:
        notes.mistake(age, "has no effect", "add `newest`, the query that tells the data's age")
    rto = duration_of(child(system, "rto"))
    steps = [duration_of(child(step, "allow")) for step in elements(child(system, "recovery"))]
    allowed = sum((step for step in steps if step is not None), timedelta())
    node = child(system, "rto")
    if rto is None or node is None:
        return
    if allowed >= rto:
        notes.warn(node, "the steps of `recovery` alone take that long", "nothing is left")
    unloaded = [name for name, entry in children(child(system, "assets")) if _is_dump(entry.node)]
    if unloaded and not steps:
        notes.warn(
            node,
            f"a test cannot time how long it takes to load {' and '.join(unloaded)}",
            "say it as a step of `recovery`, with `allow`",
        )


def _is_dump(asset: Node) -> bool:
    """Whether it is a dump that comes back, and that nothing of ours loads."""
    if text_of(child(asset, "kind")) == "command":
        return not elements(child(asset, "restore"))
    return child(asset, "data_time") is not None


def _skew(notes: Notes, system: Node) -> None:
    skew, assets = child(system, "max_skew"), list(children(child(system, "assets")))
    if skew is None or not assets:
        return
    if len(assets) == 1:
        notes.mistake(skew, "has no effect", "there is one asset only")
    elif any(child(entry.node, "data_time") is not None for _, entry in assets):
        notes.warn(
            skew,
            "one of the assets is written by another job, at an instant of its own",
            "if it must fit the others, back it up in a system of its own, or allow for its age",
        )


def _backup(notes: Notes, system: Node) -> list[str]:
    """Return the repositories the system is saved or copied to."""
    listed, copied = child(system, "backup", "to"), child(system, "backup", "copy_to")
    first = notes.repositories[:1] if listed is None else []
    known: list[str] = list(first)
    for node in (*elements(listed), *elements(copied)):
        name = notes.reference(node, notes.repositories, "repository")
        if name is not None and name in known:
            notes.mistake(node, "is named twice", "it is saved or copied to once: take one out")
        elif name is not None:
            known.append(name)
    copying = child(system, "backup", "copying")
    if copying is not None and not elements(copied):
        notes.mistake(copying, "has no effect", "say with `copy_to` where to")
    check_copying_timing(notes, copying)
    _keys_of_copies(notes, elements(listed), elements(copied))
    check_backup_timing(notes, child(system, "backup"), duration_of(child(system, "rpo")))
    return known or notes.repositories


def _keys_of_copies(notes: Notes, saved: Sequence[Node], copied: Sequence[Node]) -> None:
    """Note copies that restic cannot make: it knows one set of keys, and one region, for both."""
    sources = [text_of(node) or "" for node in saved] or notes.repositories[:1]
    for node in copied:
        target = keys_of(notes, text_of(node) or "")
        if target is None:
            continue
        known = ((source, keys_of(notes, source)) for source in sources)
        other = next((source for source, keys in known if keys not in (None, target)), None)
        if other is not None:
            notes.mistake(
                node,
                f"is opened with other `credentials`, or in another `region`, than `{other}`",
                "between two buckets restic copies with one set of keys: write one profile for "
                "both, or back up to both with `to`",
            )


def _restore_test(notes: Notes, test: Node, held_in: list[str], kinds: set[str | None]) -> None:
    check_restore_test_timing(notes, test)
    node = child(test, "from")
    name = notes.reference(node, notes.repositories, "repository")
    if node is not None and name is not None and name not in held_in:
        notes.mistake(
            node,
            "this system is not backed up to it",
            f"it is backed up to {', '.join(held_in)}",
        )
    _sample(notes, test, kinds)
    limit_node = child(test, "prove_every")
    limit, period = duration_of(limit_node), period_of(child(test, "schedule"))
    if limit_node is not None and limit and period is not None and limit < period:
        notes.warn(
            limit_node,
            "is shorter than the test's own interval",
            "between two tests, recovery will count as not proven",
        )


def _timed(notes: Notes, system: Node) -> None:
    """Note that no test tells how long a recovery of everything takes."""
    samples = [child(test, "files") for test in elements(child(system, "restore_tests"))]
    if samples and samples[0] is not None and None not in samples:
        notes.warn(
            samples[0],
            "no restore test brings back all files, so the recovery time is never proven",
            "add a test without `files`, from the repository that a recovery begins with",
        )


def _sample(notes: Notes, test: Node, kinds: set[str | None]) -> None:
    sample = child(test, "files", "sample")
    if sample is None:
        return
    if not kinds & {"files", "smb", None}:
        notes.mistake(sample, "has no effect", "this system has no `files` and no `smb` asset")
    with suppress(ValueError):
        if parse_percentage(text_of(sample) or "") == 1:
            notes.mistake(sample, "has no effect", "leave it out: all files are restored then")
