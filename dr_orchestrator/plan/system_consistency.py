"""What a plan says of one system in one place and contradicts in another.

See `consistency.py`: works on nodes, and passes over what has a mistake of its own already.
"""

from __future__ import annotations

from datetime import timedelta

from dr_orchestrator.plan.asset_consistency import check_asset, duration_of
from dr_orchestrator.plan.check_consistency import check_checks, check_loaded_is_asked, check_newest
from dr_orchestrator.plan.document import Node, Scalar, child, children, elements, text_of
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.timing_consistency import (
    check_backup_timing,
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
    saved_to = _backup(notes, system)
    check_retention(notes, child(system, "retention"))
    for test in elements(child(system, "restore_tests")):
        _restore_test(notes, test, saved_to)
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
    """Return the repositories the system is saved to."""
    listed = child(system, "backup", "to")
    known: list[str] = []
    for node in elements(listed):
        name = notes.reference(node, notes.repositories, "repository")
        if name is not None and name in known:
            notes.mistake(node, "is named twice")
        elif name is not None:
            known.append(name)
    check_backup_timing(notes, child(system, "backup"), duration_of(child(system, "rpo")))
    return known or (notes.repositories[:1] if listed is None else notes.repositories)


def _restore_test(notes: Notes, test: Node, saved_to: list[str]) -> None:
    check_restore_test_timing(notes, test)
    node = child(test, "from")
    name = notes.reference(node, notes.repositories, "repository")
    if node is not None and name is not None and name not in saved_to:
        notes.mistake(
            node,
            "this system is not backed up to it",
            f"it is backed up to {', '.join(saved_to)}",
        )
    limit_node = child(test, "prove_every")
    limit, period = duration_of(limit_node), period_of(child(test, "schedule"))
    if limit_node is not None and limit and period is not None and limit < period:
        notes.warn(
            limit_node,
            "is shorter than the test's own interval",
            "between two tests, recovery will count as not proven",
        )
