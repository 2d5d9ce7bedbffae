from __future__ import annotations

import os
from pathlib import Path

import pytest

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import ProgramMissing, ProgramTimedOut, SecretUnavailable
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.secrets import SecretReader
from tests.support.launcher import Answer, ScriptedLauncher

_CANARY = "hunter2-canary"


def _reader(*answers: Answer, **environment: str) -> SecretReader:
    return SecretReader(ScriptedLauncher(*answers), environment.get)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "riverside"
    file.write_text(f"{_CANARY}\n")
    file.chmod(0o600)
    return file


def _refusal(reader: SecretReader, reference: SecretReference) -> str:
    with pytest.raises(SecretUnavailable) as caught:
        reader.read(reference)
    text = str(caught.value)
    assert _CANARY not in text
    assert caught.value.__cause__ is None
    return text


def test_environment_variable_is_read() -> None:
    reader = _reader(EMR_DB_PASSWORD=_CANARY)

    assert reader.read(SecretReference(env="EMR_DB_PASSWORD")) == Secret(_CANARY)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("x\n", "x"),
        ("x", "x"),
        ("x\r\n", "x"),
        (" x \n", " x "),
        ("x\n\n", "x\n"),
        ("ä€\n", "ä€"),
    ],
)
def test_file_is_read_without_the_line_break_at_its_end(
    key: Path, content: str, secret: str
) -> None:
    key.write_bytes(content.encode())

    assert _reader().read(SecretReference(file=str(key))) == Secret(secret)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_file_that_others_can_open_is_refused(key: Path, mode: int) -> None:
    key.chmod(mode)

    text = _refusal(_reader(), SecretReference(file=str(key), obtain="MSP vault"))

    assert f"chmod 600 {key}" in text
    assert "MSP vault" in text


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_empty_secret_is_refused(key: Path, content: bytes) -> None:
    key.write_bytes(content)

    assert "it is empty" in _refusal(_reader(), SecretReference(file=str(key)))
    assert "it is empty" in _refusal(_reader(NAME=""), SecretReference(env="NAME"))


def test_file_that_is_no_text_is_refused(key: Path) -> None:
    key.write_bytes(b"\xff\xfe" + _CANARY.encode())
    assert "not UTF-8" in _refusal(_reader(), SecretReference(file=str(key)))

    key.write_bytes(_CANARY.encode() + b"\0")
    assert "not text" in _refusal(_reader(), SecretReference(file=str(key)))

    key.write_bytes(b"x" * 70_000)
    assert "larger than 64 KiB" in _refusal(_reader(), SecretReference(file=str(key)))


def test_only_a_regular_file_is_read(tmp_path: Path, key: Path) -> None:
    pipe, link, loop = tmp_path / "pipe", tmp_path / "link", tmp_path / "loop"
    os.mkfifo(pipe, 0o600)
    link.symlink_to(key)
    loop.symlink_to(loop)

    assert _reader().read(SecretReference(file=str(link))) == Secret(_CANARY)
    for path, why in (
        (pipe, "not a regular file"),
        (tmp_path, "not a regular file"),
        (loop, "too many levels"),
        (tmp_path / "none", "no such file"),
    ):
        assert why in _refusal(_reader(), SecretReference(file=str(path)))


def test_refusal_names_the_reference_and_where_else_the_secret_is() -> None:
    reference = SecretReference(env="EMR_DB_PASSWORD", obtain="sealed sheet, practice safe")

    assert _refusal(_reader(), reference) == (
        "no secret from environment variable EMR_DB_PASSWORD: it is not set\n"
        "hint: it can be obtained from: sealed sheet, practice safe"
    )


def test_command_output_is_the_secret() -> None:
    launcher = ScriptedLauncher(Answer(("pass", "show", "x"), stdout=f"{_CANARY}\n".encode()))
    environment = {"HOME": "/root", "PGPASSWORD": "other"}
    reader = SecretReader(launcher, lambda name: environment.get(name))  # noqa: PLW0108 - mypy

    assert reader.read(SecretReference(command=("pass", "show", "x"))) == Secret(_CANARY)
    (command,) = launcher.commands
    assert dict(command.env) == {"HOME": "/root"}
    assert command.timeout.total_seconds() == 30


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(("pass",), returncode=3, stderr=_CANARY, stdout=_CANARY.encode()), "exit code 3"),
        (Answer(("pass",), stdout=b"\n"), "it is empty"),
        (Answer(("pass",), stdout=b"x" * 70_000), "more than 64 KiB"),
        (Answer(("pass",), error=ProgramMissing(_CANARY)), "not installed"),
        (Answer(("pass",), error=ProgramTimedOut(_CANARY)), "did not end within 30 s"),
        (Answer(("pass",), error=PermissionError(13, "Permission denied")), "permission denied"),
    ],
)
def test_command_that_fails_is_no_secret_and_its_output_stays_in(answer: Answer, why: str) -> None:
    text = _refusal(_reader(answer), SecretReference(command=("pass", _CANARY[:0])))

    assert why in text
    assert "command pass" in text


def test_command_of_a_plan_from_a_repository_does_not_run() -> None:
    launcher = ScriptedLauncher()
    reader = SecretReader(launcher, lambda _name: None, commands_allowed=False)

    assert "do not run" in _refusal(reader, SecretReference(command=("pass",)))
    assert launcher.commands == []
