from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.cli.report import command
from dr_orchestrator.errors import ExitCode, UsageMistake
from tests.support import practices
from tests.support.desk import Desk


def run(tmp_path: Path, *args: str) -> Result:
    desk = Desk(tmp_path / "state", practices.broken(), json="--json" in args)
    try:
        return CliRunner().invoke(
            command, args, obj=desk, standalone_mode=False, catch_exceptions=False
        )
    finally:
        desk.close()


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
    for state in ("a", "b"):
        (tmp_path / state).mkdir()
        run(tmp_path / state, "--out", str(tmp_path / state / "out"))
    first, second = ((tmp_path / each / "out/riverside.html").read_bytes() for each in "ab")
    assert first == second


def test_report_of_many_sites_refuses_a_practice(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="shows every site"):
        run(tmp_path, "riverside", "--from", str(tmp_path), "--out", str(tmp_path))
