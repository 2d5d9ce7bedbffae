"""A share that is not there, not whole, not still, or not ours: never an empty or half success."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.baseline import FilesBaseline
from dr_orchestrator.core.verification import Result, overall
from dr_orchestrator.errors import CaptureFailed
from tests.support.samba import (
    PASSWORD,
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
from tests.support.sandbox import is_root

FILES = {"Roe/one.pdf": "1", "Roe/two.pdf": "22", "three.pdf": "333", ".marker": ""}


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ShareBench]:
    with share_bench(tmp_path) as made:
        yield made


@pytest.fixture
def folder(server: FileServer) -> Iterator[Path]:
    made = server.folder("documents", FILES)
    yield made
    shutil.rmtree(made)


def _fails(bench: ShareBench, server: FileServer, **fields: object) -> CaptureFailed:
    """Capture, and return why it failed: no word of it a secret or a file's name."""
    asset = server.asset(**{"path": "documents", **fields})  # type: ignore[arg-type]
    with pytest.raises(CaptureFailed) as caught:
        captured_share(bench, asset)
    assert "Roe" not in str(caught.value)
    assert bench.passwords.password not in str(caught.value)
    assert not list((bench.folder / "runtime").glob("*")), "a password file is left"
    return caught.value


# --- not there ---


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"share": "dokuments"}, "has no share dokuments"),
        ({"path": "nowhere"}, "has no folder nowhere"),
        ({"path": "../documents"}, "its name or path is none"),
        ({"host": "127.0.0.9"}, "does not answer"),
        ({"user": "somebody"}, "refused somebody"),
        ({"marker": ".other"}, "its marker .other is not there"),
        ({"require_files": 5}, "it holds 4 files, and the plan requires at least 5"),
        ({"exclude": ("[ab]",)}, "cannot be matched exactly"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_plan_says_is_not_there_fails_and_the_mirror_stays(
    server: FileServer, bench: ShareBench, folder: Path, fields: dict[str, object], words: str
) -> None:
    write(bench.mirror / "kept.pdf", "from an earlier backup")

    error = _fails(bench, server, **fields)

    assert words in error.message
    assert error.hint
    assert set(contents(bench.mirror)) == {"kept.pdf"}
    if "require_files" not in fields:  # a probe counts none
        with pytest.raises(CaptureFailed) as probed:
            bench.driver.probe(bench.request(server.asset(**{"path": "documents", **fields})))  # type: ignore[arg-type]
        assert str(probed.value) == str(error)


def test_probe_of_a_share_with_its_marker_finds_nothing_wrong_and_copies_nothing(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    write(folder / ".this-is-it", "")

    probed = bench.driver.probe(bench.request(server.asset("documents", marker=".this-is-it")))

    assert probed.conditions == ()
    assert not bench.mirror.exists()
    assert not list((bench.folder / "runtime").glob("*")), "a password file is left"


def test_wrong_password_fails_and_is_not_repeated(
    server: FileServer, bench: ShareBench, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench.passwords.password = "another-Canary-72"

    assert "wrong user or password" in _fails(bench, server).message
    assert "Canary" not in caplog.text


def test_emptied_share_fails_and_the_mirror_stays(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    asset = server.asset("documents")
    captured_share(bench, asset)
    for name in FILES:
        (folder / name).unlink()

    assert "it holds 0 files" in _fails(bench, server).message
    assert len(contents(bench.mirror)) == len(FILES)


# --- not whole ---


@pytest.mark.skipif(not is_root(), reason="nobody else can take a folder from the server")
@pytest.mark.parametrize("name", ["Roe", "three.pdf"])
def test_what_may_not_be_read_fails_and_the_mirror_stays(
    server: FileServer, bench: ShareBench, folder: Path, name: str
) -> None:
    captured_share(bench, server.asset("documents"))
    os.chown(folder / name, 0, 0)
    (folder / name).chmod(0)
    if name == "three.pdf":  # what was copied before is no reason to copy it again
        (bench.mirror / name).unlink()

    error = _fails(bench, server)

    assert "may not read all of it" in error.message or "could not be copied" in error.message
    assert len(contents(bench.mirror)) >= len(FILES) - 1


def test_share_emptied_between_the_listings_fails(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    bench.launcher.before["copy"] = [lambda: shutil.rmtree(folder / "Roe")]
    bench.launcher.before["lsjson"] = [
        lambda: None,
        (folder / "three.pdf").unlink,
    ]

    assert "of 4 files only 1 were left" in _fails(bench, server).message


def test_server_that_goes_away_while_files_are_copied_fails(bench: ShareBench) -> None:
    with file_server() as server:
        large = server.folder("documents", FILES) / "large.vhdx"
        os.truncate(os.open(large, os.O_CREAT | os.O_WRONLY), 2 << 30)
        own(large.parent)

        def go_away() -> None:
            while not (bench.mirror / "large.vhdx").exists():
                time.sleep(0.01)
            server.stop()

        threading.Thread(target=go_away, daemon=True).start()

        assert "stopped answering" in _fails(bench, server).message


def test_server_that_answers_nothing_is_given_up_in_time(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    server.process.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        error = _fails(bench, server, timeout=timedelta(seconds=2))
    finally:
        server.process.send_signal(signal.SIGCONT)

    assert "not copied within 2 s" in error.message
    assert time.monotonic() - begun < 10


# --- not still ---


def test_files_that_change_meanwhile_are_said_and_not_compared(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    def work() -> None:
        write(folder / "three.pdf", "changed")
        write(folder / "new.pdf", "new")
        (folder / "Roe/two.pdf").unlink()
        own(folder)

    bench.launcher.before["copy"] = [work]

    captured = captured_share(bench, server.asset("documents"))

    assert captured.conditions == (
        "2 files changed, came or went while the share was copied: they are not compared",
    )
    assert isinstance(captured.baseline, FilesBaseline)
    assert captured.baseline.files == 2
    assert len(captured.baseline.unsettled) == 2
    write(bench.mirror / "three.pdf", "torn")
    assert overall(compare_with_mirror(bench, captured)) is Result.PASSED
    write(bench.mirror / "Roe/one.pdf", "damaged")
    assert overall(compare_with_mirror(bench, captured)) is Result.FAILED


def _locked(path: Path, act: Callable[[], object]) -> None:
    """Do something while the file is locked as a program of Windows would lock it."""
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        act()


def test_file_that_others_hold_open_is_said_with_its_kind(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    mail = folder / "Roe/Jane.pst"
    write(mail, "old mail")
    own(folder)
    asset = server.asset("documents", permissions="skip")
    captured_share(bench, asset)
    write(mail, "new mail, and more")
    write(folder / "fresh.pdf", "fresh")
    own(folder)
    captured = []

    _locked(mail, lambda: captured.append(captured_share(bench, asset)))

    assert captured[0].conditions[0] == (
        "1 file was held open by another program: it is not in the backup, or as at an earlier "
        "one (.pst: 1)"
    )
    assert "Jane" not in repr(captured[0].conditions)
    assert (bench.mirror / "fresh.pdf").exists(), "the others are saved"
    assert overall(compare_with_mirror(bench, captured[0])) is Result.PASSED


# --- not what the mirror says ---


def _rewrite(file: Path, content: str) -> None:
    """Change the content and nothing else that a listing shows."""
    before = file.stat()
    assert len(content) == before.st_size
    file.write_text(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _checks(bench: ShareBench) -> int:
    return sum(command.argv[1] == "check" for command in bench.launcher.commands)


def test_file_that_changed_without_a_new_time_has_the_whole_share_read_again(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    write(folder / "patients.mdb", "old")  # of a kind that no sample has
    own(folder)
    asset = server.asset("documents", exclude=(".marker",))
    captured_share(bench, asset)
    assert _checks(bench) == 0, "nothing to compare what was just copied with"
    for name, content in (("Roe/one.pdf", "X"), ("three.pdf", "XXX"), ("patients.mdb", "new")):
        _rewrite(folder / name, content)

    def fail() -> None:
        raise InterruptedError

    bench.launcher.before["copy"] = [fail]
    with pytest.raises(InterruptedError):  # and no later backup trusts what is left of the mirror
        captured_share(bench, asset)
    bench.launcher.before.clear()
    interrupted = contents(bench.mirror)
    captured_share(bench, asset)
    assert interrupted == {}
    assert contents(bench.mirror)["patients.mdb"] == b"new"

    for name, content in (("Roe/one.pdf", "Y"), ("three.pdf", "YYY"), ("patients.mdb", "NEW")):
        _rewrite(folder / name, content)
    second = captured_share(bench, asset)

    assert second.conditions[0] == (
        "2 of 3 sampled files had changed without a new time (.pdf: 2): the whole share was read "
        "again, and earlier backups may lack such changes"
    )
    assert contents(bench.mirror)["patients.mdb"] == b"NEW"
    assert contents(bench.mirror)["three.pdf"] == b"YYY"
    for command in bench.launcher.commands:
        assert not any("Roe" in text or "three" in text for text in command.argv)

    listed = (folder / "three.pdf").stat()

    def work() -> None:
        write(folder / "three.pdf", "333")
        (folder / "Roe/two.pdf").unlink()

    def list_a_time_that_lags() -> None:
        os.utime(folder / "three.pdf", ns=(listed.st_atime_ns, listed.st_mtime_ns))

    bench.launcher.before = {"check": [work], "copy": [list_a_time_that_lags]}
    third = captured_share(bench, asset)

    assert _checks(bench) == 3
    assert not any("without a new time" in text or "sampled" in text for text in third.conditions)
    assert (bench.mirror / "three.pdf").read_text() == "333"


@pytest.mark.skipif(not is_root(), reason="nobody else can take a file from the server")
def test_files_of_a_sample_that_cannot_be_read_are_said(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    asset = server.asset("documents")
    captured_share(bench, asset)

    with (folder / "Roe/two.pdf").open("r+b") as busy:
        fcntl.lockf(busy, fcntl.LOCK_EX)
        os.chown(folder / "three.pdf", 0, 0)
        (folder / "three.pdf").chmod(0)
        captured = captured_share(bench, asset)

    assert captured.conditions[0] == "1 of 3 sampled files could not be compared with the share"


def test_mirror_of_another_folder_or_of_nobody_is_not_trusted(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    captured_share(bench, server.asset("documents"))
    other = server.folder("other", {"patients.mdb": "old", **FILES})
    for name, content in FILES.items():
        write(other / name, "X" * len(content))
        kept = (folder / name).stat()
        os.utime(other / name, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    captured = captured_share(bench, server.asset("other"))

    assert contents(bench.mirror) == contents(other)
    assert _checks(bench) == 0, "no sample: another folder is known to be another"
    assert len(captured.conditions) == 1, "only that .mdb files are in use"

    _rewrite(bench.mirror / "patients.mdb", "???")
    (bench.folder / "mirror/share.json").unlink()
    captured_share(bench, server.asset("other"))

    assert contents(bench.mirror) == contents(other)
    assert _checks(bench) == 0
    shutil.rmtree(other)


# --- not ours ---


def test_mirror_is_lent_to_one_backup_at_a_time(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    asset = server.asset("documents")
    with bench.driver.capture(bench.request(asset)):
        assert "another backup of it is still running" in _locked_out(bench, asset)
    captured_share(bench, asset)


def _locked_out(bench: ShareBench, asset: object) -> str:
    with pytest.raises(CaptureFailed) as caught:
        captured_share(bench, asset)  # type: ignore[arg-type]
    return caught.value.message


def test_password_is_in_no_argument_no_environment_and_no_readable_file(
    server: FileServer, bench: ShareBench, folder: Path
) -> None:
    seen: list[tuple[int, int]] = []

    def look() -> None:
        for path in (bench.folder / "runtime").rglob("*"):
            modes = (each.stat().st_mode & 0o777 for each in (path, path.parent))
            seen.append((next(modes), next(modes)))

    bench.launcher.before["copy"] = [look]

    captured = captured_share(bench, server.asset("documents"))

    for command in bench.launcher.commands:
        given = (*command.argv, *command.env.values())
        assert not any("Canary" in text for text in given)
        assert not any(text.startswith("pass") for text in given)
        assert not command.secrets
    assert sorted(seen) == [(0o600, 0o700), (0o600, 0o700), (0o700, 0o700)]
    assert not list((bench.folder / "runtime").iterdir())
    assert PASSWORD not in repr(captured)


@pytest.mark.parametrize("name", ["no space left on device.pdf", "connection refused.pdf"])
@pytest.mark.skipif(not is_root(), reason="nobody else can take a file from the server")
def test_name_of_a_file_is_not_taken_for_what_went_wrong(
    server: FileServer, bench: ShareBench, folder: Path, name: str
) -> None:
    write(folder / name, "1")
    os.chown(folder / name, 0, 0)
    (folder / name).chmod(0)

    error = _fails(bench, server)

    assert "1 file on it could not be copied" in error.message
    assert "a link, a pipe or a name that SMB cannot carry" in error.hint
