"""From nothing but the kit, the key and the repository to a verified EMR database: in an empty
root, and as a drill.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import (
    BACKUP_PASSWORD,
    BACKUP_USER,
    EMR,
    PATIENT,
    SUPERUSER,
    Production,
    production,
)
from tests.support.sandbox import is_root
from tests.support.site import ROOT, Site, new_site
from tests.support.tools import require_tool

PYTHON = "/usr/bin/python3"
DUMP = "database/database.pgdump"


@dataclass(frozen=True)
class Responder:
    """Somebody with the kit, the key, and the disk with the repository; of us there is nothing."""

    site: Site
    server: Production
    plan: str

    @property
    def kit(self) -> Path:
        return self.site.folder / "kit" / "riverside"

    @property
    def home(self) -> Path:
        return self.site.folder / "responder"

    @property
    def restored(self) -> Path:
        return self.home / "restored"

    def in_an_empty_root(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program where there is Debian, the kit, the key and the disk, and nothing else."""
        etc = self.site.folder / "etc"
        etc.mkdir(exist_ok=True)
        us = f"responder:x:{os.getuid()}:{os.getgid()}::/home:/bin/sh\n"
        (etc / "passwd").write_text(f"{us}nobody:x:65534:65534::/nonexistent:/bin/false\n")
        (etc / "group").write_text(f"responder:x:{os.getgid()}:\nnogroup:x:65534:\n")
        beside = (Path("/") / name for name in ("bin", "sbin", "lib", "lib32", "lib64"))
        system = (
            word
            for path in beside
            if path.is_dir()
            for word in (
                ("--symlink", str(path.readlink()), str(path))
                if path.is_symlink()
                else ("--ro-bind", str(path), str(path))
            )
        )
        alone = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")
        argv = (
            *("bwrap", *alone, *(("--cap-add", "ALL") if is_root() else ("--unshare-user",))),
            *("--die-with-parent", "--new-session", "--clearenv"),
            *("--ro-bind", "/usr", "/usr", *system),
            *("--perms", "0755", "--dir", "/etc"),
            *("--ro-bind-try", "/etc/alternatives", "/etc/alternatives"),
            *("--ro-bind", str(etc / "passwd"), "/etc/passwd"),
            *("--ro-bind", str(etc / "group"), "/etc/group"),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--perms", "1777", "--tmpfs", "/tmp", "--perms", "1777", "--tmpfs", "/dev/shm"),
            *("--ro-bind", str(self.kit), "/kit"),
            *("--ro-bind", str(self.site.key), "/key"),
            *("--ro-bind", str(self.site.repository), "/media/usb"),
            *("--bind", str(self.home), "/home", "--chdir", "/home"),
            *("--setenv", "PATH", "/usr/bin:/usr/sbin:/bin", "--setenv", "HOME", "/home"),
            "--",
            *words,
        )
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=120, check=False, env={}
        )

    def script(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the kit's script on this machine, as whoever we are."""
        return subprocess.run(
            (PYTHON, "-I", str(self.kit / "dro-kit.py"), *words),
            env={"PATH": "/usr/bin:/usr/sbin:/bin", "HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def checked(self, folder: Path) -> tuple[int, dict[str, str]]:
        """Check a restored folder; return the exit code, and the result of each asset."""
        ended = self.script("check", str(folder), "--json")
        found = json.loads(ended.stdout)
        assets: dict[str, Any] = found["systems"]["emr"]["assets"]
        return ended.returncode, {name: each["result"] for name, each in assets.items()}


@pytest.fixture(scope="module")
def responder() -> Iterator[Responder]:
    """Back up an EMR, make the kit, and lose everything else."""
    for tool in ("bwrap", "setpriv", PYTHON):
        require_tool(tool)
    with production() as server, server.database("emr", EMR), new_site() as site:
        site.documents.mkdir()
        for number in range(5):
            (site.documents / f"{PATIENT} {number}.pdf").write_bytes(b"scan %d" % number)
        password = site.folder / "db-password"
        password.touch(mode=0o600)
        password.write_text(BACKUP_PASSWORD)
        site.write_plan(
            f"""\
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: postgres, host: {server.host}, port: {server.port}, database: emr,
                 user: {BACKUP_USER}, password: {{file: {password}}}}}
      documents: {{kind: files, path: {site.documents}}}
    verify:
      - baseline
      - {{title: newest, asset: database, sql: "select max(seen_at) from emr.encounter",
         expect: baseline}}
"""
        )
        assert site.dro("backup", "riverside").code == 0
        (site.folder / "kit").mkdir()
        (site.folder / "weasyprint.py").write_text("raise ImportError")  # a PDF takes seconds
        path = f"{site.folder}:{ROOT}"
        out = str(site.folder / "kit")
        made = site.dro("runbook", "kit", "riverside", "--out", out, PYTHONPATH=path)
        assert made.code == 0, made.said
        found = Responder(site, server, site.plan.read_text())
        found.home.mkdir()
        site.plan.unlink()
        yield found


@pytest.fixture(scope="module")
def started(responder: Responder) -> subprocess.CompletedProcess[str]:
    words = ("--at", "/media/usb", "--password-file", "/key", "--to", "/home/restored")
    return responder.in_an_empty_root(PYTHON, "/kit/dro-kit.py", "cold-start", "emr", *words)


def test_the_emr_comes_back_verified_in_an_empty_root_and_says_how_long_it_took(
    responder: Responder, started: subprocess.CompletedProcess[str]
) -> None:
    nothing = responder.in_an_empty_root(PYTHON, "-c", "import dr_orchestrator")
    assert "ModuleNotFoundError" in nothing.stderr
    assert started.returncode == 0, started.stdout + started.stderr
    told = json.loads((responder.restored / "cold-start.json").read_text())
    assert told["result"] == "passed"
    assert told["trust"] == "kit"
    assert 0 < told["restore_seconds"] + told["check_seconds"] <= told["seconds"] + 0.2
    assert {name: each["result"] for name, each in told["assets"].items()} == {
        "database": "passed",
        "documents": "passed",
    }
    last = started.stdout.splitlines()[-1]
    assert last.startswith("emr: back and verified after "), last
    assert "9 tables, 7,571 rows" in started.stdout
    assert max(map(len, started.stdout.splitlines())) <= 80
    steps = (responder.restored / "emr" / "NEXT-STEPS.txt").read_text()
    assert "pg_restore --exit-on-error" in steps


def test_neither_key_nor_patient_is_shown_or_left_anywhere(
    responder: Responder, started: subprocess.CompletedProcess[str]
) -> None:
    said = started.stdout + started.stderr
    said += "".join(each.read_text() for each in responder.restored.glob("*.json"))
    said += (responder.restored / "emr" / "NEXT-STEPS.txt").read_text()
    for canary in (PATIENT, responder.site.key.read_text().strip()):
        assert canary not in said
    assert list(responder.restored.glob("check-*")) == []


def test_what_was_damaged_between_restore_and_check_is_not_green(
    responder: Responder, started: subprocess.CompletedProcess[str]
) -> None:
    place = responder.home / "damaged"
    shutil.copytree(responder.restored, place, symlinks=True)
    place.chmod(0o711)
    assets = place / "emr" / "assets"
    next((assets / "documents").rglob("*.pdf")).unlink()
    dump = assets / DUMP
    dump.write_bytes(dump.read_bytes()[:-2000])
    assert responder.checked(place) == (1, {"database": "failed", "documents": "failed"})


def test_a_dump_that_lacks_one_row_is_not_green(
    responder: Responder, started: subprocess.CompletedProcess[str]
) -> None:
    place = responder.home / "one-less"
    shutil.copytree(responder.restored, place, symlinks=True)
    place.chmod(0o711)
    responder.server.run("delete from emr.lab where id = 4000", "emr")
    with (place / "emr" / "assets" / DUMP).open("wb") as file:
        subprocess.run(
            (require_tool("pg_dump"), "-Fc", "-h", responder.server.host, "-U", SUPERUSER, "emr"),
            stdout=file,
            check=True,
        )
    assert responder.checked(place) == (1, {"database": "failed", "documents": "passed"})


def test_a_manifest_that_was_changed_makes_nothing_green(
    responder: Responder, started: subprocess.CompletedProcess[str]
) -> None:
    manifest = responder.restored / "emr" / "point" / "manifest.json"
    content = manifest.read_text()
    manifest.write_text(content.replace('"level": "full"', '"level": "none"'))
    assert manifest.read_text() != content
    try:
        assert responder.checked(responder.restored) == (4, {})
    finally:
        manifest.write_text(content)


def _forge(responder: Responder, point: str, **changes: str) -> None:
    """Save a manifest as whoever has the key may."""
    folder = responder.site.folder / f"forged-{point}"
    shutil.copytree(responder.restored / "emr" / "point", folder)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"point": point} | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tags = f"dro=manifest,practice=riverside,system=emr,point={point}"
    responder.site.restic("backup", "--tag", tags, str(folder))


def test_points_marks_what_the_kit_does_not_know_and_restore_leaves_it(
    responder: Responder, started: subprocess.CompletedProcess[str]
) -> None:
    told = json.loads((responder.restored / "cold-start.json").read_text())
    _forge(responder, "20991231-000000-forged")
    _forge(responder, told["point"], made_by="somebody else")
    source = ("--repository", "onsite", "--password-file", str(responder.site.key))
    ended = responder.script("points", *source, "--json")
    assert ended.returncode == 0, ended.stderr
    trust = [(each["id"], each["trust"]) for each in json.loads(ended.stdout)["points"]]
    assert sorted(trust) == sorted(
        [
            ("20991231-000000-forged", "repository"),
            (told["point"], "forged"),
            (told["point"], "kit"),
        ]
    )
    assert "NOT GENUINE" in ended.stderr
    place = responder.home / "again"
    ended = responder.script("restore", "emr", *source, "--to", str(place))
    assert ended.returncode == 0, ended.stderr
    assert json.loads((place / "restored.json").read_text())["systems"]["emr"]["trust"] == "kit"
    other = responder.home / "kit-with-more"
    shutil.copytree(responder.kit, other)
    content = json.loads((other / "kit.json").read_text())
    content["systems"]["directory"] = {"repositories": ["elsewhere"]}
    (other / "kit.json").write_text(json.dumps(content))
    place = responder.home / "all"
    ended = responder.script("restore", "--all", *source, "--to", str(place), "--kit", str(other))
    assert ended.returncode == 3, ended.stdout
    assert "directory: no point of it is in onsite" in " ".join(ended.stdout.split())
    assert json.loads((place / "restored.json").read_text())["asked_for"] == ["emr", "directory"]
    wrong = responder.home / "wrong-key"
    wrong.write_text("wrong")
    ended = responder.script("points", *source[:2], "--password-file", str(wrong))
    assert ended.returncode == 1
    assert "this password does not open the repository onsite" in " ".join(ended.stderr.split())


def test_a_cold_start_is_a_drill_that_is_recorded_and_leaves_nothing(
    responder: Responder, started: subprocess.CompletedProcess[str]
) -> None:
    site = responder.site
    site.plan.write_text(responder.plan)
    ended = site.dro("drill", "riverside", "--cold", "--by", "Ann", "--json")
    assert ended.code == 0, ended.said
    drill = ended.json["drill"]
    assert (drill["kind"], drill["result"], drill["by"]) == ("cold start", "passed", "Ann")
    (system,) = drill["systems"]
    assert system["system"] == "emr"
    assert system["point"]
    assert 0 < system["ready_seconds"] == drill["seconds"]
    assert site.leftovers() == []
    runs = site.dro("runs", "riverside", "--json")
    assert any(each["operation"] == "drill" for each in runs.json["runs"]), runs.said
    for canary in (PATIENT, site.key.read_text().strip(), os.fspath(site.key)):
        assert canary not in ended.said
