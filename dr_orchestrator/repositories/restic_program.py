"""How restic is called: what it is given, and what it must never be given.

The location and the password reach it through pipes, so neither is in its arguments or environment;
of our own environment it inherits nothing, so no RESTIC_* or PG* setting of a person leaks in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import (
    ProgramTimedOut,
    RepositoryUnreachable,
    SecretUnavailable,
    UsageMistake,
)
from dr_orchestrator.process import Child, Command, Completed, require_success
from dr_orchestrator.repositories.restic_failure import Failure
from dr_orchestrator.repositories.restic_version import ResticVersion

OnLine = Callable[[bytes], None]
_VERSION_TIMEOUT = timedelta(seconds=20)
_STATUS_LINES_PER_SECOND = "1"


class ResticLauncher(Protocol):
    """What of the machine's launcher restic needs; more than a sandbox's launcher offers."""

    def run(
        self,
        command: Command,
        *,
        stdin: int | bytes | None = None,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Completed:
        """Run to the end; see `SystemLauncher.run`."""
        ...

    def start(
        self,
        command: Command,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Child:
        """Start and return at once; see `SystemLauncher.start`."""
        ...


@dataclass(frozen=True, kw_only=True)
class ResticProgram:
    """restic, about to work with one repository."""

    repository: str
    """The plan's name of it, which is what messages say."""
    location: Secret
    """It may hold a user's name and password (`rest:https://user:password@…`)."""
    password: Secret = field(repr=False)
    launcher: ResticLauncher
    cache: Path
    tmp: Path
    extra_env: Mapping[str, str]
    aws_credentials: Secret | None = None
    """What it is to read as `~/.aws/credentials`, in the place of the file of that name."""
    upload: int | None = None
    """The most bytes a second that it may send there."""
    download: int | None = None
    """The most bytes a second that it may fetch from there."""
    source: ResticProgram | None = None
    """With another repository, that is copied from."""

    def __post_init__(self) -> None:
        # restic cuts white space and a byte order mark off, and reads the password from stdin when
        # nothing is left: on 0.14 it would eat the first line of a stream.
        if not self.password.reveal().strip("\ufeff \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0").strip():
            raise SecretUnavailable(f"the password of the repository {self.repository} is empty")
        if not self.location.reveal().strip():
            raise UsageMistake(f"the location of the repository {self.repository} is empty")

    @property
    def version(self) -> ResticVersion:
        """Which restic it is, asked once per process.

        Raises:
            ProgramMissing: there is none.
            ProgramFailed: it is too old, or is something else.
        """
        return _version_of(self.launcher)

    def command(self, *arguments: str, timeout: timedelta) -> Command:
        """Return the complete command for `restic ARGUMENTS`."""
        for folder in (self.cache, self.tmp):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Command(
            argv=("restic", arguments[0], *self._limits(), *arguments[1:]),
            timeout=timeout,
            env={
                **(self.source.extra_env if self.source else {}),
                **self.extra_env,
                "RESTIC_CACHE_DIR": str(self.cache),
                "RESTIC_PROGRESS_FPS": _STATUS_LINES_PER_SECOND,
                "TMPDIR": str(self.tmp),
            },
            secrets={
                "RESTIC_REPOSITORY_FILE": self.location,
                "RESTIC_PASSWORD_FILE": self.password,
                **self._source_secrets(),
            },
            secret_files=self._storage_secrets(),
        )

    def _storage_secrets(self) -> Mapping[str, Secret]:
        # restic 0.14 reads this file for each request, so a pipe, which is empty then, does not do
        own = self.aws_credentials or (self.source and self.source.aws_credentials)
        return {"AWS_SHARED_CREDENTIALS_FILE": own} if own else {}

    def _limits(self) -> Iterator[str]:
        """Yield what keeps it from using all of a line; restic counts in KiB a second."""
        source = self.source or self
        for option, limit in (("upload", self.upload), ("download", source.download)):
            if limit is not None:
                yield f"--limit-{option}={max(1, limit // 1024)}"

    def _source_secrets(self) -> Mapping[str, Secret]:
        if self.source is None:
            return {}
        return {
            "RESTIC_FROM_REPOSITORY_FILE": self.source.location,
            "RESTIC_FROM_PASSWORD_FILE": self.source.password,
        }

    def ask(
        self,
        *arguments: str,
        doing: str,
        timeout: timedelta,
        stdin: bytes | None = None,
        output_limit: int | None = None,
        reads_back: bool = True,
        on_error_line: OnLine | None = None,
    ) -> Completed:
        """Run something, and return what it printed. What `on_error_line` raises ends it.

        Raises:
            RepositoryUnreachable: it could not, or not in time.
            RepositoryError: by its class.
        """
        version = self.version
        command = self.command(*arguments, timeout=timeout)
        if output_limit is not None:
            command = replace(command, output_limit=output_limit)
        try:
            completed = self.launcher.run(command, stdin=stdin, on_error_line=on_error_line)
        except ProgramTimedOut:
            raise RepositoryUnreachable(
                f"the repository {self.repository} did not answer within "
                f"{timeout.total_seconds():.0f} s while {doing}"
            ) from None
        if not completed.ok:
            raise self.failure(completed, doing, version, reads_back=reads_back).error
        return completed

    def failure(
        self, completed: Completed, doing: str, version: ResticVersion, *, reads_back: bool = False
    ) -> Failure:
        """Return what is known of a call that failed."""
        return Failure(
            self.repository,
            doing,
            completed.returncode,
            completed.stderr,
            version,
            reads_back,
            in_s3=self.location.reveal().startswith("s3:"),
            profile=None if self.aws_credentials else self.extra_env.get("AWS_PROFILE"),
        )


_versions: dict[int, tuple[ResticLauncher, ResticVersion]] = {}
_versions_lock = threading.Lock()


def _version_of(launcher: ResticLauncher) -> ResticVersion:
    with _versions_lock:
        known = _versions.get(id(launcher))
        if known is not None and known[0] is launcher:
            return known[1]
        completed = launcher.run(Command(argv=("restic", "version"), timeout=_VERSION_TIMEOUT))
        require_success(completed, "telling its version")
        version = ResticVersion.parse(completed.stdout.decode(errors="replace"))
        _versions[id(launcher)] = (launcher, version)
        return version
