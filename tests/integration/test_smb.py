"""A share on a real Samba: copied, saved, compared, and handed over."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import Captured
from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.assets.smb import SmbDriver
from dr_orchestrator.assets.smb_permissions import PERMISSIONS
from dr_orchestrator.assets.smb_share import rclone_filters
from dr_orchestrator.core.baseline import FilesBaseline, Level
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.core.verification import Result, overall
from dr_orchestrator.plan.model import DataTime
from tests.support.asset_contract import AssetDriverContract, Subject
from tests.support.assets import state_of
from tests.support.samba import (
    FileServer,
    ShareBench,
    captured_share,
    compare_with_mirror,
    contents,
    file_server,
    own,
    share_bench,
    write,
)

NAMES = (
    "plain.pdf",
    "2026/11/scan 1.pdf",
    "Jörg Äß/it's 100% #1; & {x} [y] ~$.docx",
    "Nomizo\u0308, NFD.pdf",
    "Nomiz\u00f6, NFD.pdf",  # another file of the same letters
    "wide \uff0a\uff1f.txt",
    "-leading dash",
    " #leading; space.pdf",
    "L" * 200 + "ü" * 20 + ".pdf",
    "emoji 😀/deep/er/still/f.txt",
)


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ShareBench]:
    with share_bench(tmp_path) as made:
        yield made


class TestSmb(AssetDriverContract):
    """A share."""

    @pytest.fixture
    def subject(self, server: FileServer, bench: ShareBench) -> Subject:
        server.folder("contract", {f"{number}.pdf": "x" * number for number in range(20)})
        return Subject(
            bench.driver,
            lambda: bench.request(server.asset("contract")),
            lambda: bench.request(server.asset("no such folder")),
        )


def _permissions(captured: Captured) -> dict[str, str]:
    lines = gzip.decompress(captured.sidecars[PERMISSIONS]).decode("utf-16-le").split("\r\n")
    return dict(zip(lines[:-1:2], lines[1::2], strict=True))


def test_share_is_copied_as_it_is_and_only_what_changed_is_copied_again(
    server: FileServer, bench: ShareBench
) -> None:
    folder = server.folder("names", dict(zip(NAMES, map(str, range(20)), strict=False)))
    (folder / "empty folder").mkdir()
    own(folder)
    os.utime(folder / "plain.pdf", ns=(0, 1_600_000_000_123_456_700))
    asset = server.asset("/names\\", exclude=())

    lacking = bench.driver.staging_bytes(bench.request(asset))
    first = captured_share(bench, asset)

    assert lacking == len(NAMES)
    assert contents(bench.mirror) == contents(folder)
    assert (bench.mirror / "empty folder").is_dir()
    assert (bench.mirror / "plain.pdf").stat().st_mtime_ns == 1_600_000_000_123_456_700
    assert bench.driver.staging_bytes(bench.request(asset)) == 0
    assert (bench.folder / "mirror").stat().st_mode & 0o777 == 0o700
    assert (first.kind, first.method, first.scope) == (AssetKind.SMB, Method.TREE, "tree")
    assert isinstance(first.baseline, FilesBaseline)
    assert (first.baseline.files, first.baseline.level) == (len(NAMES), Level.FULL)
    assert first.conditions == ()
    assert first.tools["rclone"].startswith("v1.")
    assert (first.server["share"], first.server["path"]) == ("documents", "names")
    assert set(_permissions(first)) == {
        str(path.relative_to(folder)).replace("/", "\\") for path in folder.rglob("*")
    }
    assert overall(compare_with_mirror(bench, first)) is Result.PASSED
    assert list((bench.folder / "runtime").iterdir()) == [], "no password file is left"

    untouched = bench.mirror / "Jörg Äß"
    before = {path: path.stat().st_ctime_ns for path in untouched.iterdir()}
    write(folder / "new/one.pdf", "new")
    write(folder / "plain.pdf", "edited")
    shutil.rmtree(folder / "2026")
    write(folder / "2026", "a file now")
    (folder / "-leading dash").unlink()
    own(folder)
    os.truncate(bench.mirror / "emoji 😀/deep/er/still/f.txt", 0)  # as a killed copy leaves it
    second = captured_share(bench, asset)

    assert contents(bench.mirror) == contents(folder)
    assert {path: path.stat().st_ctime_ns for path in untouched.iterdir()} == before
    assert isinstance(second.baseline, FilesBaseline)
    assert second.baseline.files == len(NAMES)
    assert second.conditions == (), "what was sampled is found, whatever its name"
    assert overall(compare_with_mirror(bench, second)) is Result.PASSED
    (bench.mirror / "plain.pdf").write_text("EDITED")
    assert overall(compare_with_mirror(bench, second)) is Result.FAILED


def test_what_is_excluded_is_neither_listed_nor_kept(server: FileServer, bench: ShareBench) -> None:
    folder = server.folder("excluding", {"a.pdf": "1", "b/c/d.pdf": "2", "b/t.tmp": "3"})
    captured_share(bench, server.asset("excluding"))
    denied = folder / "System Volume Information"
    denied.mkdir(mode=0)
    exclude = ("System Volume Information", "*.tmp", "/b/**/d.pdf")

    captured_share(bench, server.asset("excluding", exclude=exclude))

    assert set(contents(bench.mirror)) == {"a.pdf"}
    assert not (bench.mirror / denied.name).exists()


def test_files_that_programs_write_to_are_named_by_their_kind(
    server: FileServer, bench: ShareBench
) -> None:
    server.folder("in use", {"Mail Jane Roe.PST": "1", "b/x.mdf": "2", "y.mdf": "3", "z": "4"})

    captured = captured_share(bench, server.asset("in use", permissions="skip"))

    assert captured.sidecars == {}
    assert captured.conditions[0] == (
        "3 files are of kinds that a program writes to while they are open: copies may be unusable "
        "(.mdf: 2, .pst: 1)"
    )
    assert captured.conditions[1:] == ("Windows permissions are not in the backup",)


def test_permissions_are_saved_as_windows_takes_them_back(
    server: FileServer, bench: ShareBench
) -> None:
    folder = server.folder("permissions", {"open.pdf": "1", "b/private.pdf": "2"})
    (folder / "open.pdf").chmod(0o666)
    (folder / "b" / "private.pdf").chmod(0o600)

    captured = captured_share(bench, server.asset("permissions"))
    lines = _permissions(captured)

    assert set(lines) == {"open.pdf", "b", "b\\private.pdf"}
    # Samba shows the owner, the group and everybody (S-1-1-0) as three entries.
    assert lines["open.pdf"].endswith("(A;;0x12019f;;;S-1-1-0)")
    assert "(A;;0x12019f;;;S-1-5-21-" in lines["b\\private.pdf"]
    assert lines["b\\private.pdf"].endswith("(A;;0x0;;;S-1-1-0)")


def test_permissions_that_take_too_long_are_said_to_be_missing(
    server: FileServer, bench: ShareBench
) -> None:
    server.folder("slow", {"a.pdf": "1"})
    driver = SmbDriver(
        launcher=bench.launcher,
        secrets=bench.passwords,
        clock=bench.driver.clock,
        runtime_folder=bench.folder / "runtime",
        permissions_budget=timedelta(milliseconds=1),
    )
    with driver.capture(bench.request(server.asset("slow"))) as capture:
        capture.measure()
        captured = capture.finish()

    assert captured.conditions == (
        "Windows permissions are not in the backup: reading them took too long",
    )


def test_dump_of_a_vendor_on_a_share_tells_how_old_its_data_is(
    server: FileServer, bench: ShareBench
) -> None:
    folder = server.folder("dumps", {"EMR_FULL_1.bak": "x" * 100, "EMR_FULL_2.bak": "x" * 100})
    for name, age in (("EMR_FULL_1.bak", 50), ("EMR_FULL_2.bak", 26)):
        then = datetime.now(UTC).timestamp() - age * 3600
        os.utime(folder / name, (then, then))
    data_time = DataTime(newest="EMR_FULL_*.bak", max_age=timedelta(hours=30))

    captured = captured_share(
        bench, server.asset("dumps", data_time=data_time, made_by="the vendor")
    )

    assert captured.data_as_of is not None
    data_age = captured.captured_at - captured.data_as_of
    assert abs(data_age - timedelta(hours=26)) < timedelta(minutes=1)


def test_responder_puts_the_share_back_with_the_commands_of_the_hand_over(
    server: FileServer, bench: ShareBench, tmp_path: Path
) -> None:
    folder = server.folder("lost", {"Jörg/scan \uff0a.pdf": "1", "b.pdf": "2"})
    os.utime(folder / "b.pdf", (1_600_000_000, 1_600_000_000))
    captured = captured_share(bench, server.asset("lost"))
    place = tmp_path / "place"
    place.mkdir()
    restored = tmp_path / "restored" / "files"
    shutil.copytree(bench.mirror, restored)
    before = contents(folder)
    shutil.rmtree(folder)

    steps = bench.driver.hand_over(
        state_of(captured, bench.mirror), restored, captured.sidecars, place
    )
    typed = next(step for step in steps if step.startswith("rclone copy"))
    export = next(step for step in steps if step.startswith("export"))
    script = f"{export}\n{typed.replace('HOST', '127.0.0.1')}"
    subprocess.run(("bash", "-ec", script), input=bench.passwords.password.encode(), check=True)

    assert contents(folder) == before
    assert int((folder / "b.pdf").stat().st_mtime) == 1_600_000_000
    permissions = (place / "permissions.txt").read_bytes().decode("utf-16-le")
    assert permissions.startswith(("Jörg", "b.pdf"))
    assert any("icacls" in step for step in steps)


def test_date_that_the_disk_cannot_keep_stops_no_backup(
    server: FileServer, bench: ShareBench
) -> None:
    folder = server.folder("future", {"a.pdf": ""})

    for content in ("1", "2"):
        (folder / "a.pdf").write_text(content)
        os.utime(folder / "a.pdf", (16_725_225_600,) * 2)  # the year 2500
        captured = captured_share(bench, server.asset("future"))
        assert contents(bench.mirror) == contents(folder)
        assert captured.conditions == ()


def test_hand_over_says_that_permissions_are_damaged(
    server: FileServer, bench: ShareBench, tmp_path: Path
) -> None:
    server.folder("torn", {"a.pdf": "1"})
    captured = captured_share(bench, server.asset("torn"))
    state = state_of(captured, bench.mirror)
    whole = captured.sidecars[PERMISSIONS]

    for packed in (b"", b"no gzip", whole[:-4], whole[:12] + b"\xff\xff" + whole[14:]):
        (tmp_path / "restored").mkdir(exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=tmp_path))
        sidecars = {PERMISSIONS: packed}
        steps = bench.driver.hand_over(state, tmp_path / "restored", sidecars, place)
        assert steps[-1].startswith("the Windows permissions in this backup are damaged")
        assert not any("icacls" in step for step in steps)
        assert [path.name for path in place.iterdir()] == ["restored"]


def test_hand_over_lets_no_manifest_slip_in_a_command(
    server: FileServer, bench: ShareBench, tmp_path: Path
) -> None:
    server.folder("slip", {"a.pdf": "1"})
    captured = captured_share(bench, server.asset("slip"))
    slipped = {"host": "x\x1b[2J", "port": "1; id", "user": "$(id)", "path": "a; id"}
    state = state_of(replace(captured, server={**captured.server, **slipped}), bench.mirror)
    (tmp_path / "restored").mkdir()

    steps = bench.driver.hand_over(state, tmp_path / "restored", {}, tmp_path)

    assert "on //HOST/documents/a; id" in steps[0]
    (typed,) = (shlex.split(step) for step in steps if step.startswith("rclone"))
    assert [each for each in typed if "id" in each] == ["1; id", "$(id)", ":smb:documents/a; id"]


def test_what_rclone_leaves_out_is_what_exclude_means_for_files(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    for name in (
        *("a/b/f.tmp", "a/keep.pdf", "c/a/deep.tmp", "c/tmpfile", "c/cache/one", "top.pdf", "A/b"),
        *("$HOME/f", "Jane Roe, ü (1).pdf", "..dots/f", ".hidden", "a{b}/f", "a+b/f", "#x/;y"),
    ):
        write(root / name, name)

    for patterns in (
        *(("*.tmp", "/*/a"), ("a/b", "#x"), ("/a",), ("a/", ";y"), ("c/**",), ("/**/a",)),
        *(("n?me", "?.pdf", "*e*"), ("$HOME", "..dots", "a//b"), ("*",), ("**/c/**/one", "A")),
        *(("k**p.pdf", "a{b}"), ("/a/**/f.tmp", "a+b", "*(1)*"), ("/c/cache/", "/top.pdf")),
    ):
        argv = ("rclone", "lsf", "--recursive", "--files-only", *rclone_filters(patterns))
        listed = subprocess.run((*argv, str(root)), capture_output=True, check=True).stdout
        excluded = Exclusion(patterns)
        expected = {
            name
            for name in contents(root)
            if not excluded.covers(tuple(os.fsencode(name).split(b"/")))
        }
        assert set(listed.decode().splitlines()) == expected, patterns
