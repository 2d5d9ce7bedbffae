"""Damage what came back in one way at a time, and count what the product's checks see of it.

Exits 1 where a check that claims to see a kind of damage misses more than one in a hundred, or
where a restore that is fine raises an alarm.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from dr_orchestrator.process import SystemLauncher  # noqa: E402
from scripts.mutation import mariadb_subject, postgres_subject  # noqa: E402
from scripts.mutation.files_subject import open_full, open_sampled  # noqa: E402
from scripts.mutation.openemr_subject import open_openemr  # noqa: E402
from scripts.mutation.results import Outcomes, Results, write_page  # noqa: E402
from scripts.mutation.sqlite_subject import open_sqlite  # noqa: E402
from scripts.mutation.trial import Effort, Subject, Trial, restore_clean, try_all  # noqa: E402
from tests.support.tools import require_tool  # noqa: E402

PAGE = ROOT / "docs" / "checks-that-are-tested.md"
RAW = ROOT / "docs" / "mutation-results.json"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

Open = Callable[[SystemLauncher, Path], AbstractContextManager[Subject]]


@dataclass(frozen=True)
class Share:
    """One subject's share of the work."""

    open: Open
    clean: int
    """How many clean restores."""
    quick: bool = False
    """Part of the small selection."""


SHARES = {
    "PostgreSQL, logical": Share(postgres_subject.open_logical, 8, quick=True),
    "PostgreSQL, physical": Share(postgres_subject.open_physical, 6),
    "MariaDB, logical": Share(mariadb_subject.open_logical, 8),
    "MariaDB, physical": Share(mariadb_subject.open_physical, 6),
    "SQLite": Share(open_sqlite, 12, quick=True),
    "files, full": Share(open_full, 8),
    "files, sampled": Share(open_sampled, 8, quick=True),
    "OpenEMR": Share(open_openemr, 4),
}


def _try_subject(
    name: str, effort: Effort, clean: int
) -> tuple[list[Outcomes], list[Trial], float]:
    """Make all trials of one subject, in a process of its own."""
    begun = time.monotonic()
    with _opened(SHARES[name].open) as subject:
        restored = list(restore_clean(subject, clean))
        trials: dict[str, list[Trial]] = {}
        for trial in try_all(subject, effort):
            trials.setdefault(trial.kind, []).append(trial)
        outcomes = [
            Outcomes.of(name, kind, trials[kind.title])
            for kind, _ in effort.kinds(subject)
            if kind.title in trials
        ]
    return outcomes, restored, time.monotonic() - begun


@contextmanager
def _opened(make: Open) -> Iterator[Subject]:
    launcher = SystemLauncher(_PATH)
    try:
        with tempfile.TemporaryDirectory(prefix="dro-") as folder:
            Path(folder).chmod(0o711)
            with make(launcher, Path(folder)) as subject:
                yield subject
    finally:
        launcher.close()


def _run(names: list[str], effort: Effort, *, clean: int | None, jobs: int) -> Results:
    results = Results(effort.seed, programs=_programs())
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        tried = {
            name: pool.submit(
                _try_subject, name, effort, SHARES[name].clean if clean is None else clean
            )
            for name in names
        }
        for future in as_completed(tried.values()):
            name = next(each for each, its in tried.items() if its is future)
            print(f"{name}: {future.result()[2]:.0f} s", file=sys.stderr, flush=True)
        for future in tried.values():
            outcomes, restored, _ = future.result()
            results.outcomes += outcomes
            results.clean += restored
    return results


def _programs() -> dict[str, str]:
    """Return the versions that the results are of."""
    found = {"SQLite": sqlite3.sqlite_version}
    for name, program in (("PostgreSQL", "postgres"), ("MariaDB", "mariadbd")):
        argv = (require_tool(program), "--version")
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        version = re.search(r"\d+(?:\.\d+)+", said)
        found[name] = version[0] if version else "unknown"
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="to repeat a run")
    parser.add_argument("--trials", type=int, default=15, help="of each kind with chance in it")
    parser.add_argument("--only", default="", help="part of the name of the damage")
    parser.add_argument("--subject", default="", help="part of the name of the engine")
    parser.add_argument("--clean", type=int, help="clean restores of each engine")
    parser.add_argument("--jobs", type=int, default=2, help="engines at a time")
    parser.add_argument("--quick", action="store_true", help="a small selection, once each")
    words = parser.parse_args(arguments)

    seed = secrets.randbelow(10**6) if words.seed is None else words.seed
    print(f"seed {seed}", file=sys.stderr)
    effort = Effort(
        seed=seed, trials=1 if words.quick else words.trials, only=words.only, quick=words.quick
    )
    names = [
        name
        for name, share in SHARES.items()
        if words.subject in name and (share.quick or not words.quick)
    ]
    clean = 1 if words.quick and words.clean is None else words.clean
    results = _run(names, effort, clean=clean, jobs=words.jobs)
    print(results.text())
    if len(names) == len(SHARES) and not words.only:
        RAW.write_text(results.raw())
        write_page(PAGE, results.text())
    for line in results.broken():
        print(f"not as claimed: {line}", file=sys.stderr)
    return 1 if results.broken() else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
