"""Let go of the recovery points that retention no longer keeps, in one repository.

The manifest goes first and its snapshots after it, so that a point whose forgetting was cut short
never looks whole: it has no manifest, is still on record as one that is to go, and goes the next
time. What is recorded as forgotten was looked for, and is not there any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import PointForgotten
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import Busy, RemovalRefused, RepositoryError
from dr_orchestrator.maintenance.evidence_tools import anchored_on_record
from dr_orchestrator.maintenance.holdings import Holdings, Remains, sort_snapshots
from dr_orchestrator.maintenance.look import frozen_because, list_all, look, note_gone
from dr_orchestrator.maintenance.old_evidence import copies_to_forget
from dr_orchestrator.maintenance.ownership import make_sure_of_owner
from dr_orchestrator.maintenance.survey import decide
from dr_orchestrator.maintenance.tools import (
    MaintenanceTools,
    RepositoryRequest,
    run_on_repository,
)
from dr_orchestrator.repositories.evidence import evidence_among
from dr_orchestrator.store.base import point_key

if TYPE_CHECKING:
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.repositories.base import Repository, Snapshot

_AT_ONCE = 40
"""Points that are held, and go, together: each call of restic takes a second."""
_WHY = "retention no longer keeps it"
NOTHING_SAVED = "nothing was ever saved here"


@dataclass(frozen=True, kw_only=True)
class ForgetResult:
    """What came of one round of letting go."""

    forgotten: tuple[str, ...] = ()
    """Ids of points."""
    busy: tuple[str, ...] = ()
    """Ids of points that somebody reads just now: left for the next time."""
    rubble: int = 0
    """Snapshots of failed backups that were removed."""
    evidence: int = 0
    """Copies of the evidence that newer ones made superfluous, and that were removed."""
    kept: int = 0
    outcome: Outcome = Outcome.DONE
    """`unproven` where nothing is forgotten until a person has looked."""
    reason: str = ""


def forget(request: RepositoryRequest, tools: MaintenanceTools) -> ForgetResult:
    """Let go of what retention does not keep, of all systems. Always leaves a closed run behind,
    but where the repository is busy.

    Raises:
        Busy: somebody else works in the repository.
        NotTheOwner: another installation forgets there.
        RepositoryError: by its class.
    """
    with run_on_repository(request, tools, Operation.FORGET, exclusive=True) as (run, repository):
        if repository is None:
            run.conclude(Outcome.DONE, NOTHING_SAVED)
            return ForgetResult()
        listing = list_all(request, tools, repository)
        listed = listing.of_practice(request.practice)
        make_sure_of_owner(request, tools, repository, listed)
        surveyed = look(request, tools, listing)
        note_gone(request, tools, surveyed)
        kept = len(surveyed.decision.kept)
        if why := frozen_because(request, tools, surveyed):
            reason = f"nothing is forgotten until it is released: {why}"
            run.conclude(Outcome.UNPROVEN, reason)
            return ForgetResult(kept=kept, outcome=Outcome.UNPROVEN, reason=reason)
        leaving = _Leaving(request, tools, repository, sort_snapshots(listed))
        leaving.remove_rubble(surveyed.rubble)
        evidence = leaving.remove_old_evidence(listed)
        going = surveyed.decision.going
        for start in range(0, len(going), _AT_ONCE):
            leaving.let_go(going[start : start + _AT_ONCE])
        in_use = len(leaving.busy)
        reason = f"{count_words(in_use, 'point')} in use: left for the next time" if in_use else ""
        run.conclude(Outcome.DONE, reason)
        return ForgetResult(
            forgotten=tuple(leaving.forgotten),
            busy=tuple(leaving.busy),
            rubble=len(surveyed.rubble),
            evidence=evidence,
            kept=kept,
            reason=reason,
        )


@dataclass
class _Leaving:
    """The points that leave one repository."""

    request: RepositoryRequest
    tools: MaintenanceTools
    repository: Repository
    holdings: Holdings
    forgotten: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)

    def remove_rubble(self, rubble: Sequence[Snapshot]) -> None:
        """Remove what failed backups of ours had saved."""
        self._remove([each.id for each in rubble])

    def remove_old_evidence(self, listed: Sequence[Snapshot]) -> int:
        """Remove the copies of the evidence that newer ones hold too; return how many those were.
        Where nothing may be removed they stay, and that is as good.
        """
        practice = self.request.practice
        going = copies_to_forget(
            evidence_among(listed, practice),
            anchored_on_record(self.tools.store, practice),
            self.request.repository,
            self.tools.clock.now(),
        )
        try:
            self._remove([each.id for each in going])
        except RemovalRefused:
            return 0
        return len(going)

    def let_go(self, points: Sequence[RecoveryPoint]) -> None:
        """Remove those of the points that nobody reads, and that still are to go."""
        with ExitStack() as holds:
            held = self._hold(points, holds)
            # a test may have proven one of them until we had it, or a person have held it
            record = self.tools.store.practice_record(self.request.practice)
            name = self.request.repository
            decision = decide(self.request.plan, record, name, self.tools.clock.now())
            going = [point.id for point in decision.going if point.id in held]
            gone = {(point, name) for point in going}
            # also what stays under another name of the plan, which may be the same repository
            needed = {
                snapshot
                for point in record.points
                for copy in point.copies
                if copy.repository in self.request.plan.repositories
                and (point.id, copy.repository) not in gone
                for snapshot in copy.all_snapshots
            }
            remains = [self.holdings.points.get(point, Remains()) for point in going]
            self._remove(_ids((one for each in remains for one in each.manifests), needed))
            self._remove(_ids((one for each in remains for one in each.assets), needed))
            self._record_forgotten(going)

    def _hold(self, points: Sequence[RecoveryPoint], holds: ExitStack) -> set[str]:
        held = set()
        for point in points:
            try:
                holds.enter_context(
                    self.tools.store.locks.hold(
                        {point_key(self.request.practice, point.id)},
                        exclusive=True,
                        wait=timedelta(0),
                        what=f"point {point.id}",
                    )
                )
                held.add(point.id)
            except Busy:
                self.busy.append(point.id)
        return held

    def _remove(self, snapshots: Sequence[str]) -> None:
        """Remove snapshots, and make sure: restic 0.14 exits 0 for ids it does not find."""
        if not snapshots:
            return
        self.repository.forget(snapshots)
        listed = self.repository.snapshots({"practice": self.request.practice})
        left = {each.id for each in listed}.intersection(snapshots)
        if left:
            raise RepositoryError(
                f"{count_words(len(left), 'snapshot')} in {self.request.repository} "
                f"{'is' if len(left) == 1 else 'are'} still there after being forgotten",
                hint="may this machine remove anything there?",
            )

    def _record_forgotten(self, points: Sequence[str]) -> None:
        at = self.tools.clock.now()
        self.tools.store.record(
            *(
                PointForgotten(
                    practice=self.request.practice,
                    point=point,
                    repository=self.request.repository,
                    at=at,
                    why=_WHY,
                )
                for point in points
            )
        )
        self.forgotten.extend(points)


def _ids(snapshots: Iterable[Snapshot], needed: set[str]) -> list[str]:
    """Return the ids to remove: none that a point which stays is made of, whatever its tags say.

    restic gives a snapshot whose tags are changed a new id, and keeps the first in `original`.
    """
    return [each.id for each in snapshots if not needed & {each.id, each.original}]
