"""The status as a file for the textfile collector of Prometheus' node exporter.

Labels are ids of the plan. The file is there whole or not at all, and says itself when it was made:
the collector goes on handing out an old one for ever.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.core.finding import Finding, Verdict
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import SpaceExhausted, StorageUnusable
from dr_orchestrator.fleet.status import PracticeStatus, SiteStatus
from dr_orchestrator.whole_file import write_whole

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Gauge

METRICS_EVERY = timedelta(minutes=5)
_READABLE = 0o644
_KEPT, _NOT_DUE, _OVERDUE, _BREACHED = range(4)


def rpo_ages(status: PracticeStatus, now: datetime) -> Mapping[str, float]:
    """Return system -> how many seconds old its newest restorable data is at `now`."""
    newest: dict[str, datetime] = {}
    for point in status.points:
        at = point.data_as_of or point.as_of
        newest[point.system] = max(at, newest.get(point.system, at))
    return {system: (now - at).total_seconds() for system, at in newest.items()}


def rtas(status: PracticeStatus) -> Mapping[tuple[str, str], float]:
    """Return (system, repository) -> RTA-service of the newest passed restore test, in seconds."""
    return {
        (test.system, test.repository): test.rta_service_seconds
        for test in status.tests
        if test.result is Result.PASSED and test.rta_service_seconds is not None
    }


def write_metrics(status: SiteStatus, file: Path) -> None:
    """Write the metrics of `status`, readable by the exporter's user whatever the umask is.

    Raises:
        StorageUnusable: the file cannot be written.
        SpaceExhausted: its disk is full.
    """
    try:
        write_whole(file, metrics(status))
        file.chmod(_READABLE)
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        if error.errno == errno.ENOSPC:
            raise SpaceExhausted(message) from None
        hint = "make its folder; the node exporter names it" if error.errno == errno.ENOENT else ""
        raise StorageUnusable(message, hint=hint) from None


def metrics(status: SiteStatus) -> bytes:
    """Return `status` in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    _machine(status, registry)
    _findings(status, registry)
    _points(status, registry)
    _tests(status, registry)
    _protected(status, registry)
    return generate_latest(registry)


def _gauge(name: str, what: str, labels: str, registry: CollectorRegistry) -> Gauge:
    from prometheus_client import Gauge

    return Gauge(f"dro_{name}", what, labels.split(), registry=registry)


def _machine(status: SiteStatus, registry: CollectorRegistry) -> None:
    made = _gauge("status_timestamp_seconds", "when this file was made", "site", registry)
    made.labels(status.site).set(status.made_at.timestamp())
    if status.scheduler_seen_at is not None:
        beat = _gauge(
            "scheduler_timestamp_seconds", "when a scheduler last showed itself", "site", registry
        )
        beat.labels(status.site).set(status.scheduler_seen_at.timestamp())
    problems = _gauge(
        "problems_open",
        "problems that are not over; those of the machine have no practice",
        "practice acknowledged",
        registry,
    )
    for practice in ("", *(each.practice for each in status.practices)):
        for acknowledged in (False, True):
            count = sum(
                each.practice == practice and each.acknowledged is acknowledged
                for each in status.problems
            )
            problems.labels(practice, str(acknowledged).lower()).set(count)


def _findings(status: SiteStatus, registry: CollectorRegistry) -> None:
    verdict = _gauge(
        "objective_verdict",
        "0 kept, 1 not proven and not due yet, 2 not proven in time, 3 not kept",
        "practice system objective repository",
        registry,
    )
    for practice in status.practices:
        for each in practice.findings:
            labels = (practice.practice, each.system, each.objective.value, each.repository or "")
            verdict.labels(*labels).set(_verdict(each, status.made_at))


def _verdict(finding: Finding, now: datetime) -> int:
    if finding.verdict is Verdict.MET:
        return _KEPT
    if finding.verdict is Verdict.BREACHED:
        return _BREACHED
    return _OVERDUE if is_overdue(finding, now) else _NOT_DUE


def _points(status: SiteStatus, registry: CollectorRegistry) -> None:
    newest = _gauge(
        "backup_timestamp_seconds",
        "as_of of the newest recovery point in a repository",
        "practice system repository",
        registry,
    )
    size = _gauge(
        "backup_bytes", "size of its data, all assets", "practice system repository", registry
    )
    age = _gauge(
        "rpo_age_seconds", "how old the newest restorable data is", "practice system", registry
    )
    for practice in status.practices:
        for point in practice.points:
            labels = (practice.practice, point.system, point.repository)
            newest.labels(*labels).set(point.as_of.timestamp())
            size.labels(*labels).set(point.bytes)
        for system, seconds in rpo_ages(practice, status.made_at).items():
            age.labels(practice.practice, system).set(seconds)


def _tests(status: SiteStatus, registry: CollectorRegistry) -> None:
    labels = "practice system repository"
    rta = _gauge("rta_seconds", "RTA-service of the newest passed restore test", labels, registry)
    passed = _gauge("restore_test_passed_timestamp_seconds", "when it ended", labels, registry)
    age = _gauge("restore_test_age_seconds", "how long ago that was", labels, registry)
    last = _gauge(
        "restore_test_result", "of the newest one: 0 passed, 1 unproven, 2 failed", labels, registry
    )
    results = {Result.PASSED: 0, Result.UNPROVEN: 1, Result.FAILED: 2}
    for practice in status.practices:
        for (system, repository), seconds in rtas(practice).items():
            rta.labels(practice.practice, system, repository).set(seconds)
        for test in sorted(practice.tests, key=lambda each: each.started_at):
            of = (practice.practice, test.system, test.repository)
            last.labels(*of).set(results[test.result])
            if test.result is Result.PASSED:
                passed.labels(*of).set(test.finished_at.timestamp())
                age.labels(*of).set((status.made_at - test.finished_at).total_seconds())


def _protected(status: SiteStatus, registry: CollectorRegistry) -> None:
    until = _gauge(
        "protected_until_timestamp_seconds",
        "until when nobody can remove the newest point that was restored from there and proven",
        "practice system repository",
        registry,
    )
    for practice in status.practices:
        for each in practice.protected:
            of = (practice.practice, each.system, each.repository)
            until.labels(*of).set(each.until.timestamp())
