"""A folder of documents, and the database whose rows name them, damaged as a tree of files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from dr_orchestrator.assets.base import Restoration, Tree
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.sqlite import SqliteDriver
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.process import SystemLauncher
from scripts.mutation.sqlite_subject import capture as capture_sqlite
from scripts.mutation.trial import NOBODY, Kind
from scripts.mutation.verdict import Living, System
from tests.support.assets import capture_request, restore_request, state_of
from tests.support.plain_place import PlainPlace, plain_place

_FILES = 1100
"""More than a sampled baseline reads, so that there is something it does not see."""
_BLOCK = 4096
_LISTED = "every document is there and is the one its row names"
_CHECK: Mapping[str, Any] = {
    "title": _LISTED,
    "files": {
        "asset": "documents",
        "listed_by": {"asset": "database", "sql": "select path, sha256 from document"},
    },
}
_LINKS = {"newest": "00", "00/first": "scan über 10.pdf"}


def documents(*, practice: int = 0, months_ago: int = 0) -> dict[str, bytes]:
    """Return every document by its path: of another practice, or as they were before.

    Many are of one size, as faxes and scans of one device are. A month ago some were others.
    """
    found = {}
    for number in range(1, _FILES - months_ago * 40):
        corrected = 0 if months_ago or number % 9 else 1
        random = Random(f"{practice}/{number}/{corrected}")
        size = 6000 if number % 2 else 300 + random.randrange(4000) + corrected
        text = f"page of a letter\r\n{number}\r\n".encode()
        path = f"{number % 10:02d}/scan über {number}.pdf"
        found[path] = text + random.randbytes(size - len(text))
    return found


def _lay_out(root: Path, content: Mapping[str, bytes]) -> None:
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, target in _LINKS.items():
        (root / name).symlink_to(target)
    (root / "empty folder").mkdir()
    (root / "desk").mkdir()
    for number in range(8):
        (root / "desk" / f"note {number}.txt").write_text(f"note {number}\n")


def _list_documents(path: Path, content: Mapping[str, bytes]) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table document (path text primary key, sha256 text not null)")
        rows = ((name, hashlib.sha256(data).hexdigest()) for name, data in content.items())
        database.executemany("insert into document values (?, ?)", rows)


class FilesCopy:
    """A tree that came back, made of links to the files of the capture.

    So no file may be written to: `own` makes one that may be.
    """

    def __init__(self, root: Path, before: Path, another: Path) -> None:
        self.root = root
        self.before = before
        self.another = another

    def files(self) -> list[Path]:
        """Return the documents, sorted."""
        return sorted(each for each in self.root.glob("[0-9]*/scan*.pdf") if not each.is_symlink())

    def one(self, random: Random) -> Path:
        """Return any document."""
        return random.choice(self.files())

    def write(self, path: Path, content: bytes) -> str:
        """Give a file another content."""
        assert content != path.read_bytes()
        own(path).write_bytes(content)
        return self.label(path)

    def label(self, path: Path) -> str:
        """Return a path as it lies in the tree."""
        return str(path.relative_to(self.root))


def link_tree(kept: Path, root: Path) -> None:
    """Make a tree of links to the files of a capture: much faster than a copy of them."""
    shutil.copytree(kept, root, symlinks=True, copy_function=os.link)


def own(path: Path) -> Path:
    """Put a copy in the place of a link to a file of the capture; return its path."""
    copy = path.with_name("copy being made")
    shutil.copy2(path, copy)
    copy.replace(path)
    return path


@dataclass(frozen=True)
class FilesSubject:
    """A folder, and one capture of it."""

    name: str
    launcher: SystemLauncher
    folder: Path
    system: System
    kinds: Sequence[Kind[Any]]
    states: dict[str, AssetState]
    kept: Path
    database: Restoration
    """Of the rows that name the files: never damaged here, so it lives throughout."""

    @contextmanager
    def damaged(self, kind: Kind[Any], random: Random, where: list[str]) -> Iterator[Living]:
        with plain_place(self.launcher) as place:
            root = place.root / "documents"
            link_tree(self.kept, root)
            copy = FilesCopy(root, self.folder / "before", self.folder / "another")
            where.append(kind.damage(copy, random))
            with self._living(place, root, self.states["documents"]) as living:
                yield living

    @contextmanager
    def clean(self, *, busy: bool) -> Iterator[Living]:
        kept = self.folder / "kept anew"
        root = self.folder / "documents"
        with _worked_in(root / "desk") if busy else contextlib.nullcontext():
            state = capture(self.system.asset("documents"), kept)
        try:
            with plain_place(self.launcher) as place:
                restored = place.root / "documents"
                shutil.copytree(kept, restored, symlinks=True)
                with self._living(place, restored, state) as living:
                    yield living
        finally:
            shutil.rmtree(kept)

    @contextmanager
    def _living(self, place: PlainPlace, root: Path, state: AssetState) -> Iterator[Living]:
        driver = FilesDriver(SystemClock())
        with driver.restoration(restore_request(state, place)) as restoration:
            place.adopt(root)
            restoration.prepare()
            restoration.load(root)
            yield Living(
                system=self.system,
                states={**self.states, "documents": state},
                restorations={"database": self.database, "documents": restoration},
            )


def capture(asset: Any, kept: Path) -> AssetState:
    """Capture a folder into another, as a repository gives it back."""
    driver = FilesDriver(SystemClock())
    with driver.capture(capture_request(asset)) as capture:
        assert isinstance(capture.content, Tree)
        # What goes away meanwhile is left out, as restic does.
        with contextlib.suppress(shutil.Error):
            shutil.copytree(capture.content.path, kept, symlinks=True)
        capture.measure()
        return state_of(capture.finish(), kept)


@contextmanager
def _open_files(launcher: SystemLauncher, folder: Path, level: str) -> Iterator[FilesSubject]:
    content = documents()
    _lay_out(folder / "documents", content)
    _lay_out(folder / "before", documents(months_ago=1))
    _lay_out(folder / "another", documents(practice=1))
    _list_documents(folder / "emr.db", content)
    system = System(
        {
            "database": {"kind": "sqlite", "path": str(folder / "emr.db")},
            "documents": {
                "kind": "files",
                "path": str(folder / "documents"),
                **({"baseline": {"level": "full", "budget": "2m"}} if level == "full" else {}),
            },
        },
        (_CHECK,),
    )
    database, copy = capture_sqlite(system, SqliteDriver(SystemClock()), folder)
    kept = folder / "kept"
    states = {"database": database, "documents": capture(system.asset("documents"), kept)}
    with ExitStack() as living:
        place = living.enter_context(plain_place(launcher))
        shutil.copyfile(copy, place.root / "emr.db")
        place.adopt(place.root / "emr.db")
        driver = SqliteDriver(SystemClock())
        rows = living.enter_context(driver.restoration(restore_request(database, place)))
        rows.prepare()
        rows.load(place.root / "emr.db")
        name = f"files, {level}"
        kinds = _kinds("content" if level == "full" else NOBODY)
        yield FilesSubject(name, launcher, folder, system, kinds, states, kept, rows)


@contextmanager
def open_full(launcher: SystemLauncher, folder: Path) -> Iterator[FilesSubject]:
    """Capture a folder of which every byte is in the baseline."""
    with _open_files(launcher, folder, "full") as subject:
        yield subject


@contextmanager
def open_sampled(launcher: SystemLauncher, folder: Path) -> Iterator[FilesSubject]:
    """Capture a folder as a plan's defaults have it."""
    with _open_files(launcher, folder, "sampled") as subject:
        yield subject


@contextmanager
def _worked_in(desk: Path) -> Iterator[None]:
    """Write, make, remove and rename files for the block, as people do."""
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (desk / "note 1.txt").write_text(f"note {number}\n" * (number % 50 + 1))
            (desk / "~lock").write_text("open")
            (desk / "saving").write_text(f"letter {number}")
            (desk / "saving").rename(desk / f"note {number % 4 + 4}.txt")
            (desk / "~lock").unlink()
            stop.wait(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


# --- damage -----------------------------------------------------------------------------------


def _missing(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    path.unlink()
    return copy.label(path)


def _some_missing(copy: FilesCopy, random: Random) -> str:
    for path in random.sample(copy.files(), random.randrange(2, 120)):
        path.unlink()
    return "several"


def _folder_missing(copy: FilesCopy, random: Random) -> str:
    folder = copy.one(random).parent
    shutil.rmtree(folder)
    return folder.name


def _all_missing(copy: FilesCopy, _: Random) -> str:
    shutil.rmtree(copy.root)
    copy.root.mkdir()
    return "everything"


def _extra(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    shutil.copy(path, path.with_name("copy of a scan.pdf"))
    return copy.label(path.parent)


def _renamed(change: Callable[[str], str]) -> Callable[[FilesCopy, Random], str]:
    def damage(copy: FilesCopy, random: Random) -> str:
        path = copy.one(random)
        name = change(path.name)
        assert name != path.name
        path.rename(path.with_name(name))
        return copy.label(path)

    return damage


def _moved(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    others = [each for each in sorted(copy.root.glob("[0-9]*")) if each != path.parent]
    path.rename(random.choice(others) / path.name)
    return copy.label(path)


def _folder_moved(copy: FilesCopy, random: Random) -> str:
    folder = copy.one(random).parent
    folder.rename(copy.root / "empty folder" / folder.name)
    return folder.name


def _cut(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    content = path.read_bytes()
    return copy.write(path, content[: random.randrange(1, len(content))])


def _emptied(copy: FilesCopy, random: Random) -> str:
    return copy.write(copy.one(random), b"")


def _appended(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    return copy.write(path, path.read_bytes() + random.randbytes(random.randrange(1, 100)))


def _unix_lines(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    return copy.write(path, path.read_bytes().replace(b"\r\n", b"\n"))


def _flipped(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return copy.write(path, bytes(content))


def _hole(copy: FilesCopy, random: Random) -> str:
    """Leave zeros where a block of the repository could not be read, as restic does."""
    path = copy.one(random)
    content = path.read_bytes()
    at = random.randrange(0, len(content), _BLOCK)
    hole = bytes(len(content[at : at + _BLOCK]))
    return copy.write(path, content[:at] + hole + content[at + _BLOCK :])


def _zeros(copy: FilesCopy, random: Random) -> str:
    path = copy.one(random)
    return copy.write(path, bytes(path.stat().st_size))


def _swapped(*, same_size: bool) -> Callable[[FilesCopy, Random], str]:
    def damage(copy: FilesCopy, random: Random) -> str:
        paths = copy.files()
        one = random.choice(paths)
        size = one.stat().st_size
        fits = [each for each in paths if (each.stat().st_size == size) is same_size]
        if same_size and len(fits) == 1:
            one = next(each for each in paths if each.stat().st_size == _SAME)
            fits = [each for each in paths if each.stat().st_size == _SAME]
        other = random.choice([each for each in fits if each != one])
        content = one.read_bytes(), other.read_bytes()
        copy.write(one, content[1])
        copy.write(other, content[0])
        return f"{copy.label(one)}, {copy.label(other)}"

    return damage


_SAME = 6000


def _older(*, same_size: bool) -> Callable[[FilesCopy, Random], str]:
    def damage(copy: FilesCopy, random: Random) -> str:
        for path in random.sample(copy.files(), len(copy.files())):
            before = copy.before / path.relative_to(copy.root)
            if not before.exists():
                continue
            content = before.read_bytes()
            now = path.read_bytes()
            if content != now and (len(content) == len(now)) is same_size:
                return copy.write(path, content)
        raise AssertionError("no file was changed since")

    return damage


def _in_place_of(copy: FilesCopy, tree: Path) -> str:
    shutil.rmtree(copy.root)
    shutil.copytree(tree, copy.root, symlinks=True)
    return "everything"


def _link_elsewhere(copy: FilesCopy, random: Random) -> str:
    name = random.choice(sorted(_LINKS))
    (copy.root / name).unlink()
    (copy.root / name).symlink_to("scan über 20.pdf")
    return name


def _link_missing(copy: FilesCopy, random: Random) -> str:
    name = random.choice(sorted(_LINKS))
    (copy.root / name).unlink()
    return name


def _link_became_file(copy: FilesCopy, _: Random) -> str:
    link = copy.root / "00" / "first"
    content = link.read_bytes()
    link.unlink()
    link.write_bytes(content)
    return "00/first"


def _file_became(make: Callable[[Path, Path], None]) -> Callable[[FilesCopy, Random], str]:
    def damage(copy: FilesCopy, random: Random) -> str:
        path = copy.one(random)
        elsewhere = copy.root.parent / "elsewhere"
        path.rename(elsewhere)
        make(path, elsewhere)
        return copy.label(path)

    return damage


def _mode(copy: FilesCopy, random: Random) -> str:
    path = own(copy.one(random))
    path.chmod(path.stat().st_mode ^ 0o022)
    return copy.label(path)


def _time(copy: FilesCopy, random: Random) -> str:
    for path in random.sample(copy.files(), 20):
        os.utime(own(path), (random.randrange(10**9), random.randrange(10**9)))
    return "twenty"


def _unlinked(copy: FilesCopy, random: Random) -> str:
    own(copy.one(random))
    return "one"


def _empty_folder_missing(copy: FilesCopy, _: Random) -> str:
    (copy.root / "empty folder").rmdir()
    return "empty folder"


def _listed(title: str, damage: Any, **more: Any) -> Kind[FilesCopy]:
    """Return a kind that shows in names, kinds and sizes."""
    return Kind(title=title, damage=damage, claimed_by="listing", **more)


def _kinds(content: str) -> tuple[Kind[Any], ...]:
    """Return all; `content` is the check that claims those that show in the bytes only."""

    def bytes_only(title: str, damage: Any, **more: Any) -> Kind[FilesCopy]:
        return Kind(
            title=title,
            damage=damage,
            claimed_by=content,
            claimed_with_checks=f"“{_LISTED}”",
            **more,
        )

    return (
        _listed("file missing", _missing, quick=True),
        _listed("several files missing", _some_missing),
        _listed("folder missing", _folder_missing),
        _listed("all files missing", _all_missing, few=True),
        _listed("file too many", _extra),
        _listed("file renamed", _renamed(lambda name: f"old {name}")),
        _listed("file's name in upper case", _renamed(str.upper)),
        _listed(
            "file's name in the wrong encoding",
            _renamed(lambda name: name.encode().decode("latin-1")),
        ),
        _listed(
            "file's name in the other Unicode form",
            _renamed(lambda name: unicodedata.normalize("NFD", name)),
        ),
        _listed("file in another folder", _moved),
        _listed("folder in another place", _folder_moved),
        _listed("file cut short", _cut),
        _listed("file emptied", _emptied),
        _listed("file with more at its end", _appended),
        _listed("line ends of a file changed", _unix_lines),
        _listed("contents swapped between two files of different size", _swapped(same_size=False)),
        _listed("older version of a file, of another size", _older(same_size=False)),
        _listed("an older state of the whole folder", _older_tree, few=True),
        _listed("the folder of another practice", _another_tree, few=True),
        _listed("symbolic link leads elsewhere", _link_elsewhere, few=True),
        _listed("symbolic link missing", _link_missing, few=True),
        _listed("symbolic link became a file", _link_became_file, few=True),
        _listed("file became a symbolic link", _file_became(Path.symlink_to)),
        _listed("file became a folder", _file_became(lambda path, _: path.mkdir())),
        bytes_only("one bit of a file flipped", _flipped, quick=True),
        bytes_only("a block of zeros in a file", _hole),
        bytes_only("a file of zeros", _zeros),
        bytes_only("contents swapped between two files of one size", _swapped(same_size=True)),
        bytes_only("older version of a file, of the same size", _older(same_size=True)),
        Kind(title="permissions of a file changed", damage=_mode, few=True),
        Kind(title="empty folder missing", damage=_empty_folder_missing, few=True),
        Kind(title="times of files changed", damage=_time, harmless=True, few=True, quick=True),
        Kind(title="hard link became a file", damage=_unlinked, harmless=True, few=True),
    )


def _older_tree(copy: FilesCopy, _: Random) -> str:
    return _in_place_of(copy, copy.before)


def _another_tree(copy: FilesCopy, _: Random) -> str:
    return _in_place_of(copy, copy.another)
