"""Measure what it takes to verify evidence: ours, and the verifier that goes with an export.

The lines are those of backups, each a run that was opened, a recovery point and a run that was
closed, with a restore test and a checkpoint now and then, as the code of the product writes them.
Beside both stands what cannot be done without: `sha256sum` over the file, and reading each line as
JSON. Absolute times say something about the machine only; the target is for two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import ROOT

sys.path.insert(0, str(ROOT))

from dr_orchestrator.core.record import (
    Entry,
    PointRecorded,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
)
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.evidence.bundle import lines_in, write_bundle
from dr_orchestrator.evidence.canonical import Facts
from dr_orchestrator.evidence.chain import verify
from dr_orchestrator.evidence.facts import facts_of
from dr_orchestrator.evidence.line import (
    CHAIN_STARTED,
    CHECKPOINT,
    NOTHING_BEFORE,
    EvidenceLine,
    hash_of,
    text_of,
)
from dr_orchestrator.evidence.signing import Signer, checkpoint, fingerprint
from tests.support.chains import STAND_ALONE
from tests.support.evidence import make_point, make_run, make_test

SIGNER = Signer(b"a bench has no secrets".ljust(32))
CHECKPOINT_EVERY = 100
"""Lines: some four a day."""
AT = datetime(2026, 11, 22, tzinfo=UTC)


def said(entry: Entry) -> tuple[str, Facts]:
    found = facts_of(entry)
    assert found is not None
    return found


def contents() -> list[tuple[str, Facts]]:
    """Return what is said between two checkpoints."""
    run = make_run(AT)
    backup = [
        said(RunOpened(run=run)),
        said(PointRecorded(point=make_point(AT, repositories=("onsite", "offsite")))),
        said(RunClosed(run=run.id, finished_at=AT, outcome=Outcome.DONE)),
    ]
    return [*backup * 32, backup[0], said(RestoreTestRecorded(test=make_test(AT))), backup[2]]


def lines(count: int) -> Iterator[str]:
    """Yield so many lines of one chain, which ends with a checkpoint."""
    cycle = contents()
    previous = NOTHING_BEFORE
    for number in range(1, count + 1):
        here = {
            "practice": "riverside",
            "chain": "3f" * 16,
            "number": number,
            "at": f"2026-11-22T10:00:00.{number % 1_000_000:06}Z",
            "previous": previous,
        }
        kind, about = cycle[number % len(cycle)]
        if number == 1:
            kind, about = CHAIN_STARTED, {"key": SIGNER.public, "host": "site"}
        elif number % CHECKPOINT_EVERY == 0 or number == count:
            kind, about = CHECKPOINT, checkpoint(SIGNER, **here)
        is_ours = kind in {CHAIN_STARTED, CHECKPOINT}
        line = EvidenceLine(kind=kind, about=about, record="" if is_ours else "ab" * 32, **here)
        text = text_of(line)
        previous = hash_of(text)
        yield text


def without_checking(file: Path) -> None:
    """Do what cannot be done without."""
    subprocess.run(["sha256sum", file], check=True, stdout=subprocess.DEVNULL)
    with file.open("rb") as content:
        for line in content:
            json.loads(line)


def by_ours(file: Path) -> None:
    found = verify(lines_in(file), fingerprints=[fingerprint(SIGNER.public)])
    assert found.is_sound, found.faults


def by_the_stand_alone(file: Path, head: str) -> None:
    known = ["--key", fingerprint(SIGNER.public), "--expect", head]
    command = [sys.executable, "-I", STAND_ALONE, file, *known]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def seconds(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is timed")
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 is a million lines")
    asked = parser.parse_args()
    count = round(1_000_000 * asked.scale)
    with tempfile.TemporaryDirectory(prefix="dro-bench-") as folder:
        bare, export = Path(folder) / "evidence.jsonl", Path(folder) / "evidence.zip"
        last = ""
        with bare.open("w") as file:
            for last in lines(count):
                file.write(f"{last}\n")
        head = hash_of(last)
        with bare.open() as file:
            texts = (line.rstrip("\n") for line in file)
            packing = seconds(lambda: write_bundle(texts, export, practice="riverside"))
        ways: dict[str, tuple[Callable[[], None], str]] = {
            "sha256sum, and each line read as JSON": (lambda: without_checking(bare), "–"),
            "verified by us": (lambda: by_ours(bare), "10 s"),
            "verified by us, out of the export": (lambda: by_ours(export), "–"),
            "verified by the stand-alone verifier": (lambda: by_the_stand_alone(bare, head), "–"),
        }
        # one after the other in each round, so that a busy machine is busy for all of them
        rounds = [
            {name: seconds(way) for name, (way, _) in ways.items()} for _ in range(asked.runs)
        ]
        size, packed = bare.stat().st_size / 1e6, export.stat().st_size / 1e6
    print(f"{count:,} lines, {size:.0f} MB; as an export {packed:.0f} MB, made in {packing:.0f} s")
    print("| work | seconds | of the bare work | target |")
    print("|---|---|---|---|")
    least = {name: min(each[name] for each in rounds) for name in ways}
    bare_seconds = next(iter(least.values()))
    for name, (_, target) in ways.items():
        print(f"| {name} | {least[name]:.1f} | {least[name] / bare_seconds:.1f} x | {target} |")


if __name__ == "__main__":
    main()
