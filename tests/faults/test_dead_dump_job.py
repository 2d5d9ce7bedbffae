"""Somebody else's job writes the dumps, and died: our backups go on, and must not look like one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dr_orchestrator.assets.base import NOT_LOADED
from tests.support.site import Ended, Site, new_site

_SYSTEM = """\
  emr:
    rto: 4h
    rpo: 26h
    assets:
      dumps:
        kind: files
        path: {documents}
        made_by: the vendor's nightly job
        data_time: {{newest: "EMR_FULL_*.bak", max_age: 26h, at_least: 1 KiB}}
"""
_DAY = timedelta(days=1)


def _write(site: Site, name: str, age: timedelta, size: int = 5000) -> datetime:
    """Write a dump of this age, and return when it says it was written."""
    path = site.documents / name
    path.write_bytes(os.urandom(size))
    written = int(time.time() - age.total_seconds())
    os.utime(path, (written, written))
    return datetime.fromtimestamp(written, UTC)


def _findings(ended: Ended) -> dict[str, dict[str, Any]]:
    return {each["objective"]: each for each in ended.json["practices"][0]["findings"]}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with new_site() as made:
        made.documents.mkdir()
        made.write_plan(_SYSTEM.format(documents=made.documents))
        yield made


def test_dead_dump_job_is_a_breach_although_every_backup_is_made_and_comes_back(
    site: Site,
) -> None:
    written = _write(site, "EMR_FULL_20261031.bak", 21 * _DAY)
    _write(site, "EMR_FULL_20261101.bak", _DAY, size=12)

    backup = site.dro("backup", "riverside", "--json")
    test = site.dro("test", "riverside", "--json")
    status = site.dro("status", "riverside", "--json")

    assert (backup.code, test.code, status.code) == (0, 0, 5), backup.said + test.said
    (point,) = backup.json["points"]
    assert datetime.fromisoformat(point["assets"]["dumps"]["data_as_of"]) == written
    (tested,) = test.json["tests"]
    assert (tested["result"], tested["depth"]) == ("passed", "L2")
    assert tested["verifications"][0]["actual"] == "4.9 KiB, hashed and equal"
    assert tested["conditions"] == [
        f"dumps: {NOT_LOADED}",
        (
            "a newer file that matches `EMR_FULL_*.bak` is smaller than 1.0 KiB: "
            "the one before it counts"
        ),
    ]
    found = _findings(status)
    assert found["dump_age"]["verdict"] == found["rpo"]["verdict"] == "breached"
    assert found["dump_age"]["reason"].startswith(
        "the vendor's nightly job has written nothing since "
    )
    assert datetime.fromisoformat(found["rpo"]["since"]) == written
    assert {found[each]["verdict"] for each in ("coverage", "copies", "restore_test")} == {"met"}
    said = backup.said + test.said + status.said + site.dro("points", "riverside").said
    assert "20261031" not in said
    assert "20261101" not in said


def test_folder_without_a_whole_dump_is_no_recovery_point_of_it(site: Site) -> None:
    for path in site.documents.iterdir():
        path.unlink()
    _write(site, "readme.txt", _DAY)
    before = site.dro("points", "riverside", "--json").json["points"]

    backup = site.dro("backup", "riverside", "--json")

    assert backup.code == 1
    (failure,) = backup.json["failures"]
    assert failure["asset"] == "dumps"
    assert "no file in it matches `EMR_FULL_*.bak`" in failure["reason"]
    assert site.dro("points", "riverside", "--json").json["points"] == before


def test_job_that_writes_again_is_no_longer_dead(site: Site) -> None:
    _write(site, "EMR_FULL_20261121.bak", timedelta(minutes=30))

    backup = site.dro("backup", "riverside", "--json")

    assert backup.code == 0, backup.said
    found = _findings(site.dro("status", "riverside", "--json"))
    assert found["dump_age"]["verdict"] == "met"
    # for three weeks nothing newer could have been brought back: that is not forgotten at once
    assert found["rpo"]["verdict"] == "breached"
