"""Try to destroy what a repository holds, with the backup credential: it must be refused.

What is tried on is made for the test, or is put back at once should the attempt succeed. What could
not be put back stays on our disk, and is put back before anything is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.immutability import Answer, Attempt, ImmutabilityTested
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.maintenance.forget import NOTHING_SAVED
from dr_orchestrator.maintenance.tools import run_on_repository
from dr_orchestrator.repositories.attack import Access, Kept, put_right
from dr_orchestrator.repositories.rest_attack import RestAccess, attack_rest
from dr_orchestrator.repositories.s3_attack import S3Access, attack_s3

if TYPE_CHECKING:
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository

_OUTCOMES = {
    Result.PASSED: Outcome.DONE,
    Result.FAILED: Outcome.FAILED,
    Result.UNPROVEN: Outcome.UNPROVEN,
}
_NO_WAY = (
    "nothing can be tried here: only of `s3:` and `rest:` can it be proven that nobody removes "
    "anything"
)


@dataclass(frozen=True, kw_only=True)
class AttackTools:
    """What attacking a repository needs beside what looking after it does."""

    location: Callable[[Plan, str], Secret]
    """Where a backup finds a repository of the plan, with the login of a REST server in it."""
    put_back: Path
    """A private folder of ours that outlives the process."""


@dataclass(frozen=True, kw_only=True)
class ImmutabilityResult:
    """What came of the attempts."""

    tested: ImmutabilityTested | None = None
    """`None` where nothing was ever saved, or nothing can be tried."""
    outcome: Outcome = Outcome.DONE
    """`failed` where an attempt succeeded, `unproven` where one could not be judged."""
    reason: str = ""


def try_to_destroy(
    request: RepositoryRequest, tools: MaintenanceTools, attack_tools: AttackTools
) -> ImmutabilityResult:
    """Attempt each deed that the kind of repository allows, and record the answers. Always leaves a
    closed run behind, but where the repository is busy.

    Raises:
        Busy: somebody works alone in the repository.
        DroError: the repository cannot be reached, or an attempt of before not be put right; then
            nothing was attempted.
    """
    with (
        _alone(request, tools),
        run_on_repository(
            request, tools, Operation.IMMUTABILITY, exclusive=False, as_backup=True
        ) as (run, repository),
    ):
        if repository is None:
            run.conclude(Outcome.DONE, NOTHING_SAVED)
            return ImmutabilityResult()
        attack = _attack(request, tools, attack_tools, repository)
        if attack is None:
            run.conclude(Outcome.UNPROVEN, _NO_WAY)
            return ImmutabilityResult(outcome=Outcome.UNPROVEN, reason=_NO_WAY)
        access, strike = attack
        kept = Kept(attack_tools.put_back / repository.identity())
        put_right(access, kept)
        tested = ImmutabilityTested(
            practice=request.practice,
            repository=request.repository,
            location=request.plan.repositories[request.repository].location,
            run=run.id,
            attempts=strike(kept, run.id),
            at=tools.clock.now(),
        )
        tools.store.record(tested)
        outcome, reason = _OUTCOMES[tested.result], _reason(tested, lost=len(list(kept.files())))
        run.conclude(outcome, reason)
        return ImmutabilityResult(tested=tested, outcome=outcome, reason=reason)


def _alone(request: RepositoryRequest, tools: MaintenanceTools) -> AbstractContextManager[None]:
    """Keep others from attacking it too: they share what is kept of it."""
    restic_id = tools.store.repository_id(request.practice, request.repository)
    if restic_id is None:
        return nullcontext()
    return tools.store.locks.hold(
        {f"attack/{restic_id}"},
        exclusive=True,
        wait=tools.lock_wait,
        what=f"the immutability test of {request.repository}",
    )


_Strike = Callable[[Kept, str], tuple[Attempt, ...]]
"""Attacks, and puts right; the run's id marks what is made."""


def _attack(
    request: RepositoryRequest,
    tools: MaintenanceTools,
    attack_tools: AttackTools,
    repository: Repository,
) -> tuple[Access, _Strike] | None:
    """Return how this kind of repository is attacked, `None` where nobody can try."""
    plan, name, now = request.plan, request.repository, tools.clock.now()
    spec = plan.repositories[name]
    if spec.is_s3:
        place = tools.open_place_as_backup(plan, name)
        s3 = S3Access(place, looking=tools.open_place(plan, name))
        mode = spec.object_lock.mode if spec.object_lock else None
        return s3, lambda kept, mark: attack_s3(s3, kept, mode=mode, mark=mark.encode(), now=now)
    if spec.location.startswith("rest:"):
        rest = RestAccess(name, attack_tools.location(plan, name))
        return rest, lambda kept, _mark: attack_rest(
            rest, kept, repository, request.practice, scratch=tools.scratch, at=now
        )
    return None


def _reason(tested: ImmutabilityTested, *, lost: int) -> str:
    """Return in one clause what was not refused; empty where all was."""
    parts = [
        f"{words}: {', '.join(deeds)}"
        for answer, words in (
            (Answer.DONE, "the backup credential was able to"),
            (Answer.UNKNOWN, "it could not be found out whether it is able to"),
        )
        if (deeds := _deeds(tested, answer))
    ]
    if lost:
        parts.append(
            f"{count_words(lost, 'file')} of the repository could not be put back yet: run "
            f"`dro repository immutability {tested.practice} --repository {tested.repository}` "
            "again, which begins with that"
        )
    return "; ".join(parts)


def _deeds(tested: ImmutabilityTested, answer: Answer) -> list[str]:
    return list(
        dict.fromkeys(
            f"{each.deed.value} ({each.said})" if each.said else each.deed.value
            for each in tested.attempts
            if each.answer is answer
        )
    )
