"""What `dro recover` says: what a repository holds, what vouches for it, and what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import TYPE_CHECKING

from dr_orchestrator.cli.runbook_words import wrapped_words
from dr_orchestrator.core.wording import count_words, instant_words, printable

if TYPE_CHECKING:
    from dr_orchestrator.takeover.found import FoundPractice, ListedPoint
    from dr_orchestrator.takeover.recover import Recovery
    from dr_orchestrator.takeover.saved_evidence import SavedChain

_LABEL = 10


def listed_lines(location: str, listed: Mapping[str, tuple[ListedPoint, ...]]) -> Iterator[str]:
    """Yield what each system of each practice has there."""
    yield f"{printable(location)}: {count_words(len(listed), 'practice')}"
    for practice, points in listed.items():
        yield practice
        for system in sorted({each.system for each in points}):
            own = [each.as_of for each in points if each.system == system]
            held = count_words(len(own), "recovery point")
            since = f", since {own[0].astimezone(UTC):%Y-%m-%d}" if len(own) > 1 else ""
            yield from _labelled(system, f"{held}, newest {instant_words(own[-1], UTC)}{since}")


def found_lines(found: FoundPractice, *, is_key_known: bool) -> Iterator[str]:
    """Yield what was read back, and how far it can be believed."""
    plan, manifest = found.loaded.plan, found.manifest.manifest
    as_of = instant_words(manifest.as_of, plan.practice.timezone)
    yield f"{found.practice}: {printable(plan.practice.name)}"
    yield from _labelled("plan of", f"point {manifest.point}, as of {as_of}")
    for line in _evidence_lines(found, is_key_known=is_key_known):
        yield from _labelled("evidence", line)
    for each in found.doubts:
        yield from _labelled("DOUBT", each)


def _evidence_lines(found: FoundPractice, *, is_key_known: bool) -> Iterator[str]:
    if found.evidence.trouble:
        yield f"cannot be read: {found.evidence.trouble}"
    elif not found.evidence.chains:
        yield "none is saved there: nothing vouches for what else is"
    for chain in found.evidence.chains:
        yield _chain_line(chain)
        if chain.is_whole and chain.verified and chain.verified.keys and not is_key_known:
            yield f"is its key the one on paper? {chain.verified.keys[0]}"


def _chain_line(chain: SavedChain) -> str:
    entries = count_words(len(chain.lines), "entry", "entries")
    host = f" by {chain.host}" if chain.host else ""
    if chain.verification.is_sound:
        return f"{entries}{host}, all as they were written"
    first = chain.verification.faults[0]
    return f"{entries}{host}, NOT PROVEN: {first.where}: {first.what}"


def evidence_faults(found: FoundPractice) -> tuple[str, ...]:
    """Return what is wrong with the chains, a sentence each."""
    return tuple(
        f"{each.where}: {each.what}"
        for chain in found.evidence.chains
        for each in chain.verification.faults
    )


def next_lines(recovery: Recovery, known: int) -> Iterator[str]:
    """Yield what to do now; `known` is how many recovery points were read back."""
    found, folder = recovery.found, recovery.folder
    practice = found.practice
    held = count_words(known, "recovery point")
    yield f"{practice}: recovered to {folder.path}, {held} known here"
    if not recovery.commands_allowed:
        yield from wrapped_words(
            f"none of the commands runs. Once you have read plans/ and runbooks/ there, take "
            f"`commands: refused` out of {folder.settings}, and they may"
        )
    for name, spec in found.loaded.plan.repositories.items():
        if name != recovery.repository:
            key = printable(spec.password.obtain or str(spec.password))
            where = printable(spec.location)
            yield from _labelled("also there", f"{name}, {where}; its key: {key}")
    if recovery.withheld:
        yield from wrapped_words(
            "the plan names secrets of the machine that is gone. Nothing is looked for where it "
            "says: once you want to use one, put it into"
        )
        for file in recovery.withheld.values():
            yield f"  {file}"
    yield "from now on, in this terminal:"
    yield f"  export DRO_SETTINGS={shlex.quote(str(folder.settings))}"
    yield "then:"
    for line, what in (
        (f"dro incident {practice}", "find out what has happened, and follow what helps"),
        (f"dro restore {practice} --system ID --to DIR", "bring one system back"),
        (f"dro test {practice}", "prove what is there"),
        (f"dro retention show {practice}", "look into what only the repository tells of"),
    ):
        yield f"  {line}"
        yield f"      {what}"


def _labelled(label: str, text: str) -> Iterator[str]:
    indent = " " * (_LABEL + 4)
    first, *more = wrapped_words(printable(text), indent=indent) or [""]
    yield f"  {label:{_LABEL}}  {first.strip()}"
    yield from more
