"""Bringing the evidence out of this machine: into every repository, and its head to anchors.

It is verified first, also against what lies there from before: what was altered here is found the
next morning, and is neither signed nor saved as if it were good. What fails at one place keeps
nothing from the others; each attempt is recorded once it was made.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import Anchored
from dr_orchestrator.core.run import ALTERED, Operation, Outcome
from dr_orchestrator.errors import Busy, DroError, SpaceExhausted
from dr_orchestrator.maintenance.anchor import AnchorPlace, Head, anchor_places
from dr_orchestrator.maintenance.evidence_key import signing
from dr_orchestrator.maintenance.evidence_tools import anchored_on_record, signed_lines
from dr_orchestrator.maintenance.verify_evidence import (
    KeptHead,
    given_up,
    kept_in_repository,
    verify_evidence,
)
from dr_orchestrator.plan.anchoring import repository_words
from dr_orchestrator.repositories.evidence import HEAD_FILE, LINES_FILE, save_evidence
from dr_orchestrator.store.base import repository_key
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.maintenance.evidence_tools import EvidenceTools
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository


@dataclass(frozen=True, kw_only=True)
class EvidenceRequest:
    """Whose evidence is kept."""

    plan: Plan
    serves: Serves | None = None
    anchor_now: bool = False
    """Put the head everywhere the plan names, whenever that was last done."""

    @property
    def practice(self) -> str:
        """The id of the practice."""
        return self.plan.practice.id


@dataclass(frozen=True, kw_only=True)
class KeptEvidence:
    """What came of keeping it."""

    outcome: Outcome
    """`partial`: some place did not get it; `failed`: none did, or it is not as it was written."""
    reason: str
    places: tuple[str, ...]
    """Where it went, in words."""
    notes: tuple[str, ...]
    """What somebody should know, and is no failure."""
    head: Head | None = None


def keep_evidence(request: EvidenceRequest, tools: EvidenceTools) -> KeptEvidence:
    """Sign the evidence of a practice, save all of it into every repository that holds anything of
    ours, and anchor its head where that is due. Always leaves a closed run behind.

    Raises:
        Busy: another process does it just now.
        EvidenceKeyChanged: it is signed with another key than this machine has.
        SpaceExhausted: there is no room for a copy of it.
    """
    with (
        signing(tools.store, request.practice, wait=tools.lock_wait),
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.EVIDENCE,
            practice=request.practice,
            system="",
            serves=request.serves,
        ) as run,
    ):
        kept = _Keeping(request, tools).keep()
        run.conclude(kept.outcome, "; ".join([kept.reason] if kept.reason else kept.notes))
        return kept


@dataclass
class _Keeping:
    request: EvidenceRequest
    tools: EvidenceTools
    done: list[str] = field(default_factory=list)
    failed: dict[str, DroError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def keep(self) -> KeptEvidence:
        repositories = self._opened()
        seen = [head for name in list(repositories) for head in self._copies(repositories, name)]
        log, practice = self.tools.store.evidence, self.request.practice
        # a chain that was given up stays as contradictory as it was: a person has seen that
        signer, before = self.tools.signer(), given_up(log, practice)
        elsewhere = {
            each.chain
            for each in log.chains(practice)
            if each.chain in before or not (each.ours or each.key == signer.public)
        }
        kept = [each for each in seen if each.chain not in elsewhere]
        verified = verify_evidence(log, practice, signer, kept=kept)
        if verified is not None and not verified.is_sound:
            first, *more = verified.faults
            others = f", and {len(more):,} more" if more else ""
            reason = f"{ALTERED}: {first}{others}; see `dro evidence verify {practice}`"
            return KeptEvidence(outcome=Outcome.FAILED, reason=reason, places=(), notes=())
        self.notes += verified.notes if verified else ()
        with _copy_of_all(self.request, self.tools) as (folder, head):
            there = {(each.place, each.head) for each in seen}
            for repository in repositories.values():
                if (repository_words(repository.name), head.hash) not in there:
                    self._save(repository, folder, head)
            self._anchor(head)
        return self._result(head)

    def _opened(self) -> dict[str, Repository]:
        """Return the repositories that anything was ever saved in; none is made for this."""
        plan, found = self.request.plan, {}
        for name in plan.used_repositories:
            if plan.only_reads(name):
                self.notes.append(f"{repository_words(name)} gets none: it is only read")
                continue
            if self.tools.store.repository_id(self.request.practice, name) is None:
                place = repository_words(name)
                self.notes.append(f"{place} gets none yet: nothing was ever saved there")
                continue
            try:
                found[name] = self.tools.open_repository(plan, name)
            except DroError as error:
                self._failed(repository_words(name), error)
        return found

    def _copies(self, repositories: dict[str, Repository], name: str) -> tuple[KeptHead, ...]:
        try:
            return kept_in_repository(repositories[name], self.request.practice)
        except DroError as error:
            self._failed(repository_words(name), error)
            del repositories[name]
            return ()

    def _save(self, repository: Repository, folder: Path, head: Head) -> None:
        place = repository_words(repository.name)
        try:
            with self.tools.store.locks.hold(
                {repository_key(repository.identity())},
                exclusive=False,
                wait=self.tools.lock_wait,
                what=place,
            ):
                save_evidence(
                    repository,
                    self.request.practice,
                    folder,
                    chain=head.chain,
                    number=head.number,
                    head=head.hash,
                    at=head.at,
                )
        except DroError as error:
            self._failed(place, error, head)
        else:
            self._put(place, head)

    def _anchor(self, head: Head) -> None:
        plan, tools = self.request.plan, self.tools
        newest = {
            each.place: each
            for each in anchored_on_record(tools.store, self.request.practice)
            if not each.reason and each.chain == head.chain
        }
        due = tools.last_due(plan.evidence.anchor.schedule, plan.practice.timezone)
        for place in anchor_places(
            plan, send=tools.send, has_mail=tools.has_mail, now=tools.clock.now()
        ):
            last = newest.get(place.name)
            is_due = last is None or (due is not None and last.at < due)
            if (is_due or self.request.anchor_now) and (last is None or last.head != head.hash):
                self._put_at(place, head)

    def _put_at(self, place: AnchorPlace, head: Head) -> None:
        try:
            note = place.put(head)
        except DroError as error:
            self._failed(place.name, error, head)
            return
        self.notes += [note] if note else []
        self._put(place.name, head)

    def _put(self, place: str, head: Head) -> None:
        self.done.append(place)
        self._record(place, head, "")

    def _failed(self, place: str, error: DroError, head: Head | None = None) -> None:
        self.failed[place] = error
        if head is not None and not isinstance(error, Busy):  # then nothing was attempted
            self._record(place, head, error.message)

    def _record(self, place: str, head: Head, reason: str) -> None:
        self.tools.store.record(
            Anchored(
                practice=head.practice,
                at=self.tools.clock.now(),
                chain=head.chain,
                number=head.number,
                head=head.hash,
                place=place,
                reason=reason,
            )
        )

    def _result(self, head: Head) -> KeptEvidence:
        reason = "; ".join(
            error.message if place in error.message else f"{place}: {error.message}"
            for place, error in self.failed.items()
        )
        outcome = Outcome.DONE
        if self.failed:
            if not self.done and all(isinstance(each, Busy) for each in self.failed.values()):
                raise next(iter(self.failed.values()))
            outcome = Outcome.PARTIAL if self.done else Outcome.FAILED
        return KeptEvidence(
            outcome=outcome,
            reason=reason,
            places=tuple(self.done),
            notes=tuple(self.notes),
            head=head,
        )


@contextmanager
def _copy_of_all(request: EvidenceRequest, tools: EvidenceTools) -> Iterator[tuple[Path, Head]]:
    """Sign our chain, write all chains to a folder for a block, and return it with our head."""
    log, practice = tools.store.evidence, request.practice
    signed = log.checkpoint(practice, tools.signer())
    if signed is None:
        raise ValueError("the run that keeps evidence is evidence itself")
    last = ""
    with tempfile.TemporaryDirectory(dir=tools.scratch) as scratch:
        folder = Path(scratch)
        try:
            with (folder / LINES_FILE).open("w", encoding="utf-8", newline="\n") as file:
                for last in signed_lines(log, signed):
                    file.write(f"{last}\n")
                for other in log.chains(practice)[1:]:
                    file.writelines(f"{line}\n" for line in log.lines(practice, chain=other.chain))
            (folder / HEAD_FILE).write_text(last, encoding="utf-8")
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise SpaceExhausted(
                f"no space left to write the evidence to {tools.scratch}",
                hint="free space there: what is saved passes through it",
            ) from None
        yield (
            folder,
            Head(
                practice=practice,
                chain=signed.chain,
                number=signed.number,
                hash=signed.head,
                at=signed.at,
                key=signed.key,
                line=last,
            ),
        )
