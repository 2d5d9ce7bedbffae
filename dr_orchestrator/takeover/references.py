"""What a plan of another machine would read on this one, to log in somewhere with it.

Whoever wrote such a plan chose both the file and the address. So nothing is read for it until a
person saw both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.plan.credentials import credentials_of, with_references

if TYPE_CHECKING:
    from dr_orchestrator.plan.credentials import Credential
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.plan.secret_reference import SecretReference

_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")


def reads_in(plan: Plan, opened: str = "") -> tuple[str, ...]:
    """Return what a plan would have read here, each after its field path, with the address it is
    for; but for what leads to the repository `opened`. What a command prints is not among it: see
    `commands_in`.
    """
    return tuple(
        f"{each.field}: reads {each.where}" + (f", for {each.towards}" if each.towards else "")
        for each in _read(apart(plan, opened), opened)
    )


def withheld_in(plan: Plan, opened: str, keys: Path) -> dict[str, Path]:
    """Return where a person puts each of these instead: field -> file below `keys`."""
    return {each.field: _placed(keys, each.field) for each in _read(apart(plan, opened), opened)}


def without_reads(plan: Plan, opened: str, keys: Path) -> Plan:
    """Return a plan that reads nothing here but what a person puts there: see `withheld_in`."""
    into = withheld_in(plan, opened, keys)

    def put(field: str, reference: SecretReference) -> SecretReference:
        if field not in into:
            return reference
        return type(reference)(file=str(into[field]), obtain=reference.obtain)

    changed: Plan = with_references(apart(plan, opened), put)
    return changed


def apart(plan: Plan, opened: str) -> Plan:
    """Return a plan in which the other address of a repository, where it has one, does not get the
    login that a person typed for the repository's own.
    """
    spec = plan.repositories.get(opened)
    if spec is None or spec.maintenance.location is None or spec.maintenance.credentials:
        return plan
    maintenance = spec.maintenance.model_copy(update={"credentials": spec.credentials})
    own = spec.model_copy(update={"maintenance": maintenance})
    return plan.model_copy(update={"repositories": {**plan.repositories, opened: own}})


def _read(plan: Plan, opened: str) -> Iterator[Credential]:
    way = f"repositories.{opened}"
    for each in credentials_of(plan):
        is_ours = each.field == f"{way}.password" or each.field.startswith(f"{way}.credentials.")
        if each.reference is not None and each.reference.command is None and not is_ours:
            yield each


def _placed(keys: Path, field: str) -> Path:
    return keys / _NO_FILE_NAME.sub("_", field)
