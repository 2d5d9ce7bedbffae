"""The only door to other programs.

What it promises of every program it runs: its argv is a tuple and no shell reads it; it has a time
limit and its own process group; it inherits nothing of our environment but what is stated; secrets
reach it through an inherited pipe or a file in memory (`/dev/fd/N`), never argv or environment; and
it dies with us, but for what is started to clean up after us (`SystemLauncher.start_apart`).

Dying with us has two traps (reproduced on Debian 12): the parent-death signal comes when the
*thread* that forked ends, so one thread that lives as long as the process does all the forking; and
a change of uid drops the signal unless `setpriv` does both in one step.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import Interrupted, ProgramFailed, ProgramMissing, ProgramTimedOut
from dr_orchestrator.program_plumbing import (
    BLOCK,
    Lines,
    OnLine,
    Sink,
    Spawner,
    Tail,
    Whole,
    readable,
    secret_memory,
    secret_pipe,
)

_EXIT_CODE_LOST = 255
_GRACE_SECONDS = 3.0
"""Between asking a program to stop and killing its process group."""
_EMPTY: Mapping[str, str] = MappingProxyType({})
_NO_SECRETS: Mapping[str, Secret] = MappingProxyType({})


@dataclass(frozen=True)
class RunAs:
    """Another user and group, without any supplementary group."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program, its arguments, and everything it is given."""

    argv: tuple[str, ...]
    timeout: timedelta
    env: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    """Added to PATH, LANG and TZ, which are all that is inherited."""
    secrets: Mapping[str, Secret] = field(default_factory=lambda: _NO_SECRETS)
    """Environment variable -> secret; the variable names the `/dev/fd/N` it can be read from."""
    secret_files: Mapping[str, Secret] = field(default_factory=lambda: _NO_SECRETS)
    """The same for what is read more than once: they lie in memory for as long as it runs."""
    cwd: Path | None = None
    run_as: RunAs | None = None
    """Not together with secrets: another user cannot reopen our pipes."""
    stop_signal: signal.Signals = signal.SIGINT
    """What asks it to stop. restic 0.14 cleans up on SIGINT only."""
    output_limit: int = 256 * 1024 * 1024
    """Bytes of stdout after which `run` ends a program that should print little."""
    label: str = ""
    """What messages call it where `argv[0]` only wraps it: the program inside a sandbox."""

    @property
    def program(self) -> str:
        """The program's name, for messages."""
        return self.label or Path(self.argv[0]).name


@dataclass(frozen=True)
class Completed:
    """How a program ended. `stdout` and `stderr` may hold patient data: classify, never pass on."""

    program: str
    returncode: int
    stdout: bytes
    stderr: str
    """The last 64 KiB, undecodable bytes replaced."""
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.returncode == 0


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be confused with another one that got its number later."""

    host: str
    pid: int
    started: str
    """Boot id and the kernel's start time of the process, in clock ticks since that boot."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of a process of this machine, or `None` where it is gone."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        fields = stat[stat.rindex(")") + 2 :].split()  # the name before it may hold anything
        if fields[0] in "ZX":
            return None
        return cls(os.uname().nodename, pid, f"{boot}/{fields[19]}")

    @classmethod
    def ours(cls) -> ProcessIdentity:
        """Return our own identity."""
        identity = cls.of(os.getpid())
        if identity is None:
            raise RuntimeError("/proc is not mounted")
        return identity

    @property
    def alive(self) -> bool | None:
        """Whether it still runs; `None` where that cannot be known (another machine's)."""
        if self.host != os.uname().nodename:
            return None
        return ProcessIdentity.of(self.pid) == self

    def kill(self) -> None:
        """Kill it where it still runs, and nobody who got its number since."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)


class Launcher(Protocol):
    """Runs programs: on this machine, or inside a sandbox."""

    def run(
        self,
        command: Command,
        *,
        stdin: int | bytes | None = None,
        on_line: OnLine | None = None,
    ) -> Completed:
        """Run to the end and return how it ended, whatever its exit code.

        `stdin` is a file descriptor, the bytes to feed, or nothing (`/dev/null`). With `on_line`
        each line of stdout is handed over as it comes, with its newline and cut at 1 MiB, and
        `Completed.stdout` stays empty. What `on_line` raises ends the program and is raised here.

        Raises:
            ProgramMissing: it is not installed.
            ProgramFailed: it could not be started.
            ProgramPrintedTooMuch: it was ended because it printed more than `output_limit`.
            ProgramTimedOut: it was ended because its time was up.
            Interrupted: it was ended because we are to stop.
        """
        ...

    def start(
        self, command: Command, *, stdin: int | None = None, stdout: int | None = None
    ) -> Child:
        """Start it and return at once. The caller owns, and ends, the child."""
        ...


class Child:
    """A program that is running: a producer of a stream, or a server.

    A thread of its own reads what it prints and reaps it when it ends, together with whatever it
    left behind in its process group. So none becomes a zombie, and a descendant that keeps a pipe
    open holds nobody up.
    """

    def __init__(
        self,
        command: Command,
        popen: subprocess.Popen[bytes],
        *,
        output: Sink | None,
        errors: Sink | None,
        on_end: Callable[[Child], None],
    ) -> None:
        self._command = command
        self._popen = popen
        self._on_end = on_end
        self._signalling = threading.RLock()  # a signal handler may come in at any line
        self._asked = False
        self._wake = threading.Event()  # it is over, or a sink failed
        self._over = threading.Event()
        self._error: Exception | None = None
        self.interrupted = False
        """Whether it was ended because we are to stop."""
        self._tail = Tail()
        self._pidfd = os.pidfd_open(popen.pid)
        sinks: dict[int, tuple[Sink, ...]] = {}
        if popen.stdout is not None and output is not None:
            sinks[popen.stdout.fileno()] = (output,)
        if popen.stderr is not None:
            sinks[popen.stderr.fileno()] = (self._tail, *([errors] if errors else []))
        threading.Thread(target=self._attend, args=(sinks,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.returncode is None

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal, `None` while it runs."""
        return self._popen.returncode

    @property
    def stderr(self) -> str:
        """The end of what it wrote to stderr so far. Classify it; never pass it on."""
        return self._tail.text()

    def wait(self, timeout: timedelta | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            ProgramTimedOut: it did not end within `timeout` (the command's own unless given), and
                was ended.
        """
        limit = (timeout or self._command.timeout).total_seconds()
        if not self._wake.wait(limit):
            self.end()
            raise ProgramTimedOut(
                f"{self._command.program} did not end within {limit:.0f} s and was ended"
            )
        if self._error is not None:
            self.end()
            raise self._error
        self._over.wait()
        return self._popen.returncode

    def ask_to_stop(self) -> None:
        """Send its stop signal to it, and nothing more."""
        self._asked = True
        with self._signalling:
            if self.running:  # else its number may be somebody else's by now
                os.kill(self.pid, self._command.stop_signal)

    def end(self, grace: float = _GRACE_SECONDS) -> int:
        """Make sure it has ended: ask, wait `grace` seconds, then kill its process group."""
        if not self._asked:
            self.ask_to_stop()
        if not self._over.wait(grace):
            with self._signalling:
                if self.running:
                    os.killpg(self.pid, signal.SIGKILL)
            self._over.wait()
        return self._popen.returncode

    def _attend(self, sinks: dict[int, tuple[Sink, ...]]) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            for descriptor, group in sinks.items():
                selector.register(descriptor, selectors.EVENT_READ, group)
            while self.running:
                self._take(selector, None)
            # All that it printed is in the pipes: read what is there, and wait for nothing more.
            last = time.monotonic() + _GRACE_SECONDS
            while self._take(selector, 0) and time.monotonic() < last:
                pass
        for group in sinks.values():
            for sink in group:
                self._guarded(sink.close)
        self._close()

    def _take(self, selector: selectors.BaseSelector, timeout: float | None) -> bool:
        ready = selector.select(timeout)
        for key, _ in ready:
            if key.fd == self._pidfd:
                selector.unregister(self._pidfd)
                self._reap()
            elif block := os.read(key.fd, BLOCK):
                for sink in key.data:
                    self._guarded(sink.take, block)
            else:
                selector.unregister(key.fd)
        return bool(ready)

    def _guarded(self, call: Callable[..., None], *arguments: bytes) -> None:
        """Once a sink has failed the rest is only drained, or the program could not end."""
        if self._error is None:
            try:
                call(*arguments)
            except Exception as error:  # noqa: BLE001 - raised again by `wait` in its own thread
                self._error = error
                self._wake.set()

    def _reap(self) -> None:
        with self._signalling:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # what it left behind; it is a zombie itself
            try:
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:  # somebody else reaped it; Popen would say 0
                self._popen.returncode = _EXIT_CODE_LOST
            else:
                self._popen.wait()

    def _close(self) -> None:
        os.close(self._pidfd)
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()
        self._on_end(self)
        self._over.set()
        self._wake.set()


_SPAWNER = Spawner()


def _undo_ignored_signals() -> None:
    """Undo what we may have inherited from a shell or a daemon, and our programs from us.

    An ignored SIGCHLD loses every exit code. An ignored SIGINT, as after `dro … &` in a script,
    would be ignored by our programs too; a signal that is handled is not inherited.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


class SystemLauncher:
    """Runs programs on this machine. One per process; `close` ends whatever still runs."""

    def __init__(self, path: str) -> None:
        """Take the folders programs are looked for in, as PATH has them."""
        self._path = path
        self._children: set[Child] = set()
        self._lock = threading.RLock()  # a signal handler may call `close` at any line
        self._stopping = False
        if threading.current_thread() is threading.main_thread():
            _undo_ignored_signals()

    def find(self, program: str) -> str:
        """Return the full path of `program`.

        Raises:
            ProgramMissing: it is not installed.
        """
        found = shutil.which(program, path=self._path)
        if found is None:
            raise ProgramMissing(
                f"the program {program} is not installed on this machine",
                hint="`scripts/test` and the installation page name the Debian packages",
            )
        return found

    def run(
        self,
        command: Command,
        *,
        stdin: int | bytes | None = None,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Completed:
        """See `Launcher.run`. `on_error_line` is the same for stderr, which is kept as well."""
        begun = time.monotonic()
        output = Whole(command.program, command.output_limit) if on_line is None else Lines(on_line)
        errors = None if on_error_line is None else Lines(on_error_line)
        with readable(stdin) as descriptor:
            child = self._spawn(command, descriptor, subprocess.PIPE, output, errors)
        try:
            code = child.wait()
        except BaseException:
            child.end()
            self._raise_if_stopping(command)
            raise
        self._raise_if_stopping(command)
        content = output.content if isinstance(output, Whole) else b""
        seconds = time.monotonic() - begun
        return Completed(command.program, code, content, child.stderr, seconds)

    def start(
        self,
        command: Command,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        on_line: OnLine | None = None,
        on_error_line: OnLine | None = None,
    ) -> Child:
        """See `Launcher.start`. `on_line`, in place of `stdout`, and `on_error_line`: see `run`."""
        output = None if on_line is None else Lines(on_line)
        errors = None if on_error_line is None else Lines(on_error_line)
        stdout = stdout if output is None else subprocess.PIPE
        return self._spawn(command, stdin, stdout, output, errors)

    def start_apart(self, command: Command, *, stdin: int) -> Child:
        """Start a program that lives on when we are killed, in a session of its own, where no
        Ctrl-C reaches it: `close` leaves it alone, and it must end by itself.
        """
        if command.run_as is not None or command.secrets or command.secret_files:
            raise ValueError("what outlives us is ourselves, and gets no secret")
        try:
            return _SPAWNER.call(lambda: self._fork_apart(command, stdin))
        except OSError as error:
            raise _not_started(command, error) from None

    def close(self) -> None:
        """End every program that still runs, and start no more."""
        with self._lock:
            self._stopping = True
            children = tuple(self._children)
        for child in children:
            child.interrupted = True
            child.ask_to_stop()
        last = time.monotonic() + _GRACE_SECONDS
        for child in children:
            child.end(max(0, last - time.monotonic()))

    def _raise_if_stopping(self, command: Command) -> None:
        if self._stopping:
            raise Interrupted(f"stopped while {command.program} ran") from None

    def _spawn(
        self,
        command: Command,
        stdin: int | None,
        stdout: int | None,
        output: Sink | None = None,
        errors: Sink | None = None,
    ) -> Child:
        if command.run_as is not None and (command.secrets or command.secret_files):
            raise ValueError("a secret cannot be piped to another user's program")
        argv = (*self._guard(command.run_as), self.find(command.argv[0]), *command.argv[1:])
        env = self._environment(command)
        with contextlib.ExitStack() as pipes:
            passed = []
            for name, descriptor in _lend_secrets(command):
                pipes.callback(os.close, descriptor)
                passed.append(descriptor)
                env[name] = f"/dev/fd/{descriptor}"

            def fork() -> Child:
                popen = subprocess.Popen(
                    argv,
                    bufsize=0,
                    stdin=subprocess.DEVNULL if stdin is None else stdin,
                    stdout=subprocess.DEVNULL if stdout is None else stdout,
                    stderr=subprocess.PIPE,
                    env=env,
                    cwd=command.cwd,
                    pass_fds=passed,
                    process_group=0,
                )
                try:
                    return Child(command, popen, output=output, errors=errors, on_end=self._forget)
                except BaseException:  # no descriptor or thread left to attend to it
                    with popen:
                        popen.kill()
                    raise

            try:
                return _SPAWNER.call(lambda: self._remember(fork, command))
            except OSError as error:
                raise _not_started(command, error) from None

    def _fork_apart(self, command: Command, stdin: int) -> Child:
        popen = subprocess.Popen(
            (self.find(command.argv[0]), *command.argv[1:]),
            bufsize=0,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment(command),
            cwd=command.cwd,
            start_new_session=True,
        )
        return Child(command, popen, output=None, errors=None, on_end=lambda _child: None)

    def _environment(self, command: Command) -> dict[str, str]:
        return {"PATH": self._path, "LANG": "C.UTF-8", "TZ": "UTC", **command.env}

    def _remember(self, fork: Callable[[], Child], command: Command) -> Child:
        with self._lock:  # so that `close` misses none
            self._raise_if_stopping(command)
            child = fork()
            self._children.add(child)
            return child

    def _guard(self, run_as: RunAs | None) -> tuple[str, ...]:
        guard: tuple[str, ...] = (self.find("setpriv"), "--pdeathsig", "KILL")
        if run_as is not None:
            guard += (f"--reuid={run_as.uid}", f"--regid={run_as.gid}", "--clear-groups")
        return (*guard, "--")

    def _forget(self, child: Child) -> None:
        with self._lock:
            self._children.discard(child)


def _not_started(command: Command, error: OSError) -> ProgramFailed:
    return ProgramFailed(f"{command.program} could not be started: {error.strerror}")


def _lend_secrets(command: Command) -> Iterator[tuple[str, int]]:
    for name, secret in command.secrets.items():
        yield name, secret_pipe(secret)
    for name, secret in command.secret_files.items():
        yield name, secret_memory(secret)


def require_success(completed: Completed, doing: str) -> Completed:
    """Return `completed` if it exited 0.

    Raises:
        ProgramFailed: it did not. The message has our own words only, no output of the program.
    """
    if not completed.ok:
        raise ProgramFailed(
            f"{completed.program} failed while {doing} ({exit_words(completed.returncode)}"
            f"{known_cause(completed.stderr)})",
            returncode=completed.returncode,
        )
    return completed


def exit_words(returncode: int) -> str:
    """Return `exit code 3`, or `ended by SIGKILL`."""
    if returncode < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-returncode).name}"
    return f"exit code {returncode}"


_KNOWN_CAUSES = (
    "no space left on device",
    "permission denied",
    "no such file or directory",
    "input/output error",
    "connection refused",
    "connection reset",
    "no such host",
    "network is unreachable",
    "disk quota exceeded",
    "out of memory",
    "stale file handle",
    "too many open files",
    "read-only file system",
)


def known_cause(stderr: str) -> str:
    """Return `: no space left on device` or the like, or nothing.

    Only phrases of this fixed list leave a program's stderr: the rest may hold rows or file names.
    """
    lowered = stderr.lower()
    return next((f": {cause}" for cause in _KNOWN_CAUSES if cause in lowered), "")
