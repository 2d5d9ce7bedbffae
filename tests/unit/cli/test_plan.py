from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

_ROOT = Path(__file__).parents[3]
_LEAST = (_ROOT / "plans" / "least.yaml").read_text()


class Dro:
    """Runs `dro` as a process of its own, on settings of its own."""

    def __init__(self, folder: Path) -> None:
        self.plans = folder / "plans"
        self.plans.mkdir()
        self._settings = folder / "dro.yaml"
        self._settings.write_text(f"plans: {self.plans}\nstate: {folder / 'state'}\n")

    def __call__(self, *arguments: str) -> Any:
        program = "from dr_orchestrator.cli.main import main; main()"
        return run(
            [sys.executable, "-c", program, *arguments],
            env={"DRO_SETTINGS": str(self._settings), "PATH": "/usr/bin:/bin"},
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def dro(tmp_path: Path) -> Dro:
    return Dro(tmp_path)


def test_validate_is_quiet_on_stdout_and_tells_warnings(dro: Dro) -> None:
    (dro.plans / "riverside.yaml").write_text(_LEAST)

    done = dro("plan", "validate", "riverside")

    assert (done.returncode, done.stdout) == (0, "")
    assert f"{dro.plans / 'riverside.yaml'}: valid" in done.stderr
    assert "warning: " in done.stderr
    (note,) = (line for line in done.stderr.splitlines() if line.startswith("note: "))
    assert "blanks to fill in by hand, which the plan may say: " in note
    assert "contacts.insurer" in note


def test_validate_prints_each_mistake_of_each_plan(dro: Dro) -> None:
    (dro.plans / "a.yaml").write_text(_LEAST.replace("rto: 4h", "rto: 4"))
    (dro.plans / "b.yaml").write_text(_LEAST.replace("kind: sqlite", "kind: sqllite"))
    (dro.plans / "c.yaml").write_text(_LEAST)

    done = dro("plan", "validate")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{dro.plans / 'a.yaml'}:7:10: systems.emr.rto: a number without its unit" in done.stderr
    assert f"{dro.plans / 'b.yaml'}:10:24: systems.emr.assets.database.kind: is no" in done.stderr
    assert "hint: did you mean `sqlite`?" in done.stderr
    assert f"{dro.plans / 'c.yaml'}: valid" in done.stderr


def test_validate_prints_one_json_object_also_on_failure(dro: Dro) -> None:
    (dro.plans / "a.yaml").write_text(_LEAST.replace("rto: 4h", "rto: 4"))

    done = dro("plan", "validate", "--json")

    answer = json.loads(done.stdout)
    assert (done.returncode, answer["schema"], answer["valid"]) == (2, 1, False)
    (plan,) = answer["plans"]
    assert plan["valid"] is False
    (problem,) = plan["problems"]
    assert (problem["line"], problem["column"], problem["path"]) == (7, 10, "systems.emr.rto")


@pytest.mark.parametrize("command", ["validate", "show"])
@pytest.mark.parametrize("practice", [(), ("riverside",), ("./none.yaml",)])
def test_plan_that_is_not_there_is_a_usage_mistake(
    dro: Dro, command: str, practice: tuple[str, ...]
) -> None:
    done = dro("plan", command, *practice, "--json")

    assert done.returncode == 2
    assert json.loads(done.stdout)["schema"] == 1


def test_show_prints_a_plan_that_is_complete(dro: Dro) -> None:
    (dro.plans / "riverside.yaml").write_text(_LEAST)

    done = dro("plan", "show")
    assert done.returncode == 0
    (dro.plans / "riverside.yaml").write_text(done.stdout)

    assert dro("plan", "show").stdout == done.stdout
    assert "schedule: every 30m" in done.stdout


def test_show_tells_the_origin_of_each_value(dro: Dro) -> None:
    (dro.plans / "riverside.yaml").write_text(_LEAST)

    text = dro("plan", "show", "--origin").stdout
    answer = json.loads(dro("plan", "show", "--origin", "--json").stdout)

    assert "# riverside.yaml:7" in text
    assert "# default: every half RPO" in text
    assert answer["origins"]["systems.emr.rto"] == "riverside.yaml:7"
    assert answer["plan"]["systems"]["emr"]["rto"] == "4h"
    assert len(answer["sha256"]) == 64


@pytest.mark.parametrize(("more", "title"), [((), "Plan"), (("--runbook",), "Runbook")])
def test_schema_is_json(dro: Dro, more: tuple[str, ...], title: str) -> None:
    schema = json.loads(dro("plan", "schema", *more).stdout)

    assert schema["title"] == title


def test_validate_tells_what_is_wrong_with_runbooks_too(dro: Dro) -> None:
    plan = dro.plans / "riverside.yaml"
    plan.write_text(_LEAST.replace("rpo: 1h", "rpo: 1h\n    runbook: tirage"))
    runbook = dro.plans / "runbooks" / "lost.yaml"
    runbook.parent.mkdir()
    runbook.write_text("version: 2\n")

    done = dro("plan", "validate", "riverside", "--json")

    (answer,) = json.loads(done.stdout)["plans"]
    assert (done.returncode, answer["valid"], answer["practice"]) == (2, False, "riverside")
    assert f"{plan}:9:14: systems.emr.runbook: there is no runbook `tirage`" in done.stderr
    assert f"{runbook}:1:10: version: must be 1" in done.stderr
    assert {each["file"] for each in answer["problems"]} == {str(plan), str(runbook)}


def test_init_writes_a_plan_that_is_valid_and_never_writes_over(dro: Dro) -> None:
    first = dro("init", "riverside", "--json")
    assert first.returncode == 0
    answer = json.loads(first.stdout)
    key = Path(answer["key"])

    assert Path(answer["plan"]) == dro.plans / "riverside.yaml"
    assert dro("plan", "validate", "riverside").returncode == 0
    before = key.read_text()
    assert before.strip() not in first.stdout + first.stderr

    again = dro("init", "riverside")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert key.read_text() == before


def test_validating_imports_nothing_that_is_slow(dro: Dro) -> None:
    (dro.plans / "riverside.yaml").write_text(_LEAST)
    program = (
        "import sys, runpy; sys.argv[1:] = ['plan', 'validate']\n"
        "from dr_orchestrator.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'sqlalchemy', 'alembic', 'jinja2', 'psycopg', 'rich', 'structlog', 'cronsim'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = run(
        [sys.executable, "-c", program],
        env={"DRO_SETTINGS": str(dro.plans.parent / "dro.yaml")},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def test_plan_says_in_what_time_all_files_come_back_where_tests_restore_a_share(dro: Dro) -> None:
    sampled = "[{schedule: 'Sun 04:00', files: {sample: 5%}}]"
    text = _LEAST.replace("    rto: 4h\n", f"    rto: 4h\n    restore_tests: {sampled}\n")
    (dro.plans / "riverside.yaml").write_text(text.replace("kind: sqlite", "kind: files"))
    note = "systems.emr.restore_tests[0].files: every file comes back once in 20 tests, 140 d"

    shown = dro("plan", "show", "riverside", "--json")
    validated = dro("plan", "validate", "riverside", "--json")

    assert (shown.returncode, json.loads(shown.stdout)["notes"]) == (0, [note])
    assert note in json.loads(validated.stdout)["plans"][0]["notes"]
    assert f"note: {note}" in validated.stderr


def test_changes_of_a_template_are_told_of_each_plan_and_so_is_a_plan_that_is_gone(
    dro: Dro, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    for folder, rto in ((before, "4h"), (dro.plans, "8h")):
        (folder / "templates").mkdir(parents=True)
        template = _LEAST.replace("id: riverside, ", "").replace("rto: 4h", f"rto: {rto}")
        (folder / "templates" / "small.yaml").write_text(template)
        own = "extends: templates/small.yaml\npractice: {id: lakeside}\n"
        (folder / "lakeside.yaml").write_text(own)
    (before / "riverside.yaml").write_text(_LEAST)

    done = dro("plan", "changes", "--before", str(before))

    assert done.returncode == 4
    assert "riverside: has no plan any more" in done.stdout
    assert "lakeside: 1 change, 1 of them loosened" in done.stdout
    assert "  loosened   systems.emr.rto: 4h -> 8h" in done.stdout
    assert dro("plan", "changes", "--before", str(dro.plans)).returncode == 0
