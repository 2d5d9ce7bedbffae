"""Where a secret is: never what it is.

A plan can be kept in git and is saved into every repository, so a password in it is an error, and
the error must not repeat it. Reading what a reference leads to is `dr_orchestrator/secrets.py`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dr_orchestrator.plan.quantity import mistake

KINDS = ("env", "file", "command", "aws_secret")
_OF_AWS = ("key", "aws_profile", "region")
HINT = (
    "write {file: /etc/dro/keys/NAME}, {env: NAME}, {command: [program, argument]} or "
    "{aws_secret: NAME}"
)
NOT_WRITTEN_DOWN = "not written down yet"
"""What a first plan says for `obtain`, until a person says it."""


class SecretReference(BaseModel):
    """A reference to a secret: exactly one of `env`, `file`, `command` and `aws_secret`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description="name of an environment variable"
    )
    file: str | None = Field(
        default=None, description="absolute path of a file that only its owner can read"
    )
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="program and arguments, run without a shell; its output is the secret",
    )
    aws_secret: str | None = Field(
        default=None, min_length=1, description="name or ARN of a secret of AWS Secrets Manager"
    )
    key: str | None = Field(
        default=None,
        min_length=1,
        description="with `aws_secret`: which value, where the secret is a JSON object of several",
    )
    aws_profile: str | None = Field(
        default=None, min_length=1, description="with `aws_secret`: profile in ~/.aws/credentials"
    )
    region: str | None = Field(
        default=None, min_length=1, description="with `aws_secret`: the profile's unless stated"
    )
    obtain: str | None = Field(
        default=None, description="where else a person finds it, when this machine is gone"
    )

    @model_validator(mode="after")
    def _names_one_place(self) -> SecretReference:
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            raise mistake(
                "names no place" if not named else f"names {len(named)} places: one is meant", HINT
            )
        if self.aws_secret is None:
            idle = [name for name in _OF_AWS if getattr(self, name) is not None]
            if idle:
                raise mistake(f"`{idle[0]}` has no effect", "it belongs to `aws_secret`")
        return self

    @field_validator("file")
    @classmethod
    def _is_absolute(cls, value: str | None) -> str | None:
        if value is not None and not PurePosixPath(value).is_absolute():
            raise mistake("must be an absolute path")
        return value

    def __str__(self) -> str:
        """Return where the secret is, for a person."""
        if self.env is not None:
            return f"environment variable {self.env}"
        if self.file is not None:
            return f"file {self.file}"
        if self.aws_secret is not None:
            return f"AWS secret {self.aws_secret}"
        return f"command {(self.command or ('',))[0]}"
