"""Secrets and who holds them: what can be seen without believing that they open anything.

Whether they do is seen where they are used. No value is looked at here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.custody import custody_standings
from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.wording import some_names
from dr_orchestrator.doctor.complaint import Complaint, Kind, of_plan
from dr_orchestrator.plan.model import CommandAsset
from dr_orchestrator.settings import environment_value

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.core.custody import CustodyStanding
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.plan.notification import Notification
    from dr_orchestrator.plan.secret_reference import SecretReference
    from dr_orchestrator.settings import Settings


def look_at_keys(loaded: LoadedPlan, record: PracticeRecord, now: datetime) -> Iterator[Complaint]:
    """Complain of where a practice's secrets are, and of holders who never proved theirs."""
    for field, reference in _of_plan(loaded.plan):
        for kind, what, do in _doubts(reference):
            yield of_plan(loaded, field, kind, what, do)
    for number, each in enumerate(custody_standings(loaded.plan, record, now)):
        if each.verdict(now) is not Verdict.MET:
            what = f"the key of {each.holder} ({each.form}) {_not_proven(each)}"
            do = f"`dro key prove {loaded.plan.practice.id} --holder {each.holder}`"
            yield of_plan(loaded, f"custody[{number}]", Kind.KEY_NOT_PROVEN, what, do)


def _not_proven(each: CustodyStanding) -> str:
    if each.failed:
        names = some_names([proof.repository for proof in each.failed])
        return f"did not open {names} when it was last tried"
    if each.proven is not None:
        return "was not proven in the time that the plan gives"
    return f"was never proven to open {some_names(each.unproven)}"


def look_at_settings(settings: Settings) -> Iterator[Complaint]:
    """Complain of where this machine's own secrets are."""
    for reference in _of_settings(settings):
        for kind, what, do in _doubts(reference):
            yield Complaint(kind=kind, what=what, do=do)


def _of_plan(plan: Plan) -> Iterator[tuple[str, SecretReference]]:
    for name, repository in plan.repositories.items():
        yield f"repositories.{name}.password", repository.password
        for field, credentials in (
            ("credentials", repository.credentials),
            ("sheet_credentials", repository.sheet_credentials),
            ("maintenance.credentials", repository.maintenance.credentials),
        ):
            for key, reference in credentials.references if credentials else ():
                yield f"repositories.{name}.{field}.{key}", reference
    for system, spec in plan.protected.items():
        for name, asset in spec.assets.items():
            field = f"systems.{system}.assets.{name}"
            if isinstance(asset, CommandAsset):
                for variable, secret in asset.secrets.items():
                    yield f"{field}.secrets.{variable}", secret
            elif password := getattr(asset, "password", None):
                yield f"{field}.password", password
    for number, entry in enumerate(plan.notify):
        for reference in _of_notification(entry):
            yield f"notify[{number}]", reference


def _of_settings(settings: Settings) -> Iterator[SecretReference]:
    servers = (settings.mail, *settings.lab_servers.values())
    yield from (each.password for each in servers if each and each.password)
    for entry in settings.notify:
        yield from _of_notification(entry)


def _of_notification(entry: Notification) -> Iterator[SecretReference]:
    yield from (each for each in (entry.url, entry.webhook, entry.ping) if each)


def _doubts(reference: SecretReference) -> Iterator[tuple[Kind, str, str]]:
    # where it is not set, whoever uses it says so
    if reference.env is not None and environment_value(reference.env):
        yield (
            Kind.SECRET_OF_ENVIRONMENT,
            f"a secret comes from the environment variable {reference.env}",
            "put it into /etc/dro/environment for the service, or keep it in a file of mode 600",
        )
    if reference.file is None:
        return
    path = Path(reference.file)
    try:
        owner = path.stat().st_uid
    except OSError:
        return  # whoever uses it says so
    if owner not in {0, os.geteuid()}:
        what = f"the key file {path} belongs to another user (uid {owner})"
        yield Kind.SECRET_OF_OTHERS, what, f"chown {os.geteuid()} {path}; chmod 600 {path}"
    tree = next((each for each in path.parents if (each / ".git").exists()), None)
    if tree is not None:
        what = f"the key file {path} lies in the git work tree {tree}"
        yield Kind.SECRET_IN_GIT, what, "keep keys where git cannot go"
