"""What becomes of an error, and of a word that is no command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from dr_orchestrator.cli import main
from dr_orchestrator.cli.main import Context
from dr_orchestrator.errors import DroError, ExitCode, Interrupted, PointNotFound, RepositoryLocked


class _Broken(Context):
    """A machine on which nothing can be done."""

    def __init__(self, error: BaseException, *, json: bool) -> None:
        super().__init__(json=json)
        self._error = error

    def plans(self, practices: tuple[str, ...]) -> tuple[()]:
        del practices
        raise self._error


def _run(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, *, as_json: bool
) -> tuple[ExitCode, _Broken]:
    words = ["dro", "report", "riverside", *(["--json"] if as_json else ["--out", "pages"])]
    monkeypatch.setattr(sys, "argv", words)
    context = _Broken(error, json=as_json)
    return main._run(context), context


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PointNotFound("there is none"), 1),
        (RepositoryLocked("somebody works in it"), 75),
        (Interrupted(), 130),
        (KeyboardInterrupt(), 130),
        (ValueError("Zebedee Canaryson"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_has_its_exit_code_and_prints_one_object_with_json(
    error: BaseException,
    code: int,
    *,
    as_json: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended, _ = _run(error, monkeypatch, as_json=as_json)
    out, err = capsys.readouterr()
    assert ended == code
    assert err.lstrip("\n").startswith("error: ")  # click ends the line of a ^C
    assert "Canaryson" not in out + err
    if as_json:
        assert json.loads(out)["schema"] == 1
        assert json.loads(out)["error"]["message"]
    else:
        assert out == ""


def test_a_mistake_of_ours_says_where_it_happened_and_nothing_of_the_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(ValueError("Zebedee Canaryson"), monkeypatch, as_json=False)
    assert "internal error: ValueError in report.py:" in capsys.readouterr().err


def test_an_errors_hint_is_on_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(DroError("it is gone", hint="look for it"), monkeypatch, as_json=False)
    assert capsys.readouterr().err == "error: it is gone\nhint: look for it\n"


def _dro(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "dr_orchestrator", *words),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("word", ["check", "verify", "snapshots"])
def test_a_word_of_other_tools_is_answered_with_what_is_likely_meant(word: str) -> None:
    ended = _dro(word)
    assert ended.returncode == 2
    assert "did you mean" in ended.stderr


def test_terminal_that_closes_stops_us_in_order_however_often_it_says_so() -> None:
    before = {each: signal.getsignal(each) for each in main._STOP_SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may be run under nohup
        main._stop_on_signals(Context())
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_help_lists_every_command() -> None:
    listed = _dro("--help").stdout
    for name in main._COMMANDS:
        assert f"\n  {name} " in listed
