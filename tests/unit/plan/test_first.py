from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.plan.first import Draft, DraftedAsset, write_first_plan
from dr_orchestrator.plan.load import load_plan


def test_first_plan_is_valid_and_says_what_a_person_must_decide(tmp_path: Path) -> None:
    first = write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")

    loaded = load_plan(first.plan)
    assert loaded.plan.practice.id == "riverside"
    assert loaded.plan.repositories["onsite"].password.file == str(first.key)
    assert loaded.text.count("# DECIDE") == 11


def test_first_plan_is_warned_of_until_somebody_says_where_a_copy_of_the_key_is(
    tmp_path: Path,
) -> None:
    first = write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")

    before = {each.path: each.message for each in load_plan(first.plan).warnings}
    assert "nobody has written down" in before.pop("repositories.onsite.password.obtain")

    first.plan.write_text(first.plan.read_text().replace("not written down yet", "the safe"))
    assert {each.path: each.message for each in load_plan(first.plan).warnings} == before


def test_first_plan_says_what_is_in_the_way_and_how_to_go_on(tmp_path: Path) -> None:
    first = write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")

    with pytest.raises(UsageMistake) as refused:
        write_first_plan("riverside", first.plan)
    assert f"{first.plan} exists already, {first.key} too: nothing" in refused.value.message
    assert f"`dro plan validate {first.plan}`" in refused.value.hint


def test_first_plan_shows_other_assets_to_uncomment(tmp_path: Path) -> None:
    first = write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")
    text = first.plan.read_text()
    begin, sqlite = text.index("      database:\n"), text.index("      # database:")

    first.plan.write_text(text[:begin] + text[sqlite:].replace("# database", "database"))
    first.plan.write_text(first.plan.read_text().replace("# documents", "documents"))

    (system,) = load_plan(first.plan).plan.protected.values()
    assert {name: asset.kind.value for name, asset in system.assets.items()} == {
        "database": "postgres",
        "documents": "files",
    }


def test_first_plan_shows_whom_to_tell_and_a_report_to_uncomment(tmp_path: Path) -> None:
    first = write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")
    text = first.plan.read_text()

    first.plan.write_text(text.replace("# notify", "notify").replace("# report", "report"))

    plan = load_plan(first.plan).plan
    assert len(plan.notify) == 1
    assert plan.report is not None


def test_first_plan_shows_a_second_copy_and_who_holds_keys_to_uncomment(tmp_path: Path) -> None:
    first = write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")
    text = first.plan.read_text().replace("# custody", "custody").replace("# backup:", "backup:")

    first.plan.write_text(re.sub(r"  # (offsite|  location|  password)", r"  \1", text))

    plan = load_plan(first.plan).plan
    assert set(plan.repositories) == {"onsite", "offsite"}
    assert plan.protected["emr"].backup.copy_to == ("offsite",)
    assert [each.holder for each in plan.custody] == ["msp"]


def test_passwords_are_files_that_the_plan_may_refer_to(tmp_path: Path) -> None:
    def describe(files: Mapping[str, Path]) -> Draft:
        assert files["database"].read_text() == "canary-password\n"
        stated = {
            "kind": "postgres", "host": "on", "database": "emr: main", "user": "backup",
            "password": {"file": str(files["database"])},
        }  # fmt: skip
        remarks = ("a name with a line\nbreak: \x1b[31m" + "word " * 40,)
        asset = DraftedAsset(name="database", stated=stated, remarks=remarks)
        return Draft(assets=(asset,), timezone="America/Chicago", location="s3:https://x/y #1")

    passwords = {"database": Secret("canary-password")}
    first = write_first_plan(
        "riverside", tmp_path / "riverside.yaml", passwords=passwords, describe=describe
    )

    assert "canary-password" not in first.plan.read_text()
    assert "\x1b" not in first.plan.read_text()
    assert first.passwords["database"].stat().st_mode & 0o777 == 0o600
    plan = load_plan(first.plan).plan
    asset = plan.protected["emr"].assets["database"]
    assert (asset.host, asset.database) == ("on", "emr: main")  # type: ignore[union-attr]
    assert plan.repositories["onsite"].location == "s3:https://x/y #1"


@pytest.mark.parametrize("location", ["", "carrier-pigeon:home"])
def test_nothing_is_left_where_what_was_asked_for_makes_no_plan(
    tmp_path: Path, location: str
) -> None:
    def describe(_files: Mapping[str, Path]) -> Draft:
        stated = {"kind": "postgres", "host": "x", "database": "emr", "user": "u", "port": 0}
        return Draft(location=location, assets=(DraftedAsset(name="database", stated=stated),))

    with pytest.raises(UsageMistake, match="makes no plan"):
        write_first_plan("riverside", tmp_path / "riverside.yaml", describe=describe)

    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_key_is_random_private_and_outside_of_the_plans_folder(tmp_path: Path) -> None:
    first = write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")
    second = write_first_plan("lakeside", tmp_path / "plans" / "lakeside.yaml")

    assert first.key == tmp_path / "keys" / "riverside"
    assert first.key.stat().st_mode & 0o777 == 0o600
    assert first.key.parent.stat().st_mode & 0o777 == 0o700
    assert len(first.key.read_text().strip()) >= 43
    assert first.key.read_text() != second.key.read_text()


def test_key_is_never_inside_a_git_work_tree(tmp_path: Path) -> None:
    tree = tmp_path / "practices"
    (tree / ".git").mkdir(parents=True)

    first = write_first_plan("riverside", tree / "plans" / "riverside.yaml")

    assert first.key == tmp_path / "practices-keys" / "riverside"
    load_plan(first.plan)


@pytest.mark.parametrize("in_the_way", ["plans/riverside.yaml", "keys/riverside"])
def test_nothing_is_written_over(tmp_path: Path, in_the_way: str) -> None:
    existing = tmp_path / in_the_way
    existing.parent.mkdir()
    existing.symlink_to(tmp_path / "dangling")

    with pytest.raises(UsageMistake, match="exists already: nothing is written over"):
        write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")

    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == [existing]


def test_no_key_is_left_where_the_plan_cannot_be_written(tmp_path: Path) -> None:
    too_long = f"{'x' * 252}.yaml"

    with pytest.raises(UsageMistake, match="cannot be written"):
        write_first_plan("riverside", tmp_path / "plans" / too_long)

    assert list((tmp_path / "keys").iterdir()) == []


def test_folder_that_is_a_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("a file where a folder should be")

    with pytest.raises(UsageMistake, match="plans exists already"):
        write_first_plan("riverside", tmp_path / "plans" / "riverside.yaml")

    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("practice", ["", "River", "../x", "a b", "1st"])
def test_id_that_cannot_be_one_is_refused(tmp_path: Path, practice: str) -> None:
    with pytest.raises(UsageMistake, match="is not an id"):
        write_first_plan(practice, tmp_path / "x.yaml")

    assert list(tmp_path.iterdir()) == []
