from __future__ import annotations

from pathlib import Path

from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.reference import plan_reference, schema_of, settings_reference
from dr_orchestrator.runbook.model import Kind, Runbook
from dr_orchestrator.runbook.reference import runbook_reference
from dr_orchestrator.settings import SettingsFile

_REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_reference_pages_are_in_step_with_their_models() -> None:
    # scripts/reference writes them
    assert (_REFERENCE / "plan.md").read_text() == plan_reference()
    assert (_REFERENCE / "runbook.md").read_text() == runbook_reference()
    assert (_REFERENCE / "settings.md").read_text() == settings_reference(SettingsFile)


def test_schema_describes_what_a_plan_may_say() -> None:
    schema = schema_of(Plan)

    assert schema["else"]["required"] == ["version", "practice", "repositories", "systems"]
    assert schema["additionalProperties"] is False
    definitions = schema["$defs"]
    assert {"rto", "rpo", "assets"} == set(definitions["ProtectedSystem"]["required"])
    assert "from" in definitions["RestoreTestSpec"]["properties"]
    assert {"const": "baseline"} in definitions["BaselineCheck"]["anyOf"]
    assert definitions["SqlCheck"]["properties"]["expect"]["anyOf"][0] == {
        "type": ["number", "boolean"]
    }


def test_schema_shows_defaults_as_a_plan_writes_them() -> None:
    definitions = schema_of(Plan)["$defs"]

    assert definitions["SqliteAsset"]["properties"]["timeout"]["default"] == "1h"
    assert definitions["Maintenance"]["properties"]["prune"]["default"] == "Sun 06:00"


def test_runbook_page_and_schema_know_every_kind_of_step() -> None:
    kinds = [kind.value for kind in Kind]

    assert schema_of(Runbook)["$defs"]["Kind"]["enum"] == kinds
    page = runbook_reference()
    assert [kind for kind in kinds if f"| `{kind}` |" not in page] == []
