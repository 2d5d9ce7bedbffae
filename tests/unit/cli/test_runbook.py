from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dr_orchestrator.cli.main import Context
from dr_orchestrator.cli.runbook import command
from dr_orchestrator.core.record import RunbookMoved, RunbookOpened
from dr_orchestrator.core.runbook import Event, Mode, Move, RunbookRun, StepResult
from dr_orchestrator.errors import ExitCode, RunbookInvalid, UsageMistake
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.runbook.load import load_runbook
from dr_orchestrator.runbook.shelf import shipped_folder
from dr_orchestrator.runbook.values import BLANK, fingerprint, values_of
from tests.support.clock import START, FakeClock

PLAN = """\
version: 1
practice: {id: riverside, name: Riverside Family Practice, timezone: America/Chicago}
contacts: {emr_vendor: {role: EMR vendor support, phone: "+1 555 0199", verified: 2026-10-01}}
repositories:
  onsite: {location: /srv/restic, password: {file: /etc/dro/keys/onsite}}
systems:
  directory:
    rto: 8h
    rpo: 24h
    assets: {accounts: {kind: sqlite, path: /srv/directory.db}}
  emr:
    title: Electronic medical record
    importance: critical
    depends_on: [directory]
    rto: 4h
    rpo: 1h
    assets: {database: {kind: sqlite, path: /srv/emr.db}}
"""
DONE = ("points", "restore", "agree-cut-over", "people")
OWN = """\
version: 1
title: Our own way
when: the server is gone
lanes: {responder: {title: Responder}}
steps:
  - {id: look, lane: responder, kind: check, do: "Look at {{ system.title }}.", expect: It is gone.}
"""


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "riverside.yaml").write_text(PLAN)
    settings = tmp_path / "dro.yaml"
    settings.write_text(f"plans: {folder}\nstate: {tmp_path / 'state'}\n")
    monkeypatch.setenv("DRO_SETTINGS", str(settings))
    return folder


@pytest.fixture
def context(plans: Path) -> Iterator[Context]:
    assert plans.is_dir()
    context = Context()
    context.__dict__["clock"] = FakeClock(START)
    yield context
    context.close()


def run(context: Context, *args: str) -> Result:
    context.json = "--json" in args
    return CliRunner().invoke(command, args, obj=context, standalone_mode=False)


def rehearse(context: Context, plans: Path, *steps: str) -> None:
    """Record that steps of `emr-server-lost` were done for the medical record."""
    loaded = load_runbook(shipped_folder() / "emr-server-lost.yaml")
    plan = load_plan(plans / "riverside.yaml")
    values = values_of(plan.plan, "emr")
    opened = RunbookRun(
        id="20261121-1915-aaaa",
        practice="riverside",
        runbook="emr-server-lost",
        mode=Mode.REHEARSAL,
        system="emr",
        lane="",
        incident="20261121-1915-aaaa",
        outage_at=START,
        opened_at=START,
        opened_by="Jo",
        host="desk",
        runbook_text=loaded.text,
        runbook_sha256=loaded.sha256,
        plan_text=plan.text,
        plan_sha256=plan.sha256,
        trusted=True,
        folder="",
    )
    moves = [
        Move(
            run=opened.id,
            practice="riverside",
            number=number,
            at=START,
            by="Jo",
            host="desk",
            event=Event.ENDED,
            step=step,
            visit=1,
            result=StepResult.DONE,
            fingerprint=fingerprint(loaded.runbook.step(step), values),
        )
        for number, step in enumerate(steps, start=1)
    ]
    context.store().record(RunbookOpened(run=opened), *(RunbookMoved(move=each) for each in moves))


def said_of(output: str, runbook: str) -> str:
    """Return what the list says of one runbook."""
    return next(each for each in output.split("\n\n") if each.strip().startswith(f"{runbook}  "))


def test_list_says_what_was_rehearsed_for_each_system(context: Context, plans: Path) -> None:
    rehearse(context, plans, *DONE)

    ended = run(context, "list")

    assert ended.return_value == ExitCode.OK
    said = said_of(ended.output, "emr-server-lost")
    assert "16 steps, shipped with dro" in said
    assert "directory: never followed" in said
    assert "emr: 4 of 16 steps verified, last" in said
    assert "12 never done" in said
    assert "the practice: never followed" in said_of(ended.output, "triage")


def test_list_says_from_which_step_on_a_change_leaves_it_unverified(
    context: Context, plans: Path
) -> None:
    rehearse(context, plans, *DONE)
    plan = plans / "riverside.yaml"
    plan.write_text(plan.read_text().replace("title: Electronic", "title: The electronic"))

    said = said_of(run(context, "list").output, "emr-server-lost")

    assert "0 of 16 steps verified" in said
    assert "not verified from step 7 (points) on: it changed" in " ".join(said.split())


def test_list_shows_problems_and_every_other_runbook(context: Context, plans: Path) -> None:
    (plans / "runbooks").mkdir()
    (plans / "runbooks" / "own.yaml").write_text(OWN.replace("system.title", "system.tittle"))

    ended = run(context, "list", "--json")

    assert ended.return_value == ExitCode.USAGE
    (practice,) = json.loads(ended.stdout)["practices"]
    found = {each["name"]: each for each in practice["runbooks"]}
    assert set(found) == {"own", *(path.stem for path in shipped_folder().glob("*.yaml"))}
    assert (found["own"]["shipped"], found["triage"]["shipped"]) == (False, True)
    assert [each["message"] for each in practice["problems"]] != []
    assert "own.yaml:6:" in ended.stderr


def test_show_fills_in_values_and_leaves_blanks(context: Context) -> None:
    ended = run(context, "show", "emr-server-lost", "--system", "emr")

    assert ended.return_value == ExitCode.OK
    assert "A server is lost: Electronic medical record\n" in ended.output
    assert "dro points riverside --system emr\n" in ended.output
    assert "EMR vendor support: +1 555 0199 (last tried 2026-10-01)\n" in ended.output
    assert f"manager (not in the plan): {BLANK}\n" in ended.output
    assert "SOMETHING IS LOST BY IT: type\n    riverside first" in ended.output
    assert "Go to step 11." in ended.output
    assert "{{" not in ended.output
    assert max(map(len, ended.output.splitlines())) < 80


@pytest.mark.parametrize("name", sorted(path.stem for path in shipped_folder().glob("*.yaml")))
def test_show_fits_eighty_columns_and_has_every_step(context: Context, name: str) -> None:
    ended = run(context, "show", name)

    lines = ended.output.splitlines()
    steps = load_runbook(shipped_folder() / f"{name}.yaml").runbook.steps
    assert max(map(len, lines)) < 80
    begins = [line[:4] for line in lines if line[:2].strip().isdigit() and line[2:4] == "  "]
    assert begins == [f"{number:>2}  " for number in range(1, len(steps) + 1)]


def test_show_is_of_the_most_important_system_unless_one_is_named(context: Context) -> None:
    shown = json.loads(run(context, "show", "emr-server-lost", "--json").stdout)

    assert (shown["practice"], shown["system"]) == ("riverside", "emr")
    assert shown["trusted"] is True
    points = next(each for each in shown["runbook"]["steps"] if each["id"] == "points")
    assert points["command"] == ["dro", "points", "riverside", "--system", "emr"]


def test_show_says_that_commands_of_a_file_others_can_write_ask_first(
    context: Context, plans: Path
) -> None:
    own = plans / "runbooks" / "own.yaml"
    own.parent.mkdir()
    own.write_text(OWN)
    own.chmod(0o666)

    assert "are run only once a person has read them" in run(context, "show", "own").output


@pytest.mark.parametrize(
    ("args", "kind", "said"),
    [
        (("emr-server-los",), UsageMistake, "there is no runbook emr-server-los"),
        (("triage", "--system", "emr"), UsageMistake, "about the practice"),
        (("emr-server-lost", "--system", "emrr"), UsageMistake, "no system emrr"),
        (("own",), RunbookInvalid, "own.yaml"),
    ],
)
def test_show_refuses_what_cannot_be_meant(
    context: Context, plans: Path, args: tuple[str, ...], kind: type[Exception], said: str
) -> None:
    (plans / "runbooks").mkdir()
    (plans / "runbooks" / "own.yaml").write_text(OWN.replace("system.title", "system.tittle"))

    ended = run(context, "show", *args)

    assert isinstance(ended.exception, kind)
    assert said in str(ended.exception)


def test_what_a_runbook_says_reaches_no_terminal_as_a_control_sign(
    context: Context, plans: Path
) -> None:
    (plans / "runbooks").mkdir()
    (plans / "runbooks" / "own.yaml").write_text(OWN.replace("It is gone.", '"It is \\e[2J gone."'))

    assert "\x1b" not in run(context, "show", "own").output


def test_group_imports_no_sub_command_to_list_them() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from dr_orchestrator.cli.runbook import command\n"
        "assert CliRunner().invoke(command, ['--help']).exit_code == 0\n"
        "print([each for each in sys.modules if each.startswith('dr_orchestrator.cli.runbook_')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
