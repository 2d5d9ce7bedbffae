"""What the tests did not cover, and who can open the backups.

The part of the page that keeps the rest honest: what nobody tried is named, with whose word it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.core.wording import day_words, depth_words, duration_words, sentence
from dr_orchestrator.plan.model import NotProtected, ProtectedElsewhere
from dr_orchestrator.report.model import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.plan.model import Custody, RecoveryStep
    from dr_orchestrator.report.view import View


def not_covered(view: View) -> tuple[Note, ...]:
    """Return what the tests did not reach, in order of what a reader would miss most."""
    return _merged(
        (
            *_other_systems(view),
            *_recovery_steps(view),
            *_one_place(view),
            *_depths(view),
            *_conditions(view),
            *_together(view),
        )
    )


def _merged(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Return one note for each statement, with all that it is about."""
    labels: dict[str, list[str]] = {}
    for note in notes:
        labels.setdefault(note.text, []).append(note.label)
    return tuple(Note(label=", ".join(of), text=text) for text, of in labels.items())


def _other_systems(view: View) -> Iterator[Note]:
    for name, system in view.plan.systems.items():
        if isinstance(system, ProtectedElsewhere):
            text = f"protected by {system.protected_by}; not tested by us"
            if system.attest:
                text += (
                    f", to be confirmed every {duration_words(system.attest.every)}, "
                    "no confirmation on record"
                )
            yield Note(label=view.title(name), text=sentence(text))
        elif isinstance(system, NotProtected):
            accepted = view.person(system.accepted_by)
            yield Note(
                label=view.title(name),
                text=f"NOT protected: {system.not_protected}. Accepted by: {accepted}.",
            )


def _recovery_steps(view: View) -> Iterator[Note]:
    for name, system in view.plan.protected.items():
        if not system.recovery:
            yield Note(
                label=view.title(name),
                text="The time is for the data only: no step after it (a new server, installing "
                "programs) is in the plan.",
            )
            continue
        never = [_step(view, step) for step in system.recovery if step.rehearsed is None]
        rehearsed = [
            f"{_step(view, step)} on {day_words(step.rehearsed, beside=view.today)}"
            for step in system.recovery
            if step.rehearsed
        ]
        parts = [
            f"Allowed for, never rehearsed: {'; '.join(never)}." if never else "",
            f"Rehearsed apart from this test: {'; '.join(rehearsed)}." if rehearsed else "",
        ]
        yield Note(label=view.title(name), text=" ".join(part for part in parts if part))


def _step(view: View, step: RecoveryStep) -> str:
    return f"{step.step} ({duration_words(step.allow)}, {view.person(step.by)})"


def _one_place(view: View) -> Iterator[Note]:
    for name in view.systems:
        places = view.plan.repositories_of(name) if name in view.plan.protected else ()
        if len(places) == 1:
            yield Note(
                label=f"A second copy of {view.title(name)}",
                text=f"All its backups are in one place (“{places[0]}”): "
                "what destroys that place destroys them all.",
            )


def _depths(view: View) -> Iterator[Note]:
    for name in view.systems:
        test = view.headline_test(name)
        if test is not None and test.result is Result.PASSED:
            nobody = (
                "" if test.depth is Depth.L5 else " That people can work with it was not tried."
            )
            yield Note(
                label=view.title(name),
                text=f"Tested to level {test.depth} of 5: {depth_words(test.depth)}.{nobody}",
            )


def _conditions(view: View) -> Iterator[Note]:
    for name in view.systems:
        test = view.headline_test(name)
        if test is not None:
            for condition in test.conditions:
                yield Note(label=view.title(name), text=sentence(condition))


def _together(view: View) -> Iterator[Note]:
    if len(view.plan.protected) > 1:
        yield Note(
            label="All at once",
            text="Each system was rebuilt by itself; rebuilding all of them together was not "
            "tried and would take longer.",
        )


def keys(view: View) -> tuple[Note, ...]:
    """Return who holds a key that opens the backups, and that it was never proven to.

    The record of this version holds no proof of a key, so none is claimed.
    """
    if not view.plan.custody:
        return (
            Note(
                label="Nobody is named in the plan",
                text="if the computer that makes the backups is lost, nobody may be able to "
                "open them.",
            ),
        )
    return tuple(_key(view, custody) for custody in view.plan.custody)


def _key(view: View, custody: Custody) -> Note:
    every = (
        f" (to be shown every {duration_words(custody.prove_every)})" if custody.prove_every else ""
    )
    holder = view.person(custody.holder)
    return Note(
        label=holder[:1].upper() + holder[1:],
        text=f"{custody.form}; never proven to open the backups{every}",
    )
