"""What goes wrong with a practice's own programs is never green, and says nothing it should not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets.base import CaptureRequest
from dr_orchestrator.assets.command_answer import argv_text
from dr_orchestrator.assets.command_restoration import CommandRestoration
from dr_orchestrator.core.baseline import DatabaseBaseline
from dr_orchestrator.core.point import AssetState
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.errors import (
    CaptureFailed,
    CouldNotVerify,
    DroError,
    LoadFailed,
    ProgramMissing,
    SecretUnavailable,
)
from dr_orchestrator.plan.model import CommandAsset
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.sandbox.base import Sandbox
from tests.support.assets import restore_request, state_of
from tests.support.command import PASSWORD, PATIENT, Bench, Vendor, loaded_in, vendor_sandbox
from tests.support.sandbox import PATH, short_folder

_SPILL = f"echo '{PATIENT}'; echo '{PATIENT} {PASSWORD}' >&2; "
_WHOLE = "printf '1\\n2\\n# complete\\n'"


@pytest.fixture(scope="module")
def launcher() -> Iterator[SystemLauncher]:
    launcher = SystemLauncher(PATH)
    yield launcher
    launcher.close()


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    with short_folder() as folder:
        yield Vendor(folder).make()


@pytest.fixture(scope="module")
def sandbox(vendor: Vendor, launcher: SystemLauncher) -> Iterator[Sandbox]:
    with vendor_sandbox(vendor, launcher) as sandbox:
        yield sandbox


@pytest.fixture
def bench(tmp_path: Path, launcher: SystemLauncher) -> Bench:
    return Bench(tmp_path, launcher)


def shell(script: str, **stated: object) -> CommandAsset:
    """Return an asset whose dump program is a few lines of shell."""
    return CommandAsset.model_validate(
        {"kind": "command", "dump": ("/bin/sh", "-c", script), **stated}
    )


def tree(script: str, **stated: object) -> CommandAsset:
    """Return the same, for a script that writes into the folder `$1`."""
    dump = ("/bin/sh", "-c", script, "sh", "{folder}")
    return CommandAsset.model_validate(
        {"kind": "command", "dump": dump, "output": "tree", **stated}
    )


def refused(bench: Bench, asset: CommandAsset) -> DroError:
    """Capture, expecting an error that tells nothing it should not."""
    with pytest.raises(DroError) as raised:
        bench.capture(asset)
    chain = repr((raised.value, raised.value.__cause__, str(raised.value)))
    assert PATIENT not in chain
    assert PASSWORD not in chain
    kept = [path for path in bench.folder.rglob("*.dump") if path.is_file()]
    assert kept == [], "a half dump was saved"
    return raised.value


# --- making the dump ---


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"{_SPILL} exit 3", "exit code 3"),
        (f"{_SPILL} echo 'no space left on device' >&2; exit 1", "no space left on device"),
        (f"{_WHOLE}; exit 1", "exit code 1"),
        (f"{_SPILL} kill -9 $$", "ended by SIGKILL"),
        (f"{_SPILL} exec sleep 60", "not finished within"),
        (":", "the dump has 0 B"),
        ("printf '1234567\\n8901234\\n'", "does not end as a complete one does"),
        ("printf '1\\n# complete\\n2\\n'", "does not end as a complete one does"),
        ("printf '# complete\\n'", "at least"),
    ],
)
def test_a_stream_that_is_not_all_there_is_no_capture(
    bench: Bench, script: str, words: str
) -> None:
    asset = shell(script, ends_with="# complete", at_least="15 B", timeout=timedelta(seconds=1))
    assert words in refused(bench, asset).message


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f'{_SPILL} echo 1 > "$1/a"; exit 3', "exit code 3"),
        (f'{_SPILL} echo 1 > "$1/a"; kill -9 $$', "ended by SIGKILL"),
        (f'{_SPILL} echo 1 > "$1/a"; exec sleep 60', "did not end within 1 s"),
        (_SPILL, "wrote no file into its folder"),
        ('rmdir "$1"; echo 1 > "$1"', "something else is in that place"),
        ('rmdir "$1"; ln -s /etc "$1"', "something else is in that place"),
        ('ln -s /etc/hostname "$1/a"', "wrote no file into its folder"),
        ('echo 1 > "$1/a"; : > "$1/b"', "at least"),
    ],
)
def test_a_tree_that_is_not_all_there_is_no_capture(bench: Bench, script: str, words: str) -> None:
    asset = tree(script, at_least="15 B", timeout=timedelta(seconds=1))
    assert words in refused(bench, asset).message


def test_a_tree_that_is_written_to_after_its_program_ended_is_no_capture(bench: Bench) -> None:
    asset = tree('echo 1 > "$1/a"')
    with bench.driver.capture(bench.request(asset)) as capture:
        path = capture.content.path  # type: ignore[union-attr]
        capture.measure()
        (path / "a").write_text("2\n")
        with pytest.raises(CaptureFailed, match="changed after the program had ended"):
            capture.finish()


def test_a_program_that_fetches_the_dump_of_a_dead_job_says_how_old_it_is(bench: Bench) -> None:
    made = 'touch -d "30 days ago" "$1/EMR_FULL_1.bak"; '
    data_time = {"newest": "EMR_FULL_*.bak", "max_age": timedelta(hours=26), "at_least": "5 B"}
    asset = tree(f'printf 12345 > "$1/EMR_FULL_1.bak"; {made}', data_time=data_time)
    captured, _ = bench.capture(asset)
    assert captured.data_as_of is not None
    assert timedelta(days=29) < captured.captured_at - captured.data_as_of < timedelta(days=31)
    for script in (
        f'printf 1234 > "$1/EMR_FULL_1.bak"; {made}',
        'echo 12345 > "$1/EMR_FULL_2.bak"',
    ):
        error = refused(bench, tree(script, data_time=data_time))
        assert "no file in it matches `EMR_FULL_*.bak` and counts" in error.message


def test_programs_get_nothing_of_our_environment_and_their_secret_by_a_pipe(
    bench: Bench, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMR_TOKEN", "canary-token")
    script = 'env | cut -d= -f1 | sort | tr "\\n" " "; tr "\\0" " " </proc/$$/cmdline; cat "$PW"'
    _, kept = bench.capture(shell(script, secrets={"PW": {"file": str(vendor.secret)}}))
    names, _, rest = kept.read_text().partition("/bin/sh")
    assert set(names.split()) - {"_"} == {"LANG", "PATH", "PW", "PWD", "TZ"}
    assert rest.endswith(PASSWORD)
    assert rest.count(PASSWORD) == 1


def test_without_its_secret_nothing_is_run(bench: Bench, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    asset = shell(f"touch '{ran}'", secrets={"PW": {"file": str(tmp_path / "gone")}})
    assert isinstance(refused(bench, asset), SecretUnavailable)
    assert not ran.exists()


def test_a_plan_out_of_a_repository_runs_nothing(
    launcher: SystemLauncher, sandbox: Sandbox, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    bench = Bench(tmp_path, launcher, commands_allowed=False)
    asset = shell(f"touch '{ran}'", restore=("/bin/sh", "-c", "exit 0", "{dump}"))
    assert "came out of a repository" in refused(bench, asset).message
    allowed = replace(bench, commands_allowed=True)
    captured, kept = allowed.capture(asset.model_copy(update={"dump": ("id",)}))
    with pytest.raises(CouldNotVerify, match="came out of a repository"):
        loaded_in(sandbox, bench.driver, asset, state_of(captured, kept), kept)
    assert not ran.exists()


# --- what production answers ---


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"{_SPILL}", "neither a number"),
        ("echo 1; echo 2", "more than one line"),
        ("seq 3000", "printed more than 4,096 bytes"),
        (":", "printed nothing"),
        (f"echo 1; {_SPILL} exit 4", "exit code 4"),
        ("echo 2026-02-30", "a time that does not exist"),
    ],
)
def test_an_answer_at_capture_that_is_none_is_said_and_keeps_nothing_from_being_captured(
    bench: Bench, script: str, words: str
) -> None:
    question = argv_text(("/bin/sh", "-c", script))
    captured, kept = bench.capture(shell(_WHOLE), queries=(question,))
    assert kept.read_text().endswith("# complete\n")
    assert isinstance(captured.baseline, DatabaseBaseline)
    assert captured.baseline.queries == {}
    (said,) = captured.conditions
    assert said.startswith("a check of the plan got no answer at capture from sh: ")
    assert words in said
    assert PATIENT not in said


# --- loading it ---


class Loading:
    """Loads dumps in one sandbox, each in a place of its own."""

    def __init__(self, sandbox: Sandbox, bench: Bench) -> None:
        self._sandbox = sandbox
        self._bench = bench

    def __call__(self, asset: CommandAsset) -> CommandRestoration:
        captured, kept = self._bench.capture(asset)
        return self.of(asset, state_of(captured, kept, kept.stat().st_size), kept)

    def of(self, asset: CommandAsset, state: AssetState, kept: Path) -> CommandRestoration:
        return loaded_in(self._sandbox, self._bench.driver, asset, state, kept)


@pytest.fixture
def loading(vendor: Vendor, launcher: SystemLauncher, bench: Bench) -> Iterator[Loading]:
    with vendor_sandbox(vendor, launcher) as sandbox:
        yield Loading(sandbox, bench)


def restored_by(script: str, **stated: object) -> CommandAsset:
    restore = ("/bin/sh", "-c", script, "sh", "{dump}", "{folder}")
    return shell(_WHOLE, restore=restore, **stated)


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        (f"{_SPILL} exit 3", LoadFailed, "exit code 3"),
        (f"{_SPILL} exec sleep 60", CouldNotVerify, "did not end within"),
        (f"{_SPILL} no-such-program", CouldNotVerify, "cannot run in the sandbox"),
    ],
)
def test_a_restore_program_that_fails_is_not_green(
    loading: Loading, script: str, error: type[DroError], words: str
) -> None:
    with pytest.raises(error) as raised:
        loading(restored_by(script, timeout=timedelta(seconds=2)))
    assert words in raised.value.message
    assert PATIENT not in str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_a_restore_program_outside_usr_that_the_settings_do_not_name_is_not_run(
    loading: Loading, vendor: Vendor
) -> None:
    elsewhere = vendor.folder / "elsewhere"
    elsewhere.write_text("#!/bin/sh\n")
    elsewhere.chmod(0o755)
    with pytest.raises(ProgramMissing, match="elsewhere"):
        loading(shell(_WHOLE, restore=(str(elsewhere), "{dump}")))


def test_a_restore_program_reaches_neither_the_network_nor_our_files(
    loading: Loading, vendor: Vendor
) -> None:
    outside = vendor.folder / "written"
    vendor.folder.chmod(0o777)  # so that only the sandbox stands in the way
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        script = (
            f"(echo hello > /dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 9; "
            f"touch '{outside}' '{vendor.program}' 2>/dev/null && exit 8; "
            f"test -e '{vendor.production}' && exit 7; "
            'test "$(id -u)" = 0 && exit 6; exit 0'
        )
        restore = ("/bin/bash", "-c", script, "sh", "{dump}")
        try:
            loaded = loading(shell(_WHOLE, restore=restore))
        finally:
            vendor.folder.chmod(0o711)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert loaded.depth is Depth.L3
    assert not outside.exists()


def test_a_restore_program_that_only_exits_0_proves_nothing_until_a_check_looks(
    loading: Loading,
) -> None:
    loaded = loading(restored_by("exit 0"))
    assert loaded.depth is Depth.L3
    by_title = {each.title: each for each in loaded.compare()}
    unasked = by_title.pop("what the practice's own program loaded is what it was")
    assert unasked.result is Result.UNPROVEN
    assert "no check of the plan looks at what was loaded" in unasked.reason
    assert {each.result for each in by_title.values()} == {Result.PASSED}

    count = argv_text(("/bin/sh", "-c", 'ls "$1" | wc -l', "sh", "{folder}"))
    assert loaded.value(count, zone=UTC) == 0  # `expect: "> 0"` fails on it
    assert {each.result for each in loaded.compare()} == {Result.PASSED}


def test_a_restore_program_that_eats_the_dump_is_no_false_alarm(loading: Loading) -> None:
    loaded = loading(restored_by('mv "$1" "$2/loaded"'))
    assert loaded.value(argv_text(("/bin/sh", "-c", "ls {folder} | wc -l")), zone=UTC) == 1
    assert {each.result for each in loaded.compare()} == {Result.PASSED}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (_SPILL, "neither a number"),
        ("echo 1; echo 2", "more than one line"),
        (":", "printed nothing"),
        (f"{_SPILL} exit 2", "sh failed (exit code 2)"),
        ("seq 3000", "printed more than"),
    ],
)
def test_a_run_check_without_one_value_is_unproven_in_our_words(
    sandbox: Sandbox, bench: Bench, script: str, words: str
) -> None:
    asset = shell(_WHOLE, timeout=timedelta(seconds=5))
    restoration = _unloaded(sandbox, bench, asset)
    with pytest.raises(CouldNotVerify) as raised:
        restoration.value(argv_text(("/bin/sh", "-c", script)), zone=UTC)
    assert words in raised.value.message
    assert PATIENT not in str(raised.value)


def _unloaded(sandbox: Sandbox, bench: Bench, asset: CommandAsset) -> CommandRestoration:
    captured, kept = bench.capture(asset)
    request = replace(restore_request(state_of(captured, kept), sandbox), asset=asset)
    with bench.driver.restoration(request) as restoration:
        assert isinstance(restoration, CommandRestoration)
        return restoration


def test_sql_is_not_run_as_a_program(sandbox: Sandbox, bench: Bench) -> None:
    restoration = _unloaded(sandbox, bench, shell(_WHOLE))
    for text in ("select 1", "[]", '"id"', "[1]"):
        with pytest.raises(CouldNotVerify, match="answers no SQL"):
            restoration.value(text, zone=UTC)


@pytest.mark.parametrize("damage", ["other", "shorter", "gone"])
def test_a_dump_that_came_back_different_fails(loading: Loading, bench: Bench, damage: str) -> None:
    asset = tree('printf "1\\n2\\n# complete\\n" > "$1/a"; mkdir "$1/b"; echo 3 > "$1/b/c"')
    captured, kept = bench.capture(asset)
    state = state_of(captured, kept, 17)
    if damage == "other":
        (kept / "b" / "c").write_text("4\n")
    elif damage == "shorter":
        (kept / "a").write_text("1\n")
    else:
        (kept / "b" / "c").unlink()
    (verification,) = loading.of(asset, state, kept).compare()
    assert (verification.result, verification.proves) == (Result.FAILED, Depth.L2)


def test_a_dump_that_came_back_whole_proves_that_much_and_no_more(loading: Loading) -> None:
    loaded = loading(shell(_WHOLE, ends_with="# complete"))
    found = loaded.compare()
    assert loaded.depth is Depth.L0
    assert {(each.result, each.proves) for each in found} == {(Result.PASSED, Depth.L2)}
    assert len(found) == 2


def test_a_point_without_a_baseline_is_unproven(loading: Loading, bench: Bench) -> None:
    asset = shell(_WHOLE)
    captured, kept = bench.capture(asset)
    state = replace(state_of(captured, kept), baseline=None)
    (verification,) = loading.of(asset, state, kept).compare()
    assert verification.result is Result.UNPROVEN


def test_placeholders_stay_one_argument_whatever_is_in_them(bench: Bench, tmp_path: Path) -> None:
    staging = tmp_path / "a b; touch owned $(touch owned) 'x' \"y\" {dump}\n*"
    staging.mkdir()
    request: CaptureRequest = bench.request(tree('test $# = 1 && printf "%s" "$1" > "$1/argument"'))
    with bench.driver.capture(replace(request, staging=staging)) as capture:
        path = capture.content.path  # type: ignore[union-attr]
        assert (path / "argument").read_text() == str(path)
    assert [each.name for each in tmp_path.rglob("owned")] == []
