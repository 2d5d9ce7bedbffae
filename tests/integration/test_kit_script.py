"""The kit's script on what the drivers captured from real servers: it must say what they say."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from dr_orchestrator.core.point import AssetState
from dr_orchestrator.process import SystemLauncher
from tests.support import mariadb, postgres
from tests.support.kit_script import load_script
from tests.support.sandbox import short_folder

kit = load_script()
_QUERIES = ("select count(*) from patient", "select max(seen_at) from encounter")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def launcher() -> Iterator[SystemLauncher]:
    with contextlib.closing(SystemLauncher(mariadb.SEARCH_PATH)) as launcher:
        yield launcher


@pytest.fixture(scope="module")
def maria(folder: Path, launcher: SystemLauncher) -> Iterator[dict[str, tuple[Any, Path, Path]]]:
    """Yield by method: what a manifest says, what came back, and its small files."""
    (folder / "maria").mkdir()
    with mariadb.production() as server, server.database("emr", mariadb.EMR, mariadb.OLD_TABLES):
        bench = mariadb.Bench(launcher, folder / "maria")
        logical = server.asset()
        yield {
            "logical": _kept(bench.capture(logical, _QUERIES), folder, "maria-logical"),
            "physical": _kept(bench.capture(mariadb.physical(logical)), folder, "maria-physical"),
        }


@pytest.fixture(scope="module")
def cluster(folder: Path, launcher: SystemLauncher) -> Iterator[tuple[Any, Path, Path]]:
    (folder / "pg").mkdir()
    with postgres.production() as server, server.database("emr", postgres.EMR):
        bench = postgres.Bench(launcher, folder / "pg")
        asset = postgres.cluster(server.asset())
        yield _kept(bench.capture(asset), folder, "pg")


def _kept(
    captured: tuple[AssetState, Path, Any], folder: Path, name: str
) -> tuple[Any, Path, Path]:
    state, kept, rest = captured
    sidecars = folder / f"{name}-sidecars"
    sidecars.mkdir()
    for file, content in rest.sidecars.items():
        (sidecars / file).write_bytes(content)
    return TypeAdapter(AssetState).dump_python(state, mode="json"), kept, sidecars


def _looks(check: Callable[..., Any], kept: tuple[Any, Path, Path], folder: Path) -> list[Any]:
    hard = folder / 'My "disk", it\'s $HOME'  # servers' programs hand paths to shells
    hard.mkdir(mode=0o711, exist_ok=True)
    place = kit.Place(hard, kit.other_account(None), [])
    try:
        zone = kit.zone_named("America/Chicago")
        return list(check(kept[0], kept[1], kept[2], place, zone))
    finally:
        place.close()


def test_restic_ends_with_a_script_that_is_killed(tmp_path: Path) -> None:
    ours, its = os.pipe()
    program = tmp_path / "restic"
    program.write_text(f"#!/bin/sh\necho >/dev/fd/{its}\nexec sleep 60\n")
    program.chmod(0o700)
    lent = {"AWS_SHARED_CREDENTIALS_FILE": f"/dev/fd/{its}", "PATH": os.environ["PATH"]}
    code = (
        "from tests.support.kit_script import load_script as kit\n"
        f"kit().Repository('r', '/r', {str(program)!r}, {lent!r}).run('x', doing='x')\n"
    )
    script = subprocess.Popen((sys.executable, "-c", code), pass_fds=(its,))
    os.close(its)
    try:
        assert os.read(ours, 1) == b"\n"
    finally:
        script.kill()
        script.wait()
    ended, _, _ = select.select([ours], [], [], 5)
    assert ended, "restic still runs"
    assert os.read(ours, 1) == b""
    os.close(ours)


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_mariadb_passes_when_it_is_what_it_was(
    maria: dict[str, tuple[Any, Path, Path]], folder: Path, method: str
) -> None:
    looks = _looks(kit.check_mariadb, maria[method], folder)
    assert {look.result for look in looks} == {"passed"}, looks
    details = " ".join(look.detail for look in looks)
    assert "8 tables" in details
    assert ("2 queries" in details) is (method == "logical")
    assert list(folder.glob("*/check-*")) == []


@pytest.mark.parametrize("method", ["logical", "physical"])
def test_mariadb_fails_when_what_came_back_is_cut_off(
    maria: dict[str, tuple[Any, Path, Path]], folder: Path, method: str
) -> None:
    state, kept, sidecars = maria[method]
    cut = folder / f"cut-{method}"
    cut.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    with pytest.raises(kit.Damaged):
        _looks(kit.check_mariadb, (state, cut, sidecars), folder)


def test_mariadb_fails_when_a_row_is_missing(
    maria: dict[str, tuple[Any, Path, Path]], folder: Path
) -> None:
    state, kept, sidecars = maria["logical"]
    less = folder / "less"
    lines = kept.read_bytes().splitlines(keepends=True)
    rows = [number for number, line in enumerate(lines) if b"INSERT INTO `document`" in line]
    less.write_bytes(b"".join(lines[: rows[0]] + lines[rows[0] + 1 :]))
    looks = _looks(kit.check_mariadb, (state, less, sidecars), folder)
    (failed,) = [look for look in looks if look.result != "passed"]
    assert failed.detail == "document: 49 rows instead of 50"


def test_a_cluster_passes_when_it_is_what_it_was_and_is_left_as_it_came(
    cluster: tuple[Any, Path, Path], folder: Path
) -> None:
    before = sorted((each, each.lstat().st_mtime_ns) for each in cluster[1].rglob("*"))
    looks = _looks(kit.check_postgres, cluster, folder)
    assert {look.result for look in looks} == {"passed"}, looks
    assert looks[0].title == "every file of the cluster is byte for byte what was captured"
    assert sorted((each, each.lstat().st_mtime_ns) for each in cluster[1].rglob("*")) == before


def test_a_cluster_fails_when_one_byte_of_it_is_another(
    cluster: tuple[Any, Path, Path], folder: Path
) -> None:
    state, kept, sidecars = cluster
    other = folder / "other-cluster"
    shutil.copytree(kept, other, symlinks=True)
    file = max((other / "data" / "base").rglob("[0-9]*"), key=lambda each: each.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(kit.Damaged):
        _looks(kit.check_postgres, (state, other, sidecars), folder)
