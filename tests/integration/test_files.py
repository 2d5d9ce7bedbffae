"""Folders with the real restic between capture and comparison, and its own idea of patterns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dr_orchestrator import beneath
from dr_orchestrator.assets.base import Tree
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.files_look import walk
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.baseline import FilesBaseline, Level
from dr_orchestrator.core.verification import Result, Verification, overall
from dr_orchestrator.plan.model import FilesAsset
from dr_orchestrator.sandbox.base import Sandbox
from tests.support.assets import capture_request, files_asset, restore_request, state_of
from tests.support.sandbox import is_root, open_sandbox
from tests.support.tools import require_tool

Change = Callable[[Path], object]


class PlainRestic:
    """restic called as a person would, without our driver."""

    def __init__(self, folder: Path) -> None:
        self._program = str(require_tool("restic"))
        self._folder = folder
        self._run("init")

    def would_save(self, tree: Tree) -> set[str]:
        """Return the files that restic would save; a byte that is no text is shown as U+FFFD."""
        patterns = [f"--exclude={pattern}" for pattern in tree.exclude]
        options = ("--dry-run", "--json", "--verbose=2", "--force", *patterns)
        found = set()
        for line in self._run("backup", *options, str(tree.path)).splitlines():
            message = json.loads(line)
            item = message.get("item", "")
            if message["message_type"] == "verbose_status" and item and not item.endswith("/"):
                found.add(item)
        return found

    def backup(self, tree: Tree) -> int:
        """Save a tree and return how many files restic says it saw."""
        patterns = [f"--exclude={pattern}" for pattern in tree.exclude]
        lines = self._run("backup", "--json", *patterns, str(tree.path)).splitlines()
        files: int = json.loads(lines[-1])["total_files_processed"]
        return files

    def restore(self, target: Path) -> None:
        self._run("restore", "latest", "--target", str(target))

    def _run(self, *argv: str) -> bytes:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "RESTIC_REPOSITORY": str(self._folder / "repository"),
            "RESTIC_PASSWORD": "throw-away",
            "RESTIC_CACHE_DIR": str(self._folder / "cache"),
        }
        argv = (self._program, *argv)
        return subprocess.run(argv, env=environment, check=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def restic(tmp_path_factory: pytest.TempPathFactory) -> PlainRestic:
    return PlainRestic(tmp_path_factory.mktemp("restic"))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with open_sandbox() as opened:
        yield opened


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "srv" / "shared"
    for name in (
        "a/b/f.tmp",
        "a/keep.pdf",
        "x[1]/f",
        "c/a/deep.tmp",
        "c/tmpfile",
        "c/cache/one",
        "top.pdf",
        "$HOME/f",
        "Jane Roe, ü\n.pdf",
        "..dots/f",
        ".hidden",
        "empty",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "empty").write_text("")
    (root / os.fsdecode(b"n\xe9me.tmp")).write_bytes(b"latin-1")
    (root / os.fsdecode(b"n\xe9me")).mkdir()
    (root / os.fsdecode(b"n\xe9me") / "f").touch()
    (root / "empty folder").mkdir()
    (root / "link.tmp").symlink_to("a/keep.pdf")
    (root / "broken").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    return root


# --- the same files as restic ---


@pytest.mark.parametrize(
    "patterns",
    [
        (),
        ("*.tmp",),
        ("a/b",),
        ("{root}/a",),
        ("{root}/a/",),
        ("c/**",),
        ("**/a",),
        ("{root}/**/a",),
        ("{root}/*/a",),
        ("srv/shared/c",),
        ("n?me",),
        ("n?me.*",),
        ("$HOME",),
        ("*",),
        ("..dots",),
        ("?.pdf", "*e*"),
        ("shared/*.pdf",),
        ("a//b",),
        ("**/c/**/one",),
        ("c/*", "*.pdf"),
        ("A",),
        ("k**p.pdf",),
    ],
    ids=lambda patterns: " ".join(patterns) or "none",
)
def test_exclusion_leaves_the_files_that_restic_leaves(
    restic: PlainRestic, tree: Path, patterns: tuple[str, ...]
) -> None:
    exclude = tuple(pattern.replace("{root}", str(tree)) for pattern in patterns)

    assert _files(tree, Exclusion(exclude)) == restic.would_save(Tree(path=tree, exclude=exclude))


def _files(root: Path, excluded: Exclusion) -> set[str]:
    above = tuple(os.fsencode(part) for part in root.parts[1:])
    descriptor = beneath.open_root(root)
    try:
        return {
            "/" + b"/".join((*above, *seen.parts)).decode(errors="replace")
            for seen in walk(descriptor, excluded=excluded, above=above, may_vanish=False)
            if seen.entry.is_file
        }
    finally:
        os.close(descriptor)


# --- the whole way ---


def _back(
    restic: PlainRestic,
    sandbox: Sandbox,
    asset: FilesAsset,
    *,
    during: Change = lambda _: None,
    damage: Change = lambda _: None,
) -> tuple[FilesBaseline, tuple[Verification, ...]]:
    driver = FilesDriver(SystemClock())
    with driver.capture(capture_request(asset)) as capture:
        content = capture.content
        assert isinstance(content, Tree)
        capture.measure()
        files = restic.backup(content)
        during(asset.path)
        captured = capture.finish()
    assert content.expected_files is not None
    assert files >= content.expected_files
    target = sandbox.target.path / "asset"
    restic.restore(target)
    sandbox.adopt(target)
    restored = target / content.path.relative_to("/")
    damage(restored)
    with driver.restoration(restore_request(state_of(captured, content.path), sandbox)) as back:
        back.prepare()
        back.load(restored)
        verifications = back.compare()
    assert isinstance(captured.baseline, FilesBaseline)
    return captured.baseline, verifications


@pytest.mark.parametrize("level", [Level.FULL, Level.SAMPLED])
def test_folder_comes_back_from_restic_and_is_proven(
    restic: PlainRestic, sandbox: Sandbox, tree: Path, level: Level
) -> None:
    asset = files_asset(tree, level=level, exclude=("cache", "*.tmp"))

    baseline, verifications = _back(restic, sandbox, asset)

    assert overall(verifications) is Result.PASSED
    assert (baseline.files, baseline.level) == (10, Level.FULL)
    assert "Roe" not in repr((baseline, verifications))


def test_folder_in_use_raises_no_alarm(restic: PlainRestic, sandbox: Sandbox, tree: Path) -> None:
    def work(root: Path) -> None:
        (root / "a" / "keep.pdf").write_text("edited")
        (root / "new.pdf").write_text("scanned")
        (root / "top.pdf").unlink()
        shutil.rmtree(root / "c")

    _, verifications = _back(restic, sandbox, files_asset(tree), during=work)

    assert overall(verifications) is Result.PASSED


def _truncate(root: Path) -> None:
    os.truncate(root / "a" / "keep.pdf", 1)


@pytest.mark.parametrize(
    ("damage", "failed"),
    [
        (_truncate, (True, True)),
        (lambda root: (root / ".hidden").unlink(), (True, True)),
        (lambda root: (root / "empty").unlink(), (True, True)),
        (lambda root: (root / "broken").unlink(), (True, False)),
        (lambda root: (root / "a" / "keep.pdf").write_text("A/keep.pdf"), (False, True)),
        (lambda root: (root / "a" / "more.pdf").touch(), (True, False)),
    ],
    ids=["truncated", "vanished", "empty one vanished", "link vanished", "swapped", "extra"],
)
def test_damage_in_the_restored_folder_is_found(
    restic: PlainRestic,
    sandbox: Sandbox,
    tree: Path,
    damage: Change,
    failed: tuple[bool, bool],
) -> None:
    _, verifications = _back(restic, sandbox, files_asset(tree), damage=damage)

    assert tuple(each.result is Result.FAILED for each in verifications) == failed


@pytest.mark.skipif(not is_root(), reason="only root restores a device")
def test_device_in_the_folder_is_said_and_does_not_come_into_the_sandbox(
    restic: PlainRestic, sandbox: Sandbox, tree: Path
) -> None:
    os.mknod(tree / "disk", 0o600 | 0o060000, Path("/").stat().st_dev)

    _, verifications = _back(restic, sandbox, files_asset(tree))

    assert overall(verifications) is Result.PASSED


def test_15000_files_are_looked_at_in_a_moment(tmp_path: Path) -> None:
    for number in range(150):
        folder = tmp_path / "many" / f"{number:03}"
        folder.mkdir(parents=True)
        for file in range(100):
            (folder / f"{file}.pdf").write_bytes(b"%d" % file)
    begun = time.process_time()

    with FilesDriver(SystemClock()).capture(
        capture_request(files_asset(tmp_path / "many"))
    ) as capture:
        capture.measure()
        baseline = capture.finish().baseline

    assert isinstance(baseline, FilesBaseline)
    assert (baseline.files, len(baseline.samples), baseline.unsettled) == (15_000, 512, ())
    assert len(repr(baseline)) < 100_000, "it goes into every manifest"
    # Our own processor time, or a busy machine would fail the test; generous on purpose.
    assert time.process_time() - begun < 5
