"""Whoever can write to a repository can write a plan there: it is named, and nothing of it runs."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.in_process import run_dro
from tests.support.site import Ended, Site, new_site

SYSTEMS = "  files: {{rto: 4h, rpo: 1h, assets: {{documents: {{kind: files, path: {path}}}}}}}\n"


@dataclass(frozen=True)
class Attacked:
    """A practice, whose repository others can write to."""

    site: Site
    point: str

    @property
    def ran(self) -> Path:
        """Where a program of the attacker would leave its mark."""
        return self.site.folder / "ran"

    def recover(self, to: Path, *words: str) -> Ended:
        return run_dro(
            self.site,
            *("recover", str(self.site.repository), "--to", str(to)),
            *("--password-file", str(self.site.key), *words),
            DRO_SETTINGS="",
        )

    def forge(self, folder: Path, point: str, plan: str, runbooks: dict[str, str]) -> None:
        """Save a manifest with another plan, as whoever has the key can."""
        self.site.restic("restore", "latest", "--tag", "dro=manifest", "--target", str(folder))
        (file,) = folder.rglob("manifest.json")
        place = file.parent
        manifest = json.loads(file.read_text())
        (place / "plan.yaml").write_text(plan)
        for name, text in runbooks.items():
            (place / "runbooks" / Path(name).name).write_text(text)
        manifest |= {
            "point": point,
            "made_by": "a stranger",
            "plan_sha256": hashlib.sha256(plan.encode()).hexdigest(),
            "runbooks": {
                name: hashlib.sha256(text.encode()).hexdigest() for name, text in runbooks.items()
            },
        }
        file.write_text(json.dumps(manifest))
        tags = f"dro=manifest,practice=riverside,system=files,point={point}"
        self.site.restic("backup", "--tag", tags, str(place))


@pytest.fixture(scope="module")
def attacked() -> Iterator[Attacked]:
    with new_site() as site:
        site.documents.mkdir()
        (site.documents / "letter.txt").write_text("a letter")
        site.write_plan(SYSTEMS.format(path=site.documents))
        assert run_dro(site, "backup", "riverside").code == 0
        assert run_dro(site, "evidence", "anchor", "riverside").code == 0
        (point,) = run_dro(site, "points", "riverside", "--json").json["points"]
        yield Attacked(site, point["id"])


def test_killed_recovery_is_gone_on_with(attacked: Attacked, tmp_path: Path) -> None:
    site, folder = attacked.site, tmp_path / "recovered"
    words = ("recover", str(site.repository), "--to", str(folder))
    process = subprocess.Popen(
        (*site.argv, *words, "--password-file", str(site.key)),
        env=site.environment | {"DRO_SETTINGS": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (folder / "state" / "dro.sqlite3").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not json.loads((folder / "recovered.json").read_text())["finished"]

    other = run_dro(site, "recover", "/elsewhere", "--to", str(folder), DRO_SETTINGS="")
    assert (other.code, "is of a recovery from" in other.stderr) == (2, True)
    again = attacked.recover(folder, "--json")

    assert again.code == 0, again.said
    assert [each["id"] for each in again.json["points"]] == [attacked.point]
    chains = run_dro(
        site, "evidence", "verify", "riverside", "--json", DRO_SETTINGS=str(folder / "dro.yaml")
    )
    assert chains.json["evidence"][0]["sound"], chains.said


def test_forged_plan_is_named_and_none_of_its_commands_runs(
    attacked: Attacked, tmp_path: Path
) -> None:
    site, point = attacked.site, f"{datetime.now(UTC):%Y%m%d-%H%M%S}-forged"
    touch = f"[/usr/bin/touch, {attacked.ran}]"
    plan = f"""\
version: 1
practice: {{id: riverside, name: Riverside}}
repositories:
  onsite: {{location: {site.repository}, password: {{command: {touch}}}}}
  other: {{location: /elsewhere, password: {{command: {touch}}}}}
systems:
  files:
    rto: 4h
    rpo: 1h
    assets:
      documents: {{kind: files, path: {site.documents}}}
      dump: {{kind: command, dump: {touch}, restore: {touch[:-1]}, "{{dump}}"]}}
"""
    escape = "../../escaped.yaml"
    attacked.forge(tmp_path / "forged", point, plan, {"triage.yaml": "title: x\n", escape: "x"})
    folder = tmp_path / "recovered"

    ended = attacked.recover(folder, "--json")

    said = ended.json
    assert said["point"] == point, said["doubts"]
    doubts = " ".join(said["doubts"])
    assert f"plan or runbooks are not those of point {attacked.point}" in doubts
    assert "made by a stranger" in doubts
    assert "1 runbook left out: the name is none" in doubts
    assert f"repositories.other.password.command: /usr/bin/touch {attacked.ran}" in said["commands"]
    assert not said["commands_allowed"]
    assert list(folder.rglob("escaped.yaml")) == []
    settings = str(folder / "dro.yaml")
    for words in (("backup", "riverside"), ("test", "riverside", "--repository", "other")):
        assert run_dro(site, *words, DRO_SETTINGS=settings).code != 0
        assert not attacked.ran.exists(), words

    taken = attacked.recover(tmp_path / "earlier", "--point", attacked.point, "--json")
    assert taken.json["doubts"] == []
    assert taken.json["commands"] == []


def test_plan_whose_location_is_a_program_is_refused(attacked: Attacked, tmp_path: Path) -> None:
    point = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-zforged"
    location = f"rclone::sftp,ssh=/usr/bin/touch {attacked.ran}:/x"
    plan = f"""\
version: 1
practice: {{id: riverside, name: Riverside}}
repositories:
  onsite: {{location: {attacked.site.repository}, password: {{file: /key}}}}
  other: {{location: "{location}", password: {{file: /key}}}}
{"systems:"}
{SYSTEMS.format(path=attacked.site.documents)}"""
    attacked.forge(tmp_path / "forged", point, plan, {})

    ended = attacked.recover(tmp_path / "recovered")

    assert ended.code == 2
    assert "could run a program: repositories.other: rclone::sftp" in ended.stderr
    assert "--point ID" in ended.stderr
    assert not (tmp_path / "recovered").exists()
    assert not attacked.ran.exists()
