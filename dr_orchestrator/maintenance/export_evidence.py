"""Handing the evidence of a practice to somebody who checks it without us: all chains in one file.

What other memories wrote is taken in first, once it was verified: of a chain that is not known yet
a person has to say the key, as with a host that one logs in to for the first time. Whoever can
write to a repository could sign a chain of his own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.errors import EvidenceConflict, UsageMistake
from dr_orchestrator.evidence.bundle import lines_in, write_bundle
from dr_orchestrator.evidence.chain import VerifiedChain, verify
from dr_orchestrator.evidence.line import hash_of
from dr_orchestrator.maintenance.evidence_key import signing
from dr_orchestrator.maintenance.evidence_tools import signed_lines
from dr_orchestrator.maintenance.verify_evidence import EvidenceVerified, look_at_evidence
from dr_orchestrator.repositories.evidence import read_evidence

if TYPE_CHECKING:
    from dr_orchestrator.maintenance.evidence_tools import EvidenceTools
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.store.base import ChainHead, EvidenceLog


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What is handed out, and what is taken in before."""

    plan: Plan
    out: Path
    files: tuple[Path, ...] = ()
    """Exports of other machines."""
    repositories: tuple[str, ...] = ()
    """Repositories that other machines saved their evidence to."""
    keys: tuple[str, ...] = ()
    """Fingerprints of keys that a person vouches for."""
    although_altered: bool = False
    """A person wants it as it is, altered or not."""

    @property
    def practice(self) -> str:
        """The id of the practice."""
        return self.plan.practice.id


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was handed out."""

    chains: tuple[ChainHead, ...]
    """As far as they were signed, ours first."""
    taken_in: int
    """Lines of other memories that were new here."""
    left_out: int
    """Lines of other chains that nobody signed."""
    heads: Mapping[str, str]
    """Chain -> the hash of the last of its lines that was handed out."""
    verified: EvidenceVerified
    """What came of verifying it, before it was signed to its end."""


def export_evidence(request: ExportRequest, tools: EvidenceTools) -> Exported:
    """Write one file with all chains of a practice, verified, and signed to their ends.

    Raises:
        UsageMistake: there is no evidence yet; a file cannot be read or written; a chain that is
            not known here is signed with a key that nobody vouched for.
        EvidenceConflict: ours is not as it was written, and nobody said that this is known; or
            what is to be taken in is not, or contradicts ours.
        RepositoryError: by its class.
    """
    practice, log = request.practice, tools.store.evidence
    with signing(tools.store, practice, wait=tools.lock_wait):
        taken_in = 0
        for file in request.files:
            lines = tuple(line.rstrip(b"\n") for line in lines_in(file))
            taken_in += _take_in(request, tools, str(file), lines)
        for name in request.repositories:
            found = read_evidence(tools.open_repository(request.plan, name), practice)
            lines = tuple(line for chain in found.values() for line in chain)
            taken_in += _take_in(request, tools, f"the repository {name}", lines)
        verified = _verified(request, tools)
        log.checkpoint(practice, tools.signer())
        chains, heads = log.chains(practice), dict[str, str]()
        lines_out = _handed_out(log, chains, heads)
        is_altered = not verified.is_sound
        write_bundle(lines_out, request.out, practice=practice, is_altered=is_altered)
    return Exported(
        chains=chains,
        taken_in=taken_in,
        left_out=sum(each.unsigned for each in chains[1:]),
        heads=heads,
        verified=verified,
    )


def require_sound_evidence(plan: Plan, tools: EvidenceTools) -> None:
    """Make sure that there is evidence of a practice, and that it is as it was written.

    Raises:
        UsageMistake: there is none yet.
        EvidenceConflict: it is not.
    """
    _verified(ExportRequest(plan=plan, out=Path()), tools)


def _verified(request: ExportRequest, tools: EvidenceTools) -> EvidenceVerified:
    """Verify what is to be handed out, also against the repositories that were looked into."""
    found = look_at_evidence(request.plan, tools, repositories=request.repositories)
    if found is None:
        raise UsageMistake(
            f"there is no evidence of {request.practice} yet", hint="it begins with the first run"
        )
    if found.faults and not request.although_altered:
        raise EvidenceConflict(
            f"the evidence of {request.practice} is not as it was written: {found.faults[0]}",
            hint=f"all of it: `dro evidence verify {request.practice}`; to hand it out as it is, "
            "with a word that it was altered: --although-altered",
        )
    return found


def _handed_out(
    log: EvidenceLog, chains: Iterable[ChainHead], heads: dict[str, str]
) -> Iterator[str]:
    for each in chains:
        line = ""
        for line in signed_lines(log, each):
            yield line
        heads[each.chain] = hash_of(line)


def _take_in(
    request: ExportRequest, tools: EvidenceTools, where: str, lines: tuple[bytes, ...]
) -> int:
    """Verify the chains that lie somewhere, and add those that are not ours; return how many lines
    of them were new.
    """
    log, practice = tools.store.evidence, request.practice
    known = {each.chain: each for each in log.chains(practice)}
    found = verify(lines)
    if found.faults:
        fault = found.faults[0]
        raise EvidenceConflict(
            f"the evidence in {where} is not as it was written: {fault.where}: {fault.what}",
            hint="nothing of it was taken in",
        )
    for chain in found.chains:
        if chain.practice != practice:
            raise UsageMistake(f"the evidence in {where} is of another practice, {chain.practice}")
        if chain.chain not in known:
            _require_vouched(chain, where, request.keys)
    ours = {each.chain for each in known.values() if each.ours}
    _require_here(request, tools, where, (each for each in found.chains if each.chain in ours))
    return log.take_in(practice, _of_others(lines, ours))


def _require_vouched(chain: VerifiedChain, where: str, keys: Iterable[str]) -> None:
    if not {each.lower() for each in keys}.isdisjoint(chain.keys):
        return
    raise UsageMistake(
        f"{where} holds a chain that is not known here, {chain.chain}, signed with the key "
        f"{chain.keys[-1]}",
        hint="compare that with what `dro evidence show` says on the machine that wrote it; if it "
        f"is the same: --key {chain.keys[-1]}",
    )


def _require_here(
    request: ExportRequest, tools: EvidenceTools, where: str, copies: Iterable[VerifiedChain]
) -> None:
    """Refuse a copy of our own chain that says something else than we do."""
    heads = {each.head for each in copies}
    if not heads:
        return
    lines = (line.encode() for line in tools.store.evidence.lines(request.practice))
    if missing := verify(lines, expect=heads, must_be_signed=False).missing:
        raise EvidenceConflict(
            f"{where} holds our own chain with an end that is not here: {missing[0]}",
            hint=f"one of the two was altered: `dro evidence verify {request.practice}`",
        )


def _of_others(lines: Iterable[bytes], ours: set[str]) -> Iterator[str]:
    for line in lines:
        if json.loads(line)["chain"] not in ours:
            yield line.decode()
