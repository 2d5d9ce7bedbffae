"""A manifest as bytes, and back. The format is described in docs/reference/manifest.md.

What comes out of a repository is data that somebody else may have written: it is checked in full
before any of it is believed, and nothing in it is ever run.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from dr_orchestrator import __version__
from dr_orchestrator.core.point import MANIFEST_SCHEMA, Manifest
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ManifestInvalid

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_LONGEST_SKEW = timedelta(days=365 * 1000).total_seconds()
_YEARS = range(1000, 9000)
"""Beyond them no zone or window can be reckoned with: whoever forges a time may say any."""
_MOST_BYTES = 2**63 - 1
"""What a database can keep."""
_LONGEST_WRITER = 40
"""Of a name that somebody else may have written."""
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Of what plans name, and of points: it is shown to people, and becomes the name of a folder."""


@cache
def _adapter() -> TypeAdapter[Manifest]:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON: UTF-8, keys sorted, so that equal manifests are equal bytes."""
    return encode_json(_adapter().dump_python(manifest, mode="json"))


def encode_json(content: Any) -> bytes:
    """Return JSON for people to read and programs to hash: sorted keys, indented, newline."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def decode_manifest(content: bytes) -> Manifest:
    """Read a manifest of this or any older schema.

    Raises:
        ManifestInvalid: not a manifest, damaged, or written by a newer version of this program.
    """
    try:
        raw = json.loads(content)
        schema = raw["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ManifestInvalid("the manifest is damaged: this program wrote no such thing") from None
    if not isinstance(schema, int):
        raise ManifestInvalid("the manifest is damaged: its schema is no number")
    if schema > MANIFEST_SCHEMA:
        writer = printable(str(raw.get("made_by", "")))[:_LONGEST_WRITER] or "a newer version"
        raise ManifestInvalid(
            f"the manifest was written by {writer} (schema {schema}), and this is dr-orchestrator "
            f"{__version__}, which reads up to {MANIFEST_SCHEMA}",
            hint="install that version or a newer one here",
        )
    from pydantic import ValidationError

    try:
        manifest = _adapter().validate_json(content)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, each["loc"])) for each in error.errors()[:3])
        raise ManifestInvalid(f"the manifest is damaged at: {fields}") from None
    _require_sound(manifest)
    return manifest


def _require_sound(manifest: Manifest) -> None:
    """Refuse what parses but cannot be: names that lead somewhere else, times without zone."""
    instants = [manifest.as_of, manifest.finished]
    instants += [manifest.recoverable.start, manifest.recoverable.end]
    instants += [state.captured_at for state in manifest.assets.values()]
    made = (manifest.data_as_of, *(state.data_as_of for state in manifest.assets.values()))
    instants += [instant for instant in made if instant is not None]
    if any(instant.utcoffset() is None for instant in instants):
        raise ManifestInvalid("the manifest is damaged: a time in it has no zone")
    if any(instant.year not in _YEARS for instant in instants):
        raise ManifestInvalid("the manifest is damaged: a time in it is no time of ours")
    if not 0 <= manifest.skew_seconds <= _LONGEST_SKEW:
        raise ManifestInvalid("the manifest is damaged: its assets cannot be that far apart")
    names = (manifest.practice, manifest.system, manifest.point, manifest.run, *manifest.assets)
    if not all(_NAME.fullmatch(name) for name in names) or "\0" in (manifest.label or ""):
        raise ManifestInvalid("the manifest is damaged: a name in it is none")
    if not all(0 <= state.bytes <= _MOST_BYTES for state in manifest.assets.values()):
        raise ManifestInvalid("the manifest is damaged: nothing is that large")
    for asset, state in manifest.assets.items():
        if not _FULL_ID.fullmatch(state.snapshot):
            raise ManifestInvalid(f"the manifest names no full snapshot id for {asset}")
        names = (asset, *state.sidecars)
        if any("/" in name or name in {"", ".", ".."} for name in names):
            raise ManifestInvalid("the manifest holds a name that is a path")
        if not state.path.startswith("/") or ".." in state.path.split("/"):
            raise ManifestInvalid(f"the manifest's path of {asset} is not absolute")
