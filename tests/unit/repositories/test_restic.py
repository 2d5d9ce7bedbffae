"""The driver against a script: exact arguments, and what cannot be provoked with a real restic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from dr_orchestrator.aws import credentials_file
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.share import Listed
from dr_orchestrator.core.target import NewDirectoryTarget, claim_new_directory
from dr_orchestrator.errors import (
    CaptureFailed,
    DroError,
    PointNotFound,
    ProgramFailed,
    ProgramMissing,
    ProgramTimedOut,
    RemovalRefused,
    RepositoryDamaged,
    RepositoryError,
    RepositoryFull,
    RepositoryLocked,
    RepositoryUnreachable,
    SecretUnavailable,
    TargetRefused,
    UsageMistake,
    WrongPassword,
)
from dr_orchestrator.repositories.base import Progress
from dr_orchestrator.repositories.restic import ResticRepository
from tests.support.clock import FakeClock
from tests.support.launcher import Answer, ScriptedLauncher

MINUTE = timedelta(minutes=1)
AS_OF = datetime(2026, 11, 18, 6, 0, 1, 999999, tzinfo=timezone(timedelta(hours=-6)))
ID = "30105576b6de00cbe6f1463d1d258fa0d50eef2231524d3b54448d94b5e248bd"
SUMMARY = json.dumps(
    {
        "message_type": "summary",
        "total_files_processed": 3,
        "total_bytes_processed": 10,
        "data_added": 5,
        "snapshot_id": ID,
    }
).encode()
SHORT = SUMMARY.replace(ID.encode(), ID[:8].encode())
"""What restic 0.14 prints."""
_ITEM = (
    '{"message_type":"error","error":{"Op":"open","Path":"/srv/Roe.pdf","Err":%d},"item":"/x"}\n'
)
_LOCKED = (
    "unable to create lock in backend: repository is already locked exclusively by PID 7 on nas by "
    "backup (UID 1, GID 1)\nlock was created at 2026-11-18 11:00:00 (1h0m0s ago)\n"
)


def version(number: str = "0.14.0") -> Answer:
    return Answer(("restic", "version"), stdout=f"restic {number} compiled with go\n".encode())


def driver(
    launcher: ScriptedLauncher,
    folder: Path,
    *,
    location: str = "rest:https://user:canary-pw@host/x",
    password: str = "canary-key",
    clock: FakeClock | None = None,
    lock_wait: timedelta = timedelta(0),
    aws_credentials: Secret | None = None,
    name: str = "offsite",
    upload: int | None = None,
    download: int | None = None,
) -> ResticRepository:
    return ResticRepository(
        name,
        location,
        Secret(password),
        launcher=launcher,
        clock=clock or FakeClock(),
        cache=folder / "cache",
        tmp=folder / "tmp",
        hostname="riverside",
        extra_env={"AWS_PROFILE": "riverside"},
        aws_credentials=aws_credentials,
        lock_wait=lock_wait,
        upload=upload,
        download=download,
    )


@pytest.fixture
def target(tmp_path: Path) -> NewDirectoryTarget:
    return claim_new_directory(tmp_path / "target")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def test_command_has_its_secrets_in_pipes_and_nothing_of_ours(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("restic", "snapshots"), stdout=b"[]"))

    driver(launcher, tmp_path).snapshots({})

    command = launcher.commands[-1]
    assert command.env == {
        "AWS_PROFILE": "riverside",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
        "RESTIC_PROGRESS_FPS": "1",
        "TMPDIR": str(tmp_path / "tmp"),
    }
    assert {name: secret.reveal() for name, secret in command.secrets.items()} == {
        "RESTIC_REPOSITORY_FILE": "rest:https://user:canary-pw@host/x",
        "RESTIC_PASSWORD_FILE": "canary-key",
    }
    assert "canary" not in repr(command)
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_refusal_names_the_profile_that_restic_was_given(tmp_path: Path) -> None:
    refused = Answer(("cat",), 1, stderr="Fatal: unable to open config file: Stat: Access Denied.")
    launcher = ScriptedLauncher(version(), refused)
    with pytest.raises(RepositoryUnreachable, match=r"offsite .* \(aws_profile: riverside\)"):
        driver(launcher, tmp_path, location="s3:https://h/bucket").identity()


def test_command_has_the_keys_of_aws_in_a_file_that_is_on_no_disk(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("restic", "snapshots"), stdout=b"[]"))
    keys = credentials_file(Secret("id"), Secret("canary-key"), Secret("canary-token"))

    driver(launcher, tmp_path, aws_credentials=keys).snapshots({})

    command = launcher.commands[-1]
    assert command.secret_files["AWS_SHARED_CREDENTIALS_FILE"].reveal() == (
        "[default]\naws_access_key_id = id\naws_secret_access_key = canary-key\n"
        "aws_session_token = canary-token\n"
    )
    assert "canary" not in repr(command)


@pytest.mark.parametrize("password", ["", " ", "\n", "\ufeff", "\ufeff \r\n\x85"])
def test_password_is_refused_when_restic_would_find_it_empty(tmp_path: Path, password: str) -> None:
    with pytest.raises(SecretUnavailable, match="password of the repository offsite is empty"):
        driver(ScriptedLauncher(), tmp_path, password=password)


def test_version_is_asked_once(tmp_path: Path) -> None:
    answers = [Answer(("restic", "snapshots"), stdout=b"[]") for _ in range(2)]
    launcher = ScriptedLauncher(version(), *answers)

    driver(launcher, tmp_path).snapshots({})
    driver(launcher, tmp_path).snapshots({})

    assert launcher.unused == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(("version",), error=ProgramMissing("no restic")), ProgramMissing),
        (Answer(("version",), stdout=b"restic 0.12.0\n"), ProgramFailed),
        (Answer(("version",), returncode=1), ProgramFailed),
    ],
)
def test_nothing_runs_when_restic_is_missing_or_too_old(
    tmp_path: Path, answer: Answer, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        driver(ScriptedLauncher(answer), tmp_path).identity()


def test_save_tree_passes_exact_arguments(tmp_path: Path, source: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("backup",), stdout=SUMMARY))

    saved = driver(launcher, tmp_path).save_tree(
        source,
        tags={"dro": "asset", "label": "before the update"},
        time=AS_OF,
        exclude=("*.tmp", "-x"),
        timeout=MINUTE,
    )

    assert launcher.commands[-1].argv == (
        "restic",
        "backup",
        "--force",
        "--json",
        "--host=riverside",
        "--time=2026-11-18 12:00:01",
        "--tag=dro=asset",
        "--tag=label=before the update",
        "--exclude=*.tmp",
        "--exclude=-x",
        "--",
        str(source),
    )
    assert (saved.snapshot, saved.files, saved.bytes, saved.added_bytes) == (ID, 3, 10, 5)


def test_save_tree_goes_by_the_parent_it_is_given_and_by_none_where_that_is_gone(
    tmp_path: Path, source: Path
) -> None:
    gone = Answer(("backup",), returncode=1, stderr="Fatal: invalid id: no matching ID found")
    launcher = ScriptedLauncher(version(), gone, Answer(("backup",), stdout=SUMMARY))

    saved = driver(launcher, tmp_path).save_tree(
        source, tags={}, time=AS_OF, parent="b" * 64, timeout=MINUTE
    )

    assert [command.argv[2] for command in launcher.commands[-2:]] == [
        f"--parent={'b' * 64}",
        "--force",
    ]
    assert saved.changed_files is None


def test_save_tree_finds_the_full_id_of_a_local_snapshot_by_its_file(
    tmp_path: Path, source: Path
) -> None:
    snapshots = tmp_path / "repository" / "snapshots"
    snapshots.mkdir(parents=True)
    for name in (ID, "b" * 64):
        (snapshots / name).touch()
    launcher = ScriptedLauncher(version(), Answer(("backup",), stdout=SHORT))
    repository = driver(launcher, tmp_path, location=str(tmp_path / "repository"))

    saved = repository.save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)

    assert saved.snapshot == ID


@pytest.mark.parametrize("listed", [(ID,), (ID, "b" * 64), ()], ids=["it", "both", "none"])
def test_save_tree_finds_the_full_id_of_a_remote_snapshot_by_listing(
    tmp_path: Path, source: Path, listed: tuple[str, ...]
) -> None:
    rows = [
        {"id": each, "time": "2026-11-18T12:00:01Z", "hostname": "riverside", "paths": ["/x"]}
        for each in listed
    ]
    launcher = ScriptedLauncher(
        version(),
        Answer(("backup",), stdout=SHORT),
        Answer(("snapshots",), stdout=json.dumps(rows).encode()),
    )
    repository = driver(launcher, tmp_path)

    if ID in listed:
        saved = repository.save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)
        assert saved.snapshot == ID
    else:
        with pytest.raises(RepositoryDamaged, match="does not hold the snapshot"):
            repository.save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)


@pytest.mark.parametrize(
    ("number", "watched", "expected"),
    [("0.14.0", False, False), ("0.15.0", False, True), ("0.15.0", True, False)],
)
def test_save_tree_scans_only_when_somebody_watches_or_it_cannot_be_told_not_to(
    tmp_path: Path, source: Path, number: str, watched: bool, expected: bool
) -> None:
    launcher = ScriptedLauncher(version(number), Answer(("backup",), stdout=SUMMARY))
    progress: list[Progress] = []

    driver(launcher, tmp_path).save_tree(
        source,
        tags={},
        time=AS_OF,
        timeout=MINUTE,
        on_progress=progress.append if watched else None,
    )

    assert expected == ("--no-scan" in launcher.commands[-1].argv)


def test_save_tree_fails_when_an_item_could_not_be_read(tmp_path: Path, source: Path) -> None:
    stderr = _ITEM % 13 + _ITEM % 5 + "Warning: at least one source file could not be read\n"
    launcher = ScriptedLauncher(
        version(), Answer(("backup",), returncode=3, stdout=SUMMARY, stderr=stderr)
    )

    with pytest.raises(CaptureFailed) as caught:
        driver(launcher, tmp_path).save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)

    assert caught.value.message == (
        f"2 items under {source} could not be read (permission denied, input/output error), "
        "so the save is not complete"
    )


def test_save_tree_fails_when_a_path_was_skipped_with_exit_code_0(
    tmp_path: Path, source: Path
) -> None:
    launcher = ScriptedLauncher(
        version(), Answer(("backup",), stdout=SUMMARY, stderr="/x does not exist, skipping\n")
    )

    with pytest.raises(CaptureFailed, match=r"1 item under .* could not be read"):
        driver(launcher, tmp_path).save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)


def test_save_tree_saves_again_when_a_file_was_removed_meanwhile(
    tmp_path: Path, source: Path
) -> None:
    launcher = ScriptedLauncher(
        version(),
        Answer(("backup",), returncode=3, stdout=SUMMARY, stderr=_ITEM % 2),
        Answer(("backup",), stdout=SUMMARY.replace(ID.encode(), b"a" * 64)),
    )

    saved = driver(launcher, tmp_path).save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)

    assert saved.snapshot == "a" * 64


def test_save_tree_fails_when_files_vanish_a_second_time(tmp_path: Path, source: Path) -> None:
    gone = Answer(("backup",), returncode=3, stdout=SUMMARY, stderr=_ITEM % 2)
    launcher = ScriptedLauncher(version(), gone, gone)

    with pytest.raises(CaptureFailed, match="no such file or directory"):
        driver(launcher, tmp_path).save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)
    assert launcher.unused == []


@pytest.mark.parametrize("stdout", [b"", b"plain text\n", b'{"message_type":"summary"}'])
def test_save_tree_fails_when_restic_does_not_say_what_it_saved(
    tmp_path: Path, source: Path, stdout: bytes
) -> None:
    launcher = ScriptedLauncher(version(), Answer(("backup",), stdout=stdout))

    with pytest.raises(RepositoryError, match="did not say what it saved"):
        driver(launcher, tmp_path).save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)


def test_save_tree_refuses_what_restic_would_not_save_as_meant(
    tmp_path: Path, source: Path
) -> None:
    (tmp_path / "link").symlink_to(source)
    repository = driver(ScriptedLauncher(), tmp_path)

    for path, expected, message in (
        (tmp_path / "link", CaptureFailed, "is a link"),
        (tmp_path / "missing", CaptureFailed, "does not exist"),
        (Path("source"), UsageMistake, "not a full path"),
    ):
        with pytest.raises(expected, match=message):
            repository.save_tree(path, tags={}, time=AS_OF, timeout=MINUTE)


@pytest.mark.parametrize("word", ["a,b", "a\nb", " a", "a ", "", "\x00"])
def test_tag_is_refused_when_restic_would_change_it(
    tmp_path: Path, source: Path, word: str
) -> None:
    repository = driver(ScriptedLauncher(), tmp_path)

    for tags in ({"key": word}, {word: "value"}):
        with pytest.raises(UsageMistake, match="cannot be a tag"):
            repository.save_tree(source, tags=tags, time=AS_OF, timeout=MINUTE)
        with pytest.raises(UsageMistake, match="cannot be a tag"):
            repository.snapshots(tags)


def test_save_waits_for_a_lock_and_then_saves(tmp_path: Path, source: Path) -> None:
    locked = Answer(("backup",), returncode=1, stderr=_LOCKED)
    launcher = ScriptedLauncher(
        version(),
        locked,
        Answer(("list", "locks")),
        locked,
        locked,
        Answer(("backup",), stdout=SUMMARY),
    )
    clock = FakeClock()
    begun = clock.monotonic()

    driver(launcher, tmp_path, clock=clock, lock_wait=10 * MINUTE).save_tree(
        source, tags={}, time=AS_OF, timeout=MINUTE
    )

    assert clock.monotonic() - begun == 1 + 2 + 4


def test_save_tells_who_holds_the_lock_when_its_patience_ends(tmp_path: Path, source: Path) -> None:
    locked = Answer(("backup",), returncode=1, stderr=_LOCKED)
    launcher = ScriptedLauncher(version(), locked, Answer(("list", "locks")), locked)

    with pytest.raises(RepositoryLocked) as caught:
        driver(launcher, tmp_path, lock_wait=timedelta(seconds=1)).save_tree(
            source, tags={}, time=AS_OF, timeout=MINUTE
        )

    assert caught.value.exit_code == 75
    assert caught.value.message == (
        "the repository offsite is locked by process 7 on nas since 2026-11-18 11:00 UTC, "
        "exclusively"
    )


def test_snapshots_asks_for_all_tags_and_looks_itself(tmp_path: Path) -> None:
    listed = [
        {"id": ID, "time": "2026-01-02T03:04:05Z", "tags": ["a=1", "b=2"]},
        {"id": ID[::-1], "time": "2026-01-02T03:04:05Z", "tags": ["a=1"]},
    ]
    launcher = ScriptedLauncher(
        version(), Answer(("snapshots",), stdout=json.dumps(listed).encode())
    )

    found = driver(launcher, tmp_path).snapshots({"a": "1", "b": "2"})

    assert [each.id for each in found] == [ID]
    assert found[0].time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert launcher.commands[-1].argv == (
        "restic",
        "snapshots",
        "--json",
        "--no-lock",
        "--tag=a=1,b=2",
    )


def test_snapshots_fails_when_the_list_cannot_be_read(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("snapshots",), stdout=b"unlocked"))

    with pytest.raises(RepositoryError, match="cannot be read"):
        driver(launcher, tmp_path).snapshots({})


def test_identity_is_unreachable_when_there_is_no_answer_in_time(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("cat",), error=ProgramTimedOut("too slow")))

    with pytest.raises(RepositoryUnreachable, match="did not answer within 30 s"):
        driver(launcher, tmp_path).identity()


def test_identity_is_asked_once_it_is_known(tmp_path: Path) -> None:
    config = Answer(("cat", "config", "--no-lock"), stdout=f'{{"id":"{ID}"}}'.encode())
    repository = driver(ScriptedLauncher(version(), config), tmp_path)

    assert repository.identity() == ID
    assert repository.identity() == ID


def test_identity_is_damage_when_the_config_has_none(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("cat",), stdout=b"{}"))

    with pytest.raises(RepositoryDamaged, match="has no id"):
        driver(launcher, tmp_path).identity()


def test_restore_passes_exact_arguments_and_progress(
    tmp_path: Path, target: NewDirectoryTarget
) -> None:
    status = b'{"message_type":"status","bytes_restored":5,"total_bytes":10}\n'
    launcher = ScriptedLauncher(version("0.16.0"), Answer(("restore",), stdout=status))
    progress: list[Progress] = []

    with pytest.raises(RepositoryDamaged, match="1 of 1 path missing"):  # the script wrote nothing
        driver(launcher, tmp_path).restore(
            ID,
            target,
            "emr",
            paths=("/srv/[a] *?\\.pdf",),
            timeout=MINUTE,
            on_progress=progress.append,
        )

    assert launcher.commands[-1].argv == (
        "restic",
        "restore",
        "--no-lock",
        f"--target={target.path}/emr",
        "--json",
        "--include=/srv/\\[a] \\*\\?\\\\.pdf",
        ID,
    )
    assert progress == [Progress(5, 10)]
    assert (target.path / "emr").stat().st_mode & 0o777 == 0o700


def test_restore_takes_many_paths_in_batches_and_unreadable_signs_as_any(
    tmp_path: Path, target: NewDirectoryTarget
) -> None:
    launcher = ScriptedLauncher(version(), *(Answer(("restore",)) for _ in range(3)))
    paths = tuple(f"/srv/{number:04}\ufffd?" for number in range(1000))

    with pytest.raises(RepositoryDamaged, match=r"does not hold what was to be restored$"):
        driver(launcher, tmp_path).restore(ID, target, "x", paths=paths[::-1], timeout=MINUTE)

    asked = [
        [word for word in command.argv if word.startswith("--include=")]
        for command in launcher.commands[1:]
    ]
    assert [len(each) for each in asked] == [400, 400, 200]
    assert asked[0][0] == "--include=/srv/0000?\\?"
    assert len({command.argv[3] for command in launcher.commands[1:]}) == 1


def test_restore_tells_no_name_in_its_arguments_when_names_are_hidden(
    tmp_path: Path, target: NewDirectoryTarget
) -> None:
    launcher = ScriptedLauncher(version(), Answer(("restore",)))
    paths = ("/srv/docs/Anna/1.pdf", "/srv/docs/Emil/2.pdf", "/srv/docs/x\ufffd")

    with pytest.raises(RepositoryDamaged, match=r"does not hold what was to be restored$"):
        driver(launcher, tmp_path).restore(
            ID, target, "x", paths=paths, hidden_below="/srv/docs", timeout=MINUTE
        )

    asked = [word for word in launcher.commands[-1].argv if word.startswith("--include")]
    assert asked == ["--include=/srv/docs/??", "--include=/srv/docs/????/?????"]


def test_restore_reads_its_paths_from_a_file_where_restic_can(
    tmp_path: Path, target: NewDirectoryTarget
) -> None:
    launcher = ScriptedLauncher(version("0.17.0"), Answer(("restore",)))
    paths = ("/srv/docs/Anna $1 ", "/srv/docs/new\nline", "/srv/docs/[x]", "/srv/docs/b\ufffd")

    with pytest.raises(RepositoryDamaged, match=r"3 of 4 paths missing$"):
        driver(launcher, tmp_path).restore(
            ID, target, "x", paths=paths, hidden_below="/srv/docs", timeout=MINUTE
        )

    argv = launcher.commands[-1].argv
    assert [word for word in argv if "include" in word] == ["--include-file=/dev/stdin"]
    assert not any("docs" in word for word in argv)
    # as it reads them: blanks at the ends are cut off, `$` begins a variable
    assert launcher.stdins[-1] == (
        b"/srv/docs/Anna $$1?\n/srv/docs/\\[x]\n/srv/docs/b?\n/srv/docs/new?line"
    )


def test_list_files_hands_over_files_and_links_only(tmp_path: Path) -> None:
    nodes = (
        {"struct_type": "snapshot", "paths": ["/srv"]},
        {"path": "/srv", "type": "dir", "struct_type": "node"},
        {"path": "/srv/a\nb", "type": "file", "size": 7, "mtime": "2026-11-20T14:02:03.5-06:00"},
        {"path": "/srv/empty", "type": "file", "struct_type": "node"},
        {"path": "/srv/link", "type": "symlink", "size": 9, "struct_type": "node"},
        {"path": "/srv/pipe", "type": "fifo", "struct_type": "node"},
    )
    printed = b"".join(json.dumps(node).encode() + b"\n" for node in nodes)
    launcher = ScriptedLauncher(version(), Answer(("ls",), stdout=printed))
    found: list[Listed] = []

    driver(launcher, tmp_path).list_files(ID, found.append, timeout=MINUTE)

    changed_at = datetime(2026, 11, 20, 20, 2, 3, 500_000, tzinfo=UTC)
    assert found == [
        Listed("/srv/a\nb", is_link=False, size=7, changed_at=changed_at),
        Listed("/srv/empty", is_link=False, size=0),
        Listed("/srv/link", is_link=True, size=0),
    ]
    assert launcher.commands[-1].argv == ("restic", "ls", "--json", "--no-lock", ID)


def test_list_files_raises_when_restic_could_not_read_the_whole_list(tmp_path: Path) -> None:
    node = b'{"path":"/srv/Roe.pdf","type":"file","struct_type":"node"}\n'
    said = "id 1234 not found in repository /srv/Roe.pdf"
    launcher = ScriptedLauncher(version(), Answer(("ls",), stdout=node, stderr=said, returncode=1))

    with pytest.raises(RepositoryError) as caught:
        driver(launcher, tmp_path).list_files(ID, lambda _listed: None, timeout=MINUTE)

    assert "Roe" not in str(caught.value)


@pytest.mark.parametrize("snapshot", ["latest", "--help", "3010557", ID + "0", ID.upper(), ""])
def test_restore_refuses_what_is_no_snapshot_id(
    tmp_path: Path, target: NewDirectoryTarget, snapshot: str
) -> None:
    repository = driver(ScriptedLauncher(), tmp_path)

    with pytest.raises(PointNotFound):
        repository.restore(snapshot, target, "x", timeout=MINUTE)
    with pytest.raises(PointNotFound):
        repository.read_file(snapshot, "/x", limit_bytes=1)


@pytest.mark.parametrize("folder", ["", ".", "..", "a/b", "/a", "-x", "a\nb", ".hidden"])
def test_restore_refuses_a_folder_that_could_be_elsewhere(
    tmp_path: Path, target: NewDirectoryTarget, folder: str
) -> None:
    with pytest.raises(TargetRefused):
        driver(ScriptedLauncher(), tmp_path).restore(ID, target, folder, timeout=MINUTE)


def test_restore_refuses_a_folder_that_exists(tmp_path: Path, target: NewDirectoryTarget) -> None:
    (target.path / "x").mkdir()

    with pytest.raises(TargetRefused, match="exists already"):
        driver(ScriptedLauncher(), tmp_path).restore(ID, target, "x", timeout=MINUTE)


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a\nb"])
def test_save_stream_refuses_a_name_that_is_not_flat(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageMistake):
        driver(ScriptedLauncher(), tmp_path).save_stream(
            name, 0, tags={}, time=AS_OF, timeout=MINUTE
        )


def test_remote_locks_are_left_alone_when_restic_would_touch_a_living_one(tmp_path: Path) -> None:
    dead = {"time": "2020-01-01T00:00:00Z", "hostname": _host(), "pid": 2**22 - 1}
    foreign = {"time": "2020-01-01T00:00:00Z", "hostname": "nas", "pid": 7}
    launcher = ScriptedLauncher(
        version(),
        Answer(("list", "locks"), stdout=f"{ID}\n{ID[::-1]}\n".encode()),
        Answer(("cat", "lock", ID), stdout=json.dumps(dead).encode()),
        Answer(("cat", "lock", ID[::-1]), stdout=json.dumps(foreign).encode()),
    )

    assert driver(launcher, tmp_path).locks_of_the_dead() == 0
    assert launcher.unused == []


def test_remote_locks_are_removed_when_restic_would_touch_only_dead_ones(tmp_path: Path) -> None:
    dead = {"time": "2020-01-01T00:00:00Z", "hostname": _host(), "pid": 2**22 - 1}
    now = FakeClock().now().isoformat()
    foreign = {"time": now, "hostname": "nas", "pid": 7}
    launcher = ScriptedLauncher(
        version(),
        Answer(("list", "locks"), stdout=f"{ID}\n{ID[::-1]}\n".encode()),
        Answer(("cat", "lock", ID), stdout=json.dumps(dead).encode()),
        Answer(("cat", "lock", ID[::-1]), stdout=json.dumps(foreign).encode()),
        Answer(("restic", "unlock")),
        Answer(("list", "locks"), stdout=f"{ID[::-1]}\n".encode()),
    )

    assert driver(launcher, tmp_path).locks_of_the_dead() == 1


def _host() -> str:
    return Path("/proc/sys/kernel/hostname").read_text().strip()


def test_check_looks_once_more_alone_before_it_calls_something_damaged(tmp_path: Path) -> None:
    """A snapshot that is saved between restic's look at the index and at the snapshots."""
    damaged = "tree 1 not found in index\nFatal: repository contains errors\n"
    launcher = ScriptedLauncher(
        version(),
        Answer(("check", "--read-data-subset=3/30", "--no-lock"), returncode=1, stderr=damaged),
        Answer(("check", "--read-data-subset=3/30")),
    )
    driver(launcher, tmp_path).check(3, 30, timeout=MINUTE)
    assert launcher.unused == []
    assert "--no-lock" not in launcher.commands[-1].argv
    # a killed check leaves its cache behind: where our own temporary files are swept
    assert launcher.commands[-1].env["RESTIC_CACHE_DIR"] == str(tmp_path / "tmp")


def test_check_is_damaged_when_it_still_is_alone(tmp_path: Path) -> None:
    fatal = Answer(("check",), returncode=1, stderr="Fatal: repository contains errors\n")
    launcher = ScriptedLauncher(version(), fatal, fatal)
    with pytest.raises(RepositoryDamaged, match="is damaged"):
        driver(launcher, tmp_path).check(1, 1, timeout=MINUTE)
    assert launcher.unused == []


@pytest.mark.parametrize(("location", "tries"), [("/srv/r", 1), ("s3:https://h/bucket", 3)])
@pytest.mark.parametrize("doing", ["check", "copy", "dump"])
def test_restic_is_ended_when_packs_are_gone(
    tmp_path: Path, location: str, tries: int, doing: str
) -> None:
    """Each of thousands would be tried again for 45 s."""
    retry = (
        "Load(<data/{:010x}>, 1800582, 0) returned error, retrying after 552.330144ms: The "
        "specified key does not exist.\n"
    )

    def work(lines: int) -> None:
        said = "".join(retry.format(number) for number in range(lines))
        answers = [Answer((doing,), stderr=said) for _ in range(2)]  # a check looks twice
        launcher = ScriptedLauncher(version(), *answers)
        repository = driver(launcher, tmp_path, location=location)
        if doing == "check":
            repository.check(1, 1, timeout=MINUTE)
        elif doing == "copy":
            driver(launcher, tmp_path, location="/srv/other").copy_from(
                repository, [ID], timeout=MINUTE
            )
        else:
            repository.read_file(ID, "/manifest", limit_bytes=9)

    work(tries - 1)
    with pytest.raises(RepositoryDamaged):
        work(tries)


def test_check_is_no_damage_when_the_line_is_down(tmp_path: Path) -> None:
    text = "Load(<data/1>): dial tcp: connection refused\nFatal: repository contains errors\n"
    launcher = ScriptedLauncher(version(), Answer(("check",), returncode=1, stderr=text))
    with pytest.raises(RepositoryUnreachable):
        driver(launcher, tmp_path).check(1, 1, timeout=MINUTE)


@pytest.mark.parametrize(("part", "parts"), [(0, 3), (4, 3), (1, 257)])
def test_check_refuses_a_part_that_there_is_not(tmp_path: Path, part: int, parts: int) -> None:
    with pytest.raises(UsageMistake):
        driver(ScriptedLauncher(), tmp_path).check(part, parts, timeout=MINUTE)


def test_forget_names_every_id_and_no_policy(tmp_path: Path) -> None:
    ids = [f"{number:064x}" for number in range(501)]
    launcher = ScriptedLauncher(Answer(("forget", ids[0], ids[499])), Answer(("forget", ids[500])))
    driver(launcher, tmp_path).forget(ids)
    assert launcher.commands[1].argv == ("restic", "forget", ids[500])
    driver(ScriptedLauncher(), tmp_path).forget([])


def test_forget_takes_nothing_but_ids(tmp_path: Path) -> None:
    with pytest.raises(PointNotFound):
        driver(ScriptedLauncher(), tmp_path).forget(["--keep-last=0"])


@pytest.mark.parametrize(
    "why",
    [
        "blob not removed, server response: 403 Forbidden (403)",
        "client.RemoveObject: Access Denied.",
    ],
)
def test_removing_stops_at_once_where_nothing_can_be_removed(tmp_path: Path, why: str) -> None:
    line = f"Remove(<snapshot/074988e0d2>) returned error, retrying after 552.330144ms: {why}\n"
    refusal = Answer(("restic",), returncode=1, stderr=line)
    with pytest.raises(RemovalRefused):
        driver(ScriptedLauncher(refusal), tmp_path).forget([ID])
    with pytest.raises(RemovalRefused):
        driver(ScriptedLauncher(refusal), tmp_path).prune(timeout=MINUTE)


def test_command_uses_no_more_of_a_line_than_it_may(tmp_path: Path, source: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("backup",), stdout=SUMMARY))
    repository = driver(launcher, tmp_path, upload=2 * 1024**2, download=1)

    repository.save_tree(source, tags={}, time=AS_OF, timeout=MINUTE)

    options = launcher.commands[-1].argv[1:4]
    assert options == ("backup", "--limit-upload=2048", "--limit-download=1")


def test_copy_names_both_repositories_in_pipes_and_spares_both_lines(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(version(), Answer(("copy",)))
    onsite = driver(
        launcher, tmp_path, name="onsite", location="/srv/r", password="k", download=5 * 1024
    )
    offsite = driver(launcher, tmp_path, upload=7 * 1024, download=9 * 1024)

    offsite.copy_from(onsite, [ID], timeout=MINUTE)

    command = launcher.commands[-1]
    assert command.argv == ("restic", "copy", "--limit-upload=7", "--limit-download=5", ID)
    secrets = {name: secret.reveal() for name, secret in command.secrets.items()}
    assert secrets["RESTIC_FROM_REPOSITORY_FILE"] == "/srv/r"
    assert secrets["RESTIC_FROM_PASSWORD_FILE"] == "k"


def test_copy_of_nothing_runs_nothing(tmp_path: Path) -> None:
    launcher = ScriptedLauncher()

    driver(launcher, tmp_path).copy_from(driver(launcher, tmp_path), [], timeout=MINUTE)

    assert launcher.commands == []


@pytest.mark.parametrize(
    ("said", "source_says", "error", "named"),
    [
        ("ciphertext verification failed", None, RepositoryDamaged, "onsite"),
        ("wrong password or no key found", "", WrongPassword, "offsite"),
        ("connection refused", "connection refused", RepositoryUnreachable, "onsite"),
        ("no space left on device", "", RepositoryFull, "offsite"),
    ],
)
def test_copy_says_which_of_the_two_failed(
    tmp_path: Path, said: str, source_says: str | None, error: type[DroError], named: str
) -> None:
    answers = [] if source_says is None else [_opened(source_says)]
    launcher = ScriptedLauncher(version(), Answer(("copy",), 1, stderr=said), *answers)
    onsite = driver(launcher, tmp_path, name="onsite")

    with pytest.raises(error, match=named):
        driver(launcher, tmp_path).copy_from(onsite, [ID], timeout=MINUTE)

    assert launcher.unused == []


def _opened(stderr: str) -> Answer:
    return Answer(("cat", "config"), 1 if stderr else 0, stderr=stderr)
