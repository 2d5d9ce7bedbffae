"""What every asset driver promises (assets/base.py), asked of whichever driver there is.

`tests/contracts` asks it of the drivers that need no server, `tests/integration` of the others. A
new driver is one more `Subject`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import AssetDriver, Captured, CaptureRequest, Stream, Tree
from dr_orchestrator.core.manifest_codec import decode_manifest, encode_manifest
from dr_orchestrator.core.point import AssetState, Manifest, Recoverable
from dr_orchestrator.errors import CaptureFailed

_AT = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(frozen=True)
class Subject:
    """A driver, something it can capture, and something that is not there."""

    driver: AssetDriver
    request: Callable[[], CaptureRequest]
    request_for_nothing: Callable[[], CaptureRequest]


def _drain(content: Tree | Stream) -> None:
    """Take the content, as a repository does."""
    if isinstance(content, Tree):
        assert content.path.is_absolute()
        assert content.path.exists()
        return
    read_end, write_end = os.pipe()
    child = content.start(write_end)
    os.close(write_end)
    with open(read_end, "rb") as source:  # noqa: PTH123 - a descriptor
        data = source.read()
    assert child.wait() == 0
    content.watch(data)
    content.check(data[:4096], data[-4096:], len(data))


def captured_by(subject: Subject) -> Captured:
    """Capture as a backup does, and return what was captured."""
    with subject.driver.capture(subject.request()) as capture:
        _drain(capture.content)
        capture.measure()
        return capture.finish()


def _manifest(captured: Captured) -> Manifest:
    state = AssetState(
        kind=captured.kind,
        method=captured.method,
        scope=captured.scope,
        snapshot="0" * 64,
        path="/somewhere",
        bytes=1,
        captured_at=captured.captured_at,
        tools=captured.tools,
        server=captured.server,
        baseline=captured.baseline,
        conditions=captured.conditions,
        sidecars=tuple(captured.sidecars),
    )
    return Manifest(
        point="p",
        practice="riverside",
        practice_name="Riverside",
        system="emr",
        run="p",
        as_of=captured.captured_at,
        finished=captured.captured_at,
        skew_seconds=0,
        repository="0" * 64,
        assets={"asset": state},
        recoverable=Recoverable(start=captured.captured_at, end=captured.captured_at),
        plan_sha256="0" * 64,
        made_by="a test",
    )


class AssetDriverContract:
    """The promises. A test class inherits it and offers the fixture `subject`."""

    def test_captured_is_what_the_plan_asked_for(self, subject: Subject) -> None:
        asset = subject.request().asset
        captured = captured_by(subject)
        assert (captured.kind, captured.method) == (asset.kind, asset.method)

    def test_instant_lies_within_the_capture_and_is_what_was_captured(
        self, subject: Subject
    ) -> None:
        before = datetime.now(UTC)
        with subject.driver.capture(subject.request()) as capture:
            entered = datetime.now(UTC)
            _drain(capture.content)
            capture.measure()
            captured = capture.finish()
            assert before <= capture.instant <= entered
            assert captured.captured_at == capture.instant

    def test_every_capture_has_a_baseline_that_survives_the_manifest(
        self, subject: Subject
    ) -> None:
        captured = captured_by(subject)
        assert captured.baseline is not None
        manifest = _manifest(captured)
        assert decode_manifest(encode_manifest(manifest)) == manifest

    def test_two_captures_of_the_same_data_have_the_same_baseline(self, subject: Subject) -> None:
        first, second = (captured_by(subject) for _ in range(2))
        for captured in (first, second):
            assert captured.baseline is not None
        assert _fingerprint(first) == _fingerprint(second)

    def test_sidecars_are_flat_names(self, subject: Subject) -> None:
        for name in captured_by(subject).sidecars:
            assert "/" not in name
            assert name not in {"", ".", ".."}

    def test_what_is_not_there_is_a_failed_capture_and_no_empty_success(
        self, subject: Subject
    ) -> None:
        capture = subject.driver.capture(subject.request_for_nothing())
        with pytest.raises(CaptureFailed):
            capture.__enter__()

    def test_probe_of_what_can_be_captured_finds_nothing_wrong_and_stages_nothing(
        self, subject: Subject
    ) -> None:
        request = subject.request()
        staged_before = list(request.staging.rglob("*"))
        probed = subject.driver.probe(request)
        assert probed.unloadable is None
        assert list(request.staging.rglob("*")) == staged_before
        assert not request.mirror.exists()

    def test_probe_of_what_is_not_there_says_what_a_capture_would(self, subject: Subject) -> None:
        with pytest.raises(CaptureFailed) as probed:
            subject.driver.probe(subject.request_for_nothing())
        with pytest.raises(CaptureFailed) as captured:
            subject.driver.capture(subject.request_for_nothing()).__enter__()
        assert str(probed.value) == str(captured.value)

    def test_a_capture_that_is_given_up_leaves_nothing_running_and_no_descriptor(
        self, subject: Subject
    ) -> None:
        captured_by(subject)  # whatever is kept for good is there after the first
        open_before = len(list(Path("/proc/self/fd").iterdir()))
        with contextlib.suppress(ZeroDivisionError), subject.driver.capture(subject.request()):
            raise ZeroDivisionError
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def _fingerprint(captured: Captured) -> str:
    """Return what a baseline says, without what differs from one measurement to the next."""
    content = encode_manifest(_manifest(captured)).decode().splitlines()
    own = ("seconds", "captured_at", "as_of", "finished", "start", "end", "sha256", "samples")
    kept = [line for line in content if not any(f'"{word}' in line for word in own)]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()
