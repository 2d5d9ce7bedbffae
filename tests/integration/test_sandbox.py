"""What a real sandbox promises to those who use it."""

from __future__ import annotations

import os
import pwd
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import (
    DroError,
    ProgramMissing,
    ProgramTimedOut,
    SandboxUnavailable,
    SpaceExhausted,
)
from dr_orchestrator.process import Command, RunAs, SystemLauncher
from dr_orchestrator.sandbox.bubblewrap import BubblewrapDriver
from tests.support.sandbox import PATH, SANDBOX_UID, is_root, sandbox_driver, short_folder

_MINUTE = timedelta(minutes=1)


@pytest.fixture
def driver() -> Iterator[BubblewrapDriver]:
    with sandbox_driver() as made:
        yield made


def _command(*argv: str) -> Command:
    return Command(argv=argv, timeout=_MINUTE)


def test_sandbox_runs_a_program_with_what_it_is_given_and_nothing_of_ours(
    driver: BubblewrapDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_OWN", "canary")
    with driver.open("run", bytes_needed=1) as sandbox:
        folder = sandbox.folder("work")
        command = Command(
            argv=("sh", "-c", "cat; env; pwd; ulimit -c; echo done > result; exit 7"),
            timeout=_MINUTE,
            env={"GIVEN": "a value"},
            cwd=folder,
        )

        completed = sandbox.inside.run(command, stdin=b"fed\n")

        lines = completed.stdout.decode().splitlines()
        assert (completed.returncode, completed.program) == (7, "sh")
        assert lines[0] == "fed"
        assert lines[-2:] == [str(folder), "0"]
        assert "GIVEN=a value" in lines
        assert "TZ=UTC" in lines
        assert "canary" not in completed.stdout.decode()
        assert (folder / "result").read_text() == "done\n"


def test_sandbox_passes_descriptors_of_a_started_program(driver: BubblewrapDriver) -> None:
    read_end, write_end = os.pipe()
    with driver.open("run", bytes_needed=1) as sandbox:
        child = sandbox.inside.start(_command("echo", "through a pipe"), stdout=write_end)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as output:
            assert output.read() == b"through a pipe\n"
        assert child.wait() == 0


def test_sandbox_is_gone_with_its_programs_when_the_block_is_left(driver: BubblewrapDriver) -> None:
    with driver.open("run", bytes_needed=1) as sandbox:
        child = sandbox.inside.start(_command("sleep", "600"))
        (sandbox.folder("work") / "row").write_text("patient")

    assert not child.running
    assert list(driver._directory.iterdir()) == []


def test_sandbox_is_gone_when_the_block_raises(driver: BubblewrapDriver) -> None:
    with pytest.raises(KeyboardInterrupt), driver.open("run", bytes_needed=1):
        raise KeyboardInterrupt

    assert list(driver._directory.iterdir()) == []


def test_open_leaves_nothing_when_entering_fails(
    driver: BubblewrapDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with driver.open("run", bytes_needed=1):
        pass

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail)
        with pytest.raises(OSError, match="No space"), driver.open("run", bytes_needed=1):
            pytest.fail("it opened")

    assert list(driver._directory.iterdir()) == []


def test_target_can_be_entered_by_us_alone_until_it_is_adopted(driver: BubblewrapDriver) -> None:
    with driver.open("run", bytes_needed=1) as sandbox:
        assert stat.S_IMODE(sandbox.target.path.stat().st_mode) == 0o700
        assert sandbox.target.path.stat().st_uid == os.geteuid()
        restored = sandbox.target.path / "asset"
        (restored / "srv").mkdir(parents=True)
        (restored / "srv" / "file").write_text("content")

        sandbox.adopt(restored)

        seen = sandbox.inside.run(_command("cat", str(restored / "srv" / "file")))
        assert seen.stdout == b"content"
        assert stat.S_IMODE(restored.stat().st_mode) == 0o700
        assert sandbox.inside.run(_command("touch", str(restored / "new"))).ok


def test_adopt_hands_over_a_tree_that_lies_deeper(driver: BubblewrapDriver) -> None:
    with driver.open("run", bytes_needed=1) as sandbox:
        data = sandbox.target.path / "asset" / "var" / "data"
        data.mkdir(parents=True, mode=0o700)
        (data / "file").touch()
        (data.parents[0]).chmod(0o700)

        sandbox.adopt(data)

        assert sandbox.inside.run(_command("ls", str(data))).stdout == b"file\n"


def test_adopt_takes_15000_files_in_a_moment(driver: BubblewrapDriver) -> None:
    with driver.open("run", bytes_needed=1) as sandbox:
        tree = sandbox.target.path / "asset"
        for number in range(150):
            folder = tree / f"{number:03}"
            folder.mkdir(parents=True)
            for file in range(100):
                (folder / f"{file}").touch()
        begun = time.process_time()

        sandbox.adopt(tree)

        # Our own processor time, or a busy machine would fail the test; generous on purpose.
        assert time.process_time() - begun < 3


def test_adopt_refuses_what_was_not_restored_here(driver: BubblewrapDriver, tmp_path: Path) -> None:
    with driver.open("run", bytes_needed=1) as sandbox, pytest.raises(ValueError, match="subpath"):
        sandbox.adopt(tmp_path)


def test_inside_refuses_secrets_other_users_and_folders_outside(driver: BubblewrapDriver) -> None:
    with driver.open("run", bytes_needed=1) as sandbox:
        for command in (
            Command(argv=("true",), timeout=_MINUTE, secrets={"PASSWORD": Secret("x")}),
            Command(argv=("true",), timeout=_MINUTE, run_as=RunAs(0, 0)),
            Command(argv=("true",), timeout=_MINUTE, cwd=Path("/etc")),
        ):
            with pytest.raises(ValueError, match="sandbox"):
                sandbox.inside.run(command)
        with pytest.raises(ValueError, match="plain name"):
            sandbox.folder("../escape")


def test_inside_says_so_when_a_program_is_missing_or_takes_too_long(
    driver: BubblewrapDriver,
) -> None:
    with driver.open("run", bytes_needed=1) as sandbox:
        with pytest.raises(ProgramMissing, match="no-such-program"):
            sandbox.inside.run(_command("no-such-program"))
        with pytest.raises(ProgramMissing):
            sandbox.inside.run(_command("/etc/passwd"))
        with pytest.raises(ProgramTimedOut, match="sleep did not end within 0 s"):
            sandbox.inside.run(Command(argv=("sleep", "60"), timeout=timedelta(milliseconds=200)))


def test_open_refuses_when_there_is_too_little_space(driver: BubblewrapDriver) -> None:
    with (
        pytest.raises(SpaceExhausted, match=r"needs 4096\.0 TiB and .* has .* free"),
        driver.open("run", bytes_needed=2**52),
    ):
        pytest.fail("it opened")

    assert list(driver._directory.iterdir()) == []


def _refusal(directory: Path, *, uid: int = SANDBOX_UID, path: str = PATH) -> DroError:
    launcher = SystemLauncher(path)
    try:
        driver = BubblewrapDriver(launcher, directory, uid, SystemClock())
        with pytest.raises(SandboxUnavailable) as caught, driver.open("run", bytes_needed=1):
            pytest.fail("it opened")
        return caught.value
    finally:
        launcher.close()


def test_open_refuses_when_bubblewrap_is_missing(tmp_path: Path) -> None:
    error = _refusal(tmp_path / "s", path=str(tmp_path))

    assert error.hint == "apt-get install bubblewrap"
    assert error.exit_code == 4


@pytest.mark.skipif(not is_root(), reason="the uid can be chosen by root only")
def test_open_refuses_a_uid_that_somebody_has() -> None:
    with short_folder() as folder:
        assert "nobody" in _refusal(folder / "s", uid=pwd.getpwnam("nobody").pw_uid).message
        assert "uid 0" in _refusal(folder / "s", uid=0).message


def test_open_refuses_a_directory_that_others_can_list_or_write() -> None:
    with short_folder() as folder:
        for mode in (0o755, 0o733):
            (folder / str(mode)).mkdir()
            (folder / str(mode)).chmod(mode)
            assert "reachable for others" in _refusal(folder / str(mode)).message


def test_open_refuses_a_directory_below_one_that_others_may_rename() -> None:
    with short_folder() as folder:
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)

        assert "others may rename" in _refusal(folder / "open" / "s").message


@pytest.mark.skipif(not is_root(), reason="an ordinary user's sandbox can pass its own folders")
def test_open_refuses_a_directory_that_the_sandbox_user_cannot_reach(tmp_path: Path) -> None:
    with short_folder() as folder:
        (folder / "closed").mkdir(mode=0o700)

        error = _refusal(folder / "closed" / "s")

    assert "cannot pass" in error.message
    assert f"chmod o+x {folder / 'closed'}" in error.hint


def test_sweep_leaves_living_sandboxes_and_foreign_files_alone(driver: BubblewrapDriver) -> None:
    with driver.open("run", bytes_needed=1) as sandbox:
        (driver._directory / "notes").mkdir()
        (driver._directory / "README.txt").touch()

        assert driver.sweep() == 0

        assert sandbox.target.path.is_dir()
        assert (driver._directory / "notes").is_dir()
        assert (driver._directory / "README.txt").exists()


def test_sweep_removes_what_a_crash_left_at_any_step(driver: BubblewrapDriver) -> None:
    with driver.open("run", bytes_needed=1):
        directory = driver._directory
        (directory / ".abcdefgh.999999999").write_text('{"half')
        (directory / "bcdefghi.owner").write_text("not json")
        (directory / "bcdefghi").mkdir()
        (directory / "cdefghij").mkdir()
        (directory / "cdefghij" / "patient").touch()

        assert driver.sweep() == 2

        left = {path.name[8:] for path in directory.iterdir()}
        assert left == {"", ".owner"}


def test_sweep_does_nothing_when_there_never_was_a_sandbox(tmp_path: Path) -> None:
    launcher = SystemLauncher(PATH)
    assert BubblewrapDriver(launcher, tmp_path / "absent", SANDBOX_UID, SystemClock()).sweep() == 0


def test_sweep_of_only_ours_removes_what_we_left_and_leaves_a_dead_runs_to_the_next_start() -> None:
    with sandbox_driver() as driver:
        with driver.open("ours", bytes_needed=1) as sandbox:
            ours = sandbox.target.path.parent
            directory = ours.parent
            somebodys = directory / "abcdefgh"
            somebodys.mkdir()
            assert driver.sweep(only_ours=True) == 1
            assert not ours.exists()
            assert somebodys.exists()
        assert driver.sweep() == 1
        assert not somebodys.exists()
