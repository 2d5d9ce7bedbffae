"""A plan that tests what another tool saves: what it may say, and what it contradicts."""

from __future__ import annotations

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.load import LoadedPlan, effective_yaml, read_plan
from dr_orchestrator.plan.model import ExistingAsset
from dr_orchestrator.plan.problem import Problem

PLAN = """\
version: 1
practice: {{id: riverside, name: Riverside, timezone: America/Chicago}}
repositories:
  theirs: {{location: /srv/theirs, password: {{file: /etc/key}}{repository}}}
  other: {{location: /srv/other, password: {{file: /etc/key}}}}
systems:
  emr:
    rto: 4h
    rpo: 30h
    assets:
      database: {{kind: {kind}, existing: {{path: {path}}}{asset}}}
      {more}
    {system}
"""


def load(**changes: str) -> LoadedPlan:
    stated = {
        "repository": "",
        "kind": "postgres",
        "path": "/emr.sql",
        "asset": "",
        "more": "documents: {kind: files, existing: {path: /srv/documents, tag: nightly}}",
        "system": "",
    }
    return read_plan(PLAN.format(**(stated | changes)).encode(), "riverside.yaml")


def mistakes(**changes: str) -> list[tuple[str, str, str]]:
    with pytest.raises(PlanInvalid) as refused:
        load(**changes)
    found: list[Problem] = list(refused.value.problems)  # type: ignore[arg-type]
    return [(each.path, each.message, each.hint) for each in found]


def test_plan_with_existing_assets_is_read_only_where_nothing_of_ours_is_saved() -> None:
    plan = load().plan

    assert plan.protected["emr"].is_existing
    assert plan.only_reads("theirs")
    assert not plan.only_reads("other")
    maintenance = plan.repositories["theirs"].maintenance
    assert (maintenance.forget, maintenance.prune) == ("never", "never")
    assert plan.repositories["other"].maintenance.prune != "never"
    assert isinstance(plan.protected["emr"].assets["database"], ExistingAsset)


def test_repository_of_both_is_not_only_read() -> None:
    ours = "assets: {db: {kind: sqlite, path: /srv/x.db}}"
    both = f"\n  files: {{rto: 4h, rpo: 4h, {ours}}}"

    assert not load(system=f"title: EMR{both}").plan.only_reads("theirs")


def test_effective_plan_reads_back_to_an_equal_one() -> None:
    loaded = load(asset=", lab: lab1", path="/srv/dumps/emr-*.sql")

    again = read_plan(effective_yaml(loaded).encode(), "effective.yaml")

    assert again.plan == loaded.plan


def test_plan_warns_until_each_asset_is_asked() -> None:
    asked = "verify: [{title: rows, asset: database, sql: select 1, expect: 1}]"

    assert "tests stay unproven" in " ".join(each.message for each in load().warnings)
    told = " ".join(each.message for each in load(system=asked).warnings)
    assert "unproven" not in told
    assert "no `baseline`" not in told


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        (
            {"more": "documents: {kind: files, path: /srv/documents}"},
            "assets.documents",
            "is saved by us, and another asset of the system by another tool",
        ),
        ({"kind": "command"}, "assets.database.kind", "must be one of postgres, mariadb, sqlite"),
        ({"kind": "oracle"}, "assets.database.kind", "must be one of postgres, mariadb, sqlite"),
        ({"asset": ", host: 10.0.0.5"}, "assets.database.host", "has no effect"),
        ({"asset": ", hots: x"}, "assets.database.hots", "unknown key"),
        ({"kind": "sqlite", "asset": ", lab: lab1"}, "assets.database.lab", "has no effect"),
        ({"path": "emr.sql"}, "assets.database.existing.path", "must be an absolute path"),
        ({"path": "/srv/../emr.sql"}, "assets.database.existing.path", "is not written as"),
        ({"path": "/srv/emr/"}, "assets.database.existing.path", "is not written as"),
        ({"path": "'/srv/*/emr.sql'"}, "assets.database.existing.path", "`*` stands for part"),
        ({"path": "'/srv/*'"}, "assets.database.existing.path", "`*` alone fits every file"),
        ({"system": "backup: {schedule: 1h, to: [theirs, other]}"}, "to[1]", "is one too many"),
        (
            {"system": "backup: {schedule: every 1h, copy_to: [other]}"},
            "backup.copy_to",
            "has no effect",
        ),
        (
            {"system": "restore_tests: [{schedule: '03:30', files: {sample: 5%}}]"},
            "restore_tests[0].files",
            "has no effect",
        ),
        (
            {"system": "verify: [{title: n, asset: database, sql: s, expect: baseline}]"},
            "verify[0].expect",
            "needs a baseline",
        ),
        ({"repository": ", maintenance: {prune: 'Sun 06:00'}"}, "prune", "has no effect"),
        ({"repository": ", object_lock: {mode: compliance, days: 30}"}, "object_lock", "has no"),
    ],
)
def test_plan_is_refused_when_it_contradicts_that_another_tool_saves(
    changes: dict[str, str], path: str, message: str
) -> None:
    found = mistakes(**changes)

    assert any(where.endswith(path) and message in what for where, what, _ in found), found


def test_misspelt_existing_is_told() -> None:
    text = PLAN.format(
        repository="", kind="sqlite", path="/x.db", asset="", more="", system=""
    ).replace("existing:", "exsting:")

    with pytest.raises(PlanInvalid) as refused:
        read_plan(text.encode(), "riverside.yaml")

    assert "did you mean `existing`?" in refused.value.message


def test_asset_that_is_no_mapping_is_told() -> None:
    found = mistakes(more="documents: /srv/documents")

    assert [each[0] for each in found if "documents" in each[0]]
