"""Every error of the orchestrator, and the exit code each one leads to.

DroError                        base: text for a person, `hint`, `exit_code`
├── UsageMistake                2   the command cannot mean anything
├── PlanInvalid                 2   the plan file, with every mistake at its line and column
├── RunbookInvalid              2   a runbook, with every mistake at its line and column
├── SettingsInvalid             2   the machine's settings file
├── SecretUnavailable           1   a reference led to no secret
├── ProgramMissing              4   a program is not on this machine: could not verify
├── ProgramFailed               1   a program ended with a failure
│   ├── ProgramPrintedTooMuch   1   … or printed more than it may, and was ended by us
│   └── ProgramTimedOut         1   … or did not end in time and was ended by us
├── CaptureFailed               1   an asset could not be captured completely
│   └── PasswordRefused         1   … since its server does not take our password
├── RepositoryError             1   the repository did not do what was asked
│   ├── RepositoryAbsent        1   certain: there is none at this place
│   ├── RepositoryUnreachable   1   unknown: we could not look
│   ├── RepositoryChanged       1   another repository than the one we know is at this place
│   ├── RepositoryDamaged       1   its content contradicts itself
│   ├── RepositoryFull          1   no space left there
│   ├── RepositoryLocked        75  somebody else works in it
│   ├── RemovalRefused          1   it lets nothing be removed
│   ├── NotTheOwner             1   another installation forgets there
│   └── WrongPassword           1   it opens, but not with this key
├── SpaceExhausted              1   this machine's disk (staging or sandbox) is full
├── PointNotFound               1   no such recovery point
├── ManifestInvalid             1   a manifest that cannot be read or trusted
├── TargetRefused               2   a restore may not land there
├── SandboxUnavailable          4   no sandbox that may receive patient data
├── SandboxNotRemoved           1   restored data is still lying in a sandbox
├── LoadFailed                  1   what was restored does not load: the backup is damaged
├── CouldNotVerify              4   neither passed nor failed
├── StorageUnusable             1   a folder, bucket or service of AWS
├── NotDelivered                1   somebody could not be told
├── PracticeHandedOver          2   another machine has this practice now
├── Busy                        75  somebody else works on the same thing
├── StoreUnusable               1   our own memory cannot be opened
├── EvidenceKeyChanged          1   evidence is signed with another key than the one at hand
├── EvidenceConflict            1   evidence from elsewhere contradicts what is known
└── Interrupted                 130 a person or the system stopped us
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """What `dro` tells other programs. Documented in docs/reference/command-line.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    UNPROVEN = 4
    BREACHED = 5
    BUSY = 75
    INTERRUPTED = 130


_PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.BUSY,
    ExitCode.USAGE,
    ExitCode.FAILED,
    ExitCode.BREACHED,
    ExitCode.UNPROVEN,
    ExitCode.PARTIAL,
)


def most_important(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the one exit code that stands for several: the first of 130, 75, 2, 1, 5, 4, 3."""
    present = set(codes)
    return next((code for code in _PRECEDENCE if code in present), ExitCode.OK)


class DroError(Exception):
    """Superclass of all errors that are meant for a person. Never raised directly."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageMistake(DroError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class PlanInvalid(DroError):
    """A plan that must not be used. `problems` is every mistake found, in file order."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, problems: tuple[object, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class RunbookInvalid(DroError):
    """A runbook that must not be followed. `problems` is every mistake found, in file order."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, problems: tuple[object, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class SettingsInvalid(DroError):
    """The machine's settings file must not be used."""

    exit_code = ExitCode.USAGE


class SecretUnavailable(DroError):
    """A secret's reference led nowhere, or to something empty."""


class ProgramMissing(DroError):
    """A program this needs is not installed."""

    exit_code = ExitCode.UNPROVEN


class ProgramFailed(DroError):
    """A program ended with a failure. Its raw output is never part of the message."""

    def __init__(self, message: str, *, returncode: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.returncode = returncode


class ProgramPrintedTooMuch(ProgramFailed):
    """A program printed more than its caller takes, and was ended."""


class ProgramTimedOut(ProgramFailed):
    """A program did not end in time, and was ended."""


class CaptureFailed(DroError):
    """An asset could not be captured completely, so there is no recovery point of it."""


class PasswordRefused(CaptureFailed):
    """The server of an asset does not take the password that we have of it."""


class RepositoryError(DroError):
    """The repository did not do what was asked."""


class RepositoryAbsent(RepositoryError):
    """There certainly is no repository at this place."""


class RepositoryUnreachable(RepositoryError):
    """Whether there is a repository at this place could not be found out."""


class RepositoryChanged(RepositoryError):
    """Another repository than the one we know answers at this place."""


class RepositoryDamaged(RepositoryError):
    """The repository's content contradicts itself, or part of it is gone."""


class RepositoryFull(RepositoryError):
    """The repository has no space left."""


class RepositoryLocked(RepositoryError):
    """Somebody else works in the repository."""

    exit_code = ExitCode.BUSY


class RemovalRefused(RepositoryError):
    """What was saved there cannot be removed by us."""


class NotTheOwner(RepositoryError):
    """Another installation looks after the retention of this repository."""


class WrongPassword(RepositoryError):
    """The repository is there, but this key does not open it."""


class SpaceExhausted(DroError):
    """This machine has too little disk space for staging or for the sandbox."""


class PointNotFound(DroError):
    """There is no such recovery point."""


class ManifestInvalid(DroError):
    """A manifest cannot be read, or does not fit what it names."""


class TargetRefused(DroError):
    """A restore may not land there."""

    exit_code = ExitCode.USAGE


class SandboxUnavailable(DroError):
    """This machine has no sandbox that may receive patient data."""

    exit_code = ExitCode.UNPROVEN


class SandboxNotRemoved(DroError):
    """What was restored into a sandbox could not be removed: patient data is still there."""


class LoadFailed(DroError):
    """What came back from the repository does not load: the backup is damaged or incomplete."""


class CouldNotVerify(DroError):
    """It could not be found out whether the restored data is right: neither passed nor failed."""

    exit_code = ExitCode.UNPROVEN


class StorageUnusable(DroError):
    """A folder, bucket or service of AWS is of no use, but for what restic says of repositories."""

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        """AWS's own word for why, as `AccessDenied`; empty where it was none of its services."""


class NotDelivered(DroError):
    """A message did not reach the server that takes it, or was refused there."""


class PracticeHandedOver(DroError):
    """Another machine looks after this practice now, so nothing is done for it here."""

    exit_code = ExitCode.USAGE


class Busy(DroError):
    """Another run works on the same repository, system or recovery point."""

    exit_code = ExitCode.BUSY


class StoreUnusable(DroError):
    """The orchestrator's own record cannot be opened."""


class EvidenceKeyChanged(DroError):
    """Evidence is signed with another key than the one at hand."""


class EvidenceConflict(DroError):
    """Evidence from elsewhere does not go with what is known: one of the two was altered."""


class Interrupted(KeyboardInterrupt):
    """A person or the system stopped this run; everything was cleaned up.

    Not a `DroError`, so that nothing which goes on after one failure goes on after this.
    """

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, message: str = "stopped; everything was cleaned up") -> None:
        super().__init__(message)
        self.message = message
