#!/usr/bin/env python3
"""Lists, restores and checks backups when everything that made them is gone.

One file. It needs Python 3.9 or newer, restic, the password of the repository, and to check a
database the programs of its server: nothing else, and no network but the way to the repository.
With `kit.json` beside it, it knows which points are genuine; without, `--repository LOCATION` will
do. It must never say `passed` of anything it has not looked at, never write over anything, and
never show or keep a password. docs/reference/kit-script.md says what it looks at, and how closely.

    python3 dro-kit.py points
    python3 dro-kit.py cold-start SYSTEM --to DIR      restore, check, and say how long it took
    python3 dro-kit.py restore SYSTEM --to DIR
    python3 dro-kit.py check DIR
"""

from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import getpass
import glob
import hashlib
import io
import json
import os
import platform
import re
import secrets
import shlex
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

VERSION = "1"
KIT_SCHEMA = 1
MANIFEST_SCHEMA = 2
OK, FAILED, USAGE, PARTIAL, UNPROVEN, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""Exit codes: those of `dro`."""

Json = dict[str, Any]


class Trouble(Exception):
    """What a person is told instead of a result. `bad`: the backup itself is at fault."""

    def __init__(
        self, message: str, *, hint: str = "", code: int = FAILED, bad: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.bad = bad


class Unproven(Exception):
    """It could not be looked at: neither passed nor failed."""


class Damaged(Exception):
    """It was looked at, and is not what was saved."""


# --- words ----------------------------------------------------------------------------------------

_screen = sys.stdout


def say(text: str, indent: str = "") -> None:
    """Show a line to the person, wrapped at 80 columns; commands are never broken."""
    lines = textwrap.wrap(
        printable(text),
        79,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    print("\n".join(lines), file=_screen, flush=True)


def say_command(line: str) -> None:
    """Show a command to copy: on one line, whatever its length."""
    print(f"    {printable(line)}", file=_screen, flush=True)


def warn(text: str) -> None:
    """Show what keeps nothing from going on, and must be known."""
    say(f"NOTE: {text}")


def printable(text: str) -> str:
    """Return text without what would move the cursor or colour the screen."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def counted(number: int, one: str, many: str = "") -> str:
    """Return `1 file`, `1,200 files`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size_words(size: int) -> str:
    """Return `4.2 GB`."""
    amount = float(size)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1000:
            return counted(size, "byte") if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def seconds_words(seconds: float) -> str:
    """Return `41 s`, `12 min 5 s`, `2 h 3 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def lines_of(printed: bytes) -> list[str]:
    """Return what a program printed, line by line."""
    return printed.decode(errors="replace").splitlines()


def some(items: Sequence[str]) -> str:
    """Return the first few, and how many more there are."""
    more = len(items) - 5
    return "; ".join(items[:5]) + (f"; and {more:,} more" if more > 0 else "")


def has(text: str, *signs: str) -> bool:
    """Whether any of the signs is in a text."""
    lowered = text.lower()
    return any(sign.lower() in lowered for sign in signs)


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?\s?(Z|[+-]\d\d(?::?\d\d)?)?"
)


def read_time(text: Any, zone: tzinfo | None = None) -> datetime:
    """Return the instant that ISO 8601 text means; without an offset it is read in `zone`.

    Raises:
        ValueError: it is no time, or has no offset and there is no zone.
    """
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not a time")
    year, month, day, hour, minute, second = (int(each) for each in match.groups()[:6])
    micro = int(((match[7] or "") + "000000")[:6])
    offset = match[8]
    if offset in (None, "Z"):
        used: tzinfo | None = timezone.utc if offset else zone
    else:
        hours, minutes = int(offset[1:3]), int(offset[-2:]) if len(offset) > 3 else 0
        used = timezone((-1 if offset[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
    if used is None:
        raise ValueError("a time without a zone")
    found = datetime(year, month, day, hour, minute, second, micro, used)
    return found.astimezone(timezone.utc)


def zone_named(name: str) -> tzinfo | None:
    """Return a time zone, `None` where this computer has no table of them."""
    try:
        from zoneinfo import ZoneInfo

        return ZoneInfo(name)
    except Exception:  # noqa: BLE001 - Windows has no table, and a name may be anything
        return None


def now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)


# --- the kit --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kit:
    """`kit.json`, or that there is none."""

    folder: Path
    content: Json | None

    @property
    def practice(self) -> str:
        """The practice's id; empty without a kit."""
        return str(self.content["practice"]) if self.content else ""

    @property
    def zone(self) -> tzinfo | None:
        """The time zone of its people."""
        return zone_named(str(self.content.get("timezone", ""))) if self.content else None

    @property
    def systems(self) -> list[str]:
        """Ids, what is restored first first."""
        found: Json = self.content.get("systems", {}) if self.content else {}
        return sorted(found, key=lambda name: (found[name].get("order", 0), name))

    def system(self, name: str) -> Json:
        """Return what the kit says of a system; empty where it knows none."""
        found: Json = (self.content or {}).get("systems", {}).get(name, {})
        return found

    @property
    def repositories(self) -> Json:
        """Return what the kit says of repositories, by name."""
        found: Json = (self.content or {}).get("repositories", {})
        return found

    def points(self, system: str) -> list[Json]:
        """Return the points that it knows of a system."""
        found: list[Json] = (self.content or {}).get("points", {}).get(system, [])
        return found

    def trust(self, system: str, point: str, sha256: str) -> str:
        """Return whose word there is for a point with this manifest."""
        told = [each for each in self.points(system) if each.get("id") == point]
        if not told:
            return UNKNOWN
        return KNOWN if sha256 in {each.get("manifest_sha256") for each in told} else FORGED

    def when(self, instant: datetime) -> str:
        """Return a time as the practice's people read it."""
        zone = self.zone
        if zone is None:
            return f"{instant.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
        return f"{instant.astimezone(zone):%Y-%m-%d %H:%M} {instant.astimezone(zone).tzname()}"

    def warnings(self) -> list[str]:
        """Say that it is out of date, where it is."""
        if self.content is None:
            return ["there is no kit.json here: nothing says which points are genuine"]
        try:
            expires = read_time(self.content.get("expires"))
        except ValueError:
            return ["the kit does not say until when it is current"]
        if expires < now():
            return [f"this kit expired on {self.when(expires)}: a newer one may say otherwise"]
        return []


def open_kit(folder: Path) -> Kit:
    """Read `kit.json` in `folder`.

    Raises:
        Trouble: it is none of ours, or of a newer version.
    """
    try:
        content = json.loads((folder / "kit.json").read_bytes())
    except FileNotFoundError:
        return Kit(folder, None)
    except (OSError, ValueError) as error:
        raise Trouble(
            f"kit.json cannot be read: {type(error).__name__}",
            hint="use another copy of the kit, or move kit.json away and name --repository",
        ) from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, int) or schema > KIT_SCHEMA or "practice" not in content:
        raise Trouble(
            f"kit.json has schema {schema!r}, and this script reads up to {KIT_SCHEMA}",
            hint="use the dro-kit.py that came with that kit.json",
        )
    return Kit(folder, content)


# --- restic ---------------------------------------------------------------------------------------


def find_restic(kit: Kit) -> str:
    """Return the restic to use: the one on PATH, or the one in the kit.

    Raises:
        Trouble: there is none that fits this computer.
    """
    found = shutil.which("restic")
    if found:
        return found
    system = platform.system().lower()
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    names = [f"*{system}*{machine}*", "restic.exe" if os.name == "nt" else "restic"]
    for name in names:
        for path in sorted((kit.folder / "restic").glob(name)):
            if path.is_file():
                return _checked_program(kit, path)
    raise Trouble(
        f"there is no restic on PATH, and none for {system} {machine} in {kit.folder / 'restic'}",
        hint="Debian: apt install restic; else https://restic.net",
    )


def _checked_program(kit: Kit, path: Path) -> str:
    """Return how to run a program of the kit, once its hash is the one that the kit names."""
    relative = path.relative_to(kit.folder).as_posix()
    content = path.read_bytes()
    listed = {}
    with contextlib.suppress(OSError):
        for line in (kit.folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition("  ")
            listed[name.lstrip("*")] = digest
    if listed.get(relative) != hashlib.sha256(content).hexdigest():
        raise Trouble(
            f"{relative} in the kit is not the program that SHA256SUMS names",
            hint="install restic another way, or use another copy of the kit",
        )
    if os.name == "nt" or os.access(path, os.X_OK):
        return str(path)
    # A mailed kit, or one on a stick, has lost the right to be run.
    copy = Path(tempfile.mkdtemp(prefix="dro-kit-")) / "restic"
    copy.write_bytes(content)
    copy.chmod(0o700)
    return str(copy)


_UNREACHABLE = (
    *("connection refused", "no such host", "network is unreachable", "no route to host"),
    *("i/o timeout", "connection timed out", "connection reset", "tls handshake", "dial tcp"),
    *("context deadline exceeded", "temporary failure in name resolution", "x509", "server misb"),
    *("unable to start the sftp session", "error talking http"),
)
_LOGIN = (
    *("accessdenied", "access denied", "invalidaccesskeyid", "signaturedoesnotmatch"),
    *("response (401)", "response (403)", "401 unauthorized", "403 forbidden", "no valid cred"),
)
_NONE_THERE = (
    *("is there a repository", "unable to open config file", "repository does not exist"),
    *("no such bucket", "specified bucket does not exist", "nosuchbucket"),
)


def restic_trouble(doing: str, code: int, errors: str, repository: Repository) -> Trouble:
    """Return why restic failed, in our words; what it printed may name files."""
    name = repository.name
    if code == 12 or has(errors, "wrong password or no key found"):
        where = f" (it is kept here: {repository.key})" if repository.key else ""
        return Trouble(
            f"this password does not open the repository {name}",
            hint=f"type it again, letter by letter as on the sheet{where}",
            bad=True,
        )
    if has(errors, *_UNREACHABLE):
        return Trouble(
            f"the repository {name} cannot be reached",
            hint="is this computer on the network? Another repository: --repository; the same one "
            "in another place: --at LOCATION",
        )
    if has(errors, *_LOGIN):
        return Trouble(
            f"the storage of the repository {name} refuses the login",
            hint=f"set {', '.join(repository.variables) or 'the login'} in the environment"
            + (f"; kept here: {repository.environment_key}" if repository.environment_key else ""),
        )
    if has(errors, "no space left", "disk quota", "not enough space"):
        return Trouble(f"the disk is full while {doing}", hint="name a --to on a larger disk")
    if has(errors, "permission denied"):
        return Trouble(
            f"the repository {name} may not be read by this user", hint="run it as root (sudo)"
        )
    if code == 10 or has(errors, *_NONE_THERE):
        return Trouble(
            f"there is no repository at {repository.shown}",
            hint="if it is on another disk or address now: --at LOCATION; or --repository NAME",
        )
    if has(errors, "ciphertext verification", "invalid data", "load(<"):
        return Trouble(
            f"the repository {name} is damaged: restic failed while {doing}",
            hint="try the same point from another repository, or an older point",
            bad=True,
        )
    return Trouble(
        f"restic failed while {doing} (exit code {code})",
        hint="run restic by hand to see what it says: restore.sh in the kit has the commands",
    )


@dataclass
class Repository:
    """Where points are kept, and how restic gets there."""

    name: str
    location: str
    program: str
    environment: dict[str, str] = field(repr=False)
    restic_id: str | None = None
    key: str = ""
    variables: tuple[str, ...] = ()
    environment_key: str = ""

    @property
    def shown(self) -> str:
        """The location without a login."""
        return without_login(self.location)

    def run(
        self, *arguments: str, doing: str, seconds: float | None = 600, output: bool = True
    ) -> bytes:
        """Run restic, and return what it printed.

        Raises:
            Trouble: it failed; in our words.
        """
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [self.program, "--no-lock", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if output else subprocess.DEVNULL,
                stderr=errors,
                env=self.environment,
                pass_fds=_lent_descriptors(self.environment),
                preexec_fn=None if os.name == "nt" else _begin,
            )
            try:
                printed, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                raise Trouble(
                    f"the repository {self.name} did not answer within {seconds:.0f} s",
                    hint="try again, or another repository: --repository",
                ) from None
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        if process.returncode:
            raise restic_trouble(doing, process.returncode, said, self)
        return printed or b""

    def snapshots(self) -> list[Json]:
        """Return all snapshots, as restic lists them."""
        listed = json.loads(self.run("snapshots", "--json", doing="listing what is there"))
        return [each for each in listed or [] if isinstance(each, dict)]

    def restic_id_now(self) -> str:
        """Return restic's own id of what is there."""
        return str(json.loads(self.run("cat", "config", doing="opening the repository")).get("id"))


def without_login(location: str) -> str:
    """Return a location as it may be shown."""
    return re.sub(r"//[^/@]*@", "//", location)


_PR_SET_PDEATHSIG = 1
"""As linux/prctl.h numbers it."""


def _begin(account: Account | None = None) -> None:
    """Do what comes first in a process of ours: give up root, and end with whoever started it,
    however that ends, where the system offers it.
    """
    if account is not None:
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes  # a Python that was built by hand may have none

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _lent_descriptors(environment: dict[str, str]) -> tuple[int, ...]:
    """Return what was lent to us as `/dev/fd/N`, and restic reads itself."""
    if os.name == "nt":
        return ()
    path = environment.get("AWS_SHARED_CREDENTIALS_FILE", "")
    match = re.fullmatch(r"/dev/fd/(\d+)", path)
    return (int(match[1]),) if match else ()


def open_repository(options: argparse.Namespace, kit: Kit, wanted: str) -> Repository:
    """Return the repository to work with; its password was asked for, where no file names it.

    Raises:
        Trouble: nothing says where it is, or no password was given.
    """
    said: Json = kit.repositories.get(wanted, {})
    location = options.at or os.environ.get("KIT_LOCATION") or said.get("location") or wanted
    if kit.content and not said and not options.at and "/" not in wanted and ":" not in wanted:
        raise Trouble(
            f"the kit knows no repository {wanted}",
            hint=f"it knows: {', '.join(kit.repositories) or 'none'}; a location has a / or :",
            code=USAGE,
        )
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RESTIC_") or name in {"RESTIC_CACHE_DIR", "RESTIC_CACERT"}
    }
    program = find_restic(kit)
    at_s3 = location.startswith("s3:")
    variables: tuple[str, ...] = ()
    if at_s3:
        variables = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    elif location.startswith("rest:") and said.get("user"):
        variables = ("RESTIC_REST_PASSWORD",)
    if not (at_s3 and any(os.environ.get(name) for name in _OTHER_AWS_LOGINS)):
        for name in variables:
            where = str(said.get("environment_key") or "")
            environment[name] = _of_environment(name) or _ask(name, where)
    if said.get("region"):
        environment.setdefault("AWS_DEFAULT_REGION", str(said["region"]))
    password = _password(options, wanted if said else location, str(said.get("key", "")))
    used = _with_login(location, said.get("user"), environment.pop("RESTIC_REST_PASSWORD", ""))
    environment.update(RESTIC_REPOSITORY=used, RESTIC_PASSWORD=password)
    return Repository(
        name=wanted if said else without_login(location),
        location=location,
        program=program,
        environment=environment,
        restic_id=said.get("restic_id"),
        key=str(said.get("key", "")),
        variables=variables,
        environment_key=str(said.get("environment_key", "")),
    )


_OTHER_AWS_LOGINS = ("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE")


def _with_login(location: str, user: Any, password: str) -> str:
    """Return a REST server's location with its login, which only restic's environment shows."""
    if not (user and password and location.startswith("rest:http")) or "@" in location:
        return location
    scheme, _, rest = location[len("rest:") :].partition("://")
    login = f"{urllib.parse.quote(str(user), safe='')}:{urllib.parse.quote(password, safe='')}"
    return f"rest:{scheme}://{login}@{rest}"


def _password(options: argparse.Namespace, name: str, where: str) -> str:
    path = options.password_file or os.environ.get("RESTIC_PASSWORD_FILE")
    return _in_file(path) if path else _ask(f"password of the repository {name}", where)


def _of_environment(name: str) -> str:
    """Return a secret of the environment, or out of the file that `NAME_FILE` names."""
    path = os.environ.get(f"{name}_FILE")
    return _in_file(path) if path else os.environ.get(name, "")


def _in_file(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        raise Trouble("the file of a password cannot be read", code=USAGE) from None
    if not text:
        raise Trouble("the file of a password is empty", code=USAGE)
    return text


def _ask(what: str, where: str) -> str:
    """Ask for a secret, without an echo."""
    if not sys.stdin.isatty():
        raise Trouble(
            f"nobody is here to be asked: {what}",
            hint="name --password-file, and set other secrets in the environment",
            code=USAGE,
        )
    if where:
        say(f"{what}: kept here: {where}")
    text = getpass.getpass(f"{what}: ").strip()
    if not text:
        raise Trouble("nothing was typed", code=USAGE)
    return text


# --- points ---------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FULL_ID = re.compile(r"[0-9a-f]{64}")
KNOWN, UNKNOWN, FORGED, UNREADABLE, UNREAD = "kit", "repository", "forged", "unreadable", "unread"


@dataclass
class Point:
    """A recovery point as the repository tells of it."""

    system: str
    id: str
    as_of: datetime
    snapshot: str
    folder: str
    trust: str = UNREAD
    """Whose word there is for it."""
    manifest: Json = field(default_factory=dict)
    sha256: str = ""
    trouble: str = ""
    kept: str = ""
    """Its manifest, where the kit has it: another tool saved the point, and no repository does."""

    @property
    def bytes(self) -> int:
        """Of its data, before compression."""
        return sum(each["bytes"] for each in self.manifest.get("assets", {}).values())


def read_manifest(content: bytes) -> Json:
    """Return a manifest that can be one: what is in it may have been written by anybody.

    Raises:
        ValueError: it is none, or of a newer version.
    """
    try:
        found = json.loads(content)
        schema = found["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("it is damaged") from None
    if not isinstance(schema, int) or schema > MANIFEST_SCHEMA:
        raise ValueError(f"it has schema {schema!r}: a newer dro-kit.py is needed")
    try:
        _require_sound(found)
    except (KeyError, TypeError, AttributeError, OverflowError):
        raise ValueError("it is damaged") from None
    return dict(found)


def _require_sound(manifest: Json) -> None:
    assets: Json = manifest["assets"]
    names = [manifest[each] for each in ("practice", "system", "point")] + list(assets)
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("a name in it is none")
    if not 1000 <= read_time(manifest["as_of"]).year < 9000:
        raise ValueError("a time in it is none")
    for state in assets.values():
        path, size, sidecars = state["path"], state["bytes"], state.get("sidecars") or []
        if not _FULL_ID.fullmatch(state["snapshot"]):
            raise ValueError("it names no full snapshot id")
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise ValueError("a path in it is not absolute")
        if not isinstance(size, int) or not 0 <= size < 2**63:
            raise ValueError("a size in it is none")
        if not all(isinstance(each, str) for each in (state["kind"], state["method"])):
            raise ValueError("it is damaged")
        if any("/" in each or each in {"", ".", ".."} for each in sidecars):
            raise ValueError("a name in it is a path")


def _tag(snapshot: Json, key: str) -> str:
    tags = snapshot.get("tags") or []
    return next((str(tag)[len(key) + 1 :] for tag in tags if str(tag).startswith(f"{key}=")), "")


class Points:
    """The recovery points of one practice in one repository."""

    def __init__(self, repository: Repository, kit: Kit, practice: str) -> None:
        """List what is there.

        Raises:
            Trouble: the repository cannot be listed, or holds several practices and none is named.
        """
        self.repository = repository
        self._kit = kit
        self._snapshots = repository.snapshots()
        manifests = [each for each in self._snapshots if _tag(each, "dro") == "manifest"]
        there = sorted({_tag(each, "practice") for each in manifests} - {""})
        if not practice and len(there) > 1:
            raise Trouble(
                f"the repository holds several practices: {', '.join(map(printable, there))}",
                hint="name one: --practice",
                code=USAGE,
            )
        self.practice = practice or "".join(there) or kit.practice
        mine = [each for each in manifests if _tag(each, "practice") == self.practice]
        known = [*filter(None, map(_listed, mine)), *self._of_others()]
        self.all = sorted(known, key=lambda each: each.as_of)
        self.all.reverse()

    def _of_others(self) -> Iterator[Point]:
        """Yield the points that another tool saved here: the kit alone knows what they are."""
        ids = {str(each.get("id")) for each in self._snapshots}
        for system in self._kit.systems if self.practice in ("", self._kit.practice) else ():
            for each in self._kit.points(system):
                here = each.get("repository") == self.repository.name
                whole = ids.issuperset(map(str, (each.get("assets") or {}).values()))
                if here and whole and each.get("manifest"):
                    as_of, kept = read_time(each.get("as_of")), str(each["manifest"])
                    yield Point(system, str(each.get("id")), as_of, "", "", kept=kept)

    def of(self, system: str) -> list[Point]:
        """Return the points of a system, the newest first."""
        return [each for each in self.all if each.system == system]

    @property
    def systems(self) -> list[str]:
        """Those of the kit in their order, then what else is there."""
        others = sorted({each.system for each in self.all} - set(self._kit.systems))
        return [*self._kit.systems, *others]

    def known_ids(self, system: str) -> set[str]:
        """Return the ids of the points that the kit knows."""
        return {str(each.get("id")) for each in self._kit.points(system)}

    def read(self, point: Point) -> Point:
        """Read a point's manifest, and say whose word there is for it; return the same point.

        Raises:
            Trouble: the repository cannot be read any more.
        """
        if point.trust is not UNREAD:
            return point
        try:
            content = point.kept.encode() or self.repository.run(
                "dump", point.snapshot, f"{point.folder}/manifest.json", doing="reading a manifest"
            )
            point.manifest = read_manifest(content)
        except ValueError as error:
            point.trust, point.trouble = UNREADABLE, str(error)
            return point
        except Trouble as trouble:
            point.trust, point.trouble = UNREADABLE, trouble.message
            return point
        said = tuple(str(point.manifest[each]) for each in ("practice", "system", "point"))
        if said != (self.practice, point.system, point.id):
            point.trust, point.trouble = UNREADABLE, "it speaks of another point than its tags do"
            return point
        point.as_of = read_time(point.manifest["as_of"])
        point.sha256 = hashlib.sha256(content).hexdigest()
        point.trust = self._kit.trust(point.system, point.id, point.sha256)
        if point.trust == FORGED:
            point.trouble = "its manifest is not the one that the kit knows"
        return point

    def choose(self, system: str, wanted: str | None) -> Point:
        """Return the point to restore: the newest that the kit knows, or the one that is named.

        Raises:
            Trouble: there is none, or nothing says which one is genuine.
        """
        there = self.of(system)
        if not there:
            raise Trouble(
                f"the repository {self.repository.name} holds no point of {system}",
                hint=f"it holds: {', '.join(self.systems) or 'none'}",
                bad=True,
            )
        if wanted:
            return self._named(there, wanted)
        genuine = self._newest_genuine(system)
        if genuine:
            return genuine
        raise Trouble(
            "no point that the kit knows is in this repository, and a person has to say which of "
            f"the others is genuine: the newest of {system} is {there[0].id}, of "
            f"{self._kit.when(there[0].as_of)}",
            hint=f"--point {there[0].id}, or another of `points`",
        )

    def _named(self, there: list[Point], wanted: str) -> Point:
        found = [each for each in there if each.id == wanted] or [
            each
            for each in there
            if each.id.startswith(wanted) or (len(wanted) >= 8 and each.snapshot.startswith(wanted))
        ]
        if not found:
            raise Trouble(f"there is no point {wanted}", hint="`points` lists them", code=USAGE)
        good = [each for each in found if self.read(each).trust == KNOWN] or found
        different = {each.sha256 or each.snapshot for each in good}
        if len({each.id for each in good}) > 1 or len(different) > 1:
            names = ", ".join(f"{each.id} in snapshot {each.snapshot[:12]}" for each in good)
            raise Trouble(
                f"{wanted} may be any of {names}",
                hint="name more of the id; of two that claim to be one point, name the snapshot",
                code=USAGE,
            )
        if good[0].trust == UNREADABLE:
            raise Trouble(
                f"the manifest of {good[0].id} cannot be used: {good[0].trouble}", bad=True
            )
        return good[0]

    def snapshot_of(self, point: Point, asset: str) -> tuple[str, str]:
        """Return the id by which an asset's snapshot is here, and what is odd about it.

        Raises:
            Trouble: it is not here, or several that differ claim to be it.
        """
        wanted = str(point.manifest["assets"][asset]["snapshot"])
        found = [each for each in self._snapshots if wanted in {each["id"], each.get("original")}]
        here = [each for each in found if each["id"] == wanted] or found
        if not here:
            raise Trouble(f"its snapshot {wanted[:8]} is not in this repository", bad=True)
        if len({each.get("tree") for each in here}) > 1:
            raise Trouble(f"{len(here)} different snapshots claim to be {wanted[:8]}", bad=True)
        used = str(here[0]["id"])
        told = {
            str(each.get("assets", {}).get(asset))
            for each in self._kit.points(point.system)
            if each.get("id") == point.id and each.get("repository") == self.repository.name
        }
        odd = f"{asset}: its snapshot is not the one that the kit knows" if told - {used} else ""
        return used, odd

    def warnings(self, system: str, used: Point | None) -> list[str]:
        """Say what the kit does not know: newer points, and a plan that was changed since."""
        if self._kit.content is None:
            return []
        said = [*self._lost(system, used)]
        latest = now() + _CLOCKS_APART
        there = (each for each in self.of(system) if each.as_of <= latest)
        newest = next((each for each in there if self.read(each).trust in (KNOWN, UNKNOWN)), None)
        if newest is None:
            return []
        if used is not None and newest.as_of > used.as_of and newest.trust == UNKNOWN:
            said.append(
                f"the repository tells of a newer point of {system}, of "
                f"{self._kit.when(newest.as_of)}, which this kit does not know. If you trust the "
                f"repository: --point {newest.id}"
            )
        plan = self._plan_of(system)
        if newest.trust != KNOWN and plan not in ("", newest.manifest.get("plan_sha256")):
            said.append("the plan was changed after this kit was made: the kit may be stale")
        return said

    def _lost(self, system: str, used: Point | None) -> Iterator[str]:
        """Say which points the kit knows that are newer than the one used."""
        for each in self._kit.points(system):
            try:
                as_of = read_time(each.get("as_of"))
            except ValueError:
                continue
            if used is not None and (as_of <= used.as_of or each.get("id") == used.id):
                continue
            name, where = each.get("id"), each.get("repository")
            here = self.repository.name == where
            why = "which cannot be used here" if here else f"in the repository {where}"
            said = f"the kit knows a newer point of {system}, {name} of {self._kit.when(as_of)}"
            yield f"{said}, {why}"

    def _plan_of(self, system: str) -> str:
        """Return the plan of the newest point that the kit knows; empty if none is here."""
        genuine = self._newest_genuine(system)
        return str(genuine.manifest.get("plan_sha256", "")) if genuine else ""

    def _newest_genuine(self, system: str) -> Point | None:
        known = self.known_ids(system)
        there = (each for each in self.of(system) if each.id in known)
        return next((each for each in there if self.read(each).trust == KNOWN), None)


def _listed(snapshot: Json) -> Point | None:
    """Return what a listed snapshot says it is; `None` for what cannot be one of ours."""
    system, point = _tag(snapshot, "system"), _tag(snapshot, "point")
    paths = snapshot.get("paths") or []
    try:
        as_of = read_time(snapshot.get("time"))
    except ValueError:
        return None
    if not (_NAME.fullmatch(system) and _NAME.fullmatch(point) and len(paths) == 1):
        return None
    return Point(system, point, as_of, str(snapshot.get("id")), str(paths[0]).rstrip("/"))


_TRUST_WORDS = {
    KNOWN: "known to the kit",
    UNKNOWN: "not known to the kit",
    FORGED: "NOT GENUINE",
    UNREADABLE: "UNUSABLE",
    UNREAD: "not looked at",
}
_READ_AT_ONCE = 5
_CLOCKS_APART = timedelta(minutes=10)


def command_points(options: argparse.Namespace, kit: Kit) -> int:
    """Show what can be restored."""
    first = options.system or next(iter(kit.systems), "")
    repository = open_repository(options, kit, _default_repository(options, kit, first))
    warnings = [*kit.warnings(), *_other_repository(repository)]
    points = Points(repository, kit, options.practice or kit.practice)
    listed = []
    for system in points.systems:
        if options.system and system != options.system:
            continue
        listed += _show_points(points, kit, system, every=options.every)
        known = (each for each in points.of(system) if each.trust == KNOWN)
        warnings += points.warnings(system, next(known, None))
    if not listed:
        say("no recovery point of this practice is in this repository")
    for text in dict.fromkeys(warnings):
        warn(text)
    _put_json(options, {"points": listed, "warnings": warnings, "repository": repository.name})
    return OK if listed else FAILED


def _show_points(points: Points, kit: Kit, system: str, *, every: bool) -> list[Json]:
    there, known = points.of(system), points.known_ids(system)
    title = str(kit.system(system).get("title") or "")
    say(f"{system}{': ' + title if title else ''}")
    shown = []
    for number, each in enumerate(there):
        if not (every or number < _READ_AT_ONCE or each.id in known):
            continue
        points.read(each)
        if each.as_of > now() + _CLOCKS_APART:
            each.trouble = each.trouble or "it claims to be of a time to come"
        size = size_words(each.bytes) if each.manifest else "?"
        trouble = f" ({each.trouble})" if each.trouble else ""
        say(f"{each.id}  {kit.when(each.as_of)}  {size}  {_TRUST_WORDS[each.trust]}{trouble}", "  ")
        shown.append(
            {
                "system": system,
                "id": each.id,
                "as_of": each.as_of.isoformat(),
                "bytes": each.bytes if each.manifest else None,
                "trust": each.trust,
                "trouble": each.trouble,
                "snapshot": each.snapshot,
            }
        )
    if left := len(there) - len(shown):
        say(f"and {counted(left, 'older one')}: --every shows them", "  ")
    if not there:
        say("none in this repository", "  ")
    return shown


def _default_repository(options: argparse.Namespace, kit: Kit, system: str) -> str:
    """Return the repository to use: the one named, or the nearest of the system's.

    Raises:
        Trouble: nothing says where one is.
    """
    if options.repository:
        return str(options.repository)
    nearest = kit.system(system).get("repositories") or list(kit.repositories)
    if nearest:
        return str(nearest[0])
    if options.at:
        return str(options.at)
    raise Trouble("nothing says where the backups are", hint="--repository LOCATION", code=USAGE)


def _other_repository(repository: Repository) -> list[str]:
    """Say so where another repository is at that place than the kit knows."""
    if not repository.restic_id or repository.restic_id_now() == repository.restic_id:
        return []
    return [f"at {repository.shown} is ANOTHER repository than the kit knows as {repository.name}"]


# --- restoring ------------------------------------------------------------------------------------

_STATE, _STEPS = "restored.json", "NEXT-STEPS.txt"


def command_restore(options: argparse.Namespace, kit: Kit) -> int:
    """Restore a system, or all of them, to a new directory."""
    state, code = restore(options, kit)
    for system in () if options.json else state["systems"]:
        steps = Path(options.to) / system / _STEPS
        for line in steps.read_text(encoding="utf-8").splitlines() if steps.exists() else ():
            if line.startswith("$ "):
                say_command(line[2:])
            else:
                say(line, "  ")
    _put_json(options, state)
    return code


def restore(options: argparse.Namespace, kit: Kit) -> tuple[Json, int]:
    """Restore what is asked for, and write down what was.

    Raises:
        Trouble: nothing was restored.
    """
    if bool(options.system) == options.all or (options.all and options.point):
        raise Trouble("name one system, or --all without --point", code=USAGE)
    target = _free_target(options.to)
    first = options.system or next(iter(kit.systems), "")
    repository = open_repository(options, kit, _default_repository(options, kit, first))
    warnings = [*kit.warnings(), *_other_repository(repository)]
    points = Points(repository, kit, options.practice or kit.practice)
    chosen, lacking = {}, []
    for system in points.systems if options.all else [options.system]:
        if options.all and not points.of(system):
            others = [
                each
                for each in kit.system(system).get("repositories") or []
                if each != repository.name
            ]
            elsewhere = f"; restore it by itself, from {others[0]}" if others else ""
            warnings.append(f"{system}: no point of it is in {repository.name}{elsewhere}")
            lacking.append(system)
            continue
        chosen[system] = points.choose(system, options.point)
        warnings += points.warnings(system, chosen[system])
        warnings += _trust_warnings(chosen[system])
    if not chosen:
        raise Trouble(f"the repository {repository.name} holds no point of this practice")
    for text in dict.fromkeys(warnings):
        warn(text)
    _require_room(target, sum(each.bytes for each in chosen.values()), tight=options.tight)
    state, code = _restore_all(target, points, chosen, lacking, kit, warnings)
    for system in () if options.json else chosen:
        say(f"how to put {system} to use: {target / system / _STEPS}")
    return state, code


def _trust_warnings(point: Point) -> list[str]:
    said = [f"{point.system}: {point.trouble}"] if point.trouble else []
    if point.trust == UNKNOWN:
        said.append(f"{point.system}: only the repository vouches for point {point.id}")
    if point.trust == FORGED:
        said.append(f"{point.system}: point {point.id} is NOT GENUINE: its check will not pass")
    return said


def _free_target(to: str) -> Path:
    target = Path(to).absolute()
    if os.path.lexists(target):
        raise Trouble(
            f"{target} exists already, and nothing is ever written over",
            hint="name a directory that does not exist yet",
            code=USAGE,
        )
    if not target.parent.is_dir():
        raise Trouble(f"there is no folder {target.parent}", hint="make it first", code=USAGE)
    return target


def _require_room(target: Path, size: int, *, tight: bool) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < size or (free < 2 * size and not tight):
        raise Trouble(
            f"{target.parent} has {size_words(free)} free; it takes {size_words(size)} to restore "
            "and as much again to check",
            hint="name a --to on a larger disk"
            + ("" if free < size else ", or --tight to restore all the same"),
        )


def _restore_all(
    target: Path,
    points: Points,
    chosen: dict[str, Point],
    lacking: list[str],
    kit: Kit,
    warnings: list[str],
) -> tuple[Json, int]:
    try:
        target.mkdir(mode=0o700)
    except OSError as error:
        raise Trouble(f"{target} cannot be made: {error.strerror}") from None
    if os.name != "nt":
        target.chmod(0o711)  # whoever runs a server for the check must be able to pass
    state: Json = {
        "schema": 1,
        "script": VERSION,
        "practice": points.practice,
        "timezone": (kit.content or {}).get("timezone"),
        "repository": points.repository.name,
        "started": now().isoformat(),
        "finished": None,
        "seconds": None,
        "asked_for": [*chosen, *lacking],
        "warnings": warnings,
        "systems": {},
    }
    begun = time.monotonic()
    _put_file(target / _STATE, state)
    for system, point in chosen.items():
        state["systems"][system] = _restore_system(target / system, points, point, kit)
        _put_file(target / _STATE, state)
    state["finished"], state["seconds"] = now().isoformat(), round(time.monotonic() - begun, 1)
    _put_file(target / _STATE, state)
    came = [a["restored"] for s in state["systems"].values() for a in s["assets"].values()]
    code = OK if came and all(came) and not lacking else PARTIAL if any(came) else FAILED
    words = "restored" if code == OK else "NOT everything was restored"
    say(f"{words} to {target} in {seconds_words(state['seconds'])}")
    return state, code


def _restore_system(folder: Path, points: Points, point: Point, kit: Kit) -> Json:
    say(f"{point.system}: point {point.id} of {kit.when(point.as_of)}, {size_words(point.bytes)}")
    folder.mkdir(mode=0o700)
    _restore_manifest(folder, points, point)
    assets = {}
    for asset, said in point.manifest["assets"].items():
        assets[asset] = _restore_asset(folder, points, point, asset)
        if assets[asset]["restored"]:
            _write_steps(folder, asset, said, assets[asset]["path"])
    return {
        "point": point.id,
        "as_of": point.as_of.isoformat(),
        "trust": point.trust,
        "manifest_sha256": point.sha256,
        "assets": assets,
    }


def _restore_manifest(folder: Path, points: Points, point: Point) -> None:
    """Bring the small files back: the manifest, the plan, runbooks, roles and accounts.

    As an archive, of which only plain files are taken: it may hold anything. Of what another tool
    saved there is the manifest alone.
    """
    if point.kept:
        (folder / "point").mkdir()
        (folder / "point" / "manifest.json").write_text(point.kept, encoding="utf-8")
        return
    packed = points.repository.run(
        "dump", point.snapshot, point.folder, doing="restoring the manifest"
    )
    above = tuple(part for part in point.folder.split("/") if part)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            parts = tuple(part for part in member.name.split("/") if part)
            inside = parts[len(above) :] if parts[: len(above)] == above else parts
            if not member.isfile() or not inside or not all(map(_NAME.fullmatch, inside)):
                continue
            content = archive.extractfile(member)
            path = (folder / "point").joinpath(*inside)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read() if content else b"")
    manifest = folder / "point" / "manifest.json"
    if not manifest.is_file() or sha256_of(manifest) != point.sha256:
        raise Trouble(f"the manifest of {point.id} came back as another one", bad=True)


def _restore_asset(folder: Path, points: Points, point: Point, asset: str) -> Json:
    said = point.manifest["assets"][asset]
    entry: Json = {
        "kind": said["kind"],
        "method": said["method"],
        "bytes": said["bytes"],
        "path": None,
        "seconds": None,
        "restored": False,
        "reason": "",
        "bad": False,
    }
    begun = time.monotonic()
    say(f"{asset}: restoring {size_words(said['bytes'])} ({said['kind']}, {said['method']})", "  ")
    try:
        snapshot, odd = points.snapshot_of(point, asset)
        if odd:
            warn(odd)
        is_part = bool(point.kept) and said["path"] != "/"
        points.repository.run(
            *("restore", snapshot, "--target", str(folder / "assets" / asset)),
            *((f"--include={_as_pattern(said['path'])}",) if is_part else ()),
            doing=f"restoring {asset}",
            seconds=None,
            output=False,
        )
        entry["path"] = _located(folder / "assets" / asset, said["path"]).as_posix()
        entry["restored"] = True
        say(f"{asset}: back after {seconds_words(time.monotonic() - begun)}", "  ")
    except Trouble as trouble:
        entry["reason"], entry["bad"] = trouble.message, trouble.bad
        say(f"{asset}: NOT restored: {trouble.message}", "  ")
        if trouble.hint:
            say(trouble.hint, "    ")
    entry["seconds"] = round(time.monotonic() - begun, 1)
    return entry


def _as_pattern(path: str) -> str:
    """Return a path as a pattern of restic's that fits nothing else."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def _located(folder: Path, path: str) -> Path:
    """Return where an asset came back to, from its own folder; no link is on the way.

    Raises:
        Trouble: it is not there.
    """
    relative = Path(*[part for part in path.split("/") if part])
    here = folder
    for part in relative.parts:
        here /= part
        if here.is_symlink() or not here.exists():
            raise Trouble("its snapshot does not hold what the manifest names", bad=True)
    return relative


def _write_steps(folder: Path, asset: str, said: Json, path: str) -> None:
    place = folder / "assets" / asset / path
    lines = next_steps(said, place, folder / "point" / "assets" / asset)
    with (folder / _STEPS).open("a", encoding="utf-8") as file:
        file.write("\n".join((f"{asset}:", *map(printable, lines), "", "")))


def next_steps(said: Json, place: Path, sidecars: Path) -> list[str]:
    """Return what a person does with what came back: sentences, and commands after `$ `."""
    kind, method, server = said["kind"], said["method"], said.get("server") or {}
    path, database = shlex.quote(str(place)), shlex.quote(str(server.get("database", "DATABASE")))
    if method == "dump":
        return _dump_steps(kind, path)
    if kind == "postgres" and method == "logical":
        major = _digits(server.get("major")) or "15"
        folder = f"/usr/lib/postgresql/{major}/bin"
        login = "--host=HOST --username=postgres"
        encoding = shlex.quote(str(server.get("encoding", "UTF8")))
        roles = shlex.quote(str(sidecars / "globals.sql"))
        return [
            f"load it into a PostgreSQL {major} or newer that has no such database yet (Debian: "
            f"apt install postgresql-{major}), with its name or socket folder for HOST:",
            f"$ {folder}/psql --no-psqlrc {login} --dbname=postgres --file={roles}",
            f"$ {folder}/pg_restore --exit-on-error --jobs=4 {login} --create --dbname=postgres "
            f"{path}",
            "where it says that a locale does not exist, make the database and load into that:",
            f"$ {folder}/createdb {login} --template=template0 --locale=C.UTF-8 "
            f"--encoding={encoding} {database}",
            f"$ {folder}/pg_restore --exit-on-error --jobs=4 {login} --dbname={database} {path}",
            "then give its users their passwords: they are not in the backup",
        ]
    if kind == "postgres":
        return _cluster_steps(_digits(server.get("major")) or "15", place)
    if kind == "mariadb" and method == "logical":
        users = shlex.quote(str(sidecars / "users.sql"))
        return [
            f"load it into {_mariadb_words(server)} that has no such database yet:",
            f"$ mariadb-admin create {database}",
            f"$ mariadb --force < {users}",
            f"$ mariadb --binary-mode {database} < {path}",
            f"$ mariadb --force < {users}",
            "the second time gives the rights on tables; then give the users their passwords",
        ]
    if kind == "mariadb":
        return [
            f"it is a copy of a whole server, for {_mariadb_words(server)} of the same series:",
            f"$ mkdir DATA && mbstream -x -C DATA < {path}",
            "$ mariadb-backup --prepare --target-dir=DATA && chown -R mysql: DATA",
            "then start the server with --datadir=DATA",
        ]
    if kind == "sqlite":
        return [f"the database is the one file {place}: copy it to where the program looks for it"]
    if kind == "command":
        return [f"what the practice's own program dumped is {place}: its program loads it"]
    came_from = shlex.quote(printable(str(said["path"])))
    return ["look at it, then put it back:", f"$ cp -a {path}/. {came_from}/"]


def _dump_steps(kind: str, path: str) -> list[str]:
    """Return what is done with a dump that another tool wrote."""
    what = f"{path} is a dump that another tool wrote (where it ends in .gz: `gunzip` it first)."
    if kind == "mariadb":
        return [
            f"{what} It is SQL; where it makes its database itself, leave DATABASE out:",
            "$ mariadb-admin create DATABASE",
            f"$ mariadb --binary-mode DATABASE < {path}",
        ]
    login = "--host=HOST --username=postgres"
    return [
        f"{what} Into a new database, where it is SQL:",
        f"$ createdb {login} --template=template0 DATABASE",
        f"$ psql --no-psqlrc --set=ON_ERROR_STOP=1 {login} --dbname=DATABASE --file={path}",
        "where it begins with PGDMP it is an archive instead:",
        f"$ pg_restore --exit-on-error --no-owner --jobs=4 {login} --dbname=DATABASE {path}",
    ]


def _cluster_steps(major: str, place: Path) -> list[str]:
    here, data = f"/var/lib/postgresql/{major}/main", shlex.quote(str(place / "data"))
    steps = [
        f"data/ in there is a data directory of PostgreSQL {major}, and of no other version. Check "
        f"it first. On a new Debian with postgresql-{major} and an empty cluster:",
        f"$ systemctl stop postgresql@{major}-main",
        f"$ mv {here} {here}.empty",
        f"$ cp -a {data} {here}",
        f"$ mv {here}/postgresql.auto.conf {here}/postgresql.auto.conf.production",
        f"$ chown -R postgres: {here}",
        f"$ systemctl start postgresql@{major}-main",
    ]
    if any((place / "tablespaces").glob("*")):
        steps.insert(-2, "before it starts, lead each link in pg_tblspc to a copy of tablespaces/")
    return steps


def _mariadb_words(server: Json) -> str:
    vendor = "MySQL" if server.get("vendor") == "mysql" else "MariaDB"
    series = ".".join(str(server.get("version", "")).split(".")[:2])
    return f"a {vendor} {printable(series)}".rstrip()


def _digits(value: Any) -> str:
    return value if isinstance(value, str) and value.isdigit() else ""


# --- verdicts -------------------------------------------------------------------------------------

PASSED_, FAILED_, UNPROVEN_ = "passed", "failed", "unproven"


@dataclass(frozen=True)
class Look:
    """One thing that was looked at."""

    title: str
    result: str
    detail: str = ""


def passed(title: str, detail: str = "") -> Look:
    """Return that it is what it was."""
    return Look(title, PASSED_, detail)


def failed(title: str, detail: str) -> Look:
    """Return that it is not what it was."""
    return Look(title, FAILED_, detail)


def unproven(title: str, detail: str) -> Look:
    """Return that nobody knows."""
    return Look(title, UNPROVEN_, detail)


def overall(results: Sequence[str]) -> str:
    """Return one result for several; nothing looked at is nothing proven."""
    if FAILED_ in results:
        return FAILED_
    return PASSED_ if results and set(results) == {PASSED_} else UNPROVEN_


# --- files ----------------------------------------------------------------------------------------

_ROWS, _COLUMNS, _PRIME, _SUM_BYTES = 3, 85, 2**61 - 1, 16
_CELL = struct.Struct("<iQQ")
_LISTING = "every file is there, in its size"
_CONTENT = "files have the content they had"
_BLOCK = 1024 * 1024


class Tally:
    """A set of facts, of which only keyed hashes are kept; from two of them it can be told how
    they differ, where that is little. The format is `t1` of docs/reference/manifest.md.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.count = 0
        self._sum = 0
        self._counts = [0] * (_ROWS * _COLUMNS)
        self._sums = [0] * (_ROWS * _COLUMNS)
        self._squares = [0] * (_ROWS * _COLUMNS)

    @classmethod
    def parse(cls, text: str, key: bytes) -> Tally:
        """Return what a manifest has.

        Raises:
            ValueError: it is none.
        """
        version, count, total, cells = text.split(":")
        if version != "t1":
            raise ValueError("not a tally of a version known here")
        tally = cls(key)
        tally.count, tally._sum = int(count), int.from_bytes(bytes.fromhex(total), "big")
        try:
            values = list(_CELL.iter_unpack(base64.b64decode(cells, validate=True)))
        except (binascii.Error, struct.error):
            raise ValueError("not a tally") from None
        if len(values) != _ROWS * _COLUMNS:
            raise ValueError("a tally of another size")
        tally._counts, tally._sums, tally._squares = (list(each) for each in zip(*values))
        return tally

    def add(self, fact: bytes) -> int:
        """Take a fact in; return its hash."""
        digest = hashlib.blake2b(fact, key=self._key, digest_size=_SUM_BYTES + 8).digest()
        self._sum += int.from_bytes(digest[:_SUM_BYTES], "big")
        self._sum %= 2 ** (8 * _SUM_BYTES)
        element = int.from_bytes(digest[_SUM_BYTES:], "big") % _PRIME
        self.count += 1
        self._put(element, 1)
        return element

    def equals(self, other: Tally) -> bool:
        """Whether both are of one set."""
        return (self.count, self._sum) == (other.count, other._sum)

    def difference(self, after: Tally) -> tuple[set[int], set[int]] | None:
        """Return what only this has and what only `after` has; `None` where it is too much."""
        rest = Tally(self._key)
        for cell in range(_ROWS * _COLUMNS):
            rest._counts[cell] = self._counts[cell] - after._counts[cell]
            rest._sums[cell] = self._sums[cell] - after._sums[cell]
            rest._squares[cell] = self._squares[cell] - after._squares[cell]
        found: dict[int, set[int]] = {1: set(), -1: set()}
        lone = rest._lone()
        while lone is not None:
            element, sign = lone
            rest._put(element, -sign)
            found[sign].add(element)
            lone = rest._lone()
        if any(rest._counts) or any(each % _PRIME for each in (*rest._sums, *rest._squares)):
            return None
        return found[1], found[-1]

    def _put(self, element: int, sign: int) -> None:
        for cell in _cells(element):
            self._counts[cell] += sign
            self._sums[cell] += sign * element
            self._squares[cell] += sign * (element * element % _PRIME)

    def _lone(self) -> tuple[int, int] | None:
        for cell, sign in enumerate(self._counts):
            if sign in (1, -1):
                element = sign * self._sums[cell] % _PRIME
                square = sign * self._squares[cell] % _PRIME
                if cell in _cells(element) and element * element % _PRIME == square:
                    return element, sign
        return None


def _cells(element: int) -> tuple[int, ...]:
    return tuple(
        row * _COLUMNS + (element >> (20 * row)) % (1 << 20) % _COLUMNS for row in range(_ROWS)
    )


def keyed(key: bytes, kind: bytes, parts: tuple[bytes, ...]) -> str:
    """Return what stands for the path of a file (`path`) or folder (`folder`) in a manifest."""
    content = kind + b"\0" + b"/".join(parts)
    return hashlib.blake2b(content, key=key, digest_size=16).hexdigest()


def walk(root: bytes, above: tuple[bytes, ...] = ()) -> Iterator[tuple[tuple[bytes, ...], Any]]:
    """Yield every file and link beneath a folder; no link is followed."""
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            parts = (*above, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from walk(entry.path, parts)
            elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                yield parts, entry


def sha256_of(path: Any) -> str:
    """Return the SHA-256 of a file; a link is an error."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with open(descriptor, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@dataclass
class _Tree:
    """What there is in a tree, as far as it can be compared."""

    listing: Tally
    content: Tally
    files: int = 0
    """That are compared."""
    all_files: int = 0
    in_changed_folders: set[int] = field(default_factory=set)
    equal: int = 0
    dump: tuple[int, str] | None = None


def check_files(said: Json, place: Path) -> Iterator[Look]:
    """Hold a folder against its baseline.

    Raises:
        Unproven, Damaged: it cannot be looked at, or is not there.
    """
    baseline: Json = said["baseline"]
    if place.is_symlink() or not place.is_dir():
        raise Damaged("what came back is not the folder that was saved")
    try:
        key = bytes.fromhex(baseline["key"])
        before = Tally.parse(baseline["listing"], key)
        contents = Tally.parse(baseline["content"], key) if baseline.get("content") else None
    except (ValueError, KeyError, TypeError):
        raise Unproven("the baseline of this point cannot be read") from None
    try:
        found = _look_at_tree(place, key, baseline, all_hashed=contents is not None)
    except OSError as error:
        raise Unproven(f"the folder cannot be read: {(error.strerror or '').lower()}") from None
    dump = baseline.get("dump")
    if dump:
        title = "the newest file of the job that writes them came back as it was"
        equal = found.dump == (dump["bytes"], dump["sha256"])
        yield passed(title) if equal else failed(title, "it is missing, or has another content")
        yield passed("of a dump that another tool wrote", "its bytes; nothing was loaded")
    if baseline["level"] == "none":
        fewer = found.files < baseline["files"]
        judge = failed if fewer else unproven
        yield judge(_LISTING, "fewer files than then" if fewer else "too many changed while saved")
        return
    yield _judge_listing(before, found)
    yield from _judge_contents(baseline, contents, found)


def _look_at_tree(place: Path, key: bytes, baseline: Json, *, all_hashed: bool) -> _Tree:
    changed = set(baseline.get("unsettled") or ())
    samples: Json = baseline.get("samples") or {}
    dump = (baseline.get("dump") or {}).get("path", "")
    found = _Tree(Tally(key), Tally(key))
    for parts, entry in walk(os.fsencode(place)):
        is_file = not entry.is_symlink()
        found.all_files += is_file
        path = keyed(key, b"path", parts)
        if path in changed:
            continue
        name = b"/".join(parts)
        if is_file:
            size = entry.stat(follow_symlinks=False).st_size
            found.files += 1
            element = found.listing.add(b"file\0" + name + b"\0%d" % size)
        else:
            target = os.fsencode(os.readlink(entry.path))
            element = found.listing.add(b"link\0" + name + b"\0" + target)
        if keyed(key, b"folder", parts[:-1]) in changed:
            found.in_changed_folders.add(element)
        if not is_file or not (all_hashed or path in samples or path == dump):
            continue
        digest = sha256_of(entry.path)
        if path == dump:
            found.dump = (size, digest)
        if all_hashed:
            found.content.add(b"content\0" + name + b"\0" + digest.encode())
        found.equal += samples.get(path) == digest
    return found


def _judge_listing(before: Tally, found: _Tree) -> Look:
    total = before.count
    if before.equals(found.listing):
        if not total:
            why = "every file changed while it was saved" if found.all_files else "it was empty"
            return unproven(_LISTING, f"nothing to compare: {why}")
        return passed(_LISTING, f"{counted(total, 'file')}")
    difference = before.difference(found.listing)
    if difference is None:
        return failed(_LISTING, "many files are missing, have another size, or were not there")
    gone, extra = difference
    if gone:
        verb = "is missing or has" if len(gone) == 1 else "are missing or have"
        return failed(_LISTING, f"{len(gone):,} of {counted(total, 'file')} {verb} another size")
    foreign = len(extra - found.in_changed_folders)
    if foreign:
        return failed(_LISTING, f"{counted(foreign, 'file')} more than there were")
    if not total:
        return unproven(_LISTING, "nothing to compare")
    return passed(_LISTING, f"{counted(total, 'file')}; {len(extra):,} more came and went")


def _judge_contents(baseline: Json, contents: Tally | None, found: _Tree) -> Iterator[Look]:
    samples = baseline.get("samples") or {}
    if contents is not None:
        total, difference = contents.count, contents.difference(found.content)
        wrong = None if difference is None else len(difference[0])
    elif samples:
        total, wrong = len(samples), len(samples) - found.equal
    else:
        yield passed("how closely", "names and sizes: no content was hashed when it was saved")
        return
    if wrong == 0 and total:
        part = "" if total >= baseline["files"] else f" of {baseline['files']:,}: a sample"
        yield passed(_CONTENT, f"{counted(total, 'file')}{part}, hashed")
    elif not total:
        yield unproven(_CONTENT, "nothing to compare")
    else:
        yield failed(_CONTENT, f"{'many' if wrong is None else f'{wrong:,} of {total:,}'} differ")


# --- a place for private servers ------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """Who runs what reads restored data."""

    uid: int
    gid: int


def other_account(name: str | None) -> Account | None:
    """Return the account that servers run as; `None` where it is ours.

    Raises:
        Trouble: there is no such account, or it is root.
    """
    if os.name == "nt" or os.geteuid() != 0:
        return None
    import pwd

    try:
        found = pwd.getpwnam(name or "nobody")
    except KeyError:
        raise Trouble(
            f"there is no account {name or 'nobody'}", hint="name one: --as-user", code=USAGE
        ) from None
    if found.pw_uid == 0:
        raise Trouble("a server must not run as root", hint="--as-user NAME", code=USAGE)
    return Account(found.pw_uid, found.pw_gid)


class Place:
    """A throw-away folder in which restored data is opened, and whatever runs there."""

    def __init__(self, above: Path, account: Account | None, programs: Sequence[str]) -> None:
        """Make it; `programs` are patterns of folders to look for servers in, before all others."""
        self.account = account
        self.programs = tuple(programs)
        self._short = Path(tempfile.mkdtemp(prefix="dro-"))
        self._folder = Path(tempfile.mkdtemp(prefix="check-", dir=above))
        for each in (self._short, self._folder):
            each.chmod(0o711)
        # The way to it is short enough for a unix socket (107 bytes), and has nothing in it that
        # servers' programs stumble over: they hand paths to shells.
        self._root = self._short / "here"
        self._root.symlink_to(self._folder)
        self._home = self.folder("home")
        self._servers: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End what runs, and remove everything."""
        for server in self._servers:
            _kill(server)
        for folder in (self._folder, self._short):
            shutil.rmtree(folder, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """Make a folder that is the account's own."""
        path = self._root / name
        path.mkdir(mode=0o700)
        self.give(path)
        return path

    def file(self, name: str, content: str) -> Path:
        """Write a file that the account may read."""
        path = self._root / name
        path.write_text(content, encoding="utf-8")
        path.chmod(0o644)
        return path

    def give(self, path: Path) -> None:
        """Make the account the owner of a file, folder or link."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def copy(self, source: Path, name: str) -> Path:
        """Copy a tree or file that came back, so that nothing touches what is to be put to use."""
        target = self._root / name
        try:
            self._copy(source, target)
        except OSError as error:
            raise Unproven(f"it could not be copied: {(error.strerror or '').lower()}") from None
        return target

    def _copy(self, source: Path, target: Path) -> None:
        status = source.lstat()
        if stat.S_ISLNK(status.st_mode):
            target.symlink_to(os.readlink(source))
        elif stat.S_ISDIR(status.st_mode):
            target.mkdir(mode=0o700)
            for each in source.iterdir():
                self._copy(each, target / each.name)
        elif stat.S_ISREG(status.st_mode):
            shutil.copyfile(source, target, follow_symlinks=False)
            target.chmod(0o600)
        else:
            return  # a restored tree is hostile: devices and pipes stay where they are
        self.give(target)

    def run(
        self,
        *argv: str,
        stdin: bytes | BinaryIO | None = None,
        env: dict[str, str] | None = None,
        seconds: float = 24 * 3600,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end.

        Raises:
            Unproven: it cannot be run, or takes too long.
        """
        fed = stdin if isinstance(stdin, bytes) else None
        source = subprocess.PIPE if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL
        process = self._spawn(
            argv, env, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            out, err = process.communicate(fed, seconds)
        except subprocess.TimeoutExpired:
            raise Unproven(f"{Path(argv[0]).name} did not end in time") from None
        finally:
            _kill(process)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    def start(self, *argv: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a server; it ends when this place is closed, or we are."""
        with log.open("wb") as file:
            server = self._spawn(argv, None, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._servers.append(server)
        return server

    def in_child(self, look: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function of ours answers in a process of its own, as the account.

        Raises:
            Unproven: it did not answer to the end.
        """
        read_end, write_end = os.pipe()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                os.close(read_end)
                _begin(self.account)
                answer = json.dumps(look(*arguments)).encode()
                with open(write_end, "wb") as file:
                    file.write(answer)
                code = 0
            finally:
                os._exit(code)
        os.close(write_end)
        with open(read_end, "rb") as file:
            answer = file.read()
        _, status = os.waitpid(pid, 0)
        if status:
            raise Unproven("the program that reads it ended early")
        return json.loads(answer)

    def _spawn(
        self, argv: Sequence[str], env: dict[str, str] | None, **streams: Any
    ) -> subprocess.Popen[bytes]:
        """Start a program as the account.

        Raises:
            Unproven: it cannot be run.
        """
        try:
            return subprocess.Popen(
                argv,
                env=self._environment(env),
                cwd=self._home,
                start_new_session=True,
                preexec_fn=lambda: _begin(self.account),
                **streams,
            )
        except (OSError, subprocess.SubprocessError) as error:
            why = getattr(error, "strerror", "") or type(error).__name__
            raise Unproven(f"{Path(argv[0]).name} cannot be run: {why}") from None

    def _environment(self, env: dict[str, str] | None) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH") or os.defpath,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(self._home),
            "TMPDIR": str(self._home),
            **(env or {}),
        }


def _kill(program: subprocess.Popen[bytes]) -> None:
    """End a program and what it started, unless it has ended."""
    if program.poll() is None:  # else its number may be somebody else's by now
        with contextlib.suppress(OSError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def opened(path: Path) -> BinaryIO:
    """Open a file that came back; a link is none.

    Raises:
        Damaged: it is not there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise Damaged("what came back is no file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged("what came back is no file")
    return open(descriptor, "rb")


# --- databases in common --------------------------------------------------------------------------

_TABLES = "every table has the rows it had"
_OBJECTS = "tables, views, routines, triggers and the like are all there"
_QUERIES = "the plan's queries answer as they did"
_MANY_ROWS = 100


def _quoted(name: str, sign: str = '"') -> str:
    """Return a name as SQL has it, between these signs."""
    return sign + name.replace(sign, sign * 2) + sign


def _literal(text: str) -> str:
    return _quoted(text, "'")


@dataclass
class Counted:
    """What was counted in a database that came back."""

    rows: dict[str, int]
    unreadable: dict[str, str] = field(default_factory=dict)
    """Table -> why it could not be counted."""
    damaged: dict[str, str] = field(default_factory=dict)
    rebuilt: set[str] = field(default_factory=set)
    """What loading makes anew: materialised views."""
    objects: dict[str, int] = field(default_factory=dict)
    sequences: dict[str, int] | None = None
    """The last value each handed out; `None` where nobody looked."""


def wait_for(
    name: str,
    server: subprocess.Popen[bytes],
    answer: Callable[[], subprocess.CompletedProcess[bytes]],
    gone: Callable[[str], Exception],
    seconds: float,
) -> None:
    """Return once a private server answers 1; raise what `gone` says where it has ended."""
    last = time.monotonic() + seconds
    while answer().stdout.strip() != b"1":
        if server.poll() is not None:
            raise gone(f"the private {name} did not start")
        if time.monotonic() > last:
            raise Unproven(f"the private {name} did not answer within {seconds:.0f} s")
        time.sleep(0.05)


def judge_tables(baseline: Json, found: Counted, *, logical: bool) -> Look:
    """Hold the number of rows of every table against the baseline."""
    then: dict[str, Json] = baseline.get("tables") or {}
    if not then:
        return unproven(_TABLES, "no table was there when it was captured: nothing to compare")
    judged = {name: _judge_table(name, table, found, logical) for name, table in then.items()}
    if logical:
        for name in sorted(set(found.rows) - set(then) - found.rebuilt):
            judged[name] = failed(name, "was not there")
    wrong = [f"{each.title}: {each.detail}" for each in judged.values() if each.result == FAILED_]
    if wrong:
        return failed(_TABLES, some(wrong))
    unknown = [each for each in judged.values() if each.result == UNPROVEN_]
    if unknown:
        return unproven(_TABLES, some([f"{each.title}: {each.detail}" for each in unknown]))
    equal = [name for name, each in judged.items() if not each.detail]
    if not equal:
        return unproven(_TABLES, "no table could be compared exactly")
    rows = sum(int(then[name]["rows"]) for name in equal)
    left = len(then) - len(equal)
    rest = f"; {counted(left, 'table')} could not be compared exactly" if left else ""
    return passed(_TABLES, f"{counted(len(equal), 'table')}, {counted(rows, 'row')}{rest}")


def _judge_table(name: str, then: Json, found: Counted, logical: bool) -> Look:  # noqa: FBT001, PLR0911
    """Judge one table; one that passes without a detail is equal."""
    current, settled = found.rows.get(name), then.get("settled", True)
    if name in found.damaged:
        return failed(name, found.damaged[name])
    why = found.unreadable.get(name) or _too_few(then, current)
    if why:
        return unproven(name, why)
    if not settled or then["level"] == "none" or then["rows"] is None:
        if current is None:
            return unproven(name, "not there, and nobody knows how many rows it had")
        if settled and logical:
            return unproven(name, "not looked at when it was captured")
        return passed(name, "changed while it was captured")
    if current is None:
        return failed(name, "missing")
    if current == then["rows"]:
        return passed(name)
    if logical and name in found.rebuilt:
        return passed(name, "made anew by loading")
    return failed(name, f"{current:,} rows instead of {then['rows']:,}")


def _too_few(then: Json, current: int | None) -> str:
    """Say so where most rows are gone of a table that was looked at twice."""
    first, last = then.get("rows"), then.get("rows_after")
    if first is None or last is None or current is None:
        return ""
    least = min(first, last)
    if least < _MANY_ROWS or 2 * current >= least:
        return ""
    return f"{current:,} rows, and {least:,} or more while it was captured"


def judge_objects(baseline: Json, found: Counted, *, certain: bool) -> Iterator[Look]:
    """Hold counts of objects, and sequences, against the baseline, as far as they were counted."""
    then: Json = baseline.get("objects") or {}
    kinds = [kind for kind in found.objects if isinstance(then.get(kind), int)]
    if kinds:
        wrong = [
            f"{found.objects[kind]:,} {kind} instead of {then[kind]:,}"
            for kind in kinds
            if found.objects[kind] != then[kind]
        ]
        judge = failed if certain else unproven
        detail = counted(len(kinds), "kind") + " counted, definitions not compared"
        yield judge(_OBJECTS, some(wrong)) if wrong else passed(_OBJECTS, detail)
    if found.sequences is None:
        return
    behind = [
        name
        for name, value in (baseline.get("sequences") or {}).items()
        if found.sequences.get(name, value - 1) < value
    ]
    if behind:
        title = "no sequence would hand out a number twice"
        yield failed(title, f"behind or missing: {some(behind)}")


def judge_queries(
    baseline: Json, ask: Callable[[str], str | None], zone: tzinfo | None
) -> Iterator[Look]:
    """Ask again what was asked when it was captured.

    `ask` returns the one value as text, `None` for SQL's null, and raises Unproven.
    """
    queries: Json = baseline.get("queries") or {}
    wrong, unknown = [], []
    for number, (query, expected) in enumerate(queries.items(), 1):
        try:
            same = is_same(ask(query), expected, zone)
        except Unproven as reason:
            unknown.append(f"query {number}: {reason}")
            continue
        if same is None:
            unknown.append(f"query {number}: its answer cannot be compared here")
        elif not same:
            wrong.append(f"query {number} of {len(queries)} (in point/plan.yaml)")
    if wrong:
        yield failed(_QUERIES, f"another answer: {some(wrong)}")
    elif unknown:
        yield unproven(_QUERIES, some(unknown))
    elif queries:
        yield passed(_QUERIES, counted(len(queries), "query", "queries"))


def is_same(text: str | None, expected: Any, zone: tzinfo | None) -> bool | None:
    """Whether the answer is the one of then; `None` where that cannot be said."""
    if expected is None or text is None:
        return expected is None and text is None
    if isinstance(expected, bool):
        return text in ({"t", "true", "1"} if expected else {"f", "false", "0"})
    if isinstance(expected, (int, float)):
        try:
            return int(text) == expected
        except ValueError:
            pass
        try:
            return abs(float(text) - expected) <= 1e-12 * max(1.0, abs(expected))
        except (ValueError, OverflowError):
            return False
    return _is_same_time(text, expected, zone)


def _is_same_time(text: str, expected: Any, zone: tzinfo | None) -> bool | None:
    """Compare times. One without an offset may be meant in the practice's zone, or in UTC."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        text = f"{text} 00:00:00"
    try:
        then = read_time(expected)
        answers = {read_time(text, each) for each in (zone, timezone.utc) if each is not None}
    except ValueError:
        return False
    if then in answers:
        return True
    return False if zone is not None or re.search(r"[+-]\d\d(:\d\d)?$|Z$", text) else None


# --- SQLite ---------------------------------------------------------------------------------------

_VIRTUAL = re.compile(r"\s*create\s+virtual\s+table", re.IGNORECASE)
_ATTACH = 24
"""SQLITE_ATTACH, as sqlite3.h numbers what an authorizer is asked."""


def check_sqlite(
    said: Json, place: Path, _sidecars: Path, scratch: Place, zone: tzinfo | None
) -> Iterator[Look]:
    """Open a database, and count.

    Raises:
        Unproven, Damaged: it cannot be looked at, or is none.
    """
    baseline: Json = said["baseline"]
    with opened(place) as file:
        size = os.fstat(file.fileno()).st_size
    if not size:
        raise Damaged("what came back is an empty file")
    equal = None
    if baseline.get("sha256"):
        equal = sha256_of(place) == baseline["sha256"]
        title = "the file is the one that was captured, byte for byte"
        yield passed(title) if equal else failed(title, "it is another one")
    copy = scratch.copy(place, "database.sqlite")
    queries = list(baseline.get("queries") or {})
    looked: Json = scratch.in_child(look_at_sqlite, str(copy), queries)
    if looked["error"]:
        if has(looked["error"], "NOTADB", "CORRUPT", "DatabaseError"):
            raise Damaged(f"it does not open as a database: {looked['error']}")
        raise Unproven(f"SQLite could not read it: {looked['error']}")
    title = "SQLite finds no damage (integrity_check)"
    if looked["damages"]:
        yield failed(title, counted(looked["damages"], "fault"))
    elif looked["damages"] is None:
        yield passed(title, "not asked: equal bytes") if equal else unproven(title, "not answered")
    else:
        yield passed(title)
    found = Counted(
        rows=looked["rows"],
        unreadable=looked["unreadable"],
        objects=looked["objects"],
        sequences=looked["sequences"],
    )
    yield judge_tables(baseline, found, logical=True)
    yield from judge_objects(baseline, found, certain=True)

    def ask(query: str) -> str | None:
        kind, value = looked["answers"][queries.index(query)]
        if kind == "error":
            raise Unproven(f"it failed: {value}")
        return None if value is None else str(value)

    yield from judge_queries(baseline, ask, zone)


def look_at_sqlite(path: str, queries: list[str]) -> Json:
    """Return what is in a database file; nothing of it but numbers, times and names of tables."""
    found: Json = {"error": "", "damages": None, "rows": {}, "unreadable": {}, "objects": {}}
    found.update(sequences={}, answers=[])
    try:
        address = f"file:{urllib.parse.quote(path)}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.execute("PRAGMA query_only = on")
        connection.execute("PRAGMA trusted_schema = off")
        schema = list(connection.execute("SELECT type, name, sql FROM sqlite_master"))
    except sqlite3.Error as error:
        found["error"] = _sqlite_words(error)
        return found
    with contextlib.suppress(sqlite3.Error):
        faults = connection.execute("PRAGMA integrity_check(100)").fetchall()
        found["damages"] = 0 if faults == [("ok",)] else len(faults)
    tables = [
        name
        for kind, name, sql in schema
        if kind == "table" and not name.startswith("sqlite_") and not _VIRTUAL.match(sql or "")
    ]
    for name in tables:
        try:
            query = f"SELECT count(*) FROM {_quoted(name)}"
            found["rows"][name] = connection.execute(query).fetchone()[0]
        except sqlite3.Error as error:
            found["unreadable"][name] = _sqlite_words(error)
    kinds = [kind for kind, _, _ in schema]
    for kind, plural in (("index", "indexes"), ("view", "views"), ("trigger", "triggers")):
        found["objects"][plural] = kinds.count(kind)
    virtual = sum(1 for _, _, sql in schema if _VIRTUAL.match(sql or ""))
    found["objects"]["virtual tables"] = virtual
    with contextlib.suppress(sqlite3.Error):
        violations = sum(1 for _ in connection.execute("PRAGMA foreign_key_check"))
        found["objects"]["foreign key violations"] = violations
    with contextlib.suppress(sqlite3.Error):
        ends = connection.execute("SELECT name, seq FROM sqlite_sequence")
        found["sequences"] = {str(name): end for name, end in ends if isinstance(end, int)}
    connection.set_authorizer(lambda action, *_: int(action == _ATTACH))
    found["answers"] = [_sqlite_answer(connection, query) for query in queries]
    return found


def _sqlite_answer(connection: sqlite3.Connection, query: str) -> tuple[str, Any]:
    try:
        rows = connection.execute(query).fetchmany(2)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        return "error", _sqlite_words(error)
    if len(rows) != 1 or len(rows[0]) != 1:
        return "error", "not one value"
    value = rows[0][0]
    if value is None or isinstance(value, (int, float)):
        return "value", value
    text = value if isinstance(value, str) else ""
    return ("value", text) if _TIME.fullmatch(text) or len(text) == 10 else ("error", "text")


def _sqlite_words(error: Exception) -> str:
    return str(getattr(error, "sqlite_errorname", "") or type(error).__name__)


# --- PostgreSQL -----------------------------------------------------------------------------------

_POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/postgresql*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_SUPERUSER = "dro_kit"
_POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "fsync": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "archive_mode": "off",
    "archive_command": "",
    "restore_command": "",
    "primary_conninfo": "",
    "hot_standby": "off",
    "max_logical_replication_workers": "0",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "autovacuum": "off",
    "jit": "off",
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "lc_messages": "C",
    "external_pid_file": "",
}
"""What the command line says wins over whatever the data directory says."""
_EVENT_TRIGGERS_SINCE = 17
_CONTROL = {
    "max_connections": rb"^max_connections setting: +(\d+)",
    "max_worker_processes": rb"^max_worker_processes setting: +(\d+)",
    "max_prepared_transactions": rb"^max_prepared_xacts setting: +(\d+)",
    "max_locks_per_transaction": rb"^max_locks_per_xact setting: +(\d+)",
}
_POSTGRES_DAMAGE = (
    *("could not locate a valid checkpoint", "could not locate required checkpoint"),
    *("invalid checkpoint", "invalid primary checkpoint", "incorrect checksum in control file"),
    *("invalid data in file", "invalid page", "page verification failed", "wal ends before"),
    *("backup_label", "is not a valid data directory", "could not open file", "could not read"),
    *("could not access status of transaction", "requested timeline", "corrupt"),
)
_CANNOT_LOAD = (
    ("no space left", "the disk is full"),
    ("disk quota exceeded", "the disk is full"),
    ("unsupported version", "a newer PostgreSQL made the archive"),
    ("unrecognized configuration parameter", "a newer PostgreSQL made the archive"),
    ("is not available", "an extension that it needs is not on this computer"),
    ("could not open extension control file", "an extension is not on this computer"),
    ("could not access file", "a library that its functions need is not on this computer"),
    ("could not load library", "a library that its functions need is not on this computer"),
    ("could not create locale", "a locale that a column sorts by is not on this computer"),
    ("could not open collator", "a locale that a column sorts by is not on this computer"),
    ("out of memory", "there is not enough memory"),
    ("cannot allocate memory", "there is not enough memory"),
    ("server closed the connection", "the private server went away"),
    ("connection to server", "the private server went away"),
)
_DAMAGED_STATES = ("XX001", "XX002", "58P01")
_OURS = r"""n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and n.nspname !~ '^pg_(toast_)?temp_'"""
_NULL = "\x01null"


def _free(catalog: str, alias: str) -> str:
    return f"""not exists (select from pg_depend d where d.classid = '{catalog}'::regclass
        and d.objid = {alias}.oid and d.deptype = 'e')"""


_OUR_TABLES = f"{_OURS} and {_free('pg_class', 'c')} and c.relpersistence <> 't'"
_POSTGRES_TABLES = f"""
    select coalesce(json_agg(json_build_array(n.nspname, c.relname, c.relkind::text)), '[]')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where (c.relkind = 'r' or (c.relkind = 'm' and c.relispopulated)) and {_OUR_TABLES}"""
_POSTGRES_SEQUENCES = f"""
    select coalesce(json_agg(json_build_array(n.nspname, c.relname, s.last_value)), '[]')
    from pg_sequences s join pg_namespace n on n.nspname = s.schemaname
    join pg_class c on c.relnamespace = n.oid and c.relname = s.sequencename
    where s.last_value is not null and s.increment_by > 0 and not s.cycle and {_OUR_TABLES}"""


def _in_schemas(what: str, catalog: str, schema: str, condition: str) -> str:
    return f"""select '{what}' as kind, count(*) as found from {catalog} o
        join pg_namespace n on n.oid = o.{schema}
        where {_OURS} and {_free(catalog, "o")} and {condition}"""


def _on_tables(what: str, catalog: str, table: str, condition: str) -> str:
    return f"""select '{what}', count(*) from {catalog} o join pg_class c on c.oid = o.{table}
        join pg_namespace n on n.oid = c.relnamespace where {_OUR_TABLES} and {condition}"""


_RELATIONS = (
    ("tables", "'r', 'p'"),
    ("views", "'v'"),
    ("materialised views", "'m'"),
    ("foreign tables", "'f'"),
    ("sequences", "'S'"),
)
_POSTGRES_OBJECTS = (
    "select json_object_agg(kind, found) from ("
    + " union all ".join(
        (
            *(
                _in_schemas(
                    what,
                    "pg_class",
                    "relnamespace",
                    f"o.relkind in ({kinds}) and o.relpersistence <> 't'",
                )
                for what, kinds in _RELATIONS
            ),
            _in_schemas("routines", "pg_proc", "pronamespace", "true"),
            _on_tables("indexes", "pg_index", "indrelid", "o.indisvalid"),
            _on_tables(
                "constraints",
                "pg_constraint",
                "conrelid",
                "o.contype in ('c', 'f', 'p', 'u', 'x') and o.conparentid = 0",
            ),
            _on_tables(
                "triggers",
                "pg_trigger",
                "tgrelid",
                "not o.tgisinternal and coalesce((to_jsonb(o) ->> 'tgparentid')::oid, 0) = 0",
            ),
        )
    )
    + ") as counts"
)


class Postgres:
    """A PostgreSQL server of our own, on a unix socket that nobody else can reach."""

    def __init__(self, scratch: Place, folder: Path, major: int, superuser: str) -> None:
        self._scratch = scratch
        self._folder = folder
        self._major = major
        self._user = superuser
        self._sockets = scratch.folder("s")
        self._log = scratch.file("server.log", "")
        self.session: dict[str, str] = {}

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(self._folder / name)

    def make(self, data: Path) -> None:
        """Make an empty cluster."""
        made = self._scratch.run(
            *(self.program("initdb"), f"--pgdata={data}", f"--username={self._user}"),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        if made.returncode:
            raise Unproven(f"a private PostgreSQL could not be made{_cause(made.stderr)}")

    def start(self, data: Path, settings: dict[str, str], seconds: float) -> None:
        """Start, and return when it answers.

        Raises:
            Damaged, Unproven: it does not.
        """
        given = {
            **settings,
            **_POSTGRES_SETTINGS,
            "unix_socket_directories": str(self._sockets),
            "config_file": str(self._scratch.file("postgresql.conf", "")),
            "hba_file": str(self._scratch.file("pg_hba.conf", "local all all trust\n")),
            "ident_file": str(self._scratch.file("pg_ident.conf", "")),
        }
        if self._major >= _EVENT_TRIGGERS_SINCE:
            given["event_triggers"] = "off"
        words = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        program = self.program("postgres")
        server = self._scratch.start(program, "-D", str(data), *words, log=self._log)

        def answer() -> subprocess.CompletedProcess[bytes]:
            return self.psql("template1", "select 1", seconds=30)

        wait_for("PostgreSQL", server, answer, self.gone, seconds)

    def gone(self, what: str) -> Exception:
        """Return why it does not run, by what it wrote."""
        log = self._log.read_bytes()[-65536:].decode(errors="replace")
        if has(log, "no space left", "disk quota"):
            return Unproven(f"{what}: the disk is full")
        return Damaged(what) if has(log, *_POSTGRES_DAMAGE) else Unproven(what)

    def environment(self, database: str, options: str = "") -> dict[str, str]:
        """Return what leads a client there, and nowhere else."""
        session = "".join(f" -c {name}={_escaped(text)}" for name, text in self.session.items())
        return {
            "PGHOST": str(self._sockets),
            "PGPORT": "5432",
            "PGUSER": self._user,
            "PGDATABASE": database,
            "PGSSLMODE": "disable",
            "PGCONNECT_TIMEOUT": "15",
            "PGPASSFILE": os.devnull,
            "PGOPTIONS": f"-c session_preload_libraries= -c local_preload_libraries={session}"
            + options,
        }

    def psql(
        self, database: str, *statements: str, options: str = "", seconds: float = 24 * 3600
    ) -> subprocess.CompletedProcess[bytes]:
        """Run statements, each by itself; psql's own commands are never read from them."""
        plain = [each for each in statements if not each.lstrip().startswith("\\")]
        return self._scratch.run(
            *(self.program("psql"), "-X", "-A", "-t", "-q", "--no-password"),
            *("-v", "VERBOSITY=sqlstate", "-P", f"null={_NULL}"),
            *(word for each in plain for word in ("-c", each)),
            env=self.environment(database, options),
            seconds=seconds,
        )

    def asked(self, database: str, query: str, options: str = "") -> Any:
        """Return the JSON that a query answers."""
        done = self.psql(database, query, options=options)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Unproven(f"the database cannot be read{_state_words(done.stderr)}") from None


_READ_ONLY = " -c default_transaction_read_only=on -c row_security=off"
_SETTLED = _READ_ONLY + " -c search_path=pg_catalog"


def check_postgres(
    said: Json, place: Path, sidecars: Path, scratch: Place, zone: tzinfo | None
) -> Iterator[Look]:
    """Bring a database to life in a private server, and count.

    Raises:
        Unproven, Damaged: it cannot be looked at, or does not come to life.
    """
    server_said: Json = said.get("server") or {}
    logical = said["method"] == "logical"
    major = int(_digits(server_said.get("major")) or 0)
    if not major:
        raise Unproven("the manifest does not say which PostgreSQL it is of")
    database = str(server_said.get("database") or "")
    if logical:
        wrote = str((said.get("tools") or {}).get("pg_dump", "")).split(".")[0]
        major = max(major, int(_digits(wrote) or 0))
        needed: tuple[str, ...] = ("initdb", "pg_restore", "postgres", "psql")
        folder, found = _postgres_programs(scratch, major, needed, exactly=False)
        server = Postgres(scratch, folder, found, _SUPERUSER)
        _load_archive(server, server_said, place, sidecars, scratch)
        yield passed("the archive loads, without an error")
    else:
        needed = ("pg_controldata", "pg_verifybackup", "pg_waldump", "postgres", "psql")
        folder, found = _postgres_programs(scratch, major, needed, exactly=True)
        superuser = str(server_said.get("superuser") or "postgres")
        server = Postgres(scratch, folder, found, superuser)
        _start_cluster(server, place, scratch)
        yield passed("every file of the cluster is byte for byte what was captured")
    for name in ("TimeZone", "default_text_search_config"):
        value = _recorded(server_said, "settings").get(name, "")
        if re.fullmatch(r"[\w./+:-]+", value):
            server.session[name] = value
    baseline: Json = said["baseline"]
    counts = _count_postgres(server, database, baseline, physical=not logical)
    yield judge_tables(baseline, counts, logical=logical)
    same = str(baseline.get("algorithm", "")).endswith(f"/{found}")
    yield from judge_objects(baseline, counts, certain=same)

    def ask(query: str) -> str | None:
        done = server.psql(database, query, options=_READ_ONLY, seconds=600)
        lines = lines_of(done.stdout)
        if done.returncode or len(lines) != 1:
            raise Unproven(f"it failed{_state_words(done.stderr)}")
        return None if lines[0] == _NULL else lines[0]

    yield from judge_queries(baseline, ask, zone)


def _recorded(server: Json, name: str) -> dict[str, str]:
    """Return a map that a manifest keeps as JSON text."""
    try:
        found = json.loads(server.get(name, "{}"))
    except (ValueError, TypeError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _escaped(text: str) -> str:
    return re.sub(r"([\\ ])", r"\\\1", text)


def _cause(errors: bytes) -> str:
    lowered = errors.decode(errors="replace").lower()
    known = ("no space left on device", "permission denied", "out of memory", "disk quota")
    return next((f": {each}" for each in known if each in lowered), "")


def _state_words(errors: bytes) -> str:
    match = re.search(rb"(?:ERROR|FATAL):\s+([0-9A-Z]{5})", errors)
    return f" (SQLSTATE {match[1].decode()})" if match else ""


def _postgres_programs(
    scratch: Place, wanted: int, names: Sequence[str], *, exactly: bool
) -> tuple[Path, int]:
    """Return the folder of a PostgreSQL that can read this, and its major version."""
    fitting = []
    for folder in _folders(scratch, _POSTGRES_FOLDERS):
        if not all((folder / name).is_file() for name in names):
            continue
        told = scratch.run(str(folder / "postgres"), "--version", seconds=20).stdout
        match = re.search(rb"(\d+)(?:\.\d+)?", told)
        if match and (int(match[1]) == wanted if exactly else int(match[1]) >= wanted):
            fitting.append((int(match[1]), str(folder)))
    if not fitting:
        words = "" if exactly else " or newer"
        raise Unproven(
            f"PostgreSQL {wanted}{words} is not on this computer (Debian: apt install "
            f"postgresql-{wanted}); its programs elsewhere: --programs DIR"
        )
    major, path = min(fitting)
    return Path(path), major


def _folders(scratch: Place, usual: Sequence[str]) -> list[Path]:
    """Return where programs may be; /bin is /usr/bin, and must be called so to find its files."""
    path = (os.environ.get("PATH") or os.defpath).split(os.pathsep)
    patterns = (*scratch.programs, *usual, *filter(None, path))
    found = (os.path.realpath(each) for pattern in patterns for each in glob.glob(pattern))
    return [Path(each) for each in dict.fromkeys(found)]


def _label(schema: str, name: str) -> str:
    """Return a table's name as baselines have it."""
    return ".".join(
        each
        if each[:1].isalpha()
        and each.isascii()
        and each.replace("_", "a").isalnum()
        and each == each.lower()
        else _quoted(each)
        for each in (schema, name)
    )


def _load_archive(
    server: Postgres, said: Json, place: Path, sidecars: Path, scratch: Place
) -> None:
    database = str(said.get("database") or "restored")
    with opened(place) as archive:
        if archive.read(5) != b"PGDMP":
            raise Damaged("the archive does not begin as one")
    data = scratch.folder("data")
    server.make(data)
    server.start(data, {}, 300)
    _create_database(server, database, said)
    roles = sidecars / "globals.sql"
    if roles.is_file() and not roles.is_symlink():
        lines = roles.read_text(encoding="utf-8", errors="replace").splitlines()
        for chunk in _chunks([line for line in lines if line.startswith(_ROLE_STATEMENTS)], 200):
            server.psql("template1", *chunk)  # what is there already is no error
    properties = _pg_restore(
        server, place, scratch, "--create", f"--use-list={os.devnull}", "--file=-"
    )
    lines = lines_of(properties.stdout)
    own = [line for line in lines if line.startswith("ALTER DATABASE ") and " SET " in line]
    if own:
        server.psql("template1", *own)
    loaded = _pg_restore(
        server,
        place,
        scratch,
        *("--exit-on-error", "--no-tablespaces", "--no-password", f"--dbname={_dsn(database)}"),
    )
    if loaded.returncode:
        raise _why_not_loaded(loaded.stderr.decode(errors="replace"))
    server.psql(database, "analyze")


_ROLE_STATEMENTS = ("CREATE ROLE ", "ALTER ROLE ", "GRANT ")


def _dsn(database: str) -> str:
    escaped = database.replace("\\", r"\\").replace("'", r"\'")
    return f"dbname='{escaped}'"


def _chunks(lines: list[str], size: int) -> Iterator[list[str]]:
    for first in range(0, len(lines), size):
        yield lines[first : first + size]


def _pg_restore(
    server: Postgres, place: Path, scratch: Place, *arguments: str
) -> subprocess.CompletedProcess[bytes]:
    with opened(place) as archive:  # the account that runs it may not open the file itself
        return scratch.run(
            server.program("pg_restore"),
            *arguments,
            stdin=archive,
            env=server.environment("template1"),
        )


def _why_not_loaded(errors: str) -> Exception:
    lowered = errors.lower()
    for sign, words in _CANNOT_LOAD:
        if sign in lowered:
            return Unproven(f"it could not be loaded here: {words}")
    return Damaged("the archive does not load: it is truncated or damaged, or contradicts itself")


def _create_database(server: Postgres, database: str, said: Json) -> None:
    encoding = str(said.get("encoding") or "UTF8")
    own = {
        "lc_collate": str(said.get("collate") or "C"),
        "lc_ctype": str(said.get("ctype") or "C"),
    }
    if said.get("locale_provider") == "i":
        own.update(locale_provider="icu", icu_locale=str(said.get("locale") or ""))
    if said.get("locale_provider") == "b":
        own.update(locale_provider="builtin", builtin_locale=str(said.get("locale") or ""))
    neutral = [{"lc_collate": each, "lc_ctype": each} for each in ("C.UTF-8", "C")]
    for locale in (own, *neutral):
        options = {"encoding": encoding, **locale}
        words = " ".join(f"{name} {_literal(value)}" for name, value in options.items())
        made = server.psql(
            "template1", f"create database {_quoted(database)} template template0 {words}"
        )
        if not made.returncode:
            return
    raise Unproven("a database with its encoding cannot be made here")


def _start_cluster(server: Postgres, place: Path, scratch: Place) -> None:
    """Start a copy of a cluster, once every file of it is proven."""
    copy = scratch.copy(place, "cluster")
    data, spaces = copy / "data", copy / "tablespaces"
    links = data / "pg_tblspc"
    if not data.is_dir() or data.is_symlink() or not links.is_dir() or links.is_symlink():
        raise Damaged("the backup holds no whole data directory")
    for link in [each for each in links.iterdir() if each.is_symlink() and each.name.isdigit()]:
        if not (spaces / link.name).is_dir():
            raise Damaged("a tablespace of the cluster did not come back")
        link.unlink()
        link.symlink_to(spaces / link.name)
        scratch.give(link)
    proof = scratch.run(server.program("pg_verifybackup"), "--quiet", str(data))
    if proof.returncode == 1:
        raise Damaged("files of the cluster are missing or not as captured (pg_verifybackup)")
    if proof.returncode:
        raise Unproven("pg_verifybackup did not come to an end")
    for name in ("recovery.signal", "standby.signal", "postmaster.pid", "postgresql.auto.conf"):
        with contextlib.suppress(FileNotFoundError):
            (data / name).unlink()
    control = scratch.run(server.program("pg_controldata"), str(data), seconds=60)
    if control.returncode:
        raise Damaged("the cluster's control file cannot be read")
    settings = {}
    for name, pattern in _CONTROL.items():
        match = re.search(pattern, control.stdout, re.MULTILINE)
        if match:
            settings[name] = match[1].decode()
    server.start(data, settings, 2 * 3600)


def _count_postgres(server: Postgres, database: str, baseline: Json, *, physical: bool) -> Counted:
    named = [
        (_label(schema, name), f"{_quoted(schema)}.{_quoted(name)}", kind)
        for schema, name, kind in server.asked(database, _POSTGRES_TABLES, _SETTLED)
    ]
    found = Counted(rows={}, rebuilt={label for label, _, kind in named if kind == "m"})
    then: Json = baseline.get("tables") or {}
    unlogged = {name for name, each in then.items() if each["level"] == "none"}
    sources = [
        (label, f"only {quoted}") for label, quoted, _ in named if physical or label not in unlogged
    ]
    if "large objects" in then:
        sources.append(("large objects", "pg_largeobject_metadata"))
    for chunk in _chunks([str(number) for number in range(len(sources))], 200):
        queries = [f"select {n}, count(*) from {sources[int(n)][1]}" for n in chunk]
        done = server.psql(database, *queries, options=_SETTLED)
        for line in lines_of(done.stdout):
            number, _, rows = line.partition("|")
            if number.isdigit() and rows.isdigit():
                found.rows[sources[int(number)][0]] = int(rows)
    for label, source in sources:
        if label not in found.rows:
            _why_not_counted(server, database, label, source, found)
    for label in unlogged & {label for label, _, _ in named}:
        found.rows.setdefault(label, 0)  # it is there; how many rows it had nobody knows
    found.objects = server.asked(database, _POSTGRES_OBJECTS, _SETTLED)
    ends = server.asked(database, _POSTGRES_SEQUENCES, _SETTLED)
    found.sequences = {_label(schema, name): int(end) for schema, name, end in ends}
    return found


def _why_not_counted(
    server: Postgres, database: str, label: str, source: str, found: Counted
) -> None:
    done = server.psql(database, f"select count(*) from {source}", options=_SETTLED)
    if any(state.encode() in done.stderr for state in _DAMAGED_STATES):
        found.damaged[label] = "damaged: the server cannot read it"
    else:
        found.unreadable[label] = f"reading it failed{_state_words(done.stderr)}"


# --- MariaDB --------------------------------------------------------------------------------------

_MARIADB_FOLDERS = ("/usr/bin", "/usr/sbin", "/opt/mariadb-*/bin", "/usr/local/bin")
_OLD_NAMES = {
    "mariadb": "mysql",
    "mariadb-backup": "mariabackup",
    "mariadb-install-db": "mysql_install_db",
    "mariadbd": "mysqld",
}
_MARIADB_SETTINGS = {
    "skip-networking": "1",
    "skip-name-resolve": "1",
    "skip-log-bin": "1",
    "skip-slave-start": "1",
    "event-scheduler": "OFF",
    "local-infile": "0",
    "symbolic-links": "0",
    "loose-feedback": "OFF",
    "performance-schema": "0",
    "general-log": "0",
    "slow-query-log": "0",
    "lc-messages": "en_US",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "0",
    "innodb-strict-mode": "0",
    "innodb-use-native-aio": "0",
    "myisam-recover-options": "OFF",
    "aria-recover-options": "OFF",
    "max-allowed-packet": str(1024**3),
}
_OF_PRODUCTION = (
    *("character_set_server", "collation_server", "default_storage_engine"),
    *("explicit_defaults_for_timestamp", "ft_min_word_len", "innodb_ft_min_token_size"),
    *("innodb_default_row_format", "innodb_page_size", "lower_case_table_names", "sql_mode"),
)
_OF_THE_FILES = (
    *("innodb_data_file_path", "innodb_log_file_size", "innodb_page_size"),
    "innodb_undo_tablespaces",
)
_FROM_THE_START = ("innodb-page-size", "lower-case-table-names")
_MARIADB_DAMAGE = (
    *("corrupt", "checksum", "consists of zero bytes", "was not found at", "missing file_"),
    *("could not find a valid tablespace", "doesn't exist in engine", "cannot open datafile"),
    *("can't open and lock privilege tables", "recovery failed", "marked as crashed"),
    *("log scan aborted", "incomplete", "is smaller", "invalid page", "expected header"),
)
_DAMAGED_NUMBERS = {126, 127, 130, 134, 144, 145, 1016, 1017, 1034, 1035, 1194, 1195, 1712, 1877}
_CANNOT_LOAD_NUMBERS = {
    **dict.fromkeys((1021, 1114), "the disk is full"),
    **dict.fromkeys((1115, 1273), "a collation is not known to the version here"),
    1298: "it needs time zones by name",
    **dict.fromkeys((1126, 1286), "an engine or a library is not on this computer"),
    **dict.fromkeys((1037, 1038, 1041, 1135), "there is not enough memory"),
    **dict.fromkeys((2002, 2003, 2006, 2013, 2020, 1053, 1153), "the private server went away"),
}
_ROWS_ELSEWHERE = "'BLACKHOLE','CONNECT','FEDERATED','MRG_MYISAM','OQGRAPH','SPIDER','VIRTUAL'"
_MARIADB_TABLES = f"""select table_name from information_schema.tables
    where table_schema = database() and table_type not in ('VIEW', 'SYSTEM VIEW', 'SEQUENCE')
    and table_type not like '%TEMPORARY%' and coalesce(upper(engine), '')
    not in ({_ROWS_ELSEWHERE})"""
_MARIADB_OBJECTS = {
    "tables": "select count(*) from information_schema.tables where table_schema = database()"
    " and table_type not in ('VIEW', 'SYSTEM VIEW', 'SEQUENCE')"
    " and table_type not like '%TEMPORARY%'",
    "sequences": "select count(*) from information_schema.tables where table_schema = database()"
    " and table_type = 'SEQUENCE'",
    "views": "select count(*) from information_schema.views where table_schema = database()",
    "routines": "select count(*) from information_schema.routines"
    " where routine_schema = database()",
    "triggers": "select count(*) from information_schema.triggers"
    " where trigger_schema = database()",
    "events": "select count(*) from information_schema.events where event_schema = database()",
    "indexes": "select count(distinct binary table_name, binary index_name)"
    " from information_schema.statistics where table_schema = database()",
    "foreign keys": "select count(distinct binary k.table_name, binary k.constraint_name)"
    " from information_schema.key_column_usage k where k.table_schema = database()"
    " and k.referenced_table_name is not null",
}
_ACCOUNT_STATEMENTS = ("CREATE USER ", "CREATE ROLE ", "GRANT ", "SET DEFAULT ROLE ", "ALTER USER ")
_ROW = re.compile(
    rb"(INSERT INTO `(?:[^`\n]|``)+`(?: \((?:`(?:[^`\n]|``)+`(?:, ?)?)+\))? VALUES \().*\);\n\Z",
    re.DOTALL,
)
_PLACES = re.compile(rb"(?:/\*M?!999999\\- .*|CREATE DATABASE .*;|USE `(?:[^`\n]|``)+`;)\n")


class Mariadb:
    """A MariaDB server of our own, on a unix socket that nobody else can reach."""

    def __init__(self, scratch: Place, folders: Sequence[Path], settings: dict[str, str]) -> None:
        self._scratch = scratch
        self._folders = folders
        self._settings = settings
        self._socket = scratch.folder("s") / "s"
        self._log = scratch.file("server.log", "")

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(_mariadb_program(self._folders, name))

    def make(self, data: Path) -> None:
        """Make an empty server."""
        start = [f"--{n}={v}" for n, v in self._settings.items() if n in _FROM_THE_START]
        program = self.program("mariadb-install-db")
        made = self._scratch.run(
            *(program, "--no-defaults", f"--basedir={Path(program).parent.parent}"),
            *(f"--datadir={data}", f"--tmpdir={self._scratch.folder('making')}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db", *start),
            *("--force", "--innodb-use-native-aio=0"),
        )
        if made.returncode:
            raise Unproven(f"a private MariaDB could not be made{_cause(made.stderr)}")

    def start(self, data: Path, seconds: float) -> None:
        """Start, and return when it answers.

        Raises:
            Damaged, Unproven: it does not.
        """
        account = f"'{_SUPERUSER}'@'localhost'"
        script = self._scratch.file(
            "init.sql",
            f"create or replace user {account};\n"
            f"grant all privileges on *.* to {account} with grant option;\n",
        )
        nothing = self._scratch.folder("none")
        program = self.program("mariadbd")
        settings = {
            **self._settings,
            **_MARIADB_SETTINGS,
            "basedir": str(Path(program).parent.parent),
            "datadir": str(data),
            "init-file": str(script),
            "socket": str(self._socket),
            "pid-file": str(self._socket.with_name("pid")),
            "tmpdir": str(self._scratch.folder("work")),
            "plugin-dir": str(nothing),
            "secure-file-priv": str(nothing),
        }
        words = [f"--{name}={value}" for name, value in settings.items()]
        server = self._scratch.start(program, "--no-defaults", *words, log=self._log)
        wait_for("MariaDB", server, lambda: self.ask("select 1", seconds=30), self.gone, seconds)

    def gone(self, what: str) -> Exception:
        """Return why it does not run, by what it wrote."""
        log = self._log.read_bytes()[-65536:].decode(errors="replace").lower()
        errors = "\n".join(line for line in log.splitlines() if "[error]" in line)
        if has(log, "no space left", "disk full", "error 28", "errno: 28"):
            return Unproven(f"{what}: the disk is full")
        if has(log, "unsupported redo log format", "upgrade after a crash", "unknown variable"):
            return Unproven(f"{what}: the data is of another version")
        return Damaged(what) if has(errors, *_MARIADB_DAMAGE) else Unproven(what)

    def client(self, user: str) -> list[str]:
        """Return the client, on its way to the server."""
        return [
            self.program("mariadb"),
            *("--no-defaults", f"--socket={self._socket}", f"--user={user}"),
            *("--binary-mode", "--batch", "--skip-column-names", "--skip-auto-rehash"),
            *("--local-infile=0", "--default-character-set=utf8mb4"),
            f"--max-allowed-packet={1024**3}",
        ]

    def ask(
        self, *statements: str, database: str = "", seconds: float = 24 * 3600
    ) -> subprocess.CompletedProcess[bytes]:
        """Run statements, going on where one fails."""
        script = "".join(f"{each};\n" for each in statements).encode()
        where = [f"--database={database}"] if database else []
        return self._scratch.run(
            *self.client(_SUPERUSER), "--force", *where, stdin=script, seconds=seconds
        )

    def lines(self, database: str, *statements: str) -> list[str]:
        """Return what statements answer, line by line."""
        done = self.ask(*_READING, *statements, database=database)
        if done.returncode:
            raise Unproven(f"the database cannot be read (error {_number(done.stderr)})")
        return [_unescaped(line) for line in lines_of(done.stdout)]


_READING = (
    "set session time_zone = '+00:00', sql_mode = ''",
    "set session transaction read only",
)


def _unescaped(text: str) -> str:
    signs = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
    return re.sub(r"\\([nt0\\])", lambda found: signs[found[1]], text)


def _number(errors: bytes) -> int:
    match = re.search(rb"ERROR (\d+)", errors)
    return int(match[1]) if match else 0


def check_mariadb(
    said: Json, place: Path, sidecars: Path, scratch: Place, zone: tzinfo | None
) -> Iterator[Look]:
    """Bring a database to life in a private server, and count.

    Raises:
        Unproven, Damaged: it cannot be looked at, or does not come to life.
    """
    server_said: Json = said.get("server") or {}
    logical = said["method"] == "logical"
    if server_said.get("vendor") != "mariadb":
        raise Unproven("it is of MySQL, of which no private server is started: load it by hand")
    numbers = [
        int(each) for each in str(server_said.get("version", "")).split(".") if each.isdigit()
    ]
    if len(numbers) < 2:
        raise Unproven("the manifest does not say which MariaDB it is of")
    series, database = (numbers[0], numbers[1]), str(server_said.get("database") or "")
    needed = ("mariadb", "mariadbd", *(("mariadb-install-db",) if logical else _COPY_PROGRAMS))
    folders, found = _mariadb_programs(scratch, series, needed, exactly=not logical)
    kept = _recorded(server_said, "settings")
    server = Mariadb(scratch, folders, _own_settings(kept, logical=logical))
    if logical:
        _load_dump(server, server_said, database, place, sidecars, scratch)
        yield passed("the dump loads, without an error")
    else:
        _start_copy(server, place, kept, scratch)
        yield passed("the copy is whole, and its server starts")
    baseline: Json = said["baseline"]
    counts = _count_mariadb(server, database, baseline, physical=not logical)
    yield judge_tables(baseline, counts, logical=logical)
    same = str(baseline.get("algorithm", "")).endswith(f"-{found[0]}.{found[1]}")
    yield from judge_objects(baseline, counts, certain=same)

    def ask(query: str) -> str | None:
        done = server.ask(*_READING, query.rstrip().rstrip(";"), database=database, seconds=600)
        lines = lines_of(done.stdout)
        if done.returncode or len(lines) != 1 or "\t" in lines[0]:
            raise Unproven(f"it failed (error {_number(done.stderr)})")
        return None if lines[0] == "NULL" else lines[0]

    yield from judge_queries(baseline, ask, zone)


_COPY_PROGRAMS = ("mariadb-backup", "mbstream")


def _mariadb_program(folders: Sequence[Path], name: str) -> Path | None:
    names = (name, _OLD_NAMES.get(name, name))
    candidates = (folder / each for each in names for folder in folders)
    return next((each for each in candidates if each.is_file()), None)


def _mariadb_programs(
    scratch: Place, series: tuple[int, int], names: Sequence[str], *, exactly: bool
) -> tuple[list[Path], tuple[int, int]]:
    """Return the folders of a MariaDB that can read this, and its series."""
    fitting = []
    for each in _folders(scratch, _MARIADB_FOLDERS):
        folders = [each, each.with_name("sbin")]
        if not all(_mariadb_program(folders, name) for name in names):
            continue
        program = str(_mariadb_program(folders, "mariadbd"))
        told = scratch.run(program, "--no-defaults", "--version", seconds=20).stdout
        match = re.search(rb"(\d+)\.(\d+)\.\d+-MariaDB", told)
        if match:
            here = (int(match[1]), int(match[2]))
            if here == series or (here > series and not exactly):
                fitting.append((here, str(each), folders))
    if not fitting:
        words = f"{series[0]}.{series[1]}{', and no other,' if exactly else ' or newer'}"
        packages = "mariadb-server" + (" mariadb-backup" if exactly else "")
        raise Unproven(
            f"MariaDB {words} is not on this computer (Debian: apt install {packages}); its "
            "programs elsewhere: --programs DIR"
        )
    here, _, folders = min(fitting)
    return folders, here


def _own_settings(kept: dict[str, str], *, logical: bool) -> dict[str, str]:
    """Return the settings of production that its tables depend on."""
    found = _settings_of(kept, _OF_PRODUCTION if logical else (*_OF_PRODUCTION, *_OF_THE_FILES))
    if logical:
        found["innodb-log-file-size"] = str(256 * 1024**2)
    return found


def _settings_of(kept: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    return {
        name.replace("_", "-"): kept[name]
        for name in names
        if re.fullmatch(r"[\w.:,;+-]+", kept.get(name, ""))
    }


def _load_dump(
    server: Mariadb, said: Json, database: str, place: Path, sidecars: Path, scratch: Place
) -> None:
    with opened(place) as dump:
        dump.seek(max(0, os.fstat(dump.fileno()).st_size - 4096))
        if not re.search(rb"(?:\A|\n)-- Dump completed(?: on [^\n]*)?\n?\Z", dump.read()):
            raise Damaged("the dump is cut off: its last line is missing")
    data = scratch.folder("data")
    server.make(data)
    server.start(data, 300)
    name = _quoted(database, "`")
    charset, collation = said.get("character_set"), said.get("collation")
    words = ""
    if charset and collation:
        words = f" character set {_literal(str(charset))} collate {_literal(str(collation))}"
    made = server.ask(f"create database {name}{words}")
    if made.returncode:
        raise Unproven(f"a database with its collation cannot be made ({_number(made.stderr)})")
    accounts = _account_statements(sidecars / "users.sql")
    server.ask(*accounts)
    pattern = re.sub(r"([_%\\])", r"\\\1", name)
    loader = "'dro_load'@'localhost'"
    server.ask(
        f"create user {loader}",
        f"grant all privileges on {pattern}.* to {loader}",
        f"grant set user on *.* to {loader}",
    )
    with opened(place) as dump, tempfile.TemporaryFile() as script:
        script.write(b"SET timestamp = 1;\nSET autocommit = 0;\n")
        script.writelines(_rows_joined(dump))
        script.write(b"COMMIT;\n")
        script.seek(0)
        loaded = scratch.run(*server.client("dro_load"), f"--database={database}", stdin=script)
    if loaded.returncode:
        number = _number(loaded.stderr)
        if number in _CANNOT_LOAD_NUMBERS:
            raise Unproven(f"it could not be loaded here: {_CANNOT_LOAD_NUMBERS[number]}")
        raise Damaged(f"the server refuses a part of the dump (error {number})")
    server.ask(*accounts)


def _rows_joined(dump: BinaryIO) -> Iterator[bytes]:
    """Yield a dump without what leads to another database, and with many rows a statement: it has
    one row a statement, which takes a server ten times as long.

    The bodies of routines, between lines that begin with DELIMITER, are left as they are.
    """
    begun, size, verbatim = b"", 0, False
    for line in dump:
        if line.startswith(b"DELIMITER "):
            verbatim = line.strip() != b"DELIMITER ;"
        row = None if verbatim else _ROW.match(line)
        if row and row[1] == begun and size < _BLOCK:
            yield b",\n(" + line[len(begun) : -2]
            size += len(line)
            continue
        if begun:
            yield b";\n"
            begun = b""
        if row:
            yield line[:-2]
            begun, size = row[1], len(line)
        elif verbatim or not _PLACES.fullmatch(line):
            yield line
    if begun:
        yield b";\n"


def _account_statements(path: Path) -> list[str]:
    if path.is_symlink() or not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.rstrip(";") for line in lines if line.upper().startswith(_ACCOUNT_STATEMENTS)]


def _start_copy(server: Mariadb, place: Path, kept: dict[str, str], scratch: Place) -> None:
    """Unpack the copy of a whole server, make it whole, and start it."""
    data = scratch.folder("data")
    with opened(place) as stream:
        unpacked = scratch.run(server.program("mbstream"), "-x", "-C", str(data), stdin=stream)
    if unpacked.returncode:
        raise _why_not_whole(unpacked.stderr, "it cannot be unpacked")
    own = [f"--{name}={value}" for name, value in _settings_of(kept, _OF_THE_FILES).items()]
    whole = scratch.run(
        *(server.program("mariadb-backup"), "--no-defaults", "--prepare"),
        *(f"--target-dir={data}", *own),
    )
    if whole.returncode or not whole.stderr.rstrip().endswith(b"completed OK!"):
        raise _why_not_whole(whole.stderr, "it cannot be made whole")
    server.start(data, 2 * 3600)


def _why_not_whole(errors: bytes, words: str) -> Exception:
    cause = _cause(errors)
    return Unproven(f"{words}{cause}") if cause else Damaged(f"the copy is damaged: {words}")


def _count_mariadb(server: Mariadb, database: str, baseline: Json, *, physical: bool) -> Counted:
    found = Counted(rows={})
    tables = server.lines(database, _MARIADB_TABLES)
    names = [_quoted(each, "`") for each in tables]
    counts = [f"select {n}, count(*) from {name}" for n, name in enumerate(names)]
    counted_now = server.ask(*_READING, *counts, database=database).stdout
    for line in lines_of(counted_now):
        number, _, rows = line.partition("\t")
        found.rows[tables[int(number)]] = int(rows)
    for table, name in zip(tables, names):
        if physical and not _is_sound(server, database, name):
            found.damaged[table] = "damaged: CHECK TABLE finds errors"
        elif table not in found.rows:
            why = _number(server.ask(f"select count(*) from {name}", database=database).stderr)
            if why in _DAMAGED_NUMBERS:
                found.damaged[table] = "damaged: the server cannot read it"
            else:
                found.unreadable[table] = f"reading it failed (error {why})"
    for kind, query in _MARIADB_OBJECTS.items():
        (answer,) = server.lines(database, query)
        found.objects[kind] = int(answer)
    then: Json = baseline.get("tables") or {}
    for table in set(tables) & {name for name, each in then.items() if each["level"] == "none"}:
        found.rows.setdefault(table, 0)
    return found


def _is_sound(server: Mariadb, database: str, name: str) -> bool:
    done = server.ask(f"check table {name} extended", database=database)
    rows = [line.split("\t") for line in lines_of(done.stdout)]
    return bool(rows) and all(row[2].lower() != "error" for row in rows if len(row) > 3)


# --- checking -------------------------------------------------------------------------------------


def command_check(options: argparse.Namespace, kit: Kit) -> int:
    """Hold what came back against what it was."""
    found = check(options, kit, Path(options.directory).absolute())
    _put_json(options, found)
    return _exit_code(found["result"])


def _exit_code(result: str) -> int:
    return {PASSED_: OK, FAILED_: FAILED}.get(result, UNPROVEN)


def check(options: argparse.Namespace, kit: Kit, directory: Path) -> Json:
    """Check every asset of a directory that `restore` made, and write `check.json`.

    Raises:
        Trouble: it is no such directory.
    """
    try:
        state = json.loads((directory / _STATE).read_bytes())
        systems = {name: state["systems"].get(name) for name in state["asked_for"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Trouble(
            f"{directory} is no directory that `restore` made",
            hint="name the directory that --to named",
            code=USAGE,
        ) from None
    if os.name == "nt":
        raise Trouble("a check needs Linux or macOS", code=UNPROVEN)
    zone = kit.zone or zone_named(str(state.get("timezone") or ""))
    means = _Means(kit, other_account(options.as_user), options.programs, zone)
    begun = time.monotonic()
    checked: Json = {}
    for system, entry in systems.items():
        checked[system] = _check_system(directory / system, system, entry, means)
    results = [each["result"] for each in checked.values()]
    found: Json = {
        "schema": 1,
        "script": VERSION,
        "result": overall(results),
        "checked": now().isoformat(),
        "seconds": round(time.monotonic() - begun, 1),
        "depth": "rows counted, queries asked, files hashed as far as they were when saved; "
        "checksums of rows were not computed again",
        "systems": checked,
    }
    _put_file(directory / "check.json", found)
    words = {PASSED_: "passed", FAILED_: "FAILED", UNPROVEN_: "UNPROVEN"}[found["result"]]
    say(f"checked in {seconds_words(found['seconds'])}: {words}")
    say(f"how closely: {found['depth']}")
    return found


@dataclass(frozen=True)
class _Means:
    """What every check is made with."""

    kit: Kit
    account: Account | None
    programs: Sequence[str]
    zone: tzinfo | None


def _check_system(folder: Path, system: str, entry: Json | None, means: _Means) -> Json:
    kit = means.kit
    if entry is None:
        say(f"{system}: UNPROVEN: it was not restored", "  ")
        return {"result": UNPROVEN_, "reason": "it was not restored", "assets": {}}
    try:
        manifest = _manifest_in(folder, system, entry)
    except (OSError, ValueError) as error:
        say(f"{system}: UNPROVEN: its manifest cannot be used: {error}", "  ")
        return {"result": UNPROVEN_, "reason": "its manifest cannot be used", "assets": {}}
    when = kit.when(read_time(manifest["as_of"]))
    say(f"{system}: checking point {manifest['point']} of {when}")
    assets: Json = {}
    for asset, said in manifest["assets"].items():
        came = entry["assets"].get(asset, {})
        assets[asset] = _check_asset(folder, asset, said, came, means)
    missing = sorted(set(kit.system(system).get("assets") or {}) - set(assets))
    reason = f"this point does not hold {', '.join(missing)}" if missing else ""
    if kit.trust(system, entry["point"], entry["manifest_sha256"]) == FORGED:
        reason = "its manifest is not the one that the kit knows"
    elif entry.get("trust") == FORGED:
        reason = "its manifest was not the one that the kit knows"
    elif kit.practice not in ("", manifest["practice"]):
        reason = f"it is of {manifest['practice']}, and this kit of {kit.practice}"
    results = [each["result"] for each in assets.values()]
    if reason:
        say(f"{system}: UNPROVEN: {reason}", "  ")
        results.append(UNPROVEN_)
    return {"result": overall(results), "reason": reason, "assets": assets}


def _manifest_in(folder: Path, system: str, entry: Json) -> Json:
    content = (folder / "point" / "manifest.json").read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["manifest_sha256"]:
        raise ValueError("it was changed since it was restored")
    manifest = read_manifest(content)
    if (manifest["system"], manifest["point"]) != (system, entry["point"]):
        raise ValueError("it is of another point")
    return manifest


def _check_asset(folder: Path, asset: str, said: Json, came: Json, means: _Means) -> Json:
    begun = time.monotonic()
    looks: list[Look] = []
    try:
        for look in _looks(folder, asset, said, came, means):
            looks.append(look)  # noqa: PERF402 - what was looked at before it broke off counts
    except Unproven as reason:
        looks.append(unproven("it can be looked at", str(reason)))
    except Damaged as reason:
        looks.append(failed("it comes back to life", str(reason)))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        # Whatever a hostile manifest or tree leads to: it must end as unproven, never as a pass.
        looks.append(unproven("it can be looked at", f"{type(error).__name__}"))
    result = overall([look.result for look in looks])
    seconds = round(time.monotonic() - begun, 1)
    shown = result if result == PASSED_ else result.upper()
    say(f"{asset}: {shown} ({said['kind']}, {seconds_words(seconds)})", "  ")
    for look in looks:
        mark = {PASSED_: "ok", FAILED_: "FAILED", UNPROVEN_: "unproven"}[look.result]
        say(f"{mark}: {look.title}{': ' + look.detail if look.detail else ''}", "    ")
    return {"result": result, "seconds": seconds, "looks": [vars(look) for look in looks]}


def _looks(folder: Path, asset: str, said: Json, came: Json, means: _Means) -> Iterator[Look]:
    if not came.get("restored"):
        why = f"it was not restored: {came.get('reason') or 'nobody knows why'}"
        raise Damaged(why) if came.get("bad") else Unproven(why)
    above = folder / "assets" / asset
    try:
        place = above / _located(above, said["path"])
    except Trouble:
        raise Damaged("it is not where it was restored to") from None
    kind, baseline = said["kind"], said.get("baseline")
    if not isinstance(baseline, dict):
        raise Unproven("nobody looked at it when it was captured: there is nothing to compare with")
    if kind in ("files", "smb"):
        yield from check_files(said, place)
        return
    if kind == "command":
        yield from _check_command(said, place)
        return
    checks = {"sqlite": check_sqlite, "postgres": check_postgres, "mariadb": check_mariadb}
    if kind not in checks:
        raise Unproven(f"a {printable(kind)} is nothing that this script can check")
    sidecars = folder / "point" / "assets" / asset
    if shutil.disk_usage(folder).free < said["bytes"]:
        raise Unproven(f"there is no room to open it: {size_words(said['bytes'])} are needed")
    scratch = Place(folder.parent, means.account, means.programs)
    try:
        yield from checks[kind](said, place, sidecars, scratch, means.zone)
    finally:
        scratch.close()


def _check_command(said: Json, place: Path) -> Iterator[Look]:
    """Compare bytes: only the practice's own program can load them."""
    title = "the dump is the one that was captured, byte for byte"
    wanted = said["baseline"].get("sha256")
    if not wanted or place.is_dir():
        raise Unproven("only the practice's own program can look at it: load it by hand")
    equal = sha256_of(place) == wanted
    yield passed(title) if equal else failed(title, "it is another one")
    yield unproven("it loads", "only the practice's own program can load it: do so by hand")


# --- cold start -----------------------------------------------------------------------------------


def command_cold_start(options: argparse.Namespace, kit: Kit) -> int:
    """Restore one system and check it, under one clock."""
    started, begun = now(), time.monotonic()
    state, _ = restore(options, kit)
    target = Path(options.to).absolute()
    found = check(options, kit, target)
    system = options.system
    entry, judged = state["systems"][system], found["systems"][system]
    seconds = round(time.monotonic() - begun, 1)
    result: Json = {
        "schema": 1,
        "script": VERSION,
        "kind": "cold start",
        "practice": state["practice"],
        "system": system,
        "repository": state["repository"],
        "point": entry["point"],
        "as_of": entry["as_of"],
        "trust": entry["trust"],
        "manifest_sha256": entry["manifest_sha256"],
        "result": judged["result"],
        "reason": judged["reason"] or _first_reason(judged),
        "started": started.isoformat(),
        "finished": now().isoformat(),
        "seconds": seconds,
        "restore_seconds": state["seconds"],
        "check_seconds": found["seconds"],
        "depth": found["depth"],
        "assets": judged["assets"],
        "warnings": state["warnings"],
    }
    _put_file(target / "cold-start.json", result)
    words = {PASSED_: "back and verified", FAILED_: "NOT as it was"}.get(
        result["result"], "UNPROVEN"
    )
    parts = f"restored {seconds_words(state['seconds'])}, checked {seconds_words(found['seconds'])}"
    say(f"{system}: {words} after {seconds_words(seconds)} ({parts})")
    _put_json(options, result)
    return _exit_code(result["result"])


def _first_reason(judged: Json) -> str:
    """Return the first thing that kept a system from passing."""
    for wanted in (FAILED_, UNPROVEN_):
        for asset, each in judged["assets"].items():
            for look in each["looks"]:
                if look["result"] == wanted:
                    return f"{asset}: {look['title']}: {look['detail']}"
    return ""


# --- as a program ---------------------------------------------------------------------------------


def _put_file(path: Path, content: Json) -> None:
    """Write JSON, whole or not at all."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    new.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    new.replace(path)


def _put_json(options: argparse.Namespace, content: Json) -> None:
    if options.json:
        print(json.dumps(content, sort_keys=True), flush=True)


def _options(words: Sequence[str]) -> argparse.Namespace:
    here = Path(__file__).resolve().parent
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--kit", default=str(here), help="folder with kit.json (beside this file)")
    common.add_argument("--json", action="store_true", help="one JSON object on stdout")
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("--repository", help="a name of the kit's, or a location for restic")
    source.add_argument("--at", metavar="LOCATION", help="where that repository is now")
    source.add_argument("--password-file", help="instead of typing; or RESTIC_PASSWORD_FILE")
    source.add_argument("--practice", help="where a repository holds several")
    target = argparse.ArgumentParser(add_help=False)
    target.add_argument("--to", required=True, metavar="DIR", help="a new directory")
    target.add_argument("--point", metavar="ID", help="not the newest that the kit knows")
    target.add_argument("--tight", action="store_true", help="restore without room for a check")
    checking = argparse.ArgumentParser(add_help=False)
    checking.add_argument("--as-user", help="who runs private servers, where we are root (nobody)")
    checking.add_argument(
        "--programs", action="append", default=[], metavar="DIR", help="where servers' programs are"
    )
    parser = argparse.ArgumentParser(
        description="Lists, restores and checks backups when everything that made them is gone.",
        epilog="Exit codes: 0 done or passed, 1 failed, 2 usage, 3 in part, 4 unproven.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("points", parents=[common, source], help="what there is")
    listing.add_argument("--system")
    listing.add_argument("--every", action="store_true", help="read old ones, too")
    bringing = commands.add_parser(
        "restore", parents=[common, source, target], help="to a new directory"
    )
    bringing.add_argument("system", nargs="?")
    bringing.add_argument("--all", action="store_true", help="every system")
    looking = commands.add_parser(
        "check", parents=[common, checking], help="what came back against what it was"
    )
    looking.add_argument("directory")
    cold = commands.add_parser(
        "cold-start", parents=[common, source, target, checking], help="restore, check, and time it"
    )
    cold.add_argument("system")
    cold.set_defaults(all=False)
    return parser.parse_args(words)


_COMMANDS = {
    "points": command_points,
    "restore": command_restore,
    "check": command_check,
    "cold-start": command_cold_start,
}


def _stopped(_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def main(words: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    global _screen  # noqa: PLW0603 - one process, one screen
    options = _options(words)
    _screen = sys.stderr if options.json else sys.stdout
    try:
        return _COMMANDS[options.command](options, open_kit(Path(options.kit)))
    except Trouble as trouble:
        _put_json(options, {"error": trouble.message, "hint": trouble.hint, "bad": trouble.bad})
        _screen = sys.stderr
        say(f"error: {trouble.message}")
        if trouble.hint:
            say(f"hint: {trouble.hint}")
        return trouble.code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stopped)
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
