r"""A script that pg_dump or pg_dumpall wrote: what it says of itself, and how it is fed to psql.

Two readings. The first learns what must be there before the script can run (versions, databases,
roles), and whether it has an end; the second yields what psql gets, split where the script goes on
to another database. psql is given no command of its own by it, `\connect` neither, so that it can
refuse all of them. Left out is what says where things are in production (tablespaces), what another
version of psql may not know, and, before anything is made, what removes things: nothing is there.

Pure: it reads blocks, and starts nothing. It looks at lines, not at syntax. Rows of `COPY` are not
looked into; rows as `INSERT` are, and such a row can at worst make a load fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dr_orchestrator.assets.script_lines import in_lines

_NAME = rb'(?:"(?:[^"\n]|"")+"|[^\s",;]+)'
_END = rb"(?=\r?(?:\n|\Z))"
_COPY = re.compile(rb"\nCOPY [^\n]* FROM stdin;\r?(?:\n|\Z)")
_COPY_END = re.compile(rb"\n\\\.\r?(?:\n|\Z)")
_STARTS = re.compile(rb"\n-- PostgreSQL database (cluster )?dump" + _END)
_ENDS = re.compile(rb"\n-- PostgreSQL database (?:cluster )?dump complete" + _END)
_VERSION = re.compile(rb"\n-- Dumped (?P<which>from|by) [a-z_ ]*version (?P<major>\d+)(?:\.(\d+))?")
_ENCODING = re.compile(rb"\nSET client_encoding = '([\w-]+)';")
_MADE_DATABASE = re.compile(rb"\nCREATE DATABASE (?P<name>%b)(?P<options>[^\n]*);" % _NAME + _END)
_OPTION = re.compile(rb"([A-Z_]+) = (?:'([^']*)'|([^\s';]+))")
_CONNECT = re.compile(rb"\n\\connect (?:-reuse-previous=on )?(?P<name>%b)[ \t]*" % _NAME + _END)
_CONNECTION_STRING = re.compile(r"dbname='((?:[^'\\]|\\.)*)'")
_MADE_ROLE = re.compile(rb"\nCREATE (?:ROLE|USER) (%b);" % _NAME + _END)
_LIST = rb"%b(?:, ?%b)*" % (_NAME, _NAME)
_NAMED_ROLES = re.compile(
    rb"\n(?:"
    rb"ALTER [^\n]* OWNER TO (%(one)b);"
    rb"|GRANT [^\n]* TO (%(one)b)(?: WITH [A-Z ]+)?;"
    rb"|REVOKE [^\n]* FROM (%(one)b);"
    rb"|CREATE SCHEMA [^\n]* AUTHORIZATION (%(one)b);"
    rb"|CREATE USER MAPPING FOR (%(one)b) SERVER "
    rb"|CREATE POLICY [^\n]*? TO (%(many)b)(?: USING| WITH|;)"
    rb"|ALTER DEFAULT PRIVILEGES FOR ROLE (%(one)b)"
    rb"(?:[^\n]* (?:TO|FROM) (%(one)b)(?: WITH GRANT OPTION)?;)?"
    rb"|SET SESSION AUTHORIZATION '([^'\n]+)';"
    rb")" % {b"one": _NAME, b"many": _LIST}
)
_ONE_NAME = re.compile(_NAME)
_NO_ROLES = frozenset({"public", "current_user", "session_user", "current_role", "default"})
_ELSEWHERE = re.compile(
    rb"\n(?:(?:CREATE|DROP) DATABASE |(?:CREATE|ALTER|DROP|COMMENT ON) TABLESPACE "
    rb"|(?:GRANT|REVOKE) [^\n]* ON TABLESPACE |SET default_tablespace = "
    rb"|\\restrict |\\unrestrict |\\encoding )[^\n]*"
)
"""What is left out wherever it stands: places of production's, and what we tell psql ourselves."""
_MAKES = re.compile(rb"\nCREATE (?!OR REPLACE VIEW )")
_REMOVES = re.compile(
    rb"\n(?:DROP SCHEMA (?:IF EXISTS )?(?P<schema>[^\n]*)"
    rb"|DROP [^\n]*|ALTER [^\n]* DROP [^\n]*|SELECT pg_catalog\.lo_unlink\([^\n]*);" + _END
)
"""What `--clean` begins with. Only a schema may be there: `public`, in any new database."""
_FACTS = {
    "ENCODING": ("encoding",),
    "LOCALE": ("collate", "ctype"),
    "LC_COLLATE": ("collate",),
    "LC_CTYPE": ("ctype",),
    "ICU_LOCALE": ("locale",),
    "BUILTIN_LOCALE": ("locale",),
}
"""Option of CREATE DATABASE -> what `AssetState.server` calls it."""


@dataclass(frozen=True, kw_only=True)
class PostgresScript:
    """What a script says of itself."""

    begun: int
    """How many dumps begin in it."""
    ended: int
    """How many of them say that they are complete."""
    major: int
    """The newest major version that the server or pg_dump had; 0 where it does not say."""
    server_major: int
    encoding: str
    """That its text is in; empty where it does not say."""
    databases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Those that it goes on to, in its order, and what it says of how to make them, in the words of
    `AssetState.server`."""
    roles: tuple[str, ...] = ()
    """That it names and does not make."""
    sessions: frozenset[str] = frozenset()
    """Those of the roles that it makes things as."""
    is_of_a_cluster: bool = False
    """Whether pg_dumpall wrote it."""

    @property
    def is_whole(self) -> bool | None:
        """Whether it was written to its end; `None` where it does not say."""
        return self.begun == self.ended if self.begun else None


def survey(blocks: Iterable[bytes]) -> PostgresScript:
    """Read a script, and return what it says of itself."""
    survey = _Survey()
    for lines, are_rows in _lines_and_rows(blocks):
        if not are_rows:
            survey.take(b"\n" + lines)
    return survey.result()


def parts(blocks: Iterable[bytes]) -> Iterator[tuple[str | None, Iterator[bytes]]]:
    """Yield the database that a part of the script is for, and the pieces of that part; `None` for
    what comes before it names one. Each part must be read to its end before the next.
    """
    pieces = _pieces(blocks)
    database: str | None = None
    goes_on = True
    while goes_on:
        part = _Part(pieces)
        yield database, iter(part)
        database, goes_on = part.following, part.following is not None


class _Part:
    """The pieces up to where the script goes on to another database."""

    def __init__(self, pieces: Iterator[bytes | _Connect]) -> None:
        self._pieces = pieces
        self.following: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, _Connect):
                self.following = piece.database
                return
            yield piece


@dataclass(frozen=True)
class _Connect:
    database: str


class _Survey:
    """What was found so far."""

    def __init__(self) -> None:
        self._is_of_a_cluster = False
        self._begun = self._ended = self._server = self._tool = 0
        self._encoding = ""
        self._databases: dict[str, dict[str, str]] = {}
        self._made: dict[str, dict[str, str]] = {}
        self._named: dict[str, None] = {}
        self._sessions: set[str] = set()
        self._roles: set[str] = set()

    def take(self, lines: bytes) -> None:
        """Look at whole lines, with a newline before the first."""
        begun = _STARTS.findall(lines)
        self._begun += len(begun)
        self._is_of_a_cluster |= b"cluster " in begun
        self._ended += len(_ENDS.findall(lines))
        for found in _VERSION.finditer(lines):
            if found["which"] == b"from":
                self._server = max(self._server, _major(found))
            else:
                self._tool = max(self._tool, _major(found))
        if not self._encoding and (stated := _ENCODING.search(lines)):
            self._encoding = stated[1].decode()
        for found in _MADE_DATABASE.finditer(lines):
            self._made[name_of(found["name"])] = _facts(found["options"])
        for found in _CONNECT.finditer(lines):
            name = _database_of(found["name"])
            self._databases[name] = self._made.get(name, {})
        self._roles |= {name_of(name) for name in _MADE_ROLE.findall(lines)}
        for found in _NAMED_ROLES.finditer(lines):
            *others, session = found.groups(default=b"")
            if session:
                self._sessions.add(name_of(session))
            for name in _ONE_NAME.findall(b" ".join(others)):
                self._named[name_of(name)] = None

    def result(self) -> PostgresScript:
        named = (*self._named, *sorted(self._sessions - self._named.keys()))
        missing = tuple(name for name in named if _is_role(name) and name not in self._roles)
        return PostgresScript(
            begun=self._begun,
            ended=self._ended,
            major=max(self._server, self._tool),
            server_major=self._server,
            encoding=self._encoding,
            databases=self._databases,
            roles=missing,
            sessions=frozenset(self._sessions),
            is_of_a_cluster=self._is_of_a_cluster,
        )


def name_of(quoted: bytes) -> str:
    """Return the name that a script writes, perhaps in quotes."""
    text = quoted.replace(b"\0", b"").decode(errors="replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _is_role(name: str) -> bool:
    return bool(name) and name.lower() not in _NO_ROLES and not name.startswith("pg_")


def _major(found: re.Match[bytes]) -> int:
    return int(found["major"])


def _database_of(quoted: bytes) -> str:
    r"""Return the database that `\connect` names: by its name, or in a connection string."""
    name = name_of(quoted)
    found = _CONNECTION_STRING.fullmatch(name)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else name


def _facts(options: bytes) -> dict[str, str]:
    facts = {}
    for name, quoted, plain in _OPTION.findall(options):
        value = (quoted or plain).decode(errors="replace")
        for fact in _FACTS.get(name.decode(), ()):
            facts[fact] = value
        if name == b"LOCALE_PROVIDER":
            facts["locale_provider"] = value[:1]
    return facts


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes | _Connect]:
    """Yield what psql gets, and where it is to go on to another database."""
    nothing_made = True
    for lines, are_rows in _lines_and_rows(blocks):
        if are_rows:
            yield lines
            continue
        # each text begins with the newline before its first line, which psql has got already
        text, begin = b"\n" + lines, 0
        for found in _CONNECT.finditer(text):
            kept, _ = _kept(text[begin : found.start() + 1], nothing_made=nothing_made)
            yield kept[1:]
            yield _Connect(_database_of(found["name"]))
            begin, nothing_made = found.end(), True
        kept, nothing_made = _kept(text[begin:], nothing_made=nothing_made)
        yield kept[1:]


def _kept(text: bytes, *, nothing_made: bool) -> tuple[bytes, bool]:
    """Return what is kept of a text, and whether still nothing was made after it."""
    text = _ELSEWHERE.sub(b"\n", text)
    if not nothing_made:
        return text, False
    makes = _MAKES.search(text)
    end = makes.start() if makes else len(text)
    return _REMOVES.sub(_removing, text[:end]) + text[end:], makes is None


def _removing(found: re.Match[bytes]) -> bytes:
    schema: bytes | None = found["schema"]
    return b"\n" if schema is None else b"\nDROP SCHEMA IF EXISTS " + schema + b";"


def _lines_and_rows(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield whole lines of SQL, and what is not looked into (`True`): rows that follow a COPY."""
    in_rows = False
    for lines, whole in in_lines(blocks):
        if not whole:
            yield lines, True
            continue
        text, begin = b"\n" + lines, 0
        while begin < len(lines):
            found = (_COPY_END if in_rows else _COPY).search(text, begin)
            end = found.end() - 1 if found else len(lines)
            yield lines[begin:end], in_rows
            in_rows = in_rows != bool(found)
            begin = end
