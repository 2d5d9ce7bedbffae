from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dr_orchestrator.core.finding import Objective, Verdict
from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.fleet.metrics import metrics, write_metrics
from dr_orchestrator.fleet.status import Protected, SiteStatus, practice_status
from tests.support import practices
from tests.support.fleet import practice, problem, site
from tests.support.practices import NOW, finding

DAY = timedelta(days=1)


def value(status: SiteStatus, name: str, **labels: str) -> float:
    """Return the one sample of this name with these labels, as a scraper reads it."""
    families = text_string_to_metric_families(metrics(status).decode())
    (found,) = (
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"dro_{name}" and labels.items() <= sample.labels.items()
    )
    return float(found)


def test_verdicts_are_numbers_that_grow_with_what_is_wrong() -> None:
    findings = (
        finding("emr", Objective.RPO, Verdict.MET),
        finding("emr", Objective.RTO, Verdict.UNPROVEN, due=NOW + DAY),
        finding("emr", Objective.SKEW, Verdict.UNPROVEN, due=NOW),
        finding("emr", Objective.COPIES, Verdict.BREACHED, repository="onsite"),
    )
    status = site(practice(*findings))
    labels = {"practice": "riverside", "system": "emr"}
    assert [
        value(status, "objective_verdict", objective=each.objective.value, **labels)
        for each in findings
    ] == [0, 1, 2, 3]


def test_end_of_locks_is_a_time() -> None:
    until = Protected(system="emr", repository="offsite", until=NOW + DAY)
    status = site(replace(practice(), protected=(until,)))
    labels = {"practice": "riverside", "system": "emr", "repository": "offsite"}
    found = value(status, "protected_until_timestamp_seconds", **labels)
    assert found == (NOW + DAY).timestamp()


def test_measurements_of_a_real_practice() -> None:
    sample = practices.one_system()
    status = site(practice_status(sample.plan, sample.record, NOW))
    newest = sample.record.points[-1].as_of
    passed = sample.record.tests[-1]
    emr = {"practice": "riverside", "system": "emr"}
    onsite = {**emr, "repository": "onsite"}
    assert value(status, "backup_timestamp_seconds", **onsite) == newest.timestamp()
    assert value(status, "rpo_age_seconds", **emr) == (NOW - newest).total_seconds()
    assert value(status, "rta_seconds", **onsite) == passed.rta_service_seconds
    age = (NOW - passed.finished_at).total_seconds()
    assert value(status, "restore_test_age_seconds", **onsite) == age
    assert value(status, "restore_test_result", **onsite) == 0
    assert value(status, "status_timestamp_seconds", site="riverside-box") == NOW.timestamp()


def test_problems_are_counted_by_practice_and_by_whether_anybody_looks() -> None:
    troubles = (problem(), problem(acknowledged=True), problem(practice=""))
    status = site(practice(), problems=troubles)
    for practice_id, acknowledged in (("riverside", "false"), ("riverside", "true"), ("", "false")):
        labels = {"practice": practice_id, "acknowledged": acknowledged}
        assert value(status, "problems_open", **labels) == 1


def test_failed_restore_test_shows_until_one_passes() -> None:
    sample = practices.broken()
    status = site(practice_status(sample.plan, sample.record, NOW))
    assert value(status, "restore_test_result", system="emr", repository="onsite") == 2


def test_file_is_replaced_whole_and_can_be_read_by_others(tmp_path: Path) -> None:
    file = tmp_path / "dro.prom"
    before = os.umask(0o077)  # as a hardened service has it
    try:
        write_metrics(site(), file)
        write_metrics(site(practice()), file)
    finally:
        os.umask(before)
    assert file.read_bytes() == metrics(site(practice()))
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["dro.prom"]


def test_file_in_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StorageUnusable, match=r"dro\.prom cannot be written"):
        write_metrics(site(), tmp_path / "missing" / "dro.prom")
