"""Capturing and comparing folders, with a copy in the place of restic."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Capture, Captured, Tree
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.core.baseline import FilesBaseline, Level
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.verification import Depth, Result, Verification, overall
from dr_orchestrator.errors import CaptureFailed, CouldNotVerify, LoadFailed
from dr_orchestrator.plan.model import FilesAsset
from dr_orchestrator.process import SystemLauncher
from tests.support.assets import (
    capture_request,
    copy_as_restic_would,
    files_asset,
    restore_request,
    state_of,
)
from tests.support.clock import FakeClock
from tests.support.plain_place import PlainPlace

_PLACE = PlainPlace(Path("/nonexistent"), SystemLauncher(""))
"""Files need no place: nothing runs."""

Change = Callable[[Path], object]


def nothing(root: Path) -> None:
    """Change nothing."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "srv" / "documents"
    for number in range(20):
        folder = root / f"{number % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.pdf").write_bytes(b"scan %03d" % number)
    (root / os.fsdecode(b"na\xefve\nname")).write_bytes(b"odd")
    (root / "latest").symlink_to("3/19.pdf")
    return root


class Round:
    """One capture with a copy made meanwhile, and the comparison of that copy."""

    def __init__(
        self, tmp_path: Path, asset: FilesAsset, driver: FilesDriver | None = None
    ) -> None:
        self.driver = driver or FilesDriver(FakeClock())
        self.asset = asset
        self.restored = tmp_path / "restored"
        self.state: AssetState | None = None

    def capture(self, *, early: Change = nothing, late: Change = nothing) -> FilesBaseline:
        """Capture; `early` changes the tree before it is copied, `late` afterwards."""
        with self.driver.capture(capture_request(self.asset)) as capture:
            early(self.asset.path)
            assert isinstance(capture.content, Tree)
            copy_as_restic_would(capture.content, self.restored)
            capture.measure()
            late(self.asset.path)
            captured: Captured = capture.finish()
        self.state = state_of(captured, self.asset.path)
        assert isinstance(captured.baseline, FilesBaseline)
        return captured.baseline

    @property
    def copy(self) -> Path:
        return self.restored / self.asset.path.relative_to("/")

    def compare(self) -> tuple[Verification, ...]:
        assert self.state is not None
        with self.driver.restoration(restore_request(self.state, _PLACE)) as back:
            back.prepare()
            back.load(self.copy)
            assert back.root == self.copy
            return back.compare()


# --- what comes back as it was ---


@pytest.mark.parametrize("level", [Level.FULL, Level.SAMPLED, Level.COUNTS])
def test_compare_passes_when_everything_came_back(tmp_path: Path, tree: Path, level: Level) -> None:
    went = Round(tmp_path, files_asset(tree, level=level))

    baseline = went.capture()
    verifications = went.compare()

    assert (baseline.files, baseline.bytes, baseline.unsettled) == (21, 20 * 8 + 3, ())
    assert overall(verifications) is Result.PASSED
    assert {each.proves for each in verifications} == {Depth.L2}
    assert verifications[0].actual == "22 of 22 equal"
    assert baseline.level is (Level.COUNTS if level is Level.COUNTS else Level.FULL)
    assert [each.actual for each in verifications[1:]] == (
        [] if level is Level.COUNTS else ["21 of 21 hashed and equal"]
    )


def test_compare_passes_when_an_empty_folder_was_empty_at_capture(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    went = Round(tmp_path, files_asset(tmp_path / "empty", require_files=0))

    went.capture()

    assert overall(went.compare()) is Result.PASSED


def test_content_is_looked_at_in_a_sample_that_is_said(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree), FilesDriver(FakeClock(), samples=5))

    baseline = went.capture()

    assert (baseline.level, len(baseline.samples)) == (Level.SAMPLED, 5)
    assert went.compare()[1].title.endswith("(a sample of 5 of 21)")


def test_sample_is_another_one_with_another_key(tree: Path) -> None:
    driver = FilesDriver(FakeClock(), samples=5)
    chosen = set()
    for number in range(8):
        request = capture_request(files_asset(tree), key=bytes([number]) * 32)
        with driver.capture(request) as capture:
            capture.measure()
            baseline = capture.finish().baseline
            assert isinstance(baseline, FilesBaseline)
            chosen.add(frozenset(baseline.samples.values()))

    assert len(chosen) > 4


def test_every_file_is_read_when_the_level_is_full(tmp_path: Path, tree: Path) -> None:
    asset = files_asset(tree, level=Level.FULL)
    went = Round(tmp_path, asset, FilesDriver(FakeClock(), samples=5))

    baseline = went.capture()

    assert (baseline.level, len(baseline.samples)) == (Level.FULL, 5)
    (went.copy / "0" / "0.pdf").write_bytes(b"scAn 000")
    assert went.compare()[1].reason == (
        "1 of 21 hashed files (21 in all) is missing or has another content"
    )


def test_level_falls_when_the_budget_is_used_up(tree: Path) -> None:
    clock = FakeClock()
    request = capture_request(files_asset(tree, budget=timedelta(seconds=-1)))
    with FilesDriver(clock).capture(request) as capture:
        clock.advance(timedelta(minutes=1))
        capture.measure()
        baseline = capture.finish().baseline

    assert isinstance(baseline, FilesBaseline)
    assert (baseline.level, baseline.samples) == (Level.COUNTS, {})


def test_sample_keeps_to_its_bytes(tree: Path) -> None:
    (tree / "large").write_bytes(b"x" * 1000)
    request = capture_request(files_asset(tree))
    with FilesDriver(FakeClock(), sample_bytes=100).capture(request) as capture:
        capture.measure()
        baseline = capture.finish().baseline

    assert isinstance(baseline, FilesBaseline)
    assert 0 < len(baseline.samples) <= 14
    assert baseline.level is Level.SAMPLED


# --- what changes while it is saved, and must not cry wolf ---


def _write(name: str, content: bytes = b"changed") -> Change:
    return lambda root: (root / name).write_bytes(content)


def _replace(name: str) -> Change:
    def change(root: Path) -> None:
        (root / "new").write_bytes(b"scan 000")
        os.utime(root / "new", ns=(0, (root / name).stat().st_mtime_ns))
        (root / "new").rename(root / name)

    return change


def _set_back(name: str) -> Change:
    """Change the content of a file and nothing else that a program can set."""

    def change(root: Path) -> None:
        status = (root / name).stat()
        (root / name).write_bytes(b"scAn 000")
        os.utime(root / name, ns=(status.st_atime_ns, status.st_mtime_ns))

    return change


def _remove(name: str) -> Change:
    return lambda root: (root / name).unlink()


def _move(root: Path) -> None:
    (root / "1").rename(root / "moved")


def _link(root: Path) -> None:
    (root / "latest").unlink()
    (root / "latest").symlink_to("3/7.pdf")


@pytest.mark.parametrize(
    "change",
    [
        _write("0/0.pdf"),
        _write("0/0.pdf", b"scAn 000"),
        _set_back("0/0.pdf"),
        _write("0/new.pdf"),
        _replace("0/0.pdf"),
        _remove("0/0.pdf"),
        _move,
        _link,
        lambda root: shutil.rmtree(root / "2"),
    ],
    ids=[
        "changed",
        "same size",
        "time set back",
        "new",
        "replaced",
        "removed",
        "moved",
        "relinked",
        "folder gone",
    ],
)
@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("level", [Level.FULL, Level.SAMPLED])
def test_compare_passes_when_files_changed_during_capture(
    tmp_path: Path, tree: Path, change: Change, when: str, level: Level
) -> None:
    driver = FilesDriver(FakeClock(), samples=10)
    went = Round(tmp_path, files_asset(tree, level=level), driver)

    baseline = went.capture(**{when: change})

    assert baseline.unsettled
    assert overall(went.compare()) is Result.PASSED


def test_compare_passes_when_a_file_came_and_went_during_capture(
    tmp_path: Path, tree: Path
) -> None:
    went = Round(tmp_path, files_asset(tree))

    went.capture(early=_write("0/~$lock.docx"), late=_remove("0/~$lock.docx"))

    listing = went.compare()[0]
    assert listing.result is Result.PASSED
    assert listing.actual == "22 of 22 equal, 1 more came and went meanwhile"


def test_compare_passes_when_files_changed_after_capture(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()

    shutil.rmtree(tree)

    assert overall(went.compare()) is Result.PASSED


def test_compare_proves_nothing_when_every_file_changed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log").touch()
    went = Round(tmp_path, files_asset(tmp_path / "logs"))

    went.capture(late=_write("log"))

    assert went.compare()[0].result is Result.UNPROVEN
    assert went.compare()[0].reason == "every file in the folder changed while it was saved"


# --- what is damaged, and must be found ---


def _truncate(root: Path) -> None:
    os.truncate(root / "0" / "0.pdf", 3)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncate, "1 of 22 files is missing or has another size"),
        (_remove("0/0.pdf"), "1 of 22 files is missing or has another size"),
        (_remove("latest"), "1 of 22 files is missing or has another size"),
        (_link, "1 of 22 files is missing or has another size"),
        (lambda root: shutil.rmtree(root / "0"), "5 of 22 files are missing or have another size"),
        (_write("0/new.pdf"), "1 file came back that was not there at capture"),
        (_move, "5 of 22 files are missing or have another size"),
    ],
    ids=["truncated", "vanished", "link gone", "relinked", "folder gone", "extra", "moved"],
)
def test_compare_fails_and_counts_when_files_are_damaged(
    tmp_path: Path, tree: Path, damage: Change, reason: str
) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()

    damage(went.copy)
    listing = went.compare()[0]

    assert (listing.result, listing.reason) == (Result.FAILED, reason)


def test_compare_fails_when_content_was_swapped_in_its_size(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()

    (went.copy / "0" / "0.pdf").write_bytes(b"scan 004")
    listing, content = went.compare()

    assert listing.result is Result.PASSED
    assert (content.result, content.reason) == (
        Result.FAILED,
        "1 of 21 hashed files (21 in all) is missing or has another content",
    )


def test_compare_fails_without_a_number_when_nearly_all_is_gone(tmp_path: Path, tree: Path) -> None:
    for number in range(400):
        (tree / f"{number}").touch()
    went = Round(tmp_path, files_asset(tree, level=Level.FULL), FilesDriver(FakeClock(), samples=5))
    went.capture()

    shutil.rmtree(went.copy)
    went.copy.mkdir()

    assert [each.result for each in went.compare()] == [Result.FAILED, Result.FAILED]
    assert went.compare()[0].actual == "too many differences to count"


def test_compare_fails_for_an_extra_file_although_others_changed_elsewhere(
    tmp_path: Path, tree: Path
) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture(late=_write("1/new.pdf"))

    (went.copy / "0" / "planted").touch()

    assert went.compare()[0].reason == "1 file came back that was not there at capture"


def test_compare_follows_no_link_and_opens_no_pipe(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()
    outside = tmp_path / "outside"
    outside.write_bytes(b"scan 000")

    (went.copy / "0" / "0.pdf").unlink()
    (went.copy / "0" / "0.pdf").symlink_to(outside)
    (went.copy / "1" / "1.pdf").unlink()
    os.mkfifo(went.copy / "1" / "1.pdf")

    assert went.compare()[0].reason == "2 of 22 files are missing or have another size"


def test_compare_proves_nothing_without_a_baseline(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree))
    baseline = went.capture()
    assert went.state is not None
    state = went.state

    went.state = replace(state, baseline=None)
    assert overall(went.compare()) is Result.UNPROVEN
    went.state = replace(state, baseline=replace(baseline, listing="t9:"))
    assert overall(went.compare()) is Result.UNPROVEN


def test_no_name_is_in_what_leaves_the_driver(tmp_path: Path, tree: Path) -> None:
    (tree / "Jane Roe.pdf").write_text("x")
    went = Round(tmp_path, files_asset(tree))
    baseline = went.capture(late=_write("Jane Roe.pdf"))
    (went.copy / "Jane Roe 2.pdf").touch()
    (went.copy / "0" / "0.pdf").unlink()

    assert "Roe" not in repr((baseline, went.state, went.compare()))


def test_load_fails_when_the_folder_did_not_come_back(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()
    shutil.rmtree(went.copy)
    with pytest.raises(LoadFailed):
        went.compare()

    went.copy.symlink_to(tree)
    with pytest.raises(LoadFailed):
        went.compare()


def test_folder_answers_no_query(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()
    assert went.state is not None
    with (
        went.driver.restoration(restore_request(went.state, _PLACE)) as back,
        pytest.raises(CouldNotVerify),
    ):
        back.rows("select 1")


def test_hand_over_moves_the_tree_and_says_where_it_is(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()
    assert went.state is not None
    place = tmp_path / "for the responder"
    place.mkdir()

    lines = went.driver.hand_over(went.state, went.copy, {}, place)

    assert (place / "documents" / "0" / "0.pdf").read_bytes() == b"scan 000"
    assert str(place / "documents") in lines[0]
    assert lines[1].endswith(f"cp -a '{place}/documents'/. {tree}/")


@pytest.mark.parametrize(
    ("path", "typed"),
    [("/x; id #", "'/x; id #'/"), ("/x\nid", "FOLDER/"), ("/x\x1b[2J", "FOLDER/")],
)
def test_hand_over_lets_no_manifest_slip_in_a_command(
    tmp_path: Path, tree: Path, path: str, typed: str
) -> None:
    went = Round(tmp_path, files_asset(tree))
    went.capture()
    assert went.state is not None
    place = tmp_path / "place"
    place.mkdir()

    lines = went.driver.hand_over(replace(went.state, path=path), went.copy, {}, place)

    assert lines[1].endswith(f" {typed}")


# --- what is no capture ---


def _failure(asset: FilesAsset, during: Change = nothing) -> str:
    with (
        pytest.raises(CaptureFailed) as caught,
        FilesDriver(FakeClock()).capture(capture_request(asset)) as capture,
    ):
        _finish(capture, during, asset.path)
    return caught.value.message


def _finish(capture: Capture, during: Change, path: Path) -> None:
    during(path)
    capture.measure()
    capture.finish()


def test_capture_fails_when_the_share_is_not_mounted(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "mountpoint").mkdir()

    assert "it holds 0 files" in _failure(files_asset(tmp_path / "mountpoint"))
    assert "no such file" in _failure(files_asset(tmp_path / "absent"))
    assert "not a directory" in _failure(files_asset(tree / "0" / "0.pdf"))
    assert "its marker .here is not there" in _failure(files_asset(tree, marker=".here"))
    assert "its marker ../0" in _failure(files_asset(tree / "1", marker="../0/0.pdf"))
    assert "requires at least 22" in _failure(files_asset(tree, require_files=22))


def test_capture_fails_when_the_share_goes_away_meanwhile(tmp_path: Path, tree: Path) -> None:
    (tree / ".here").touch()
    asset = files_asset(tree, marker=".here", require_files=0)

    def unmount(root: Path) -> None:
        shutil.move(root, tmp_path / "elsewhere")
        root.mkdir()

    assert "marker" in _failure(asset, _remove(".here"))
    (tree / ".here").touch()
    shutil.copytree(tree, tmp_path / "again")
    assert "marker" in _failure(asset, unmount)
    asset = files_asset(tmp_path / "again", require_files=0)
    shutil.rmtree(tmp_path / "elsewhere")
    assert "has none now" in _failure(asset, unmount)


def test_capture_fails_when_everything_is_excluded(tree: Path) -> None:
    assert "it holds 0 files" in _failure(files_asset(tree, exclude=("documents",)))


def test_capture_takes_the_folder_that_a_link_names(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "link").symlink_to(tree)

    with FilesDriver(FakeClock()).capture(capture_request(files_asset(tmp_path / "link"))) as held:
        assert held.content.path == tree  # type: ignore[union-attr]


def test_excluded_files_are_no_part_of_the_baseline(tmp_path: Path, tree: Path) -> None:
    went = Round(tmp_path, files_asset(tree, exclude=("/**/3", "*.tmp")))

    baseline = went.capture(early=_write("0/x.tmp"), late=_remove("0/x.tmp"))

    assert baseline.files == 16


def test_save_of_nearly_all_files_is_complete_and_of_few_is_not(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(200):
        (tmp_path / "many" / f"{number}").touch()

    with FilesDriver(FakeClock()).capture(
        capture_request(files_asset(tmp_path / "many", require_files=50))
    ) as capture:
        assert capture.content.expected_files == 180  # type: ignore[union-attr]
