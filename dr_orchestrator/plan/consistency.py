"""What a plan says in one place and contradicts in another.

Works on the nodes, not on the validated plan, so that these mistakes are reported together with
those of single values. What has a mistake of its own already is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dr_orchestrator.core.wording import some_names
from dr_orchestrator.plan.delivery_consistency import check_report
from dr_orchestrator.plan.document import (
    Document,
    Node,
    child,
    children,
    elements,
    text_of,
)
from dr_orchestrator.plan.evidence_consistency import check_evidence
from dr_orchestrator.plan.existing_consistency import check_existing, check_only_read, is_existing
from dr_orchestrator.plan.kit_consistency import check_kit
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.notification_consistency import check_notifications
from dr_orchestrator.plan.problem import Problem
from dr_orchestrator.plan.repository_consistency import (
    check_repositories,
    keeps_attackers_out,
    references,
)
from dr_orchestrator.plan.system_consistency import check_system


def consistency_problems(
    document: Document, *, files: tuple[Path, ...]
) -> tuple[list[Problem], list[Problem]]:
    """Return the mistakes and the warnings of a plan as a whole.

    `files` are the plan's own and its templates where it is one of this machine; what depends on
    the machine (who may write to them, work trees of git) is looked at only then.
    """
    notes = Notes(document, files)
    check_repositories(notes)
    for _, system in notes.systems():
        check_system(notes, system)
        check_existing(notes, system)
    check_only_read(notes)
    _dependencies(notes)
    _custody(notes)
    check_report(notes)
    check_kit(notes)
    check_evidence(notes)
    check_notifications(notes)
    for reference in _references_to_secrets(notes):
        notes.secret(reference)
    _whole(notes)
    return notes.mistakes, notes.warnings


def _dependencies(notes: Notes) -> None:
    edges: dict[str, list[tuple[str, Node]]] = {}
    names = [name for name, _ in notes.systems()]
    for name, system in notes.systems():
        edges[name] = []
        for node in elements(child(system, "depends_on")):
            other = notes.reference(node, names, "system")
            if other is not None:
                edges[name].append((other, node))
    _cycles(notes, edges)


def _cycles(notes: Notes, edges: dict[str, list[tuple[str, Node]]]) -> None:
    """Report each circle once, at the step that closes it when read from the file's top."""
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, following = stack.pop()
            if following == 0:
                if name in done:
                    continue
                trail.append(name)
            if following < len(edges[name]):
                stack.append((name, following + 1))
                other, node = edges[name][following]
                if other in trail:
                    circle = [*trail[trail.index(other) :], other]
                    notes.mistake(node, "depends on itself in the end", f"{' -> '.join(circle)}")
                else:
                    stack.append((other, 0))
            else:
                trail.pop()
                done.add(name)


def _custody(notes: Notes) -> None:
    holders = [child(each, "holder") for each in elements(child(notes.root, "custody"))]
    for holder in holders:
        notes.nearly_a_contact(holder)
    if len({text_of(holder) for holder in holders}) <= 1:
        node = child(notes.root, "custody") or notes.root
        notes.warn(node, "no second holder of a key", "list in `custody` who can open the backups")


def _references_to_secrets(notes: Notes) -> Iterator[Node]:
    for _, entry in children(child(notes.root, "repositories")):
        yield from references(entry.node)
    for _, system in notes.systems():
        for _, entry in children(child(system, "assets")):
            if node := child(entry.node, "password"):
                yield node
            for _, secret in children(child(entry.node, "secrets")):
                yield secret.node


def _whole(notes: Notes) -> None:
    practice = child(notes.root, "practice")
    if practice is not None and child(practice, "timezone") is None:
        notes.warn(
            practice, "no `timezone`: schedules are read in UTC", "add one as America/Chicago"
        )
    repositories = child(notes.root, "repositories")
    if repositories is None:
        return
    held_in = {name: _held_in(notes, system) for name, system in _protected(notes)}
    used = {each for names in held_in.values() for each in names}
    if len(used) == 1 or len(notes.repositories) == 1:
        notes.warn(
            repositories, "one repository only", "what destroys it leaves nothing to restore"
        )
    safe = {name for name, entry in children(repositories) if keeps_attackers_out(entry.node)}
    theirs = {name for name, system in _protected(notes) if is_existing(system)}
    open_to_attack = [
        name for name, names in held_in.items() if not names & safe and name not in theirs
    ]
    if open_to_attack:
        whose = "" if len(open_to_attack) == len(held_in) else f" of {some_names(open_to_attack)}"
        notes.warn(
            repositories,
            f"no copy{whose} that an attacker with our credentials cannot destroy",
            "copy it (`copy_to`) to a bucket with `object_lock`, or to an `append_only` server",
        )
    for name, entry in children(repositories):
        if used and name not in used:
            notes.warn(
                entry.node,
                "nothing is backed up to it",
                "name it in `backup: {to: [..]}`, or in its `copy_to`",
            )


def _protected(notes: Notes) -> Iterator[tuple[str, Node]]:
    for name, system in notes.systems():
        if child(system, "assets") is not None:
            yield name, system


def _held_in(notes: Notes, system: Node) -> set[str]:
    """Return the repositories that a system is saved or copied to."""
    named = {text_of(node) or "" for node in elements(child(system, "backup", "to"))}
    copied = {text_of(node) or "" for node in elements(child(system, "backup", "copy_to"))}
    return (named or set(notes.repositories[:1])) | copied
