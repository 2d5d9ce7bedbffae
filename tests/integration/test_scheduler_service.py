"""The systemd unit: accepted by systemd, and what it forbids keeps no backup and no proof away."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site, make_small_practice, new_site
from tests.support.tools import require_tool

UNIT = "dro-scheduler.service"

_AS_SYSTEMD_DOES = """\
set -e
mount --make-rprivate /
root=$HERE/root
mkdir -p $root
mount --bind / $root
for each in proc dev sys; do mount --rbind /$each $root/$each; done
for each in $WRITABLE; do mount --bind $each $root$each; done
mount -o remount,bind,ro $root
cd $root
pivot_root . mnt
umount -l /mnt
cd "$HERE"
exec setpriv --no-new-privs --bounding-set="$CAPABILITIES" "$@"
"""
"""What ProtectSystem=strict, ReadWritePaths, NoNewPrivileges and CapabilityBoundingSet come to,
without a systemd that runs (systemd.exec(5))."""


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as made:
        make_small_practice(made)
        yield made


def install(site: Site, *words: str) -> Path:
    folder = site.folder / "units"
    folder.mkdir(exist_ok=True)
    ended = site.dro("schedule", "install", "--write", "--folder", str(folder), *words)
    assert ended.code == 0, ended.said
    return folder


def test_unit_is_accepted_by_systemd(site: Site) -> None:
    require_tool("systemd-analyze")
    unit = install(site) / UNIT
    verified = subprocess.run(
        ("systemd-analyze", "verify", unit), capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_install_never_replaces_another_file_unasked(site: Site) -> None:
    folder = install(site)
    assert (
        "systemctl enable --now"
        in site.dro("schedule", "install", "--write", "--folder", str(folder)).stdout
    )
    (folder / UNIT).write_text("somebody's own")
    ended = site.dro("schedule", "install", "--write", "--folder", str(folder))
    assert ended.code == 2
    assert "is there already, and is another" in ended.stderr
    assert (folder / UNIT).read_text() == "somebody's own"
    install(site, "--force")
    assert "ExecStart" in (folder / UNIT).read_text()


def test_install_crontab_names_the_settings_and_the_program(site: Site) -> None:
    folder = install(site, "--crontab")
    line = (folder / "dro").read_text().splitlines()[-1]
    assert line.startswith("*/5 * * * * root { set -a; ")
    assert f" DRO_SETTINGS={site.folder}/dro.yaml " in line
    assert "schedule run --once" in line


def test_backup_and_proof_work_under_what_the_unit_forbids(site: Site) -> None:
    for tool in ("unshare", "pivot_root", "setpriv"):
        require_tool(tool)
    text = (install(site) / UNIT).read_text()
    writable = [
        path
        for line in re.findall(r"^ReadWritePaths=(.*)$", text, re.MULTILINE)
        for path in line.replace("-/", "/").split()
        if path not in {"/tmp", "/var/tmp"}  # where this very site is
    ]
    (forbidden,) = re.findall(r"^CapabilityBoundingSet=~(.*)$", text, re.MULTILINE)
    names = [name.removeprefix("CAP_").lower() for name in forbidden.split()]
    surroundings = {
        **site.environment,
        "WRITABLE": " ".join(writable),
        "HERE": str(site.folder),
        "CAPABILITIES": ",".join(f"-{name}" for name in names),
    }
    for words in (("backup", "riverside"), ("test", "riverside")):
        done = under_it(surroundings, sys.executable, "-m", "dr_orchestrator", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Read-only file system" in under_it(surroundings, "touch", "/usr/forbidden").stderr


def under_it(surroundings: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("unshare", "--mount", "sh", "-c", _AS_SYSTEMD_DOES, "sh", *argv),
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
