"""One trial: damage what came back in one way, have it verified, and keep what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from dr_orchestrator.errors import DroError
from dr_orchestrator.restore.outcome import result_of
from scripts.mutation.verdict import Configuration, Living, Said, ask

Copy = TypeVar("Copy")
NOBODY = ""
"""No check claims to see it."""


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[Copy]):
    """One way in which restored data can be wrong."""

    title: str
    damage: Callable[[Copy, Random], str]
    """Does it, makes sure that something is really different, and says where."""
    claimed_by: str = NOBODY
    """The check of a plan's defaults that says it sees this."""
    claimed_with_checks: str | None = None
    """The check that does where the plan has checks of its own; as above unless stated."""
    harmless: bool = False
    """Nothing that a practice would miss: it must not be noticed."""
    few: bool = False
    """There is little chance in it, so that a few trials tell as much as many."""
    quick: bool = False
    """Part of the small selection that a test runs."""

    def claim(self, configuration: Configuration) -> str:
        """Return which check claims to see this under `configuration`."""
        own = self.claimed_with_checks
        return self.claimed_by if own is None or configuration is Configuration.DEFAULT else own


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of one trial."""

    subject: str
    kind: str
    number: int
    where: str
    """What was damaged: names of tables and columns of a made-up practice."""
    said: Mapping[Configuration, Said]


class Subject(Protocol):
    """A recovery point of one engine, which can be brought back again and again."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        ...

    @property
    def kinds(self) -> Sequence[Kind[Any]]:
        """The ways in which it can be damaged."""
        ...

    def damaged(
        self, kind: Kind[Any], random: Random, where: list[str]
    ) -> AbstractContextManager[Living]:
        """Bring it back damaged, and put the place of the damage into `where`.

        Raises (on entering):
            DroError: the damage kept it from living.
        """
        ...

    def clean(self, *, busy: bool) -> AbstractContextManager[Living]:
        """Capture anew, in a production that is written to meanwhile if `busy`, and bring that
        back undamaged.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is tried, and with which chance."""

    seed: int
    trials: int
    """Of a kind that has chance in it."""
    few: int = 5
    """Of the other kinds."""
    only: str = ""
    """Part of the title of the kinds to try."""
    quick: bool = False
    """Only the small selection."""

    def kinds(self, subject: Subject) -> Iterator[tuple[Kind[Any], int]]:
        """Yield the kinds to try, and how often."""
        for kind in subject.kinds:
            if self.only in kind.title and (kind.quick or not self.quick):
                yield kind, min(self.trials, self.few) if kind.few else self.trials

    def chance(self, subject: Subject, kind: Kind[Any], number: int) -> Random:
        """Return the chance of one trial: the same for the same seed, whatever else is tried."""
        return Random(f"{self.seed}/{subject.name}/{kind.title}/{number}")


def try_all(subject: Subject, effort: Effort) -> Iterator[Trial]:
    """Yield a trial for each kind, as often as the effort says."""
    for kind, count in effort.kinds(subject):
        for number in range(count):
            where: list[str] = []
            chance = effort.chance(subject, kind, number)
            said = _verdict(subject.damaged(kind, chance, where))
            place = ", ".join(where)
            yield Trial(
                subject=subject.name, kind=kind.title, number=number, where=place, said=said
            )


def restore_clean(subject: Subject, count: int) -> Iterator[Trial]:
    """Yield `count` restores of undamaged points, every other one captured in a busy production."""
    for number in range(count):
        busy = number % 2 == 0
        title = "written to during capture" if busy else "at rest"
        said = _verdict(subject.clean(busy=busy))
        yield Trial(subject=subject.name, kind=title, number=number, where="", said=said)


def _verdict(bringing_back: AbstractContextManager[Living]) -> Mapping[Configuration, Said]:
    """Bring it back and ask; what does not come back is judged as a restore test does."""
    try:
        with bringing_back as living:
            return {each: ask(living, each) for each in Configuration}
    except DroError as error:
        said = Said(result=result_of(error), by=("loading",), reason=error.message)
        return dict.fromkeys(Configuration, said)
