"""What a first plan says, made of what was found. Pure.

A suggestion is only what can be seen to hold; whatever a person has to judge is marked DECIDE. How
long a restore takes is not among it: nobody knows that before one was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import tzinfo

from dr_orchestrator.adopt.probe import Found
from dr_orchestrator.assets.outline import (
    DatabaseOutline,
    FolderOutline,
    OutlinedTable,
    TimeColumn,
)
from dr_orchestrator.core.wording import count_words, date_words, size_words
from dr_orchestrator.packs.choice import recognised, roles_of
from dr_orchestrator.packs.model import Pack
from dr_orchestrator.plan.effective import written_data
from dr_orchestrator.plan.first import REPOSITORY, Draft, DraftedAsset, comment
from dr_orchestrator.plan.model import PackCheck

LARGE_DATABASE = 50 << 30
"""From here on copying the files of a server comes back much faster than loading a dump."""
MANY_FILES = 50 << 30
"""From here on a nightly restore of all files is a matter of a night's reading."""
_TELLING = re.compile(
    r"(^|_)(created|updated|modified|changed|recorded|entered|inserted)(_|$)|"
    r"(created|updated|modified)(at|on|date|time)?$",
    re.IGNORECASE,
)
"""Columns that programs write when they write the row."""


def first_draft(
    found: Iterable[Found],
    packs: Iterable[Pack],
    *,
    zone: tzinfo,
    zone_name: str,
    location: str,
) -> Draft:
    """Return what the plan says of all that was found."""
    found = tuple(found)
    return Draft(
        timezone=zone_name,
        location=location,
        assets=tuple(_drafted(each, zone) for each in found),
        of_system="".join(_of_system(found, tuple(packs))),
    )


def outline_words(outline: DatabaseOutline | FolderOutline) -> str:
    """Return what is there, in one line."""
    if isinstance(outline, DatabaseOutline):
        return (
            f"{outline.engine}: {size_words(outline.bytes)}, "
            f"{count_words(len(outline.tables), 'table')}, about {count_words(outline.rows, 'row')}"
        )
    least = "" if outline.is_whole else "at least "
    return f"{least}{count_words(outline.files, 'file')}, {size_words(outline.bytes)}"


def _drafted(found: Found, zone: tzinfo) -> DraftedAsset:
    stated = found.named.asset.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return DraftedAsset(name=found.named.name, stated=stated, remarks=tuple(_remarks(found, zone)))


def _remarks(found: Found, zone: tzinfo) -> Iterator[str]:
    outline = found.outline
    if outline is not None:
        yield outline_words(outline)
    if isinstance(outline, DatabaseOutline):
        yield from outline.remarks
        if outline.bytes > LARGE_DATABASE and "SQLite" not in outline.engine:
            yield (
                f"DECIDE: larger than {size_words(LARGE_DATABASE)}: `method: physical` with "
                "`scope: cluster` copies the server's files, which come back faster than a dump "
                "is loaded"
            )
    elif outline is not None:
        yield from _folder_remarks(outline, zone)
    yield from found.conditions
    for error, words in (
        (found.trouble, "DECIDE: could not be backed up now"),
        (found.unloadable, "DECIDE: restore tests here prove nothing"),
    ):
        if error is not None:
            yield f"{words}: {error.message}{f' ({error.hint})' if error.hint else ''}"


def _folder_remarks(outline: FolderOutline, zone: tzinfo) -> Iterator[str]:
    if outline.newest is not None:
        yield f"a file was last changed on {date_words(outline.newest, zone)}"
    if outline.special:
        special = count_words(
            outline.special, "device, socket or pipe", "devices, sockets or pipes"
        )
        yield f"{special}, which no backup takes"
    if outline.is_mounted:
        yield (
            "DECIDE: it is mounted. Make a file in it, name it here, and a share that is gone is "
            "seen: `marker: .this-is-the-share`"
        )


def _of_system(found: tuple[Found, ...], packs: tuple[Pack, ...]) -> Iterator[str]:
    total = sum(each.outline.bytes for each in found if each.outline)
    if total:
        yield comment(f"the first backup reads about {size_words(total)}")
    yield from _tests(found)
    chosen = _pack(found, packs)
    yield from _verify(found, chosen)
    if not (chosen and chosen.newest):
        yield from _newest(found)


def _tests(found: tuple[Found, ...]) -> Iterator[str]:
    sizes = {
        kind: sum(each.outline.bytes for each in found if isinstance(each.outline, kind))
        for kind in (DatabaseOutline, FolderOutline)
    }
    if sizes[DatabaseOutline] > LARGE_DATABASE:
        when, why = '"Sun 03:30"', f"each loads about {size_words(sizes[DatabaseOutline])}"
    else:
        when, why = '"03:30"', "each restores everything, and proves it"
    share = ""
    if sizes[FolderOutline] > MANY_FILES:
        share = ", files: {sample: 5%}"
        why = f"of about {size_words(sizes[FolderOutline])} of files each restores a share"
    yield "restore_tests:\n"
    yield f"  - {{schedule: {when}, from: {REPOSITORY}{share}}} # {why}\n"


def _pack(found: tuple[Found, ...], packs: tuple[Pack, ...]) -> Pack | None:
    """Return the pack that knows one of the databases; `None` where none, or several do."""
    fitting = [
        pack
        for each in found
        if isinstance(each.outline, DatabaseOutline)
        for pack in recognised((table.name for table in each.outline.tables), packs)
        if any(each.named.asset.kind in role.kinds for role in pack.roles.values())
    ]
    return fitting[0] if len(fitting) == 1 else None


def _verify(found: tuple[Found, ...], pack: Pack | None) -> Iterator[str]:
    if pack is None:
        return
    assets = {each.named.name: each.named.asset for each in found}
    missing = pack.roles.keys() - roles_of(pack, PackCheck(pack=pack.name), assets).keys()
    line = f"verify: [baseline, {{pack: {pack.name}}}]\n"
    if not missing:
        yield comment(f"its tables are those of {pack.title}")
        yield line
        return
    wanted = "; ".join(f"`{role}`, {pack.roles[role].about}" for role in sorted(missing))
    yield comment(
        f"DECIDE: its tables are those of {pack.title}; its checks need one asset as {wanted}"
    )
    yield f"# {line}"


def _newest(found: tuple[Found, ...]) -> Iterator[str]:
    """Yield the query for the newest row, where a column of one database stands out for it."""
    best = max(
        (
            (table.rows, column.indexed, each.named.name, table, column)
            for each in found
            if isinstance(each.outline, DatabaseOutline)
            for table in each.outline.tables
            for column in table.times
            if table.rows and _TELLING.search(column.name)
        ),
        key=lambda one: one[:2],
        default=None,
    )
    if best is None:
        return
    rows, indexed, name, table, column = best
    cost = "" if indexed else f", without an index: each backup reads {count_words(rows, 'row')}"
    zone = "" if column.has_zone else ", its times are read in the practice's time zone"
    yield comment(f"DECIDE: is this the row that shows that people work?{cost}{zone}")
    yield _newest_line(name, table, column)


def _newest_line(asset: str, table: OutlinedTable, column: TimeColumn) -> str:
    sql = f"select max({column.name}) from {table.label}"  # noqa: S608 - both are quoted
    return written_data({"newest": {"asset": asset, "sql": sql}})
