"""What a pack asks, answered out of a dictionary: everything but the SQL itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, cast

import pytest

from dr_orchestrator.core.baseline import Value
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.errors import CouldNotVerify
from dr_orchestrator.packs.load import load_pack
from dr_orchestrator.packs.model import Pack
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.restore.living_point import LivingPoint
from dr_orchestrator.restore.pack_checks import PackChecks
from dr_orchestrator.restore.verify import Verifier
from tests.support.pack_point import manifest_with
from tests.support.packs import write

_PACK = """\
version: 1
name: clinic
title: Clinic
tried_on: nothing
roles:
  database: {kinds: [mariadb], about: its database}
  documents: {kinds: [files], about: its documents, within: [a/documents, .]}
emr_version: {asset: database, sql: version, tried: ["7.0", "8"]}
newest: {asset: database, sql: newest}
checks:
  - {title: patients, asset: database, sql: patients, expect: baseline, otherwise: "{count} only"}
  - {title: old, asset: database, sql: old, expect: 0, otherwise: old rows, only_if: has old}
  - title: scans
    files:
      asset: documents
      listed_by: {asset: database, sql: scans}
      are: scans of letters
  - {title: rows, hashed: {asset: database, sql: rows, hashes: [sha256]}, otherwise: "{count} bad"}
coverage:
  - {asset: database, answers: count, sql: others, what: other things, look: there}
  - {asset: database, answers: folders, sql: folders, what: folders, look: there}
  - {asset: database, answers: databases, sql: databases, what: databases, look: there}
"""
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
      documents: {kind: files, path: /srv/emr, exclude: [/srv/emr/cache, "*.tmp"]}
    verify: [{pack: clinic}]
  shares:
    rto: 4h
    rpo: 1h
    assets:
      scans: {kind: smb, host: NAS, share: Scans, user: b, password: {env: X}, exclude: [/Old]}
      other: {kind: mariadb, host: /run/m.sock, database: Billing, user: backup}
      elsewhere: {kind: postgres, host: pg, database: x, user: b, method: physical, scope: cluster}
"""
_SCAN = hashlib.sha256(b"scan").hexdigest()
_WHOLE: dict[str, Any] = {
    "version": [(7, 0, 3)],
    "newest": datetime(2026, 11, 20, tzinfo=UTC),
    "patients": 12,
    "has old": 0,
    "old": CouldNotVerify("no such table"),
    "scans": [("1.pdf", _SCAN, 4, 0), ("2.pdf", None, 4, 0)],
    "rows": [(_SCAN, "scan"), (_SCAN, b"scan")],
    "others": 0,
    "folders": [("/srv/emr/x",), ("\\\\nas\\scans\\new",), (None,)],
    "databases": [("openemr",), (b"billing",)],
}


@dataclass(frozen=True)
class Answering:
    """Answers each query with what stands in a dictionary under its text."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    root: Path = Path("/nonexistent")
    conditions: tuple[str, ...] = ()
    loading_proof_seconds: float = 0.0
    depth: Depth = Depth.L3

    def prepare(self) -> None:
        raise NotImplementedError

    def load(self, restored: Path) -> None:
        raise NotImplementedError

    def compare(self) -> tuple[Verification, ...]:
        raise NotImplementedError

    def value(self, sql: str, *, zone: tzinfo) -> Value:
        return cast("Value", self._answer(sql))

    def rows(self, sql: str) -> Iterator[tuple[object, ...]]:
        yield from self._answer(sql)

    def _answer(self, sql: str) -> Any:
        answer = self.answers[sql]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "a" / "documents"
    folder.mkdir(parents=True)
    for name in ("1.pdf", "2.pdf"):
        (folder / name).write_bytes(b"scan")
    return tmp_path / "root"


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return load_pack(write(tmp_path, _PACK)).pack


def checks(pack: Pack, root: Path, **answers: Any) -> PackChecks:
    loaded = read_plan(_PLAN.encode(), "riverside.yaml")
    named = {name.replace("_", " "): answer for name, answer in answers.items()}
    living = {"database": Answering(_WHOLE | named), "documents": Answering(root=root)}
    systems = loaded.plan.protected.values()
    return PackChecks(
        pack=pack,
        title="Our EMR",
        roles={"database": "database", "documents": "documents"},
        point=LivingPoint(manifest_with({"patients": 12}), living),
        zone=UTC,
        planned=tuple(asset for system in systems for asset in system.assets.values()),
    )


def ask(pack: Pack, root: Path, **answers: Any) -> dict[str, Verification]:
    asked = checks(pack, root, **answers)
    found = (*asked.service(), *asked.proof())
    assert all(each.title.startswith("Our EMR: ") for each in found)
    return {each.title.removeprefix("Our EMR: "): each for each in found}


_VERSION = "its version is one that these checks were tried on"
_COVERED = "all that it refers to is backed up"


def test_pack_checks_pass_on_what_is_whole(pack: Pack, root: Path) -> None:
    found = ask(pack, root)

    assert list(found) == [_VERSION, "patients", "scans", "rows", _COVERED]
    assert {each.result for each in found.values()} == {Result.PASSED}
    assert {each.reason for each in found.values()} == {""}
    assert found["scans"].asset == "documents"
    assert found["scans"].actual == "2 of 2 there, 1 of 1 read and compared"


@pytest.mark.parametrize(
    ("answers", "title", "said"),
    [
        ({"patients": 11}, "patients", (Result.FAILED, "11 only")),
        ({"patients": 1100}, "patients", (Result.FAILED, "1,100 only")),
        ({"has_old": 1, "old": 3}, "old", (Result.FAILED, "old rows")),
        ({"has_old": 1}, "old", (Result.UNPROVEN, "no such table")),
        ({"has_old": CouldNotVerify("gone")}, "old", (Result.UNPROVEN, "no such table")),
        (
            {"rows": [(_SCAN, "scan"), (_SCAN, "scam"), (_SCAN, "skan")]},
            "rows",
            (Result.FAILED, "2 bad"),
        ),
        (
            {"rows": [("abc", "scan"), (_SCAN, "scan")]},
            "rows",
            (Result.UNPROVEN, "1 row with a checksum of an unknown kind"),
        ),
        (
            {"rows": [(_SCAN,)]},
            "rows",
            (Result.UNPROVEN, "the query must answer two columns: hash, and text"),
        ),
        (
            {"scans": [("1.pdf", _SCAN, 4, 0), ("3.pdf", _SCAN, 4, 0)]},
            "scans",
            (Result.FAILED, "1 of the scans of letters is missing from the files"),
        ),
        (
            {"scans": [("1.pdf", "0" * 64, 4, 0), ("2.pdf", None, 5, 0), ("x", None, 5, 0)]},
            "scans",
            (
                Result.FAILED,
                (
                    "1 of the scans of letters is missing from the files; 2 scans of letters are "
                    "not what Clinic stored: their content is another"
                ),
            ),
        ),
        (
            {"scans": [("1.pdf", "abc", 4, 0)]},
            "scans",
            (
                Result.UNPROVEN,
                (
                    "1 of the scans of letters cannot be compared: its hash or seal is of an "
                    "unknown kind"
                ),
            ),
        ),
        (
            {"others": 3, "folders": [("/srv/emr2",)], "databases": [("openemr2",)]},
            _COVERED,
            (
                Result.UNPROVEN,
                (
                    "not covered by any asset of the plan: other things: 3 (look at there); "
                    "folders: 1 (look at there); databases: 1 (look at there)"
                ),
            ),
        ),
        (
            {"folders": [("/srv/emr/cache/fax",), ("/srv/emr/x.tmp",), ("//nas/scans/old",)]},
            _COVERED,
            (
                Result.UNPROVEN,
                "not covered by any asset of the plan: folders: 3 (look at there)",
            ),
        ),
        ({"others": CouldNotVerify("gone")}, _COVERED, (Result.UNPROVEN, "gone")),
        (
            {"others": datetime(2026, 1, 1, tzinfo=UTC)},
            _COVERED,
            (Result.UNPROVEN, "the query for what is not covered answers no number"),
        ),
    ],
)
def test_pack_checks_say_what_is_wrong(
    pack: Pack, root: Path, answers: dict[str, Any], title: str, said: tuple[Result, str]
) -> None:
    found = ask(pack, root, **answers)

    assert (found[title].result, found[title].reason) == said
    others = [each for name, each in found.items() if name != title]
    assert all(each.result is Result.PASSED for each in others)


@pytest.mark.parametrize(
    ("rows", "result"),
    [
        ([("7.0.1",)], Result.PASSED),
        ([(8, 0)], Result.PASSED),
        ([("8",)], Result.PASSED),
        ([(7, 1, 0)], Result.UNPROVEN),
        ([(70, 0)], Result.UNPROVEN),
        ([(80,)], Result.UNPROVEN),
    ],
)
def test_pack_checks_compare_versions_part_by_part(
    pack: Pack, root: Path, rows: list[tuple[object, ...]], result: Result
) -> None:
    assert ask(pack, root, version=rows)[_VERSION].result is result


@pytest.mark.parametrize("rows", [[], [(7,), (8,)], [("Jane Roe",)], [("555-01-0199",)], [()]])
def test_pack_checks_show_no_version_that_is_none(
    pack: Pack, root: Path, rows: list[tuple[object, ...]]
) -> None:
    answer = ask(pack, root, version=rows)[_VERSION]

    assert answer.result is Result.UNPROVEN
    assert answer.reason == "the database does not tell the program's version"
    assert answer.actual is None


def test_pack_checks_ask_nothing_more_of_what_does_not_tell_its_version(
    pack: Pack, root: Path
) -> None:
    asked = checks(pack, root, version=CouldNotVerify("no such table"))

    (answer,) = (*asked.service(), *asked.proof())

    assert answer.result is Result.UNPROVEN
    assert answer.reason.startswith("is this Clinic?")


def test_pack_checks_are_unproven_where_an_asset_is_not_in_the_point(
    pack: Pack, root: Path
) -> None:
    asked = checks(pack, root)
    living = {"database": asked.point.restorations["database"]}
    asked = replace(asked, point=LivingPoint(asked.point.manifest, living))
    found = {each.title: each for each in asked.proof()}

    answer = found["Our EMR: scans"]
    assert (answer.result, answer.asset) == (Result.UNPROVEN, "documents")
    assert answer.reason == "documents is not in this recovery point"


def test_verifier_is_unproven_where_a_pack_is_not_known(root: Path) -> None:
    loaded = read_plan(_PLAN.encode(), "riverside.yaml")
    system = loaded.plan.protected["emr"]
    living = {"database": Answering(), "documents": Answering(root=root)}
    asked = Verifier(loaded.plan, system, manifest_with({}), living)

    (unknown,) = asked.service()
    assert unknown.result is Result.UNPROVEN
    assert unknown.reason == "the pack clinic is not known here, so nothing it asks was answered"
    assert {each.result for each in asked.proof()} == {Result.UNPROVEN}


def test_verifier_takes_the_newest_row_of_the_pack(pack: Pack, root: Path) -> None:
    loaded = read_plan(_PLAN.encode(), "riverside.yaml")
    system = loaded.plan.protected["emr"]
    living = {"database": Answering(_WHOLE), "documents": Answering(root=root)}
    asked = Verifier(loaded.plan, system, manifest_with({"patients": 12}), living, {"clinic": pack})

    assert asked.newest() == _WHOLE["newest"]
    found = (*asked.service(), *asked.proof())
    assert {each.result for each in found} == {Result.PASSED}
    assert found[0].title == f"Clinic: {_VERSION}"
