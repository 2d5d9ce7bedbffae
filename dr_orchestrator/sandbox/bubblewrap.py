"""Sandboxes made by bubblewrap: an allow-list root, a user of their own, no network.

Allow-list, because a whole root bound read-only is a hole: the network namespace does not stop unix
sockets that have a path, and a sandbox that sees /run is superuser of the production server there.
So programs inside see /usr, a made-up /etc, /proc and /dev of their own, and the sandbox's folders.
Inside, no capability, no setuid program and no further user namespace works.

Programs inside are hostile, too: they do what restored data makes them do. They see the folders
that existed when they started, each bound by itself, so they can neither put a link in the place of
a folder nor touch one that is made later: what we write into a new folder lands there.

One sandbox is one folder in the driver's directory, and a file beside it that says whose it is:

    k3v9x0ab.owner    written first, removed last
    k3v9x0ab/         passable, not readable
        incoming/     where restic writes; nobody but us can enter until a tree is adopted
        room/         of folders that are the sandbox user's own; itself it is not
        etc/          the made-up /etc/passwd, group and nsswitch.conf
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import operator
import os
import pwd
import re
import secrets
import signal
import stat
import string
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from dr_orchestrator import beneath
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.target import SandboxTarget, sandbox_target
from dr_orchestrator.core.wording import size_words
from dr_orchestrator.errors import (
    ProgramMissing,
    SandboxNotRemoved,
    SandboxUnavailable,
    SpaceExhausted,
)
from dr_orchestrator.process import (
    Child,
    Command,
    Completed,
    ProcessIdentity,
    RunAs,
    SystemLauncher,
)
from dr_orchestrator.sandbox.adoption import adopt
from dr_orchestrator.sandbox.base import Adopted, Sandbox

_OWN_ACCOUNT = "dro-sandbox"
"""The only account that may have the sandbox's uid; any other's processes could read its files."""
_SERVER_ACCOUNTS = frozenset({"postgres", "mysql"})
"""Production servers take their word for who they are (peer authentication)."""
_NAME = re.compile(r"[a-z][a-z0-9]{7}")
_PATH = ("/usr/bin", "/usr/sbin")
_NO_CORE = "--core=1:1"
"""Not 0, which a core_pattern that is a pipe ignores (systemd-coredump would keep patient data)."""
_PROBE_SECONDS = 30
_DEATH_SECONDS = 10.0
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files\n"
_SYSCTLS = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


class BubblewrapDriver:
    """Makes sandboxes in one directory of this machine. One per process."""

    def __init__(
        self,
        launcher: SystemLauncher,
        directory: Path,
        uid: int,
        clock: Clock,
        extra_read_only: tuple[Path, ...] = (),
    ) -> None:
        """Take where sandboxes go and the uid they get.

        `uid` counts only where we are root; else the sandbox has our own. `extra_read_only` are
        folders of programs outside /usr that restored data needs (`/opt/mariadb-10.11`).
        """
        self._launcher = launcher
        self._directory = directory
        self._root = os.geteuid() == 0
        self._uid = uid if self._root else os.geteuid()
        self._clock = clock
        self._extra = extra_read_only
        self._wrapper: _Wrapper | None = None

    def open(self, run: str, *, bytes_needed: int) -> AbstractContextManager[Sandbox]:
        """See `SandboxDriver.open`."""
        return self._open(run, bytes_needed)

    def probe(self) -> None:
        """See `SandboxDriver.probe`."""
        there = self._directory.exists()
        try:
            self._prepare()
        finally:
            if not there:
                with contextlib.suppress(OSError):
                    self._directory.rmdir()

    def sweep(self, *, only_ours: bool = False) -> int:
        """See `SandboxDriver.sweep`.

        Raises:
            SandboxNotRemoved: something could not be removed.
        """
        try:
            handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._sweep_all(only_ours=only_ours)
        except BlockingIOError:
            return 0  # somebody else sweeps
        finally:
            os.close(handle)

    def _sweep_all(self, *, only_ours: bool) -> int:
        """Remove what can be; what cannot keeps nothing else from being removed."""
        swept = 0
        left: list[SandboxNotRemoved] = []
        for name in sorted(self._names()):
            try:
                swept += self._sweep_one(name, only_ours=only_ours)
            except SandboxNotRemoved as error:
                left.append(error)
        if left:
            raise left[0]
        return swept

    @contextlib.contextmanager
    def _open(self, run: str, bytes_needed: int) -> Iterator[Sandbox]:
        wrapper = self._prepare()
        self._require_space(bytes_needed)
        with contextlib.ExitStack() as leaving:
            name = self._claim(run)
            leaving.callback(self._remove, name)
            folder = self._make_folders(name)
            launcher = _InsideLauncher(self._launcher, wrapper, folder)
            leaving.callback(launcher.close)
            level = f"bubblewrap, uid {self._uid}"
            yield _BubblewrapSandbox(launcher, folder, wrapper.run_as, level)

    # --- before: may this machine make one? ---

    def _prepare(self) -> _Wrapper:
        if self._wrapper is None:
            self._refuse_foreign_uid()
            wrapper = self._find_programs()
            self._check_directory()
            self._probe(wrapper)
            self._wrapper = wrapper
        else:
            self._check_directory()
        return self._wrapper

    def _refuse_foreign_uid(self) -> None:
        if self._uid == 0:
            raise SandboxUnavailable("a sandbox cannot have the uid 0")
        try:
            account = pwd.getpwuid(self._uid).pw_name
        except KeyError:
            return
        refused = account in _SERVER_ACCOUNTS or (self._root and account != _OWN_ACCOUNT)
        if refused:
            raise SandboxUnavailable(
                f"the sandbox's uid {self._uid} belongs to the account {account}, whose servers "
                "and files programs in the sandbox could reach",
                hint="name a uid without an account in the machine's settings"
                if self._root
                else "run dro as root, or as an account of its own",
            )

    def _find_programs(self) -> _Wrapper:
        try:
            found = {
                program: self._launcher.find(program) for program in ("bwrap", "prlimit", "setpriv")
            }
        except ProgramMissing as error:
            package = "bubblewrap" if "bwrap" in error.message else "util-linux"
            raise SandboxUnavailable(error.message, hint=f"apt-get install {package}") from None
        identity = RunAs(self._uid, self._uid) if self._root else None
        return _Wrapper(found["prlimit"], found["bwrap"], identity, self._uid, self._extra)

    def _check_directory(self) -> None:
        directory = self._directory
        try:
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            status = directory.lstat()
        except OSError as error:
            raise SandboxUnavailable(
                f"the sandbox directory {directory} cannot be made: {error.strerror}"
            ) from None
        if not stat.S_ISDIR(status.st_mode):
            raise SandboxUnavailable(f"the sandbox directory {directory} is not a folder")
        if status.st_uid != os.geteuid() or status.st_mode & 0o066:
            raise SandboxUnavailable(
                f"the sandbox directory {directory} is reachable for others",
                hint=f"chown {os.geteuid()} {directory}; chmod 0711 {directory}",
            )
        for above in directory.resolve().parents:
            self._check_above(above)

    def _check_above(self, above: Path) -> None:
        status = above.stat()
        others_write = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        if others_write or status.st_uid not in {0, os.geteuid()}:
            raise SandboxUnavailable(
                f"others may rename what is in {above}, above the sandbox directory",
                hint="name a directory below folders of root in the machine's settings",
            )
        if self._root and not status.st_mode & stat.S_IXOTH:
            raise SandboxUnavailable(
                f"the sandbox's user cannot pass {above}, above the sandbox directory",
                hint=f"chmod o+x {above}, or name another directory in the machine's settings",
            )

    def _probe(self, wrapper: _Wrapper) -> None:
        """Really run a program inside once: nothing else tells whether the kernel allows it."""
        command = Command(argv=("true",), timeout=timedelta(seconds=_PROBE_SECONDS))
        with contextlib.ExitStack() as leaving:
            name = self._claim("probe")
            leaving.callback(self._remove, name)
            folder = self._make_folders(name)
            completed = self._launcher.run(wrapper.wrap(command, folder, ()))
        if not completed.ok:
            raise SandboxUnavailable(
                "bubblewrap is installed but cannot make a sandbox on this machine",
                hint="bubblewrap 0.8 or later is needed"
                if "nknown option" in completed.stderr
                else _why_no_namespace(),
            )

    def _require_space(self, bytes_needed: int) -> None:
        free = _free_bytes(self._directory)
        if free < bytes_needed:
            raise SpaceExhausted(
                f"the sandbox needs {size_words(bytes_needed)} and {self._directory} has "
                f"{size_words(free)} free",
                hint="free some space, or name another sandbox directory in the machine's settings",
            )

    # --- one sandbox on disk ---

    def _claim(self, run: str) -> str:
        """Write down whose it is, before there is anything else of it."""
        first, rest = string.ascii_lowercase, string.ascii_lowercase + string.digits
        name = secrets.choice(first) + "".join(secrets.choice(rest) for _ in range(7))
        content = json.dumps({"schema": 1, "run": run, **asdict(ProcessIdentity.ours())})
        new = self._directory / f".{name}.{os.getpid()}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._marker(name))
        return name

    def _make_folders(self, name: str) -> Path:
        folder = self._directory / name
        etc, home = folder / "etc", _home(folder)
        for path, mode in (
            (folder, 0o711),
            (folder / "incoming", 0o700),
            (home.parent, 0o711),
            (home, 0o700),
            (etc, 0o711),
        ):
            path.mkdir(mode=mode)
            path.chmod(mode)  # whatever the umask says
        if self._root:
            os.chown(home, self._uid, self._uid)
        for file, content in (
            ("passwd", f"sandbox:x:{self._uid}:{self._uid}::{home}:/usr/sbin/nologin\n"),
            ("group", f"sandbox:x:{self._uid}:\n"),
            ("nsswitch.conf", _NSSWITCH),
        ):
            (etc / file).write_text(content)
            (etc / file).chmod(0o644)
        return folder

    def _remove(self, name: str) -> None:
        folder = self._directory / name
        try:
            _end_inhabitants(name, self._uid, self._clock)
            beneath.remove(folder)
            self._marker(name).unlink(missing_ok=True)
        except OSError as error:
            raise SandboxNotRemoved(
                f"what was restored into {folder} could not be removed: {error.strerror}",
                hint="it is patient data: unmount what is mounted in it, then remove it by hand",
            ) from None

    # --- what dead runs left behind ---

    def _names(self) -> set[str]:
        """Return the sandboxes there are, by marker or by folder."""
        found = set()
        for path in self._directory.iterdir():
            stem, _, rest = path.name.lstrip(".").partition(".")
            if _NAME.fullmatch(stem) and (path.is_dir() or rest == "owner" or rest.isdigit()):
                found.add(stem)
        return found

    def _sweep_one(self, name: str, *, only_ours: bool) -> bool:
        half_written = [
            path
            for path in self._directory.glob(f".{name}.*")
            if path.suffix[1:].isdigit() and ProcessIdentity.of(int(path.suffix[1:])) is None
        ]
        for path in half_written:
            path.unlink(missing_ok=True)
        if not self._marker(name).exists() and not (self._directory / name).exists():
            return False
        if self._owner_may_live(name, only_ours=only_ours):
            return False
        self._remove(name)
        return True

    def _owner_may_live(self, name: str, *, only_ours: bool) -> bool:
        """Whether a sandbox is still somebody's; with `only_ours` anybody's but ours.

        Without a readable marker it is nobody's: the marker is whole before there is a folder.
        """
        try:
            owner = json.loads(self._marker(name).read_text())
            identity = ProcessIdentity(owner["host"], owner["pid"], owner["started"])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return only_ours
        if only_ours:
            return identity != ProcessIdentity.ours()
        return identity.alive is not False

    def _marker(self, name: str) -> Path:
        return self._directory / f"{name}.owner"


class _BubblewrapSandbox:
    """One sandbox that is open."""

    def __init__(
        self, launcher: _InsideLauncher, folder: Path, identity: RunAs | None, level: str
    ) -> None:
        self._launcher = launcher
        self._folder = folder
        self._identity = identity
        self._level = level

    @property
    def target(self) -> SandboxTarget:
        return sandbox_target(self._folder / "incoming", self._level)

    @property
    def level(self) -> str:
        return self._level

    @property
    def inside(self) -> _InsideLauncher:
        return self._launcher

    def free_bytes(self) -> int:
        return _free_bytes(self._folder)

    def folder(self, name: str) -> Path:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,59}", name):
            raise ValueError(f"not a plain name of a folder: {name!r}")
        path = self._folder / "room" / name
        path.mkdir(mode=0o700)
        if self._identity is not None:
            os.chown(path, self._identity.uid, self._identity.gid, follow_symlinks=False)
        self._launcher.show(path)
        return path

    def adopt(self, path: Path) -> Adopted:
        incoming = self._folder / "incoming"
        above = path.relative_to(incoming)  # ValueError: not restored here
        try:
            adopted = adopt(path, self._identity)
        except OSError as error:
            raise SandboxUnavailable(
                f"what was restored cannot be handed to the sandbox's user: {error.strerror}"
            ) from None
        if self._identity is not None:
            for parent in (incoming, *(incoming / part for part in reversed(above.parents))):
                if parent != path:
                    parent.chmod(0o711)
        self._launcher.show(path)
        return adopted


class _InsideLauncher:
    """Runs programs inside one sandbox. What still runs when it is closed is ended."""

    def __init__(self, launcher: SystemLauncher, wrapper: _Wrapper, folder: Path) -> None:
        self._launcher = launcher
        self._wrapper = wrapper
        self._folder = folder
        self._shown: tuple[Path, ...] = (_home(folder),)
        self._children: list[Child] = []

    def show(self, path: Path) -> None:
        """Let programs that start from now on see and change `path`."""
        self._shown = (*self._shown, path)

    def run(
        self,
        command: Command,
        *,
        stdin: int | bytes | None = None,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """See `Launcher.run`. Asking a program to stop kills it: signals do not get inside."""
        completed = self._launcher.run(self._wrap(command), stdin=stdin, on_line=on_line)
        if completed.returncode == 1 and completed.stderr.startswith("bwrap: "):
            raise SandboxUnavailable(
                f"the sandbox could not start {completed.program}", hint=_why_no_namespace()
            )
        return completed

    def start(
        self, command: Command, *, stdin: int | None = None, stdout: int | None = None
    ) -> Child:
        """See `Launcher.start`. Asking a program to stop kills it: signals do not get inside."""
        child = self._launcher.start(self._wrap(command), stdin=stdin, stdout=stdout)
        self._children.append(child)
        return child

    def close(self) -> None:
        """End what was started and still runs."""
        for child in self._children:
            if child.running:
                child.end()

    def _wrap(self, command: Command) -> Command:
        return self._wrapper.wrap(command, self._folder, self._shown)


@dataclass(frozen=True)
class _Wrapper:
    """Turns a command into one that runs inside a sandbox."""

    prlimit: str
    bwrap: str
    run_as: RunAs | None
    uid: int
    extra: tuple[Path, ...]

    def wrap(self, command: Command, folder: Path, shown: tuple[Path, ...]) -> Command:
        """Return the command that runs `command` in the sandbox at `folder`."""
        if command.secrets or command.secret_files or command.run_as is not None:
            raise ValueError("neither a secret nor another user goes into a sandbox")
        home = _home(folder)
        cwd = command.cwd or home
        writable = sorted({home, *shown})
        if not any(cwd.is_relative_to(path) for path in writable):
            raise ValueError(f"not a folder of the sandbox: {cwd}")
        argv = (
            *(self.prlimit, _NO_CORE, "--", self.bwrap),
            *("--unshare-all", "--unshare-user", "--disable-userns"),
            *("--die-with-parent", "--new-session", "--hostname", "sandbox"),
            *self._system(),
            *("--proc", "/proc", "--dev", "/dev"),
            *self._etc(folder),
            *(word for path in self.extra for word in ("--ro-bind", str(path), str(path))),
            *(word for path in writable for word in ("--bind", str(path), str(path))),
            *("--remount-ro", "/", "--chdir", str(cwd)),
            *self._environment(command, home),
            "--",
            self._find(command.argv[0], writable),
            *command.argv[1:],
        )
        return replace(
            command,
            argv=argv,
            env={},
            cwd=folder,
            run_as=self.run_as,
            stop_signal=signal.SIGTERM,
            label=command.program,
        )

    def _system(self) -> Iterator[str]:
        """Yield /usr and the folders beside it, as this machine has them."""
        yield from ("--ro-bind", "/usr", "/usr")
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            path = Path("/", name)
            if path.is_symlink():
                yield from ("--symlink", str(path.readlink()), str(path))
            elif path.is_dir():
                yield from ("--ro-bind", str(path), str(path))

    def _etc(self, folder: Path) -> Iterator[str]:
        for name in ("passwd", "group", "nsswitch.conf"):
            yield from ("--ro-bind", str(folder / "etc" / name), f"/etc/{name}")

    def _environment(self, command: Command, home: Path) -> Iterator[str]:
        yield "--clearenv"
        variables = {
            "PATH": ":".join(self._folders_of_programs()),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(home),
            "TMPDIR": str(home),
            **command.env,
        }
        for name, value in variables.items():
            yield from ("--setenv", name, value)

    def _folders_of_programs(self) -> Iterator[str]:
        yield from _PATH
        yield from (str(path / "bin") for path in self.extra)

    def _find(self, program: str, writable: list[Path]) -> str:
        """Return the full path of a program that can be run inside."""
        if "/" in program:
            seen = ("/usr", "/bin", "/sbin", *map(str, (*self.extra, *writable)))
            candidates = [program] if any(Path(program).is_relative_to(p) for p in seen) else []
        else:
            candidates = [f"{folder}/{program}" for folder in self._folders_of_programs()]
        for candidate in candidates:
            if os.access(candidate, os.X_OK):
                return candidate
        if not candidates:  # one sentence, since a test keeps no hint
            raise ProgramMissing(
                f"the program {Path(program).name} is outside /usr, and its folder is not named in "
                "the machine's settings (`command_programs`): a sandbox cannot run it"
            )
        raise ProgramMissing(f"the program {Path(program).name} is not there, or cannot be run")


def _home(folder: Path) -> Path:
    """Return the folder that every program inside may write to."""
    return folder / "room" / "home"


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _why_no_namespace() -> str:
    for path, closed, setting in _SYSCTLS:
        with contextlib.suppress(OSError):
            if Path(path).read_text().strip() == closed:
                return f"the kernel's settings forbid it: sysctl {setting}"
    return "run `bwrap --unshare-all --ro-bind / / true` as the sandbox's user to see why"


def _end_inhabitants(name: str, uid: int, clock: Clock) -> None:
    """Kill whatever still runs in the sandbox `name`, and wait until it is gone."""
    deadline = clock.monotonic() + _DEATH_SECONDS
    while pids := _inhabitants(name, uid):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if clock.monotonic() > deadline:
            raise OSError(errno.EBUSY, "a program in it cannot be killed")
        clock.sleep(0.02)


def _inhabitants(name: str, uid: int) -> tuple[int, ...]:
    """Return the processes that run in the sandbox `name`.

    They have its folders mounted, which they cannot forge. That alone says nothing: once somebody
    mounts something in a sandbox's folder, every process of the machine has it mounted. So they
    must also be the sandbox's user's, and in namespaces of their own, as nobody else is.
    """
    ours = _namespaces(Path("/proc/self"))
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            apart = all(map(operator.ne, _namespaces(process), ours))
            if (
                apart
                and _uid_of(process) == uid
                and f"/{name}/" in (process / "mountinfo").read_text(errors="replace")
            ):
                found.append(int(process.name))
    return tuple(found)


def _namespaces(process: Path) -> tuple[str, ...]:
    return tuple(str((process / "ns" / kind).readlink()) for kind in ("mnt", "net", "pid", "user"))


def _uid_of(process: Path) -> int | None:
    for line in (process / "status").read_text(errors="replace").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return None
