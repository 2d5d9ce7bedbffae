"""What every store promises of its ledger, whichever database it stands on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.occurrence import Occurrence, OccurrenceState, Progress, Serves, Skipped
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import Busy
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.store.base import Claim, Ledger, LedgerStats, Limits, Standing
from dr_orchestrator.store.codec import decode_entry
from dr_orchestrator.store.ledger import run_in_ledger
from dr_orchestrator.store.sql import SqlStore
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE
from tests.support.stores import STORES, OpenStore, sqlite

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OURS = ProcessIdentity.ours()
GONE = replace(OURS, started="another-boot/1")
ELSEWHERE = replace(OURS, host="elsewhere")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[SqlStore]:
    with request.param(tmp_path, clock, Limits()) as opened:
        yield opened


@pytest.fixture
def ledger(store: SqlStore) -> Ledger:
    return store.ledger


def due(
    schedule: str = "emr/backup",
    at: datetime = START,
    operation: Operation = Operation.BACKUP,
    **more: Any,
) -> Occurrence:
    """Return an occurrence of a schedule that is named `SYSTEM/…`."""
    system = schedule.split("/", maxsplit=1)[0]
    return Occurrence(
        id=f"{schedule}@{at:%d%H%M}",
        schedule_id=schedule,
        due_at=at,
        practice=PRACTICE,
        operation=operation,
        system=system,
        **more,
    )


def claimed(ledger: Ledger, owner: ProcessIdentity = OURS) -> Claim:
    claim = ledger.claim(owner)
    assert claim is not None
    return claim


def state(store: SqlStore, occurrence: Occurrence) -> OccurrenceState:
    states = store.occurrences(since=START - 24 * HOUR, limit=100)
    (found,) = [each for each in states if each.occurrence.id == occurrence.id]
    return found


# --- what comes due ------------------------------------------------------------------------------


def test_admit_lets_each_occurrence_in_once(ledger: Ledger) -> None:
    first, second = due(), due("imaging/backup")

    assert ledger.admit([first]) == (first,)
    assert ledger.admit([replace(first, id="told by another planner"), second]) == (second,)
    assert ledger.admit([]) == ()


def test_admit_gives_back_an_occurrence_exactly_as_it_was(store: SqlStore) -> None:
    whole = due(operation=Operation.RESTORE_TEST, repository="onsite", point="random")
    whole = replace(whole, keeps_older=True, emergency=True)

    store.ledger.admit([whole])

    assert claimed(store.ledger).occurrence == whole
    assert state(store, whole).occurrence == whole


def test_last_due_is_the_newest_that_was_handed_out(ledger: Ledger) -> None:
    ledger.see_schedules({"emr/backup", "emr/test"}, START)
    ledger.see_schedules({"emr/backup"}, START + MINUTE)
    assert ledger.last_due() == {"emr/backup": START, "emr/test": START}

    ledger.admit([due(at=START + 2 * HOUR), due(at=START + HOUR, skipped="too late")])

    assert ledger.last_due() == {"emr/backup": START + 2 * HOUR, "emr/test": START}


def test_last_due_is_taken_back_when_the_clock_is_set_back(ledger: Ledger) -> None:
    ledger.admit([due(at=START + HOUR)])

    ledger.see_schedules({"emr/backup"}, START)

    assert ledger.last_due() == {"emr/backup": START}
    assert ledger.admit([due(at=START + HOUR)]) == ()


def test_times_come_again_when_the_clock_was_far_ahead(store: SqlStore, clock: FakeClock) -> None:
    ran, waits, skipped = (due(at=START + each * HOUR) for each in (22, 23, 24))
    store.ledger.admit([ran, replace(waits, keeps_older=True), replace(skipped, skipped="late")])
    claim = claimed(store.ledger)
    serves = Serves(schedule_id="emr/backup", due_at=ran.due_at, attempt=1)
    with run_in_ledger(
        store, clock, Operation.BACKUP, practice=PRACTICE, system="emr", serves=serves
    ) as run:
        pass
    store.ledger.settle(claim, Outcome.DONE, "")

    store.ledger.see_schedules({"emr/backup"}, START)

    before = store.occurrences(since=START, limit=10)
    assert [each.progress for each in before] == [
        Progress.SKIPPED,
        Progress.SKIPPED,
        Progress.SETTLED,
    ]
    assert before[1].reason == Skipped.CLOCK_AHEAD
    (kept,) = store.find_runs(run.id, limit=1)
    assert kept.outcome is Outcome.DONE
    assert store.ledger.admit([ran]) == (ran,)
    assert claimed(store.ledger).occurrence == ran
    with run_in_ledger(
        store, clock, Operation.BACKUP, practice=PRACTICE, system="emr", serves=serves
    ):
        pass  # this attempt has no run yet


def test_admit_writes_all_or_nothing_when_handing_on_fails(store: SqlStore) -> None:
    def submit(_transaction: object, occurrence: Occurrence) -> None:
        if occurrence.system == "imaging":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.ledger.admit([due(), due("imaging/backup")], submit)

    assert (store.ledger.last_due(), store.journal()) == ({}, ())
    assert store.ledger.claim(OURS) is None


def test_admit_hands_on_what_is_new_and_to_run(ledger: Ledger) -> None:
    handed: list[Occurrence] = []
    ledger.admit([due()])

    ledger.admit(
        [due(), due(at=START + HOUR), due("imaging/backup", skipped="paused")],
        lambda _transaction, occurrence: handed.append(occurrence),
    )

    assert handed == [due(at=START + HOUR)]


def test_skipped_occurrence_is_on_record_with_its_reason_and_never_runs(store: SqlStore) -> None:
    skipped = due(skipped=Skipped.TOO_LATE.value)
    store.ledger.admit([skipped])

    assert store.ledger.claim(OURS) is None
    found = state(store, skipped)
    assert (found.progress, found.reason) == (Progress.SKIPPED, Skipped.TOO_LATE.value)
    assert (found.attempt, found.outcome) == (0, None)


@pytest.mark.parametrize("keeps_older", [False, True])
def test_admit_skips_older_ones_that_still_wait_unless_they_are_kept(
    store: SqlStore, keeps_older: bool
) -> None:
    old, other = due(), due("imaging/backup")
    new = due(at=START + HOUR, keeps_older=keeps_older)
    store.ledger.admit([old, other])

    store.ledger.admit([due(at=START + MINUTE, skipped="paused")])
    assert state(store, old).progress is Progress.WAITING
    store.ledger.admit([new])

    expected = Progress.WAITING if keeps_older else Progress.SKIPPED
    assert state(store, old).progress is expected
    assert state(store, other).progress is state(store, new).progress is Progress.WAITING
    if not keeps_older:
        assert state(store, old).reason == Skipped.SUPERSEDED.value


def test_admit_leaves_older_ones_alone_that_were_attempted(
    store: SqlStore, clock: FakeClock
) -> None:
    running, failed = due(), due("imaging/backup")
    store.ledger.admit([running])
    claimed(store.ledger)
    store.ledger.admit([failed])
    _requeue(store.ledger, claimed(store.ledger), clock.now())

    store.ledger.admit([due(at=START + HOUR), due("imaging/backup", START + HOUR)])

    assert state(store, running).progress is Progress.RUNNING
    assert state(store, failed).progress is Progress.WAITING


def test_admit_skips_an_older_one_that_was_only_found_busy(
    store: SqlStore, clock: FakeClock
) -> None:
    busy = due()
    store.ledger.admit([busy])
    _requeue(store.ledger, claimed(store.ledger), clock.now(), counts=False)

    store.ledger.admit([due(at=START + HOUR)])

    assert state(store, busy).progress is Progress.SKIPPED


# --- who works on it -----------------------------------------------------------------------------


def test_claim_gives_each_to_one_in_the_order_they_came_due(ledger: Ledger) -> None:
    late, early = due(at=START + MINUTE), due("imaging/backup")
    ledger.admit([late, early])

    claims = [claimed(ledger), claimed(ledger)]

    assert [each.occurrence for each in claims] == [early, late]
    assert {each.attempt for each in claims} == {1}
    assert claims[0].token != claims[1].token
    assert ledger.claim(OURS) is None


def test_claim_gives_emergencies_first_and_to_their_slot_alone(ledger: Ledger) -> None:
    urgent = due("shares/restore", START + HOUR, Operation.RESTORE, emergency=True)
    ledger.admit([due(), urgent, due("imaging/backup")])

    claim = ledger.claim(OURS, emergency=True)

    assert claim is not None
    assert claim.occurrence == urgent
    assert ledger.claim(OURS, emergency=True) is None
    assert claimed(ledger).occurrence == due()


@pytest.mark.parametrize(
    ("second", "waits"),
    [
        (due(at=START + HOUR, keeps_older=True), True),
        (replace(due("emr/by another schedule"), id="x"), True),
        (due("emr/test", operation=Operation.RESTORE_TEST, repository="onsite"), False),
        (due("imaging/backup"), False),
        (replace(due(), id="y", practice="lakeside", schedule_id="lakeside"), False),
    ],
    ids=["same schedule", "same operation", "test", "other system", "other practice"],
)
def test_claim_lets_the_same_operation_wait_while_it_runs(
    ledger: Ledger, second: Occurrence, waits: bool
) -> None:
    ledger.admit([due()])
    first = claimed(ledger)
    ledger.admit([second])

    assert (ledger.claim(OURS) is None) is waits
    assert (ledger.claim_one(second.id, OURS) is None) or not waits
    ledger.settle(first, Outcome.DONE, "")
    assert (ledger.claim(OURS) is None) is not waits


def test_claim_lets_tests_from_several_repositories_run_at_once(ledger: Ledger) -> None:
    tests = [
        due(f"emr/{name}", operation=Operation.RESTORE_TEST, repository=name)
        for name in ("onsite", "offsite")
    ]
    ledger.admit(tests)

    assert {claimed(ledger).occurrence.repository for _ in tests} == {"onsite", "offsite"}


def copying(at: datetime = START, schedule: str = "emr/copy", **more: Any) -> Occurrence:
    return due(schedule, at, Operation.COPY, repository="offsite", **more)


def test_claim_lets_a_copy_wait_for_the_backup_that_came_due_no_later(
    ledger: Ledger, clock: FakeClock
) -> None:
    ledger.admit([copying(), due()])

    backup = claimed(ledger)

    assert backup.occurrence == due()
    assert ledger.claim(OURS) is None  # it runs
    assert ledger.claim_one(copying().id, OURS) is None
    _requeue(ledger, backup, START + 5 * MINUTE)
    again = claimed(ledger)  # while the backup waits for its next attempt
    assert again.occurrence == copying()
    _requeue(ledger, again, START + 5 * MINUTE)
    clock.advance(5 * MINUTE)
    assert ledger.claim_one(copying().id, OURS) is None
    ledger.settle(claimed(ledger), Outcome.DONE, "")
    assert claimed(ledger).occurrence == copying()


@pytest.mark.parametrize(
    "other",
    [
        due(at=START + MINUTE),
        due("imaging/backup"),
        replace(due(), id="x", practice="lakeside", schedule_id="lakeside"),
        due("emr/test", operation=Operation.RESTORE_TEST, repository="onsite"),
        due(skipped="paused"),
    ],
    ids=["later backup", "other system", "other practice", "test", "skipped"],
)
def test_claim_lets_a_copy_wait_for_nothing_else(ledger: Ledger, other: Occurrence) -> None:
    ledger.admit([copying(), other])

    assert ledger.claim_one(copying().id, OURS) is not None


def test_claim_lets_no_copy_wait_for_ever_behind_backups_that_overrun(
    ledger: Ledger, clock: FakeClock
) -> None:
    ledger.admit([due(keeps_older=True)])
    first = claimed(ledger)
    ledger.admit([due(at=START + HOUR, keeps_older=True), copying(START + HOUR)])
    clock.advance(HOUR + MINUTE)
    assert ledger.claim(OURS) is None

    ledger.settle(first, Outcome.DONE, "")

    assert ledger.claim_one(copying(START + HOUR).id, OURS) is not None


def test_claim_one_takes_that_one_or_none(ledger: Ledger) -> None:
    ledger.admit([due(), due("imaging/backup")])

    claim = ledger.claim_one(due("imaging/backup").id, OURS)

    assert claim is not None
    assert claim.occurrence == due("imaging/backup")
    assert ledger.claim_one(claim.occurrence.id, OURS) is None
    assert ledger.claim_one("unknown", OURS) is None


def test_hand_over_makes_the_old_token_worthless(ledger: Ledger, clock: FakeClock) -> None:
    ledger.admit([due()])
    old = claimed(ledger, GONE)

    new = ledger.hand_over(old.occurrence.id, old.token, OURS)

    assert new is not None
    assert (new.occurrence, new.attempt) == (old.occurrence, 1)
    assert ledger.hand_over(old.occurrence.id, old.token, OURS) is None
    assert (ledger.renew(old), ledger.renew(new)) == (Standing.LOST, Standing.HELD)
    assert not _requeue(ledger, old, clock.now())
    assert not ledger.settle(old, Outcome.DONE, "")
    assert ledger.recover() == ()  # its owner is the new one
    assert ledger.settle(new, Outcome.DONE, "")


def test_settle_ends_an_occurrence_once(store: SqlStore) -> None:
    store.ledger.admit([due()])
    claim = claimed(store.ledger)

    assert store.ledger.settle(claim, Outcome.PARTIAL, "a path \udcff\0")
    assert not store.ledger.settle(claim, Outcome.DONE, "")

    found = state(store, due())
    assert (found.progress, found.outcome) == (Progress.SETTLED, Outcome.PARTIAL)
    assert found.reason == "a path \\udcff"
    assert store.ledger.claim(OURS) is None


def test_settle_records_a_skip_when_nothing_was_attempted(store: SqlStore) -> None:
    store.ledger.admit([due()])

    store.ledger.settle(claimed(store.ledger), None, "it is not in the plan any more")

    found = state(store, due())
    assert found.progress is Progress.SKIPPED
    assert found.reason == "it is not in the plan any more"


def _requeue(ledger: Ledger, claim: Claim, not_before: datetime, *, counts: bool = True) -> bool:
    return ledger.requeue(
        claim, not_before=not_before, outcome=Outcome.FAILED, reason="no answer", counts=counts
    )


def test_requeue_lets_it_wait_for_its_time(store: SqlStore, clock: FakeClock) -> None:
    store.ledger.admit([due()])

    assert _requeue(store.ledger, claimed(store.ledger), START + 5 * MINUTE)

    found = state(store, due())
    assert (found.progress, found.not_before) == (Progress.WAITING, START + 5 * MINUTE)
    assert (found.attempt, found.outcome, found.reason) == (1, Outcome.FAILED, "no answer")
    assert store.ledger.claim(OURS) is None
    clock.advance(5 * MINUTE)
    again = claimed(store.ledger)
    assert (again.attempt, again.spared) == (2, 0)


def test_requeue_settles_the_last_attempt_that_counts(store: SqlStore, clock: FakeClock) -> None:
    store.ledger.admit([due()])
    spared = []
    for counts in (True, False, False, True, True):
        claim = claimed(store.ledger)
        spared.append(claim.spared)
        assert _requeue(store.ledger, claim, clock.now(), counts=counts)

    found = state(store, due())
    assert (found.progress, found.outcome) == (Progress.SETTLED, Outcome.FAILED)
    assert (claim.attempt, spared) == (5, [0, 0, 1, 2, 2])


def test_cancel_skips_what_waits_and_was_never_begun(store: SqlStore) -> None:
    store.ledger.admit([due()])

    assert store.ledger.cancel(due().id, "cancelled by the engineer")

    found = state(store, due())
    assert (found.progress, found.reason) == (Progress.SKIPPED, "cancelled by the engineer")
    assert not store.ledger.cancel(due().id, "again")
    assert not store.ledger.cancel("unknown", "")
    assert store.ledger.claim(OURS) is None


def test_cancel_keeps_how_the_last_attempt_ended(store: SqlStore, clock: FakeClock) -> None:
    store.ledger.admit([due()])
    _requeue(store.ledger, claimed(store.ledger), clock.now())

    assert store.ledger.cancel(due().id, "cancelled")

    found = state(store, due())
    assert (found.progress, found.outcome) == (Progress.SETTLED, Outcome.FAILED)


@pytest.mark.parametrize("end", ["settle", "requeue", "killed"])
def test_cancel_is_learnt_by_whoever_runs_it(store: SqlStore, clock: FakeClock, end: str) -> None:
    store.ledger.admit([due()])
    claim = claimed(store.ledger, GONE if end == "killed" else OURS)

    assert store.ledger.cancel(due().id, "cancelled")

    assert store.ledger.renew(claim) is Standing.CANCELLED
    if end == "settle":
        store.ledger.settle(claim, Outcome.INTERRUPTED, "cancelled")
    elif end == "requeue":
        assert _requeue(store.ledger, claim, clock.now())
    else:
        store.ledger.recover()
    assert state(store, due()).progress is Progress.SETTLED


# --- what is lost --------------------------------------------------------------------------------


def test_recover_takes_back_what_a_dead_process_held(store: SqlStore) -> None:
    store.ledger.admit([due(), due("imaging/backup")])
    lost, kept = claimed(store.ledger, GONE), claimed(store.ledger)

    assert store.ledger.recover() == (lost.occurrence,)

    assert store.ledger.renew(lost) is Standing.LOST
    assert store.ledger.renew(kept) is Standing.HELD
    found = state(store, due())
    assert (found.progress, found.outcome) == (Progress.WAITING, Outcome.INTERRUPTED)
    assert "gone" in found.reason
    assert claimed(store.ledger).attempt == 2
    assert store.ledger.recover() == ()


@pytest.mark.parametrize("owner", [OURS, ELSEWHERE], ids=["stopped", "other host"])
def test_recover_takes_back_what_was_not_renewed(
    store: SqlStore, clock: FakeClock, owner: ProcessIdentity
) -> None:
    store.ledger.admit([due()])
    claim = claimed(store.ledger, owner)
    serves = Serves(schedule_id="emr/backup", due_at=START, attempt=1)
    clock.advance(4 * MINUTE)
    assert store.ledger.renew(claim) is Standing.HELD
    clock.advance(5 * MINUTE)
    assert store.ledger.recover() == ()

    with run_in_ledger(
        store, clock, Operation.BACKUP, practice=PRACTICE, system="emr", serves=serves
    ) as run:
        clock.advance(MINUTE)
        assert store.ledger.recover() == (claim.occurrence,)
        (closed,) = store.find_runs(run.id, limit=1)
        assert closed.outcome is Outcome.INTERRUPTED
        assert closed.reason == "lost: its process showed no sign of life for 5 min"
    assert store.find_runs(run.id, limit=1) == (closed,)  # the first word holds

    assert store.ledger.renew(claim) is Standing.LOST
    assert not store.ledger.settle(claim, Outcome.DONE, "")
    assert claimed(store.ledger).attempt == 2


def test_recover_believes_no_clock_that_was_set_forward(ledger: Ledger, clock: FakeClock) -> None:
    ledger.admit([due()])
    ledger.recover()
    claim = claimed(ledger)
    clock.advance(MINUTE)
    clock.set(clock.now() + HOUR)

    assert ledger.recover() == ()

    clock.advance(4 * MINUTE)
    assert ledger.recover() == (claim.occurrence,)  # by now it is silent for as long as it seems


def test_recover_leaves_alone_what_is_renewed_while_it_looks(
    store: SqlStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.ledger.admit([due()])
    claim = claimed(store.ledger)
    clock.advance(6 * MINUTE)
    silence = store.ledger._silence
    plain = silence.longer_than_limit

    def renewed_meanwhile(signs: Mapping[str, datetime]) -> frozenset[str]:
        silent = plain(signs)
        assert store.ledger.renew(claim) is Standing.HELD
        return silent

    monkeypatch.setattr(silence, "longer_than_limit", renewed_meanwhile)

    assert store.ledger.recover() == ()
    assert store.ledger.renew(claim) is Standing.HELD


def test_recover_settles_what_was_lost_too_often(store: SqlStore) -> None:
    store.ledger.admit([due()])
    for _ in range(Limits().attempts):
        assert state(store, due()).progress is Progress.WAITING
        claimed(store.ledger, GONE)
        store.ledger.recover()

    found = state(store, due())
    assert (found.progress, found.outcome) == (Progress.SETTLED, Outcome.INTERRUPTED)
    assert store.ledger.claim(OURS) is None


# --- how things stand ----------------------------------------------------------------------------


def test_stats_count_what_waits_and_what_runs(ledger: Ledger, clock: FakeClock) -> None:
    ledger.admit([due(), due("imaging/backup", START + MINUTE), due("shares/backup", skipped="x")])
    ledger.admit([due("labs/backup", START + 2 * MINUTE)])
    _requeue(ledger, claimed(ledger), START + HOUR)
    claimed(ledger)

    assert ledger.stats() == LedgerStats(
        waiting=1, delayed=1, running=1, oldest_waiting=START + 2 * MINUTE
    )
    clock.advance(HOUR)
    assert ledger.stats() == LedgerStats(waiting=2, delayed=0, running=1, oldest_waiting=START)


def test_schedulers_are_those_that_run_and_the_last_of_each_host(
    ledger: Ledger, clock: FakeClock
) -> None:
    ledger.beat(GONE)
    ledger.beat(ELSEWHERE)
    clock.advance(MINUTE)
    ledger.beat(replace(GONE, pid=1))
    ledger.beat(OURS)
    clock.advance(MINUTE)
    ledger.beat(OURS)

    seen = [(each.process, each.started_at, each.heartbeat_at) for each in ledger.schedulers()]

    assert seen == [(OURS, START + MINUTE, START + 2 * MINUTE), (ELSEWHERE, START, START)]


def test_occurrences_are_the_newest_and_all_that_is_not_settled(store: SqlStore) -> None:
    old, new = due(at=START - HOUR), due(at=START + HOUR, keeps_older=True)
    settled = due("imaging/backup", START - 2 * HOUR, skipped="x")
    theirs = replace(due("theirs"), practice="lakeside")
    store.ledger.admit([settled, old, new, theirs])

    def ids(**asked: Any) -> list[str]:
        return [each.occurrence.id for each in store.occurrences(**asked)]

    assert ids(since=START, limit=9) == [new.id, theirs.id, old.id]
    assert ids(since=START - 3 * HOUR, limit=9)[-1] == settled.id
    assert ids(practices=["lakeside"], since=START, limit=9) == [theirs.id]
    assert ids(since=START, limit=1) == [new.id]


def test_occurrence_says_after_its_end_how_many_attempts_it_took(
    store: SqlStore, clock: FakeClock
) -> None:
    store.ledger.admit([due()])
    for attempt in (1, 2):
        claim = claimed(store.ledger)
        serves = Serves(schedule_id="emr/backup", due_at=START, attempt=claim.attempt)
        with run_in_ledger(
            store, clock, Operation.BACKUP, practice=PRACTICE, system="emr", serves=serves
        ):
            pass
        if attempt == 1:
            _requeue(store.ledger, claim, clock.now())
    store.ledger.settle(claim, Outcome.DONE, "")

    assert state(store, due()).attempt == 2
    with (
        pytest.raises(ValueError, match="attempt"),
        run_in_ledger(
            store, clock, Operation.BACKUP, practice=PRACTICE, system="emr", serves=serves
        ),
    ):
        pass


def test_journal_holds_what_came_due_and_what_became_of_it(
    store: SqlStore, tmp_path: Path, clock: FakeClock
) -> None:
    store.ledger.admit([due(), due("imaging/backup"), due("shares/backup", skipped="paused")])
    store.ledger.settle(claimed(store.ledger), Outcome.FAILED, "no answer")
    store.ledger.cancel(due("imaging/backup").id, "cancelled")

    lines = store.journal(PRACTICE)

    assert [line.kind for line in lines] == ["occurrence_due"] * 3 + ["occurrence_settled"] * 2
    with sqlite(tmp_path / "replayed", clock, Limits()) as replayed:
        replayed.record(*(decode_entry(line.kind, line.payload) for line in lines))
        asked: dict[str, Any] = {"since": START, "limit": 9}
        assert [each.progress for each in replayed.occurrences(**asked)] == [
            each.progress for each in store.occurrences(**asked)
        ]


@pytest.mark.parametrize("open_store", STORES)
def test_every_occurrence_is_run_once_when_many_plan_and_work(
    tmp_path: Path, open_store: OpenStore
) -> None:
    occurrences = [due(f"s{number}/backup") for number in range(24)]
    done: list[str] = []

    def plan_and_work(store: SqlStore) -> None:
        store.ledger.admit(occurrences)
        while claim := store.ledger.claim(OURS):
            done.append(claim.occurrence.id)
            assert store.ledger.settle(claim, Outcome.DONE, "")

    with (
        open_store(tmp_path, SystemClock(), Limits()) as one,
        open_store(tmp_path, SystemClock(), Limits()) as other,
    ):
        threads = [
            threading.Thread(target=plan_and_work, args=(each,)) for each in (one, other) * 2
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert sorted(done) == sorted(each.id for each in occurrences)


def test_run_of_a_lost_attempt_is_not_opened_once_somebody_else_has_it(
    store: SqlStore, clock: FakeClock
) -> None:
    store.ledger.admit([due()])
    lost = claimed(store.ledger)
    _requeue(store.ledger, lost, clock.now())
    serves = Serves(schedule_id="emr/backup", due_at=START, attempt=lost.attempt)

    def begin() -> None:
        with run_in_ledger(
            store, clock, Operation.BACKUP, practice=PRACTICE, system="emr", serves=serves
        ):
            pass

    with pytest.raises(Busy, match="lost"):
        begin()
    again = claimed(store.ledger)
    with pytest.raises(Busy, match="lost"):
        begin()
    store.ledger.settle(again, Outcome.DONE, "")
    with pytest.raises(Busy, match="lost"):
        begin()
    assert store.open_runs() == ()


def test_recover_settles_what_was_done_but_not_settled(store: SqlStore, clock: FakeClock) -> None:
    store.ledger.admit([due()])
    claim = claimed(store.ledger, GONE)
    serves = Serves(schedule_id="emr/backup", due_at=START, attempt=claim.attempt)
    with run_in_ledger(
        store, clock, Operation.BACKUP, practice=PRACTICE, system="emr", serves=serves
    ):
        pass
    assert store.ledger.recover() == ()
    assert state(store, due()).progress is Progress.SETTLED
    assert state(store, due()).outcome is Outcome.DONE
