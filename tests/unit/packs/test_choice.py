"""Which packs a plan names, which asset plays which role, and what the capture is to ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.packs.choice import newest_row, pack_queries, packs_of, roles_of
from dr_orchestrator.plan.load import LoadedPlan, load_plan, read_plan
from dr_orchestrator.plan.model import PackCheck
from dr_orchestrator.plan.problem import Problem
from tests.support.packs import PACK, write

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  onsite: {location: /srv/restic, password: {file: /etc/dro/key}}
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets:
      database: {kind: mariadb, host: /run/m.sock, database: openemr, user: backup}
      documents: {kind: files, path: /srv/openemr/sites}
    verify:
      - {pack: openemr}
"""
_SECOND = (
    "      archive: {kind: files, path: /srv/archive}\n"
    "      copy: {kind: mariadb, host: /run/m.sock, database: copy, user: backup}\n"
)


def with_second(plan: str = _PLAN) -> str:
    return plan.replace("    verify:", f"{_SECOND}    verify:")


def loaded(text: str) -> LoadedPlan:
    return read_plan(text.encode(), "riverside.yaml")


def problems(plan: LoadedPlan) -> list[Problem]:
    with pytest.raises(PlanInvalid) as caught:
        packs_of(plan)
    return list(caught.value.problems)  # type: ignore[arg-type]  # objects, to the errors' layer


def test_packs_of_takes_the_only_asset_of_a_kind_for_a_role() -> None:
    plan = loaded(_PLAN)
    packs = packs_of(plan)
    system = plan.plan.protected["emr"]
    (check,) = system.verify
    assert isinstance(check, PackCheck)

    roles = roles_of(packs["openemr"].pack, check, system.assets)

    assert roles == {"database": "database", "documents": "documents"}


def test_packs_of_is_empty_where_no_pack_is_named() -> None:
    assert packs_of(loaded(_PLAN.replace("{pack: openemr}", "baseline"))) == {}


@pytest.mark.parametrize(
    ("plan", "stands", "path", "message", "hint"),
    [
        (
            _PLAN.replace("openemr}\n", "opnemr}\n"),
            "opnemr",
            "systems.emr.verify[0].pack",
            "there is no such pack",
            "did you mean `openemr`?",
        ),
        (
            _PLAN.replace("      documents: {kind: files, path: /srv/openemr/sites}\n", ""),
            "openemr}",
            "systems.emr.verify[0].pack",
            "no asset can be its `documents`: the folder sites/SITE/documents, or a folder above",
            "it takes an asset of kind files or smb",
        ),
        (
            with_second(),
            "openemr}",
            "systems.emr.verify[0].pack",
            "several assets could be its `database`",
            "add `assets: {database: …}`, one of database, copy",
        ),
        (
            _PLAN.replace("openemr}\n", "openemr, assets: {databse: database}}\n"),
            "databse",
            "systems.emr.verify[0].assets.databse",
            "the pack has no such role",
            "did you mean `database`?",
        ),
        (
            _PLAN.replace("openemr}\n", "openemr, assets: {database: documents}}\n"),
            "documents}",
            "systems.emr.verify[0].assets.database",
            "is of a kind that does not fit",
            "it takes an asset of kind mariadb",
        ),
        (
            f"{_PLAN}      - {{pack: openemr}}\n",
            "openemr}",
            "systems.emr.verify[0].pack",
            "another check has this title",
            "give each a `title`",
        ),
    ],
)
def test_packs_of_says_where_a_pack_does_not_fit(
    plan: str, stands: str, path: str, message: str, hint: str
) -> None:
    found = problems(loaded(plan))[0]

    before = plan[: plan.index(stands)].split("\n")
    assert (found.line, found.column) == (len(before), len(before[-1]) + 1)
    assert found.path == path
    assert found.message.startswith(message)
    assert found.hint == hint


def test_packs_of_takes_the_assets_that_the_plan_names() -> None:
    check = "{pack: openemr, assets: {database: copy, documents: archive}}"
    plan = loaded(with_second(_PLAN.replace("{pack: openemr}", check)))
    packs = {name: each.pack for name, each in packs_of(plan).items()}
    system = plan.plan.protected["emr"]

    assert pack_queries(system, "database", packs) == ()
    assert "select count(*) from patient_data" in pack_queries(system, "copy", packs)
    newest = newest_row(system, packs)
    assert newest is not None
    assert (newest.asset, newest.sql) == ("copy", "select max(date) from log")


def test_pack_queries_are_those_that_are_compared_with_the_capture() -> None:
    plan = loaded(_PLAN)
    packs = {name: each.pack for name, each in packs_of(plan).items()}

    queries = pack_queries(plan.plan.protected["emr"], "database", packs)

    assert len(queries) == len(set(queries)) == 12
    assert not any("log_validator" in each for each in queries)
    assert pack_queries(plan.plan.protected["emr"], "documents", packs) == ()


def test_newest_row_is_the_plan_s_own_where_it_states_one() -> None:
    own = "    newest: {asset: database, sql: select max(seen) from visit}\n"
    plan = loaded(_PLAN.replace("    verify:", f"{own}    verify:"))
    packs = {name: each.pack for name, each in packs_of(plan).items()}

    found = newest_row(plan.plan.protected["emr"], packs)

    assert found is not None
    assert found.sql == "select max(seen) from visit"


def test_packs_of_finds_a_pack_beside_the_plan_and_says_what_is_missing_in_it(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    file = tmp_path / "riverside.yaml"
    file.write_text(_PLAN.replace("pack: openemr", "pack: clinic"))

    assert packs_of(load_plan(file))["clinic"].text == PACK

    file.write_text(
        file.read_text().replace("    rpo: 1h\n", "    rpo: 1h\n    max_data_age: 4h\n")
    )
    (problem,) = problems(load_plan(file))
    assert problem.message == "the pack tells no newest row"
