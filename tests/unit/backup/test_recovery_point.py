"""What lies beside a manifest: enough to recover with the repository alone."""

from __future__ import annotations

from pathlib import Path

from dr_orchestrator.backup.recovery_point import BackupRequest, _attachments
from dr_orchestrator.packs.load import load_pack
from dr_orchestrator.plan.load import effective_yaml, load_plan, read_plan
from tests.support.packs import PACK, write

_LEAST = Path(__file__).parents[3] / "plans" / "least.yaml"


def test_attachments_are_the_plan_its_runbooks_and_the_packs_it_names(tmp_path: Path) -> None:
    loaded = load_plan(_LEAST)
    request = BackupRequest(
        plan=loaded.plan,
        plan_text=effective_yaml(loaded),
        runbooks={"server-lost.md": b"steps"},
        packs={"clinic": load_pack(write(tmp_path))},
        system="emr",
    )

    files = _attachments((), request)

    assert set(files) == {"plan.yaml", "runbooks/server-lost.md", "packs/clinic.yaml"}
    assert files["packs/clinic.yaml"] == PACK.encode()
    assert read_plan(files["plan.yaml"], "plan.yaml").plan == loaded.plan
