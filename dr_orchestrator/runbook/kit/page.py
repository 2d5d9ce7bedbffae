"""What the first page of a kit says, and its paper: put into words here, laid out by templates.

Pure. Every text in it is made safe to show, since names come from files of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.wording import (
    date_words,
    day_words,
    duration_words,
    moment_words,
    size_words,
)
from dr_orchestrator.runbook.kit.contents import MADE_BY
from dr_orchestrator.runbook.kit.given import Held, KitInput, example, held, inputs_of, ways
from dr_orchestrator.runbook.kit.loading import COMMAND, load_lines
from dr_orchestrator.runbook.kit.steps import Sheet, contacts_asked, dialled, sheets
from dr_orchestrator.runbook.order import waits_for
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from dr_orchestrator.core.point import AssetState
    from dr_orchestrator.plan.model import Asset

SHA_SHOWN = 12
SPACE_FACTOR = 2
"""What comes back, and what is made of it: a dump beside the database that it is loaded into."""
_OF_ONE_RELEASE = re.compile(r"postgresql-[0-9]+")
_MAJOR = re.compile(r"[0-9]{1,3}")
_VERSION = re.compile(r"[0-9A-Za-z.+~-]{1,40}")
"""A manifest is data that somebody else may have written: only this much of it becomes the name of
a package."""
_ENGINES = {
    AssetKind.POSTGRES: ("postgresql", "PostgreSQL"),
    AssetKind.MARIADB: ("mariadb-server", "MariaDB"),
    AssetKind.SQLITE: ("sqlite3", "SQLite"),
}


@dataclass(frozen=True, kw_only=True)
class Guide:
    """One runbook, and when it is the right one."""

    when: str
    title: str
    files: tuple[tuple[str, str], ...]
    """Title of the system it is about (empty: the practice), and its sheet."""


@dataclass(frozen=True, kw_only=True)
class ContactRow:
    """Somebody to call; what the plan does not know is empty: a blank to fill in by hand."""

    role: str
    phone: str
    dial: str
    email: str
    verified: str


@dataclass(frozen=True, kw_only=True)
class PointRow:
    """The newest point of a system in one repository."""

    repository: str
    as_of: str
    size: str
    proven: str
    command: str
    with_restic: str
    """The same by restic alone. Each has a folder of its own, since it goes over nothing."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of how something is put to use: to be typed, or to be read."""

    text: str
    is_command: bool


@dataclass(frozen=True, kw_only=True)
class AssetUse:
    """How one part of a system is put to use once it came back."""

    asset: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """One system, in recovery order."""

    number: int
    id: str
    title: str
    waits_for: str
    rto: str
    space: str
    points: tuple[PointRow, ...]
    folder: str
    """Where `restore.sh` brings the newest point to; empty where there is none."""
    uses: tuple[AssetUse, ...]


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """Where a repository is, and where what opens it is kept."""

    repository: str
    location: str
    key: str
    environment: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """A Debian package, and what needs it."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class KitPage:
    """All that is on the first page, and on paper."""

    practice: str
    name: str
    made: str
    expires: str
    made_at: str
    timezone: str
    plan: str
    inputs: str
    made_by: str
    newer: str
    """Where a newer kit may be."""
    guides: tuple[Guide, ...]
    contacts: tuple[ContactRow, ...]
    systems: tuple[SystemRow, ...]
    space: str
    elsewhere: tuple[tuple[str, str], ...]
    """Systems that this kit does not bring back, and why not."""
    keys: tuple[KeyRow, ...]
    holders: tuple[str, ...]
    packages: tuple[Package, ...]
    install: str
    rare: tuple[str, ...]
    """Packages that a release of Debian may not have, since it has another version."""
    restic: tuple[str, ...]
    """Files with restic itself."""
    unread: tuple[str, ...]
    first_system: str
    first_repository: str
    has_pdf: bool
    sheets: tuple[Sheet, ...]


def kit_page(given: KitInput, *, has_pdf: bool) -> KitPage:
    """Return what the first page and the paper say."""
    plan, zone = given.plan, given.plan.practice.timezone
    papers = sheets(given)
    systems = tuple(_systems(given))
    packages = tuple(_packages(given))
    system, repository = example(given)
    page = KitPage(
        practice=plan.practice.id,
        name=plan.practice.name,
        made=date_words(given.made, zone),
        expires=date_words(given.expires, zone),
        made_at=moment_words(given.made, zone),
        timezone=zone.key,
        plan=given.loaded.sha256[:SHA_SHOWN],
        inputs=inputs_of(given.loaded, given.runbooks)[:SHA_SHOWN],
        made_by=MADE_BY,
        newer=_newer(given),
        guides=tuple(_guides(papers)),
        contacts=tuple(_contacts(given)),
        systems=systems,
        space=size_words(sum(_space(given, each.id) for each in systems)),
        elsewhere=tuple(_elsewhere(given)),
        keys=tuple(
            KeyRow(
                repository=each.repository,
                location=each.location,
                key=each.key,
                environment=_environment(each.environment, each.environment_key),
            )
            for each in ways(given)
        ),
        holders=tuple(_holders(given)),
        packages=packages,
        rare=tuple(each.name for each in packages if _OF_ONE_RELEASE.fullmatch(each.name)),
        install=f"sudo apt install {' '.join(each.name for each in packages)}",
        restic=tuple(sorted(f"restic/{name}" for name in given.restic)),
        unread=tuple(f"{name}: {why}" for name, why in given.unread.items()),
        first_system=system,
        first_repository=repository,
        has_pdf=has_pdf,
        sheets=papers,
    )
    return printable_parts(page)


def _guides(papers: tuple[Sheet, ...]) -> Iterator[Guide]:
    for (title, when), same in groupby(papers, key=lambda each: (each.title, each.when)):
        files = tuple((each.about, each.file) for each in same)
        yield Guide(when=when, title=title, files=files)


def _newer(given: KitInput) -> str:
    spec = given.plan.kit
    places = []
    if spec is not None and spec.folder is not None:
        places.append(f"the folder {spec.folder / given.plan.practice.id}")
    if spec is not None and spec.s3 is not None:
        places.append(f"{spec.s3.to.rstrip('/')}/{given.plan.practice.id}/")
    if spec is not None and spec.mail:
        roles = (given.plan.contacts[each].role for each in spec.mail)
        places.append(f"the newest e-mail to: {', '.join(roles)}")
    return "; ".join(places)


def _contacts(given: KitInput) -> Iterator[ContactRow]:
    known = given.plan.contacts
    for name, contact in known.items():
        yield ContactRow(
            role=f"{contact.role} ({name})",
            phone=contact.phone or "",
            dial=dialled(contact.phone),
            email=contact.email or "",
            verified=day_words(contact.verified) if contact.verified else "never",
        )
    for name in contacts_asked(given):
        if name not in known:
            role = name.replace("_", " ")
            yield ContactRow(role=role, phone="", dial="", email="", verified="")


def _systems(given: KitInput) -> Iterator[SystemRow]:
    plan = given.plan
    titles = {name: each.title for name, each in plan.systems.items()}
    order = waits_for(plan, plan.protected)
    for number, (name, waits) in enumerate(order.items(), start=1):
        points = held(given, name)
        yield SystemRow(
            number=number,
            id=name,
            title=titles[name],
            waits_for=", ".join(titles[each] for each in waits),
            rto=duration_words(plan.protected[name].rto),
            space=size_words(space) if (space := _space(given, name)) else "",
            points=tuple(_point(given, name, each) for each in points),
            folder=_by_restic(name, points[0]) if points else "",
            uses=tuple(_uses(given, name, points[0])) if points else (),
        )


def _uses(given: KitInput, system: str, each: Held) -> Iterator[AssetUse]:
    for asset, lines in load_lines(given, system, each):
        yield AssetUse(
            asset=asset,
            lines=tuple(
                Line(text=line.removeprefix(COMMAND), is_command=line.startswith(COMMAND))
                for line in lines
            ),
        )


def _by_restic(system: str, each: Held) -> str:
    return f"/srv/restic-{system}-{each.copy.repository}"


def _point(given: KitInput, system: str, each: Held) -> PointRow:
    zone = given.plan.practice.timezone
    return PointRow(
        repository=each.copy.repository,
        as_of=moment_words(each.point.as_of, zone),
        size=size_words(each.bytes),
        proven=_proven(given, system, each),
        command=f"python3 dro-kit.py restore {system} --repository {each.copy.repository} "
        f"--to /srv/restored-{system}-{each.copy.repository}",
        with_restic=f"./restore.sh restore {system} {each.copy.repository} "
        f"{_by_restic(system, each)}",
    )


def _proven(given: KitInput, system: str, each: Held) -> str:
    zone = given.plan.practice.timezone
    if each.proven:
        return f"proven by a restore test on {date_words(each.proven, zone)}"
    of_others = [
        test.started_at
        for test in given.tests
        if (test.system, test.repository) == (system, each.copy.repository)
    ]
    if not of_others:
        return "no restore from there was proven yet"
    return f"one before it was proven by a restore test on {date_words(max(of_others), zone)}"


def _space(given: KitInput, system: str) -> int:
    """Return the bytes it takes to bring a system back, by the largest of its points."""
    return SPACE_FACTOR * max((each.bytes for each in held(given, system)), default=0)


def _elsewhere(given: KitInput) -> Iterator[tuple[str, str]]:
    for system in given.plan.systems.values():
        by, why = getattr(system, "protected_by", ""), getattr(system, "not_protected", "")
        if by:
            yield system.title, f"ask whoever protects it: {by}"
        elif why:
            yield system.title, f"nobody protects it: {why}"


def _environment(names: tuple[str, ...], where: str) -> str:
    if not names:
        return ""
    said = " and ".join(names)
    return f"{said}: {where}" if where else f"{said}: where they are kept, the plan does not say"


def _holders(given: KitInput) -> Iterator[str]:
    contacts = given.plan.contacts
    for each in given.plan.custody:
        contact = contacts.get(each.holder)
        who = f"{contact.role} ({each.holder})" if contact else each.holder
        phone = f", {contact.phone}" if contact and contact.phone else ""
        yield f"{who}: {each.form}{phone}"


# --- what a server needs -------------------------------------------------------------------------


def _packages(given: KitInput) -> Iterator[Package]:
    """Yield each package once: those that everything needs, then the engines."""
    why: dict[str, list[str]] = {
        "restic": ["to read the backups"],
        "python3": ["for dro-kit.py"],
    }
    for way in ways(given):
        scheme = way.location.partition(":")[0]
        needed = {"sftp": "openssh-client", "rclone": "rclone"}.get(scheme)
        if needed:
            why.setdefault(needed, []).append(f"for the repository {way.repository}")
    for system in waits_for(given.plan, given.plan.protected):
        states = _states(given, system)
        for name, asset in given.plan.protected[system].assets.items():
            for package, reason in _engine(asset, states.get(name)):
                why.setdefault(package, []).append(f"{reason}: {system}/{name}")
    for name, reasons in why.items():
        yield Package(name=name, why="; ".join(reasons))


def _states(given: KitInput, system: str) -> dict[str, AssetState]:
    for each in held(given, system):
        if manifest := given.manifests.get(each.point.id):
            return dict(manifest.assets)
    return {}


def _engine(asset: Asset, state: AssetState | None) -> Iterator[tuple[str, str]]:
    if asset.kind not in _ENGINES:
        return
    package, title = _ENGINES[asset.kind]
    server = state.server if state is not None else {}
    version, major = server.get("version", ""), server.get("major", "")
    if asset.kind is AssetKind.POSTGRES and _MAJOR.fullmatch(major):
        package = f"postgresql-{major}"
    if server.get("vendor", "").lower() == "mysql":
        package, title = "mysql-server", "MySQL, from its maker's own packages"
    yield package, f"{title} {version}" if _VERSION.fullmatch(version) else title
