"""The recovery kit as a responder meets it: nothing but the folder, restic and the key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kits import read_all
from tests.support.site import Site, make_small_practice, new_site
from tests.support.tools import require_tool

_CANARY = "canary of a database password, 91c2"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with new_site() as made:
        make_small_practice(made, patients=3, documents=2)
        (made.folder / "kits").mkdir()
        kit = f"kit: {{folder: {made.folder}/kits}}\n"
        made.plan.write_text(made.plan.read_text() + kit)
        ended = made.dro("backup", "riverside")
        assert ended.code == 0, ended.said
        yield made


def by_hand(site: Site, kit: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a kit's script as somebody would who has only that and the key."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(site.folder / "home"),
        "RESTIC_PASSWORD_FILE": str(site.key),
    }
    return subprocess.run(
        ("bash", str(kit / "restore.sh"), *words),
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_kit_brings_the_data_back_with_restic_and_the_key_alone(site: Site) -> None:
    require_tool("pdftotext")
    out = site.folder / "usb"
    ended = site.dro("runbook", "kit", "riverside", "--out", str(out), SECRET_CANARY=_CANARY)
    assert ended.code == 0, ended.said
    kit = out / "riverside"

    text = subprocess.run(
        ("pdftotext", "-layout", str(kit / "kit.pdf"), "-"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pages = text.rstrip("\f").split("\f")
    assert len(pages) > 5
    for number, page in enumerate(pages, start=1):
        assert f"page {number} of {len(pages)}" in page
        assert "riverside · plan" in page

    moved = site.repository.rename(site.folder / "another-disk")
    try:
        listed = by_hand(site, kit, "list", "onsite", KIT_LOCATION=str(moved))
        assert listed.returncode == 0, listed.stderr
        checked = by_hand(site, kit, "check", "onsite", KIT_LOCATION=str(moved))
        assert checked.returncode == 0, checked.stderr
    finally:
        moved.rename(site.repository)
    back = site.folder / "back"
    restored = by_hand(site, kit, "restore", "emr", "onsite", str(back))
    assert restored.returncode == 0, restored.stderr
    documents = back / "documents" / site.documents.relative_to("/")
    assert read_all(documents) == read_all(site.documents)
    assert by_hand(site, kit, "restore", "emr", "onsite", str(back)).returncode == 2
    assert by_hand(site, kit).returncode == 2

    secret = site.key.read_text().strip().encode()
    for name, content in read_all(kit).items():
        assert secret not in content, name
        assert _CANARY.encode() not in content, name


def test_scheduler_makes_a_kit_that_is_due_and_it_is_current_until_a_change(site: Site) -> None:
    place = ("--check", str(site.folder / "kits"))
    ended = site.dro("schedule", "run", "--once")
    assert ended.code == 0, ended.said
    current = site.dro("runbook", "kit", "riverside", *place)
    assert current.code == 0, current.said
    site.plan.write_text(f"{site.plan.read_text()}# edited\n")
    stale = site.dro("runbook", "kit", "riverside", *place)
    assert (stale.code, "the plan or a runbook changed since" in stale.stdout) == (4, True)
    (site.folder / "kits" / "riverside" / "restore.sh").unlink()
    assert site.dro("runbook", "kit", "riverside", *place).code == 1
