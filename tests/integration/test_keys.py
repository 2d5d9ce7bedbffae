"""A key for the manager, as people make, print, type and revoke it; with restic and zbar."""

from __future__ import annotations

import html
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dr_orchestrator.cli.main import Context, dro
from dr_orchestrator.errors import DroError
from dr_orchestrator.store.sqlite import FILE_NAME
from tests.support.site import Site, new_site
from tests.support.tools import require_tool

PLAN = """\
  files: {{rto: 4h, rpo: 1h, assets: {{documents: {{kind: files, path: {documents}}}}}}}
contacts: {{manager: {{role: practice manager}}}}
custody:
  - {{holder: manager, form: sealed sheet, prove_every: 90d}}
  - {{holder: msp, form: vault}}
"""
PLANS_OWN = "a key of the tests, 7f3a9c"


@dataclass(frozen=True)
class Done:
    """How a command ended, in this process, as `main` runs it."""

    code: int
    json: Any
    said: str


@dataclass(frozen=True)
class Sheet:
    """A practice of which the manager holds a key on paper."""

    site: Site
    key: str
    files: tuple[Path, Path]
    id: str

    def prove(self, key: str, *, holder: str = "manager") -> Done:
        """Type a key where `dro key prove` reads it without a terminal."""
        return _dro(self.site, "prove", "riverside", "--holder", holder, typed=f"{key}\n")

    def keys(self) -> dict[str, Any]:
        """Return what `dro key list` says of the repository."""
        (practice,) = _dro(self.site, "list").json["practices"]
        (repository,) = practice["repositories"]
        found: dict[str, Any] = repository
        return found

    def evidence(self) -> set[str]:
        """Return the kinds of lines that are on record."""
        connection = sqlite3.connect(self.site.state / FILE_NAME)
        kinds = {str(kind) for (kind,) in connection.execute("select kind from evidence")}
        connection.close()
        return kinds


def _dro(site: Site, *words: str, typed: str = "") -> Done:
    context = Context(json=True)
    try:
        ended = CliRunner().invoke(
            dro,
            ("key", *words, "--json"),
            obj=context,
            input=typed,
            env=site.environment,
            standalone_mode=False,
        )
    finally:
        context.close()
    if isinstance(ended.exception, DroError):
        return Done(ended.exception.exit_code, None, str(ended.exception))
    assert ended.exception is None, ended.exception
    return Done(ended.return_value or 0, json.loads(ended.stdout), ended.output)


@pytest.fixture(scope="module")
def sheet() -> Iterator[Sheet]:
    with new_site() as site:
        site.documents.mkdir()
        (site.documents / "scan.pdf").write_text("Ann Lee")
        site.write_plan(PLAN.format(documents=site.documents))
        assert site.dro("backup").code == 0
        out = str(site.folder / "sheets")
        made = _dro(site, "sheet", "riverside", "--holder", "manager", "--out", out)
        assert made.code == 0, made.said
        screen, paper = (Path(each) for each in made.json["files"])
        key = "-".join(re.findall(r"<b>([0-9A-Z]{5})</b>", screen.read_text()))
        (one,) = made.json["keys"]
        yield Sheet(site, key, (screen, paper), one["key"])


def _run(program: str, *words: str) -> str:
    argv = (str(require_tool(program)), *words)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_sheet_is_one_page_for_its_maker_alone_and_its_code_is_the_key(
    sheet: Sheet, tmp_path: Path
) -> None:
    assert {file.stat().st_mode & 0o777 for file in sheet.files} == {0o600}
    _run("pdftoppm", "-r", "110", "-png", str(sheet.files[1]), str(tmp_path / "page"))
    (page,) = tmp_path.glob("page*.png")
    read = _run("zbarimg", "--quiet", "--raw", "--nodbus", str(page))
    assert read.strip() == sheet.key
    assert len(sheet.key) == 47


def test_sheet_goes_over_none_that_is_there_and_makes_no_key_then(sheet: Sheet) -> None:
    before = sorted((sheet.site.repository / "keys").iterdir())
    out = str(sheet.files[0].parent)
    again = _dro(sheet.site, "sheet", "riverside", "--holder", "manager", "--out", out)
    assert (again.code, "is there already" in again.said) == (2, True)
    assert sorted((sheet.site.repository / "keys").iterdir()) == before


def test_key_is_proven_as_people_type_it_and_that_is_evidence(sheet: Sheet) -> None:
    proven = sheet.prove(sheet.key.lower().replace("-", " ").replace("0", "o"))

    (tried,) = proven.json["repositories"]
    assert (proven.code, tried["opened"], tried["key"]) == (0, True, sheet.id)
    listed = sheet.keys()
    (mine,) = (key for key in listed["keys"] if key["key"] == sheet.id)
    assert (mine["holders"], bool(mine["proven"])) == (["manager"], True)
    assert listed["holders_without_a_key"] == ["msp"]
    assert {"key_made", "key_tried"} <= sheet.evidence()


def test_mistyped_group_is_named_before_restic_is_asked(sheet: Sheet) -> None:
    wrong = sheet.key[:13] + ("7" if sheet.key[13] != "7" else "8") + sheet.key[14:]
    moved = sheet.site.repository.rename(sheet.site.folder / "away")  # restic would say so
    try:
        refused = sheet.prove(wrong)
    finally:
        moved.rename(sheet.site.repository)

    assert refused.code == 2
    assert "group 3 is not as it was printed" in refused.said
    assert not any(group in refused.said for group in wrong.split("-"))


def test_wrong_key_opens_nothing_and_the_right_one_makes_up_for_it(sheet: Sheet) -> None:
    wrong = sheet.prove("somebody else's", holder="msp")
    assert (wrong.code, wrong.json["repositories"][0]["opened"]) == (1, False)
    right = sheet.prove(PLANS_OWN, holder="msp")
    assert (right.code, right.json["repositories"][0]["opened"]) == (0, True)


def test_repository_that_does_not_answer_takes_no_proof_away(sheet: Sheet) -> None:
    sheet.prove(PLANS_OWN, holder="msp")
    moved = sheet.site.repository.rename(sheet.site.folder / "away")
    try:
        untried = sheet.prove(PLANS_OWN, holder="msp")
        listed = _dro(sheet.site, "list")
    finally:
        moved.rename(sheet.site.repository)

    assert (untried.code, untried.json["repositories"][0]["tried"]) == (1, False)
    assert listed.code == 3
    assert listed.json["practices"][0]["custody"][1]["verdict"] == "met"


def test_key_is_nowhere_but_on_its_sheet(sheet: Sheet) -> None:
    two_groups = (sheet.key[start : start + 11] for start in range(0, 37, 6))
    needles = [part.encode() for part in (*two_groups, sheet.key.replace("-", ""))]
    places = [each for each in sheet.site.folder.rglob("*") if each.is_file()]
    assert len(places) > 20
    assert {
        each
        for each in places
        if each not in sheet.files and any(needle in each.read_bytes() for needle in needles)
    } == set()


def test_lines_of_the_sheet_bring_a_file_back_with_restic_alone(
    sheet: Sheet, tmp_path: Path
) -> None:
    text = sheet.files[0].read_text()
    lines = re.findall(r"<li><code>(.*?)</code></li>", text)
    _install, export, read, snapshots, restore = (html.unescape(each) for each in lines)
    newest = sheet.site.restic("snapshots", "--tag", "asset=documents", "--latest", "1").split()
    (snapshot,) = (each for each in newest if re.fullmatch(r"[0-9a-f]{8}", each))

    typed_in = (export, read, snapshots, restore.replace(" ID ", f" {snapshot} "))

    done = subprocess.run(
        ("bash", "-c", "\n".join(typed_in)),
        input=f"{sheet.key}\n",
        env={"PATH": sheet.site.environment["PATH"], "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert snapshot in done.stdout
    (restored,) = (tmp_path / "restored").rglob("scan.pdf")
    assert restored.read_text() == "Ann Lee"


def test_revoked_key_opens_nothing_and_the_plan_s_own_stays(sheet: Sheet) -> None:
    words = ("revoke", "riverside", "--why", "the sheet was opened", "--yes")
    (own,) = (key["key"] for key in sheet.keys()["keys"] if key["plans_own"])
    refused = _dro(sheet.site, *words, "riverside", "--key", own)
    assert (refused.code, "is the plan's own key" in refused.said) == (2, True)
    assert _dro(sheet.site, *words, "riverbend", "--holder", "manager").code == 2
    assert sheet.id in {key["key"] for key in sheet.keys()["keys"]}

    revoked = _dro(sheet.site, *words, "riverside", "--holder", "manager")

    assert (revoked.code, revoked.json["revoked"][0]["key"]) == (0, sheet.id)
    assert "`dro repository rekey`" in revoked.said
    assert {key["key"] for key in sheet.keys()["keys"]} == {own}
    assert sheet.prove(sheet.key).code == 1
    assert "key_revoked" in sheet.evidence()
