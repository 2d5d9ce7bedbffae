from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click import BadParameter
from click.testing import CliRunner, Result

from dr_orchestrator.cli.report import command
from dr_orchestrator.errors import ExitCode, ProgramMissing, UsageMistake
from tests.support import practices
from tests.support.desk import Desk


def run(tmp_path: Path, *args: str) -> Result:
    with closing(Desk(tmp_path / "state", practices.broken(), json="--json" in args)) as desk:
        return ask(desk, *args)


def ask(desk: Desk, *args: str) -> Result:
    return CliRunner().invoke(
        command, args, obj=desk, standalone_mode=False, catch_exceptions=False
    )


def test_report_writes_the_page_and_prints_where(tmp_path: Path) -> None:
    out = tmp_path / "new" / "reports"
    result = run(tmp_path, "--out", str(out))
    page = out / "riverside.html"
    assert (result.return_value, result.stdout) == (ExitCode.OK, f"{page}\n")
    assert b"We could NOT rebuild" in page.read_bytes()
    assert [each.name for each in out.iterdir()] == ["riverside.html"]


def test_report_prints_the_page_as_json_and_writes_nothing_without_out(tmp_path: Path) -> None:
    result = run(tmp_path, "--json")
    told = json.loads(result.stdout)
    assert told["schema"] == 1
    assert told["pages"][0]["verdict"] == "breached"
    assert "path" not in told["pages"][0]
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_report_tells_the_path_in_json_and_text_on_stderr(tmp_path: Path) -> None:
    result = run(tmp_path, "--json", "--out", str(tmp_path / "out"))
    path = str(tmp_path / "out" / "riverside.html")
    assert json.loads(result.stdout)["pages"][0]["path"] == path
    assert result.stderr == f"{path}\n"


def test_report_asks_where_to_write(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="where to write"):
        run(tmp_path)


def test_report_says_so_when_the_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageMistake, match=r"riverside\.html cannot be written"):
        run(tmp_path, "--out", str(tmp_path / "taken"))


def test_report_written_twice_is_the_same_file(tmp_path: Path) -> None:
    every = ("--for", "manager,auditor,insurer,engineer", "--format", "html,json")
    with closing(Desk(tmp_path / "state", practices.broken())) as desk:
        for folder in "ab":
            ask(desk, *every, "--out", str(tmp_path / folder))
            ask(desk, "--fleet", "--out", str(tmp_path / folder))
    first, second = (
        {each.name: each.read_bytes() for each in (tmp_path / folder).iterdir()} for folder in "ab"
    )
    assert first == second
    assert len(first) == 9


def test_report_for_others_is_named_after_them(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(tmp_path, "--for", "manager, engineer", "--out", str(out), "--json")
    told = json.loads(result.stdout)
    assert {each.name for each in out.iterdir()} == {"riverside.html", "riverside.engineer.html"}
    assert [each["paths"] for each in told["reports"]] == [[str(out / "riverside.engineer.html")]]
    assert [each["reader"] for each in told["reports"]] == ["engineer"]
    assert "What is open" in (out / "riverside.engineer.html").read_text()


def test_report_refuses_a_reader_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="the press is none of manager, auditor"):
        run(tmp_path, "--for", "manager,the press", "--out", str(tmp_path))


def test_report_says_so_where_no_pdf_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ProgramMissing, match="can make no PDF") as missing:
        run(tmp_path, "--format", "html,pdf", "--out", str(tmp_path / "out"))
    assert missing.value.exit_code is ExitCode.UNPROVEN


def test_report_on_the_fleet_is_one_document(tmp_path: Path) -> None:
    told = json.loads(run(tmp_path, "--fleet", "--json", "--out", str(tmp_path / "out")).stdout)
    assert told["fleet"]["summary"] == "1 practice: 1 not kept."
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["fleet.html"]


def test_report_on_the_fleet_is_not_about_other_sites(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="--fleet is about this machine"):
        run(tmp_path, "--fleet", "--from", str(tmp_path), "--out", str(tmp_path))


def test_report_of_many_sites_refuses_a_practice(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="shows every site"):
        run(tmp_path, "riverside", "--from", str(tmp_path), "--out", str(tmp_path))
