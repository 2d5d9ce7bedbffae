"""Made-up practices at four moments: what a page or a status is shown of, without any program.

Everything here is invented. The samples are judged by the real judge; `finding` and `all_met` write
findings by hand, so that a page can be tested apart from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dr_orchestrator.compliance.advice import advise
from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.promise import promise_of, sha256_of
from dr_orchestrator.core.custody import KeyProof
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.point import AssetKind, AssetSummary, Method, RecoveryPoint
from dr_orchestrator.core.promise import PromiseMade
from dr_orchestrator.core.record import PracticeRecord
from dr_orchestrator.core.restore_test import RestoreTest
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.report.subject import Subject
from tests.support.evidence import DOCUMENTS, full_id, looked_after, make_point
from tests.support.promises import make_action, make_promise, make_sign_off

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
"""A Saturday evening in Chicago: 21 November, 19:15."""
PLAN_SHA256 = "5f1d7a3c9be04e62" * 4


@dataclass(frozen=True, kw_only=True)
class Practice:
    """All that a page is made from."""

    plan: Plan
    findings: tuple[Finding, ...]
    record: PracticeRecord
    now: datetime = NOW

    def subject(self, **more: Any) -> Subject:
        """Return it as a report sees it."""
        return Subject(
            plan=self.plan,
            plan_sha256=PLAN_SHA256,
            record=self.record,
            findings=self.findings,
            now=self.now,
            **more,
        )


def system(title: str, **more: Any) -> dict[str, Any]:
    """Return a protected system as a plan file holds it."""
    return {
        "title": title,
        "importance": "critical",
        "rto": "4h",
        "rpo": "1h",
        "assets": {
            "database": {"kind": "sqlite", "path": "/srv/emr/emr.db"},
            "documents": {"kind": "files", "path": "/srv/emr/documents"},
        },
        "restore_tests": [
            {"schedule": "03:30", "from": "onsite", "prove_every": "7d"},
        ],
        **more,
    }


def plan(systems: dict[str, Any], **more: Any) -> Plan:
    """Return a plan of Riverside Family Practice with `systems`."""
    content: dict[str, Any] = {
        "version": 1,
        "practice": {
            "id": "riverside",
            "name": "Riverside Family Practice",
            "timezone": "America/Chicago",
        },
        "contacts": {
            "manager": {"role": "practice manager"},
            "emr_vendor": {"role": "EMR vendor support"},
        },
        "custody": [
            {"holder": "manager", "form": "sealed sheet", "prove_every": "180d"},
            {"holder": "msp", "form": "vault"},
        ],
        "repositories": {
            "onsite": {
                "location": "/srv/restic/riverside",
                "password": {"file": "/etc/dro/keys/riverside"},
            }
        },
        "systems": systems,
        **more,
    }
    return Plan.model_validate(content)


def restored(
    name: str,
    *,
    at: datetime,
    repository: str = "onsite",
    result: Result = Result.PASSED,
    minutes: float | None = 41,
    verifications: tuple[Verification, ...] | None = None,
    **more: Any,
) -> RestoreTest:
    """Return a restore test of system `name` that began `at`, of a point 15 minutes older."""
    as_of = at - timedelta(minutes=15)
    took = None if minutes is None else minutes * 60
    fields: dict[str, Any] = {
        "id": f"{at:%Y%m%d-%H%M%S}-{full_id(name, repository)[:6]}",
        "practice": "riverside",
        "system": name,
        "repository": repository,
        "point": f"{as_of:%Y%m%d-%H%M%S}-8v3n1c",
        "point_as_of": as_of,
        "started_at": at,
        "finished_at": at + timedelta(minutes=55),
        "result": result,
        "reason": "",
        "rta_data_seconds": took,
        "rta_service_seconds": took,
        "proof_seconds": 300.0,
        "rpa_seconds": 900.0,
        "newest": as_of - timedelta(minutes=13),
        "data_age_seconds": 780.0,
        "depth": Depth.L4,
        "sandbox": "bubblewrap, uid 64000",
        "verifications": CHECKS if verifications is None else verifications,
    }
    return RestoreTest(**{**fields, **more})


def check(title: str, actual: Any = None, expected: Any = None, **more: Any) -> Verification:
    """Return a passed verification unless `more` says otherwise."""
    fields: dict[str, Any] = {"asset": "database", "result": Result.PASSED, **more}
    return Verification(title=title, actual=actual, expected=expected, **fields)


CHECKS = (
    check("tables", "214 tables, 1,204,332 rows, all as at capture", "equal to capture"),
    check("views, routines, triggers and indexes", "611 of 611", "equal to capture"),
    check("patients", 8412, 8412),
    check("no more visits without a patient than at capture", 0, 0),
    check("scanned documents", "51,300 of 51,300 are there, 2,565 compared byte by byte"),
    check("newest visit", datetime(2026, 11, 20, 23, 52, tzinfo=UTC), "newer than 1 d"),
    check("appointments of the coming week", 412, 412),
    check("every user can be given their role back", True, True),
    *(check(f"no gap in the audit log of {year}", True, True) for year in range(2021, 2027)),
)


def finding(name: str, objective: Objective, verdict: Verdict, **more: Any) -> Finding:
    """Return a finding on system `name`."""
    fields: dict[str, Any] = {"promised": "4 h", "achieved": "", "reason": "", **more}
    return Finding(
        practice="riverside", system=name, objective=objective, verdict=verdict, **fields
    )


def all_met(name: str, *, rto: str = "4 h", achieved: str = "41 min proven") -> tuple[Finding, ...]:
    """Return findings that say that every promise to system `name` was kept."""
    met = Verdict.MET
    return (
        finding(name, Objective.COVERAGE, met, promised="2 assets", achieved="2 assets"),
        finding(name, Objective.RPO, met, promised="1 h", achieved="31 min"),
        finding(name, Objective.RTO, met, promised=rto, achieved=achieved),
        finding(name, Objective.RESTORE_TEST, met, repository="onsite", promised="every 7 d"),
        finding(name, Objective.COPIES, met, repository="onsite", promised="2 h"),
    )


def record(tests: Iterable[RestoreTest]) -> PracticeRecord:
    """Return what is known after `tests` of a practice that has been looked after for 90 days."""
    return PracticeRecord(
        practice="riverside",
        first_seen={"emr": NOW - timedelta(days=90)},
        points=(),
        tests=tuple(sorted(tests, key=lambda test: test.started_at)),
        last_runs=(),
    )


def nights(name: str, count: int, **more: Any) -> tuple[RestoreTest, ...]:
    """Return one passed test for each of the last `count` nights, 03:30 in Chicago, older first.

    The newest row is from the evening before.
    """
    last = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    evening = timedelta(hours=9, minutes=38)
    return tuple(
        restored(
            name,
            at=at,
            **{
                "minutes": 41 - (back * 7) % 5,
                "newest": at - evening,
                "data_age_seconds": (evening - timedelta(minutes=15)).total_seconds(),
                **more,
            },
        )
        for back in reversed(range(count))
        for at in (last - timedelta(days=back),)
    )


def points(
    name: str, *, where: tuple[str, ...] = ("onsite", "offsite"), until: datetime = NOW
) -> Iterator[RecoveryPoint]:
    """Yield a point of system `name` every half hour of the two days before `until`."""
    for number in range(96, 0, -1):
        as_of = until - timedelta(minutes=30 * number - 12)
        point = f"{as_of:%Y%m%d-%H%M%S}-{full_id(name)[:6]}"
        yield make_point(as_of, id=point, system=name, repositories=where)


def judged(
    made: Plan,
    tests: Iterable[RestoreTest],
    kept: Iterable[RecoveryPoint],
    *,
    since: datetime = NOW - timedelta(days=90),
) -> Practice:
    """Return a practice with the findings that the real judge comes to.

    One that is no longer new has its repositories looked after; whoever holds a key proved it.
    """
    complete = with_defaults(made)
    is_new = NOW - since < timedelta(days=1)
    evidence = replace(
        record(tests),
        points=tuple(kept),
        first_seen=dict.fromkeys(complete.protected, since),
        key_proofs=tuple(_proofs(complete, NOW - timedelta(days=1))),
        **({} if is_new else looked_after(NOW - timedelta(hours=14), *complete.repositories)),
    )
    return Practice(plan=complete, findings=judge(complete, evidence, NOW), record=evidence)


def _proofs(made: Plan, at: datetime) -> Iterator[KeyProof]:
    for held in made.custody:
        for name in made.used_repositories if held.prove_every else ():
            yield KeyProof(
                practice=made.practice.id,
                holder=held.holder,
                repository=name,
                at=at,
                by="Kim",
                key="23e673c3",
                opened=True,
            )


_BOTH = {"schedule": "every 30m", "to": ["onsite", "offsite"]}
_TESTS = [
    {"schedule": "03:30", "from": "onsite", "prove_every": "7d"},
    {"schedule": "Sun 04:00", "from": "offsite", "prove_every": "14d"},
]
_EMR = system(
    "Electronic medical record",
    backup=_BOTH,
    restore_tests=_TESTS,
    recovery=[
        {"step": "replacement server", "by": "msp", "allow": "90m", "rehearsed": "2026-09-12"},
        {"step": "EMR program and licence", "by": "emr_vendor", "allow": "30m"},
    ],
)
_IMAGING = system(
    "Imaging",
    importance="important",
    recovery=[
        {"step": "replacement server", "by": "msp", "allow": "90m", "rehearsed": "2026-09-12"},
        {"step": "imaging licence", "by": "emr_vendor", "allow": "2h"},
    ],
)
_OTHERS = {
    "phones": {
        "title": "Telephones",
        "protected_by": "telephone vendor",
        "attest": {"every": "90d"},
    },
    "portal": {
        "title": "Patient portal",
        "not_protected": "hosted and holds no records",
        "accepted_by": "manager",
    },
}
_SUNDAY = datetime(2026, 11, 15, 10, 0, tzinfo=UTC)
_THIS_MORNING = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def one_system() -> Practice:
    """Return the practice of the README: one system, kept."""
    return judged(
        plan({"emr": _EMR, **_OTHERS}, repositories=two_places()),
        (
            *nights("emr", 11),
            restored("emr", at=_SUNDAY, repository="offsite", minutes=66),
        ),
        points("emr"),
    )


def healthy() -> Practice:
    """Return a practice whose three systems keep every promise."""
    both = {"backup": _BOTH, "restore_tests": _TESTS, "rto": "24h"}
    files_checks = (
        check("files", "12,804 of 12,804 are there, 640 compared byte by byte", asset="documents"),
    )
    files_only = {"newest": None, "data_age_seconds": None, "depth": Depth.L2}
    return judged(
        plan(
            {
                "emr": _EMR,
                "imaging": system("Imaging", importance="important", **both),
                "files": system("Shared files", importance="routine", **both),
                **_OTHERS,
            },
            repositories=two_places(),
        ),
        (
            *nights("emr", 9),
            *nights("imaging", 1, minutes=72, verifications=CHECKS[:5]),
            *nights("files", 1, minutes=6, verifications=files_checks, **files_only),
            *(
                restored(name, at=_SUNDAY, repository="offsite", minutes=minutes)
                for name, minutes in (("emr", 66), ("imaging", 95), ("files", 9))
            ),
        ),
        (*points("emr"), *points("imaging"), *points("files")),
    )


def broken() -> Practice:
    """Return a practice whose newest backup does not come back from one of its two places."""
    failed_checks = (
        check(
            "tables",
            "3 of 214 tables differ",
            "equal to capture",
            result=Result.FAILED,
            reason="3 tables hold fewer rows than at capture",
        ),
        check(
            "scanned documents",
            51211,
            51300,
            result=Result.FAILED,
            reason="89 files that rows name are not there",
        ),
        *CHECKS[2:],
    )
    failed = restored(
        "emr",
        at=_THIS_MORNING,
        result=Result.FAILED,
        reason="3 tables hold fewer rows than at capture",
        verifications=failed_checks,
        depth=Depth.L3,
    )
    rescue = restored(
        "emr",
        at=_THIS_MORNING + timedelta(hours=1),
        repository="offsite",
        minutes=66,
        point_as_of=failed.point_as_of,
        point=failed.point,
        follow_up_of=failed.id,
    )
    return judged(
        plan({"emr": _EMR, "imaging": _IMAGING, **_OTHERS}, repositories=two_places()),
        (
            *nights("emr", 9)[:-1],
            replace(failed, next=advise(failed, (rescue,))),
            rescue,
            restored("emr", at=_SUNDAY, repository="offsite", minutes=66),
            *nights("imaging", 3),
        ),
        (*points("emr", until=NOW - timedelta(hours=5)), *points("imaging")),
    )


def promised(made: Plan, *, at: datetime) -> PromiseMade:
    """Return the version of the promise that plan `made` is, first seen `at`."""
    fields = promise_of(with_defaults(made))
    return make_promise(at, by="Tom Miller", fields=fields, sha256=sha256_of(fields), changes=())


def loosened() -> Practice:
    """Return the practice of the README after somebody raised its RTO from one hour to four."""
    practice = one_system()
    tight = {**_EMR, "rto": "1h"}
    first = promised(
        plan({"emr": tight, **_OTHERS}, repositories=two_places()), at=NOW - timedelta(days=80)
    )
    second = promised(practice.plan, at=NOW - timedelta(days=9))
    told = replace(
        practice.record,
        promises=(first, second),
        sign_offs=(make_sign_off(NOW - timedelta(days=60), promise=first.id),),
    )
    return replace(practice, record=told, findings=judge(practice.plan, told, NOW))


def worst() -> Practice:
    """Return a practice of three systems with something of everything that can be wrong."""
    two = broken()
    files = system(
        "Shared files", importance="routine", backup=_BOTH, restore_tests=_TESTS, rpo="2h"
    )
    systems = {"emr": _EMR, "imaging": _IMAGING, "files": files, **_OTHERS}
    before = {
        **systems,
        "emr": {**_EMR, "rto": "1h", "rpo": "30m", "max_data_age": "4h"},
        "files": {**files, "rto": "2h", "rpo": "1h"},
        "phones": system("Telephones"),
    }
    now, then = (plan(each, repositories=two_places()) for each in (systems, before))
    first = promised(then, at=NOW - timedelta(days=80))
    second = promised(now, at=NOW - timedelta(days=9))
    tests = (
        *two.record.tests,
        *(
            replace(test, system="files", id=f"f{test.id}")
            for test in two.record.tests
            if test.system == "emr"
        ),
    )
    kept = (*two.record.points, *points("files", until=NOW - timedelta(hours=7)))
    judged_now = judged(now, tests, kept)
    told = replace(
        judged_now.record,
        promises=(first, second),
        actions=tuple(
            make_action(NOW - timedelta(days=5), system=name, due=NOW + timedelta(days=days))
            for name, days in (("emr", -3), ("files", -1), ("imaging", 4), ("emr", 5))
        ),
    )
    return replace(judged_now, record=told, findings=judge(judged_now.plan, told, NOW))


def first_day() -> Practice:
    """Return a practice that was set up this morning: one backup, no test yet."""
    morning = NOW - timedelta(hours=9)
    return judged(
        plan({"emr": system("Electronic medical record")}, custody=[]),
        (),
        (point for point in points("emr", where=("onsite",)) if point.as_of > morning),
        since=morning,
    )


def dead_job() -> Practice:
    """Return a practice whose EMR vendor's job died three weeks ago, while our backups go on."""
    written = datetime(2026, 10, 31, 7, 42, tzinfo=UTC)
    dump = AssetSummary(
        kind=AssetKind.SMB, method=Method.TREE, bytes=6 << 30, level="full", data_as_of=written
    )
    share = {
        "kind": "smb",
        "host": "files.example",
        "share": "backup",
        "user": "backup",
        "password": {"env": "SHARE"},
        "made_by": "the EMR vendor's nightly job",
        "data_time": {"newest": "EMR_FULL_*.bak", "max_age": "26h", "at_least": "2 GiB"},
    }
    emr = system("Electronic medical record", rpo="26h", max_skew="5m", assets={"dumps": share})
    emr["assets"]["documents"] = {"kind": "files", "path": "/srv/emr/documents"}
    held = {"dumps": dump, "documents": DOCUMENTS}
    kept = (
        make_point(
            each.as_of,
            assets=held,
            data_as_of=written,
            skew_seconds=(each.as_of - written).total_seconds(),
        )
        for each in points("emr")
    )
    return judged(
        plan({"emr": emr}), nights("emr", 1), kept, since=NOW - timedelta(days=2, minutes=-12)
    )


def crowded() -> Practice:
    """Return a practice with many systems and names as long as a plan allows."""
    long = (
        "Electronic medical record, practice management and clearing-house interface of the "
        "associated outpatient surgery centre"
    )
    titles = (long, *(f"Departmental system number {number}" for number in range(2, 10)))
    systems = {f"system-{number}": system(title) for number, title in enumerate(titles, 1)}
    names = tuple(systems)
    return judged(
        plan(
            systems,
            practice={
                "id": "riverside",
                "name": "Rheinisch-Westfälische Gemeinschaftspraxis für Kinder-, Jugend- und "
                "Allgemeinmedizin Donaudampfschifffahrtselektrizitätenhauptbetriebswerk",
                "timezone": "Europe/Berlin",
            },
        ),
        (
            restored(name, at=NOW - timedelta(hours=number))
            for number, name in enumerate(names[:-2], 1)
        ),
        (point for name in names[:-1] for point in points(name, where=("onsite",))),
    )


def two_places() -> dict[str, Any]:
    """Return two repositories as a plan file holds them."""
    return {
        name: {"location": f"/srv/{name}/riverside", "password": {"file": f"/etc/dro/keys/{name}"}}
        for name in ("onsite", "offsite")
    }
