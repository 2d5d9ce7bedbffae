"""The restic driver: one class for every place restic can keep a repository in.

It must not print or pass on what restic says, remove what is not provably ours, or make a
repository anywhere but where there certainly is none.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from dr_orchestrator.clock import Clock
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.share import UNREADABLE, Listed
from dr_orchestrator.core.target import NewDirectoryTarget, SandboxTarget
from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import (
    CaptureFailed,
    DroError,
    PointNotFound,
    ProgramPrintedTooMuch,
    RemovalRefused,
    RepositoryAbsent,
    RepositoryDamaged,
    RepositoryError,
    RepositoryLocked,
    RepositoryUnreachable,
    SpaceExhausted,
    TargetRefused,
    UsageMistake,
    WrongPassword,
)
from dr_orchestrator.process import Child, Completed
from dr_orchestrator.repositories import restic_output
from dr_orchestrator.repositories.base import (
    ListedKey,
    OnProgress,
    Repository,
    Saved,
    Snapshot,
    StaleLock,
    StreamSave,
)
from dr_orchestrator.repositories.restic_failure import (
    is_out_of_space,
    pack_is_gone,
    removal_is_refused,
)
from dr_orchestrator.repositories.restic_location import (
    has_no_keys,
    is_certainly_empty,
    local_path,
)
from dr_orchestrator.repositories.restic_locks import (
    Patience,
    is_dead,
    is_old,
    occupant_of,
    restic_would_touch,
    sees_all_processes,
)
from dr_orchestrator.repositories.restic_output import BackupReader, Lock, Unread
from dr_orchestrator.repositories.restic_program import ResticLauncher, ResticProgram
from dr_orchestrator.repositories.restic_stream import ResticStream
from dr_orchestrator.repositories.restic_version import Feature

_T = TypeVar("_T")
_PROBE_TIMEOUT = timedelta(seconds=30)
_LIST_TIMEOUT = timedelta(minutes=10)
_LOCKS_TIMEOUT = timedelta(minutes=2)
_CREATE_TIMEOUT = timedelta(minutes=2)
_KEY_TIMEOUT = timedelta(minutes=2)
_SMALL_FILE_TIMEOUT = timedelta(minutes=10)
_FORGET_TIMEOUT = timedelta(minutes=30)
_FORGOTTEN_AT_ONCE = 500
"""Ids of 65 bytes each: far below what arguments may take."""
_MOST_PARTS = 256
"""restic tells the shares apart by the first byte of a pack's id."""
_FULL_ID_LENGTH = 64
_SNAPSHOT_ID = re.compile(r"[0-9a-f]{8,64}")
_TAG_WORD = re.compile(r"[^\s,\x00-\x1f\x7f]([^,\x00-\x1f\x7f]*[^\s,\x00-\x1f\x7f])?")
_FLAT_NAME = re.compile(r"[^/\x00-\x1f\x7f-][^/\x00-\x1f\x7f]*")
_PATTERN_SIGNS = re.compile(r"([*?\[\\])")
_NAME_SIGN = re.compile(r"[^/]")
_NO_LINE = re.compile(r"[\r\n]|\s\Z")
_RESTORED_AT_ONCE = 400
"""Paths: far below what arguments may take (2 MiB), were each as long as a path may be. restic
holds each against each name in the folders it enters, so those that lie together go together: with
0.14, 5,000 of 100,000 files took a minute in one call, and a third of that so many at a time."""
_TRIES_FOR_A_REMOTE_PACK = 3
"""An object store may not show yet what is there; a local folder shows what it has at once."""


class ResticRepository:
    """A `Repository` that restic keeps."""

    def __init__(
        self,
        name: str,
        location: str,
        password: Secret,
        *,
        launcher: ResticLauncher,
        clock: Clock,
        cache: Path,
        tmp: Path,
        hostname: str,
        extra_env: Mapping[str, str] | None = None,
        aws_credentials: Secret | None = None,
        lock_wait: timedelta,
        append_only: bool = False,
        only_read: bool = False,
        upload: int | None = None,
        download: int | None = None,
    ) -> None:
        """Take where it is and how it opens; nothing is run yet.

        `hostname` is the logical name that snapshots carry, the same on whatever machine makes
        them. `cache` and `tmp` are private folders of ours. `aws_credentials` is what it reads as
        `~/.aws/credentials`, in the place of that file. `lock_wait` is how long to wait for
        somebody else's lock. `append_only` says that nothing can be removed there, `only_read` that
        it is others' to save in: no snapshot or lock of ours comes there, and none goes. `upload`
        and `download` are the most bytes a second that may go there and come from there.

        Raises:
            SecretUnavailable: the password is empty; restic would read it from a stream's data.
        """
        self._name = name
        self._program = ResticProgram(
            repository=name,
            location=Secret(location),
            password=password,
            launcher=launcher,
            cache=cache,
            tmp=tmp,
            extra_env=dict(extra_env or {}),
            aws_credentials=aws_credentials,
            upload=upload,
            download=download,
        )
        self._local = local_path(location)
        self._launcher = launcher
        self._clock = clock
        self._hostname = hostname
        self._lock_wait = lock_wait
        self._append_only = append_only
        self._only_read = only_read
        self._identity: str | None = None
        self._asking = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    def identity(self) -> str:
        with self._asking:
            if self._identity is None:
                self._identity = self._ask_identity()
            return self._identity

    def create(self, *, like: Repository | None = None) -> str:
        self._require_ours()
        options: tuple[str, ...] = ("init",)
        program = self._program
        if like is not None:
            program, options = self._beside(_of_restic(like)), (*options, "--copy-chunker-params")
        program.ask(
            *options, doing="making a repository", timeout=_CREATE_TIMEOUT, reads_back=False
        )
        return self.identity()

    def copy_from(
        self, source: Repository, snapshots: Sequence[str], *, timeout: timedelta
    ) -> None:
        self._require_ours()
        for snapshot in snapshots:
            _check_snapshot_id(snapshot)
        if not snapshots:
            return  # restic would copy all there are
        beside = _of_restic(source)
        beside._require_ours()  # noqa: SLF001 - one of us; restic locks what it copies from
        program = self._beside(beside)
        last = self._clock.monotonic() + timeout.total_seconds()

        def attempt() -> None:
            left = timedelta(seconds=max(1.0, last - self._clock.monotonic()))
            try:
                program.ask(
                    *("copy", *snapshots),
                    doing="copying",
                    timeout=left,
                    reads_back=False,
                    on_error_line=beside._pack_watch(),  # noqa: SLF001 - one of us
                )
            except RepositoryDamaged:
                raise RepositoryDamaged(
                    f"not everything could be read in {source.name} while copying to {self._name}",
                    hint=f"`dro repository check` tells whether {source.name} is damaged",
                ) from None
            except RepositoryError:
                # restic does not say of which of the two it speaks
                _require_open(program.source)
                raise

        self._outlasting_locks(attempt)

    def packs(self) -> frozenset[str]:
        listed = self._program.ask(
            "list", "index", "--no-lock", doing="listing the index", timeout=_LIST_TIMEOUT
        )
        found: set[str] = set()
        for identity in restic_output.listed_ids(listed.stdout):
            index = self._program.ask(
                *("cat", "index", identity, "--no-lock"),
                doing="reading the index",
                timeout=_LIST_TIMEOUT,
            )
            named = restic_output.packs(index.stdout)
            if named is None:
                raise RepositoryError(f"an index of {self._name} cannot be read")
            found |= named
        return frozenset(found)

    def _beside(self, source: ResticRepository) -> ResticProgram:
        """Return restic, about to work with this repository and with `source`."""
        return replace(self._program, source=source._program)

    def save_tree(
        self,
        path: Path,
        *,
        tags: Mapping[str, str],
        time: datetime,
        exclude: tuple[str, ...] = (),
        parent: str | None = None,
        timeout: timedelta,
        on_progress: OnProgress | None = None,
    ) -> Saved:
        self._require_ours()
        _check_savable(path)
        if parent is not None:
            _check_snapshot_id(parent)
        arguments: tuple[str, ...] = self._backup_arguments(tags, time)
        if self._program.version.has(Feature.NO_SCAN) and on_progress is None:
            arguments += ("--no-scan",)
        arguments += (*(f"--exclude={pattern}" for pattern in exclude), "--", str(path))
        last = self._clock.monotonic() + timeout.total_seconds()

        def save(against: str | None) -> Saved | Unread:
            # Told neither, restic takes the newest snapshot that anybody saved of this path: one
            # that is forged says of unchanged files that they hold what they do not, and one that
            # cannot be read ends the save (both reproduced with 0.14).
            parent_words = ("--force",) if against is None else (f"--parent={against}",)

            def attempt() -> Saved | Unread:
                left = timedelta(seconds=max(1.0, last - self._clock.monotonic()))
                words = (arguments[0], *parent_words, *arguments[1:])
                return self._back_up(words, left, on_progress)

            return self._outlasting_locks(attempt)

        asked = parent
        try:
            saved = save(parent)
        except RepositoryDamaged:
            if parent is None:
                raise
            parent, saved = None, save(None)  # it is gone, or cannot be read
        if isinstance(saved, Unread) and saved.vanished:
            # Somebody removed a file between our listing and our reading it, as people do all day.
            # A second save is quick, since it knows the first, and is complete or is not.
            saved = save(parent or saved.snapshot)
        if isinstance(saved, Unread):
            raise _incomplete(path, saved)
        if parent != asked:
            saved = replace(saved, changed_files=None)  # it took them all for new
        return self._with_full_id(saved, tags)

    def save_stream(
        self,
        name: str,
        read_end: int,
        *,
        tags: Mapping[str, str],
        time: datetime,
        timeout: timedelta,
        on_progress: OnProgress | None = None,
    ) -> StreamSave:
        self._require_ours()
        if not _FLAT_NAME.fullmatch(name):
            raise UsageMistake(f"a stream cannot be saved under the name {name!r}")
        version = self._program.version
        arguments = (*self._backup_arguments(tags, time), "--stdin", f"--stdin-filename={name}")
        command = self._program.command(*arguments, timeout=timeout)

        def start(stdin: int, reader: BackupReader) -> Child:
            return self._launcher.start(
                command, stdin=stdin, on_line=reader.take, on_error_line=reader.take_error
            )

        return ResticStream(
            name,
            read_end,
            start=start,
            error_of=lambda completed: (
                self._program.failure(completed, "saving a stream", version).error
            ),
            complete=lambda saved: self._with_full_id(saved, tags),
            patience=self._patience,
            remove_dead_locks=self.locks_of_the_dead,
            on_progress=on_progress,
        )

    def snapshots(self, tags: Mapping[str, str]) -> tuple[Snapshot, ...]:
        wanted = _tag_words(tags)
        arguments: tuple[str, ...] = ("snapshots", "--json", "--no-lock")
        if wanted:
            arguments += (f"--tag={','.join(wanted)}",)
        completed = self._program.ask(*arguments, doing="listing snapshots", timeout=_LIST_TIMEOUT)
        listed = restic_output.snapshots(completed.stdout)
        if listed is None:
            raise RepositoryError(f"restic's list of snapshots in {self._name} cannot be read")
        return tuple(each for each in listed if each.tags.issuperset(wanted))

    def restore(
        self,
        snapshot: str,
        target: SandboxTarget | NewDirectoryTarget,
        folder: str,
        *,
        paths: tuple[str, ...] = (),
        hidden_below: str = "",
        timeout: timedelta,
        on_progress: OnProgress | None = None,
    ) -> Path:
        _check_snapshot_id(snapshot)
        into = _new_folder(target.path, folder)
        by_file = self._program.version.has(Feature.INCLUDE_FILE)
        if hidden_below and not by_file:
            paths = tuple({_masked(path, hidden_below) for path in paths})
        arguments: tuple[str, ...] = ("restore", "--no-lock", f"--target={into}")
        if self._program.version.has(Feature.RESTORE_JSON):
            arguments += ("--json",)
        last = self._clock.monotonic() + timeout.total_seconds()
        batches = list(_batches(paths)) or [()]
        for batch in batches:
            watch = _RestoreWatch(
                self._name,
                on_progress if len(batches) == 1 else None,
                packs=self._pack_watch(),
            )
            patterns = [_as_pattern(path) for path in batch]
            includes = [f"--include={pattern}" for pattern in patterns]
            if by_file and patterns:
                includes = ["--include-file=/dev/stdin"]
            left = timedelta(seconds=max(1.0, last - self._clock.monotonic()))
            completed = self._launcher.run(
                self._program.command(*arguments, *includes, snapshot, timeout=left),
                stdin=_as_lines(patterns) if by_file and patterns else None,
                on_line=watch.take,
                on_error_line=watch.take_error,
            )
            if not completed.ok:
                raise self._failure(completed, "restoring", reads_back=True)
        # restic exits 0 when a path to include is not in the snapshot.
        named = [path for path in paths if UNREADABLE not in path]
        missing = sum(not os.path.lexists(f"{into}/{path}") for path in named)
        if missing or not any(into.iterdir()):
            raise RepositoryDamaged(
                f"snapshot {snapshot[:8]} in {self._name} does not hold what was to be restored"
                + (f": {missing} of {count_words(len(paths), 'path')} missing" if missing else "")
            )
        return into

    def list_files(
        self,
        snapshot: str,
        take: Callable[[Listed], object],
        *,
        within: str = "",
        deep: bool = True,
        timeout: timedelta,
    ) -> None:
        _check_snapshot_id(snapshot)
        version = self._program.version
        # of no folder that is named, restic lists all there is
        words = (*(("--recursive",) if within and deep else ()), snapshot)

        def read(line: bytes) -> None:
            if listed := restic_output.listed_file(line):
                take(listed)

        completed = self._launcher.run(
            self._program.command(
                *("ls", "--json", "--no-lock", *words, *((within,) if within else ())),
                timeout=timeout,
            ),
            on_line=read,
        )
        if not completed.ok:
            raise self._program.failure(completed, "listing files", version, reads_back=True).error

    def read_file(self, snapshot: str, path: str, *, limit_bytes: int) -> bytes:
        _check_snapshot_id(snapshot)
        if not path.startswith("/"):
            raise RepositoryDamaged(f"snapshot {snapshot[:8]} in {self._name} names no full path")
        try:
            return self._program.ask(
                *("dump", "--no-lock", "--", snapshot, path),
                doing="reading a small file back",
                timeout=_SMALL_FILE_TIMEOUT,
                output_limit=limit_bytes,
                on_error_line=self._pack_watch(),
            ).stdout
        except ProgramPrintedTooMuch:
            raise RepositoryDamaged(
                f"a small file in snapshot {snapshot[:8]} in {self._name} is larger than "
                f"{limit_bytes:,} bytes"
            ) from None

    def check(self, part: int, parts: int, *, timeout: timedelta) -> None:
        if not 1 <= part <= parts <= _MOST_PARTS:
            raise UsageMistake(f"there is no part {part} of {parts} of a repository")
        last = self._clock.monotonic() + timeout.total_seconds()
        # restic makes itself a cache for each check, and a check that is killed leaves it behind
        # (reproduced with 0.14): there it is swept.
        program = replace(self._program, cache=self._program.tmp)

        def look(*options: str) -> None:
            program.ask(
                *("check", f"--read-data-subset={part}/{parts}", *options),
                doing="checking",
                timeout=timedelta(seconds=max(1.0, last - self._clock.monotonic())),
                on_error_line=self._pack_watch(),
            )

        try:
            look("--no-lock")
        except RepositoryDamaged:
            # restic reads the index first and the snapshots after it, so one that was saved in
            # between looks as if its data were missing. Under restic's own lock there is none;
            # where no lock of ours may lie, a second look tells as much, once that save has ended.
            if self._only_read:
                look("--no-lock")
            else:
                self._outlasting_locks(look)

    def forget(self, snapshots: Sequence[str]) -> None:
        for snapshot in snapshots:
            _check_snapshot_id(snapshot)
        for start in range(0, len(snapshots), _FORGOTTEN_AT_ONCE):
            ids = snapshots[start : start + _FORGOTTEN_AT_ONCE]
            self._remove("forget", *ids, doing="forgetting", timeout=_FORGET_TIMEOUT)

    def prune(self, *, timeout: timedelta) -> None:
        self._remove("prune", doing="pruning", timeout=timeout)

    def list_keys(self) -> tuple[ListedKey, ...]:
        """Return the keys that open it.

        Where others save, none is said to be the one that opened it, unless it is the only one:
        restic tells that under a lock of its own.

        Raises:
            RepositoryError: by its class.
        """
        if self._only_read:
            return self._keys_without_a_lock()

        def attempt() -> Completed:
            return self._program.ask(
                "key", "--json", "list", doing="listing its keys", timeout=_KEY_TIMEOUT
            )

        found = restic_output.keys(self._outlasting_locks(attempt).stdout)
        if found is None:
            raise RepositoryError(f"restic's list of the keys of {self._name} cannot be read")
        return found

    def _keys_without_a_lock(self) -> tuple[ListedKey, ...]:
        def ask(*words: str) -> bytes:
            doing = "listing its keys"
            return self._program.ask(*words, "--no-lock", doing=doing, timeout=_KEY_TIMEOUT).stdout

        ids = restic_output.listed_ids(ask("list", "keys"))
        is_only = len(ids) == 1
        return tuple(
            restic_output.key(each, ask("cat", "key", each), is_current=is_only) for each in ids
        )

    def add_key(self, password: Secret, *, user: str, host: str) -> None:
        """Let another password open it too, and label its key.

        Raises:
            UsageMistake: others save there.
            RepositoryError: by its class.
        """
        self._require_ours()

        def attempt() -> None:
            self._program.ask(
                *("key", "add", "--new-password-file=/dev/stdin", f"--user={user}"),
                f"--host={host}",
                doing="adding a key",
                timeout=_KEY_TIMEOUT,
                stdin=password.reveal().encode(),
                reads_back=False,
            )

        self._outlasting_locks(attempt)

    def remove_key(self, key: str) -> None:
        """Take away a key, by its id. Whoever opened the repository with it before may have kept
        the master key, which this does not change.

        Raises:
            RemovalRefused: nothing can be removed there.
            RepositoryError: by its class.
        """
        if not _SNAPSHOT_ID.fullmatch(key):
            raise UsageMistake(f"{key[:64]!r} is no id of a key", hint="`dro key list` shows them")
        self._remove("key", "remove", key, doing="removing a key", timeout=_KEY_TIMEOUT)

    def locks_of_the_dead(self) -> int:
        if self._only_read:
            return 0
        if self._local is not None and is_certainly_empty(self._local / "locks"):
            return 0  # restic would take half a second to say so
        locks = self._locks()
        dead = {each.id for each in locks if self._is_dead(each)}
        if not dead:
            return 0
        if self._local is not None:
            return sum(self._unlink_lock(self._local, identity) for identity in sorted(dead))
        now, host = self._clock.now(), os.uname().nodename
        if any(
            each.id not in dead and restic_would_touch(each, now=now, host=host) for each in locks
        ):
            return 0
        self._program.ask("unlock", doing="removing stale locks", timeout=_LOCKS_TIMEOUT)
        return len(dead.difference(self._lock_ids()))

    def stale_locks(self) -> tuple[StaleLock, ...]:
        """Return the locks that nobody keeps alive any more, and remove none.

        Raises:
            RepositoryError: by its class.
        """
        if self._local is not None and is_certainly_empty(self._local / "locks"):
            return ()
        now = self._clock.now()
        judged = [(each, self._is_dead(each)) for each in self._locks()]
        return tuple(
            StaleLock(
                hostname=each.hostname, since=each.time, exclusive=each.exclusive, is_ours=dead
            )
            for each, dead in judged
            if dead or is_old(each, now)
        )

    # What the above is made of

    def _ask_identity(self) -> str:
        try:
            completed = self._program.ask(
                "cat", "config", "--no-lock", doing="opening it", timeout=_PROBE_TIMEOUT
            )
        except RepositoryAbsent:
            if self._local is not None and not is_certainly_empty(self._local):
                raise RepositoryDamaged(
                    f"at the location of {self._name} there is something, but no restic `config`",
                    hint="a repository whose `config` is lost can be repaired from a copy of that "
                    "file; an unfinished creation (its `data` and `snapshots` are empty) can be "
                    "removed",
                ) from None
            raise
        except WrongPassword:
            if self._local is not None and has_no_keys(self._local):
                raise RepositoryDamaged(
                    f"the repository {self._name} has lost its key files: no password opens it",
                    hint="restore its folder `keys` from a copy",
                ) from None
            raise
        identity = restic_output.repository_id(completed.stdout)
        if identity is None:
            raise RepositoryDamaged(f"the `config` of the repository {self._name} has no id")
        return identity

    def _backup_arguments(self, tags: Mapping[str, str], time: datetime) -> tuple[str, ...]:
        # restic reads --time in the zone TZ, which the launcher sets to UTC.
        moment = time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        words = (f"--tag={word}" for word in _tag_words(tags))
        return ("backup", "--json", f"--host={self._hostname}", f"--time={moment}", *words)

    def _back_up(
        self, arguments: tuple[str, ...], timeout: timedelta, on_progress: OnProgress | None
    ) -> Saved | Unread:
        reader = BackupReader(on_progress)
        completed = self._launcher.run(
            self._program.command(*arguments, timeout=timeout),
            on_line=reader.take,
            on_error_line=reader.take_error,
        )
        unread = reader.unread(completed.returncode)
        if unread is not None and completed.returncode in {0, 3}:
            return unread
        if not completed.ok:
            raise self._failure(completed, "saving")
        if reader.saved is None:
            raise RepositoryError(f"restic did not say what it saved in {self._name}")
        return reader.saved

    def _with_full_id(self, saved: Saved, tags: Mapping[str, str]) -> Saved:
        """Return `saved` with the snapshot's full id: restic 0.14 prints the short one (#2724).

        A local repository is asked by looking at the names of its snapshot files, which are the
        ids (restic's design, "Repository Layout"): listing them takes restic half a second.

        Raises:
            RepositoryDamaged: the snapshot that was just saved is not there.
        """
        if len(saved.snapshot) == _FULL_ID_LENGTH:
            return saved
        if self._local is not None:
            names = [each.name for each in (self._local / "snapshots").iterdir()]
        else:
            names = [each.id for each in self.snapshots(tags)]
        full = [name for name in names if name.startswith(saved.snapshot)]
        if len(full) != 1 or len(full[0]) != _FULL_ID_LENGTH:
            raise RepositoryDamaged(
                f"the repository {self._name} does not hold the snapshot that was just saved"
            )
        return replace(saved, snapshot=full[0])

    def _remove(self, *arguments: str, doing: str, timeout: timedelta) -> None:
        """Run what removes something, which restic does alone, under its own lock.

        Never where it is known to be refused: 0.14 would try for 43 s a file, keeping others out.
        """
        self._require_ours()
        if self._append_only:
            raise self._refused()
        command = self._program.command(*arguments, timeout=timeout)

        def attempt() -> None:
            completed = self._launcher.run(command, on_error_line=self._stop_where_refused)
            if not completed.ok:
                raise self._failure(completed, doing)

        self._outlasting_locks(attempt)

    def _require_ours(self) -> None:
        """Keep what others save as they have it.

        Raises:
            UsageMistake: it is theirs.
        """
        if self._only_read:
            raise UsageMistake(
                f"{self._name} is only read: the plan tests there what another tool saves",
                hint="a plan that saves to it itself, without `existing`, may change it",
            )

    def _stop_where_refused(self, line: bytes) -> None:
        if removal_is_refused(line):
            raise self._refused()

    def _pack_watch(self) -> _PackWatch:
        return _PackWatch(self._name, _TRIES_FOR_A_REMOTE_PACK if self._local is None else 1)

    def _refused(self) -> RemovalRefused:
        declare = "" if self._append_only else "say so in the plan: `append_only: true`; "
        return RemovalRefused(
            f"the server of {self._name} takes what is new, and lets nothing be removed",
            hint=f"{declare}where this machine can reach the same repository another way, "
            "`maintenance: {location: ..}` lets it forget and prune there",
        )

    def _failure(self, completed: Completed, doing: str, *, reads_back: bool = False) -> DroError:
        version = self._program.version
        return self._program.failure(completed, doing, version, reads_back=reads_back).error

    def _patience(self, sleep: Callable[[float], object]) -> Patience:
        return Patience(
            self._clock, self._lock_wait, remove_dead=self.locks_of_the_dead, sleep=sleep
        )

    def _outlasting_locks(self, attempt: Callable[[], _T]) -> _T:
        patience = self._patience(self._clock.sleep)
        while True:
            try:
                return attempt()
            except RepositoryLocked:
                if not patience.outlast():
                    raise

    def _lock_ids(self) -> tuple[str, ...]:
        completed = self._program.ask(
            "list", "locks", "--no-lock", doing="listing locks", timeout=_LOCKS_TIMEOUT
        )
        return restic_output.listed_ids(completed.stdout)

    def _locks(self) -> list[Lock]:
        """Return the locks that can be read: others went meanwhile, or are not ours to judge."""
        locks = []
        for identity in self._lock_ids():
            try:
                completed = self._program.ask(
                    *("cat", "lock", identity, "--no-lock"),
                    doing="reading a lock",
                    timeout=_LOCKS_TIMEOUT,
                )
            except (RepositoryUnreachable, WrongPassword):
                raise
            except RepositoryError:
                continue
            lock = restic_output.lock(identity, completed.stdout)
            locks += [lock] if lock else []
        return locks

    def _is_dead(self, lock: Lock) -> bool:
        return is_dead(
            lock,
            occupant_of(lock.pid),
            now=self._clock.now(),
            host=os.uname().nodename,
            sees_all=sees_all_processes(),
        )

    def _unlink_lock(self, repository: Path, identity: str) -> bool:
        try:
            (repository / "locks" / identity).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise RepositoryUnreachable(
                f"a dead process's lock in {self._name} cannot be removed: {error.strerror}"
            ) from None
        return True


class _PackWatch:
    """Takes what restic complains of, and ends it where data is gone: 0.14 tries each pack again
    for 45 s, which with thousands of them takes hours.
    """

    def __init__(self, repository: str, tries: int) -> None:
        self._repository = repository
        self._tries = tries

    def __call__(self, line: bytes) -> None:
        if pack_is_gone(line):
            self._tries -= 1
            if self._tries == 0:
                raise RepositoryDamaged(
                    f"the repository {self._repository} is damaged: a pack of data is not there, "
                    "or not all of it",
                    hint="try the same point from another repository",
                )


class _RestoreWatch:
    """Takes what `restore` prints, and ends it when going on is of no use."""

    def __init__(
        self, repository: str, on_progress: OnProgress | None, *, packs: _PackWatch
    ) -> None:
        self._repository = repository
        self._on_progress = on_progress
        self._packs = packs

    def take(self, line: bytes) -> None:
        if self._on_progress is not None:
            restic_output.report_restore(line, self._on_progress)

    def take_error(self, line: bytes) -> None:
        if is_out_of_space(line):
            raise SpaceExhausted(
                f"this machine's disk became full while restoring from {self._repository}"
            )
        self._packs(line)


def _of_restic(repository: Repository) -> ResticRepository:
    if not isinstance(repository, ResticRepository):
        raise TypeError("restic copies out of its own repositories only")
    return repository


def _require_open(program: ResticProgram | None) -> None:
    """Raise what keeps a repository from being worked in, its locks included."""
    if program is not None:
        program.ask("cat", "config", doing="opening it", timeout=_PROBE_TIMEOUT)


def _incomplete(path: Path, unread: Unread) -> CaptureFailed:
    causes = ", ".join(unread.causes) or "restic does not say why"
    return CaptureFailed(
        f"{count_words(unread.items, 'item')} under {path} could not be read ({causes}), "
        "so the save is not complete",
        hint="exclude what need not be saved, or let this program read it",
    )


def _check_savable(path: Path) -> None:
    if not path.is_absolute():
        raise UsageMistake(f"{path} is not a full path")
    if path.is_symlink():
        raise CaptureFailed(
            f"{path} is a link: restic would save the link, not what it leads to",
            hint=f"name the real folder: {path.resolve()}",
        )
    if not path.exists():
        raise CaptureFailed(f"{path} does not exist")


def _tag_words(tags: Mapping[str, str]) -> tuple[str, ...]:
    for word in (*tags.keys(), *tags.values()):
        if not _TAG_WORD.fullmatch(word):
            raise UsageMistake(
                f"{word!r} cannot be a tag: no commas, control characters, blanks around"
            )
    return tuple(f"{key}={value}" for key, value in tags.items())


def _check_snapshot_id(snapshot: str) -> None:
    if not _SNAPSHOT_ID.fullmatch(snapshot):
        raise PointNotFound(f"{snapshot[:64]!r} is no id of a snapshot")


def _new_folder(parent: Path, name: str) -> Path:
    if not _FLAT_NAME.fullmatch(name) or name.startswith("."):
        raise TargetRefused(f"{name!r} cannot be a folder's name")
    folder = parent / name
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise TargetRefused(f"{folder} exists already") from None
    except OSError as error:
        raise TargetRefused(f"{folder} cannot be created: {error.strerror}") from None
    return folder


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    ordered = sorted(paths)
    for start in range(0, len(ordered), _RESTORED_AT_ONCE):
        yield ordered[start : start + _RESTORED_AT_ONCE]


def _as_pattern(path: str) -> str:
    if not path.startswith("/"):
        raise UsageMistake("a path inside a snapshot begins with a slash")
    # In a pattern `?` is any one character, and of what is no UTF-8 any one byte (Go's Match).
    return _PATTERN_SIGNS.sub(r"\\\1", path).replace(UNREADABLE, "?")


def _masked(path: str, below: str) -> str:
    """Return a path that tells nothing of a name below a folder but how long it is."""
    above = below.rstrip("/")
    if not path.startswith(f"{above}/"):
        return path
    return above + _NAME_SIGN.sub(UNREADABLE, path.removeprefix(above))


def _as_lines(patterns: Sequence[str]) -> bytes:
    """Return patterns as `--include-file` reads them: it cuts blanks at both ends of a line off and
    puts variables in (`readPatternsFromFiles` in restic's internal/filter/exclude.go). A sign that
    no line can have becomes `?`.
    """
    lines = (_NO_LINE.sub("?", pattern).replace("$", "$$") for pattern in patterns)
    return "\n".join(lines).encode(errors="surrogateescape")
