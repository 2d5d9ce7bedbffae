"""What to do after a restore test, or about a promise that is not kept or proven, in one sentence.
Pure: the same tests, the same advice.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective
from dr_orchestrator.core.verification import NOTHING_TOLD, Depth, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.core.finding import Finding
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.restore_test import RestoreTest

_ABOUT = {
    Objective.RPO: "find out why backups are missing: `dro runs {practice} --system {system}`",
    Objective.COVERAGE: "find out what is missing, and why: `dro runs {practice} "
    "--system {system} --failed`",
    Objective.COPIES: "see that backups reach {repository}: `dro runs {practice} "
    "--system {system} --failed`",
    Objective.SKEW: "see which asset is captured late: `dro points {practice} --system {system}`",
    Objective.DUMP_AGE: "see that whoever writes these backups still does",
    Objective.DATA_AGE: "see that people work in this system, and not in another",
    Objective.RTO: "recovery takes longer than promised: make it faster, or promise less",
    Objective.RESTORE_TEST: "make a restore test pass: `dro test {practice} --system {system} "
    "--repository {repository}`",
    Objective.REPOSITORY_CHECK: "have it read back: `dro repository check {practice} "
    "--repository {repository}`",
    Objective.IMMUTABILITY: "have it tried again: `dro repository immutability {practice} "
    "--repository {repository}`; `dro doctor {practice}` says what its protection lacks",
    Objective.RETENTION: "see why old backups stay: `dro retention show {practice}`",
    Objective.ACCEPTANCE: "take the change back, or have the practice sign it: "
    "`dro sign {practice}`",
    Objective.CORRECTIVE_ACTIONS: "do what is open, then close it: `dro action list {practice}`",
    Objective.CUSTODY: "have the key tried by whoever holds it: "
    "`dro key prove {practice} --holder ID`; `dro key list {practice}` says who can open what",
    Objective.EVIDENCE: "keep everything as it is, see what was altered, and find out by whom: "
    "`dro evidence verify {practice}`",
}


class Extent(Enum):
    """How far the damage goes that a restore test found, as far as its follow-ups tell."""

    ELSEWHERE_GOOD = "elsewhere_good"
    """The same point comes back from another repository."""
    STORAGE = "storage"
    """What lies in the repository cannot be read: a new backup to it would rest on that too, since
    restic stores nothing twice."""
    BEFORE_GOOD = "before_good"
    BEFORE_TOO = "before_too"
    UNKNOWN = "unknown"


def what_to_do(finding: Finding, practice: str) -> str:
    """Return what to do about a finding that is not met: what, a colon, commands in backticks."""
    untimed = finding.objective is Objective.RTO and not finding.achieved
    return _ABOUT[Objective.RESTORE_TEST if untimed else finding.objective].format(
        practice=practice, system=finding.system, repository=finding.repository or ""
    )


def follow_ups_of(test: RestoreTest, tests: Iterable[RestoreTest]) -> tuple[RestoreTest, ...]:
    """Return those of `tests` that looked for the damage that `test` found."""
    return tuple(each for each in tests if each.follow_up_of == test.id)


def extent(test: RestoreTest, follow_ups: tuple[RestoreTest, ...]) -> Extent:
    """Return how far the damage goes that a failed test found."""
    before = {each.result for each in follow_ups if each.point != test.point}
    if _good_elsewhere(test, follow_ups):
        return Extent.ELSEWHERE_GOOD
    if test.is_unreadable:
        return Extent.STORAGE
    if Result.PASSED in before:
        return Extent.BEFORE_GOOD
    return Extent.BEFORE_TOO if Result.FAILED in before else Extent.UNKNOWN


def _good_elsewhere(test: RestoreTest, follow_ups: tuple[RestoreTest, ...]) -> list[str]:
    passed = (each for each in follow_ups if each.result is Result.PASSED)
    return [each.repository for each in passed if each.point == test.point]


def advise(
    test: RestoreTest,
    follow_ups: tuple[RestoreTest, ...],
    points: Iterable[RecoveryPoint] = (),
) -> str:
    """Return one sentence for the person who has to act; for a passed test there is nothing to do.

    `follow_ups` are the tests that located the damage: the same point from other repositories, and
    the point before it; among `points` is the one that was tested, where it is known.
    """
    if test.result is Result.PASSED:
        return "nothing to do"
    if test.result is Result.UNPROVEN:
        open_ = {each.reason for each in test.verifications if each.result is Result.UNPROVEN}
        if open_ == {NOTHING_TOLD}:
            came = "it restores and loads" if test.depth >= Depth.L3 else "it restores"
            return f"{came}; nothing says what must be in it: name that under `verify` in the plan"
        return "remove the cause named above and run the test again: until then nothing is proven"
    before = [each for each in follow_ups if each.point != test.point]
    where = f"point {test.point} in {test.repository}"
    is_theirs = any(
        copy.is_existing for each in points if each.id == test.point for copy in each.copies
    )
    anew = "have the other tool save anew now" if is_theirs else "run a new backup now"
    anew_elsewhere = f"{anew.removesuffix(' now')} to a new repository now"
    moved = anew_elsewhere if is_theirs else "back up to a new repository now"
    test_it = "have `dro backup` look again, and test it" if is_theirs else "test it"
    match extent(test, follow_ups):
        case Extent.ELSEWHERE_GOOD:
            others = " and ".join(_good_elsewhere(test, follow_ups))
            comes = "comes back" if test.share.is_whole else "what was tested of it comes back"
            return (
                f"{where} is damaged, but {comes} from {others}: restore from there, and see how "
                f"far the damage goes: {_check(test)}"
            )
        case Extent.STORAGE:
            good = [each.point for each in before if each.result is Result.PASSED]
            still = f" (the point before it, {good[0]}, is good)" if good else ""
            return (
                f"{where} cannot be read back{still}: {moved} and test "
                f"that, for a new backup to {test.repository} would rest on what is damaged there; "
                f"see how far the damage goes: {_check(test)}"
            )
        case Extent.BEFORE_GOOD:
            return (
                f"{where} is damaged, the point before it ({before[0].point}) is good: {anew}, "
                f"{test_it}, and find out what changed between the two"
            )
        case Extent.BEFORE_TOO:
            return (
                f"{where} and the point before it are both damaged: {anew_elsewhere}, "
                f"{test_it}, and keep the old one for examination"
            )
    joint = ", " if is_theirs else " and "
    return f"{where} is damaged: {anew}{joint}{test_it}"


def _check(test: RestoreTest) -> str:
    return f"`dro repository check {test.practice} --repository {test.repository}`"
