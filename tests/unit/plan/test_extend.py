"""A plan over a template: what comes out, where each value is from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.load import LoadedPlan, effective_yaml, load_plan, read_plan

TEMPLATE = """\
version: 1
practice: {timezone: America/Chicago, name: to be named}
repositories:
  onsite:
    location: /srv/restic/{practice}
    password: {file: "/etc/dro/keys/{practice}"}
systems:
  emr:
    rto: 4h
    rpo: 1h
    retention: {keep_daily: 60}
    assets:
      database:
        {kind: postgres, host: db, database: emr, user: backup, password: {env: EMR_PASSWORD}}
    verify:
      - baseline
      - {title: visits, asset: database, sql: "select 1", expect: "> 0"}
"""
PLAN = """\
extends: templates/small.yaml
practice: {id: lakeside, name: Lakeside Dental}
"""


def load(folder: Path, plan: str = PLAN, template: str = TEMPLATE) -> LoadedPlan:
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates" / "small.yaml").write_text(template)
    (folder / "lakeside.yaml").write_text(plan)
    return load_plan(folder / "lakeside.yaml")


def mistakes(folder: Path, plan: str = PLAN, template: str = TEMPLATE) -> list[str]:
    with pytest.raises(PlanInvalid) as refused:
        load(folder, plan, template)
    return [str(each.text()) for each in refused.value.problems]  # type: ignore[attr-defined]


def test_plan_over_a_template_is_both_and_its_own_where_they_differ(tmp_path: Path) -> None:
    own = (
        f"{PLAN}systems: {{emr: {{rto: 8h, retention: {{keep_yearly: 7}}, verify: [baseline]}}}}\n"
    )

    loaded = load(tmp_path, own)

    plan, emr = loaded.plan, loaded.plan.protected["emr"]
    assert (plan.practice.name, str(plan.practice.timezone)) == (
        "Lakeside Dental",
        "America/Chicago",
    )
    assert plan.repositories["onsite"].location == "/srv/restic/lakeside"
    assert str(emr.rto) == "8:00:00"
    assert (emr.retention.keep_daily, emr.retention.keep_yearly) == (60, 7)
    assert len(emr.verify) == 1


def test_plan_over_a_template_reads_back_from_a_repository_without_it(tmp_path: Path) -> None:
    loaded = load(tmp_path)

    assert read_plan(effective_yaml(loaded).encode(), "saved").plan == loaded.plan
    assert read_plan(loaded.text.encode(), "kept").sha256 == loaded.sha256
    assert "extends" not in loaded.text


@pytest.mark.parametrize(
    "own",
    [
        "database: {kind: sqlite, path: /srv/emr.db}",
        "database: {kind: postgres, existing: {path: /emr.sql}}",
    ],
)
def test_asset_of_another_kind_takes_the_whole_place(tmp_path: Path, own: str) -> None:
    plan = f"{PLAN}systems: {{emr: {{assets: {{{own}}}, verify: [baseline]}}}}\n"

    asset = load(tmp_path, plan).plan.protected["emr"].assets["database"]

    assert not hasattr(asset, "host")


def test_reference_to_another_secret_takes_the_whole_place(tmp_path: Path) -> None:
    plan = f"{PLAN}repositories: {{onsite: {{password: {{env: LAKESIDE}}}}}}\n"

    password = load(tmp_path, plan).plan.repositories["onsite"].password

    assert (password.env, password.file) == ("LAKESIDE", None)


def test_system_that_a_plan_does_not_protect_takes_the_whole_place(tmp_path: Path) -> None:
    fax = "  fax: {rto: 1d, rpo: 1d, assets: {inbox: {kind: files, path: /srv/fax}}}\n"
    plan = (
        f"{PLAN}contacts: {{manager: {{role: manager}}}}\n"
        "systems: {fax: {not_protected: no fax here, accepted_by: manager}}\n"
    )
    template = TEMPLATE.replace("systems:\n", f"systems:\n{fax}")

    assert set(load(tmp_path, plan, template).plan.protected) == {"emr"}


@pytest.mark.parametrize("name", ["file", "existing"])
def test_asset_may_have_the_name_of_a_key_and_takes_no_other_away(
    tmp_path: Path, name: str
) -> None:
    emr = "systems: {emr: {assets: {%s: {path: /srv/ours}}}}\n"
    files = f"      {name}: {{kind: files, path: /srv/all}}\n"
    template = TEMPLATE.replace("    verify:", f"{files}    verify:")

    assets = load(tmp_path, PLAN + emr % name, template).plan.protected["emr"].assets

    assert set(assets) == {"database", name}
    assert str(assets[name].path) == "/srv/ours"  # type: ignore[union-attr]


def test_system_may_have_the_name_of_a_key_and_takes_no_other_away(tmp_path: Path) -> None:
    own = "systems: {existing: {rto: 1d, rpo: 1d, assets: {all: {kind: files, path: /srv/all}}}}\n"

    assert set(load(tmp_path, PLAN + own).plan.protected) == {"emr", "existing"}


def test_origin_of_a_value_is_the_file_it_stands_in(tmp_path: Path) -> None:
    origins = load(tmp_path, f"{PLAN}systems: {{emr: {{rto: 8h}}}}\n").origins

    assert origins["systems.emr.rto"] == "lakeside.yaml:3"
    assert origins["systems.emr.rpo"] == "small.yaml:10"
    assert origins["systems.emr.importance"].startswith("default: ")


def test_mistake_in_a_template_is_told_at_its_place_there(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, template=TEMPLATE.replace("rto: 4h", "rto: soon"))

    assert told.startswith(f"{tmp_path}/templates/small.yaml:9:10: systems.emr.rto: ")


def test_key_that_neither_says_is_missing(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, template=TEMPLATE.replace("    rpo: 1h\n", ""))

    assert "systems.emr.rpo: is missing" in told


@pytest.mark.parametrize(
    ("extends", "said"),
    [
        ("templates/none.yaml", "cannot be read: no such file or directory"),
        ("templates", "is a folder"),
        ("lakeside.yaml", "extends itself in the end"),
        ("5", "must be the path of a template"),
        ("[a, b]", "must be the path of a template"),
    ],
)
def test_template_that_cannot_be_used_is_told_where_it_is_named(
    tmp_path: Path, extends: str, said: str
) -> None:
    told = mistakes(tmp_path, PLAN.replace("templates/small.yaml", extends))

    assert any("lakeside.yaml:1:10: extends: " in each and said in each for each in told)


def test_template_may_extend_another_and_none_itself(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "templates" / "all.yaml").write_text("notify: [{url: {env: OPS}}]\n")
    above = f"extends: all.yaml\n{TEMPLATE}"
    assert len(load(tmp_path, template=above).plan.notify) == 1

    (tmp_path / "templates" / "all.yaml").write_text("extends: small.yaml\n")
    (told,) = mistakes(tmp_path, template=above)
    assert f"{tmp_path}/templates/all.yaml:1:10: extends: extends itself in the end" in told


def test_template_has_no_id_of_a_practice(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, template=TEMPLATE.replace("practice: {", "practice: {id: any, "))

    assert "small.yaml" in told
    assert "practice.id: stands in a template" in told


def test_plan_out_of_a_repository_names_no_template(tmp_path: Path) -> None:
    load(tmp_path)
    with pytest.raises(PlanInvalid, match="names a file of another machine"):
        read_plan(PLAN.encode(), str(tmp_path / "lakeside.yaml"))


def test_command_in_a_template_that_others_can_write_is_refused(tmp_path: Path) -> None:
    template = TEMPLATE.replace("{env: EMR_PASSWORD}", "{command: [pass, emr]}")
    load(tmp_path, template=template)
    (tmp_path / "templates" / "small.yaml").chmod(0o666)

    (told,) = mistakes(tmp_path, template=template)

    assert "small.yaml, others may write to it" in told
