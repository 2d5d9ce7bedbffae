"""Running the practice's own dump program, and looking at what it wrote."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from dr_orchestrator import beneath
from dr_orchestrator.assets.base import Captured, CaptureRequest, Stream, Tree
from dr_orchestrator.assets.command_answer import (
    LONGEST_ANSWER,
    argv_of,
    ask,
    both_answers,
    filled,
)
from dr_orchestrator.assets.command_dump import Dump, ends_with, look_at, sha256_of_dump
from dr_orchestrator.assets.files_capture import cause
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.files_look import walk
from dr_orchestrator.assets.files_newest import NewestFile
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Level, Value
from dr_orchestrator.core.point import AssetKind
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import count_words, duration_words, size_words
from dr_orchestrator.errors import CaptureFailed, DroError, ProgramFailed, ProgramTimedOut
from dr_orchestrator.plan.model import CommandAsset
from dr_orchestrator.process import Child, Command, Launcher, exit_words, known_cause

SIDECAR = "restore.json"
"""The plan's restore program, for a person who has nothing but the repository."""
ALGORITHM = "sha256 of the dump/1"
_LONGEST_QUESTION = timedelta(minutes=10)


class CommandCapture:
    """A dump that is being made. Keeps the promises of `Capture`."""

    def __init__(
        self,
        request: CaptureRequest,
        asset: CommandAsset,
        launcher: Launcher,
        clock: Clock,
        secrets: Mapping[str, Secret],
    ) -> None:
        self._request = request
        self._asset = asset
        self._launcher = launcher
        self._clock = clock
        self._secrets = secrets
        self._instant = clock.now()
        self._folder = request.staging / "dump"
        self._tree: Dump | None = None
        self._newest: NewestFile | None = None
        self._watched = hashlib.sha256()
        self._sha256: str | None = None
        self._before: dict[str, Value] = {}
        self._answers: dict[str, Value] = {}
        self._conditions: list[str] = []
        self._seconds = 0.0

    @property
    def instant(self) -> datetime:
        return self._instant

    @property
    def content(self) -> Tree | Stream:
        if self._tree is not None:
            return Tree(path=self._folder, expected_files=self._tree.files)
        return Stream(
            name=f"{self._request.asset_id}.dump",
            start=self._start,
            check=self._check_stream,
            watch=self._watched.update,
        )

    def begin(self) -> None:
        """Ask production what the plan wants to compare later; then make the dump, where it is a
        tree.

        Raises:
            CaptureFailed: the program failed, or what it wrote cannot be all.
        """
        self._ask_before()
        self._instant = self._clock.now()
        if self._asset.output == "tree":
            self._make_tree()

    def measure(self) -> None:
        """Read the tree once more, for its checksum; that of a stream is made as it flows by."""
        if self._tree is None:
            return
        self._ask_after()
        begun = self._clock.monotonic()
        try:
            self._sha256 = sha256_of_dump(self._folder)
        except OSError as error:
            self._fail(f"what it wrote cannot be read: {cause(error)}")
        self._seconds += self._clock.monotonic() - begun

    def finish(self) -> Captured:
        if self._tree is not None:
            self._require_unchanged(self._tree)
        else:
            self._ask_after()
        if self._sha256 is None:
            self._fail("it was not saved to its end")
        return Captured(
            kind=AssetKind.COMMAND,
            method=self._asset.method,
            scope="file" if self._tree is None else "tree",
            captured_at=self._instant,
            data_as_of=self._newest.data_as_of if self._newest else None,
            baseline=DatabaseBaseline(
                level=Level.FULL,
                algorithm=ALGORITHM,
                tables={},
                queries=self._answers,
                sha256=self._sha256,
                seconds=round(self._seconds, 3),
            ),
            conditions=tuple(self._all_conditions()),
            sidecars={SIDECAR: json.dumps(self._asset.restore).encode()},
        )

    # --- the dump ---

    def _command(self, argv: tuple[str, ...]) -> Command:
        return Command(
            argv=argv,
            timeout=self._asset.timeout,
            secrets=self._secrets,
            cwd=self._request.staging,
        )

    def _start(self, stdout: int) -> Child:
        return self._launcher.start(self._command(self._asset.dump), stdout=stdout)

    def _check_stream(self, first: bytes, last: bytes, size: int) -> None:
        del first
        self._require_size(size)
        pattern = self._asset.ends_with
        if pattern is not None and not ends_with(last, pattern):
            self._fail(
                "the dump does not end as a complete one does",
                hint="`ends_with` must match up to its very end, white space aside",
            )
        self._sha256 = self._watched.hexdigest()

    def _make_tree(self) -> None:
        self._folder.mkdir(mode=0o700)
        command = self._command(filled(self._asset.dump, {"folder": str(self._folder)}))
        try:
            # what it prints is of no use to us, and may be rows: it goes nowhere
            completed = self._launcher.run(command, on_line=lambda _line: None)
        except ProgramTimedOut:
            self._fail(
                f"it did not end within {duration_words(self._asset.timeout)}, and was ended",
                hint="raise the asset's `timeout`, or find out what slows it down",
            )
        except ProgramFailed as error:
            self._fail(error.message)
        if not completed.ok:
            known = known_cause(completed.stderr)
            self._fail(f"it failed ({exit_words(completed.returncode)}{known})")
        if self._folder.is_symlink() or not self._folder.is_dir():
            self._fail("its folder is gone, or something else is in that place")
        self._tree = self._look()
        if not self._tree.files:
            self._fail(
                "it wrote no file into its folder",
                hint="`{folder}` in `dump` is where; or leave out `output: tree`",
            )
        self._require_size(self._tree.size)
        self._find_newest()

    def _look(self) -> Dump:
        try:
            return look_at(self._folder)
        except OSError as error:
            self._fail(f"what it wrote cannot be read: {cause(error)}")

    def _require_size(self, size: int) -> None:
        if size < self._asset.at_least:
            self._fail(
                f"the dump has {size_words(size)}, and the plan asks for at least "
                f"{size_words(self._asset.at_least)}"
            )

    def _require_unchanged(self, tree: Dump) -> None:
        if self._look().state != tree.state:
            self._fail(
                "the dump changed after the program had ended",
                hint="does it leave something running that goes on writing?",
            )

    def _find_newest(self) -> None:
        """Find the file of somebody else's job that tells how old the data is."""
        spec = self._asset.data_time
        if spec is None:
            return
        self._newest = NewestFile(spec, self._instant)
        root = beneath.open_root(self._folder)
        try:
            for seen in walk(root, excluded=Exclusion(()), above=(), may_vanish=False):
                self._newest.offer(seen)
        finally:
            os.close(root)
        if self._newest.found is None:
            self._fail(
                self._newest.why_none,
                hint="does the other job still run, and does the copy keep its files' times?",
            )

    # --- what production answers ---

    def _ask_before(self) -> None:
        for text in self._request.queries:
            try:
                self._before[text] = self._ask(text)
            except DroError as error:
                self._no_answer(text, error)

    def _ask_after(self) -> None:
        """Ask again: what did not change meanwhile is what the dump holds."""
        for text, before in self._before.items():
            try:
                after = self._ask(text)
            except DroError as error:
                self._no_answer(text, error)
                continue
            self._answers |= both_answers(text, before, after)
            if before != after:
                self._conditions.append(
                    f"what {_name(text)} answers changed while the dump was made: a restore may "
                    "answer anything in between"
                )

    def _ask(self, text: str) -> Value:
        begun = self._clock.monotonic()
        command = Command(
            argv=argv_of(text),
            timeout=min(self._asset.timeout, _LONGEST_QUESTION),
            secrets=self._secrets,
            cwd=self._request.staging,
            output_limit=LONGEST_ANSWER,
        )
        try:
            return ask(self._launcher, command, UTC)
        finally:
            self._seconds += self._clock.monotonic() - begun

    def _no_answer(self, text: str, error: DroError) -> None:
        self._conditions.append(
            f"a check of the plan got no answer at capture from {_name(text)}: {error.message}"
        )

    # --- words ---

    def _all_conditions(self) -> Iterator[str]:
        yield from self._conditions
        if self._tree is not None and self._tree.others:
            others = count_words(self._tree.others, "link or special file", "links, special files")
            yield f"{others} in the dump: what they name is not in the backup"
        if self._newest is not None:
            yield from self._newest.conditions

    def _fail(self, reason: str, *, hint: str = "") -> NoReturn:
        program = Path(self._asset.dump[0]).name
        raise CaptureFailed(
            f"the dump of {program} was not captured: {reason}", hint=hint
        ) from None


def _name(text: str) -> str:
    return Path(argv_of(text)[0]).name
