"""The recovery kit as a responder meets it: nothing but the folder, restic and the key."""

from __future__ import annotations

import html
import os
import re
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


def environment_of(site: Site) -> dict[str, str]:
    """Return what somebody has who has only the kit and the key."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(site.folder / "home"),
        "RESTIC_PASSWORD_FILE": str(site.key),
    }


def typed_by_hand(kit: Path) -> list[str]:
    """Return the commands of the first page that run the kit's scripts on Linux, in its order."""
    page = (kit / "START-HERE.html").read_text(encoding="utf-8")
    shown = "\n".join(re.findall("<pre>(.*?)</pre>", page, re.DOTALL))
    ours = ("./restore.sh", "python3 dro-kit.py")
    return [line for line in html.unescape(shown).splitlines() if line.startswith(ours)]


def by_hand(site: Site, kit: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a kit's script as somebody would who has only that and the key."""
    return subprocess.run(
        ("bash", str(kit / "restore.sh"), *words),
        env=environment_of(site) | more,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_kit_brings_the_data_back_with_restic_and_the_key_alone(site: Site) -> None:
    require_tool("pdftotext")
    out = site.folder / "usb"
    ended = site.dro("runbook", "kit", "riverside", "--out", str(out))
    assert (ended.code, "there is no folder" in ended.said, out.exists()) == (2, True, False)
    out.mkdir()
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
    finally:
        moved.rename(site.repository)
    typed = typed_by_hand(kit)
    assert len(typed) == len(set(typed)) == 7
    for line in typed:  # from top to bottom, as a tired person does
        done = subprocess.run(
            ("bash", "-c", line.replace("/srv/", f"{site.folder}/")),
            cwd=kit,
            env=environment_of(site),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    back = site.folder / "restic-emr-onsite"
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
