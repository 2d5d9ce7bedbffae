"""What to do after a restore test, or about a promise that is not kept or proven, in one sentence.
Pure: the same tests, the same advice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.finding import Objective
from dr_orchestrator.core.verification import Result

if TYPE_CHECKING:
    from dr_orchestrator.core.finding import Finding
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
}


def what_to_do(finding: Finding, practice: str) -> str:
    """Return what to do about a finding that is not met: what, a colon, commands in backticks."""
    return _ABOUT[finding.objective].format(
        practice=practice, system=finding.system, repository=finding.repository or ""
    )


def advise(test: RestoreTest, follow_ups: tuple[RestoreTest, ...]) -> str:
    """Return one sentence for the person who has to act; for a passed test there is nothing to do.

    `follow_ups` are the tests that located the damage: the same point from other repositories, and
    the point before it.
    """
    if test.result is Result.PASSED:
        return "nothing to do"
    if test.result is Result.UNPROVEN:
        return "remove the cause named above and run the test again: until then nothing is proven"
    elsewhere = [each for each in follow_ups if each.point == test.point]
    before = [each for each in follow_ups if each.point != test.point]
    good = [each.repository for each in elsewhere if each.result is Result.PASSED]
    where = f"point {test.point} in {test.repository}"
    if good:
        comes = "comes back" if test.share.is_whole else "what was tested of it comes back"
        return (
            f"{where} is damaged, but {comes} from {' and '.join(good)}: restore from there, "
            f"and run `restic check --read-data` on {test.repository}"
        )
    if any(each.result is Result.PASSED for each in before):
        return (
            f"{where} is damaged, the point before it ({before[0].point}) is good: run a new "
            "backup now, test it, and find out what changed between the two"
        )
    if any(each.result is Result.FAILED for each in before):
        return (
            f"{where} and the point before it are both damaged: run a new backup to a new "
            "repository now, test it, and keep the old one for examination"
        )
    return f"{where} is damaged: run a new backup now and test it"
