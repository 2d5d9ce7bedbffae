"""Whether our evidence is what was once written: by itself, against our own record, and against
what was put where this machine cannot change it.

Reads, and writes nothing: no checkpoint either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dr_orchestrator.errors import DroError, StorageUnusable
from dr_orchestrator.evidence.chain import Verification, verify
from dr_orchestrator.evidence.line import hash_of, read_line
from dr_orchestrator.evidence.signing import fingerprint, is_signed
from dr_orchestrator.maintenance.anchor import SHOWN, anchored_in, line_in
from dr_orchestrator.plan.anchoring import bucket_words, repository_words
from dr_orchestrator.repositories.evidence import evidence_in, last_line

if TYPE_CHECKING:
    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.maintenance.evidence_tools import EvidenceTools
    from dr_orchestrator.plan.model import BucketPlace, Plan
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.store.base import ChainHead, EvidenceLog


@dataclass(frozen=True, kw_only=True)
class KeptHead:
    """A head as it is kept somewhere else."""

    place: str
    """As the record calls it."""
    chain: str
    """Empty where only its line says so."""
    number: int
    head: str
    """The whole of it, or the first 12 digits."""
    line: Callable[[], str]
    """Reads the line that it is the hash of; may raise `DroError`."""


@dataclass(frozen=True, kw_only=True)
class EvidenceVerified:
    """What came of verifying the evidence of one practice on this machine."""

    verification: Verification
    faults: tuple[str, ...]
    """What is not as it was written, and where: a sentence each."""
    notes: tuple[str, ...]
    """What somebody should know, and is no fault."""
    matched: int
    """How many of the heads that are kept elsewhere were found in the chain."""

    @property
    def is_sound(self) -> bool:
        """Whether all was found as it was written."""
        return not self.faults


def verify_evidence(
    log: EvidenceLog,
    practice: str,
    signer: Signer,
    *,
    kept: Iterable[KeptHead] = (),
    expect: Collection[str] = (),
    fingerprints: Collection[str] = (),
) -> EvidenceVerified | None:
    """Verify all chains of a practice; `None` where there is none. `kept` is what other places
    hold, looked at before; `expect` are heads that a person noted.
    """
    chains = {each.chain: each for each in log.chains(practice)}
    if not chains:
        return None
    heads = tuple(kept)
    ours = {each.chain for each in chains.values() if each.ours}
    asked = {each.head for each in heads if not each.chain or each.chain in chains}
    found = verify(
        (line.encode() for line in log.lines(practice)),
        fingerprints=fingerprints,
        expect={*expect, *asked},
        must_be_signed=False,
    )
    missing = set(found.missing)
    judged = [
        _judge(head, chains)
        for head in heads
        if head.head in missing or (head.chain and head.chain not in chains)
    ]
    return EvidenceVerified(
        verification=found,
        faults=(
            *(f"{each.where}: {each.what}" for each in found.faults),
            *(f"no entry has the hash {each}" for each in expect if each in missing),
            *_key_faults(found, ours, fingerprint(signer.public)),
            *dict.fromkeys(what for what, is_fault in judged if is_fault),
            *log.disagreements(practice),
        ),
        notes=tuple(dict.fromkeys(what for what, is_fault in judged if not is_fault)),
        matched=len(asked - missing),
    )


def _key_faults(found: Verification, ours: Collection[str], own: str) -> Iterator[str]:
    for each in found.chains:
        if each.chain in ours and each.keys and each.keys[-1] != own:
            yield f"it is signed with the key {each.keys[-1]}, and this machine has {own}"


def _judge(head: KeptHead, chains: Mapping[str, ChainHead]) -> tuple[str, bool]:
    """Return what it means that a head which is kept elsewhere is not here, and whether that is a
    fault. Whoever may write there may write what nobody signed: that is none.
    """
    what = f"{head.place} keeps entry {head.number} with the hash {head.head[:SHOWN]}"
    chain = head.chain
    try:
        text = head.line().strip()
        line = read_line(text)
        if not (hash_of(text).startswith(head.head) and is_signed(line)):
            raise ValueError
        chain = line.chain
    except DroError as error:
        return f"{what}, which is not here, and what it is cannot be read: {error.message}", True
    except ValueError:
        return f"{what}, and nobody signed that: somebody else put it there", False
    if chain not in chains:
        return f"{head.place} holds a chain that is not known here: {chain}", False
    if not chains[chain].ours and head.number > chains[chain].number:
        return f"{head.place} knows more of the chain {chain} than was taken in here", False
    return f"{what}, and it is not here: the end was cut off, or replaced", True


def kept_in_repository(repository: Repository, practice: str) -> tuple[KeptHead, ...]:
    """Return the heads of the copies that a repository lists.

    Raises:
        RepositoryError: by its class.
    """
    return tuple(
        KeptHead(
            place=repository_words(repository.name),
            chain=copy.chain,
            number=copy.number,
            head=copy.head,
            line=partial(last_line, repository, copy),
        )
        for copy in evidence_in(repository, practice)
    )


def kept_in_bucket(bucket: BucketPlace, practice: str) -> tuple[KeptHead, ...]:
    """Return the heads that lie in a bucket.

    Raises:
        StorageUnusable: it cannot be looked into.
    """
    return tuple(
        KeptHead(
            place=bucket_words(bucket, practice),
            chain="",
            number=each.number,
            head=each.head,
            line=partial(line_in, bucket, practice, each),
        )
        for each in anchored_in(bucket, practice)
    )


def look_at_evidence(
    plan: Plan,
    tools: EvidenceTools,
    *,
    repositories: Collection[str] = (),
    expect: Collection[str] = (),
    fingerprints: Collection[str] = (),
) -> EvidenceVerified | None:
    """Verify the evidence of a practice, also against the bucket that its plan names, where that
    can be looked into, and against these repositories; `None` where there is no evidence.

    Raises:
        RepositoryError: by its class; one of the repositories cannot be looked into.
    """
    practice, bucket = plan.practice.id, plan.evidence.anchor.s3
    kept: list[KeptHead] = []
    unseen: list[str] = []
    for name in repositories:
        kept += kept_in_repository(tools.open_repository(plan, name), practice)
    if bucket is not None:
        try:
            kept += kept_in_bucket(bucket, practice)
        except StorageUnusable as error:
            unseen.append(f"not looked into: {error.message}")
    found = verify_evidence(
        tools.store.evidence,
        practice,
        tools.signer(),
        kept=kept,
        expect=expect,
        fingerprints=fingerprints,
    )
    return found and replace(found, notes=(*found.notes, *unseen))
