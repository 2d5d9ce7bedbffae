from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from tests.support.packs import write

_ROOT = Path(__file__).parents[3]
_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  onsite: {location: /srv/restic, password: {file: /etc/dro/key}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {kind: mariadb, host: /run/m.sock, database: openemr, user: backup}
    verify: [{pack: openemr}]
"""


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    folder = tmp_path / "plans"
    folder.mkdir()
    return folder


def dro(plans: Path, *arguments: str) -> CompletedProcess[str]:
    """Run `dro` as a process of its own, on settings of its own."""
    settings = plans.parent / "dro.yaml"
    settings.write_text(f"plans: {plans}\nstate: {plans.parent / 'state'}\n")
    return run(
        [sys.executable, "-m", "dr_orchestrator", *arguments],
        env={"DRO_SETTINGS": str(settings), "PATH": "/usr/bin:/bin"},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_list_shows_built_in_packs_and_those_beside_the_plans(plans: Path) -> None:
    write(plans)

    done = dro(plans, "pack", "list", "--json")

    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer["schema"] == 1
    found = {each["name"]: each for each in answer["packs"]}
    assert set(found) == {"openemr", "openmrs", "opendental", "clinic"}
    assert (found["openemr"]["built_in"], found["clinic"]["built_in"]) == (True, False)
    assert found["openemr"]["versions"] == ["7.0"]
    assert found["openemr"]["roles"] == {"database": ["mariadb"], "documents": ["files", "smb"]}
    assert "tried on version 7.0: data that this project generates" in done.stderr


def test_show_prints_the_pack_s_file(plans: Path) -> None:
    file = write(plans)

    assert dro(plans, "pack", "show", "clinic").stdout == file.read_text()
    answer = json.loads(dro(plans, "pack", "show", "clinic", "--json").stdout)
    assert answer["pack"]["seal"]["hash"] == "sha384"
    assert answer["checks"] == ["patients", "scans", "rows", "keys"]
    unknown = dro(plans, "pack", "show", "clnic")
    assert unknown.returncode == 2
    assert "did you mean `clinic`?" in unknown.stderr


def test_plan_validate_says_where_a_pack_does_not_fit(plans: Path) -> None:
    plan = plans / "riverside.yaml"
    plan.write_text(_PLAN)

    done = dro(plans, "plan", "validate", "--json")

    assert done.returncode == 2
    place = "systems.emr.verify[0].pack"
    assert f"{plan}:11:21: {place}: no asset can be its `documents`" in done.stderr
    (problem,) = json.loads(done.stdout)["plans"][0]["problems"]
    assert (problem["line"], problem["column"]) == (11, 21)


def test_plan_validate_says_what_is_wrong_in_a_pack_beside_the_plan(plans: Path) -> None:
    file = write(plans)
    file.write_text(file.read_text().replace("are: scans", "are: 7"))
    (plans / "riverside.yaml").write_text(_PLAN.replace("openemr}]", "clinic}]"))

    done = dro(plans, "plan", "validate")

    assert done.returncode == 2
    assert f"{file}:18:12: checks[1].files.are: must be text" in done.stderr
