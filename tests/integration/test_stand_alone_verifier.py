"""An export is checked by its own verifier, as an auditor runs it: a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dr_orchestrator.evidence.bundle import write_bundle
from dr_orchestrator.evidence.signing import Signer
from tests.support.chains import STAND_ALONE, WrittenChain

SITE = WrittenChain("site").closed_runs(2).checkpoint()
KEY = SITE.fingerprint
SITE.succeed(Signer(b"new".ljust(32))).closed_runs(1).checkpoint()


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Run it as `python3 -I`: no environment, no packages, nothing of ours."""
    command = [sys.executable, "-I", "-S", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("export") / "evidence.zip"
    write_bundle(SITE.texts, file, practice="riverside")
    return file


def test_sound_export_is_told_about(export: Path) -> None:
    code, said, _ = run(export, "--key", KEY.upper(), "--expect", SITE.head[:12])
    assert code == 0
    assert f"practice 'riverside', chain '{SITE.id}': 7 lines" in said
    assert SITE.head in said
    assert KEY in said
    assert SITE.fingerprint in said
    assert "SOUND: nothing was altered, put in or moved, and up to line 7 of 20" in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--expect", SITE.head), "NOT PROVEN: anybody could have made it"),
        (("--key", KEY), "WHETHER ITS END IS MISSING IS NOT KNOWN"),
        (("--key", "0" * 64, "--expect", SITE.head), "signed with a key that you did not name"),
    ],
)
def test_export_is_not_proven_where_nobody_says_whose_key_it_is_or_where_it_ends(
    export: Path, arguments: tuple[str, ...], why: str
) -> None:
    code, said, _ = run(export, *arguments)
    assert (code, why in said, "SOUND:" in said, "ALTERED" in said) == (4, True, False, False)


def test_export_whose_end_was_cut_is_not_sound(export: Path) -> None:
    code, said, _ = run(STAND_ALONE, export, "--key", KEY, "--expect", "0" * 12)
    found = "MISSING: no line has the hash 000000000000"
    assert (code, found in said, "\nSOUND" in said) == (1, True, False)


def test_bare_lines_are_checked_and_faults_end_at_twenty(tmp_path: Path) -> None:
    file = tmp_path / "evidence.jsonl"
    file.write_bytes(b"\x1b[2Jnoise\n" * 100)
    code, said, _ = run(STAND_ALONE, file, "--key", KEY)
    assert (code, len(said.splitlines()), said.splitlines()[-1]) == (1, 21, "... and more")
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "arguments", [(), ("none.zip",), ("{}", "--key", "12"), ("{}", "--expect", "xyz")]
)
def test_wrong_call_is_told_apart_from_altered_evidence(
    export: Path, arguments: tuple[str, ...]
) -> None:
    code, said, why = run(STAND_ALONE, *(each.format(export) for each in arguments))
    assert (code, said, bool(why)) == (2, "", True)
