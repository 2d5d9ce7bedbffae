"""What a person names to be protected, as assets of a plan: `postgres://backup@10.0.0.5/emr`.

A password in an address is refused: whoever types one there has just written it into the history of
the shell. Nothing here repeats what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import BaseModel, ValidationError

from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.plan.model import (
    Asset,
    FilesAsset,
    MariadbAsset,
    PostgresAsset,
    SqliteAsset,
)

_KINDS = {
    "postgres": AssetKind.POSTGRES,
    "postgresql": AssetKind.POSTGRES,
    "mariadb": AssetKind.MARIADB,
    "mysql": AssetKind.MARIADB,
    "sqlite": AssetKind.SQLITE,
}
_SOCKETS = {
    AssetKind.POSTGRES: "/run/postgresql",
    AssetKind.MARIADB: "/run/mysqld/mysqld.sock",
}
_PASSWORDS = {"password", "passwd", "pwd"}
_EXAMPLES = "postgres://USER@HOST/DATABASE, mariadb://…, mysql://… or sqlite:///PATH"
_MODELS: Mapping[AssetKind, type[BaseModel]] = {
    AssetKind.POSTGRES: PostgresAsset,
    AssetKind.MARIADB: MariadbAsset,
    AssetKind.SQLITE: SqliteAsset,
    AssetKind.FILES: FilesAsset,
}


@dataclass(frozen=True, kw_only=True)
class Named:
    """An asset as somebody named it."""

    name: str
    """What the plan calls it."""
    asset: Asset

    @property
    def asks_for_password(self) -> bool:
        """Whether whoever connects to it may be asked for one."""
        return isinstance(self.asset, PostgresAsset | MariadbAsset)


def named_assets(urls: tuple[str, ...], folders: tuple[Path, ...]) -> tuple[Named, ...]:
    """Return the assets that somebody named, each with an id of its own.

    Raises:
        UsageMistake: an address cannot be read, or has a password in it.
    """
    databases = [_database(url) for url in urls]
    trees = [_made(AssetKind.FILES, {"path": str(_absolute(each))}) for each in folders]
    names: dict[str, Asset] = {}
    for asset in databases:
        base = "database" if len(databases) == 1 else _slug(_database_name(asset), "database")
        names[_free(base, names)] = asset
    for asset in trees:
        base = "documents" if len(trees) == 1 else _slug(asset.path.name, "documents")
        names[_free(base, names)] = asset
    return tuple(Named(name=name, asset=asset) for name, asset in names.items())


def _database(url: str) -> Any:
    try:
        parts = urlsplit(url)
        port, asked = parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise _unreadable() from None
    if parts.password is not None or _PASSWORDS & asked.keys():
        raise UsageMistake(
            "there is a password in an address: it is in the history of this shell now",
            hint="change it on the server, and leave it out here: it is asked for, or read from "
            "the environment by --password-env NAME",
        )
    kind = _KINDS.get(parts.scheme)
    if kind is None:
        raise _unreadable()
    if kind is AssetKind.SQLITE:
        if parts.netloc or parts.query or not parts.path.startswith("/"):
            raise UsageMistake("a SQLite file is named by its path", hint="sqlite:///srv/emr.db")
        return _made(kind, {"path": unquote(parts.path)})
    return _made(kind, _server(kind, parts, port, asked))


def _server(
    kind: AssetKind, parts: SplitResult, port: int | None, asked: Mapping[str, list[str]]
) -> dict[str, Any]:
    unknown = asked.keys() - {"host", "sslmode"}
    database = unquote(parts.path.removeprefix("/"))
    if unknown or "/" in database or parts.fragment:
        raise _unreadable()
    if not parts.username or not database:
        raise UsageMistake(
            "an address lacks the user or the database", hint=f"{kind.value}://USER@HOST/DATABASE"
        )
    host = unquote(asked["host"][0]) if "host" in asked else parts.hostname
    stated: dict[str, Any] = {"host": host or _SOCKETS[kind]}
    if port is not None:
        stated["port"] = port
    stated |= {"database": database, "user": unquote(parts.username)}
    if "sslmode" in asked:
        stated["sslmode"] = asked["sslmode"][0]
    return stated


def _made(kind: AssetKind, stated: dict[str, Any]) -> Any:
    try:
        return _MODELS[kind].model_validate({"kind": kind, **stated})
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UsageMistake(
            f"an address cannot be used: its {field} is not one", hint=_EXAMPLES
        ) from None


def _unreadable() -> UsageMistake:
    return UsageMistake("an address cannot be read", hint=f"write {_EXAMPLES}")


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else Path.cwd() / path


def _database_name(asset: Any) -> str:
    return str(getattr(asset, "database", "") or asset.path.stem)


def _slug(text: str, otherwise: str) -> str:
    slug = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:30]
    return slug if re.match(r"[a-z]", slug) else otherwise


def _free(base: str, taken: Mapping[str, object]) -> str:
    names = (base, *(f"{base}-{number}" for number in range(2, 1000)))
    return next(name for name in names if name not in taken)
