from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.assets.files_look import Keyed, content_fact
from dr_orchestrator.assets.files_tally import Tally
from tests.support.kit_script import SCRIPT, load_script

kit = load_script()
KEY = b"k" * 32
MANIFEST = Path(__file__).parents[3] / "docs" / "reference" / "manifest.md"


# --- the file itself ------------------------------------------------------------------------------


def test_script_is_written_in_python_3_9_and_imports_its_library_alone() -> None:
    imported = set()
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert imported <= sys.stdlib_module_names
    at_the_top = {
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }
    assert not at_the_top & {"pwd", "grp", "fcntl", "resource", "termios"}, "Windows has none"


# --- times and answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21T19:15:00.091511Z", datetime(2026, 11, 21, 19, 15, 0, 91511, UTC)),
        ("2026-11-21T13:15:00.123456789-06:00", datetime(2026, 11, 21, 19, 15, 0, 123456, UTC)),
        ("2026-11-21 19:15:00+00", datetime(2026, 11, 21, 19, 15, tzinfo=UTC)),
    ],
)
def test_read_time_reads_what_restic_manifests_and_servers_write(
    text: str, instant: datetime
) -> None:
    assert kit.read_time(text) == instant


@pytest.mark.parametrize("text", ["", None, 7, "yesterday", "2026-13-01T00:00:00Z", "2026-11-21"])
def test_read_time_refuses_what_is_no_time(text: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        kit.read_time(text)


_ZONE = kit.zone_named("America/Chicago")


@pytest.mark.parametrize(
    ("text", "expected", "zone", "same"),
    [
        ("7", 7, None, True),
        ("8", 7, None, False),
        ("0.1", 0.1, None, True),
        ("seven", 7, None, False),
        ("t", True, None, True),
        ("0", True, None, False),
        (None, None, None, True),
        (None, 0, None, False),
        ("0", None, None, False),
        ("2026-11-21 13:15:00", "2026-11-21T19:15:00Z", _ZONE, True),
        ("2026-11-21 13:15:01", "2026-11-21T19:15:00Z", _ZONE, False),
        ("2026-11-21 13:15:00", "2026-11-21T19:15:00Z", None, None),
        ("2026-11-21 19:15:00+00", "2026-11-21T19:15:00Z", None, True),
        ("2026-11-21 19:15:01+00", "2026-11-21T19:15:00Z", None, False),
        ("2026-11-21", "2026-11-21T06:00:00Z", _ZONE, True),
    ],
)
def test_is_same_compares_an_answer_with_that_at_capture(
    text: str | None, expected: Any, zone: Any, same: bool | None
) -> None:
    assert kit.is_same(text, expected, zone) is same


# --- files ----------------------------------------------------------------------------------------


@given(
    st.lists(st.binary(min_size=1, max_size=30), unique=True, max_size=40),
    st.lists(st.binary(min_size=1, max_size=30), unique=True, max_size=40),
)
@settings(max_examples=20, deadline=None)
def test_tally_is_the_one_that_baselines_are_made_with(
    before: list[bytes], after: list[bytes]
) -> None:
    ours, theirs = Tally(KEY), kit.Tally(KEY)
    for fact in before:
        ours.add(fact)
    elements = {theirs.add(fact) for fact in after}
    parsed = kit.Tally.parse(ours.text(), KEY)
    assert parsed.equals(theirs) == (set(before) == set(after))
    gone, extra = parsed.difference(theirs)
    assert len(gone) == len(set(before) - set(after))
    assert extra <= elements
    assert len(extra) == len(set(after) - set(before))


def _baseline(tree: Path, **more: Any) -> dict[str, Any]:
    """Take a baseline with the package's own parts."""
    keyed, listing, content = Keyed(KEY), Tally(KEY), Tally(KEY)
    samples = {}
    for path in sorted(tree.rglob("*")):
        parts = tuple(map(os.fsencode, path.relative_to(tree).parts))
        name = b"/".join(parts)
        if path.is_symlink():
            listing.add(b"link\0" + name + b"\0" + os.fsencode(path.readlink()))
        elif path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            listing.add(b"file\0" + name + b"\0%d" % path.stat().st_size)
            content.add(content_fact(parts, digest))
            samples[keyed.path(parts).hex()] = digest
    return {
        "level": "full",
        "files": len(samples),
        "listing": listing.text(),
        "key": KEY.hex(),
        "unsettled": [],
        "samples": samples,
        "content": "",
        "dump": None,
        **more,
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "scans").mkdir(parents=True)
    for number in range(12):
        (tree / "scans" / f"{number}.pdf").write_bytes(b"scan %d" % number)
    (tree / "latest").symlink_to("scans/11.pdf")
    return tree


def _result(baseline: dict[str, Any], tree: Path) -> str:
    looks = list(kit.check_files({"baseline": baseline}, tree))
    result: str = kit.overall([look.result for look in looks])
    return result


def _by_content(tree: Path) -> dict[str, Any]:
    content = Tally(KEY)
    for path in tree.rglob("*.pdf"):
        parts = tuple(map(os.fsencode, path.relative_to(tree).parts))
        content.add(content_fact(parts, hashlib.sha256(path.read_bytes()).hexdigest()))
    return _baseline(tree, samples={}, content=content.text())


def _altered(tree: Path) -> None:
    (tree / "scans" / "3.pdf").write_bytes(b"scan X")


def _led_elsewhere(tree: Path) -> None:
    (tree / "latest").unlink()
    (tree / "latest").symlink_to("/etc/shadow")


def _swapped_for_a_link(tree: Path) -> None:
    (tree / "scans" / "4.pdf").unlink()
    (tree / "scans" / "4.pdf").symlink_to("5.pdf")


_DAMAGES: list[Callable[[Path], object]] = [
    lambda tree: (tree / "scans" / "0.pdf").unlink(),
    lambda tree: (tree / "scans" / "1.pdf").write_bytes(b"cut"),
    lambda tree: (tree / "scans" / "new.pdf").write_bytes(b"new"),
    lambda tree: (tree / "scans" / "2.pdf").rename(tree / "2.pdf"),
    _altered,
    _led_elsewhere,
    _swapped_for_a_link,
]


@pytest.mark.parametrize("take", [_baseline, _by_content], ids=["samples", "contents"])
def test_files_pass_when_they_are_what_they_were(
    tree: Path, take: Callable[[Path], dict[str, Any]]
) -> None:
    assert _result(take(tree), tree) == "passed"


@pytest.mark.parametrize("take", [_baseline, _by_content], ids=["samples", "contents"])
@pytest.mark.parametrize("damage", _DAMAGES)
def test_files_fail_when_anything_is_not_what_it_was(
    tree: Path, take: Callable[[Path], dict[str, Any]], damage: Callable[[Path], object]
) -> None:
    baseline = take(tree)
    damage(tree)
    assert _result(baseline, tree) == "failed"


def test_a_file_that_changed_while_it_was_saved_is_left_out(tree: Path) -> None:
    path = (b"scans", b"3.pdf")
    baseline = _baseline(tree)
    (tree / "scans" / "3.pdf").unlink()
    settled = _baseline(tree, unsettled=[Keyed(KEY).path(path).hex()])
    (tree / "scans" / "3.pdf").write_bytes(b"between two states")
    assert _result(settled, tree) == "passed"
    assert _result(baseline, tree) == "failed"


def test_a_file_that_came_and_went_in_a_changing_folder_is_no_damage(tree: Path) -> None:
    changed = _baseline(tree, unsettled=[Keyed(KEY).folder((b"scans",)).hex()])
    (tree / "scans" / "~lock").write_bytes(b"x")
    assert _result(changed, tree) == "passed"
    (tree / "elsewhere").write_bytes(b"x")
    assert _result(changed, tree) == "failed"


def test_files_are_unproven_when_there_was_nothing_to_compare(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert _result(_baseline(empty), empty) == "unproven"


def test_a_dump_of_anothers_job_fails_when_its_bytes_are_others(tree: Path) -> None:
    path, content = (b"scans", b"7.pdf"), b"scan 7"
    dump = {
        "path": Keyed(KEY).path(path).hex(),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    baseline = _baseline(tree, dump=dump, samples={})
    assert _result(baseline, tree) == "passed"
    (tree / "scans" / "7.pdf").write_bytes(b"scan X")
    assert _result(baseline, tree) == "failed"


@pytest.mark.parametrize("field", ["listing", "key", "content"])
def test_files_are_unproven_when_the_baseline_cannot_be_read(tree: Path, field: str) -> None:
    with pytest.raises(kit.Unproven):
        _result(_baseline(tree, **{field: "t9:none"}), tree)


# --- tables ---------------------------------------------------------------------------------------

_TABLE: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    rows=st.integers(0, 300),
    level=st.sampled_from(["full", "sampled", "counts"]),
    settled=st.just(True),
)
_NAMES = st.sampled_from(["patient", "visit", "lab", "note", "bill"])


@given(
    st.dictionaries(_NAMES, _TABLE, max_size=5),
    st.dictionaries(_NAMES, st.integers(0, 300)),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_tables_pass_only_when_each_has_the_rows_it_had(
    then: dict[str, dict[str, Any]], current: dict[str, int], logical: bool
) -> None:
    found = kit.Counted(rows=current)
    look = kit.judge_tables({"tables": then}, found, logical=logical)
    equal = all(current.get(name) == table["rows"] for name, table in then.items())
    new = logical and set(current) - set(then)
    assert (look.result == "passed") == bool(then and equal and not new)
    if not then:
        assert look.result == "unproven"


@pytest.mark.parametrize(
    ("table", "found", "logical", "result"),
    [
        ({"rows": 5, "level": "full"}, {"unreadable": {"t": "x"}}, True, "unproven"),
        ({"rows": 5, "level": "full"}, {"damaged": {"t": "x"}, "rows": {"t": 5}}, True, "failed"),
        ({"rows": None, "level": "none"}, {"rows": {"t": 5}}, True, "unproven"),
        ({"rows": None, "level": "none"}, {"rows": {"t": 5}}, False, "unproven"),
        (
            {"rows": 500, "rows_after": 510, "level": "full", "settled": False},
            {"rows": {"t": 9}},
            True,
            "unproven",
        ),
        (
            {"rows": 500, "rows_after": 510, "level": "full", "settled": False},
            {"rows": {}},
            True,
            "unproven",
        ),
        ({"rows": 4, "level": "full"}, {"rows": {"t": 5}, "rebuilt": {"t"}}, True, "unproven"),
        ({"rows": 4, "level": "full"}, {"rows": {"t": 5}, "rebuilt": {"t"}}, False, "failed"),
    ],
)
def test_a_table_that_was_not_counted_is_never_passed(
    table: dict[str, Any], found: dict[str, Any], logical: bool, result: str
) -> None:
    counted = kit.Counted(**{"rows": {}, **found})
    look = kit.judge_tables({"tables": {"t": table}}, counted, logical=logical)
    assert look.result == result


def test_objects_fail_when_one_is_gone_and_are_unproven_on_another_version() -> None:
    baseline = {"objects": {"views": 2, "fingerprint of views": 7}, "sequences": {"s": 10}}
    found = kit.Counted(rows={}, objects={"views": 1}, sequences={"s": 9})
    results = [look.result for look in kit.judge_objects(baseline, found, certain=True)]
    assert results == ["failed", "failed"]
    found.sequences = None
    assert [look.result for look in kit.judge_objects(baseline, found, certain=False)] == [
        "unproven"
    ]


def test_queries_fail_on_another_answer_and_are_unproven_without_one() -> None:
    def broken(_query: str) -> str:
        raise kit.Unproven("it failed")

    baseline = {"queries": {"select 1": 1}}
    assert [look.result for look in kit.judge_queries(baseline, lambda _: "1", None)] == ["passed"]
    assert [look.result for look in kit.judge_queries(baseline, lambda _: "2", None)] == ["failed"]
    assert [look.result for look in kit.judge_queries(baseline, broken, None)] == ["unproven"]


def test_nothing_looked_at_is_nothing_proven() -> None:
    assert kit.overall([]) == "unproven"
    assert kit.overall(["passed", "unproven"]) == "unproven"
    assert kit.overall(["passed", "unproven", "failed"]) == "failed"


# --- manifests ------------------------------------------------------------------------------------


def _examples() -> list[dict[str, Any]]:
    blocks = MANIFEST.read_text().split("```json\n")[1:]
    return [json.loads(block.split("```")[0]) for block in blocks]


def test_manifests_of_the_reference_are_read() -> None:
    examples = _examples()
    assert [example["schema"] for example in examples] == [2, 1]
    for example in examples:
        assert kit.read_manifest(json.dumps(example).encode()) == example


def _with(path: str, value: Any) -> bytes:
    manifest = _examples()[1]
    *above, last = path.split("/")
    here: Any = manifest
    for name in above:
        here = here[name]
    here[last] = value
    return json.dumps(manifest).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        _with("schema", 3),
        _with("schema", "2"),
        _with("system", "../emr"),
        _with("point", "-rf"),
        _with("as_of", "yesterday"),
        _with("assets", None),
        _with("assets/database/snapshot", "latest"),
        _with("assets/database/path", "/srv/../etc"),
        _with("assets/database/path", "relative"),
        _with("assets/database/bytes", -1),
        _with("assets/database/sidecars", ["../../.ssh/authorized_keys"]),
        _with("assets/database/kind", 7),
    ],
)
def test_a_manifest_that_cannot_be_one_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        kit.read_manifest(content)


# --- points ---------------------------------------------------------------------------------------

_AS_OF = datetime(2026, 11, 21, 12, tzinfo=UTC)


class _Shop:
    """A repository of manifests only, behind a program that answers as restic does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.snapshots: list[dict[str, Any]] = []
        self.known: list[dict[str, Any]] = []
        program = folder / "restic"
        program.write_text(
            "#!/bin/sh\n"
            f'case "$2" in snapshots) cat {folder}/list;; dump) cat "{folder}/$3";; esac\n'
        )
        program.chmod(0o700)

    def put(self, hours: int, *, known: bool = False, point: str = "", **changes: Any) -> str:
        """Put a manifest there; return the point's id."""
        as_of = _AS_OF + timedelta(hours=hours)
        point = point or f"point-{hours}"
        manifest = _examples()[1] | {
            "point": point,
            "system": "emr",
            "as_of": as_of.isoformat(),
            **changes,
        }
        content = json.dumps(manifest).encode()
        snapshot = hashlib.sha256(content).hexdigest()
        (self.folder / snapshot).write_bytes(content)
        tags = ["dro=manifest", "practice=riverside", "system=emr", f"point={point}"]
        self.snapshots.append(
            {"id": snapshot, "time": as_of.isoformat(), "paths": ["/m"], "tags": tags, "tree": "x"}
        )
        if known:
            entry = {"id": point, "manifest_sha256": snapshot, "repository": "onsite"}
            entry["as_of"] = as_of.isoformat()
            self.known.append(entry)
        return point

    def points(self, *, with_kit: bool = True) -> Any:
        (self.folder / "list").write_text(json.dumps(self.snapshots))
        content = {"practice": "riverside", "points": {"emr": self.known}} if with_kit else None
        repository = kit.Repository("onsite", "/r", str(self.folder / "restic"), {})
        return kit.Points(repository, kit.Kit(self.folder, content), "riverside")


@pytest.fixture
def shop(tmp_path: Path) -> _Shop:
    return _Shop(tmp_path)


def test_the_newest_point_that_the_kit_knows_is_chosen(shop: _Shop) -> None:
    shop.put(0, known=True)
    newest = shop.put(1, known=True)
    shop.put(2)
    shop.put(10_000_0)  # of a time to come
    points = shop.points()
    assert points.choose("emr", None).id == newest
    (warning,) = points.warnings("emr", points.choose("emr", None))
    assert "--point point-2" in warning


def test_a_forged_manifest_of_a_known_point_is_not_chosen(shop: _Shop) -> None:
    older = shop.put(0, known=True)
    forged = shop.put(1, known=True)
    shop.snapshots.pop()
    shop.put(1, point=forged, made_by="somebody else")
    points = shop.points()
    assert points.choose("emr", None).id == older
    (told,) = points.warnings("emr", points.choose("emr", None))
    assert told.startswith(f"the kit knows a newer point of emr, {forged} of ")
    assert points.choose("emr", forged).trust == kit.FORGED


def test_of_two_manifests_of_one_point_the_known_one_is_taken(shop: _Shop) -> None:
    point = shop.put(0, known=True)
    shop.put(0, point=point, made_by="somebody else")
    assert shop.points().choose("emr", point).trust == kit.KNOWN


def test_nothing_is_chosen_where_no_kit_vouches_for_it(shop: _Shop) -> None:
    point = shop.put(0)
    points = shop.points(with_kit=False)
    with pytest.raises(kit.Trouble) as told:
        points.choose("emr", None)
    assert f"--point {point}" in told.value.hint
    assert points.choose("emr", "point-").id == point


def test_a_name_that_may_be_several_points_is_refused(shop: _Shop) -> None:
    shop.put(0)
    shop.put(1)
    with pytest.raises(kit.Trouble, match="may be any of"):
        shop.points().choose("emr", "point-")


def test_a_manifest_that_speaks_of_another_point_than_its_tags_is_unusable(shop: _Shop) -> None:
    shop.put(0, known=True)
    shop.snapshots[0]["tags"][-1] = "point=other"
    points = shop.points()
    assert points.read(points.of("emr")[0]).trust == kit.UNREADABLE


def test_a_changed_plan_is_told_of(shop: _Shop) -> None:
    shop.put(0, known=True)
    shop.put(1, plan_sha256="f" * 64)
    points = shop.points()
    told = points.warnings("emr", points.choose("emr", None))
    assert any("the plan was changed" in each for each in told)


def test_two_snapshots_that_claim_to_be_one_are_refused(shop: _Shop) -> None:
    shop.put(0, known=True)
    wanted = _examples()[1]["assets"]["database"]["snapshot"]
    for number in range(2):
        copy = {"id": f"{number}" * 64, "original": wanted, "tree": f"tree {number}", "tags": []}
        shop.snapshots.append(copy)
    points = shop.points()
    with pytest.raises(kit.Trouble, match="different snapshots"):
        points.snapshot_of(points.choose("emr", None), "database")


def test_a_kit_says_that_it_has_expired(tmp_path: Path) -> None:
    content = {"schema": 1, "practice": "riverside", "expires": "2020-01-01T00:00:00+00:00"}
    (tmp_path / "kit.json").write_text(json.dumps(content))
    assert "expired" in kit.open_kit(tmp_path).warnings()[0]
    (tmp_path / "kit.json").write_text(json.dumps(content | {"schema": 2}))
    with pytest.raises(kit.Trouble, match="schema 2"):
        kit.open_kit(tmp_path)


# --- ways to a repository -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "words", "bad"),
    [
        (1, "Fatal: wrong password or no key found", "password does not open", True),
        (12, "", "password does not open", True),
        (
            1,
            "unable to open config file: dial tcp: connection refused\nIs there a repository at",
            "cannot be reached",
            False,
        ),
        (
            1,
            "Fatal: unable to open config file: stat /r/config: no such file",
            "there is no",
            False,
        ),
        (10, "", "there is no repository", False),
        (1, "unexpected HTTP response (401): 401 Unauthorized", "refuses the login", False),
        (1, "write: no space left on device", "disk is full", False),
        (1, "ciphertext verification failed", "is damaged", True),
        (1, "open /r/keys: permission denied", "may not be read", False),
        (1, "something of /home/Zebedee Canaryson", "restic failed", False),
    ],
)
def test_restic_trouble_is_told_apart_in_our_words(
    code: int, said: str, words: str, bad: bool
) -> None:
    repository = kit.Repository("onsite", "/r", "restic", {})
    trouble = kit.restic_trouble("listing", code, said, repository)
    assert words in trouble.message
    assert trouble.bad is bad
    assert "Canaryson" not in trouble.message + trouble.hint


def test_a_login_is_shown_nowhere() -> None:
    location = kit._with_login("rest:https://h/r", "dro", "se/cret")
    assert location == "rest:https://dro:se%2Fcret@h/r"
    repository = kit.Repository("h", location, "restic", {"RESTIC_PASSWORD": "pass word"})
    assert repository.shown == "rest:https://h/r"
    assert "pass word" not in repr(repository)
    assert "RESTIC_PASSWORD" not in repr(repository)


@pytest.mark.parametrize("content", ["", "\n", None])
def test_a_password_file_that_holds_none_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    options = argparse.Namespace(password_file=str(file))
    with pytest.raises(kit.Trouble, match="password"):
        kit._password(options, "onsite", "")


def test_a_restic_of_the_kit_that_is_not_the_listed_one_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "restic").mkdir()
    program = tmp_path / "restic" / "restic"
    program.write_bytes(b"#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(kit.Trouble, match="SHA256SUMS"):
        kit.find_restic(kit.Kit(tmp_path, None))
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  restic/restic\n")
    assert kit.find_restic(kit.Kit(tmp_path, None)) == str(program)


def test_a_disk_without_room_for_twice_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(kit.Trouble, match="free") as told:
        kit._require_room(tmp_path / "new", 10**18, tight=True)
    assert "larger disk" in told.value.hint
    kit._require_room(tmp_path / "new", 1, tight=False)


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """Put there what `restore` leaves: one folder, and its manifest."""
    example = _examples()[1]
    asset = example["assets"]["documents"]
    place = tmp_path / "emr" / "assets" / "documents"
    files = place.joinpath(*Path(asset["path"]).parts[1:])
    files.mkdir(parents=True)
    (files / "a.pdf").write_bytes(b"a")
    asset["baseline"] = _baseline(files)
    example["assets"] = {"documents": asset}
    (tmp_path / "emr" / "point").mkdir()
    content = json.dumps(example).encode()
    (tmp_path / "emr" / "point" / "manifest.json").write_bytes(content)
    state = {
        "asked_for": ["emr"],
        "systems": {
            "emr": {
                "point": example["point"],
                "trust": "kit",
                "manifest_sha256": hashlib.sha256(content).hexdigest(),
                "assets": {"documents": {"restored": True}},
            }
        },
    }
    (tmp_path / "restored.json").write_text(json.dumps(state))
    return tmp_path


def _check(restored: Path, *words: str) -> int:
    code: int = kit.main(["check", str(restored), "--kit", str(restored), *words])
    return code


def _change(restored: Path, change: Callable[[dict[str, Any]], object]) -> None:
    state = json.loads((restored / "restored.json").read_text())
    change(state)
    (restored / "restored.json").write_text(json.dumps(state))


def test_check_passes_what_came_back_whole(
    restored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _check(restored) == 0
    said = capsys.readouterr().out
    assert "passed" in said
    assert "emr: checking point 20261121-191459-pxxxra of 2026-11-21 19:15 UTC" in said


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda state: state["asked_for"].append("imaging"), 4),
        (lambda state: state["systems"]["emr"].update(trust="forged"), 4),
        (lambda state: state["systems"]["emr"].update(manifest_sha256="0" * 64), 4),
        (lambda state: state["systems"]["emr"].update(point="another"), 4),
        (lambda state: state["systems"]["emr"]["assets"].clear(), 4),
        (lambda state: state["systems"]["emr"]["assets"].update(documents={"bad": True}), 1),
        (lambda state: state.clear(), 2),
    ],
)
def test_check_never_passes_what_is_not_known_to_be_whole(
    restored: Path, change: Callable[[dict[str, Any]], object], code: int
) -> None:
    _change(restored, change)
    assert _check(restored) == code


def test_check_is_unproven_when_an_asset_that_the_kit_names_is_not_in_the_point(
    restored: Path,
) -> None:
    content = {
        "schema": 1,
        "practice": "riverside",
        "systems": {"emr": {"assets": {"documents": {}, "database": {}}}},
    }
    (restored / "kit.json").write_text(json.dumps(content))
    assert _check(restored) == 4


def test_check_is_unproven_with_the_kit_of_another_practice(restored: Path) -> None:
    content = {"schema": 1, "practice": "lakeside"}
    (restored / "kit.json").write_text(json.dumps(content))
    assert _check(restored) == 4


def test_check_is_unproven_when_nobody_took_a_baseline(restored: Path) -> None:
    manifest = restored / "emr" / "point" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["assets"]["documents"]["baseline"] = None
    manifest.write_text(json.dumps(content))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    _change(restored, lambda state: state["systems"]["emr"].update(manifest_sha256=digest))
    assert _check(restored) == 4


def test_a_restore_goes_over_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit.main(["restore", "emr", "--to", str(tmp_path), "--kit", str(tmp_path)]) == 2
    assert "exists already" in " ".join(capsys.readouterr().err.split())


def test_rows_of_a_dump_are_joined_and_nothing_else_of_it_is_changed() -> None:
    dump = (
        b"/*M!999999\\- enable the sandbox mode */ \n"
        b"CREATE DATABASE `emr`;\nUSE `emr`;\n"
        b"INSERT INTO `a` VALUES (1,'x);\\n');\nINSERT INTO `a` VALUES (2,'y');\n"
        b"INSERT INTO `b` (`i`, `j`) VALUES (1,2);\nINSERT INTO `b` (`i`, `j`) VALUES (3,4);\n"
        b"DELIMITER ;;\nCREATE TRIGGER t BEGIN\nINSERT INTO `a` VALUES (1);\n"
        b"INSERT INTO `a` VALUES (2);\nEND ;;\nDELIMITER ;\n"
        b"INSERT INTO `a` VALUES (5,'z');\n-- Dump completed\n"
    )
    assert b"".join(kit._rows_joined(io.BytesIO(dump))) == (
        b"INSERT INTO `a` VALUES (1,'x);\\n'),\n(2,'y');\n"
        b"INSERT INTO `b` (`i`, `j`) VALUES (1,2),\n(3,4);\n"
        b"DELIMITER ;;\nCREATE TRIGGER t BEGIN\nINSERT INTO `a` VALUES (1);\n"
        b"INSERT INTO `a` VALUES (2);\nEND ;;\nDELIMITER ;\n"
        b"INSERT INTO `a` VALUES (5,'z');\n-- Dump completed\n"
    )


def _opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]) -> Any:
    (tmp_path / "restic").write_text("#!/bin/sh\n")
    (tmp_path / "restic").chmod(0o755)
    (tmp_path / "key").write_text("the key\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    options = argparse.Namespace(at=None, password_file=str(tmp_path / "key"))
    content = {"practice": "riverside", "repositories": {"offsite": said}}
    return kit.open_repository(options, kit.Kit(tmp_path, content), "offsite")


def test_a_rest_server_gets_its_login_by_restics_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "login").write_text("se/cret\n")
    monkeypatch.setenv("RESTIC_REST_PASSWORD_FILE", str(tmp_path / "login"))
    monkeypatch.setenv("RESTIC_REPOSITORY", "/somewhere/else")
    location = "rest:https://h/r"
    variables = ["RESTIC_REST_PASSWORD"]
    said = {"location": location, "user": "dro", "environment": variables}
    environment = _opened(tmp_path, monkeypatch, said).environment
    assert environment["RESTIC_REPOSITORY"] == "rest:https://dro:se%2Fcret@h/r"
    assert environment["RESTIC_PASSWORD"] == "the key"
    assert not {"RESTIC_REST_PASSWORD", "RESTIC_REST_PASSWORD_FILE"} & environment.keys()


@pytest.mark.parametrize("location", ["rest:https://h/r", "s3:https://h/b"])
def test_a_repository_that_is_on_a_disk_by_now_needs_no_login_of_its_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody is there to be asked
    monkeypatch.setenv("KIT_LOCATION", "/media/usb")
    variables = ["RESTIC_REST_PASSWORD" if location.startswith("rest:") else "AWS_ACCESS_KEY_ID"]
    said = {"location": location, "user": "dro", "environment": variables}
    environment = _opened(tmp_path, monkeypatch, said).environment
    assert environment["RESTIC_REPOSITORY"] == "/media/usb"


def test_keys_of_s3_may_come_from_a_file_that_was_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/fd/7")
    said = {
        "location": "s3:https://s3.us-east-2.amazonaws.com/b",
        "environment": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
        "region": "us-east-2",
    }
    environment = _opened(tmp_path, monkeypatch, said).environment
    assert environment["AWS_DEFAULT_REGION"] == "us-east-2"
    assert kit._lent_descriptors(environment) == (7,)
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(kit.Trouble, match="AWS_ACCESS_KEY_ID"):
        _opened(tmp_path, monkeypatch, said)


# --- SQLite ---------------------------------------------------------------------------------------


def test_file_that_is_no_database_is_known_by_what_sqlite_says(tmp_path: Path) -> None:
    file = tmp_path / "emr.sqlite3"
    file.write_bytes(b"no database at all " * 100)
    said = kit.look_at_sqlite(str(file), [])["error"]
    assert kit.has(said, "NOTADB", "DatabaseError")
