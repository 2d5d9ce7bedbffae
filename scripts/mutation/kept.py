"""What a repository gives back of one capture, and damage to that before it is loaded."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

from dr_orchestrator.assets.base import AssetDriver, Captured, Restoration, RestoreRequest
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.process import SystemLauncher
from scripts.mutation.trial import Kind
from scripts.mutation.verdict import Living, System
from tests.support.plain_place import PlainPlace, plain_place

ASSET = "database"
LOADING = "loading"
"""The check that claims this: it does not come to life."""
_BLOCK = 4096


@dataclass(frozen=True)
class Kept:
    """What a repository would hold of one capture."""

    state: AssetState
    path: Path
    captured: Captured


class Bench(Protocol):
    """What captures and brings back databases of one engine (tests/support)."""

    launcher: SystemLauncher
    folder: Path

    @property
    def driver(self) -> AssetDriver:
        """The product's own."""
        ...

    def capture(
        self, asset: Any, queries: tuple[str, ...] = ...
    ) -> tuple[AssetState, Path, Captured]:
        """Capture, and keep what a repository would have kept."""
        ...


@dataclass(frozen=True, kw_only=True)
class BeforeLoad(Kind[Path]):
    """Damage to what the repository gave back."""


@dataclass(frozen=True, kw_only=True)
class Sidecars(Kind[dict[str, bytes]]):
    """Damage to the small files beside it."""


def capture(bench: Bench, system: System) -> Kept:
    """Capture the database of a system."""
    return Kept(*bench.capture(system.asset(ASSET), system.queries(ASSET)))


def request(state: AssetState, place: PlainPlace, sidecars: Mapping[str, bytes]) -> RestoreRequest:
    """Return the request that brings it back in `place`."""
    return RestoreRequest(asset_id=ASSET, state=state, place=place, sidecars=sidecars, jobs=1)


def put(kept: Path, place: PlainPlace) -> Path:
    """Put a copy of what was kept into a place, and return its path."""
    there = place.root / "restored"
    remove(there)
    copy(kept, there)
    place.adopt(there)
    return there


@contextmanager
def brought_back(
    bench: Bench,
    system: System,
    kept: Kept,
    sidecars: Mapping[str, bytes],
    *,
    then: Callable[[PlainPlace], None] = lambda _: None,
) -> Iterator[Living]:
    """Bring it back in a place of its own, and do something to it there once it lives."""
    with plain_place(bench.launcher) as place:
        there = put(kept.path, place)
        with bench.driver.restoration(request(kept.state, place, sidecars)) as coming:
            coming.prepare()
            coming.load(there)
            then(place)
            yield living(system, kept.state, coming)


def living(system: System, state: AssetState, restoration: Restoration) -> Living:
    """Return a recovery point of one database that lives."""
    return Living(system=system, states={ASSET: state}, restorations={ASSET: restoration})


@contextmanager
def damaged_copy(kept: Path, folder: Path, damage: Callable[[Path], None]) -> Iterator[Path]:
    """Give a copy of what was kept, damaged."""
    there = folder / "damaged"
    copy(kept, there)
    try:
        damage(there)
        yield there
    finally:
        remove(there)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


# --- damage -----------------------------------------------------------------------------------


def write(path: Path, content: bytes) -> None:
    """Give a file another content."""
    assert content != path.read_bytes()
    path.write_bytes(content)


def flip(content: bytes, at: int, random: Random) -> bytes:
    """Return the content with one bit of one byte turned over."""
    flipped = bytes((content[at] ^ 1 << random.randrange(8),))
    return content[:at] + flipped + content[at + 1 :]


def flip_anywhere(content: bytes, random: Random) -> bytes:
    """Return the content with one bit turned over."""
    return flip(content, random.randrange(len(content)), random)


def cut_anywhere(content: bytes, random: Random) -> bytes:
    """Return the beginning of the content."""
    return content[: random.randrange(len(content))]


def zero_block(content: bytes, random: Random) -> bytes:
    """Return the content with a hole, as restic leaves where a pack cannot be read."""
    blocks = [at for at in range(0, len(content), _BLOCK) if any(content[at : at + _BLOCK])]
    at = random.choice(blocks)
    return content[:at] + bytes(len(content[at : at + _BLOCK])) + content[at + _BLOCK :]


def cut(path: Path, random: Random) -> str:
    """Cut a file short, but leave something of it, and take more than its last byte."""
    content = path.read_bytes()
    at = random.randrange(1, len(content) - 1)
    write(path, content[:at])
    return f"at {at} of {len(content)}"


def empty(path: Path, _: Random) -> str:
    """Leave nothing in a file."""
    write(path, b"")
    return "everything"


def hole(path: Path, random: Random) -> str:
    """Leave a block of zeros in a file."""
    write(path, zero_block(path.read_bytes(), random))
    return "a block"


def in_place_of(other: Path) -> Callable[[Path, Random], str]:
    """Return a damage that leaves another capture there."""

    def damage(path: Path, _: Random) -> str:
        remove(path)
        copy(other, path)
        return "everything"

    return damage
