"""Why restic failed, in our own words.

restic 0.14 to 0.16 exit 1 for almost everything, so its text decides; from 0.17 on some exit codes
do. The same headline ("unable to open config file … Is there a repository …") stands over a
repository that is not there and over a network that is down: only the inner text tells, and what
proves nothing is "unreachable", which never leads to making a repository.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dr_orchestrator.core.restore_test import NOT_READ_BACK
from dr_orchestrator.errors import (
    DroError,
    RepositoryAbsent,
    RepositoryDamaged,
    RepositoryError,
    RepositoryFull,
    RepositoryLocked,
    RepositoryUnreachable,
    SpaceExhausted,
    WrongPassword,
)
from dr_orchestrator.process import exit_words, known_cause
from dr_orchestrator.repositories.restic_version import Feature, ResticVersion

_NO_REPOSITORY, _LOCKED, _WRONG_PASSWORD = 10, 11, 12

_PASSWORD = re.compile(r"wrong password or no key found")
_LOCK = re.compile(r"(already locked|unable to create lock in backend)")
_HOLDER = re.compile(
    r"already locked (exclusively )?by pid (\d+) on ([\w.-]+) by .*?"
    r"lock was created at (\d{4}-\d\d-\d\d \d\d:\d\d)",
    re.DOTALL,
)
_SPACE = re.compile(r"(no space left on device|disk quota exceeded|\(507\)|insufficient storage)")
_UNREACHABLE = (
    # What restic or Go says, and what we say.
    ("connection refused", "connection refused"),
    ("connection reset", "connection reset"),
    ("connection timed out", "connection timed out"),
    ("no such host", "its name is not known to the network"),
    ("server misbehaving", "the name server does not answer"),
    ("temporary failure in name resolution", "the name server does not answer"),
    ("network is unreachable", "network is unreachable"),
    ("no route to host", "no route to host"),
    ("i/o timeout", "no answer in time"),
    ("deadline exceeded", "no answer in time"),
    ("handshake timeout", "no answer in time"),
    ("x509:", "its certificate is not accepted"),
    ("(401)", "the server wants other credentials (401)"),
    ("(403)", "the server refuses (403)"),
    ("access denied", "the server refuses"),
    ("invalidaccesskeyid", "the access key is not known"),
    ("access key id you provided does not exist", "the access key is not known"),
    ("signaturedoesnotmatch", "the secret key is not accepted"),
    ("signature we calculated does not match", "the secret key is not accepted"),
    ("could not find default credentials", "credentials are missing"),
    ("unexpected http response (5", "the server reports an error of its own"),
    ("unable to start the sftp session", "the SFTP connection could not be made"),
    ("error talking http to rclone", "rclone could not be started, or lacks its configuration"),
    ("dial tcp", "no connection"),
    ("stale file handle", "stale file handle"),
    ("transport endpoint is not connected", "its file system is not connected"),
    ("host is down", "host is down"),
)
_OF_THE_KEYS = frozenset(
    {
        *("the server refuses", "the access key is not known", "the secret key is not accepted"),
        "credentials are missing",
    }
)
"""Reasons that, in S3, are somebody's mistake in the plan, in a profile or in a policy. Without any
keys, as with a profile that is not there, 0.14 asks as nobody, and is refused."""
_KEYS_HINT = (
    "is its `aws_profile` in ~/.aws/credentials of the user who runs dro, or are its keys right? "
    "is the bucket in `location` the right one? does the policy of these keys allow it?"
)
_ABSENT = re.compile(
    r"unable to open config file: ("
    r"<config/> does not exist"  # rest, rclone
    r"|(stat|lstat): file does not exist"  # sftp
    r"|stat: the specified (key|bucket) does not exist"  # s3
    r")"
)
_ABSENT_LOCAL = re.compile(r"unable to open config file: stat .*: no such file or directory")
_DAMAGE = re.compile(
    r"(ciphertext verification failed"
    r"|config file has zero size"
    r"|invalid data returned"
    r"|does not match (id|hash)"
    r"|streampack:|load\(<|<(data|index|snapshot|key)/[0-9a-f]*>? does not exist"
    r"|not found in (the )?(index|repository)"
    r"|no matching id found|not found in snapshot"
    r"|data blob|decrypting blob|loadtree|unexpected eof|invalid character"
    r"|input/output error"
    r"|repository contains errors)"  # check
)
_NO_BUCKET = "the specified bucket does not exist"
_NOT_OPENED = re.compile(r"unable to open (repository|config file)")
_ITEMS = re.compile(r"there were (\d+) errors")
_OUR_OWN_TEMPORARY = "restic-temp-"
_TARGETS_FAULT = (
    "operation not permitted",
    "operation not supported",
    "permission denied",
    "file name too long",
    "read-only file system",
    "too many open files",
)
_REMOVAL_REFUSED = re.compile(
    r"remove\(<.*(\(403\)|403 forbidden|access ?denied|not permitted|objectlocked)"
)
_PACK_GONE = re.compile(
    r"load\(<data/[0-9a-f]+>.*retrying.*"
    r"(no such file or directory|does not exist|range is not satisfiable)"  # it is cut short
)


@dataclass(frozen=True)
class Failure:
    """A call of restic that did not exit 0."""

    repository: str
    """The plan's name of it."""
    doing: str
    returncode: int
    stderr: str
    version: ResticVersion
    reads_back: bool = False
    """It was to read data back: then what is missing is damage, and a full disk is the target's."""
    in_s3: bool = False
    profile: str | None = None
    """AWS's, whose keys it looked for."""

    @property
    def error(self) -> DroError:
        """The error it amounts to. Its text holds nothing of restic's but known phrases."""
        text = self.stderr.lower().replace("\\u003c", "<").replace("\\u003e", ">")
        return (
            self._stated(text)
            or self._out_of_space(text)
            or self._unreachable(text)
            or self._absent(text)
            or self._damaged(text)
            or self._other(text)
        )

    def _stated(self, text: str) -> RepositoryError | None:
        codes = self.version.has(Feature.EXIT_CODES)
        password_code = self.version.has(Feature.EXIT_CODE_PASSWORD)
        if _PASSWORD.search(text) or (password_code and self.returncode == _WRONG_PASSWORD):
            return WrongPassword(
                f"the repository {self.repository} does not open with this password",
                hint="compare with where the plan says it can be obtained (`obtain:`)",
            )
        if _LOCK.search(text) or (codes and self.returncode == _LOCKED):
            return RepositoryLocked(f"the repository {self.repository} is locked{_holder(text)}")
        return None

    def _out_of_space(self, text: str) -> DroError | None:
        if not _SPACE.search(text):
            return None
        if self.reads_back or _OUR_OWN_TEMPORARY in text:
            return SpaceExhausted(
                f"this machine's disk became full while {self.doing} ({self.repository})"
            )
        return RepositoryFull(
            f"the repository {self.repository} has no space left",
            hint="older points are untouched; give it more space",
        )

    def _unreachable(self, text: str) -> RepositoryUnreachable | None:
        reason = next((words for phrase, words in _UNREACHABLE if phrase in text), None)
        if reason is None:
            return None
        return RepositoryUnreachable(
            f"the repository {self.repository} cannot be reached: {reason}{self._whose_keys}",
            hint=_KEYS_HINT if self.in_s3 and reason in _OF_THE_KEYS else "",
        )

    @property
    def _whose_keys(self) -> str:
        return f" (aws_profile: {self.profile})" if self.in_s3 and self.profile else ""

    def _absent(self, text: str) -> RepositoryAbsent | None:
        stated = self.version.has(Feature.EXIT_CODES) and self.returncode == _NO_REPOSITORY
        if stated or _ABSENT.search(text) or _ABSENT_LOCAL.search(text):
            return RepositoryAbsent(
                f"there is no repository at the location of {self.repository}",
                hint="there is no such bucket: is its name in `location` right?"
                if _NO_BUCKET in text
                else "",
            )
        return None

    def _damaged(self, text: str) -> RepositoryError | None:
        counted = _ITEMS.search(text)
        items = f", {counted[1]} items" if counted else ""
        if _DAMAGE.search(text):
            return RepositoryDamaged(
                f"the repository {self.repository} is damaged: {NOT_READ_BACK} "
                f"while {self.doing}{items}",
                hint="try the same point from another repository; "
                "`restic check --read-data` names the damaged packs",
            )
        if not counted:
            return None
        fault = next((words for words in _TARGETS_FAULT if words in text), None)
        if fault is not None:
            return RepositoryError(f"restic could not write everything while {self.doing}: {fault}")
        return RepositoryDamaged(f"{NOT_READ_BACK} while {self.doing} ({self.repository}{items})")

    def _other(self, text: str) -> RepositoryError:
        words = f"{exit_words(self.returncode)}{known_cause(text)}"
        if _NOT_OPENED.search(text):
            return RepositoryUnreachable(
                f"the repository {self.repository} could not be opened ({words}){self._whose_keys}",
                hint=_KEYS_HINT if self.in_s3 else "",
            )
        return RepositoryError(
            f"restic failed while {self.doing} (repository {self.repository}, {words})"
        )


def pack_is_gone(line: bytes) -> bool:
    """Return whether restic says that a pack is not there, or not all of it.

    0.14 would try again for 45 s a file.
    """
    return _PACK_GONE.search(line.decode(errors="replace").lower()) is not None


def removal_is_refused(line: bytes) -> bool:
    """Return whether a server refuses to remove something. 0.14 would try again for 43 s a file."""
    return _REMOVAL_REFUSED.search(line.decode(errors="replace").lower()) is not None


def is_out_of_space(line: bytes) -> bool:
    """Return whether restic says that a disk is full. It would go on with the next file."""
    return _SPACE.search(line.decode(errors="replace").lower()) is not None


def _holder(text: str) -> str:
    match = _HOLDER.search(text)
    if match is None:
        return ""
    exclusively, pid, host, since = match.groups()
    kind = ", exclusively" if exclusively else ""
    return f" by process {pid} on {host} since {since} UTC{kind}"
