"""The dump job died, and another tool goes on saving its last dump: each snapshot looks fresh."""

from __future__ import annotations

from datetime import timedelta

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.core.finding import Objective, Verdict
from tests.support.evidence import PRACTICE
from tests.support.theirs import DAY, HOUR, theirs


def test_dump_that_is_written_no_more_breaks_the_rpo_while_snapshots_go_on() -> None:
    with theirs() as lent:
        now = lent.clock.now()
        lent.write("dumps/emr.sql", b"dump", at=now - 9 * DAY)
        for nights in (2, 1):
            lent.write(f"scans/{nights}.pdf")
            lent.save(now - nights * DAY + 20 * HOUR)
        plan = lent.plan(database=("postgres", "dumps/emr.sql"), documents=("files", "scans"))
        lent.look(plan)

        found = judge(plan, lent.store.practice_record(PRACTICE), now + timedelta(minutes=1))

    verdicts = {each.objective: each for each in found}
    assert verdicts[Objective.RPO].verdict is Verdict.BREACHED
    assert "database" in verdicts[Objective.RPO].reason
    assert verdicts[Objective.DUMP_AGE].verdict is Verdict.BREACHED
    assert verdicts[Objective.COVERAGE].verdict is Verdict.MET
