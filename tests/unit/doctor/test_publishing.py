from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dr_orchestrator.doctor.publishing import look_at_publishing
from dr_orchestrator.settings import Publish, load_settings


def test_publishing_needs_folders_that_are_there(tmp_path: Path) -> None:
    there, away = tmp_path, tmp_path / "away"
    plain = load_settings()
    good = replace(plain, metrics=there / "dro.prom", publish=Publish(to=str(there)))
    bad = replace(plain, metrics=away / "dro.prom", publish=Publish(to=str(away)))
    bucket = replace(plain, publish=Publish(to="s3://status/dro"))
    for settings in (plain, good, bucket):
        assert list(look_at_publishing(settings)) == []
    assert [each.what for each in look_at_publishing(bad)] == [
        f"the folder {away} of `{key}` in the settings is not there"
        for key in ("metrics", "publish.to")
    ]
