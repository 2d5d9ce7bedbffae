"""A repository with a master key of its own stands for one whose master key somebody kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.in_process import run_dro
from tests.support.quick_repository import make_quick
from tests.support.site import Site, new_site

SYSTEMS = "  files: {{rto: 4h, rpo: 1h, assets: {{documents: {{kind: files, path: {path}}}}}}}\n"
ANOTHER = "another key of the tests"
REKEY = ("repository", "rekey", "riverside", "--repository", "onsite", "--to", "second", "--json")


@pytest.fixture
def site() -> Iterator[Site]:
    """Save a point in `onsite`, and plan a `second` repository."""
    with new_site() as site:
        site.documents.mkdir()
        key = site.folder / "second-key"
        key.touch(mode=0o600)
        key.write_text(f"{ANOTHER}\n")
        second = f"  second: {{location: {site.folder}/second, password: {{file: {key}}}}}\n"
        site.write_plan(SYSTEMS.format(path=site.documents), repositories=second)
        (site.documents / "letter.txt").write_text("a letter")
        assert run_dro(site, "backup", "riverside").code == 0
        yield site


def master_key(repository: Path, key: Path) -> tuple[str, str]:
    """Return the master key that a key file opens, and what restic says where it opens none."""
    words = ("--no-cache", "--no-lock", "-r", repository, "-p", key, "cat", "masterkey")
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        ("restic", *words), env=environment, capture_output=True, text=True, check=False
    )
    return (json.loads(done.stdout)["encrypt"] if done.stdout else ""), done.stderr


def kill_once_something_is_there(site: Site, repository: Path) -> None:
    process = site.start(*REKEY)
    while not any(repository.glob("snapshots/*")):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_another_master_key_stands_for_the_old_one_once_all_is_there_and_proven(
    site: Site,
) -> None:
    points = {each["id"] for each in run_dro(site, "points", "riverside", "--json").json["points"]}
    second, second_key = site.folder / "second", site.folder / "second-key"
    kill_once_something_is_there(site, second)
    old, _ = master_key(site.repository, site.key)
    new, _ = master_key(second, second_key)
    assert old
    assert new
    assert old != new
    assert "wrong password" in master_key(second, site.key)[1]
    make_quick(second, ANOTHER)
    settings = (site.folder / "dro.yaml").read_text()
    closed = site.folder / "closed"
    closed.mkdir(mode=0o700)
    (site.folder / "dro.yaml").write_text(f"{settings}sandbox_directory: {closed}/sandbox\n")

    unproven = run_dro(site, *REKEY)

    assert unproven.code == 4, unproven.said
    assert (set(unproven.json["arrived"]), unproven.json["missing"]) == (points, [])
    assert (unproven.json["retired"], unproven.json["tests"]) == (None, {"files": "unproven"})
    (site.folder / "dro.yaml").write_text(settings)

    done = run_dro(site, *REKEY, "--reason", "Kim left", "--by", "Ada")

    assert done.code == 0, done.said
    assert done.json["retired"]
    assert done.json["tests"] == {"files": "passed"}
    assert done.json["changes"] == ["systems.files.backup: {schedule: every 30m, to: [second]}"]
    warned = run_dro(site, "backup", "riverside")
    assert (warned.code, "warning: onsite was retired on" in warned.stderr) == (0, True)
    (status,) = run_dro(site, "status", "riverside", "--json").json["practices"]
    assert [(each["repository"], each["replaced_by"]) for each in status["retired"]] == [
        ("onsite", "second")
    ]

    backup = "rpo: 1h, backup: {schedule: every 30m, to: [second]}"
    site.plan.write_text(site.plan.read_text().replace("rpo: 1h", backup))
    again = run_dro(site, *REKEY)

    assert (again.code, len(again.json["arrived"])) == (0, 2), again.said
    assert again.json["retired"] == done.json["retired"]
    assert again.json["changes"] == []
    (status,) = run_dro(site, "status", "riverside", "--json").json["practices"]
    assert status["retired"] == []
