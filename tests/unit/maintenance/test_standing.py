"""What is written down of how a practice stands, and what is not written again."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.record import (
    PointRecorded,
    PromiseRecorded,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.evidence.line import read_line
from dr_orchestrator.maintenance.plan_author import Author
from dr_orchestrator.maintenance.standing import (
    as_promised_at_hand,
    record_promise,
    record_standing,
)
from dr_orchestrator.packs.load import find_packs
from dr_orchestrator.plan.load import LoadedPlan, load_plan, read_plan
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE, make_point, make_run, make_test

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAM = Author(name="Sam", known_by="git commit 1a2b3c4")
PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  onsite: {location: /srv/restic, password: {env: KEY}}
systems:
  emr:
    title: Records
    rto: 4h
    rpo: 1h
    assets:
      database: {kind: sqlite, path: /srv/emr/emr.db}
      documents: {kind: files, path: /srv/emr/documents}
"""

PLAN_OF_PACK = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  onsite: {location: /srv/restic, password: {env: KEY}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database:
        {kind: mariadb, host: db, database: openemr, user: dro, password: {env: DB}}
      documents: {kind: files, path: /srv/emr/documents}
    verify: [{pack: clinic}]
"""


def _loaded(*edits: tuple[str, str]) -> LoadedPlan:
    text = PLAN
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return read_plan(text.encode(), "riverside.yaml")


@dataclass
class Desk:
    store: Store
    clock: FakeClock

    def promise(self, loaded: LoadedPlan, author: Author = SAM) -> PromiseMade | None:
        self.clock.advance(HOUR)
        return record_promise(loaded, self.store, self.clock, lambda _loaded: author)

    def stand(self, loaded: LoadedPlan) -> list[str]:
        """Write down how the practice stands; return what that said."""
        before = len(self.said())
        record_standing(loaded.plan, self.store, self.clock)
        return self.said()[before:]

    def said(self) -> list[str]:
        kinds = {"finding_changed", "action_opened", "action_closed"}
        lines = map(read_line, self.store.evidence.lines(PRACTICE, kinds=kinds))
        return [f"{line.kind} {line.about.get('objective', '')}".strip() for line in lines]

    def tested(self, result: Result = Result.PASSED) -> RestoreTest:
        made = make_test(self.clock.now() - HOUR, result)
        run = make_run(made.started_at, id=made.id)
        self.store.record(RunOpened(run=run), RestoreTestRecorded(test=made))
        closed = RunClosed(
            run=made.id, finished_at=made.finished_at, outcome=Outcome.DONE, reason=""
        )
        self.store.record(closed)
        return made


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = FakeClock()
    with contextlib.closing(open_store(tmp_path, clock)) as store:
        store.record(PointRecorded(point=make_point(clock.now() - HOUR)))
        yield Desk(store, clock)


def test_the_first_version_of_a_promise_changes_nothing(desk: Desk) -> None:
    loaded = _loaded()

    made = desk.promise(loaded)

    assert made is not None
    assert (made.by, made.known_by) == ("Sam", "git commit 1a2b3c4")
    assert made.at == desk.clock.now()
    assert made.plan_sha256 == loaded.sha256
    assert (made.fields["systems.emr.rto"], made.changes) == ("4h", ())
    assert desk.store.newest_promise(PRACTICE) == made


def test_the_same_promise_is_not_recorded_again_whatever_else_changed(desk: Desk) -> None:
    desk.promise(_loaded())

    assert desk.promise(_loaded()) is None
    assert desk.promise(_loaded(("title: Records", "title: Our records"))) is None
    assert len(desk.store.practice_record(PRACTICE).promises) == 1


def test_a_change_is_recorded_field_by_field_and_marked_as_loosened(desk: Desk) -> None:
    desk.promise(_loaded())

    made = desk.promise(
        _loaded(("rto: 4h", "rto: 24h"), ("rpo: 1h", "rpo: 1h\n    importance: critical"))
    )

    assert made is not None
    assert {each.field for each in made.changes} == {"systems.emr.rto", "systems.emr.importance"}
    assert [each.field for each in made.loosened] == ["systems.emr.rto"]
    assert desk.store.practice_record(PRACTICE).promises[-1] == made


def test_a_promise_that_the_program_reads_otherwise_is_nobodys_doing(desk: Desk) -> None:
    loaded = _loaded()
    first = desk.promise(loaded)
    assert first is not None
    text = "as an older version read the same file"
    older = replace(
        first,
        id=f"{first.id}-older",
        fields={"systems.emr": "protected"},
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    desk.store.record(PromiseRecorded(promise=older))

    made = desk.promise(loaded)

    assert made is not None
    assert made.by == "dr-orchestrator"
    assert made.known_by == "the plan is the same, the program is not"


def test_a_pack_of_the_practices_own_is_part_of_the_promise(desk: Desk, tmp_path: Path) -> None:
    plan, own = tmp_path / "riverside.yaml", tmp_path / "packs" / "clinic.yaml"
    own.parent.mkdir()
    built_in = Path(find_packs(None)["openemr"]).read_text()
    own.write_text(built_in.replace("name: openemr", "name: clinic"))
    plan.write_text(PLAN_OF_PACK)
    assert desk.promise(load_plan(plan)) is not None

    own.write_text(own.read_text() + "# asks less\n")
    made = desk.promise(load_plan(plan))

    assert made is not None
    assert [each.field for each in made.loosened] == ["packs.clinic"]
    assert made.by == "Sam"
    own.write_text("name: [")
    assert desk.promise(load_plan(plan)) is None


def test_verdicts_are_written_down_once_and_again_when_they_change(desk: Desk) -> None:
    loaded = _loaded()

    first = desk.stand(loaded)

    assert "finding_changed rpo" in first
    assert "finding_changed repository_check" in first  # also what is not told yet
    assert desk.stand(loaded) == []
    desk.clock.advance(2 * HOUR)
    assert desk.stand(loaded) == ["finding_changed rpo"]
    verdicts = desk.store.evidence.verdicts(PRACTICE)
    assert verdicts["emr", Objective.RPO, ""] is Verdict.BREACHED


def test_what_the_plan_asks_for_no_more_has_no_verdict(desk: Desk) -> None:
    desk.stand(_loaded(("rpo: 1h", "rpo: 1h\n    max_skew: 1m")))

    assert desk.stand(_loaded()) == ["finding_changed skew"]
    assert ("emr", Objective.SKEW, "") not in desk.store.evidence.verdicts(PRACTICE)


def test_a_failed_test_opens_an_action_and_its_finding_at_once(desk: Desk) -> None:
    loaded = _loaded()
    desk.stand(loaded)
    test = desk.tested(Result.FAILED)

    said = desk.stand(loaded)

    assert said[0] == "action_opened"
    assert "finding_changed restore_test" in said
    assert "finding_changed corrective_actions" in said
    (action,) = desk.store.practice_record(PRACTICE).actions
    assert (action.test, action.is_open) == (test.id, True)
    assert desk.stand(loaded) == []


def test_a_missed_test_closes_its_action_when_it_was_made_up(desk: Desk) -> None:
    loaded = _loaded()
    desk.clock.advance(5 * DAY)
    assert "action_opened" in desk.stand(loaded)

    desk.clock.advance(DAY)
    desk.tested()

    assert "action_closed" in desk.stand(loaded)
    assert desk.stand(loaded) == []


def test_what_is_at_hand_and_not_on_record_is_a_version_of_now(desk: Desk) -> None:
    loaded, loose = _loaded(), _loaded(("rto: 4h", "rto: 24h"))
    empty = desk.store.practice_record(PRACTICE)
    assert as_promised_at_hand(loose, empty, desk.clock.now()) is empty
    record_promise(loaded, desk.store, desk.clock, lambda _: SAM)
    known = desk.store.practice_record(PRACTICE)

    assert as_promised_at_hand(loaded, known, desk.clock.now()) is known
    retold = replace(known.promises[0], sha256="0" * 64, fields={"renamed": "by an update"})
    updated = replace(known, promises=(retold,))
    assert as_promised_at_hand(loaded, updated, desk.clock.now()) is updated
    *_, newest = as_promised_at_hand(loose, known, desk.clock.now()).promises
    assert [each.field for each in newest.loosened] == ["systems.emr.rto"]
    assert not newest.is_on_record
