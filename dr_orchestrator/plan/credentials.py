"""Every place where a plan, or the machine's settings, refer to something that opens a door: names
of where secrets are, of profiles and of accounts. Never a secret itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from dr_orchestrator.plan.secret_reference import SecretReference

_ACCOUNTS = {"aws_profile": "profile {} in ~/.aws/credentials", "user": "account {}"}
"""Fields of plans and settings that name an account, and how that is said."""
_ADDRESSES = ("location", "host")


@dataclass(frozen=True, kw_only=True)
class Credential:
    """One of them."""

    field: str
    """Where it is stated: `repositories.onsite.password`."""
    where: str
    """In words: `file /etc/dro/keys/riverside`, `account backup`."""
    reference: SecretReference | None
    """`None` of an account, which has no secret of its own there."""
    towards: str = ""
    """The address that is stated beside it, or next above: `rest:https://host/riverside`."""


def credentials_of(stated: object, path: str = "", towards: str = "") -> Iterator[Credential]:
    """Yield the credentials that a plan, or settings, refer to, in the order of the fields."""
    if isinstance(stated, SecretReference):
        yield Credential(field=path, where=str(stated), reference=stated, towards=towards)
    elif isinstance(stated, BaseModel):
        yield from _of_fields(stated, tuple(type(stated).model_fields), path, towards)
    elif is_dataclass(stated):
        names = tuple(each.name for each in fields(stated))
        yield from _of_fields(stated, names, path, towards)
    elif isinstance(stated, Mapping):
        for name, each in stated.items():
            yield from credentials_of(each, f"{path}.{name}", towards)
    elif isinstance(stated, tuple):
        for number, each in enumerate(stated):
            yield from credentials_of(each, f"{path}[{number}]", towards)


def with_references(
    stated: Any, put: Callable[[str, SecretReference], SecretReference], path: str = ""
) -> Any:
    """Return what is stated, such as a plan, with `put(field, reference)` in the place of each
    reference. What holds none is the same object afterwards.
    """
    if isinstance(stated, SecretReference):
        return put(path, stated)
    if isinstance(stated, BaseModel):
        before = {name: getattr(stated, name) for name in type(stated).model_fields}
        after = {
            name: with_references(each, put, f"{path}.{name}" if path else name)
            for name, each in before.items()
        }
        changed = {name: each for name, each in after.items() if each is not before[name]}
        return stated.model_copy(update=changed) if changed else stated
    if isinstance(stated, Mapping):
        named = {
            name: with_references(each, put, f"{path}.{name}") for name, each in stated.items()
        }
        return named if any(named[name] is not stated[name] for name in named) else stated
    if isinstance(stated, tuple):
        items = tuple(
            with_references(each, put, f"{path}[{number}]") for number, each in enumerate(stated)
        )
        return items if any(a is not b for a, b in zip(items, stated, strict=True)) else stated
    return stated


def _of_fields(
    stated: object, names: tuple[str, ...], path: str, towards: str
) -> Iterator[Credential]:
    own = (getattr(stated, name, None) for name in _ADDRESSES)
    towards = next((each for each in own if isinstance(each, str)), towards)
    for name in names:
        value = getattr(stated, name)
        field = f"{path}.{name}" if path else name
        if name in _ACCOUNTS and isinstance(value, str):
            yield Credential(
                field=field,
                where=_ACCOUNTS[name].format(value),
                reference=None,
                towards=towards,
            )
        else:
            yield from credentials_of(value, field, towards)
