"""restic's failures, by the text they were recorded with."""

from __future__ import annotations

import pytest

from dr_orchestrator.errors import (
    DroError,
    RepositoryAbsent,
    RepositoryDamaged,
    RepositoryError,
    RepositoryFull,
    RepositoryLocked,
    RepositoryUnreachable,
    SpaceExhausted,
    WrongPassword,
)
from dr_orchestrator.repositories.restic_failure import Failure, is_out_of_space, pack_is_gone
from dr_orchestrator.repositories.restic_version import ResticVersion

_OLD, _NEW = ResticVersion(0, 14, 0), ResticVersion(0, 18, 1)
_IS_THERE = "\nIs there a repository at the following location?\n/srv/x\n"
_OPEN = "Fatal: unable to open config file: "


def error(
    stderr: str, code: int = 1, version: ResticVersion = _OLD, *, reads_back: bool = False
) -> DroError:
    return Failure("offsite", "saving", code, stderr, version, reads_back).error


@pytest.mark.parametrize(
    "inner",
    [
        "stat /srv/x/config: no such file or directory",
        "<config/> does not exist",
        "Stat: The specified key does not exist.",
        "Stat: The specified bucket does not exist",
        "Lstat: file does not exist",
    ],
)
def test_repository_is_absent_when_the_inner_text_proves_it(inner: str) -> None:
    assert type(error(_OPEN + inner + _IS_THERE)) is RepositoryAbsent


def test_repository_is_absent_when_a_later_restic_says_so_in_json() -> None:
    line = (
        '{"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist: '
        'unable to open config file: \\u003cconfig/\\u003e does not exist"}'
    )

    assert type(error(line, 10, _NEW)) is RepositoryAbsent
    assert type(error("Fatal: anything", 10, _NEW)) is RepositoryAbsent
    assert type(error("Fatal: anything", 10, _OLD)) is RepositoryError


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (
            (
                'client.Head: Head "http://127.0.0.1:1/x/config": dial tcp 127.0.0.1:1: connect: '
                "connection refused"
            ),
            "connection refused",
        ),
        (
            'client.Head: Head "http://h/x": dial tcp: lookup h on 10.0.0.1:53: no such host',
            "its name is not known",
        ),
        ('Stat: Get "http://127.0.0.1:1/bucket/?location=": dial tcp 127.0.0.1:1', "no connection"),
        ("unexpected HTTP response (401): 401 Unauthorized", "credentials"),
        ("unexpected HTTP response (403): 403 Forbidden", "refuses"),
        ("unexpected HTTP response (503): 503 Service Unavailable", "error of its own"),
        ("Stat: Access Denied.", "refuses"),
        ("Stat: The Access Key Id you provided does not exist in our records.", "access key"),
        ('Head "https://h/": context deadline exceeded (Client.Timeout)', "in time"),
        ('Head "https://h/": x509: certificate signed by unknown authority', "certificate"),
        ("stat /mnt/nas/config: stale file handle", "stale file handle"),
        ("stat /mnt/nas/config: host is down", "host is down"),
        ("something nobody has seen", "could not be opened"),
    ],
)
@pytest.mark.parametrize("version", [_OLD, _NEW])
def test_repository_is_unreachable_when_nothing_proves_that_it_is_absent(
    inner: str, words: str, version: ResticVersion
) -> None:
    caught = error(_OPEN + inner + _IS_THERE, version=version)

    assert type(caught) is RepositoryUnreachable
    assert words in caught.message


@pytest.mark.parametrize(
    "stderr",
    [
        "Fatal: unable to open repository at sftp:u@h:/x: unable to start the sftp session: EOF",
        (
            'Fatal: unable to open repository at rclone:x: error talking HTTP to rclone: Get "http://'
            'localhost/file-5": unexpected EOF'
        ),
        "Fatal: unable to open repository at /x: ReadDir: open /x/keys: permission denied",
        "Fatal: unable to open repository at gs:x:/: google: could not find default credentials.",
    ],
)
def test_repository_is_unreachable_when_it_could_not_be_looked_at(stderr: str) -> None:
    assert type(error(stderr)) is RepositoryUnreachable


@pytest.mark.parametrize("inner", ["Stat: Access Denied.", "Stat: <!doctype html>"])
def test_refusal_of_s3_names_the_profile_and_where_to_look(inner: str) -> None:
    """Recorded with 0.14 and a profile that is not there: a refusal, and a server's own error."""

    def refused(*, in_s3: bool) -> DroError:
        said = _OPEN + inner + _IS_THERE
        return Failure(
            "offsite", "opening it", 1, said, _OLD, in_s3=in_s3, profile="riverside"
        ).error

    caught = refused(in_s3=True)
    assert type(caught) is RepositoryUnreachable
    assert "offsite" in caught.message
    assert caught.message.endswith(" (aws_profile: riverside)")
    assert "~/.aws/credentials" in caught.hint
    assert "riverside" not in str(refused(in_s3=False))
    assert refused(in_s3=False).hint == ""


def test_bucket_that_is_not_there_is_told_in_the_hint() -> None:
    caught = error(_OPEN + "Stat: The specified bucket does not exist" + _IS_THERE)

    assert type(caught) is RepositoryAbsent
    assert "bucket" in caught.hint


def test_unreachable_wins_over_exit_code_10() -> None:
    stderr = _OPEN + "dial tcp 10.0.0.1:443: connect: connection refused"

    assert type(error(stderr, 10, _NEW)) is RepositoryUnreachable


def test_password_is_wrong_when_restic_says_so() -> None:
    assert type(error("Fatal: wrong password or no key found")) is WrongPassword
    assert type(error("anything", 12, _NEW)) is WrongPassword
    assert type(error("anything", 12, ResticVersion(0, 17, 0))) is RepositoryError


@pytest.mark.parametrize(("exclusively", "said"), [("", ""), (" exclusively", ", exclusively")])
def test_repository_is_locked_by_somebody_with_a_name(exclusively: str, said: str) -> None:
    caught = error(
        f"unable to create lock in backend: repository is already locked{exclusively} by PID 23345 "
        "on vm-1.lan by root (UID 0, GID 0)\n"
        "lock was created at 2026-11-21 19:44:00 (2.136223294s ago)\nstorage ID 976efd93\n"
    )

    assert type(caught) is RepositoryLocked
    assert caught.message == (
        "the repository offsite is locked by process 23345 on vm-1.lan since 2026-11-21 19:44 UTC"
        + said
    )


def test_disk_is_full_there_or_here() -> None:
    full = "Fatal: unable to save snapshot: write {}: no space left on device"

    assert type(error(full.format("/srv/x/data/0a/0a1-tmp-1"))) is RepositoryFull
    assert type(error(full.format("/var/tmp/restic-temp-pack-17"))) is SpaceExhausted
    assert type(error(full.format("/sandbox/x"), reads_back=True)) is SpaceExhausted


@pytest.mark.parametrize(
    "stderr",
    [
        (
            "ignoring error for /srv/Roe_Jane.pdf: ciphertext verification failed\n"
            "Fatal: There were 1 errors\n"
        ),
        (
            "ignoring error for /Roe_Jane.pdf: StreamPack: open r/data/52/527b: no such file or "
            "directory\nFatal: There were 2 errors\n"
        ),
        "cannot dump file: decrypting blob 4ea9 failed: ciphertext verification failed",
        'cannot dump file: path "/srv/Roe_Jane.pdf" not found in snapshot',
        'invalid id "12345678": no matching ID found for prefix "12345678"',
        "config file has zero size, invalid repository?",
        "Fatal: There were 3 errors\n",
    ],
)
def test_repository_is_damaged_when_data_cannot_be_read_back(stderr: str) -> None:
    caught = error(stderr, reads_back=True)

    assert type(caught) is RepositoryDamaged
    assert "Roe" not in str(caught)


def test_target_is_to_blame_when_it_does_not_take_the_data() -> None:
    stderr = "ignoring error for /x: lchown: operation not permitted\nFatal: There were 1 errors"

    caught = error(stderr, reads_back=True)

    assert type(caught) is RepositoryError
    assert "operation not permitted" in caught.message


def test_anything_else_is_told_without_restics_words() -> None:
    caught = error("panic: Roe, Jane", 2)

    assert type(caught) is RepositoryError
    assert caught.message == "restic failed while saving (repository offsite, exit code 2)"
    assert "SIGKILL" in error("", -9).message


def test_pack_is_gone_when_restic_begins_to_try_again() -> None:
    retry = (
        b"Load(<data/527bcbe5f6>, 20149237, 0) returned error, retrying after 552.330144ms: open "
        b"r4/data/52/527bcb: no such file or directory\n"
    )

    assert pack_is_gone(retry)
    assert pack_is_gone(
        retry.replace(b"no such file or directory", b"The requested range is not satisfiable")
    )
    assert not pack_is_gone(retry.replace(b"no such file or directory", b"connection reset"))
    assert not pack_is_gone(b"ignoring error for /x: no such file or directory")


def test_is_out_of_space_sees_a_full_disk() -> None:
    assert is_out_of_space(b"ignoring error for /x: write /x: no space left on device\n")
    assert not is_out_of_space(b"Fatal: There were 15 errors\n")
