from __future__ import annotations

import hashlib
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.errors import Interrupted, ProgramMissing, ProgramTimedOut
from dr_orchestrator.runbook.effects import run_command
from dr_orchestrator.runbook.tools import CommandEnded
from tests.support.clock import FakeClock
from tests.support.launcher import Answer, ScriptedLauncher

ENV, OWN_ENV = {"HOME": "/home/ada"}, {"HOME": "/home/ada", "BACKUP_KEY": "secret"}


def _run(launcher: ScriptedLauncher, scratch: Path, *argv: str) -> CommandEnded:
    return run_command(
        argv,
        timedelta(minutes=3),
        launcher=launcher,
        clock=FakeClock(),
        scratch=scratch,
        env=ENV,
        own_env=OWN_ENV,
    )


def test_run_command_hashes_all_that_is_printed_and_shows_its_end(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(50)]
    content = "\n".join(lines).encode()
    launcher = ScriptedLauncher(Answer(("systemctl", "stop"), stdout=content))

    ended = _run(launcher, tmp_path, "systemctl", "stop", "emr")

    assert (ended.exit_code, ended.reason) == (0, "")
    assert ended.output == tuple(lines[-40:])
    assert ended.output_sha256 == hashlib.sha256(content).hexdigest()


def test_run_command_gives_no_secret_to_a_program_and_its_own_folder(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(Answer(("systemctl",)))

    _run(launcher, tmp_path, "systemctl", "stop", "emr")

    (command,) = launcher.commands
    assert command.env == ENV
    assert command.timeout == timedelta(minutes=3)
    assert command.cwd is not None
    assert command.cwd.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_run_command_means_this_very_program_by_dro(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(Answer((sys.executable, "-P", "-m", "dr_orchestrator", "points")))

    _run(launcher, tmp_path, "dro", "points", "riverside")

    (command,) = launcher.commands
    assert command.env == OWN_ENV
    assert command.program == "dro"


@pytest.mark.parametrize(
    ("answer", "exit_code", "reason"),
    [
        (Answer(("true",), returncode=3), 3, "true: exit code 3"),
        (Answer(("true",), returncode=-9), -9, "true: ended by SIGKILL"),
        (Answer(("true",), error=ProgramMissing("it is not installed")), None, "it is not install"),
        (Answer(("true",), error=ProgramTimedOut("it did not end")), None, "it did not end"),
    ],
)
def test_run_command_says_how_it_went_wrong(
    tmp_path: Path, answer: Answer, exit_code: int | None, reason: str
) -> None:
    ended = _run(ScriptedLauncher(answer), tmp_path, "true")

    assert ended.exit_code == exit_code
    assert ended.reason.startswith(reason)


def test_run_command_is_interrupted_when_we_are_to_stop(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        _run(ScriptedLauncher(Answer(("true",), error=Interrupted())), tmp_path, "true")

    assert list(tmp_path.iterdir()) == []


def test_run_command_shows_no_sign_that_moves_a_cursor(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(
        Answer(("cat",), stdout=b"\x1b[2Jgone\r\n  a\tb\xff\n" + b"x" * 999)
    )

    ended = _run(launcher, tmp_path, "cat")

    assert ended.output == ("�[2Jgone", "  a     b�", "x" * 500)
