"""Measure a drill of four systems beside drills of each of them, one after another.

A directory comes first; a record system on PostgreSQL, imaging and shared files need it, and do not
wait for each other. Each drill follows the runbook that is shipped for such a system, in sandboxes,
and compares all that comes back. Absolute times say something about the machine only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from typing import Any

from bench import ROOT, SCHEMA, make_files, ours

sys.path.insert(0, str(ROOT))

from tests.support.postgres import SUPERUSER, Production, production
from tests.support.site import Site, new_site

SIZES = {"patients": 40_000, "visits": 200_000, "labs": 800_000, "documents": 80_000}
FILES = {"directory": (1_000, 40_000_000), "imaging": (600, 300_000_000), "shares": (8_000, 300e6)}
SYSTEMS = ("directory", "emr", "imaging", "shares")


def make_practice(site: Site, server: Production, scale: float) -> None:
    """Make up four systems, and back them up once."""
    server.run("create database emr")
    server.run(SCHEMA.format(**{name: max(1, int(n * scale)) for name, n in SIZES.items()}), "emr")
    systems = (
        "  emr: {rto: 4h, rpo: 1h, importance: critical, depends_on: [directory], assets: {\n"
        f"    database: {{kind: postgres, host: {server.host}, port: {server.port}, "
        f"database: emr, user: {SUPERUSER}}}}}}}\n"
    )
    for name, (count, total) in FILES.items():
        folder = site.folder / name
        make_files(folder, max(1, int(count * scale)), int(total * scale))
        needs = "" if name == "directory" else "depends_on: [directory], "
        systems += (
            f"  {name}: {{rto: 8h, rpo: 1h, {needs}assets: "
            f"{{files: {{kind: files, path: {folder}}}}}}}\n"
        )
    site.write_plan(systems)
    ours(site, "backup", "riverside")


def drill(site: Site, *words: str) -> dict[str, Any]:
    """Drill, and return what came of it."""
    ended, _ = ours(site, "drill", "riverside", *words)
    drilled: dict[str, Any] = ended["drill"]
    return drilled


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--scale", type=float, default=1.0)
    chosen = options.parse_args()
    together: list[float] = []
    alone: list[float] = []
    with new_site(repository=False) as site, production() as server:
        print("making up the practice", file=sys.stderr)
        make_practice(site, server, chosen.scale)
        size = sum(each.stat().st_size for each in site.repository.rglob("*") if each.is_file())
        print(f"repository: {size / 1e6:.0f} MB", file=sys.stderr)
        for _ in range(chosen.runs):
            each = {name: drill(site, "--system", name)["seconds"] for name in SYSTEMS}
            alone.append(sum(each.values()))
            shown = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in each.items())
            print(f"  one after another | {alone[-1]:.1f} s | {shown}", file=sys.stderr)
            drilled = drill(site)
            together.append(drilled["seconds"])
            path = " -> ".join(drilled["critical_path"])
            print(f"  side by side | {together[-1]:.1f} s | {path}", file=sys.stderr)
    after, beside = statistics.median(alone), statistics.median(together)
    print("| work | one after another | side by side | ratio | target |")
    print("|---|---|---|---|---|")
    cores = f"drill of four systems, {os.cpu_count()} processors"
    print(f"| {cores} | {after:.1f} s | {beside:.1f} s | {beside / after:.2f} | < 1 |")


if __name__ == "__main__":
    main()
