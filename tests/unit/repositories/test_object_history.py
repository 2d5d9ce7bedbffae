from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.repositories.object_history import (
    Change,
    Deed,
    ObjectHistory,
    Step,
    Version,
    as_of,
    deeds,
)

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DELETE = None


def at(second: int) -> datetime:
    return START + second * SECOND


@dataclass
class Kept:
    """One object of a bucket that keeps versions, as S3's guide describes it."""

    versions: list[Version] = field(default_factory=list)
    """Oldest first."""
    made: int = 0

    def do(self, second: int, content: str | None) -> None:
        self.made += 1
        size = None if content is DELETE else len(content)
        etag = content or ""
        self.versions.append(Version(id=f"v{self.made}", at=at(second), size=size, etag=etag))

    def content(self, before: datetime | None = None) -> str | None:
        then = [each for each in self.versions if before is None or each.at < before]
        return then[-1].etag if then and then[-1].is_content else None

    @property
    def history(self) -> ObjectHistory:
        return ObjectHistory("data/12/34", tuple(reversed(self.versions)))

    def carry_out(self, change: Change, second: int) -> None:
        if change.step is Step.UNCOVER:
            assert not any(each.is_content for each in change.versions)
            self.versions = [each for each in self.versions if each not in change.versions]
        elif change.step is Step.COPY:
            self.do(second, change.versions[0].etag)
        else:
            self.do(second, DELETE)


_CONTENTS = st.sampled_from(["a pack", "garbage", "other", DELETE])
_DEEDS = st.dictionaries(st.integers(0, 30), _CONTENTS, min_size=1, max_size=10)


@given(_DEEDS, st.integers(-1, 32))
def test_an_object_is_what_it_was_then_and_once_it_is_nothing_more_is_done(
    done: dict[int, str | None], moment: int
) -> None:
    kept = Kept()
    for second in sorted(done):
        kept.do(second, done[second])
    before, contents = at(moment), [each for each in kept.versions if each.is_content]
    wanted = kept.content(before)

    found = as_of(kept.history, before)

    assert (found.then.etag if found.then else None) == wanted
    if found.change is not None:
        kept.carry_out(found.change, second=40)
    assert kept.content() == wanted
    assert as_of(kept.history, before).change is None
    assert all(each in kept.versions for each in contents), "content was destroyed"


@given(_DEEDS)
def test_what_was_done_can_be_taken_back(done: dict[int, str | None]) -> None:
    kept = Kept()
    for second in sorted(done):
        kept.do(second, done[second])
    attacked = kept.content()
    if (change := as_of(kept.history, at(15)).change) is not None:
        kept.carry_out(change, second=50)

    if (undone := as_of(kept.history, at(45)).change) is not None:
        kept.carry_out(undone, second=60)

    markers_removed = change is not None and change.step is Step.UNCOVER
    assert markers_removed or kept.content() == attacked


def history(*versions: tuple[int, str | None]) -> ObjectHistory:
    """Return a history of (second, content), oldest first."""
    kept = Kept()
    for second, content in versions:
        kept.do(second, content)
    return kept.history


def test_steps_are_the_least_that_is_needed() -> None:
    def step(*versions: tuple[int, str | None]) -> Step | None:
        change = as_of(history(*versions), at(10)).change
        return change.step if change else None

    assert step((5, "a")) is None
    assert step((5, "a"), (11, DELETE), (12, DELETE)) is Step.UNCOVER
    assert step((5, "a"), (11, "garbage")) is Step.COPY
    assert step((5, "a"), (11, "garbage"), (12, DELETE)) is Step.COPY
    assert step((5, "a"), (11, DELETE), (12, "a")) is None
    assert step((11, "forged")) is Step.SET_ASIDE
    assert step((5, "a"), (6, DELETE), (11, "a")) is Step.SET_ASIDE
    assert step((5, "a"), (6, DELETE)) is None
    assert step((10, "a")) is Step.SET_ASIDE, "that second counts as after"


def test_what_the_bucket_no_longer_keeps_is_lost() -> None:
    gone = as_of(history((11, DELETE)), at(10))
    assert (gone.is_lost, gone.then, gone.change) == (True, None, None)
    assert not as_of(history((9, DELETE)), at(10)).is_lost
    assert not as_of(history((11, "made since"), (12, DELETE)), at(10)).is_lost


def test_what_was_made_since_is_told_from_what_was_deleted_before() -> None:
    assert as_of(history((11, "new"), (12, DELETE)), at(10)).is_newer
    assert not as_of(history((5, "old"), (6, DELETE)), at(10)).is_newer


def test_an_object_that_was_overwritten_before_is_doubtful() -> None:
    assert as_of(history((5, "a"), (6, "garbage")), at(10)).is_doubtful
    assert not as_of(history((5, "a"), (6, DELETE), (7, "a")), at(10)).is_doubtful


def test_nothing_is_there_before_all_time() -> None:
    locked = as_of(history((5, "a lock")), None)
    assert locked.change is not None
    assert (locked.change.step, locked.is_lost) == (Step.SET_ASIDE, False)


@pytest.mark.parametrize(("etag", "size"), [("", 6), ("other", 6), ("a pack", 7)])
def test_what_only_looks_alike_is_copied_over(etag: str, size: int) -> None:
    then = Version(id="1", at=at(1), size=6, etag=etag and "a pack")
    now = Version(id="2", at=at(20), size=size, etag=etag)
    change = as_of(ObjectHistory("config", (now, then)), at(10)).change
    assert change is not None
    assert (change.step, change.versions) == (Step.COPY, (then,))


def test_deeds_are_what_was_deleted_or_overwritten_by_something_else() -> None:
    done = history((1, "a"), (2, "a"), (3, "b"), (4, DELETE), (5, DELETE), (6, "c"))
    assert list(deeds(done)) == [(at(4), Deed.DELETED), (at(3), Deed.OVERWRITTEN)]
    assert list(deeds(history((4, DELETE)))) == [(at(4), Deed.DELETED)]
