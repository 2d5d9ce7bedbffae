"""A cold start: one system brought back with the kit and the key of its repository, and with
nothing else of ours.

The kit's own script does it, run by the system's Python in an empty folder, without plan, settings
or this package. What comes back lands in a sandbox, is opened inside it only, and is gone with it.
The clock starts once kit and key are at hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.core.runbook import DrilledSystem
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import CouldNotVerify, LoadFailed, ProgramMissing
from dr_orchestrator.process import Command

if TYPE_CHECKING:
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.process import SystemLauncher
    from dr_orchestrator.sandbox.base import Sandbox, SandboxDriver

SCRIPT = "dro-kit.py"
_PYTHONS = (Path("/usr/bin/python3"), Path("/usr/local/bin/python3"))
"""Debian's first; none of a virtual environment."""
_ALONE = ("-I", "-S")
"""Neither variables nor installed packages reach the script: only the standard library does."""
_LIMIT = timedelta(hours=24)
_LONGEST_REASON = 400
_ROOM = 64 * 1024 * 1024
"""Bytes, beside the data: the kit, and what a private server needs before it holds anything."""
_ASIDE = re.compile(r"error: |hint: ")
"""Begins lines that a person at the machine needs, and a drill does not, or says by itself."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a person has on paper, and types: it opens the repository."""

    password: Secret
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """Variable -> secret that it names a file of; read once."""
    secret_files: Mapping[str, Secret] = field(default_factory=dict)
    """The same for what restic reads by itself, and more than once."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Nothing secret."""


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """What is brought back, and out of where."""

    system: str
    repository: str
    key: Key
    point: str
    """The newest that we vouch for: another one that comes back proves nothing of it."""
    bytes: int
    """Of that point, before compression."""
    put_kit: Callable[[Path], Path]
    """Makes a kit beneath a folder; returns where it is."""
    programs: tuple[str, ...] = ()
    """Folders of servers' programs that are not where the script looks by itself."""


@dataclass(frozen=True, kw_only=True)
class ColdStartTools:
    """What a cold start works with."""

    launcher: SystemLauncher
    sandboxes: SandboxDriver
    clock: Clock
    say: Callable[[str], None]


def start_cold(start: ColdStart, run: str, tools: ColdStartTools) -> tuple[DrilledSystem, float]:
    """Bring a system back in a sandbox of `run`; return what came of it, and the seconds it took.

    Raises:
        Interrupted: we were stopped.
        DroError: it did not come to a start: no sandbox, or no kit.
    """
    python = _python()
    with tools.sandboxes.open(run, bytes_needed=2 * start.bytes + _ROOM) as sandbox:
        place = sandbox.target.path / "cold"
        place.mkdir(mode=0o700)
        kit = start.put_kit(place)
        attempt = _Attempt(start, sandbox, tools, python, place, kit / SCRIPT)
        watch = Stopwatch(tools.clock)
        try:
            result, reason = attempt.make()
        except (LoadFailed, CouldNotVerify) as error:
            result = Result.FAILED if isinstance(error, LoadFailed) else Result.UNPROVEN
            reason = error.message
        seconds = watch.elapsed()
    return (
        DrilledSystem(
            system=start.system,
            runbook="",
            run="",
            repository=start.repository,
            point=attempt.point,
            restore_test="",
            result=result,
            reason=reason,
            begun_seconds=0.0,
            ready_seconds=seconds if result is Result.PASSED else None,
            rta_service_seconds=None,
            by_hand_seconds=0.0,
        ),
        seconds,
    )


@dataclass
class _Attempt:
    start: ColdStart
    sandbox: Sandbox
    tools: ColdStartTools
    python: str
    place: Path
    script: Path
    point: str = ""

    def make(self) -> tuple[Result, str]:
        """Restore outside, where the repository can be reached; check inside, where nothing can."""
        restored = self.place / "restored"
        state = self._restore(restored)
        self.point = _text(state, "systems", self.start.system, "point")
        self.sandbox.adopt(self.place)
        result, reason = self._check(restored)
        if self.point == self.start.point or result is not Result.PASSED:
            return result, reason
        return Result.UNPROVEN, (
            f"{self.start.repository} did not give the newest point back, {self.start.point}: "
            "an older one came back, or one made since"
        )

    def _restore(self, target: Path) -> Mapping[str, Any]:
        start = self.start
        words = ("restore", start.system, "--repository", start.repository, "--to", str(target))

        def hear(line: bytes) -> None:
            text = line.decode(errors="replace").rstrip("\n")
            if not _ASIDE.match(text):
                self.tools.say(printable(text))

        completed = self.tools.launcher.run(
            Command(
                argv=(self.python, *_ALONE, str(self.script), *words, "--json"),
                timeout=_LIMIT,
                env={**start.key.environment, "HOME": str(self.place)},
                secrets={"RESTIC_PASSWORD_FILE": start.key.password, **start.key.secrets},
                secret_files=start.key.secret_files,
                cwd=self.place,
            ),
            on_error_line=hear,
        )
        return _object(completed.stdout)

    def _check(self, restored: Path) -> tuple[Result, str]:
        programs = (word for folder in self.start.programs for word in ("--programs", folder))
        completed = self.sandbox.inside.run(
            Command(
                argv=(
                    *(self.python, *_ALONE, str(self.script), "check", str(restored)),
                    *("--json", *programs),
                ),
                timeout=_LIMIT,
                cwd=self.place,
            )
        )
        found = _object(completed.stdout)
        said, judged = _text(found, "result"), found["systems"].get(self.start.system, {})
        for asset, each in _assets(judged).items():
            self.tools.say(f"{asset}: {_text(each, 'result')}")
        if completed.ok and said == Result.PASSED.value == _text(judged, "result"):
            return Result.PASSED, ""
        reason = _reason(judged)
        if said == Result.FAILED.value:
            return Result.FAILED, reason
        return Result.UNPROVEN, reason


def _python() -> str:
    found = next((each for each in _PYTHONS if each.exists()), None)
    if found is None:
        raise ProgramMissing("this machine has no Python of its own", hint="apt install python3")
    return str(found)


def _object(output: bytes) -> Mapping[str, Any]:
    """Return what the script printed: it may have looked at anything by then.

    Raises:
        LoadFailed: it says that the backup is at fault.
        CouldNotVerify: it says that something else is, or nothing that can be understood.
    """
    try:
        found = json.loads(output)
    except ValueError:
        found = None
    if isinstance(found, dict) and "error" in found:
        reason = f"the kit's script gave up: {_short(_text(found, 'error'))}"
        raise LoadFailed(reason) if found.get("bad") is True else CouldNotVerify(reason)
    if not isinstance(found, dict) or not isinstance(found.get("systems"), dict):
        raise CouldNotVerify("the kit's script did not come to an end")
    return found


def _text(found: Any, *names: str) -> str:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return printable(found) if isinstance(found, str) else ""


def _assets(judged: Any) -> dict[str, Any]:
    assets = judged.get("assets") if isinstance(judged, dict) else None
    return {printable(str(name)): each for name, each in assets.items()} if assets else {}


def _reason(judged: Any) -> str:
    """Return what kept a system from passing: the worst first."""
    said = [_text(judged, "reason")]
    for wanted in (Result.FAILED.value, Result.UNPROVEN.value):
        for asset, each in _assets(judged).items():
            looks = each.get("looks") if isinstance(each, dict) else None
            said += [
                f"{asset}: {_text(look, 'title')}: {_text(look, 'detail')}"
                for look in looks or ()
                if _text(look, "result") == wanted
            ]
    return _short("; ".join(filter(None, said))) or "the kit's script did not say why"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"
