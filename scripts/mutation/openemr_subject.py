"""A practice that works with OpenEMR: what its pack sees beyond the baseline.

Half of the damage is done to the copy. The other half is done before the capture, so that the
baseline agrees with it: only somebody who knows the application can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from dr_orchestrator.assets.base import Restoration
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.packs.load import find_packs, load_pack
from dr_orchestrator.process import SystemLauncher
from scripts.mutation.files_subject import capture as capture_files
from scripts.mutation.files_subject import link_tree, own
from scripts.mutation.kept import ASSET, Kept, capture, put, request
from scripts.mutation.trial import NOBODY, Kind
from scripts.mutation.verdict import Living, System
from tests.support.assets import restore_request
from tests.support.mariadb import BACKUP_USER, Bench, Production, production
from tests.support.mariadb import busy as written_to
from tests.support.openemr import make_openemr
from tests.support.plain_place import PlainPlace, plain_place

_FILES = 700
"""More than a sampled baseline reads."""
_DOCUMENTS = "“OpenEMR: every document is there, and is what OpenEMR stored”"
_KEYS = "“OpenEMR: the two halves of the keys belong together”"
_SEALED = b"006"
"""How a file begins that OpenEMR has encrypted."""
_HALVES = ("sixa", "sixb")

Damage = Callable[[Path, Random], str]


@dataclass(frozen=True, kw_only=True)
class BeforeCapture(Kind[Path]):
    """Damage in production, of which the backup is a true copy."""


@dataclass(frozen=True)
class OpenEmrSubject:
    """A database and a folder of documents, and one capture of both."""

    launcher: SystemLauncher
    folder: Path
    system: System
    server: Production
    bench: Bench
    database: Kept
    documents: AssetState
    kept: Path
    living: Restoration
    """The database: never damaged here, so it lives throughout."""
    name: str = "OpenEMR"

    @property
    def kinds(self) -> Sequence[Kind[Any]]:
        return _KINDS

    @contextmanager
    def damaged(self, kind: Kind[Any], random: Random, where: list[str]) -> Iterator[Living]:
        with plain_place(self.launcher) as place:
            root = place.root / "documents"
            link_tree(self.kept, root)
            where.append(kind.damage(root, random))
            state = self.documents
            if isinstance(kind, BeforeCapture):
                state = capture_files(self.system.asset("documents", root), place.root / "kept")
            with self._alive(place, root, state, self.living, self.database) as living:
                yield living

    @contextmanager
    def clean(self, *, busy: bool) -> Iterator[Living]:
        write = "update form_encounter set reason = concat('seen ', rand()) where id < 50"
        with written_to(self.server, "openemr", write) if busy else nullcontext():
            database = capture(self.bench, self.system)
        with plain_place(self.launcher) as place:
            asked = request(database.state, place, database.captured.sidecars)
            with self.bench.driver.restoration(asked) as restoration:
                restoration.prepare()
                restoration.load(put(database.path, place))
                root = place.root / "documents"
                state = capture_files(self.system.asset("documents"), root)
                with self._alive(place, root, state, restoration, database) as living:
                    yield living

    @contextmanager
    def _alive(
        self,
        place: PlainPlace,
        root: Path,
        state: AssetState,
        living: Restoration,
        database: Kept,
    ) -> Iterator[Living]:
        driver = FilesDriver(SystemClock())
        with driver.restoration(restore_request(state, place)) as restoration:
            place.adopt(root)
            restoration.prepare()
            restoration.load(root)
            yield Living(
                system=self.system,
                states={ASSET: database.state, "documents": state},
                restorations={ASSET: living, "documents": restoration},
            )


@contextmanager
def open_openemr(launcher: SystemLauncher, folder: Path) -> Iterator[OpenEmrSubject]:
    """Make a practice, and capture it."""
    clinic = make_openemr(folder / "documents", files=_FILES)
    with production() as server, ExitStack() as living:
        server.run("create database openemr character set utf8mb4 collate utf8mb4_general_ci")
        server.run(clinic.script, "openemr")
        system = System(
            {
                ASSET: {
                    "kind": "mariadb",
                    "host": server.host,
                    "port": server.port,
                    "database": "openemr",
                    "user": BACKUP_USER,
                    "password": {"env": "EMR_DB_PASSWORD"},
                    "sslmode": "disable",
                },
                "documents": {"kind": "files", "path": str(clinic.documents)},
            },
            ({"pack": "openemr"},),
            {"openemr": load_pack(find_packs(None)["openemr"]).pack},
        )
        bench = Bench(launcher, folder)
        database = capture(bench, system)
        place = living.enter_context(plain_place(launcher))
        asked = request(database.state, place, database.captured.sidecars)
        restoration = living.enter_context(bench.driver.restoration(asked))
        restoration.prepare()
        restoration.load(put(database.path, place))
        kept = folder / "kept-documents"
        state = capture_files(system.asset("documents"), kept)
        yield OpenEmrSubject(
            launcher, folder, system, server, bench, database, state, kept, restoration
        )


# --- damage -----------------------------------------------------------------------------------


def _half(root: Path, random: Random) -> Path:
    return root / "logs_and_misc" / "methods" / random.choice(_HALVES)


def _old_half(root: Path, random: Random) -> str:
    """Leave a half of the size and form that another generation of the key has."""
    path = _half(root, random)
    content = path.read_bytes()
    letters = sorted(set(content[3:-2]))
    other = bytes(random.choice(letters) for _ in content[3:-2])
    own(path).write_bytes(content[:3] + other + content[-2:])
    assert path.read_bytes() != content
    return path.name


def _half_missing(root: Path, random: Random) -> str:
    path = _half(root, random)
    path.unlink()
    return path.name


def _document(root: Path, random: Random) -> Path:
    return random.choice(sorted(root.rglob("scan_*.pdf")))


def _document_missing(root: Path, random: Random) -> str:
    path = _document(root, random)
    path.unlink()
    return path.name


def _document_flipped(root: Path, random: Random) -> str:
    """Turn over the lowest bit of a letter: the file keeps its size and its form."""
    path = _document(root, random)
    content = bytearray(path.read_bytes())
    letters = [at for at, byte in enumerate(content) if at > 100 and chr(byte).isalpha()]  # noqa: PLR2004
    at = random.choice(letters)
    content[at] = content[at] ^ 1 if chr(content[at] ^ 1).isalpha() else content[at] ^ 3
    own(path).write_bytes(content)
    return path.name


def _documents_swapped(*, sealed: bool) -> Damage:
    """Swap two documents: both of them encrypted, or at least one of them as it was scanned."""

    def damage(root: Path, random: Random) -> str:
        paths = sorted(root.rglob("scan_*.pdf"))
        is_sealed = {path: path.read_bytes().startswith(_SEALED) for path in paths}
        one = random.choice([path for path in paths if is_sealed[path] is sealed])
        fits = [path for path in paths if path != one and is_sealed[path] >= sealed]
        other = random.choice(fits)
        assert one.read_bytes() != other.read_bytes()
        kept = one.with_name("aside")
        one.rename(kept)
        other.rename(one)
        kept.rename(other)
        return f"{one.name}, {other.name}"

    return damage


def _kinds() -> Iterator[Kind[Any]]:
    for title, damage, check, in_copy in (
        ("half of the key of an older generation", _old_half, _KEYS, NOBODY),
        ("half of the key missing", _half_missing, _KEYS, "listing"),
        ("document missing that a row names", _document_missing, _DOCUMENTS, "listing"),
        ("document changed that a row has the hash of", _document_flipped, _DOCUMENTS, NOBODY),
        ("documents of two rows swapped", _documents_swapped(sealed=False), _DOCUMENTS, NOBODY),
        # The hash in a row is of the plain text, which nobody has without the key.
        ("encrypted documents swapped", _documents_swapped(sealed=True), NOBODY, NOBODY),
    ):
        yield Kind(title=title, damage=damage, claimed_by=in_copy, claimed_with_checks=check)
        yield BeforeCapture(
            title=f"{title}, in production already", damage=damage, claimed_with_checks=check
        )


_KINDS = tuple(_kinds())
