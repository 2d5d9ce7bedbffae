"""The last day, as two MSP engineers live it: one hands a practice over, the other goes on."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.record import SignedOff
from dr_orchestrator.store.sqlite import open_store
from tests.support.promises import make_sign_off
from tests.support.site import Ended, Site, make_small_practice, new_site

MARKER = "Mrs. Unmistakable Marker"


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Site, Site]]:
    with new_site() as giver, new_site(repository=False) as taker:
        make_small_practice(giver, patients=3, documents=3)
        with sqlite3.connect(giver.database) as database:
            database.execute("update patient set name = ?", (MARKER,))
        database.close()
        _no_pdf(giver)
        assert giver.dro("backup", "riverside").code == 0
        assert giver.dro("test", "riverside").code == 0
        _sign(giver)
        yield giver, taker


def _no_pdf(site: Site) -> None:
    """Make it a machine without WeasyPrint: a kit on paper takes seconds."""
    (site.folder / "without").mkdir()
    (site.folder / "without" / "weasyprint.py").write_text("raise ImportError\n")


def _sign(site: Site) -> None:
    with open_store(site.state, SystemClock()) as store:
        promise = store.newest_promise("riverside")
        assert promise is not None
        signed = make_sign_off(SystemClock().now(), promise=promise.id)
        store.record(SignedOff(sign_off=signed))


def _hand_over(site: Site, out: Path, *words: str) -> Ended:
    path = f"{site.folder}/without:{site.environment['PYTHONPATH']}"
    return site.dro("handover", "riverside", "--out", str(out), *words, PYTHONPATH=path)


def _findings(site: Site) -> list[tuple[str, str, str | None]]:
    (practice,) = site.dro("status", "riverside", "--json").json["practices"]
    return [(each["objective"], each["verdict"], each["reason"]) for each in practice["findings"]]


def _texts(folder: Path) -> Iterator[bytes]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield file.read_bytes()
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as content:
                yield from (content.read(name) for name in content.namelist())


def test_second_machine_goes_on_without_a_break(sites: tuple[Site, Site], tmp_path: Path) -> None:
    giver, taker = sites
    before = [(objective, verdict) for objective, verdict, _ in _findings(giver)]
    out = tmp_path / "handed"

    words = ("--to", "Lakeview IT", "--why", "the contract ends", "--json")
    asked = _hand_over(giver, out, *words)
    assert (asked.code, out.exists(), "--yes riverside" in asked.stderr) == (2, False, True)
    handed = _hand_over(giver, out, *words, "--yes", "riverside")
    assert handed.code == 0, handed.said

    assert not [text for text in _texts(out) if MARKER.encode() in text]
    secret = giver.key.read_text().strip().encode()
    assert not [text for text in _texts(out) if secret in text]
    status = giver.dro("status")
    assert (status.code, "handed over to Lakeview IT on" in status.stdout) == (0, True)
    refused = giver.dro("backup", "riverside")
    assert (refused.code, "--withdraw" in refused.stderr) == (2, True)

    taken = taker.dro(
        "takeover", str(out), "--key", handed.json["key"], "--trust-commands", "--json"
    )
    assert taken.code == 0, taken.said
    assert taken.json["retention"] == {"onsite": None}

    now = [(objective, verdict) for objective, verdict, _ in _findings(taker)]
    assert (now, {verdict for _, verdict in now}) == (before, {"met"})
    assert taker.dro("test", "riverside").code == 0
    verified = taker.dro("evidence", "verify", "riverside", "--repository", "onsite", "--json")
    assert verified.code == 0, verified.said
    export = tmp_path / "both.zip"
    done = taker.dro("evidence", "export", "riverside", "--out", str(export), "--json").json
    heads = [word for each in done["chains"] for word in ("--key", each["key"])]
    heads += [word for each in done["chains"] for word in ("--expect", each["head"])]
    checked = subprocess.run(
        (sys.executable, "-I", export, *heads), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, len(done["chains"])) == (0, 2), checked.stdout

    assert taker.dro("evidence", "anchor", "riverside").code in {0, 3}
    back = giver.dro("handover", "riverside", "--withdraw")
    assert (back.code, "onsite: another machine went on" in back.stdout) == (2, True), back.said
