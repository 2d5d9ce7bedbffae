"""The only reader of secret values: from a reference in a plan to the secret itself.

No error here has the value in it, nor what a program printed: only where it was looked for, and
where else a person can obtain it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from dr_orchestrator.aws import AwsAccess, aws_client, in_our_words
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import (
    ProgramFailed,
    ProgramMissing,
    SecretUnavailable,
    StorageUnusable,
)
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.process import Command, Launcher

_LARGEST_SECRET = 64 * 1024
_COMMAND_TIMEOUT = timedelta(seconds=30)
_FOR_COMMANDS = ("HOME", "USER", "LOGNAME")
"""What password managers need of our environment to find their store."""
_AWS_WORDS = {
    "AccessDeniedException": "these keys may not read it",
    "DecryptionFailure": "these keys may not use the key of KMS that it is encrypted with",
    "InvalidRequestException": "it is about to be deleted",
    "ResourceNotFoundException": "there is none of this name in this region",
}
"""Errors of Secrets Manager's GetSecretValue, as its API reference has them."""


class SecretReader:
    """Reads what references lead to. Remembers nothing."""

    def __init__(
        self,
        launcher: Launcher,
        environment: Callable[[str], str | None],
        *,
        commands_allowed: bool = True,
    ) -> None:
        """Take what runs `{command:}` references, what reads the environment, and whether
        commands may run at all: not for a plan that came out of a repository
        (`LoadedPlan.commands_allowed`).
        """
        self._launcher = launcher
        self._environment = environment
        self._commands_allowed = commands_allowed

    def refuse_commands(self) -> None:
        """From now on run no `{command:}` reference: a plan that is data is worked with."""
        self._commands_allowed = False

    def read(self, reference: SecretReference) -> Secret:
        """Return the secret, without the line break at its end.

        Raises:
            SecretUnavailable: the reference leads nowhere, to something empty, or to a file that
                others can read. The message names the reference, never the value.
            Interrupted: we are to stop.
        """
        content = self._content(reference)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise _unavailable(reference, "it is not UTF-8 text") from None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise _unavailable(reference, "it is empty")
        if "\0" in text:
            raise _unavailable(reference, "it is not text")
        return Secret(text)

    def _content(self, reference: SecretReference) -> bytes:
        if reference.env is not None:
            value = self._environment(reference.env)
            if value is None:
                raise _unavailable(reference, "it is not set")
            return os.fsencode(value)
        if reference.file is not None:
            return _read_file(reference, Path(reference.file))
        if reference.aws_secret is not None:
            return _chosen(reference, _from_aws(reference, reference.aws_secret))
        return self._output(reference, reference.command or ())

    def _output(self, reference: SecretReference, argv: tuple[str, ...]) -> bytes:
        if not self._commands_allowed:
            raise _unavailable(reference, "commands of a plan from a repository do not run")
        inherited = {name: self._environment(name) for name in _FOR_COMMANDS}
        env = {name: value for name, value in inherited.items() if value is not None}
        try:
            completed = self._launcher.run(Command(argv=argv, timeout=_COMMAND_TIMEOUT, env=env))
        except ProgramMissing:
            raise _unavailable(reference, "this program is not installed") from None
        except ProgramFailed:
            seconds = int(_COMMAND_TIMEOUT.total_seconds())
            raise _unavailable(reference, f"it did not end within {seconds} s") from None
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise _unavailable(reference, f"it cannot be run: {reason}") from None
        if not completed.ok:
            raise _unavailable(reference, f"it ended with exit code {completed.returncode}")
        if len(completed.stdout) > _LARGEST_SECRET:
            raise _unavailable(reference, "it printed more than 64 KiB")
        return completed.stdout


def _from_aws(reference: SecretReference, name: str) -> bytes:
    access = AwsAccess(profile=reference.aws_profile, region=reference.region)
    try:
        client = aws_client("secretsmanager", access)
        with in_our_words("AWS Secrets Manager"):
            answer = client.get_secret_value(SecretId=name)
    except StorageUnusable as error:
        why = _AWS_WORDS.get(error.code, error.message)
        raise _unavailable(reference, why, error.hint) from None
    text = answer.get("SecretString")
    content: bytes = text.encode() if text is not None else answer.get("SecretBinary", b"")
    return content


def _chosen(reference: SecretReference, content: bytes) -> bytes:
    """Return one value of the JSON object that a secret is, where the reference names one."""
    if reference.key is None:
        return content
    try:
        values = json.loads(content)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise _unavailable(reference, "it is no JSON object", "leave `key` out")
    value = values.get(reference.key)
    if not isinstance(value, str):
        raise _unavailable(reference, f"it has no text under the key {reference.key}")
    return value.encode()


def _read_file(reference: SecretReference, path: Path) -> bytes:
    try:
        # a pipe of that name would block for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is none"
        raise _unavailable(reference, reason.lower()) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _unavailable(reference, "it is not a regular file")
        if mode & 0o077:
            raise _unavailable(reference, "others can read it", f"chmod 600 {path}")
        content = os.read(descriptor, _LARGEST_SECRET + 1)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise _unavailable(reference, f"it cannot be read: {reason}") from None
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST_SECRET:
        raise _unavailable(reference, "it is larger than 64 KiB")
    return content


def _unavailable(reference: SecretReference, why: str, hint: str = "") -> SecretUnavailable:
    if not hint and reference.obtain:
        hint = f"it can be obtained from: {reference.obtain}"
    elif reference.obtain:
        hint = f"{hint}; it can be obtained from: {reference.obtain}"
    return SecretUnavailable(f"no secret from {reference}: {why}", hint=hint)
