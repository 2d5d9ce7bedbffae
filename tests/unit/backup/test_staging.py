"""Staged data outlives no run, and no run loses it to another."""

from __future__ import annotations

from pathlib import Path

from dr_orchestrator.backup.staging import sweep_staging


def test_sweep_staging_removes_what_no_living_run_has(tmp_path: Path) -> None:
    for run in ("dead", "living"):
        (tmp_path / run / "database").mkdir(parents=True)

    assert sweep_staging(tmp_path, lambda: frozenset({"living"})) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["living"]


def test_sweep_staging_leaves_a_run_that_begins_meanwhile(tmp_path: Path) -> None:
    def living_runs() -> frozenset[str]:
        known = frozenset[str]()
        (tmp_path / "new").mkdir()  # another process, right after the runs were read
        return known

    assert sweep_staging(tmp_path, living_runs) == 0
    assert (tmp_path / "new").is_dir()


def test_sweep_staging_does_not_mind_that_another_process_was_faster(tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()

    def living_runs() -> frozenset[str]:
        (tmp_path / "dead").rmdir()
        return frozenset()

    sweep_staging(tmp_path, living_runs)

    assert not list(tmp_path.iterdir())
