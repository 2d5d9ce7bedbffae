"""A key for somebody: drawn, added to repositories, used at once, recorded, and put on a sheet.

The files of the sheet are the only place of it. They never replace one that is there, since that
may be the only place of another key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.core.custody import HeldKey
from dr_orchestrator.core.record import KeyMade
from dr_orchestrator.custody.key_groups import new_groups
from dr_orchestrator.custody.sheet import html_of, key_sheet, paper_of
from dr_orchestrator.errors import DroError, RepositoryError, UsageMistake
from dr_orchestrator.sheet.write import write_sheet

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.custody.tools import CustodyTools
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.plan.secret_reference import SecretReference

_PRIVATE = 0o600
SEALED_SHEET = "sealed sheet"
"""The form of a key that `dro key sheet` makes."""


@dataclass(frozen=True, kw_only=True)
class SheetRequest:
    """A sheet that is asked for."""

    plan: Plan
    holder: str
    repositories: tuple[str, ...]
    out: Path
    """The folder of its files."""
    site: str
    """What this machine is called: folders on it are of use to nobody who does not know which."""
    by: str


@dataclass(frozen=True, kw_only=True)
class MadeKey:
    """A key that was made just now, and the sheet it stands on."""

    password: Secret = field(repr=False)
    opens: Mapping[str, HeldKey]
    """Repository -> its key there: each has an id of its own."""
    failures: Mapping[str, DroError]
    """Repository -> why it does not open that one."""
    files: tuple[Path, ...] = ()
    """None where it opens nothing; without a PDF where this machine can make none."""


def make_sheet(
    request: SheetRequest, tools: CustodyTools, read: Callable[[SecretReference], Secret]
) -> MadeKey:
    """Make a key for a holder, and the sheet of it. `read` leads from a reference to a secret.

    Raises:
        UsageMistake: there is such a sheet, or none can be written there; then no key is made.
        SecretUnavailable: credentials that are to be printed cannot be had; then no key is made.
    """
    plan, made = request.plan, tools.clock.now()
    html, pdf = _files(request, made)
    specs = (plan.repositories[name] for name in request.repositories)
    references = {
        reference
        for spec in specs
        if spec.sheet_credentials
        for _, reference in spec.sheet_credentials.references
    }
    printed = {reference: read(reference) for reference in references}
    key = make_key(plan, request.holder, request.repositories, tools, by=request.by)
    if not key.opens:
        return key
    sheet = key_sheet(
        plan,
        request.holder,
        key.password,
        key.opens,
        printed.__getitem__,
        site=request.site,
        made=made,
    )
    try:
        write_sheet(html, html_of(sheet), mode=_PRIVATE)
        paper = paper_of(sheet, made)
        if paper is not None:
            write_sheet(pdf, paper, mode=_PRIVATE)
    except DroError as error:
        raise type(error)(
            f"{error.message}; the key was made, and nobody holds it",
            hint=f"`dro key revoke {plan.practice.id} --holder {request.holder}` takes it back",
        ) from None
    return replace(key, files=(html,) if paper is None else (html, pdf))


def _files(request: SheetRequest, made: datetime) -> tuple[Path, Path]:
    """Return where the sheet is written to."""
    practice = request.plan.practice
    day = made.astimezone(practice.timezone).date()
    name = f"key-sheet-{practice.id}-{request.holder}-{day}"
    files = request.out / f"{name}.html", request.out / f"{name}.pdf"
    there = next((each for each in files if each.exists()), None)
    if there is not None:
        raise UsageMistake(
            f"{there} is there already", hint="print it and delete it, or name another --out DIR"
        )
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        writable = os.access(request.out, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise UsageMistake(f"{request.out} is no folder that this user may write to")
    return files


def make_key(
    plan: Plan, holder: str, repositories: Iterable[str], tools: CustodyTools, *, by: str
) -> MadeKey:
    """Make one key for a holder that opens each of these repositories; where one fails, the next is
    gone on with.
    """
    password = new_groups()
    opens: dict[str, HeldKey] = {}
    failures: dict[str, DroError] = {}
    for name in repositories:
        try:
            key = _add(plan, name, holder, password, tools)
        except DroError as error:
            failures[name] = error
            continue
        opens[name] = HeldKey(
            practice=plan.practice.id,
            repository=name,
            key=key,
            holder=holder,
            form=SEALED_SHEET,
            made_at=tools.clock.now(),
            made_by=by,
        )
        tools.store.record(KeyMade(key=opens[name]))
    return MadeKey(password=password, opens=opens, failures=failures)


def _add(plan: Plan, name: str, holder: str, password: Secret, tools: CustodyTools) -> str:
    """Add it to one repository; return the id it has there, by which it opens."""
    tools.open_repository(plan, name).add_key(password, user=holder, host=plan.practice.id)
    listed = tools.open_by(plan, name, password).list_keys()
    key = next((each.id for each in listed if each.is_current), None)
    if key is None:
        raise RepositoryError(f"{name} opens with the new key, and does not say which one it is")
    return key
