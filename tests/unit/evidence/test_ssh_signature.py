"""Signatures of `ssh-keygen -Y sign`, made by the real program."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.evidence.ssh_signature import NAMESPACE, key_in, signature_in
from tests.support.tools import require_tool

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = "I have read this. Zoë\n".encode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_tool("ssh-keygen")
    folder = tmp_path_factory.mktemp("keys")
    for name in ("hers", "another"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "Ann Lee", "-f", name]
        subprocess.run(command, cwd=folder, check=True)
    return folder


def _signed(keys: Path, message: bytes, *, key: str = "hers", namespace: str = NAMESPACE) -> bytes:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(keys / key)]
    done = subprocess.run(command, input=message, capture_output=True, check=True)
    return done.stdout


def _public(keys: Path, name: str = "hers") -> str:
    return (keys / f"{name}.pub").read_text()


def test_signature_of_the_named_key_is_taken(keys: Path) -> None:
    assert len(signature_in(_signed(keys, MESSAGE), MESSAGE, _public(keys))) == 128


@pytest.mark.parametrize(
    ("signed", "says"),
    [
        ({"message": MESSAGE + b" "}, "not the one that was signed"),
        ({"message": MESSAGE, "key": "another"}, "another key"),
        ({"message": MESSAGE, "namespace": "file"}, "another purpose"),
    ],
)
def test_signature_is_refused_when_it_is_for_something_else(
    keys: Path, signed: dict[str, str], says: str
) -> None:
    with pytest.raises(UsageMistake, match=says):
        signature_in(_signed(keys, **signed), MESSAGE, _public(keys))  # type: ignore[arg-type]


def test_every_cut_and_every_flipped_bit_is_refused(keys: Path) -> None:
    whole = _signed(keys, MESSAGE)
    # but for ends of lines, and bits of base64's last letters that stand for nothing
    middle = range(whole.index(b"\n") + 1, whole.rindex(b"\n-----END") - 4)
    for at in (each for each in middle[::5] if whole[each] != ord("\n")):
        changed = bytes([whole[at] ^ 1])
        for broken in (whole[:at] + changed + whole[at + 1 :], whole[:at]):
            with pytest.raises(UsageMistake):
                signature_in(broken, MESSAGE, _public(keys))


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 %%%"])
def test_key_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(UsageMistake, match="no Ed25519"):
        key_in(line)
