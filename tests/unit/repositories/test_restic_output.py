"""What restic prints: lines of 0.14 as they were recorded, and lines that nobody expected."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.repositories import restic_output
from dr_orchestrator.repositories.base import Progress, Saved
from dr_orchestrator.repositories.restic_output import BackupReader, Unread

_STATUS = (
    b'{"message_type":"status","percent_done":1,"total_files":2,"files_done":2,"total_bytes":3000003'
    b',"bytes_done":3000003,"current_files":["/srv/Roe_Jane.pdf"]}\n'
)
_SUMMARY = (
    b'{"message_type":"summary","files_new":2,"files_changed":0,"files_unmodified":0,"dirs_new":3,'
    b'"dirs_changed":0,"dirs_unmodified":0,"data_blobs":4,"tree_blobs":4,"data_added":3002176,'
    b'"total_files_processed":2,"total_bytes_processed":3000003,"total_duration":0.23,'
    b'"snapshot_id":"30105576"}\n'
)
_ERROR = (
    b'{"message_type":"error","error":{"Op":"read","Path":"/srv/Roe_Jane.pdf","Err":%d},'
    b'"during":"archival","item":"/srv/Roe_Jane.pdf"}\n'
)
_ID = "30105576b6de00cbe6f1463d1d258fa0d50eef2231524d3b54448d94b5e248bd"

_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_backup_reader_reads_progress_and_summary() -> None:
    progress: list[Progress] = []
    reader = BackupReader(progress.append)

    for line in (_STATUS, b"plain text\n", _SUMMARY):
        reader.take(line)

    assert progress == [Progress(3000003, 3000003)]
    assert reader.saved == Saved(
        snapshot="30105576", files=2, bytes=3000003, added_bytes=3002176, changed_files=2
    )
    assert reader.unread(0) is None


def test_backup_reader_has_no_total_when_restic_does_not_say_it() -> None:
    progress: list[Progress] = []

    BackupReader(progress.append).take(b'{"message_type":"status","bytes_done":5}')

    assert progress == [Progress(5, None)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe\n",
        b"null\n",
        b"[1]\n",
        b"3\n",
        b'{"message_type":"excluded_item"}\n',
        b'{"message_type":["summary"]}\n',
        b'{"message_type":"summary"}\n',
        b'{"message_type":"summary","snapshot_id":"--help"}\n',
        b'{"message_type":"status","bytes_done":"many","total_bytes":-1}\n',
        b"[" * 100_000,
        b'{"message_type":"status","current_files":["' + b"x" * 1_000_000,
    ],
)
def test_backup_reader_skips_what_it_does_not_know(line: bytes) -> None:
    reader = BackupReader(lambda _progress: None)

    reader.take(line)
    reader.take_error(line)

    assert reader.saved is None
    assert reader.unread(0) is None


@given(
    st.dictionaries(
        st.sampled_from(["message_type", "snapshot_id", "bytes_done", "error"]),
        _json_values | st.sampled_from(["status", "summary", "error"]),
    )
)
def test_backup_reader_survives_any_message(message: dict[str, Any]) -> None:
    reader = BackupReader(lambda _progress: None)

    reader.take(json.dumps(message).encode())
    reader.take_error(json.dumps(message).encode())


@pytest.mark.parametrize(
    ("lines", "returncode", "expected"),
    [
        ([], 3, Unread(1, (), vanished=False)),
        ([_ERROR % 5], 3, Unread(1, ("input/output error",), vanished=False)),
        ([_ERROR % 13] * 3, 3, Unread(3, ("permission denied",), vanished=False)),
        ([_ERROR % 2] * 2, 3, Unread(2, ("no such file or directory",), vanished=True)),
        (
            [_ERROR % 2, _ERROR % 13],
            3,
            Unread(2, ("no such file or directory", "permission denied"), vanished=False),
        ),
        # an error is an error even if the exit code were 0
        ([_ERROR % 5], 0, Unread(1, ("input/output error",), vanished=False)),
        # 0.14 to 0.17.0 lose some reasons
        ([b'{"message_type":"error","error":{},"item":"/x"}'], 3, Unread(1, (), vanished=False)),
        # 0.17.1
        (
            [b'{"message_type":"error","error":{"message":"open /Roe: permission denied"}}'],
            3,
            Unread(1, ("permission denied",), vanished=False),
        ),
        # exit code 0 until 0.19
        (
            [b"/srv/Roe_Jane does not exist, skipping\n"],
            0,
            Unread(1, ("does not exist",), vanished=False),
        ),
    ],
)
def test_backup_reader_tells_what_could_not_be_read(
    lines: list[bytes], returncode: int, expected: Unread
) -> None:
    reader = BackupReader(None)
    for line in lines:
        reader.take_error(line)

    assert reader.unread(returncode) == expected
    assert "Roe" not in repr(reader.unread(returncode))


def test_snapshots_are_listed_oldest_first() -> None:
    listed = [
        {"id": _ID, "time": "2026-01-02T03:04:05.123456789-06:00", "tags": ["a=b"]},
        {"id": _ID[::-1], "time": "2026-01-02T03:04:05Z", "paths": ["/x"], "original": _ID},
    ]

    older, newer = restic_output.snapshots(json.dumps(listed).encode()) or ()

    assert (older.id, older.original, older.tags) == (_ID[::-1], _ID, frozenset())
    assert newer.time == datetime(2026, 1, 2, 9, 4, 5, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "time", ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+09:18", "9999-12-31T23:59:59-05:00"]
)
def test_snapshots_are_listed_beside_one_of_a_time_that_no_clock_shows(time: str) -> None:
    listed = [{"id": _ID, "time": "2026-01-02T03:04:05Z"}, {"id": _ID[::-1], "time": time}]

    forged, ours = restic_output.snapshots(json.dumps(listed).encode()) or ()

    assert (forged.id, forged.time) == (_ID[::-1], datetime(1970, 1, 1, tzinfo=UTC))
    assert ours.id == _ID


@pytest.mark.parametrize("stdout", [b"", b"null", b"[{}]", b'[{"id":"x"}]', b"{}x", b"[3]"])
def test_snapshots_is_none_when_the_list_cannot_be_read(stdout: bytes) -> None:
    assert restic_output.snapshots(stdout) is None


def test_repository_id_is_none_when_the_config_has_none() -> None:
    assert restic_output.repository_id(f'{{"version":2,"id":"{_ID}"}}'.encode()) == _ID
    for stdout in (b"", b"{}", b'{"id":"x"}', b'{"id":3}'):
        assert restic_output.repository_id(stdout) is None


def test_lock_is_read_as_restic_prints_it() -> None:
    printed = (
        b'{"time": "2026-11-21T19:44:00.352055803Z", "exclusive": true, "hostname": "vm",'
        b' "username": "root", "pid": 23345}'
    )

    lock = restic_output.lock(_ID, printed)

    assert lock is not None
    assert (lock.pid, lock.hostname, lock.exclusive) == (23345, "vm", True)
    assert lock.time == datetime(2026, 11, 21, 19, 44, 0, 352055, tzinfo=UTC)


@pytest.mark.parametrize("pid", ["0", "-1", '"7"', "null"])
def test_lock_is_none_when_its_process_is_none(pid: str) -> None:
    printed = f'{{"time":"2026-11-21T19:44:00Z","hostname":"vm","pid":{pid}}}'

    assert restic_output.lock(_ID, printed.encode()) is None


def test_lock_ids_are_full_ids_only() -> None:
    assert restic_output.listed_ids(f"warning: x\n{_ID}\n".encode()) == (_ID,)


def test_keys_are_read_as_every_version_lists_them() -> None:
    old = {"id": "23e673c3", "userName": "manager", "hostName": "riverside"}
    new = old | {"id": "23e673c3" + "0" * 56}
    for each in (old, new):
        line = json.dumps([each | {"current": True, "created": "2026-11-22 15:02:12"}]).encode()
        (key,) = restic_output.keys(line) or ()
        assert (key.id, key.user, key.is_current) == ("23e673c3", "manager", True)
        assert key.made_at == datetime(2026, 11, 22, 15, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("printed", [b"", b"{}", b"[1]", b'[{"id": "23e673c3"}]', b"[" * 9999])
def test_keys_that_cannot_be_read_are_none_at_all(printed: bytes) -> None:
    assert restic_output.keys(printed) in {None, ()}


def test_key_without_a_time_is_a_key() -> None:
    (key,) = restic_output.keys(b'[{"current":false,"id":"23e673c3","created":"?"}]') or ()
    assert key.made_at is None
