"""The sheet that a key is handed over on: one page, sealed, for whoever has nothing but restic.

The key stands on it in groups and as a QR code of exactly those signs; beside it where the backups
are, and the lines that bring them back. It is the only place of the key: whoever makes a sheet
prints it, and deletes the file.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import date_words, printable
from dr_orchestrator.repositories.restic_location import with_login
from dr_orchestrator.sheet.html import printable_parts, render
from dr_orchestrator.sheet.pdf import pdf_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dr_orchestrator.core.custody import HeldKey
    from dr_orchestrator.plan.model import Credentials, Plan, RepositorySpec
    from dr_orchestrator.plan.secret_reference import SecretReference

BLANK = "____________"
_ERRORS_CORRECTED = "q"
"""A quarter of the code may be creased or stained."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one repository is, and how to get at it."""

    repository: str
    location: str
    on: str
    """Of a folder, on whose disk."""
    login: str
    """What the storage asks for, or where that is obtained; empty where it asks for nothing."""
    is_printed: bool
    """Whether `login` is what is typed."""
    key: str
    """The id of this key there."""


@dataclass(frozen=True, kw_only=True)
class KeySheet:
    """All that stands on the page."""

    practice: str
    name: str
    holder: str
    made: str
    made_by: str
    groups: tuple[str, ...]
    places: tuple[Place, ...]
    shown: str
    """The repository that the lines are for."""
    lines: tuple[str, ...]
    """What is typed, one after the other."""
    prove: str
    """The command by which it is tried."""


def key_sheet(
    plan: Plan,
    holder: str,
    password: Secret,
    opens: Mapping[str, HeldKey],
    read: Callable[[SecretReference], Secret],
    *,
    site: str,
    made: datetime,
) -> KeySheet:
    """Return the sheet of a key that opens these repositories; `read` is asked for the read-only
    credentials that the plan wants printed.

    Raises:
        SecretUnavailable: one of them cannot be had.
    """
    contact = plan.contacts.get(holder)
    specs = {name: plan.repositories[name] for name in opens}
    shown = next((name for name, spec in specs.items() if spec.is_elsewhere), next(iter(specs)))
    groups = tuple(password.reveal().split("-"))
    page = KeySheet(
        practice=plan.practice.id,
        name=plan.practice.name,
        holder=contact.role if contact else holder,
        made=date_words(made, plan.practice.timezone),
        made_by=next(iter(opens.values())).made_by,
        groups=groups,
        places=tuple(_place(name, spec, opens[name], read, site) for name, spec in specs.items()),
        shown=shown,
        lines=tuple(_lines(specs[shown], read)),
        prove=f"dro key prove {plan.practice.id} --holder {holder}",
    )
    return printable_parts(page)


def html_of(sheet: KeySheet) -> bytes:
    """Return the sheet as one HTML file."""
    return render("dr_orchestrator.custody", "key_sheet.html", sheet, qr=qr_code(sheet.groups))


def paper_of(sheet: KeySheet, made: datetime) -> bytes | None:
    """Return the sheet as PDF; `None` where this machine cannot make one."""
    return pdf_of(html_of(sheet), made)


def qr_code(groups: tuple[str, ...]) -> str:
    """Return the QR code of a key, exactly as it is typed, as inline SVG."""
    import segno

    code = segno.make("-".join(groups), error=_ERRORS_CORRECTED, micro=False)
    drawn = io.BytesIO()
    code.save(drawn, kind="svg", xmldecl=False, svgns=False, omitsize=True, light="#fff")
    return drawn.getvalue().decode()


def _place(
    name: str,
    spec: RepositorySpec,
    key: HeldKey,
    read: Callable[[SecretReference], Secret],
    site: str,
) -> Place:
    printed = "; ".join(_printed(spec, read))
    return Place(
        repository=name,
        location=spec.location,
        on="" if spec.scheme else site,
        login=printed or _obtained(spec),
        is_printed=bool(printed),
        key=key.key,
    )


def _printed(spec: RepositorySpec, read: Callable[[SecretReference], Secret]) -> Iterator[str]:
    """Yield the read-only credentials that are printed, in words."""
    given = spec.sheet_credentials
    if given is None:
        return
    if given.user and given.password:
        yield f"user {given.user}, password {read(given.password).reveal()}"
    if given.access_key_id and given.secret_access_key:
        yield f"key id {read(given.access_key_id).reveal()}"
        yield f"secret key {read(given.secret_access_key).reveal()}"


def _obtained(spec: RepositorySpec) -> str:
    """Return where a person obtains what the storage asks for; a blank where nobody says."""
    given = spec.credentials
    places = dict.fromkeys(each.obtain for _, each in given.references if each.obtain)
    if places:
        return printable("; ".join(str(each) for each in places))
    asks = spec.is_s3 or given.user is not None or given.aws_profile is not None
    return BLANK if asks else ""


def _lines(spec: RepositorySpec, read: Callable[[SecretReference], Secret]) -> Iterator[str]:
    """Yield what brings a backup back with nothing but a shell and restic."""
    given = spec.sheet_credentials
    yield "sudo apt-get install restic"
    yield f"export RESTIC_REPOSITORY={_quoted(_location(spec, given, read))}"
    if spec.is_s3:
        yield " ".join(("export", *_of_amazon(spec, given, read)))
    yield "read -rsp 'key: ' RESTIC_PASSWORD && export RESTIC_PASSWORD"
    yield "restic snapshots --no-lock"
    yield "restic restore --no-lock ID --target restored"


def _location(
    spec: RepositorySpec,
    given: Credentials | None,
    read: Callable[[SecretReference], Secret],
) -> str:
    """Return the location, with the login of a REST server in it."""
    user = (given or spec.credentials).user
    if spec.scheme != "rest" or user is None:
        return spec.location
    password = read(given.password) if given and given.password else Secret("PASSWORD")
    return with_login(spec.location, user, password).reveal()


def _of_amazon(
    spec: RepositorySpec,
    given: Credentials | None,
    read: Callable[[SecretReference], Secret],
) -> Iterator[str]:
    key_id, key = (given.access_key_id, given.secret_access_key) if given else (None, None)
    yield f"AWS_ACCESS_KEY_ID={_quoted(read(key_id).reveal()) if key_id else BLANK}"
    yield f"AWS_SECRET_ACCESS_KEY={_quoted(read(key).reveal()) if key else BLANK}"
    if spec.bucket.region:
        yield f"AWS_DEFAULT_REGION={_quoted(spec.bucket.region)}"


def _quoted(text: str) -> str:
    return shlex.quote(text)
