from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from dr_orchestrator.core.record import KeyMade
from dr_orchestrator.errors import SecretUnavailable
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.repository_access import RepositoryAccess
from dr_orchestrator.secrets import SecretReader
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import make_plan
from tests.support.key_sheets import make_key


def test_lost_key_file_names_whose_sheet_opens_the_repository_too(tmp_path: Path) -> None:
    file = tmp_path / "key"
    password = {"file": str(file), "obtain": "the safe"}
    plan = make_plan(repositories={"onsite": {"password": password}})
    launcher, store = SystemLauncher(""), open_store(tmp_path, FakeClock())
    store.record(KeyMade(key=make_key()))
    access = RepositoryAccess(
        cast("Any", None),
        FakeClock(),
        launcher=launcher,
        secrets=SecretReader(launcher, lambda _: None),
        store=lambda: store,
        cache=tmp_path,
        runtime=tmp_path,
    )
    with pytest.raises(SecretUnavailable) as lost:
        access.at(plan, "onsite")
    store.close()
    assert lost.value.hint.startswith("it can be obtained from: the safe; the key of manager's")
    assert f"put it into {file}, mode 600" in lost.value.hint
