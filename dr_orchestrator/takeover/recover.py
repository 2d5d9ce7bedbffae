"""An empty machine, this package and a key: out of one repository, a folder to go on from.

Nothing in the repository is changed. The plan is a file of this machine afterwards, and so would be
trusted; since it came out of a repository, no command in it runs and no secret that it names is
read unless a person read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import TakenOver
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import EvidenceConflict, PlanInvalid, UsageMistake
from dr_orchestrator.evidence.facts import KINDS
from dr_orchestrator.evidence.line import read_line
from dr_orchestrator.plan.effective import written
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.plan.model import Credentials, RepositorySpec
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.takeover.commands import locations_that_run
from dr_orchestrator.takeover.recovered_folder import Origin, RecoveredFolder
from dr_orchestrator.takeover.references import apart, withheld_in, without_reads

if TYPE_CHECKING:
    from pathlib import Path

    from dr_orchestrator.clock import Clock
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.store.base import Store
    from dr_orchestrator.takeover.found import FoundPractice
    from dr_orchestrator.takeover.saved_evidence import SavedChain

_SETTINGS = """\
# Written by `dro recover`. These are the settings of this machine for whoever says
# export DRO_SETTINGS={file}
plans: {plans}
state: {state}
cache: {cache}
sandbox_directory: {sandbox}
"""
_REFUSED = """\
# Plan and runbooks came out of a repository, where others may have written them. Read what they
# would have run on this machine, in plans/ and runbooks/, then take the next line out.
commands: refused
"""
_TAKEN_OVER = KINDS[TakenOver]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A repository that is in no plan, and what opened it."""

    location: str
    password: Secret
    rest_user: str = ""
    """With `rest:`: whom the server knows us as."""
    rest_password: Secret | None = None

    def as_in_a_plan(self, password: SecretReference, login: SecretReference) -> RepositorySpec:
        """Return it as a plan has it, with its keys under these references."""
        user = {"user": self.rest_user, "password": login} if self.rest_user else {}
        return RepositorySpec(
            location=self.location, password=password, credentials=Credentials(**user)
        )


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What is to be written."""

    found: FoundPractice
    opened: Opened
    repository: str
    """What the plan calls it."""
    folder: RecoveredFolder
    commands_allowed: bool
    """Whether a person read the commands, and wants them to run."""
    reads_allowed: bool
    """Whether a person read which secrets of this machine the plan names, and for whom."""

    @property
    def withheld(self) -> dict[str, Path]:
        """Return the fields of the plan whose secret a person has to put into the folder: where."""
        if self.reads_allowed:
            return {}
        return withheld_in(self.found.loaded.plan, self.repository, self.folder.keys)

    @property
    def origin(self) -> Origin:
        """What the folder says of itself."""
        point = self.found.manifest.manifest.point
        return Origin(location=self.opened.location, practice=self.found.practice, point=point)


def require_harmless(found: FoundPractice) -> None:
    """Refuse a plan that would have something run on this machine even where no command does.

    Raises:
        UsageMistake: it names such a location.
    """
    if running := locations_that_run(found.loaded.plan):
        raise UsageMistake(
            f"the plan reaches a repository by what could run a program: {'; '.join(running)}",
            hint="if that is right, --trust-commands; else take the plan of an earlier point: "
            "--point ID",
        )


def repository_name(found: FoundPractice, location: str, stated: str | None) -> str:
    """Return what the plan calls the repository that it was found in: as it is `stated`, or as the
    evidence says, else the one at this location, else the only one.

    Raises:
        UsageMistake: the plan has none of that name, or it cannot be told which one it is.
    """
    repositories = found.loaded.plan.repositories
    said = found.evidence.called(found.manifests) & repositories.keys()
    there = {name for name, spec in repositories.items() if location in spec.locations}
    for names in ({stated} if stated else set(), said, there, set(repositories)):
        if len(names) == 1:
            (name,) = names
            break
    else:
        name = None
    if name in repositories:
        return name
    raise UsageMistake(
        f"the plan has no repository {stated}" if stated else "which repository of the plan is it?",
        hint=f"--repository is one of: {', '.join(repositories)}",
    )


def write_folder(recovery: Recovery) -> None:
    """Write all but the memory of points: see `remember`.

    Raises:
        PlanInvalid: the plan cannot be used with this repository.
        TargetRefused, SpaceExhausted: it cannot be written.
    """
    found, opened, folder = recovery.found, recovery.opened, recovery.folder
    key, login = folder.key(recovery.repository), folder.key(f"{recovery.repository}.rest")
    here = opened.as_in_a_plan(SecretReference(file=str(key)), SecretReference(file=str(login)))
    saved = apart(found.loaded.plan, recovery.repository)
    if not recovery.reads_allowed:
        saved = without_reads(saved, recovery.repository, folder.keys)
    plan = plan_from_here(saved, recovery.repository, here)
    files = {
        f"plans/{found.practice}.yaml": plan.encode(),
        **{f"plans/packs/{name}": content for name, content in found.packs.items()},
        **{f"runbooks/{name}": content for name, content in found.runbooks.items()},
        f"keys/{key.name}": _one_line(opened.password),
        **({f"keys/{login.name}": _one_line(opened.rest_password)} if opened.rest_password else {}),
        "dro.yaml": _settings(recovery).encode(),
    }
    if found.evidence.chains:
        lines = (line for chain in found.evidence.chains for line in chain.lines)
        files["evidence/evidence.jsonl"] = b"".join(b"%b\n" % line for line in lines)
    folder.write(recovery.origin, files)


def plan_from_here(plan: Plan, name: str, here: RepositorySpec) -> str:
    """Return a plan, written out, in which the repository of this name is reached as `here`. What
    the plan says of it beside that stays, where it can.

    Raises:
        PlanInvalid: the plan cannot be used with it.
    """
    before = plan.repositories[name]
    reached = {each: getattr(here, each) for each in ("location", "password", "credentials")}
    if before.password.obtain:
        obtain = {"obtain": before.password.obtain}
        reached["password"] = here.password.model_copy(update=obtain)
    kept = _written_with(plan, name, before.model_copy(update=reached))
    try:
        read_plan(kept.encode(), name)
    except PlanInvalid:
        # a lock of S3 says nothing of a folder: then only the way to it is known
        kept = _written_with(plan, name, here.model_copy(update=reached))
        read_plan(kept.encode(), name)
    return kept


def _written_with(plan: Plan, name: str, spec: RepositorySpec) -> str:
    return written(plan.model_copy(update={"repositories": {**plan.repositories, name: spec}}))


def _one_line(secret: Secret) -> bytes:
    return f"{secret.reveal()}\n".encode()


def _settings(recovery: Recovery) -> str:
    path = recovery.folder.path
    places = {
        "plans": path / "plans",
        "state": path / "state",
        "cache": path / "cache",
        "sandbox": path / "sandbox",
    }
    quoted = {name: json.dumps(str(place)) for name, place in places.items()}
    settings = _SETTINGS.format(file=recovery.folder.settings, **quoted)
    return settings if recovery.commands_allowed else settings + _REFUSED


def remember(found: FoundPractice, *, store: Store, clock: Clock, by: str) -> tuple[str, ...]:
    """Take the evidence in that was found, and record that this machine goes on after it; return
    what could not be taken in, a sentence each. Done twice, it changes nothing.

    Raises:
        StoreUnusable: it cannot be recorded.
    """
    troubles = [found.evidence.trouble] if found.evidence.trouble else []
    for chain in found.evidence.chains:
        if not chain.is_whole:
            continue
        try:
            store.evidence.take_in(found.practice, (line.decode() for line in chain.lines))
        except (EvidenceConflict, ValueError) as error:
            troubles.append(str(error).splitlines()[0])
    last = next((chain for chain in found.evidence.chains if chain.is_whole), None)
    if last is not None and not _goes_on_already(store, last):
        store.record(_taken_over(last, clock, by))
    return tuple(troubles)


def _goes_on_already(store: Store, last: SavedChain) -> bool:
    ours = next((each for each in store.evidence.chains(last.practice) if each.ours), None)
    if ours is None:
        return False
    said = store.evidence.lines(last.practice, chain=ours.chain, kinds={_TAKEN_OVER})
    return any(read_line(line).about.get("chain") == _id(last) for line in said)


def _id(chain: SavedChain) -> str:
    return chain.verified.chain if chain.verified else ""


def _taken_over(last: SavedChain, clock: Clock, by: str) -> TakenOver:
    (verified,) = last.verification.chains
    return TakenOver(
        practice=last.practice,
        at=clock.now(),
        by=by,
        giver=last.host,
        chain=verified.chain,
        number=verified.lines,
        head=verified.head,
    )
