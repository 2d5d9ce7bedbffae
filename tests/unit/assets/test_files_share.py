"""A share of a folder that came back, and the list of all of it, held against what was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.files_listed import Closely, check_listed
from dr_orchestrator.assets.files_share import FilesShare
from dr_orchestrator.core.baseline import FilesBaseline, Level
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.share import Listed, Share
from dr_orchestrator.core.verification import Result, Verification, overall
from dr_orchestrator.plan.model import DataTime, FilesAsset
from dr_orchestrator.process import SystemLauncher
from tests.support.assets import capture_request, files_asset, restore_request, state_of
from tests.support.clock import FakeClock
from tests.support.plain_place import PlainPlace

_PLACE = PlainPlace(Path("/nonexistent"), SystemLauncher(""))
_SHARE = Share(1, 3)
_NO_TEXT = b"l\xe4\xe2\x82.txt"
Change = Callable[[Path], object]


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        yield from (os.path.relpath(f"{folder}/{name}", root) for name in names)


def _as_listed(name: str) -> str:
    """Return a name as Go writes it to JSON: each byte that is no UTF-8 is U+FFFD."""
    return "".join("\ufffd" if "\udc80" <= sign <= "\udcff" else sign for sign in name)


@dataclass
class Sampled:
    """A capture of a folder, and a copy of it in the place of a repository."""

    asset: FilesAsset
    copy: Path
    restored: Path
    state: AssetState

    def choose(self, share: Share = _SHARE, *, keep_names: bool = False) -> FilesShare:
        """Choose a share from the list of the copy as it is now."""
        path, baseline = str(self.asset.path), self.state.baseline
        assert isinstance(baseline, FilesBaseline)
        chosen = FilesShare(share, path, baseline, keep_names=keep_names)
        chosen.take(Listed("/elsewhere/x", is_link=False, size=1))
        for name in _files(self.copy):
            status = (self.copy / name).lstat()
            is_link = (self.copy / name).is_symlink()
            size = 0 if is_link else status.st_size
            chosen.take(Listed(f"{path}/{_as_listed(name)}", is_link, size))
        chosen.finish()
        return chosen

    def restore(self, chosen: FilesShare) -> None:
        self.restored.mkdir()
        wanted = {each.removeprefix(f"{self.asset.path}/") for each in chosen.paths}
        for name in _files(self.copy):
            if _as_listed(name) in wanted:
                place = self.restored / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.copy / name, place, follow_symlinks=False)

    def compare(self, chosen: FilesShare) -> tuple[Verification, ...]:
        request = replace(restore_request(self.state, _PLACE), share=chosen)
        with FilesDriver(FakeClock()).restoration(request) as back:
            back.load(self.restored)
            assert chosen.words() in back.conditions[0]
            return back.compare()

    def test(self, share: Share = _SHARE) -> tuple[Verification, ...]:
        chosen = self.choose(share)
        self.restore(chosen)
        found = self.compare(chosen)
        shutil.rmtree(self.restored)
        return found


def _capture(
    asset: FilesAsset,
    tmp_path: Path,
    early: Change = lambda _: None,
    late: Change = lambda _: None,
) -> Sampled:
    copy = tmp_path / "copy"
    with FilesDriver(FakeClock(), samples=512).capture(capture_request(asset)) as capture:
        early(asset.path)
        shutil.copytree(asset.path, copy, symlinks=True)
        late(asset.path)
        capture.measure()
        captured = capture.finish()
    return Sampled(asset, copy, tmp_path / "restored", state_of(captured, asset.path))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "srv" / "documents"
    for number in range(60):
        folder = root / f"{number % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number} ü.pdf").write_bytes(b"scan %03d" % number)
    (root / os.fsdecode(_NO_TEXT)).write_bytes(b"odd")
    (root / "new\nline").write_bytes(b"odder")
    (root / "latest").symlink_to("3/19.pdf")
    return root


@pytest.fixture
def sampled(tmp_path: Path, tree: Path) -> Sampled:
    return _capture(files_asset(tree), tmp_path)


def _inside(sampled: Sampled, share: Share = _SHARE) -> str:
    return next(name for name in sorted(_files(sampled.copy)) if _is_in(name, share))


def _outside(sampled: Sampled) -> str:
    return next(name for name in sorted(_files(sampled.copy)) if not _is_in(name, _SHARE))


def _is_in(name: str, share: Share) -> bool:
    return name != "latest" and share.holds(os.fsencode(name))


def test_shares_bring_back_each_file_once_but_for_links_and_what_is_no_text(
    sampled: Sampled,
) -> None:
    shares = [sampled.choose(Share(part, 3)) for part in (1, 2, 3)]
    paths = [path for share in shares for path in share.paths]
    always = {
        f"{sampled.asset.path}/{name}" for name in ("latest", _as_listed("l\udce4\udce2\udc82.txt"))
    }
    assert sorted(path for path in paths if path not in always) == sorted(set(paths) - always)
    assert len(set(paths)) == 63
    assert all(always <= set(share.paths) for share in shares)
    assert {(share.listed, share.files) for share in shares} == {(63, 62)}


def test_compare_passes_for_each_share_and_says_what_was_here(sampled: Sampled) -> None:
    for part in (1, 2, 3):
        share = sampled.choose(Share(part, 3))
        listing, content = sampled.test(Share(part, 3))
        assert (listing.result, listing.actual) == (Result.PASSED, "63 of 63 equal")
        assert f"({share.chosen_files} of 62 restored, the others as the repo" in listing.title
        assert content.result is Result.PASSED
        assert content.actual == f"{share.chosen_files} of {share.chosen_files} hashed and equal"


@pytest.mark.parametrize("level", [Level.COUNTS, Level.FULL])
def test_compare_passes_for_a_share_at_every_level(
    tmp_path: Path, tree: Path, level: Level
) -> None:
    sampled = _capture(files_asset(tree, level=level), tmp_path)
    found = sampled.test()
    assert overall(found) is Result.PASSED
    assert len(found) == (1 if level is Level.COUNTS else 2)


def test_compare_finds_another_content_in_the_share(sampled: Sampled) -> None:
    (sampled.copy / _inside(sampled)).write_bytes(b"scAn 000")
    _, content = sampled.test()
    assert content.result is Result.FAILED
    assert content.reason.startswith("1 of ")


def test_compare_claims_no_content_outside_of_the_share(sampled: Sampled) -> None:
    (sampled.copy / _outside(sampled)).write_bytes(b"scAn 000")
    found = sampled.test()
    assert overall(found) is Result.PASSED
    assert all("restored" in each.title for each in found)


@pytest.mark.parametrize("where", [_inside, _outside])
@pytest.mark.parametrize("content", [b"longer than it was", None])
def test_compare_finds_a_file_that_is_missing_or_of_another_size_wherever_it_is(
    sampled: Sampled, where: Callable[[Sampled], str], content: bytes | None
) -> None:
    damaged = sampled.copy / where(sampled)
    damaged.write_bytes(content) if content else damaged.unlink()
    listing, *_ = sampled.test()
    assert listing.result is Result.FAILED
    assert listing.reason == "1 of 63 files is missing or has another size"


def test_compare_finds_a_file_of_the_share_that_did_not_come_back(sampled: Sampled) -> None:
    chosen = sampled.choose()
    sampled.restore(chosen)
    (sampled.restored / _inside(sampled)).unlink()
    assert overall(sampled.compare(chosen)) is Result.FAILED


@pytest.mark.parametrize("where", ["1/new.pdf", "1/new as well.pdf", "1/new three.pdf"])
def test_compare_finds_a_file_that_was_not_there_at_capture(sampled: Sampled, where: str) -> None:
    (sampled.copy / where).write_bytes(b"x")
    listing, *_ = sampled.test()
    assert listing.reason == "1 file came back that was not there at capture"


def test_compare_passes_when_files_came_and_went_while_they_were_saved(
    tmp_path: Path, tree: Path
) -> None:
    def come(root: Path) -> None:
        for number in range(9):
            (root / "1" / f"{number}.tmp").write_bytes(b"x")

    def go(root: Path) -> None:
        for number in range(9):
            (root / "1" / f"{number}.tmp").unlink()

    sampled = _capture(files_asset(tree), tmp_path, come, go)
    for part in (1, 2, 3):
        assert overall(sampled.test(Share(part, 3))) is Result.PASSED


def test_compare_passes_when_more_came_back_than_was_asked_for(sampled: Sampled) -> None:
    """As where a name that is no text looks, in a pattern, like one that is."""
    chosen = sampled.choose()
    sampled.restore(chosen)
    beside = _outside(sampled)
    (sampled.restored / beside).parent.mkdir(exist_ok=True)
    (sampled.restored / beside).write_bytes(b"never looked at")
    assert overall(sampled.compare(chosen)) is Result.PASSED


def test_something_comes_back_when_the_share_has_no_file(tmp_path: Path) -> None:
    root = tmp_path / "srv" / "few"
    root.mkdir(parents=True)
    (root / "large").write_bytes(b"large")
    (root / "small").write_bytes(b"s")
    sampled = _capture(files_asset(root), tmp_path)
    empty = next(share for part in range(1, 9) if not _holds_any(share := Share(part, 8)))

    assert sampled.choose(empty).paths == (f"{root}/small",)
    assert overall(sampled.test(empty)) is Result.PASSED


def _holds_any(share: Share) -> bool:
    return share.holds(b"large") or share.holds(b"small")


def test_the_file_that_tells_the_age_of_a_dump_comes_back_each_time(tmp_path: Path) -> None:
    root = tmp_path / "srv" / "dumps"
    root.mkdir(parents=True)
    for number in range(30):
        (root / f"EMR_{number}.bak").write_bytes(b"x")
        os.utime(root / f"EMR_{number}.bak", (number, number))
    spec = DataTime.model_validate({"newest": "EMR_*.bak", "max_age": "1d", "settled": "1s"})
    sampled = _capture(files_asset(root, data_time=spec, made_by="the vendor"), tmp_path)
    for part in range(1, 5):
        assert f"{root}/EMR_29.bak" in sampled.choose(Share(part, 4)).paths
        assert overall(sampled.test(Share(part, 4))) is Result.PASSED


def test_folders_that_are_wanted_whole_come_back_each_time(sampled: Sampled) -> None:
    baseline = sampled.state.baseline
    assert isinstance(baseline, FilesBaseline)
    chosen = FilesShare(Share(1, 256), "/srv", baseline, whole_folders=("a/keys", "keys/"))
    for name in ("a/keys/six", "a/keys/deep/x", "keys/y", "keys2/no", "a/no"):
        chosen.take(Listed(f"/srv/{name}", is_link=False, size=1))
    chosen.finish()
    assert chosen.paths == ("/srv/a/keys/deep/x", "/srv/a/keys/six", "/srv/keys/y")


# --- what rows of a database name ---


def test_check_listed_looks_in_the_list_for_what_did_not_come_back(sampled: Sampled) -> None:
    chosen = sampled.choose(keep_names=True)
    sampled.restore(chosen)
    names = [name for name in _files(sampled.copy) if name.endswith(".pdf")]
    here = sum(_is_in(name, _SHARE) for name in names)
    rows = [(name, None, 8) for name in names]

    found = check_listed(
        [*rows, ("gone.pdf",)], {}, sampled.restored, Closely(columns=4), share=chosen
    )

    assert (found.listed, found.missing, found.resized) == (61, 1, 0)
    assert found.unrestored == 60 - here
    words = f"60 of 61 there ({60 - here} as the repository lists them), 0 hashed"
    assert found.verification("documents", "documents").actual == words


def test_check_listed_finds_another_size_in_the_list(sampled: Sampled) -> None:
    chosen = sampled.choose(keep_names=True)
    sampled.restore(chosen)
    rows = [(_outside(sampled), None, 999)]
    found = check_listed(rows, {}, sampled.restored, Closely(columns=4), share=chosen)
    assert (found.resized, found.result) == (1, Result.FAILED)


def test_check_listed_ignores_case_in_the_list_where_rows_do(sampled: Sampled) -> None:
    chosen = sampled.choose(keep_names=True)
    sampled.restore(chosen)
    rows = [(_outside(sampled).upper(),)]
    strictly = check_listed(rows, {}, sampled.restored, share=chosen)
    loosely = check_listed(
        rows, {}, sampled.restored, Closely(columns=4, ignore_case=True), share=chosen
    )
    assert (strictly.missing, loosely.missing, loosely.unrestored) == (1, 0, 1)


def test_share_knows_folders_of_which_nothing_came_back(sampled: Sampled) -> None:
    chosen = sampled.choose(keep_names=True)
    outside = {Path(name).parts[0] for name in _files(sampled.copy) if not _is_in(name, _SHARE)}
    folders = [name for name in sorted(outside) if (sampled.copy / name).is_dir()]
    assert folders
    assert all(chosen.holds_folder((os.fsencode(name),)) for name in folders)
    assert not chosen.holds_folder((b"1 ",))
