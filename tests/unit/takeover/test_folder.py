"""What is in a folder that was handed over is believed only where it is as it was written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dr_orchestrator.errors import DroError, EvidenceConflict, UsageMistake
from dr_orchestrator.evidence.canonical import canonical
from dr_orchestrator.evidence.signing import Signer
from dr_orchestrator.takeover.folder import (
    EVIDENCE,
    FILES_KEY,
    HANDOVER,
    PLAN,
    RECORD,
    read_handed,
)
from tests.support.evidence import PRACTICE
from tests.support.handed import giving

ANOTHER = Signer(bytes(range(32)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("giver")
    with giving(folder) as giver:
        giver.hand_over(folder / "handed")
    return folder / "handed"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "handed")
    return tmp_path / "handed"


def test_folder_is_read_as_it_was_written(folder: Path) -> None:
    handed = read_handed(folder)

    assert (handed.practice, handed.giver.to, handed.is_vouched) == (PRACTICE, "Lakeview IT", False)
    assert handed.runbooks == {"emr-lost.yaml": b"version: 1\n"}
    assert len(handed.files_key) == 32
    assert not handed.loaded.commands_allowed
    kinds = [each.kind for each in handed.record().journal]
    assert "signed_off" in kinds
    assert "handed_over" in kinds
    assert read_handed(folder, keys=[handed.giver.fingerprint.upper()]).is_vouched


def test_folder_is_for_nobody_else_to_read(whole: Path) -> None:
    modes = {each.name: each.stat().st_mode & 0o777 for each in (whole, *whole.glob("*"))}

    assert {mode for name, mode in modes.items() if "." not in name} == {0o700}
    assert modes[FILES_KEY] == modes[RECORD] == modes[HANDOVER] == 0o600


def test_key_that_nobody_named_is_refused(folder: Path) -> None:
    with pytest.raises(EvidenceConflict, match="not with one that was named"):
        read_handed(folder, keys=["0" * 64])


@pytest.mark.parametrize(
    "name", [PLAN, RECORD, EVIDENCE, FILES_KEY, "README.txt", "runbooks/emr-lost.yaml", HANDOVER]
)
def test_every_byte_of_it_counts(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[Random(name).randrange(len(content))] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises((EvidenceConflict, UsageMistake)):
        read_handed(folder)


def _remove(folder: Path) -> None:
    (folder / "runbooks" / "emr-lost.yaml").unlink()


def _add(folder: Path) -> None:
    (folder / "runbooks" / "more.yaml").write_text("version: 1\n")


def _link(folder: Path) -> None:
    (folder / PLAN).unlink()
    (folder / PLAN).symlink_to("/etc/passwd")


def _no_handover(folder: Path) -> None:
    (folder / HANDOVER).unlink()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_remove, "is missing"),
        (_add, "is in it, and in no list"),
        (_link, "is no file"),
        (_no_handover, "cannot be read"),
    ],
)
def test_folder_with_more_or_less_in_it_is_refused(
    folder: Path, change: Callable[[Path], None], why: str
) -> None:
    change(folder)

    with pytest.raises(DroError, match=why):
        read_handed(folder)


def _signed(folder: Path, signer: Signer | None, **changes: Any) -> None:
    said = json.loads((folder / HANDOVER).read_text()) | changes
    if signer is not None:
        said["evidence"]["key"] = signer.public
        del said["signature"]
        said["signature"] = signer.sign(canonical(said).encode())
    (folder / HANDOVER).write_text(json.dumps(said))


def test_folder_that_somebody_else_signed_contradicts_its_evidence(folder: Path) -> None:
    _signed(folder, ANOTHER)

    with pytest.raises(EvidenceConflict, match="does not end where"):
        read_handed(folder)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"to": "Somebody else"}, "signature"),
        ({"schema": 2}, "newer version"),
        ({"store": "9999"}, "newer version"),
        ({"what": "a cake"}, "holds no practice"),
        ({"files": "all"}, "signature"),
        ({"evidence": {}}, "does not say who"),
    ],
)
def test_handover_that_says_something_else_is_refused(
    folder: Path, changes: dict[str, Any], why: str
) -> None:
    _signed(folder, None, **changes)

    with pytest.raises(DroError, match=why):
        read_handed(folder)
