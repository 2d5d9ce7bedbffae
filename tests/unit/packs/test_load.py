"""Packs are read as strictly as plans: every mistake at once, at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import PlanInvalid, UsageMistake
from dr_orchestrator.packs.load import find_pack, find_packs, load_pack
from dr_orchestrator.plan.problem import Problem
from tests.support.packs import PACK, write


def problems(file: Path) -> list[Problem]:
    with pytest.raises(PlanInvalid) as caught:
        load_pack(file)
    return list(caught.value.problems)  # type: ignore[arg-type]  # objects, to the errors' layer


def test_load_pack_reads_every_kind_of_fact(tmp_path: Path) -> None:
    loaded = load_pack(write(tmp_path))

    kinds = [type(fact).__name__ for fact in loaded.pack.checks]
    assert kinds == ["SqlFact", "FilesFact", "HashedFact", "SealedFact"]
    assert (loaded.built_in, loaded.text) == (False, PACK)


@pytest.mark.parametrize("name", ["openemr", "openmrs", "opendental"])
def test_built_in_packs_are_valid_and_say_what_they_were_tried_on(name: str) -> None:
    loaded = find_pack(name, None)

    assert loaded.built_in
    assert loaded.pack.name == name
    assert "this project generates" in loaded.pack.tried_on


_OF_DATABASE = "{title: patients, asset: database"
_OF_FILES = "files:\n      asset: documents"


@pytest.mark.parametrize(
    ("change", "stands", "path", "message"),
    [
        (("name: clinic", "name: klinic"), "klinic", "name", "is not the name of its file"),
        (("are: scans", "ar: scans"), "ar: scans", "checks[1].files.ar", "unknown key"),
        (("[sha1]", "[md5]"), "md5", "checks[2].hashed.hashes[0]", "must be one of sha1, sha256"),
        (("sha384", "rot13"), "rot13", "seal.hash", "must be one of sha1, sha256"),
        (
            (_OF_DATABASE, "{title: patients, asset: databse"),
            "databse",
            "checks[0].asset",
            "there is no such role",
        ),
        (
            (_OF_DATABASE, "{title: patients, asset: documents"),
            "documents, sql",
            "checks[0].asset",
            "is not always a database",
        ),
        (
            (_OF_FILES, "files:\n      asset: database"),
            "database\n",
            "checks[1].files.asset",
            "is not always a folder of files",
        ),
        (
            ("title: rows", "title: scans"),
            "scans, hashed",
            "checks[2].title",
            "another check has this title",
        ),
        (
            ("expect: baseline,", "expect: baseline, only_if: select 7,"),
            "select 7",
            "checks[0].only_if",
            "has no effect at capture",
        ),
        (("baseline", "Smith"), "Smith", "checks[0].expect", "text cannot be expected"),
    ],
)
def test_load_pack_says_where_a_mistake_stands(
    tmp_path: Path, change: tuple[str, str], stands: str, path: str, message: str
) -> None:
    text = PACK.replace(*change, 1)

    found = problems(write(tmp_path, text))[0]

    before = text[: text.index(stands)].split("\n")
    assert (found.line, found.column) == (len(before), len(before[-1]) + 1)
    assert found.path == path
    assert found.message.startswith(message)


def test_load_pack_needs_to_know_the_seal_of_what_is_sealed(tmp_path: Path) -> None:
    start, end = PACK.index("seal:"), PACK.index("checks:")

    (problem,) = problems(write(tmp_path, PACK[:start] + PACK[end:]))

    assert (problem.path, problem.message) == ("checks[3].sealed", "needs `seal`")


def test_own_pack_with_the_name_of_a_built_in_one_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path, name="openemr")

    with pytest.raises(PlanInvalid, match="there is a built-in pack openemr"):
        find_packs(tmp_path)


def test_find_pack_says_what_may_have_been_meant(tmp_path: Path) -> None:
    write(tmp_path)

    assert find_pack("clinic", tmp_path).pack.title == "Clinic"
    with pytest.raises(UsageMistake) as caught:
        find_pack("clnic", tmp_path)
    assert caught.value.hint == "did you mean `clinic`?"
