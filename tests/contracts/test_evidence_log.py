"""What every evidence log promises, whichever database it stands on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.core.problem import Problem, ProblemKind
from dr_orchestrator.core.record import (
    ActionClosed,
    ActionOpened,
    Anchored,
    ProblemSeen,
    PromiseRecorded,
    ReportDelivered,
    RepositorySeen,
    Restored,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
    SignedOff,
)
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.errors import EvidenceConflict, EvidenceKeyChanged, RepositoryChanged
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.line import EvidenceLine, hash_of, read_line, text_of
from dr_orchestrator.evidence.signing import Signer, fingerprint
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import ChainHead, Limits, Store
from dr_orchestrator.store.kept_evidence import _PORTION
from tests.support.clock import START, FakeClock
from tests.support.evidence import PRACTICE, full_id, make_run, make_test
from tests.support.promises import make_action, make_change, make_promise, make_sign_off
from tests.support.stores import STORES, OpenStore, sqlite

HOUR = timedelta(hours=1)
ANOTHER = Signer(bytes(range(32)))
Opens = Callable[[str], Store]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=STORES)
def opens(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Opens]:
    """Return what opens one memory a name."""
    open_it: OpenStore = request.param
    opened: list[Store] = []

    def open_named(name: str) -> Store:
        opened.append(open_it(tmp_path / name, clock, Limits()))
        return opened[-1]

    yield open_named
    for each in opened:
        each.close()


@pytest.fixture
def store(opens: Opens) -> Store:
    return opens("site")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return StateFolder(tmp_path / "site" / "state").evidence_signer()


def _record_runs(store: Store, *numbers: int, practice: str = PRACTICE) -> None:
    for number in numbers:
        run = make_run(START + number * HOUR, id=f"{practice}-{number}", practice=practice)
        store.record(RunOpened(run=run))


def _lines(store: Store, practice: str = PRACTICE) -> list[EvidenceLine]:
    return [read_line(text) for text in store.evidence.lines(practice)]


def _numbered(store: Store) -> list[tuple[int, str]]:
    return [(line.number, line.kind) for line in _lines(store)]


def _is_sound(store: Store, *, signed: bool, practice: str = PRACTICE) -> bool:
    lines = (text.encode() for text in store.evidence.lines(practice))
    return verify(lines, must_be_signed=signed).is_sound


def _head(store: Store) -> ChainHead:
    (head,) = store.evidence.chains(PRACTICE)
    return head


def test_evidence_of_an_unknown_practice_is_empty(store: Store, signer: Signer) -> None:
    assert store.evidence.chains(PRACTICE) == ()
    assert list(store.evidence.lines(PRACTICE)) == []
    assert store.evidence.checkpoint(PRACTICE, signer) is None
    assert store.evidence.disagreements(PRACTICE) == ()
    assert store.evidence.verdicts(PRACTICE) == {}


def test_first_entry_begins_the_chain_with_our_key(store: Store, signer: Signer) -> None:
    _record_runs(store, 1)

    began, opened = _lines(store)
    (entry,) = store.journal()
    assert began.kind == "chain_started"
    assert (began.about["key"], began.about["recorded_before"]) == (signer.public, 0)
    assert (opened.kind, opened.about["id"]) == ("run_opened", "riverside-1")
    assert opened.record == hashlib.sha256(entry.payload.encode()).hexdigest()
    assert _head(store) == ChainHead(
        practice=PRACTICE,
        chain=opened.chain,
        ours=True,
        number=2,
        head=hash_of(text_of(opened)),
        at=entry.at,
        key=signer.public,
        unsigned=2,
    )
    assert _is_sound(store, signed=False)


def test_each_line_carries_the_hash_of_the_one_before(store: Store) -> None:
    _record_runs(store, 1, 2, 3)

    texts = list(store.evidence.lines(PRACTICE))

    assert all(
        hashlib.sha256(before.encode()).hexdigest() == json.loads(after)["previous"]
        for before, after in pairwise(texts)
    )


def test_practices_have_chains_of_their_own(store: Store) -> None:
    _record_runs(store, 1, 2)
    _record_runs(store, 1, practice="lakeside")

    assert [line.number for line in _lines(store, "lakeside")] == [1, 2]
    assert _head(store).number == 3
    assert _head(store).chain != store.evidence.chains("lakeside")[0].chain


def test_entry_that_changes_nothing_leaves_no_line(store: Store) -> None:
    test = RestoreTestRecorded(test=make_test(START))

    store.record(test)
    store.record(test, test)

    assert [kind for _, kind in _numbered(store)] == ["chain_started", "restore_test_recorded"]


def test_problems_and_what_is_about_no_practice_are_no_evidence(store: Store) -> None:
    problem = Problem(
        key="k",
        kind=ProblemKind.BREACH,
        practice=PRACTICE,
        system="",
        what="w",
        next="n",
        since=None,
    )
    store.record(ProblemSeen(id="p", problem=problem, at=START))
    store.record(RunOpened(run=make_run(START, practice="")))

    assert store.evidence.chains(PRACTICE) == store.evidence.chains("") == ()
    _record_runs(store, 1)
    assert _lines(store)[0].about["recorded_before"] == 1
    assert store.evidence.disagreements(PRACTICE) == ()


def test_chain_begins_once_when_its_first_record_was_refused(store: Store) -> None:
    run = RunOpened(run=make_run(START))
    with pytest.raises(ValueError, match="opened already"):
        store.record(run, RunOpened(run=make_run(START, id="another")), run)
    assert store.evidence.chains(PRACTICE) == ()

    store.record(run)

    assert _numbered(store) == [(1, "chain_started"), (2, "run_opened")]
    assert _is_sound(store, signed=False)


def test_refused_record_leaves_no_line(store: Store) -> None:
    _record_runs(store, 1)
    seen: dict[str, Any] = {"practice": PRACTICE, "repository": "onsite", "at": START}
    store.record(RepositorySeen(restic_id=full_id(1), **seen))
    before = _head(store)

    with pytest.raises(RepositoryChanged):
        store.record(
            RunOpened(run=make_run(START, id="2")), RepositorySeen(restic_id=full_id(2), **seen)
        )

    assert _head(store) == before


def test_lines_are_of_the_kinds_and_the_time_that_is_asked(store: Store, clock: FakeClock) -> None:
    for number in range(6):
        _record_runs(store, number)
        ended = RunClosed(run=f"{PRACTICE}-{number}", finished_at=START, outcome=Outcome.DONE)
        store.record(ended)
        clock.advance(HOUR)

    def numbers(**asked: object) -> list[int]:
        return [
            read_line(text).number
            for text in store.evidence.lines(PRACTICE, **asked)  # type: ignore[arg-type]
        ]

    assert numbers() == list(range(1, 14))
    assert numbers(kinds=("run_closed",)) == [3, 5, 7, 9, 11, 13]
    assert numbers(kinds=("run_opened", "run_closed", "chain_started")) == numbers()
    assert numbers(kinds=("run_opened",), since=START + 4 * HOUR) == [10, 12]
    assert numbers(since=START + 4 * HOUR) == [10, 11, 12, 13]
    assert numbers(kinds=()) == numbers(kinds=("anchored",)) == numbers(chain="0" * 32) == []
    assert numbers(chain=_head(store).chain, kinds=("run_closed",)) == [3, 5, 7, 9, 11, 13]


def test_lines_come_in_order_when_the_clock_was_set_back(store: Store, clock: FakeClock) -> None:
    for number in range(4):
        _record_runs(store, number)
        clock.advance(-HOUR)

    assert [number for number, _ in _numbered(store)] == [1, 2, 3, 4, 5]
    assert _is_sound(store, signed=False)


def test_checkpoint_signs_what_is_new_and_nothing_twice(store: Store, signer: Signer) -> None:
    _record_runs(store, 1)

    signed = store.evidence.checkpoint(PRACTICE, signer)
    again = store.evidence.checkpoint(PRACTICE, signer)

    assert signed is not None
    assert signed == again == _head(store)
    assert (signed.number, signed.unsigned) == (3, 0)
    assert _is_sound(store, signed=True)
    _record_runs(store, 2)
    assert _head(store).unsigned == 1
    assert not _is_sound(store, signed=True)


def test_checkpoint_refuses_another_key(store: Store) -> None:
    _record_runs(store, 1)

    with pytest.raises(EvidenceKeyChanged, match=fingerprint(ANOTHER.public)[:16]):
        store.evidence.checkpoint(PRACTICE, ANOTHER)

    assert _head(store).number == 2


def test_key_succession_is_signed_by_the_key_before(store: Store, signer: Signer) -> None:
    _record_runs(store, 1)
    _record_runs(store, 1, practice="lakeside")
    with pytest.raises(EvidenceKeyChanged):
        store.evidence.succeed(ANOTHER, Signer(bytes(32)))

    succeeded = store.evidence.succeed(signer, ANOTHER)

    assert (succeeded, store.evidence.succeed(signer, ANOTHER)) == (2, 0)
    assert (_head(store).key, _head(store).unsigned) == (ANOTHER.public, 3)
    with pytest.raises(EvidenceKeyChanged):
        store.evidence.checkpoint(PRACTICE, signer)
    store.evidence.checkpoint(PRACTICE, ANOTHER)
    lines = (text.encode() for text in store.evidence.lines(PRACTICE))
    verification = verify(lines, fingerprints=[fingerprint(signer.public)])
    assert verification.is_sound
    assert verification.chains[0].keys == tuple(
        fingerprint(each.public) for each in (signer, ANOTHER)
    )


def test_take_in_adds_the_chain_of_another_memory_once(opens: Opens, tmp_path: Path) -> None:
    site, responder = opens("site"), opens("responder")
    _record_runs(site, 1, 2)
    _record_runs(responder, 3)
    theirs = list(responder.evidence.lines(PRACTICE))

    assert [site.evidence.take_in(PRACTICE, theirs) for _ in range(2)] == [2, 0]
    _record_runs(responder, 4)
    _record_runs(site, 5)
    assert site.evidence.take_in(PRACTICE, responder.evidence.lines(PRACTICE)) == 1

    ours, other = site.evidence.chains(PRACTICE)
    assert (ours.ours, ours.number, other.ours, other.number) == (True, 4, False, 3)
    assert replace(other, ours=True) == responder.evidence.chains(PRACTICE)[0]
    assert [line.chain for line in _lines(site)] == [ours.chain] * 4 + [other.chain] * 3
    assert [
        read_line(text).number for text in site.evidence.lines(PRACTICE, chain=other.chain)
    ] == [
        1,
        2,
        3,
    ]
    for name, store in (("site", site), ("responder", responder)):
        signer = StateFolder(tmp_path / name / "state").evidence_signer()
        store.evidence.checkpoint(PRACTICE, signer)
    site.evidence.take_in(PRACTICE, responder.evidence.lines(PRACTICE))
    responder.evidence.take_in(PRACTICE, site.evidence.lines(PRACTICE))
    assert _is_sound(site, signed=True)
    assert sorted(site.evidence.lines(PRACTICE)) == sorted(responder.evidence.lines(PRACTICE))
    assert site.evidence.disagreements(PRACTICE) == ()
    assert responder.evidence.disagreements(PRACTICE) == ()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda lines: [lines[0], lines[1].replace("backup", "backuq"), *lines[2:]], "another"),
        (lambda lines: [lines[0], *lines[2:]], "missing"),
        (lambda lines: lines[2:], "missing"),
        (lambda lines: [*lines[:2], lines[2].replace('"previous":"', '"previous":"0')], "follow"),
        (lambda lines: [each.replace(PRACTICE, "lakeside") for each in lines], "another practice"),
    ],
    ids=["altered", "gap", "begins late", "does not follow", "another practice"],
)
def test_take_in_refuses_what_does_not_go_with_what_is_known(
    opens: Opens, changed: Callable[[list[str]], list[str]], why: str
) -> None:
    site, responder = opens("site"), opens("responder")
    _record_runs(responder, 1, 2)
    lines = list(responder.evidence.lines(PRACTICE))
    if why == "another":
        site.evidence.take_in(PRACTICE, lines[:2])

    with pytest.raises(EvidenceConflict, match=why):
        site.evidence.take_in(PRACTICE, changed(lines))

    assert len(list(site.evidence.lines(PRACTICE))) <= 2


def test_verdicts_are_the_newest_and_change_only_when_they_differ(store: Store) -> None:
    other = {"objective": Objective.IMMUTABILITY, "repository": "offsite"}
    store.record(
        make_change(START, Verdict.UNPROVEN),
        make_change(START, Verdict.UNPROVEN, reason="another"),
        make_change(START, Verdict.BREACHED, **other),
        make_change(START + HOUR, Verdict.MET),
    )

    assert store.evidence.verdicts(PRACTICE) == {
        ("emr", Objective.RTO, ""): Verdict.MET,
        ("emr", Objective.IMMUTABILITY, "offsite"): Verdict.BREACHED,
    }
    store.record(make_change(START, None), make_change(START, None))
    assert list(store.evidence.verdicts(PRACTICE)) == [("emr", Objective.IMMUTABILITY, "offsite")]
    assert [line.kind for line in store.journal()] == ["finding_changed"] * 4


def test_promises_are_kept_in_the_order_they_were_seen(store: Store) -> None:
    first, second = make_promise(START), make_promise(START - HOUR, "8h")
    back = make_promise(START + HOUR)
    store.record(
        PromiseRecorded(promise=first),
        PromiseRecorded(promise=make_promise(START + 2 * HOUR)),
        PromiseRecorded(promise=second),
        PromiseRecorded(promise=first),
        PromiseRecorded(promise=back),
    )

    assert store.practice_record(PRACTICE).promises == (first, second, back)
    assert len(store.journal()) == 3
    with pytest.raises(ValueError, match="another version"):
        store.record(PromiseRecorded(promise=replace(first, by="Eve")))


def test_sign_offs_are_kept_once_each(store: Store) -> None:
    later, earlier = make_sign_off(START + HOUR), make_sign_off(START)
    store.record(*(SignedOff(sign_off=each) for each in (later, earlier, later)))

    assert store.practice_record(PRACTICE).sign_offs == (earlier, later)
    assert len(store.journal()) == 2
    with pytest.raises(ValueError, match="another sign-off"):
        store.record(SignedOff(sign_off=replace(later, name="Eve")))


def test_corrective_action_is_open_once_for_a_cause_until_it_is_closed(store: Store) -> None:
    first, again = make_action(START), make_action(START + HOUR)
    elsewhere = make_action(START + 2 * HOUR, repository="offsite")
    closed = ActionClosed(practice=PRACTICE, id=first.id, at=START + HOUR, by="Ada", done="cable")
    store.record(*(ActionOpened(action=each) for each in (first, again, elsewhere)))
    assert store.practice_record(PRACTICE).actions == (first, elsewhere)

    store.record(closed, replace(closed, done="twice"))
    store.record(ActionOpened(action=first), ActionOpened(action=again))

    done = replace(first, closed_at=START + HOUR, closed_by="Ada", done="cable")
    assert store.practice_record(PRACTICE).actions == (done, again, elsewhere)
    assert [line.kind for line in store.journal()] == [
        *["action_opened"] * 2,
        "action_closed",
        "action_opened",
    ]
    assert store.evidence.disagreements(PRACTICE) == ()
    with pytest.raises(ValueError, match="never opened"):
        store.record(replace(closed, id="nobody's"))
    with pytest.raises(ValueError, match="is not closed"):
        store.record(ActionOpened(action=done))


def test_what_has_no_table_is_in_evidence(store: Store) -> None:
    where: dict[str, Any] = {"practice": PRACTICE, "at": START, "place": "mailbox of manager"}
    store.record(
        Restored(
            run="r",
            system="emr",
            point="p",
            repository="onsite",
            assets=("database",),
            by="Ada",
            why="a folder was deleted",
            **where,
        ),
        Anchored(chain="0" * 32, number=3, head=full_id(1), **where),
        ReportDelivered(run="r", report="manager", sha256=full_id(2), **where),
    )

    assert [kind for _, kind in _numbered(store)[1:]] == [
        "restored",
        "anchored",
        "report_delivered",
    ]


def test_one_chain_is_written_when_several_threads_write_and_sign(
    store: Store, signer: Signer
) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 8):
            _record_runs(store, number)
            store.evidence.checkpoint(PRACTICE, signer)

    threads = [Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len([kind for _, kind in _numbered(store) if kind == "run_opened"]) == 24
    assert _is_sound(store, signed=True)
    assert store.evidence.disagreements(PRACTICE) == ()


def test_lines_and_take_in_work_in_portions(tmp_path: Path) -> None:
    """The chain is longer than what is read or written at once."""
    with (
        sqlite(tmp_path / "one", FakeClock(), Limits()) as one,
        sqlite(tmp_path / "other", FakeClock(), Limits()) as other,
    ):
        changes = (Verdict.MET, Verdict.BREACHED)
        entries = [make_change(START, changes[each % 2]) for each in range(_PORTION + 10)]
        one.record(*entries)

        assert other.evidence.take_in(PRACTICE, one.evidence.lines(PRACTICE)) == _PORTION + 11
        of_kinds = other.evidence.lines(PRACTICE, kinds=("finding_changed", "chain_started"))
        assert list(of_kinds) == list(one.evidence.lines(PRACTICE))
