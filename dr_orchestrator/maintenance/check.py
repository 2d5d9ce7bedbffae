"""Read a share of one repository back, a different one each time, until all of it was read; and
look whether it lists what it should: a repository in which nothing is ever forgotten is looked at
by nobody else.

Backups go on meanwhile, and restore tests do not notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.repository_check import next_part, parts_of
from dr_orchestrator.core.record import RepositoryChecked
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.errors import RepositoryDamaged
from dr_orchestrator.maintenance.forget import NOTHING_SAVED
from dr_orchestrator.maintenance.look import frozen_because, list_all, look, note_gone
from dr_orchestrator.maintenance.tools import run_on_repository

if TYPE_CHECKING:
    from dr_orchestrator.maintenance.tools import MaintenanceTools, RepositoryRequest

_TIMEOUT = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of reading a share back."""

    part: int
    """0 where nothing was ever saved there."""
    parts: int
    sound: bool = True
    reason: str = ""
    """What is not sound."""
    next: str = ""
    """What to do about it."""
    suspicious: tuple[str, ...] = ()
    """What speaks against what it lists, each a sentence: retention is frozen."""
    outcome: Outcome = Outcome.DONE


def check(
    request: RepositoryRequest, tools: MaintenanceTools, *, part: int | None = None
) -> CheckResult:
    """Read back the share that was read least recently, or share number `part`.

    Raises:
        Busy: somebody works in the repository who must be alone there.
        RepositoryError: it could not be found out; damage is no error, but a result.
    """
    parts = parts_of(request.plan.repositories[request.repository].maintenance)
    with run_on_repository(request, tools, Operation.CHECK, exclusive=False) as (run, repository):
        if repository is None:
            run.conclude(Outcome.DONE, NOTHING_SAVED)
            return CheckResult(part=0, parts=parts)
        record = tools.store.practice_record(request.practice)
        chosen = part or next_part(record.checks, request.repository, parts, tools.clock.now())
        reason = ""
        try:
            repository.check(chosen, parts, timeout=_TIMEOUT)
        except RepositoryDamaged as damage:
            reason = damage.message
        tools.store.record(
            RepositoryChecked(
                practice=request.practice,
                repository=request.repository,
                run=run.id,
                at=tools.clock.now(),
                part=chosen,
                parts=parts,
                sound=not reason,
                reason=reason,
            )
        )
        suspicious: tuple[str, ...] = ()
        if not request.plan.only_reads(request.repository):
            surveyed = look(request, tools, list_all(request, tools, repository))
            note_gone(request, tools, surveyed)
            frozen_because(request, tools, surveyed)
            suspicious = surveyed.doubts
        if not reason:
            return CheckResult(part=chosen, parts=parts, suspicious=suspicious)
        todo = what_to_do(request, chosen)
        run.conclude(Outcome.FAILED, f"{reason}: {todo}")
        return CheckResult(
            part=chosen,
            parts=parts,
            sound=False,
            reason=reason,
            next=todo,
            suspicious=suspicious,
            outcome=Outcome.FAILED,
        )


def what_to_do(request: RepositoryRequest, part: int) -> str:
    """Return, in one sentence, what a person does about damage in one share."""
    where = f"{request.practice} --repository {request.repository}"
    location, _ = request.plan.repositories[request.repository].reached(directly=True)
    see = f"see what was deleted or overwritten with `dro repository undelete {where} --show`, "
    return (
        f"{see if location.startswith('s3:') else ''}"
        f"run `dro test {where}` to see what still comes back, back up to another repository, "
        f"repair this one, then run `dro repository check {where} --part {part}`"
    )
