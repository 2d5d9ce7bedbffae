"""A dump that mariadb-dump or mysqldump wrote: what it says of itself, and how it is loaded.

Two readings, as of PostgreSQL's (`postgres_script`): the first learns which server it is of, which
databases it fills and whom views and routines run as, and whether it has an end; the second yields
what the client gets. Left out are the server's own databases, since accounts and settings of
production have no place in a server of ours, and what would make it a replica.

Pure: it looks at lines, not at syntax. A newline in a row is escaped, so no row begins a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dr_orchestrator.assets.mariadb_dump import for_loading
from dr_orchestrator.assets.script_lines import in_lines
from dr_orchestrator.servers.mariadb_programs import Version

OF_THE_SERVER = frozenset({"information_schema", "mysql", "performance_schema", "sys"})
"""Databases that are not the practice's."""
_END = rb"(?=\r?(?:\n|\Z))"
_NAME = rb"`((?:[^`\n]|``)+)`"
_STARTS = re.compile(rb"\n-- (?:MariaDB|MySQL) dump [^\n]*")
_ENDS = re.compile(rb"\n-- Dump completed(?: on [^\n]*)?" + _END)
_SETTINGS_KEPT = re.compile(rb"\n/\*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES")
_SETTINGS_GIVEN_BACK = re.compile(rb"\n/\*!40111 SET SQL_NOTES=@OLD_SQL_NOTES \*/;" + _END)
_SERVER = re.compile(rb"\n-- Server version\t([^\n]*)")
_OWN_DATABASE = re.compile(rb"\n-- Host: [^\n]*? +Database: ([^\r\n]+)")
_ON_WINDOWS = re.compile(rb"\n-- (?:MariaDB|MySQL) dump [^\n]*, for [Ww]in")
_PLACE = re.compile(
    rb"\n(?:USE |CREATE DATABASE [^`\n]*|/\*!40000 DROP DATABASE IF EXISTS )" + _NAME
)
_DEFINER = re.compile(
    rb"\n(?:/\*!\d{5} (?:CREATE\*/ /\*!\d{5} )?|CREATE )DEFINER=%b@%b" % (_NAME, _NAME)
)
_REPLICA = re.compile(rb"\n(?:CHANGE MASTER |CHANGE REPLICATION |SET GLOBAL gtid_)[^\n]*")
_REPLICA_OR_REMOVAL = re.compile(
    rb"\n(?:CHANGE MASTER |CHANGE REPLICATION |SET GLOBAL gtid_|/\*!40000 DROP DATABASE )[^\n]*"
)


@dataclass(frozen=True, kw_only=True)
class MariadbScript:
    """What a dump says of itself."""

    begun: int
    """How many dumps begin in it; 0 where its comments were left out."""
    ended: int
    """How many of them say that they are complete."""
    version: Version | None
    """Of the server it was made of."""
    database: str
    """The name of the one database it is of; empty where it does not say."""
    databases: tuple[str, ...]
    """Those that it leads to itself, without the server's own; none where it only fills one."""
    of_the_server: bool
    """Whether it holds databases of the server's own."""
    definers: tuple[str, ...]
    """`user@host` of whoever views, routines, triggers and events run as."""
    on_windows: bool

    @property
    def is_whole(self) -> bool | None:
        """Whether it was written to its end; `None` where it does not say."""
        return self.begun == self.ended if self.begun else None


def survey(blocks: Iterable[bytes]) -> MariadbScript:
    """Read a dump, and return what it says of itself."""
    comments, settings = [0, 0], [0, 0]
    version, database, on_windows = None, "", False
    places: dict[str, None] = {}
    definers: dict[str, None] = {}
    for lines, whole in in_lines(blocks):
        if not whole:
            continue
        text = b"\n" + lines
        for counts, signs in (
            (comments, (_STARTS, _ENDS)),
            (settings, (_SETTINGS_KEPT, _SETTINGS_GIVEN_BACK)),
        ):
            for place, sign in enumerate(signs):
                counts[place] += len(sign.findall(text))
        if version is None and (stated := _SERVER.search(text)):
            version = Version.parse(stated[1].decode(errors="replace"))
        if not database and (stated := _OWN_DATABASE.search(text)):
            database = name_of(stated[1])
        on_windows = on_windows or bool(_ON_WINDOWS.search(text))
        places |= {name_of(name): None for name in _PLACE.findall(text)}
        for user, host in _DEFINER.findall(text):
            definers[f"{name_of(user)}@{name_of(host)}"] = None
    begun, ended = comments if comments[0] else settings
    return MariadbScript(
        begun=begun,
        ended=ended,
        version=version,
        database=database,
        databases=tuple(name for name in places if name.lower() not in OF_THE_SERVER),
        of_the_server=any(name.lower() in OF_THE_SERVER for name in places),
        definers=tuple(definers),
        on_windows=on_windows,
    )


def pieces(blocks: Iterable[bytes], *, in_place: bool) -> Iterator[bytes]:
    """Yield what the client gets; with `in_place` it leads to the dump's own databases."""
    kept = _without_the_server(blocks, _REPLICA if in_place else _REPLICA_OR_REMOVAL)
    return for_loading(kept, in_place=in_place)


def name_of(quoted: bytes) -> str:
    """Return a name that was in backticks."""
    return quoted.replace(b"\0", b"").decode(errors="replace").replace("``", "`")


def _without_the_server(blocks: Iterable[bytes], removed: re.Pattern[bytes]) -> Iterator[bytes]:
    left_out = False
    for lines, whole in in_lines(blocks):
        if not whole:
            if not left_out:
                yield lines
            continue
        text, begin = b"\n" + lines, 0
        places = [(found.start(), name_of(found[1])) for found in _PLACE.finditer(text)]
        for end, name in (*places, (len(text), None)):
            if not left_out:
                # without the newline before its first line, which the client has got already
                yield removed.sub(b"\n", text[begin : end + 1])[1:]
            begin = end
            if name is not None:
                left_out = name.lower() in OF_THE_SERVER
