"""What to do after a restore test, in one sentence. Pure: the same tests, the same advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.core.verification import Result

if TYPE_CHECKING:
    from dr_orchestrator.core.restore_test import RestoreTest


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
