from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.app import App
from dr_orchestrator.cli.evidence import command
from dr_orchestrator.cli.main import Context
from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.record import SystemPaused
from dr_orchestrator.errors import EvidenceConflict, UsageMistake
from dr_orchestrator.plan.model import Reader
from dr_orchestrator.report.write import report_for
from dr_orchestrator.settings import load_settings
from dr_orchestrator.store.sqlite import FILE_NAME
from tests.support.clock import START, FakeClock
from tests.support.kits import PLAN

_FOLDERS = ("plans", "state", "cache")


class _Desk(Context):
    """The commands' context, on a machine that has nothing but a plan."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        (folder / "plans").mkdir()
        (folder / "plans" / "riverside.yaml").write_text(PLAN)

    @cached_property
    def app(self) -> App:
        return App(load_settings(), FakeClock())

    def happens(self) -> None:
        pause = SystemPaused(
            practice="riverside", system="", at=START, until=START, by="kim", why="server move"
        )
        self.store().record(pause)

    def run(self, *words: str) -> Result:
        self.json = "--json" in words
        return CliRunner().invoke(command, words, obj=self, catch_exceptions=False)

    def code(self, *words: str) -> int:
        return int(CliRunner().invoke(command, words, obj=self, standalone_mode=False).return_value)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Desk]:
    file = tmp_path / "dro.yaml"
    file.write_text("".join(f"{each}: {tmp_path}/{each}\n" for each in _FOLDERS))
    monkeypatch.setenv("DRO_SETTINGS", str(file))
    desk = _Desk(tmp_path)
    yield desk
    desk.app.close()


def test_practice_without_evidence_is_neither_sound_nor_unsound(desk: _Desk) -> None:
    assert (desk.code("verify"), desk.code("show")) == (4, 4)


def test_show_says_head_key_and_that_it_is_nowhere_else(desk: _Desk) -> None:
    desk.happens()
    (found,) = json.loads(desk.run("show", "--json").stdout)["evidence"]
    (chain,) = found["chains"]
    shown = desk.run("show").stdout
    for said in (chain["head"], chain["key"], "dro evidence anchor riverside"):
        assert said in shown
    assert (chain["number"], chain["unsigned"], found["kept"]) == (2, 2, [])


def test_verify_holds_a_head_and_a_key_against_the_chain(desk: _Desk) -> None:
    desk.happens()
    ((chain,),) = (
        each["chains"] for each in json.loads(desk.run("show", "--json").stdout)["evidence"]
    )
    assert desk.code("verify", "--expect", chain["head"][:12].upper(), "--key", chain["key"]) == 0
    assert desk.code("verify", "--expect", "0" * 12) == 1
    assert desk.code("verify", "--key", "0" * 64) == 4
    found = json.loads(desk.run("verify", "--json").stdout)["evidence"][0]
    assert (found["sound"], found["faults"], found["compared"]) == (True, [], 0)
    (note,) = found["notes"]
    assert note.startswith("not compared with the copies in onsite, offsite, server (--repository")


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "--expect", "0" * 11),
        ("verify", "--expect", "no digits at all"),
        ("verify", "--key", "0" * 63),
        ("export", "riverside"),
    ],
)
def test_what_is_no_head_and_no_key_is_a_mistake(desk: _Desk, words: tuple[str, ...]) -> None:
    assert desk.run(*words).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "riverside", "--file", "a.zip"),
        ("verify", "--file", "a.zip", "--repository", "onsite"),
        ("verify", "--file", "a.zip"),
        ("verify", "--repository", "nowhere"),
        ("export", "--out", "a.zip", "--from-repository", "nowhere"),
        ("export", "--out", "a.zip"),
        ("begin-anew", "riverside"),
        ("begin-anew", "riverside", "--yes"),
    ],
)
def test_what_cannot_be_done_is_refused(desk: _Desk, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageMistake):
        desk.run(*words)


def test_key_is_renewed_and_named(desk: _Desk) -> None:
    desk.happens()
    said = json.loads(desk.run("renew-key", "--json").stdout)
    (found,) = json.loads(desk.run("show", "--json").stdout)["evidence"]
    assert (said["chains"], said["now"]) == (1, found["chains"][0]["key"])
    assert desk.code("verify", "--key", said["before"]) == 0


def test_export_is_proven_by_a_key_and_a_head_that_were_given_and_by_no_less(
    desk: _Desk, tmp_path: Path
) -> None:
    desk.happens()
    file = str(tmp_path / "riverside.zip")
    (chain,) = json.loads(desk.run("export", "--out", file, "--json").stdout)["chains"]
    assert (chain["ours"], chain["number"]) == (True, 3)
    check, by_key, by_head = (
        ("verify", "--file", file),
        ("--key", chain["key"]),
        ("--expect", chain["head"][:12]),
    )
    assert desk.code(*check, *by_key, *by_head) == 0
    assert [desk.code(*check, *each) for each in ((), by_key, by_head)] == [4, 4, 4]
    assert desk.code(*check, "--key", "0" * 64, *by_head) == 4
    assert desk.code(*check, *by_key, *by_head, "--expect", "0" * 12) == 1
    assert "whether the end of chain" in desk.run(*check, *by_key).stdout


def test_altered_evidence_is_handed_out_only_where_that_is_known_and_says_so(
    desk: _Desk, tmp_path: Path
) -> None:
    desk.happens()
    with sqlite3.connect(tmp_path / "state" / FILE_NAME) as record:
        record.execute("drop trigger journal_no_update")
        record.execute("update journal set payload = replace(payload, 'kim', 'eve')")
    file = tmp_path / "riverside.zip"
    with pytest.raises(EvidenceConflict, match="not as it was written"):
        desk.run("export", "--out", str(file))
    assert not file.exists()
    assert desk.code("export", "--out", str(file), "--although-altered") == 1
    with zipfile.ZipFile(file) as written:
        assert written.read("READ-ME.txt").startswith(b"THIS RECORD WAS FOUND ALTERED")


@pytest.mark.parametrize("reader", list(Reader))
def test_no_report_of_a_record_that_was_altered_a_minute_ago_calls_anything_kept(
    desk: _Desk, tmp_path: Path, reader: Reader
) -> None:
    (loaded,) = desk.plans(())
    assert report_for(reader, desk.app.subject(loaded)).notice == ""
    with sqlite3.connect(tmp_path / "state" / FILE_NAME) as record:
        record.execute("delete from promise")
    report = report_for(reader, desk.app.subject(loaded))
    assert report.notice.startswith("The record behind this report was altered")
    assert report.verdict is not Verdict.MET
