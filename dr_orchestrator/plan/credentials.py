"""Every place where a plan, or the machine's settings, refer to something that opens a door: names
of where secrets are, of profiles and of accounts. Never a secret itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

from pydantic import BaseModel

from dr_orchestrator.plan.secret_reference import SecretReference

_ACCOUNTS = {"aws_profile": "profile {} in ~/.aws/credentials", "user": "account {}"}
"""Fields of plans and settings that name an account, and how that is said."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """One of them."""

    field: str
    """Where it is stated: `repositories.onsite.password`."""
    where: str
    """In words: `file /etc/dro/keys/riverside`, `account backup`."""
    reference: SecretReference | None
    """`None` of an account, which has no secret of its own there."""


def credentials_of(stated: object, path: str = "") -> Iterator[Credential]:
    """Yield the credentials that a plan, or settings, refer to, in the order of the fields."""
    if isinstance(stated, SecretReference):
        yield Credential(field=path, where=str(stated), reference=stated)
    elif isinstance(stated, BaseModel):
        yield from _of_fields(stated, tuple(type(stated).model_fields), path)
    elif is_dataclass(stated):
        yield from _of_fields(stated, tuple(each.name for each in fields(stated)), path)
    elif isinstance(stated, Mapping):
        for name, each in stated.items():
            yield from credentials_of(each, f"{path}.{name}")
    elif isinstance(stated, tuple):
        for number, each in enumerate(stated):
            yield from credentials_of(each, f"{path}[{number}]")


def _of_fields(stated: object, names: tuple[str, ...], path: str) -> Iterator[Credential]:
    for name in names:
        value = getattr(stated, name)
        field = f"{path}.{name}" if path else name
        if name in _ACCOUNTS and isinstance(value, str):
            yield Credential(field=field, where=_ACCOUNTS[name].format(value), reference=None)
        else:
            yield from credentials_of(value, field)
