"""The door to other programs, tried with small programs that every machine has."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import (
    Interrupted,
    ProgramFailed,
    ProgramMissing,
    ProgramPrintedTooMuch,
    ProgramTimedOut,
)
from dr_orchestrator.process import (
    Command,
    ProcessIdentity,
    RunAs,
    SystemLauncher,
    exit_words,
    known_cause,
    require_success,
)

SECONDS = timedelta(seconds=1)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def launcher() -> Iterator[SystemLauncher]:
    before = signal.getsignal(signal.SIGINT)
    launcher = SystemLauncher(_PATH)
    yield launcher
    launcher.close()
    signal.signal(signal.SIGINT, before)


def shell(script: str, *, seconds: float = 20, **more: object) -> Command:
    argv = ("/bin/sh", "-c", script)
    return Command(argv=argv, timeout=timedelta(seconds=seconds), **more)  # type: ignore[arg-type]


def python(script: str, *, seconds: float = 20) -> Command:
    return Command(argv=(sys.executable, "-c", script), timeout=timedelta(seconds=seconds))


def gone(pid: int) -> bool:
    return ProcessIdentity.of(pid) is None


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    last = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > last:
            return False
        time.sleep(0.02)
    return True


def pid_from(path: Path) -> int:
    assert eventually(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


# What a program is given


def test_run_returns_output_and_exit_code(launcher: SystemLauncher) -> None:
    completed = launcher.run(shell("echo out; echo err >&2; exit 3"))

    assert (completed.returncode, completed.stdout, completed.stderr) == (3, b"out\n", "err\n")
    assert not completed.ok


def test_run_passes_arguments_without_a_shell(launcher: SystemLauncher) -> None:
    words = ("a b", "$HOME", "*", "'", "-x", "ü\udcff")

    completed = launcher.run(Command(argv=("printf", "%s\\n", *words), timeout=5 * SECONDS))

    assert [os.fsencode(word) for word in words] == completed.stdout.splitlines()


def test_run_inherits_only_what_is_stated(
    launcher: SystemLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "inherited")

    completed = launcher.run(Command(argv=("env",), timeout=5 * SECONDS, env={"OURS": "1"}))

    names = {line.split(b"=")[0] for line in completed.stdout.splitlines()}
    assert names == {b"PATH", b"LANG", b"TZ", b"OURS"}


def test_run_gives_no_open_descriptor_of_ours(launcher: SystemLauncher) -> None:
    with open(os.devnull, "rb") as extra:  # noqa: PTH123 - its descriptor is what matters
        os.set_inheritable(extra.fileno(), True)

        completed = launcher.run(Command(argv=("ls", "/proc/self/fd"), timeout=5 * SECONDS))

    assert completed.stdout.split() == [b"0", b"1", b"2", b"3"]  # 3 is the folder ls reads


@pytest.mark.parametrize("content", [b"", b"hello\n", os.urandom(3_000_000)])
def test_run_feeds_bytes(launcher: SystemLauncher, content: bytes) -> None:
    completed = launcher.run(Command(argv=("cat",), timeout=10 * SECONDS), stdin=content)

    assert completed.stdout == content


def test_run_does_not_mind_a_program_that_reads_none_of_its_bytes(
    launcher: SystemLauncher,
) -> None:
    completed = launcher.run(Command(argv=("true",), timeout=10 * SECONDS), stdin=bytes(1_000_000))

    assert completed.ok


def test_run_gives_an_empty_stdin_when_there_is_none(launcher: SystemLauncher) -> None:
    assert launcher.run(shell("cat; echo end")).stdout == b"end\n"


def test_run_reads_a_descriptor(launcher: SystemLauncher, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    with (tmp_path / "in").open("rb") as source:
        completed = launcher.run(Command(argv=("cat",), timeout=5 * SECONDS), stdin=source.fileno())

    assert completed.stdout == b"from a file"


def test_run_works_in_the_folder_it_is_told(launcher: SystemLauncher, tmp_path: Path) -> None:
    assert launcher.run(shell("pwd", cwd=tmp_path)).stdout == f"{tmp_path}\n".encode()


# Secrets


def test_secret_arrives_through_a_pipe_and_nowhere_else(launcher: SystemLauncher) -> None:
    command = shell(
        'cat "$KEY"; echo; cat /proc/$$/environ /proc/$$/cmdline | tr "\\0" "\\n"',
        secrets={"KEY": Secret("canary-5f2a")},
    )

    first, *rest = launcher.run(command).stdout.splitlines()

    assert first == b"canary-5f2a"
    assert any(line.startswith(b"KEY=/dev/fd/") for line in rest)
    assert not [line for line in rest if b"canary" in line]


def test_secret_file_is_read_as_often_as_it_is_opened_and_is_on_no_disk(
    launcher: SystemLauncher,
) -> None:
    read = 'cat "$KEYS"; cat "$KEYS"; readlink -f "$KEYS"; cat /proc/$$/environ /proc/$$/cmdline'
    command = shell(read, secret_files={"KEYS": Secret("canary-5f2a\n")})

    first, second, path, *rest = launcher.run(command).stdout.splitlines()

    assert (first, second) == (b"canary-5f2a", b"canary-5f2a")
    assert path.startswith(b"/memfd:secret")
    assert not [line for line in rest if b"canary" in line]


def test_secret_can_be_as_long_as_a_pipe_holds(launcher: SystemLauncher) -> None:
    command = shell('wc -c < "$KEY"', secrets={"KEY": Secret("x" * 65536)})

    assert launcher.run(command).stdout == b"65536\n"


@pytest.mark.parametrize("text", ["", "x" * 65537])
def test_secret_is_refused_when_it_has_no_or_too_many_bytes(
    launcher: SystemLauncher, text: str
) -> None:
    with pytest.raises(ValueError, match="1 to 65,536 bytes"):
        launcher.run(shell("true", secrets={"KEY": Secret(text)}))


def test_secret_is_refused_for_another_user(launcher: SystemLauncher) -> None:
    with pytest.raises(ValueError, match="another user"):
        launcher.run(shell("true", secrets={"KEY": Secret("x")}, run_as=RunAs(64000, 64000)))
    with pytest.raises(ValueError, match="another user"):
        launcher.run(shell("true", secret_files={"K": Secret("x")}, run_as=RunAs(64000, 64000)))


# Output


def test_run_keeps_a_large_output(launcher: SystemLauncher) -> None:
    completed = launcher.run(shell("head -c 20000000 /dev/zero; head -c 9000000 /dev/zero >&2"))

    assert len(completed.stdout) == 20_000_000
    assert len(completed.stderr) == 65536


def test_run_keeps_the_end_of_stderr(launcher: SystemLauncher) -> None:
    completed = launcher.run(shell("seq 100000 >&2; echo last >&2"))

    assert completed.stderr.endswith("99999\n100000\nlast\n")


def test_run_ends_a_program_that_prints_too_much(launcher: SystemLauncher) -> None:
    with pytest.raises(ProgramPrintedTooMuch, match="printed more than 100,000 bytes"):
        launcher.run(Command(argv=("yes",), timeout=20 * SECONDS, output_limit=100_000))


def test_run_hands_over_lines_as_they_come(launcher: SystemLauncher) -> None:
    lines: list[bytes] = []
    errors: list[bytes] = []

    completed = launcher.run(
        shell("printf 'one\\ntwo\\n\\nthree'; printf 'a\\nb' >&2"),
        on_line=lines.append,
        on_error_line=errors.append,
    )

    assert lines == [b"one\n", b"two\n", b"\n", b"three"]
    assert errors == [b"a\n", b"b"]
    assert (completed.stdout, completed.stderr) == (b"", "a\nb")


def test_run_cuts_a_line_that_never_ends(launcher: SystemLauncher) -> None:
    lines: list[bytes] = []

    launcher.run(
        shell("head -c 5000000 /dev/zero; echo; echo next; head -c 2000000 /dev/zero"),
        on_line=lines.append,
    )

    assert [len(line) for line in lines] == [1048576, 5, 1048576]


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_run_ends_the_program_and_raises_when_a_line_is_refused(
    launcher: SystemLauncher, stream: str
) -> None:
    def refuse(_line: bytes) -> None:
        raise ProgramFailed("refused")

    begun = time.monotonic()
    with pytest.raises(ProgramFailed, match="refused"):
        launcher.run(
            shell(f"while sleep 0.1; do echo x {stream}; done", seconds=60),
            on_line=refuse,
            on_error_line=refuse,
        )
    assert time.monotonic() - begun < 30  # far below its own 60 s


# Its end


def test_run_fails_when_the_program_is_missing(launcher: SystemLauncher) -> None:
    with pytest.raises(ProgramMissing, match="no-such-program is not installed"):
        launcher.run(Command(argv=("no-such-program",), timeout=SECONDS))


def test_run_fails_when_the_program_cannot_be_started(launcher: SystemLauncher) -> None:
    with pytest.raises(ProgramFailed, match="sh could not be started: Argument list too long"):
        launcher.run(Command(argv=("sh", "-c", "x" * 200_000), timeout=SECONDS))


def test_run_reports_a_signal(launcher: SystemLauncher) -> None:
    completed = launcher.run(shell("kill -9 $$"))

    assert completed.returncode == -signal.SIGKILL
    assert exit_words(completed.returncode) == "ended by SIGKILL"


def test_run_kills_the_whole_group_when_the_time_is_up(
    launcher: SystemLauncher, tmp_path: Path
) -> None:
    script = f"trap '' INT; sleep 300 & echo $! > {tmp_path}/pid; wait; sleep 300"

    with pytest.raises(ProgramTimedOut, match="sh did not end within 1 s and was ended"):
        launcher.run(shell(script, seconds=1))

    assert eventually(lambda: gone(pid_from(tmp_path / "pid")))


def test_run_lets_a_program_stop_by_itself_when_the_time_is_up(
    launcher: SystemLauncher, tmp_path: Path
) -> None:
    script = f"trap 'echo cleaned > {tmp_path}/trace; exit 1' INT; while :; do sleep 0.1; done"

    with pytest.raises(ProgramTimedOut):
        launcher.run(shell(script, seconds=1))

    assert (tmp_path / "trace").read_text() == "cleaned\n"


def test_run_does_not_wait_for_a_descendant_that_holds_its_pipes(
    launcher: SystemLauncher, tmp_path: Path
) -> None:
    escaped = shell(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60' & sleep 0.3; echo out")
    begun = time.monotonic()

    completed = launcher.run(escaped)

    assert completed.stdout == b"out\n"
    assert time.monotonic() - begun < 20  # far below the 60 s of the descendant
    os.kill(pid_from(tmp_path / "pid"), signal.SIGKILL)


def test_run_does_not_wait_for_a_descendant_that_keeps_printing(
    launcher: SystemLauncher, tmp_path: Path
) -> None:
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec yes' & sleep 0.3"

    completed = launcher.run(shell(script, output_limit=1 << 34), on_line=lambda _line: None)

    assert completed.ok
    with contextlib.suppress(ProcessLookupError):  # nobody reads what it prints any more
        os.kill(pid_from(tmp_path / "pid"), signal.SIGKILL)


def test_run_ends_what_the_program_left_behind(launcher: SystemLauncher, tmp_path: Path) -> None:
    launcher.run(shell(f"sleep 300 & echo $! > {tmp_path}/pid"))

    assert eventually(lambda: gone(pid_from(tmp_path / "pid")))


def test_run_reports_failure_when_the_exit_code_was_lost(tmp_path: Path) -> None:
    # Python's own subprocess says 0 here: a parent that ignores SIGCHLD makes everything green.
    script = f"""
import signal, threading
from datetime import timedelta
from dr_orchestrator.errors import ProgramFailed
from dr_orchestrator.process import Command, SystemLauncher
launcher = SystemLauncher({_PATH!r})
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
try:
    completed = launcher.run(Command(argv=("false",), timeout=timedelta(seconds=5)))
except ProgramFailed:
    pass  # it was gone before it could be attended to
else:
    assert completed.returncode != 0, completed
launcher = SystemLauncher({_PATH!r})
for argv, code in (("true",), 0), (("false",), 1):
    assert launcher.run(Command(argv=argv, timeout=timedelta(seconds=5))).returncode == code
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_programs_can_be_stopped_when_we_were_started_in_the_background() -> None:
    # `dro backup … &` in a script: the shell makes us, and so our programs, ignore SIGINT.
    script = f"""
import signal
from datetime import timedelta
from dr_orchestrator.process import Command, SystemLauncher
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
launcher = SystemLauncher({_PATH!r})
signal.raise_signal(signal.SIGINT)
child = launcher.start(Command(argv=("sleep", "60"), timeout=timedelta(seconds=90)))
assert child.end(30) == -signal.SIGINT, child.returncode
"""
    argv = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", script]
    subprocess.run(argv, check=True, timeout=60)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_run_as_another_user_has_no_group_of_ours(launcher: SystemLauncher) -> None:
    completed = launcher.run(shell("id -u; id -g; id -G", run_as=RunAs(64001, 64002)))

    assert completed.stdout == b"64001\n64002\n64002\n"


# Programs that run beside us


def test_start_returns_while_the_program_runs(launcher: SystemLauncher) -> None:
    child = launcher.start(shell("echo ready >&2; exec sleep 60"))

    assert child.running
    assert child.returncode is None
    assert eventually(lambda: child.stderr == "ready\n")
    assert os.getpgid(child.pid) == child.pid
    assert child.end() == -signal.SIGINT
    assert not child.running


def test_start_writes_into_a_descriptor(launcher: SystemLauncher) -> None:
    read_end, write_end = os.pipe()
    child = launcher.start(shell("echo produced"), stdout=write_end)
    os.close(write_end)

    with open(read_end, "rb") as source:  # noqa: PTH123 - a descriptor
        assert source.read() == b"produced\n"
    assert child.wait() == 0


def test_child_is_killed_when_it_does_not_stop(launcher: SystemLauncher) -> None:
    child = launcher.start(shell("trap '' INT; echo ready >&2; while :; do sleep 0.1; done"))
    assert eventually(lambda: child.stderr == "ready\n")

    assert child.end(0.3) == -signal.SIGKILL
    assert child.end() == -signal.SIGKILL  # again: nothing happens


def test_child_gets_its_own_stop_signal(launcher: SystemLauncher) -> None:
    child = launcher.start(shell("exec sleep 60", stop_signal=signal.SIGTERM))

    assert child.end() == -signal.SIGTERM


def test_child_wait_ends_it_when_the_time_is_up(launcher: SystemLauncher) -> None:
    child = launcher.start(shell("exec sleep 60"))

    with pytest.raises(ProgramTimedOut):
        child.wait(timedelta(milliseconds=100))
    assert gone(child.pid)


def test_child_that_nobody_waits_for_is_no_zombie(launcher: SystemLauncher) -> None:
    child = launcher.start(shell("exit 4"))

    assert eventually(lambda: not Path(f"/proc/{child.pid}").exists())
    assert child.returncode == 4


# We end


def test_close_interrupts_what_runs_and_starts_no_more(launcher: SystemLauncher) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            launcher.run(shell("exec sleep 60", seconds=60))
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    beside = launcher.start(shell("exec sleep 60"))
    assert eventually(lambda: len(launcher._children) == 5)

    launcher.close()
    for thread in threads:
        thread.join(10)

    assert [type(error) for error in errors] == [Interrupted] * 4
    assert not beside.running
    with pytest.raises(Interrupted):
        launcher.run(shell("true"))


def test_close_may_be_called_from_a_signal_handler_while_a_program_runs() -> None:
    script = f"""
import signal, threading
from datetime import timedelta
from dr_orchestrator.errors import Interrupted
from dr_orchestrator.process import Command, SystemLauncher
launcher = SystemLauncher({_PATH!r})
signal.signal(signal.SIGTERM, lambda *_: launcher.close())
print("ready", flush=True)
try:
    while True:
        launcher.run(Command(argv=("sleep", "0.01"), timeout=timedelta(seconds=5)))
except Interrupted:
    print("interrupted", flush=True)
"""
    for delay in (0.0, 0.003, 0.011, 0.02, 0.05):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as ours:
            assert ours.stdout is not None
            assert ours.stdout.readline() == b"ready\n"
            time.sleep(delay)
            ours.terminate()
            assert ours.communicate(timeout=20)[0] == b"interrupted\n"


@pytest.mark.parametrize("run_as", ["None", "RunAs(64001, 64001)"])
def test_children_die_when_we_are_killed(run_as: str) -> None:
    if run_as != "None" and os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    # Started by threads that have ended: the parent-death signal belongs to the forking thread.
    script = f"""
import threading, time
from datetime import timedelta
from dr_orchestrator.process import Command, RunAs, SystemLauncher
launcher = SystemLauncher({_PATH!r})
command = Command(argv=("sleep", "300"), timeout=timedelta(minutes=9), run_as={run_as})
def start():
    print(launcher.start(command).pid, flush=True)
for _ in range(3):
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
time.sleep(0.5)
print("ready", flush=True)
time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as ours:
        assert ours.stdout is not None
        pids = [int(ours.stdout.readline()) for _ in range(3)]
        assert ours.stdout.readline() == b"ready\n"
        living = [pid for pid in pids if not gone(pid)]
        ours.kill()

    assert living == pids
    assert eventually(lambda: all(gone(pid) for pid in pids))


# Over and over


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _zombies() -> list[str]:
    ours = str(os.getpid())
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] == "Z" and fields[1] == ours:
            found.append(status.parent.name)
    return found


def test_two_hundred_runs_leave_nothing_behind(launcher: SystemLauncher) -> None:
    launcher.run(shell("true"))  # the spawner's thread is there from now on
    descriptors, threads = _open_descriptors(), threading.active_count()

    for number in range(200):
        match number % 4:
            case 0:
                launcher.run(shell("cat", secrets={"KEY": Secret("x")}), stdin=b"x" * 1000)
            case 1:
                launcher.start(shell("exit 1"))
            case 2:
                launcher.start(shell("exec sleep 60")).end()
            case _:
                launcher.run(shell("echo x"), on_line=lambda _line: None)

    assert eventually(lambda: not launcher._children)
    assert eventually(lambda: threading.active_count() <= threads)
    assert _open_descriptors() == descriptors
    assert _zombies() == []


def test_threads_do_not_mix_up_their_programs(launcher: SystemLauncher) -> None:
    wrong: list[object] = []

    def work(worker: int) -> None:
        for turn in range(15):
            text = f"{worker}-{turn}\n" * 2000
            secret = {"KEY": Secret(f"secret {worker} {turn}")}
            command = shell(f'cat; cat "$KEY" >&2; exit {worker}', secrets=secret)
            completed = launcher.run(command, stdin=text.encode())
            expected = (worker, text.encode(), f"secret {worker} {turn}")
            if (completed.returncode, completed.stdout, completed.stderr) != expected:
                wrong.append((expected, completed))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()

    assert wrong == []


# Words


def test_require_success_says_what_failed_in_our_own_words(launcher: SystemLauncher) -> None:
    completed = launcher.run(shell("echo 'Jane Roe: No space left on device' >&2; exit 2"))

    with pytest.raises(ProgramFailed) as caught:
        require_success(completed, "saving")

    assert str(caught.value) == "sh failed while saving (exit code 2: no space left on device)"
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        ("write /srv/Roe_Jane.pdf: No Space Left on device", ": no space left on device"),
        ("Roe, Jane", ""),
        ("", ""),
    ],
)
def test_known_cause_lets_only_known_phrases_out(stderr: str, expected: str) -> None:
    assert known_cause(stderr) == expected


def test_process_identity_tells_a_reused_number_apart() -> None:
    ours = ProcessIdentity.ours()

    assert ours.alive
    assert ProcessIdentity(ours.host, ours.pid, "another boot/1").alive is False
    assert ProcessIdentity("elsewhere", ours.pid, ours.started).alive is None
