"""Loading a dump with the practice's own program, in the sandbox, and asking what was loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta, tzinfo
from pathlib import Path

from dr_orchestrator.assets.base import NOT_LOADED, RestoreRequest
from dr_orchestrator.assets.command_answer import LONGEST_ANSWER, argv_of, ask, filled
from dr_orchestrator.assets.command_dump import Dump, ends_with, look_at, sha256_of_dump
from dr_orchestrator.assets.files_capture import cause
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.baseline import DatabaseBaseline, Value
from dr_orchestrator.core.point import Method
from dr_orchestrator.core.verification import NO_BASELINE, Depth, Result, Verification
from dr_orchestrator.core.wording import size_words
from dr_orchestrator.errors import (
    CouldNotVerify,
    LoadFailed,
    ProgramFailed,
    ProgramTimedOut,
    SpaceExhausted,
)
from dr_orchestrator.plan.model import CommandAsset
from dr_orchestrator.process import Command, Launcher, exit_words, known_cause

_BYTES = "the dump is the one that was captured, byte for byte"
_END = "the dump ends as a complete one does"
_LOADED = "what the practice's own program loaded is what it was"
_LONGEST_QUESTION = timedelta(minutes=30)
_CANNOT_RUN = frozenset({126, 127, 137})
"""Exit codes of a program that is not all there (its interpreter, a library, what a script calls),
and of one that was killed from outside: nothing is known of the dump."""


class CommandRestoration:
    """A dump that is coming back to life. Keeps the promises of `Restoration`."""

    def __init__(
        self,
        request: RestoreRequest,
        asset: CommandAsset | None,
        clock: Clock,
        placeholders: Mapping[str, str],
    ) -> None:
        """Take what stands for placeholders beside `{dump}` and `{folder}`."""
        self._request = request
        self._asset = asset
        self._clock = clock
        self._launcher: Launcher = request.place.inside
        self._placeholders = dict(placeholders)
        self._folder: Path | None = None
        self._dump: Dump | None = None
        self._sha256 = ""
        self._proof_seconds = 0.0
        self._loaded = False
        self._asked = False

    def prepare(self) -> None:
        """Make the folder that the programs work in."""
        self._folder = self._request.place.folder(f"command-{self._request.asset_id}")
        self._placeholders["folder"] = str(self._folder)

    def load(self, restored: Path) -> None:
        is_tree = self._request.state.method is Method.TREE
        if restored.is_symlink() or restored.is_dir() is not is_tree:
            raise LoadFailed("what came back from the repository is not the dump that was saved")
        self._placeholders["dump"] = str(restored)
        self._measure(restored)
        if self._asset is not None and self._asset.restore:
            self._restore(self._asset)
            self._loaded = True

    @property
    def loading_proof_seconds(self) -> float:
        return self._proof_seconds

    @property
    def depth(self) -> Depth:
        return Depth.L3 if self._loaded else Depth.L0

    @property
    def root(self) -> Path:
        raise CouldNotVerify(f"{self._request.asset_id} is a dump, not a folder of files")

    @property
    def conditions(self) -> tuple[str, ...]:
        return () if self._loaded else (f"{self._request.asset_id}: {NOT_LOADED}",)

    def value(self, sql: str, *, zone: tzinfo) -> Value:
        """Run the program that `sql` stands for (`command_answer.argv_text`)."""
        self._asked = True
        timeout = min(self._timeout, _LONGEST_QUESTION)
        command = self._command(argv_of(sql), timeout, output_limit=LONGEST_ANSWER)
        return ask(self._launcher, command, zone)

    def rows(self, sql: str) -> Iterator[tuple[object, ...]]:
        del sql
        raise CouldNotVerify(f"{self._request.asset_id} is a dump, and lists no rows")

    def compare(self) -> tuple[Verification, ...]:
        return tuple(self._compared())

    # --- loading ---

    @property
    def _timeout(self) -> timedelta:
        return _LONGEST_QUESTION if self._asset is None else self._asset.timeout

    def _measure(self, restored: Path) -> None:
        """Look at the dump before any program may change it."""
        begun = self._clock.monotonic()
        try:
            self._dump = look_at(restored)
            self._sha256 = sha256_of_dump(restored)
        except OSError as error:
            raise CouldNotVerify(f"the restored dump cannot be read: {cause(error)}") from None
        self._proof_seconds = self._clock.monotonic() - begun

    def _restore(self, asset: CommandAsset) -> None:
        command = self._command(asset.restore, asset.timeout)
        try:
            # what it prints may be rows: it goes nowhere
            completed = self._launcher.run(command, on_line=lambda _line: None)
        except ProgramTimedOut as error:
            hint = "raise the asset's `timeout`, or find out what it waits for"
            raise CouldNotVerify(error.message, hint=hint) from None
        except ProgramFailed as error:
            raise CouldNotVerify(error.message) from None
        if completed.ok:
            return
        known = known_cause(completed.stderr)
        words = f"{completed.program} ({exit_words(completed.returncode)}{known})"
        if "no space" in known:
            raise SpaceExhausted(f"the sandbox's disk is full: {words}")
        if completed.returncode in _CANNOT_RUN:
            raise CouldNotVerify(
                f"the restore program cannot run in the sandbox: {words}",
                hint="it sees /usr, and what `command_programs` in the machine's settings names",
            )
        raise LoadFailed(f"the restore program failed: {words}")

    def _command(
        self, argv: tuple[str, ...], timeout: timedelta, *, output_limit: int | None = None
    ) -> Command:
        command = Command(argv=filled(argv, self._placeholders), timeout=timeout, cwd=self._folder)
        return command if output_limit is None else replace(command, output_limit=output_limit)

    # --- comparing ---

    def _compared(self) -> Iterator[Verification]:
        yield self._same_bytes()
        if self._asset is not None and self._asset.ends_with is not None:
            yield self._same_end(self._asset.ends_with)
        if self._loaded and not self._asked:
            reason = (
                "no check of the plan looks at what was loaded: a check with `run` on "
                f"{self._request.asset_id} does"
            )
            yield self._judge(_LOADED, Result.UNPROVEN, reason=reason, proves=Depth.L4)

    def _same_bytes(self) -> Verification:
        baseline, size = self._request.state.baseline, self._request.state.bytes
        recorded = baseline.sha256 if isinstance(baseline, DatabaseBaseline) else None
        if recorded is None or self._dump is None:
            return self._judge(_BYTES, Result.UNPROVEN, reason=NO_BASELINE)
        equal = recorded == self._sha256
        return self._judge(
            _BYTES,
            Result.PASSED if equal else Result.FAILED,
            expected=f"{size_words(size)} as at capture",
            actual="equal" if equal else f"not equal, {size_words(self._dump.size)}",
            reason="" if equal else "the restored dump is not the dump that was captured",
        )

    def _same_end(self, pattern: str) -> Verification:
        whole = self._dump is not None and ends_with(self._dump.end, pattern)
        return self._judge(
            _END,
            Result.PASSED if whole else Result.FAILED,
            expected="as the plan says",
            actual="so" if whole else "not so",
            reason="" if whole else "the restored dump does not end as the plan says it must",
        )

    def _judge(
        self,
        title: str,
        result: Result,
        *,
        expected: str | None = None,
        actual: str | None = None,
        reason: str = "",
        proves: Depth = Depth.L2,
    ) -> Verification:
        return Verification(
            title=title,
            asset=self._request.asset_id,
            result=result,
            expected=expected,
            actual=actual,
            reason=reason,
            proves=proves,
        )
