"""Somebody else's dump: which file counts, what is said of the others, and that it comes back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.assets.base import Captured
from dr_orchestrator.assets.files import FilesDriver
from dr_orchestrator.assets.files_capture import FilesCapture
from dr_orchestrator.core.baseline import FilesBaseline, Level
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.errors import CaptureFailed
from dr_orchestrator.plan.model import DataTime
from dr_orchestrator.process import SystemLauncher
from tests.support.assets import (
    capture_request,
    copy_as_restic_would,
    files_asset,
    restore_request,
    state_of,
)
from tests.support.clock import START as NOW
from tests.support.clock import FakeClock
from tests.support.plain_place import PlainPlace

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_PLACE = PlainPlace(Path("/nonexistent"), SystemLauncher(""))
_DUMP_CHECK = "the newest file of the job that writes them came back as it was"

Change = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "srv" / "dumps"
    root.mkdir(parents=True)
    return root


def _write(root: Path, name: str, age: timedelta, size: int = 100) -> Path:
    """Write a dump of this age and size, whose content is of its name."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((os.fsencode(name) * size)[:size])
    written = (NOW - age).timestamp()
    os.utime(path, (written, written))
    return path


def _spec(newest: str = "EMR_*.bak", **more: Any) -> DataTime:
    return DataTime.model_validate({"newest": newest, "max_age": "26h", **more})


def _captured(
    root: Path,
    spec: DataTime,
    *,
    late: Change = lambda _root: None,
    driver: FilesDriver | None = None,
    **asset: Any,
) -> Captured:
    request = capture_request(files_asset(root, data_time=spec, **asset))
    with (driver or FilesDriver(FakeClock())).capture(request) as capture:
        capture.measure()
        late(root)
        return capture.finish()


def _refused(root: Path, spec: DataTime, **more: Any) -> str:
    with pytest.raises(CaptureFailed) as caught:
        _captured(root, spec, **more)
    return str(caught.value)


def _compared(root: Path, captured: Captured, damage: Change) -> tuple[Verification, ...]:
    restored = root.parents[1] / "restored"
    shutil.rmtree(restored, ignore_errors=True)
    with FilesDriver(FakeClock()).capture(capture_request(files_asset(root))) as capture:
        content = capture.content
        assert not hasattr(content, "start")
        copy = copy_as_restic_would(content, restored) / root.relative_to("/")
    damage(copy)
    request = restore_request(state_of(captured, root), _PLACE)
    with FilesDriver(FakeClock()).restoration(request) as back:
        back.prepare()
        back.load(copy)
        return back.compare()


# --- which file counts ---


def test_newest_file_tells_how_old_the_data_is(folder: Path) -> None:
    _write(folder, "EMR_1.bak", 3 * DAY)
    _write(folder, "EMR_2.bak", 9 * HOUR)
    _write(folder, "job.log", HOUR)

    captured = _captured(folder, _spec())

    assert captured.data_as_of == NOW - 9 * HOUR
    assert captured.captured_at == NOW
    assert captured.conditions == ()


def test_folder_without_a_word_on_the_data_tells_no_age(folder: Path) -> None:
    _write(folder, "EMR_1.bak", HOUR)
    with FilesDriver(FakeClock()).capture(capture_request(files_asset(folder))) as capture:
        capture.measure()
        captured = capture.finish()

    assert captured.data_as_of is None
    assert isinstance(captured.baseline, FilesBaseline)
    assert captured.baseline.dump is None


@pytest.mark.parametrize(
    ("age", "size", "why"),
    [
        (5 * MINUTE, 100, "may still be being written, since it was changed less than 10 min ago"),
        (HOUR, 99, "is smaller than 100 B"),
        (-MINUTE, 100, "is dated in the future (is a clock wrong?)"),
        (-3650 * DAY, 100, "is dated in the future (is a clock wrong?)"),
    ],
    ids=["being written", "too small", "a clock ahead", "a broken clock"],
)
def test_newer_file_that_is_not_whole_is_passed_over_and_said(
    folder: Path, age: timedelta, size: int, why: str
) -> None:
    spec = _spec(at_least="100 B")
    _write(folder, "EMR_2.bak", age, size)

    alone = _refused(folder, spec, made_by="the vendor's nightly job")
    assert f"no file in it matches `EMR_*.bak` and counts: the newest {why}" in alone
    assert "hint: ask the vendor's nightly job" in alone
    _write(folder, "EMR_1.bak", DAY)
    captured = _captured(folder, spec)

    assert captured.data_as_of == NOW - DAY
    assert captured.conditions == (
        f"a newer file that matches `EMR_*.bak` {why}: the one before it counts",
    )
    assert "EMR_2" not in alone + repr(captured)


def test_older_file_that_is_not_whole_is_not_worth_a_word(folder: Path) -> None:
    _write(folder, "EMR_1.bak", 2 * DAY, 5)
    _write(folder, "EMR_2.bak", DAY)

    assert _captured(folder, _spec(at_least="100 B")).conditions == ()


def test_folder_without_any_dump_is_no_capture(folder: Path) -> None:
    """A backup of it that counted would say that the record is safe."""
    _write(folder, "other.bak", HOUR)
    (folder / "EMR_link.bak").symlink_to("other.bak")
    (folder / "EMR_folder.bak").mkdir()
    _write(folder, "EMR_left_out.bak", HOUR)

    refused = _refused(folder, _spec(), exclude=("EMR_left*",))

    assert "no file in it matches `EMR_*.bak`\nhint: ask whoever writes them" in refused


@pytest.mark.parametrize(
    ("pattern", "counts"),
    [
        ("*.bak", {"one.bak"}),
        ("**/*.bak", {"one.bak", "mon/two.bak", "mon/old/three.bak"}),
        ("mon/*", {"mon/two.bak"}),
        ("*/two.bak", {"mon/two.bak"}),
        ("mon/**/three.bak", {"mon/old/three.bak"}),
        ("?ne.bak", {"one.bak"}),
        ("ONE.bak", set()),
        ("ne.bak", set()),
        ("one.ba", set()),
        ("one.b.k", set()),
    ],
)
def test_pattern_is_of_whole_paths(folder: Path, pattern: str, counts: set[str]) -> None:
    names = ("one.bak", "mon/two.bak", "mon/old/three.bak")
    found = set()
    for name in names:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        _write(folder, name, HOUR)
        try:
            _captured(folder, _spec(pattern))
        except CaptureFailed:
            continue
        found.add(name)

    assert found == counts


def test_name_that_is_no_text_and_time_that_no_calendar_has_do_no_harm(folder: Path) -> None:
    _write(folder, os.fsdecode(b"EMR_\xff\n.bak"), DAY)
    _write(folder, "EMR_old.bak", 2 * DAY)
    os.utime(folder / "EMR_old.bak", (-5e9, -5e9))

    assert _captured(folder, _spec()).data_as_of == NOW - DAY
    (folder / os.fsdecode(b"EMR_\xff\n.bak")).unlink()
    assert _captured(folder, _spec()).data_as_of == datetime(1970, 1, 1, tzinfo=UTC)


def test_age_is_measured_from_when_the_content_was_read_where_it_was_copied_before(
    folder: Path,
) -> None:
    """A file that was half written when it was copied here is not whole half an hour later."""
    _write(folder, "EMR_1.bak", DAY)
    _write(folder, "EMR_2.bak", 31 * MINUTE)
    request = capture_request(files_asset(folder, data_time=_spec()))

    capture = FilesCapture(
        FakeClock(), request, samples=5, sample_bytes=1, read_at=NOW - 30 * MINUTE
    )
    capture.look_first()
    capture.measure()
    captured = capture.finish()

    assert (captured.captured_at, captured.data_as_of) == (NOW - 30 * MINUTE, NOW - DAY)


# --- that it is whole ---


@pytest.mark.parametrize(
    "late",
    [
        lambda root: (root / "EMR_1.bak").write_bytes(b"half"),
        lambda root: (root / "EMR_1.bak").unlink(),
        lambda root: _write(root, "EMR_1.bak", DAY),
    ],
    ids=["written anew", "removed", "replaced by an equal one"],
)
def test_dump_that_changes_while_it_is_saved_is_no_capture(folder: Path, late: Change) -> None:
    _write(folder, "EMR_0.bak", 2 * DAY)
    _write(folder, "EMR_1.bak", DAY)

    assert "changed while it was saved" in _refused(folder, _spec(), late=late)


def test_other_file_may_change_while_the_dump_is_saved(folder: Path) -> None:
    _write(folder, "EMR_0.bak", 2 * DAY)
    _write(folder, "EMR_1.bak", DAY)

    captured = _captured(folder, _spec(), late=lambda root: _write(root, "EMR_2.bak", MINUTE))

    assert captured.data_as_of == NOW - DAY


class _Ticking(FakeClock):
    """Lets time pass at every look, once it is told to."""

    step = timedelta()

    def monotonic(self) -> float:
        self.advance(self.step)
        return super().monotonic()


def test_dump_that_cannot_be_read_in_time_is_no_capture(folder: Path) -> None:
    _write(folder, "EMR_1.bak", DAY)
    clock = _Ticking()
    request = capture_request(files_asset(folder, data_time=_spec()))
    with FilesDriver(clock).capture(request) as capture:
        clock.step = 7 * HOUR
        with pytest.raises(CaptureFailed, match="longer than the plan's timeout"):
            capture.measure()


@pytest.mark.parametrize("level", [Level.FULL, Level.SAMPLED, Level.COUNTS])
def test_dump_is_hashed_whatever_its_size_and_the_level(folder: Path, level: Level) -> None:
    _write(folder, "EMR_1.bak", DAY, 5000)
    for number in range(20):
        _write(folder, f"{number}.log", DAY, 10)
    driver = FilesDriver(FakeClock(), samples=3, sample_bytes=20)

    captured = _captured(folder, _spec(), level=level, driver=driver)

    assert isinstance(captured.baseline, FilesBaseline)
    assert captured.baseline.level is level
    assert captured.baseline.dump is not None
    assert captured.baseline.dump.bytes == 5000
    first, *others = _compared(folder, captured, lambda _copy: None)
    assert (first.title, first.result, first.proves) == (_DUMP_CHECK, Result.PASSED, Depth.L2)
    assert first.actual == "4.9 KiB, hashed and equal"
    assert {each.result for each in others} == {Result.PASSED}


def test_dump_does_not_use_up_the_sample_of_the_other_files(folder: Path) -> None:
    _write(folder, "EMR_1.bak", DAY, 5000)
    for number in range(3):
        _write(folder, f"{number}.log", DAY, 10)

    for key in range(8):  # each reads the files in another order
        request = capture_request(files_asset(folder, data_time=_spec()), key=bytes([key]) * 32)
        with FilesDriver(FakeClock(), sample_bytes=40).capture(request) as capture:
            capture.measure()
            baseline = capture.finish().baseline

        assert isinstance(baseline, FilesBaseline)
        assert (baseline.level, len(baseline.samples)) == (Level.FULL, 4)


def _swap(copy: Path) -> None:
    path = copy / "EMR_1.bak"
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "actual"),
    [
        (lambda copy: os.truncate(copy / "EMR_1.bak", 50), "another content"),
        (_swap, "another content"),
        (lambda copy: (copy / "EMR_1.bak").unlink(), "missing"),
        (lambda copy: (copy / "EMR_1.bak").rename(copy / "EMR_2.bak"), "missing"),
    ],
    ids=["truncated", "swapped", "missing", "renamed"],
)
@pytest.mark.parametrize("level", [Level.COUNTS, Level.NONE])
def test_dump_that_did_not_come_back_as_it_was_fails(
    folder: Path, damage: Change, actual: str, level: Level
) -> None:
    _write(folder, "EMR_0.bak", 2 * DAY)
    _write(folder, "EMR_1.bak", DAY)
    captured = _captured(folder, _spec(), level=Level.COUNTS)
    assert isinstance(captured.baseline, FilesBaseline)
    captured = replace(captured, baseline=replace(captured.baseline, level=level))

    first = _compared(folder, captured, damage)[0]

    assert (first.title, first.result, first.actual) == (_DUMP_CHECK, Result.FAILED, actual)
    assert first.reason
