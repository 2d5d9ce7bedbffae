"""Making a kit out of what is known now, and bringing it to where the plan wants it.

What could not be read is said in the kit and keeps it from nothing: an old kit helps nobody. Where
one place fails, the others get theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.record import KitMade
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import date_words
from dr_orchestrator.errors import DroError, SettingsInvalid, UsageMistake
from dr_orchestrator.plan.model import KitSpec
from dr_orchestrator.repositories.manifests import find_manifest
from dr_orchestrator.runbook.kit.build import PAPER, MakePaper, build_kit
from dr_orchestrator.runbook.kit.given import KitInput, held, inputs_of
from dr_orchestrator.runbook.kit.loading import SCRIPT_FILE
from dr_orchestrator.runbook.kit.mail import is_due_by_mail, kit_mail
from dr_orchestrator.runbook.kit.paper import paper_pdf
from dr_orchestrator.runbook.kit.place import put_kit, write_kit
from dr_orchestrator.runbook.shelf import shelf_of
from dr_orchestrator.store.ledger import run_in_ledger

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.clock import Clock
    from dr_orchestrator.core.letter import Letter
    from dr_orchestrator.core.occurrence import Serves
    from dr_orchestrator.core.point import Manifest, RecoveryPoint
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Contact, Plan
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.runbook.kit.build import Kit
    from dr_orchestrator.settings import KitProgram
    from dr_orchestrator.store.base import Store

_VALID: timedelta = KitSpec.model_fields["valid"].default


@dataclass(frozen=True, kw_only=True)
class KitRequest:
    """Whose kit, and where it goes."""

    loaded: LoadedPlan
    out: Path | None = None
    """A folder that gets it, below the practice's id; else where the plan says."""
    serves: Serves | None = None


@dataclass(frozen=True, kw_only=True)
class KitTools:
    """What kits are made with."""

    store: Store
    clock: Clock
    open_repository: Callable[[Plan, str], Repository]
    programs: tuple[KitProgram, ...]
    """restic for other machines, as the settings name it."""
    send: Callable[[Contact, Letter], None]
    """Sends an e-mail; `NotDelivered` where that failed."""
    lock_wait: timedelta
    make_paper: MakePaper = paper_pdf


@dataclass(frozen=True, kw_only=True)
class MadeKit:
    """A kit that was made, and where it went."""

    outcome: Outcome
    """`done`: everywhere; `partial`: some place did not get it; `failed`: none did."""
    reason: str
    places: tuple[str, ...]
    """Where it is, in words."""
    expires: datetime
    unread: Mapping[str, str]
    """Repository -> why nothing could be read there."""
    has_pdf: bool


def make_kit(request: KitRequest, tools: KitTools) -> MadeKit:
    """Make the kit of a practice and deliver it.

    Raises:
        UsageMistake: neither the request nor the plan says where to.
        SettingsInvalid: a program of the settings is not the one they describe.
        Busy: another process makes it just now.
    """
    plan = request.loaded.plan
    practice = plan.practice.id
    if request.out is None and plan.kit is None:
        raise UsageMistake(
            f"the plan of {practice} does not say where its kit goes",
            hint="add --out DIR, or `kit: {folder: DIR}` to the plan",
        )
    alone = tools.store.locks.hold(
        [f"kit/{practice}"],
        exclusive=True,
        wait=tools.lock_wait,
        what=f"the kit of {practice} is being made",
    )
    with (
        run_in_ledger(
            tools.store,
            tools.clock,
            Operation.KIT,
            practice=practice,
            system="",
            serves=request.serves,
        ) as run,
        alone,
    ):
        given = _given(request.loaded, tools)
        kit = build_kit(given, tools.make_paper)
        delivered, failed = _deliver(request, given, kit, tools)
        reason = "; ".join(_why(where, error) for where, error in failed.items())
        outcome = Outcome.DONE
        if failed:
            outcome = Outcome.PARTIAL if delivered else Outcome.FAILED
        run.conclude(outcome, reason)
        if request.out is None and delivered:
            tools.store.record(
                KitMade(
                    practice=practice,
                    run=run.id,
                    at=given.made,
                    expires=given.expires,
                    inputs=kit.inputs,
                    places=delivered,
                )
            )
    return MadeKit(
        outcome=outcome,
        reason=reason,
        places=delivered,
        expires=given.expires,
        unread=given.unread,
        has_pdf=PAPER in kit.files,
    )


def _why(where: str, error: DroError) -> str:
    return error.message if where in error.message else f"{where}: {error.message}"


def kit_due(loaded: LoadedPlan, store: Store) -> str | None:
    """Return the inputs of which a kit is to be made, since plan or runbooks changed after the
    last one, or a place that the plan names does not have it yet; `None` where none is.
    """
    if loaded.plan.kit is None:
        return None
    inputs = inputs_of(loaded, shelf_of(loaded).runbooks)
    last = store.followed.kit(loaded.plan.practice.id)
    if last is None or last.inputs != inputs:
        return inputs
    return None if set(planned_places(loaded.plan)) <= set(last.places) else inputs


def planned_places(plan: Plan) -> tuple[str, ...]:
    """Return where the plan wants the kit, in words."""
    return tuple(name for name, _ in _planned(plan))


# --- what is known -------------------------------------------------------------------------------


def _given(loaded: LoadedPlan, tools: KitTools) -> KitInput:
    plan = loaded.plan
    practice = plan.practice.id
    record = tools.store.practice_record(practice)
    made = tools.clock.now().replace(microsecond=0)
    known = KitInput(
        loaded=loaded,
        runbooks=shelf_of(loaded).runbooks,
        points=_newest(plan, record),
        manifests={},
        kept={},
        restic=read_programs(tools.programs),
        script=SCRIPT_FILE.read_bytes(),
        made=made,
        expires=made + (plan.kit.valid if plan.kit else _VALID),
        tests=tuple(each for each in record.tests if each.result is Result.PASSED),
        restic_ids={
            name: found
            for name in plan.used_repositories
            if (found := tools.store.repository_id(practice, name))
        },
    )
    manifests, unread = _manifests(known, tools)
    kept = {
        each.id: content
        for each in known.points
        if (content := tools.store.kept_manifest(practice, each.id))
    }
    return replace(known, manifests=manifests, unread=unread, kept=kept)


def _newest(plan: Plan, record: PracticeRecord) -> tuple[RecoveryPoint, ...]:
    """Return the newest point of each system that each repository holds, of those we vouch for."""
    found: dict[tuple[str, str], RecoveryPoint] = {}
    for point in record.points:
        for copy in point.copies:
            if point.system in plan.protected and record.vouches_for(copy):
                found[point.system, copy.repository] = point
    return tuple({point.id: point for point in found.values()}.values())


def _manifests(given: KitInput, tools: KitTools) -> tuple[dict[str, Manifest], dict[str, str]]:
    """Read one manifest of each system, from the nearest repository that answers."""
    manifests: dict[str, Manifest] = {}
    unread: dict[str, str] = {}
    practice = given.plan.practice.id
    for system in given.plan.protected:
        for each in held(given, system):
            name = each.copy.repository
            if name in unread:
                continue
            try:
                repository = tools.open_repository(given.plan, name)
                found = find_manifest(
                    repository,
                    practice,
                    system,
                    each.point.id,
                    each.copy,
                    kept=tools.store.kept_manifest,
                )
            except DroError as error:
                unread[name] = error.message
            else:
                manifests[each.point.id] = found.manifest
                break
    return manifests, unread


def read_programs(programs: tuple[KitProgram, ...]) -> dict[str, bytes]:
    """Return programs by their name in the kit.

    Raises:
        SettingsInvalid: a file cannot be read, or has not the hash that the settings say.
    """
    found = {}
    for each in programs:
        try:
            content = each.file.read_bytes()
        except OSError as error:
            raise SettingsInvalid(
                f"`kit_programs`: {each.file} cannot be read: {(error.strerror or '').lower()}"
            ) from None
        if (sha256 := hashlib.sha256(content).hexdigest()) != each.sha256:
            raise SettingsInvalid(
                f"`kit_programs`: {each.file} is not the program the settings say",
                hint=f"its SHA-256 is {sha256}: compare it with its maker's list before you use it",
            )
        found[each.name] = content
    return found


# --- where it goes -------------------------------------------------------------------------------

_Bring = Callable[[KitInput, "Kit", KitTools], None]


def _planned(plan: Plan) -> Iterator[tuple[str, _Bring]]:
    spec, practice = plan.kit, plan.practice.id
    if spec is None:
        return
    if spec.folder is not None:
        yield _to_folder(spec.folder / practice)
    if spec.s3 is not None:
        bucket = spec.s3
        name = f"{bucket.to.rstrip('/')}/{practice}/"
        yield name, lambda _given, kit, _tools: put_kit(kit, bucket, practice)
    for contact in spec.mail:
        yield _mail_name(contact), _by_mail(plan.contacts[contact])


def _to_folder(folder: Path) -> tuple[str, _Bring]:
    return str(folder), lambda _given, kit, _tools: write_kit(kit, folder)


def _mail_name(contact: str) -> str:
    return f"e-mail to {contact}"


def _by_mail(contact: Contact) -> _Bring:
    def bring(given: KitInput, kit: Kit, tools: KitTools) -> None:
        practice = given.plan.practice
        until = date_words(given.expires, practice.timezone)
        tools.send(
            contact,
            kit_mail(kit, practice=practice.id, name=practice.name, made=given.made, until=until),
        )

    return bring


def _deliver(
    request: KitRequest, given: KitInput, kit: Kit, tools: KitTools
) -> tuple[tuple[str, ...], dict[str, DroError]]:
    """Bring a kit to each place; return where it is, and what went wrong elsewhere."""
    practice = given.plan.practice.id
    if request.out is not None:
        name, bring = _to_folder(request.out / practice)
        bring(given, kit, tools)
        return (name,), {}
    has_it = _have_it_by_mail(given, kit, tools)
    delivered: list[str] = []
    failed: dict[str, DroError] = {}
    for name, bring in _planned(given.plan):
        try:
            if name not in has_it:
                bring(given, kit, tools)
        except DroError as error:
            failed[name] = error
        else:
            delivered.append(name)
    return tuple(delivered), failed


def _have_it_by_mail(given: KitInput, kit: Kit, tools: KitTools) -> frozenset[str]:
    """Return the contacts, as places, that have a kit of the same plan and runbooks by e-mail."""
    spec, last = given.plan.kit, tools.store.followed.kit(given.plan.practice.id)
    if spec is None or last is None or last.inputs != kit.inputs:
        return frozenset()
    if is_due_by_mail(last.at, given.made, spec.valid):
        return frozenset()
    return frozenset(last.places) & {_mail_name(each) for each in spec.mail}
