"""Whether our evidence is what was once written: by itself, against our own record, and against
what was put where this machine cannot change it.

Reads, and writes nothing: no checkpoint either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dr_orchestrator.errors import DroError, StorageUnusable
from dr_orchestrator.evidence.chain import SHORTEST_HEAD, Verification, verify
from dr_orchestrator.evidence.line import CHAIN_STARTED, EvidenceLine, hash_of, read_line
from dr_orchestrator.evidence.signing import fingerprint, is_signed
from dr_orchestrator.maintenance.anchor import anchored_in, line_in
from dr_orchestrator.plan.anchoring import bucket_words, repository_words
from dr_orchestrator.repositories.evidence import evidence_in, last_line

if TYPE_CHECKING:
    from dr_orchestrator.evidence.canonical import Facts
    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.maintenance.evidence_tools import EvidenceTools
    from dr_orchestrator.plan.model import BucketPlace, Plan
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.store.base import ChainHead, EvidenceLog

_UNREADABLE = (ValueError, TypeError, AttributeError, RecursionError)
"""What reading raises of what we did not write like that."""


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
    unnamed: tuple[str, ...] = ()
    """Chains that are signed with a key that nobody named, where keys were named."""
    recorded_before: int = 0
    """Entries of our own record from before there was evidence: nothing vouches for them."""

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
    before = given_up(log, practice)
    asked = {each.head for each in heads if not each.chain or each.chain in chains}
    found = verify(
        (line.encode() for line in log.lines(practice)),
        fingerprints=fingerprints,
        expect={*expect, *asked, *before.values()},
        must_be_signed=False,
    )
    missing, beginnings = set(found.missing), _beginnings(log, practice)
    here = _Here(chains, before, _own_keys(found, chains, signer))
    judged = [
        here.judge(head)
        for head in heads
        if head.head in missing or (head.chain and head.chain not in chains)
    ]
    return EvidenceVerified(
        verification=found,
        faults=(
            *(f"{each.where}: {each.what}" for each in found.faults if each.is_altered),
            *(f"no entry has the hash {each}" for each in expect if each in missing),
            *_key_faults(found, chains, fingerprint(signer.public)),
            *here.set_aside(beginnings),
            *(
                f"the end of chain {chain}, from which another one went on, was cut off or replaced"
                for chain, head in before.items()
                if head in missing
            ),
            *dict.fromkeys(what for what, is_fault in judged if is_fault),
            *log.disagreements(practice),
        ),
        notes=tuple(dict.fromkeys(what for what, is_fault in judged if not is_fault)),
        matched=len(asked - missing),
        unnamed=tuple(f"{each.where}: {each.what}" for each in found.faults if not each.is_altered),
        recorded_before=_before(beginnings.get(here.first_of_ours)),
    )


def _beginnings(log: EvidenceLog, practice: str) -> dict[str, Facts]:
    """Return what the first line of each chain says, where it was not altered."""
    found: dict[str, Facts] = {}
    for text in log.lines(practice, kinds={CHAIN_STARTED}):
        with suppress(*_UNREADABLE):
            line = read_line(text)
            found[line.chain] = {**line.about}
    return found


def given_up(log: EvidenceLog, practice: str) -> dict[str, str]:
    """Return the chains that ours went on from, because they could not be gone on with, each with
    its head at that time.
    """
    chain = next((each.chain for each in log.chains(practice) if each.ours), "")
    beginnings, found = _beginnings(log, practice), dict[str, str]()
    while True:
        match beginnings.get(chain, {}).get("after"):
            case {"chain": str(chain), "head": str(head)} if chain not in found:
                found[chain] = head
            case _:
                return found


def _own_keys(
    found: Verification, chains: Mapping[str, ChainHead], signer: Signer
) -> frozenset[str]:
    ours = (each.keys for each in found.chains if chains[each.chain].ours)
    return frozenset({fingerprint(signer.public), *(key for keys in ours for key in keys)})


def _key_faults(found: Verification, chains: Mapping[str, ChainHead], own: str) -> Iterator[str]:
    for each in found.chains:
        if chains[each.chain].ours and each.keys and each.keys[-1] != own:
            yield f"it is signed with the key {each.keys[-1]}, and this machine has {own}"


def _signed_line(head: KeptHead) -> EvidenceLine:
    """Return the line that a head is the hash of: anybody may have written it."""
    text = head.line().strip()
    line = read_line(text)
    is_written = str(line.chain) == line.chain and hash_of(text).startswith(head.head)
    if not (is_written and is_signed(line)):
        raise ValueError("no line that anybody signed")
    return line


@dataclass(frozen=True)
class _Here:
    """What this machine knows, for judging what others keep."""

    chains: Mapping[str, ChainHead]
    given_up: Mapping[str, str]
    own_keys: frozenset[str]

    @property
    def first_of_ours(self) -> str:
        """The chain that ours, which went on from one another, began with."""
        ours = next((each.chain for each in self.chains.values() if each.ours), "")
        return [ours, *self.given_up][-1]

    def judge(self, head: KeptHead) -> tuple[str, bool]:
        """Return what it means that a head which is kept elsewhere is not here, and whether that is
        a fault. Whoever may write there may write what nobody signed: that is none.
        """
        what = f"{head.place} keeps entry {head.number} with the hash {head.head[:SHORTEST_HEAD]}"
        try:
            line = _signed_line(head)
        except DroError as error:
            return (
                f"{what}, which is not here, and what it is cannot be read: {error.message}",
                True,
            )
        except _UNREADABLE:
            return f"{what}, and nobody signed that: somebody else put it there", False
        chain = line.chain
        is_own = fingerprint(str(line.about["key"])) in self.own_keys
        if chain not in self.chains:
            if is_own:
                return f"{what} of a chain that was written here and is gone: {chain}", True
            return f"{head.place} holds a chain that is not known here: {chain}", False
        known = self.chains[chain]
        is_another_ones = not is_own or chain in self.given_up
        if not known.ours and is_another_ones and head.number > known.number:
            return f"{head.place} knows more of the chain {chain} than was taken in here", False
        return f"{what}, and it is not here: the end was cut off, or replaced", True

    def set_aside(self, beginnings: Mapping[str, Facts]) -> Iterator[str]:
        """Yield what is wrong where the first of our chains begins after entries of which another
        one speaks that was written here, too: nothing would hold the record against that one.
        """
        before = _before(beginnings.get(self.first_of_ours))
        for each in self.chains.values():
            is_own = bool(each.key) and fingerprint(each.key) in self.own_keys
            is_past = each.ours or each.chain in self.given_up
            if is_own and not is_past and before > _before(beginnings.get(each.chain)):
                yield f"chain {each.chain} was written here, and another one says nothing of it"


def _before(about: Facts | None) -> int:
    """Return how many entries of the journal were there before a chain."""
    before = (about or {}).get("recorded_before")
    return before if isinstance(before, int) else 0


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
