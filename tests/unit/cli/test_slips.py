"""What a person reads after a slip of the hand, and where nobody is there to type at all."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from dr_orchestrator.adopt.address import named_assets
from dr_orchestrator.adopt.probe import Found
from dr_orchestrator.cli import find, init
from dr_orchestrator.cli.main import Context
from dr_orchestrator.cli.options import confirm, told_by_location
from dr_orchestrator.cli.restore import _show
from dr_orchestrator.cli.runbook_lines import TypedLines
from dr_orchestrator.cli.runbook_walk import Sitting
from dr_orchestrator.errors import (
    Interrupted,
    PasswordRefused,
    RepositoryAbsent,
    RepositoryError,
    UsageMistake,
    WrongPassword,
)


class _AtATerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_confirm_asks_for_nothing_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageMistake, match="nobody is there to type") as refused:
        confirm("riverside", None)
    assert refused.value.hint == "--yes riverside"
    monkeypatch.setattr(sys, "stdin", io.StringIO("riverside\n"))
    confirm("riverside", None)
    assert capsys.readouterr().err == ""

    monkeypatch.setattr(sys, "stdin", _AtATerminal("lakeside\n"))
    with pytest.raises(UsageMistake, match="not confirmed"):
        confirm("riverside", None)
    assert "type the practice's id" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stdin", "expected"), [(io.StringIO, UsageMistake), (_AtATerminal, Interrupted)]
)
def test_a_sitting_says_that_it_needs_somebody_where_nobody_types(
    stdin: Callable[[], io.StringIO],
    expected: type[UsageMistake | Interrupted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin())
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        sitting = Sitting(context=Context(), plain=True, by="root", _lines=TypedLines(nothing))
        with pytest.raises(expected):
            sitting.ask("Your name", "root")
    finally:
        os.close(nothing)


@pytest.mark.parametrize("error", [WrongPassword, RepositoryAbsent])
def test_a_repository_in_no_plan_is_told_by_where_it_is(error: type[RepositoryError]) -> None:
    with pytest.raises(error, match="/mnt/disk") as refused, told_by_location("/mnt/disk"):
        raise error("the repository onsite is not as it should be", hint="`obtain:`")
    assert "typed" in refused.value.hint
    assert "obtain" not in refused.value.hint


def test_find_asks_again_for_a_number_that_there_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("5\nx\n2\n\n"))
    assert find._asked_number(2) == 2
    assert find._asked_number(2) == 0
    said = capsys.readouterr().err
    assert said.count("there is none of that number: 1 to 2, or Enter") == 2
    assert "<=" not in said


@dataclass(frozen=True)
class _NothingFound:
    missing: tuple[str, ...]
    restored: tuple[()] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


def test_restore_says_which_line_was_not_found_by_its_number_and_not_by_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result: Any = _NothingFound(missing=("documents/zebedee.pdf",))
    _show(Context(), result, ("a.pdf", "documents/zebedee.pdf"))
    said = capsys.readouterr().err
    assert "of those given, number 2" in said
    assert "the asset's name is no part of a path" in said
    assert "zebedee" not in said


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("r3", "{cwd}/r3"), ("/srv/x", "/srv/x"), ("", ""), ("s3:https://x/y", "s3:https://x/y")],
)
def test_init_takes_a_relative_folder_for_the_backups(
    typed: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert init._whole(typed) == expected.format(cwd=tmp_path)


class _Prober:
    """Refuses the password in a file until it is the right one."""

    def __init__(self, file: Path) -> None:
        self.app = self
        self.tries = 0
        self._file = file

    def probe(self, _practice: str, named: Any) -> Found:
        self.tries += 1
        right = self._file.read_text() == "right\n"
        return Found(named=named, trouble=None if right else PasswordRefused("wrong password"))


@pytest.mark.parametrize(
    ("stdin", "answers", "tries"),
    [(_AtATerminal, ["wrong", "right"], 3), (_AtATerminal, ["x", "y"], 3), (io.StringIO, [], 1)],
)
def test_init_asks_again_for_a_password_that_the_server_refuses(
    stdin: Callable[[], io.StringIO],
    answers: list[str],
    tries: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, plan = tmp_path / "riverside-database", tmp_path / "riverside.yaml"
    file.write_text("mistyped\n")
    monkeypatch.setattr(sys, "stdin", stdin())
    left = iter(answers)
    monkeypatch.setattr(init, "_typed", lambda _words: next(left))
    (named,) = named_assets(("postgres://backup@db/emr",), ())
    prober = _Prober(file)

    found = init._probed(cast("Context", prober), "riverside", named, file, plan)

    assert prober.tries == tries
    if "right" in answers:
        assert found.trouble is None
        return
    assert found.trouble is not None
    assert found.trouble.hint == f"correct {file} or the plan, then `dro plan validate {plan}`"
