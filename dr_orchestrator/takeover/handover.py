"""The last day: a folder with all that another machine needs to go on with a practice.

Handing over is put on record before the folder is there, and the evidence is signed after that: so
the folder is of the very last line. Killed in between, the same command makes the folder, and hands
over no second time. From the moment it is on record no run begins here (`store/projection.py`).
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.occurrence import Skipped
from dr_orchestrator.core.record import HandedOver, TakenOver
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import Busy, DroError, SpaceExhausted, StoreUnusable, UsageMistake
from dr_orchestrator.plan.load import effective_yaml
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.repositories.evidence import EVIDENCE as SAVED
from dr_orchestrator.repositories.manifests import manifests_among, tag_value
from dr_orchestrator.takeover.folder import (
    EFFECTIVE_PLAN,
    EVIDENCE,
    FILES_KEY,
    HANDOVER,
    PACKS,
    PLAN,
    RECORD,
    RUNBOOKS,
    Giver,
    handover_json,
    journal_text,
)
from dr_orchestrator.whole_file import sync_folder, writing_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from dr_orchestrator.clock import Clock
    from dr_orchestrator.evidence.signing import Signer
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.base import Repository, Snapshot
    from dr_orchestrator.store.base import ChainHead, Store

KIT = "kit"
_MOST_OCCURRENCES = 100_000
_PRIVATE = 0o600


@dataclass(frozen=True, kw_only=True)
class HandoverRequest:
    """Which practice goes to whom."""

    loaded: LoadedPlan
    out: Path
    """The folder that is made."""
    by: str
    to: str
    """In words; empty: whom it was handed over to before."""
    why: str

    @property
    def practice(self) -> str:
        """The id of the practice."""
        return self.loaded.plan.practice.id


@dataclass(frozen=True, kw_only=True)
class HandoverTools:
    """What handing over is done with."""

    store: Store
    clock: Clock
    signer: Callable[[], Signer]
    files_key: Callable[[str], bytes]
    runbooks: Callable[[LoadedPlan], Mapping[str, bytes]]
    """The practice's own, by file name."""
    packs: Callable[[LoadedPlan], Mapping[str, bytes]]
    require_sound: Callable[[Plan], None]
    """Raises `EvidenceConflict` where the record is not as it was written."""
    make_kit: Callable[[LoadedPlan, Path], str]
    """Makes the kit below a folder; returns what is missing in it, or nothing."""
    keep_evidence: Callable[[LoadedPlan], str]
    """Saves the evidence into the repositories; returns what went wrong, or nothing."""
    export_evidence: Callable[[Plan, Path], None]
    """Signs the evidence to its end, and writes it to a file."""
    pages: Callable[[LoadedPlan, Giver, tuple[str, ...]], Mapping[str, bytes]]
    """What people read, by file name; takes what they should know besides."""
    lock_wait: timedelta


@dataclass(frozen=True, kw_only=True)
class HandedOut:
    """A folder that was written."""

    folder: Path
    giver: Giver
    notes: tuple[str, ...]
    """What somebody should know, and what kept it from nothing."""
    again: bool
    """Whether the practice was handed over before, and only the folder is new."""


def hand_over(request: HandoverRequest, tools: HandoverTools) -> HandedOut:
    """Hand a practice over, and write the folder that another machine takes it over from.

    Raises:
        UsageMistake: there is something at that place, or it was handed over to somebody else.
        Busy: something runs for it just now; nothing new begins then, and the same command goes on.
        EvidenceConflict: the record is not as it was written.
        SpaceExhausted: the disk is full.
    """
    what = f"{request.practice} is being handed over"
    alone = tools.store.locks.hold(
        [f"handover/{request.practice}"], exclusive=True, wait=tools.lock_wait, what=what
    )
    with alone:
        before = tools.store.handed_over().get(request.practice)
        _require_possible(request, before)
        tools.require_sound(request.loaded.plan)
        _require_idle(request, tools)
        new = request.out.with_name(f".{request.out.name}.{request.practice}-handover")
        try:
            _clear(new)
            new.mkdir(mode=0o700)
            handed = _written(request, tools, before, new)
            _sync(new)
            new.rename(request.out)
            sync_folder(request.out.parent)
        except OSError as error:
            raise _cannot_write(request.out, error) from None
        finally:
            with suppress(OSError):
                _clear(new)
        return handed


def _clear(new: Path) -> None:
    """Take away what whoever was killed left half written: it is confidential."""
    with suppress(FileNotFoundError):
        shutil.rmtree(new)


def gone_on_in(
    plan: Plan, store: Store, open_repository: Callable[[Plan, str], Repository]
) -> Mapping[str, DroError | None]:
    """Return the repositories in which another machine went on with a practice since it was handed
    over from here; with why, those that could not be looked into.
    """
    practice, found = plan.practice.id, dict[str, DroError | None]()
    handed = store.handed_over().get(practice)
    if handed is None:
        return found
    points = frozenset(each.id for each in store.practice_record(practice).points)
    chains = frozenset(each.chain for each in store.evidence.chains(practice))
    for name in plan.used_repositories:
        try:
            snapshots = open_repository(plan, name).snapshots({"practice": practice})
        except DroError as error:
            found[name] = error
        else:
            if went_on(snapshots, since=handed.at, points=points, chains=chains):
                found[name] = None
    return found


def went_on(
    snapshots: Iterable[Snapshot],
    *,
    since: datetime,
    points: Collection[str],
    chains: Collection[str],
) -> bool:
    """Return whether points or evidence were saved since then that are not of this record. Pure."""
    later = tuple(each for each in snapshots if each.time > since)
    saved = {tag_value(each, "point") for each in manifests_among(later)}
    written = {tag_value(each, "chain") for each in later if tag_value(each, "dro") == SAVED}
    return not (saved <= set(points) and written <= set(chains))


def withdraw(practice: str, store: Store, *, by: str, at: datetime) -> bool:
    """Go on with a practice that was handed over from here; whether it was. What another machine
    recorded of it meanwhile is not known here: nobody is to have gone on with it.
    """
    if practice not in store.handed_over():
        return False
    ours = _our_chain(store, practice)
    store.record(
        TakenOver(
            practice=practice,
            at=at,
            by=by,
            giver=ProcessIdentity.ours().host,
            chain=ours.chain,
            number=ours.number,
            head=ours.head,
        )
    )
    return True


def _require_possible(request: HandoverRequest, before: HandedOver | None) -> None:
    if os.path.lexists(request.out):
        raise UsageMistake(
            f"there is something at {request.out}",
            hint="name a folder that does not exist yet: nothing is ever written over",
        )
    if before is None and not request.to:
        raise UsageMistake("nobody is named who takes it over", hint="add --to TEXT")
    if before is not None and request.to not in {"", before.to}:
        raise UsageMistake(
            f"{request.practice} was handed over to {printable(before.to)} already",
            hint=f"`dro handover {request.practice} --withdraw` first, or leave --to out",
        )


def _require_idle(request: HandoverRequest, tools: HandoverTools) -> None:
    runs = tools.store.open_runs(request.practice)
    if runs:
        raise Busy(
            f"{runs[0].operation.value} of {request.practice} is under way (run {runs[0].id})",
            hint="let it end, then give the same command again",
        )


def _written(
    request: HandoverRequest, tools: HandoverTools, before: HandedOver | None, new: Path
) -> HandedOut:
    loaded, practice = request.loaded, request.practice
    _write(new / PLAN, [loaded.text.encode()])
    _write(new / EFFECTIVE_PLAN, [effective_yaml(loaded).encode()])
    _write(new / FILES_KEY, [tools.files_key(practice)])
    for folder, files in ((RUNBOOKS, tools.runbooks(loaded)), (PACKS, tools.packs(loaded))):
        (new / folder).mkdir(mode=0o700)
        for name, content in files.items():
            _write(new / folder / name, [content])
    (new / KIT).mkdir(mode=0o700)
    notes = [tools.make_kit(loaded, new / KIT)]
    handed = before or _record(request, tools)
    _call_off(practice, tools)
    _require_idle(request, tools)
    notes.append(tools.keep_evidence(loaded))
    head = _take_out(request, tools, new)
    giver = Giver(
        practice=practice,
        at=handed.at,
        by=handed.by,
        to=handed.to,
        why=handed.why,
        host=ProcessIdentity.ours().host,
        chain=head.chain,
        number=head.number,
        head=head.head,
        key=head.key,
    )
    told = tuple(filter(None, notes))
    for name, content in tools.pages(loaded, giver, told).items():
        _write(new / name, [content])
    _write(new / HANDOVER, [handover_json(new, giver, tools.signer())])
    return HandedOut(folder=request.out, giver=giver, notes=told, again=before is not None)


def _record(request: HandoverRequest, tools: HandoverTools) -> HandedOver:
    handed = HandedOver(
        practice=request.practice,
        at=tools.clock.now(),
        by=request.by,
        to=request.to,
        why=request.why,
    )
    tools.store.record(handed)
    return handed


def _call_off(practice: str, tools: HandoverTools) -> None:
    """Let nothing that came due wait for a practice that is somebody else's now."""
    store = tools.store
    for each in store.occurrences((practice,), since=tools.clock.now(), limit=_MOST_OCCURRENCES):
        store.ledger.cancel(each.occurrence.id, Skipped.HANDED_OVER)


def _take_out(request: HandoverRequest, tools: HandoverTools, new: Path) -> ChainHead:
    """Write evidence and record to the folder, both of one instant: nothing was written between."""
    store, practice = tools.store, request.practice
    tools.export_evidence(request.loaded.plan, new / EVIDENCE)
    before = _our_chain(store, practice)
    _write(new / RECORD, journal_text(store.journal(practice)))
    if before.unsigned or _our_chain(store, practice) != before:
        raise Busy(
            f"something was recorded of {practice} while it was handed over",
            hint="give the same command again",
        )
    return before


def _our_chain(store: Store, practice: str) -> ChainHead:
    found = next((each for each in store.evidence.chains(practice) if each.ours), None)
    if found is None:
        raise StoreUnusable(f"there is no evidence of {practice} yet")
    return found


def _write(file: Path, content: Iterable[bytes]) -> None:
    with writing_whole(file, mode=_PRIVATE) as new:
        for each in content:
            new.write(each)


def _sync(folder: Path) -> None:
    for each in _folders(folder):
        sync_folder(each)


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (each for each in folder.rglob("*") if each.is_dir())


def _cannot_write(out: Path, error: OSError) -> DroError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return SpaceExhausted(f"no space left to write {out}", hint="make room, and do it again")
    why = (error.strerror or "unknown reason").lower()
    return UsageMistake(f"{out} cannot be written: {why}", hint="name another folder")
