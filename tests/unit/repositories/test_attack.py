"""What an attempt says, and that nothing is lost by it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.immutability import Answer, Attempt, Deed
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.repositories.attack import (
    Kept,
    Reply,
    Victim,
    attempt,
    put_right,
    withstood,
    worst,
)

PATH = f"snapshots/{'ab' * 32}"
WHOLE = b"a snapshot"
VICTIM = Victim(path=PATH, content=WHOLE)


@dataclass
class Storage:
    """Storage of one file that does one thing, answers another, and is away at times."""

    does: bytes | None
    """What is in the place of the file after it was attacked."""
    answers: Reply
    away: set[int] = field(default_factory=set)
    """At which calls after the attack it does not answer."""
    content: bytes | None = WHOLE
    calls: int = -1

    def delete(self, _victim: Victim) -> Reply:
        self.content, self.calls = self.does, 0
        return self.answers

    overwrite = delete

    def read(self, _victim: Victim) -> bytes | None:
        return self.find(PATH)

    def find(self, _path: str) -> bytes | None:
        self._answer()
        return self.content

    def put(self, _path: str, content: bytes) -> None:
        self._answer()
        self.content = content

    def _answer(self) -> None:
        self.calls += 1
        if self.calls in self.away:
            raise StorageUnusable("gone", code="Timeout")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "put-back")


REFUSED, DONE = Reply(Answer.REFUSED, "403"), Reply(Answer.DONE, "200")
UNKNOWN = Reply(Answer.UNKNOWN, "503")


@pytest.mark.parametrize(
    ("deed", "does", "answers", "expected"),
    [
        (Deed.DELETE_REAL, WHOLE, REFUSED, Answer.REFUSED),
        (Deed.DELETE_REAL, WHOLE, UNKNOWN, Answer.UNKNOWN),
        (Deed.DELETE_REAL, None, DONE, Answer.DONE),
        (Deed.DELETE_REAL, None, REFUSED, Answer.DONE),
        (Deed.DELETE_REAL, None, UNKNOWN, Answer.DONE),
        (Deed.DELETE_REAL, WHOLE, DONE, Answer.DONE),
        (Deed.OVERWRITE, WHOLE, DONE, Answer.REFUSED),
        (Deed.OVERWRITE, b"other", DONE, Answer.DONE),
        (Deed.OVERWRITE, b"other", REFUSED, Answer.DONE),
        (Deed.OVERWRITE, WHOLE, UNKNOWN, Answer.UNKNOWN),
    ],
)
def test_attempt_goes_by_what_is_there_and_not_by_what_was_answered(
    kept: Kept, deed: Deed, does: bytes | None, answers: Reply, expected: Answer
) -> None:
    storage = Storage(does, answers)
    assert attempt(deed, VICTIM, storage, kept).answer is expected
    assert storage.content == WHOLE
    assert list(kept.files()) == []


def test_attempt_proves_nothing_where_it_cannot_be_looked_afterwards(kept: Kept) -> None:
    storage = Storage(WHOLE, REFUSED, away={1})
    made = attempt(Deed.DELETE_REAL, VICTIM, storage, kept)
    assert (made.answer, made.said) == (Answer.UNKNOWN, "Timeout")


@given(
    does=st.sampled_from([None, b"other", WHOLE]),
    answers=st.sampled_from([REFUSED, DONE, UNKNOWN]),
    deed=st.sampled_from([Deed.DELETE_REAL, Deed.OVERWRITE]),
    away=st.sets(st.integers(1, 5)),
)
def test_attempt_loses_nothing_whatever_storage_does(
    does: bytes | None, answers: Reply, deed: Deed, away: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept, storage = Kept(Path(folder)), Storage(does, answers, away)
        attempt(deed, VICTIM, storage, kept)
        assert storage.content == WHOLE or dict(kept.files()) == {PATH: WHOLE}

        storage.away = set()
        put_right(storage, Kept(Path(folder)))  # the next round, in another process
        assert storage.content == WHOLE
        assert list(kept.files()) == []


def test_what_nobody_misses_is_not_put_back(kept: Kept) -> None:
    storage = Storage(None, DONE)
    spare = Victim(path="dro-immutability/attempt", content=WHOLE, is_missed=False)
    assert attempt(Deed.DELETE_MADE, spare, storage, kept).answer is Answer.DONE
    assert storage.content is None


def test_put_right_says_so_where_storage_takes_a_file_and_does_not_keep_it(kept: Kept) -> None:
    class Forgetful(Storage):
        def put(self, _path: str, content: bytes) -> None:
            pass

    kept.keep(VICTIM)
    with pytest.raises(StorageUnusable, match="could not be put back"):
        put_right(Forgetful(None, DONE, content=None), kept)
    assert dict(kept.files()) == {PATH: WHOLE}


def test_kept_passes_over_a_file_that_was_never_written_to_its_end(tmp_path: Path) -> None:
    (tmp_path / f".{PATH.replace('/', '~')}.5f3a").write_bytes(WHOLE[:3])
    assert list(Kept(tmp_path).files()) == []


@pytest.mark.parametrize(
    ("overwriting", "deleting", "expected"),
    [
        (Answer.REFUSED, Answer.REFUSED, True),
        (Answer.REFUSED, Answer.UNKNOWN, False),
        (Answer.UNKNOWN, Answer.REFUSED, False),
        (Answer.REFUSED, Answer.DONE, False),
        (Answer.DONE, Answer.REFUSED, False),
    ],
)
def test_something_real_is_attacked_only_where_what_was_made_certainly_withstood(
    overwriting: Answer, deleting: Answer, *, expected: bool
) -> None:
    attempts = (
        Attempt(deed=Deed.OVERWRITE, answer=overwriting),
        Attempt(deed=Deed.SHORTEN, answer=Answer.DONE),
        Attempt(deed=Deed.DELETE_MADE, answer=deleting),
    )
    assert withstood(attempts) is expected


def test_worst_reply_is_a_deed_then_what_is_not_known() -> None:
    assert worst([REFUSED, UNKNOWN, DONE]) is DONE
    assert worst([REFUSED, UNKNOWN]) is UNKNOWN
