"""A new repository in the place of one whose key somebody kept.

Revoking a key removes the file that it opens. Whoever opened the repository before can have kept
what lay in it: the master key, which opens everything that is there and ever will be, and which
restic cannot change (its design, "Keys, Encryption and MAC"). So nothing helps but another
repository, with a master key of its own, in which all that is worth keeping lies too, proven.

What is there is judged by the record, each time anew: whoever runs it again goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import RepositoryRetired
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.plan.effective import written_data
from dr_orchestrator.plan.model import Plan

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.custody import HeldKey
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.store.base import Store

_DAMAGED = "its last restore test failed"
_UNPLANNED = "the plan has no such system any more"
_ELSES = "another program saved it"
_OF_THE_PLACE = {"location", "password", "sheet_credentials", "maintenance"}
"""What a new repository does not take over from the one before."""


@dataclass(frozen=True, kw_only=True)
class Rekey:
    """Which repository of a plan is to stand for which."""

    plan: Plan
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How far it has come, by the record."""

    arrived: tuple[RecoveryPoint, ...]
    """Points of the old one that the new one holds too."""
    missing: tuple[RecoveryPoint, ...]
    """Those that are still to come over."""
    unseen: tuple[RecoveryPoint, ...]
    """Those of which only the old one tells, and nobody looked into it."""
    left: tuple[tuple[RecoveryPoint, str], ...]
    """Those that stay behind, and why."""
    newest: Mapping[str, RecoveryPoint]
    """System -> its newest point in the new one."""
    tested: Mapping[str, RestoreTest]
    """System -> the last restore test of that very point from there, where there was one."""

    @property
    def is_whole(self) -> bool:
        """Whether all came over that can."""
        return not self.missing and not self.unseen

    @property
    def untested(self) -> tuple[str, ...]:
        """The systems whose newest point has not passed a restore test there."""
        return tuple(each for each in self.newest if self.result(each) is not Result.PASSED)

    def may_stand(self, *, unproven: bool) -> bool:
        """Return whether the new one may stand for the old one: where `unproven`, also without a
        test that came to a result, never with one that failed.
        """
        results = {self.result(system) for system in self.untested}
        if not (self.is_whole and self.arrived) or Result.FAILED in results:
            return False
        return unproven or not results

    def result(self, system: str) -> Result | None:
        """Return what the test of a system came to; `None` where there was none."""
        test = self.tested.get(system)
        return test.result if test else None


def require_two(rekey: Rekey, record: PracticeRecord, read: Callable[[str], Secret]) -> None:
    """Refuse what would lead to no new key. `read` returns the password of a repository.

    Raises:
        UsageMistake: they are one, or have one password, or the new one is retired itself.
        SecretUnavailable: a password cannot be had.
    """
    if rekey.old == rekey.new:
        raise UsageMistake(
            f"{rekey.new} cannot stand for itself", hint="--to is another repository"
        )
    if rekey.new in record.retired:
        other = record.retired[rekey.new].replaced_by
        raise UsageMistake(f"{rekey.new} is retired itself", hint=f"{other} stands for it")
    if read(rekey.old).reveal() == read(rekey.new).reveal():
        raise UsageMistake(
            f"{rekey.old} and {rekey.new} have the same password, which somebody knows",
            hint=f"give {rekey.new} another one; where it was made already, begin anew elsewhere",
        )


def copying_plan(rekey: Rekey) -> Plan:
    """Return the plan by which all is copied: every system out of the old one, or out of another
    where that is damaged, into the new one.
    """
    others = [each for each in rekey.plan.used_repositories if each not in {rekey.old, rekey.new}]
    systems = {
        name: system.model_copy(
            update={
                "backup": system.backup.model_copy(
                    update={"to": (rekey.old, *others), "copy_to": (rekey.new,)}
                )
            }
        )
        for name, system in rekey.plan.protected.items()
    }
    return rekey.plan.model_copy(update={"systems": rekey.plan.systems | systems})


def moved(rekey: Rekey, record: PracticeRecord) -> Moved:
    """Return how far it has come. Pure."""
    arrived, missing, unseen, newest = [], [], [], dict[str, RecoveryPoint]()
    left: list[tuple[RecoveryPoint, str]] = []
    last = _tests_from(rekey.new, record)
    from_old = _tests_from(rekey.old, record)
    for point in record.points:
        copy = point.copy_in(rekey.old)
        if point.copy_in(rekey.new) is not None and point.system in rekey.plan.protected:
            newest[point.system] = point
        if copy is None:
            continue
        if point.copy_in(rekey.new) is not None:
            arrived.append(point)
        elif point.system not in rekey.plan.protected:
            left.append((point, _UNPLANNED))
        elif copy.is_existing:
            left.append((point, _ELSES))
        elif not record.vouches_for(copy):
            unseen.append(point)
        elif point.id in from_old and from_old[point.id].result is Result.FAILED:
            left.append((point, _DAMAGED))
        else:
            missing.append(point)
    return Moved(
        arrived=tuple(arrived),
        missing=tuple(missing),
        unseen=tuple(unseen),
        left=tuple(left),
        newest=newest,
        tested={system: last[point.id] for system, point in newest.items() if point.id in last},
    )


def _tests_from(repository: str, record: PracticeRecord) -> dict[str, RestoreTest]:
    """Return the last restore test of each point from there; tests are oldest first."""
    return {test.point: test for test in record.tests if test.repository == repository}


def retire(rekey: Rekey, store: Store, clock: Clock, *, by: str, why: str) -> RepositoryRetired:
    """Record that the new repository stands for the old one; return what is on record of that,
    from before where it did already.
    """
    practice = rekey.plan.practice.id
    known = store.practice_record(practice).retired.get(rekey.old)
    if known is not None and known.replaced_by == rekey.new:
        return known
    entry = RepositoryRetired(
        practice=practice,
        repository=rekey.old,
        at=clock.now(),
        by=by,
        replaced_by=rekey.new,
        why=why,
    )
    store.record(entry)
    return entry


def keys_to_replace(rekey: Rekey, record: PracticeRecord) -> tuple[HeldKey, ...]:
    """Return the keys that people hold of the old repository: none of them opens the new one."""
    return tuple(
        each for each in record.keys if each.repository == rekey.old and not each.is_revoked
    )


# --- what the plan is to say ----------------------------------------------------------------------


def repository_to_add(rekey: Rekey, key: Path) -> str:
    """Return the lines that a plan lacks, as YAML: a repository like the old one, beside it."""
    old = rekey.plan.repositories[rekey.old]
    said = old.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=True, exclude=_OF_THE_PLACE
    )
    new: dict[str, Any] = {
        "location": f"{old.location.rstrip('/')}-{rekey.new}",
        "password": {"file": str(key), "obtain": "say where a copy of it is kept"},
        **said,
    }
    return written_data({"repositories": {rekey.new: new}})


def changes_to_make(rekey: Rekey, stated: Collection[str]) -> tuple[str, ...]:
    """Return what the plan says of the old repository, each a field and what it is to say. `stated`
    are the fields that stand in the file: tests that do not follow what is saved, and a `backup`,
    which is said as a whole where there is none yet.
    """
    changes = []
    for name, system in rekey.plan.protected.items():
        for key, named in (("to", system.backup.to), ("copy_to", system.backup.copy_to)):
            if rekey.old in named:
                field, renamed = f"systems.{name}.backup", ", ".join(_renamed(named, rekey))
                changes.append(
                    f"{field}.{key}: [{renamed}]"
                    if field in stated
                    else f"{field}: {{schedule: {system.backup.schedule}, {key}: [{renamed}]}}"
                )
        changes += [
            f"systems.{name}.restore_tests[{number}].from: {rekey.new}"
            for number, test in enumerate(system.restore_tests)
            if test.from_ == rekey.old and f"systems.{name}.restore_tests[{number}]" in stated
        ]
    return tuple(changes)


def _renamed(names: tuple[str, ...], rekey: Rekey) -> list[str]:
    renamed = (rekey.new if each == rekey.old else each for each in names)
    return list(dict.fromkeys(renamed))


def key_file_beside(rekey: Rekey) -> Path:
    """Return where the key of the new repository would lie: beside that of the old one."""
    file = rekey.plan.repositories[rekey.old].password.file
    folder = Path(file).parent if file else Path("/etc/dro/keys")
    return folder / f"{rekey.plan.practice.id}-{rekey.new}"


def make_key_file(path: Path, key: Secret) -> None:
    """Write a new key to a file that nobody but its owner can read, and that was not there.

    Raises:
        UsageMistake: it was, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageMistake(
            f"the key file {path} cannot be made: {reason}", hint="nothing is ever written over"
        ) from None
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        stream.write(f"{key.reveal()}\n")
        stream.flush()
        os.fsync(stream.fileno())
