"""Going on with a practice that another machine handed over.

The record comes first, all of it or nothing; then the files, the plan last, since a scheduler that
finds it goes on with the practice. Killed in between, the same command does what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import TakenOver
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import DroError, SpaceExhausted, UsageMistake
from dr_orchestrator.plan.credentials import credentials_of
from dr_orchestrator.plan.load import find_plans, load_plan, practice_id
from dr_orchestrator.takeover.folder import PACKS
from dr_orchestrator.whole_file import write_whole

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.plan.secret_reference import SecretReference
    from dr_orchestrator.store.base import Store
    from dr_orchestrator.takeover.folder import Handed


@dataclass(frozen=True, kw_only=True)
class TakeoverTools:
    """What taking over is done with."""

    store: Store
    adopt_files_key: Callable[[str, bytes], None]
    runbooks_folder: Callable[[Path, str], Path]
    """Where a practice's own runbooks lie beside a folder of plans."""
    read_secret: Callable[[SecretReference], Secret]
    take_retention: Callable[[Plan, str], None]
    """Makes this machine the one that forgets in a repository."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """How far this machine can go on with a practice."""

    loaded: LoadedPlan
    """As it lies in the plans folder now."""
    written: tuple[Path, ...]
    """The files that are new here."""
    again: bool
    """Whether the record was taken in before."""
    is_back: bool
    """Whether it was handed over from here, and no other machine's record came with it."""
    retention: Mapping[str, str]
    """Repository -> why this machine is not yet the one that forgets there; empty where it is."""
    missing: Mapping[str, str]
    """Field of the plan -> why the secret that it refers to is not here."""


def take_over(handed: Handed, tools: TakeoverTools, *, plans: Path, by: str, at: datetime) -> Taken:
    """Go on with a practice here: its record, its plan, its runbooks, and the retention of its
    repositories.

    Raises:
        UsageMistake: it is known here and was not handed over from here; or a file that is another
            one lies where one of its files belongs.
        EvidenceConflict: what was handed over does not go with itself, or with what is known here.
        SpaceExhausted: the disk is full.
    """
    files = dict(_files(handed, plans, tools))
    _require_free(handed, plans, files)
    giver = handed.giver
    is_new = tools.store.take_over(
        handed.record(),
        TakenOver(
            practice=giver.practice,
            at=at,
            by=by,
            giver=giver.host,
            chain=giver.chain,
            number=giver.number,
            head=giver.head,
        ),
    )
    tools.adopt_files_key(giver.practice, handed.files_key)
    written = tuple(path for path, content in files.items() if _put(path, content))
    loaded = load_plan(next(reversed(files)))
    plan = loaded.plan
    chains = tools.store.evidence.chains(giver.practice)
    return Taken(
        loaded=loaded,
        written=written,
        again=not is_new,
        is_back=is_new and any(each.ours and each.chain == giver.chain for each in chains),
        retention={name: _retention(plan, name, tools) for name in _ours_to_forget(plan)},
        missing=dict(_missing(plan, tools)),
    )


def _files(handed: Handed, plans: Path, tools: TakeoverTools) -> Iterator[tuple[Path, bytes]]:
    """Yield what is put where; the plan last."""
    own = tools.runbooks_folder(plans, handed.practice)
    yield from ((own / name, content) for name, content in handed.runbooks.items())
    yield from ((plans / PACKS / name, content) for name, content in handed.packs.items())
    yield plans / f"{handed.practice}.yaml", handed.loaded.text.encode()


def _require_free(handed: Handed, plans: Path, files: Mapping[Path, bytes]) -> None:
    for path, content in files.items():
        if path.exists() and path.read_bytes() != content:
            raise UsageMistake(
                f"another file lies at {path}",
                hint="move it away: nothing is ever written over",
            )
    others = find_plans(plans) if plans.is_dir() else ()
    for path in others:
        if path not in files and practice_id(path) == handed.practice:
            raise UsageMistake(
                f"{path} is a plan of {handed.practice}", hint="move it away, or name --plans"
            )


def _put(path: Path, content: bytes) -> bool:
    if path.exists():
        return False
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        raise SpaceExhausted(
            f"{path} cannot be written: {why}",
            hint="mend that, then give the same command again: it does what is left",
        ) from None
    return True


def _ours_to_forget(plan: Plan) -> tuple[str, ...]:
    """Return the repositories of which the plan wants anything let go of. What somebody else fills
    is theirs to clear out.
    """
    filled = (
        plan.repositories_of(name) for name, each in plan.protected.items() if not each.is_existing
    )
    names = dict.fromkeys(name for names in filled for name in names)
    return tuple(each for each in names if plan.repositories[each].maintenance.forget != "never")


def _retention(plan: Plan, repository: str, tools: TakeoverTools) -> str:
    try:
        tools.take_retention(plan, repository)
    except DroError as error:
        return printable(error.message)
    return ""


def _missing(plan: Plan, tools: TakeoverTools) -> Iterator[tuple[str, str]]:
    for each in credentials_of(plan):
        if each.reference is None:
            continue
        try:
            tools.read_secret(each.reference)
        except DroError as error:
            yield each.field, str(error)
