"""What the scheduler does beside the operations, for all practices of a machine."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.settings import load_settings
from dr_orchestrator.store.sqlite import FILE_NAME
from dr_orchestrator.unattended import Unattended

PLAN = """\
version: 1
practice: {id: %s, name: A practice}
repositories: {onsite: {location: /srv/%s, password: {env: KEY}}}
systems:
  files: {rto: %s, rpo: 1h, assets: {documents: {kind: files, path: /srv/documents}}}
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    (tmp_path / "plans").mkdir()
    settings = {"plans": str(tmp_path / "plans"), "state": str(tmp_path / "state")}
    (tmp_path / "dro.yaml").write_text(json.dumps(settings))
    monkeypatch.setenv("DRO_SETTINGS", str(tmp_path / "dro.yaml"))
    with contextlib.closing(App(load_settings(), SystemClock())) as app:
        yield app


def test_practices_are_noted_also_behind_one_whose_record_is_damaged(
    app: App, tmp_path: Path
) -> None:
    unattended = Unattended(app)
    _written(tmp_path, "4h")
    unattended.shelf.refresh()
    unattended._note()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as store:
        store.execute("update promise set promise = '{}' where practice = 'alder'")
        store.commit()

    _written(tmp_path, "24h")
    unattended.shelf.refresh()
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the store says of it
        unattended._note()

    newest = app.store.newest_promise("birch")
    assert newest is not None
    assert [each.field for each in newest.loosened] == ["systems.files.rto"]


def _written(folder: Path, rto: str) -> None:
    for name in ("alder", "birch"):
        (folder / "plans" / f"{name}.yaml").write_text(PLAN % (name, name, rto))
