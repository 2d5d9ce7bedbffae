"""We could not look. That must never be taken for "there is none", or a new one would be made."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from dr_orchestrator.core.target import claim_new_directory
from dr_orchestrator.errors import RepositoryDamaged, RepositoryUnreachable
from dr_orchestrator.repositories import restic
from tests.support.rclone import rest_server
from tests.support.restic import AS_OF, MINUTES, Bench, bench
from tests.support.servers import free_port

__all__ = ["bench"]
_AWS = {"AWS_ACCESS_KEY_ID": "canary-id", "AWS_SECRET_ACCESS_KEY": "canary-key"}


@pytest.fixture(params=["rest:http://{}/x", "s3:http://{}/bucket/x", "rclone:no-such-remote:x"])
def nowhere(request: pytest.FixtureRequest) -> str:
    """Return a location that nobody answers at."""
    location: str = request.param.format(f"127.0.0.1:{free_port()}")
    return location


def test_nothing_is_made_when_nobody_answers(bench: Bench, nowhere: str) -> None:
    repository = bench.repository(nowhere, extra_env={**_AWS, "HOME": str(bench.folder)})

    with pytest.raises(RepositoryUnreachable) as caught:
        repository.identity()
    assert "canary" not in str(caught.value)


def test_every_operation_says_so_when_nobody_answers(bench: Bench) -> None:
    repository = bench.repository(f"rest:http://127.0.0.1:{free_port()}/x")
    target = claim_new_directory(bench.folder / "target")

    for call in (
        lambda: repository.snapshots({}),
        lambda: repository.save_tree(bench.tree(), tags={}, time=AS_OF, timeout=MINUTES),
        lambda: repository.restore("a" * 64, target, "x", timeout=MINUTES),
        lambda: repository.read_file("a" * 64, "/x", limit_bytes=10),
        repository.locks_of_the_dead,
        repository.create,
    ):
        with pytest.raises(RepositoryUnreachable):
            call()


@pytest.fixture
def silent_server() -> Iterator[int]:
    """Lend a port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_identity_ends_when_the_server_says_nothing(
    bench: Bench, silent_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restic, "_PROBE_TIMEOUT", timedelta(seconds=2))

    with pytest.raises(RepositoryUnreachable, match="did not answer within 2 s"):
        bench.repository(f"rest:http://127.0.0.1:{silent_server}/x").identity()


def test_refused_credentials_are_not_absence(bench: Bench) -> None:
    (bench.folder / "served").mkdir()
    with rest_server(bench.folder / "served", "--user", "u", "--pass", "p") as location:
        wrong = location.replace("http://", "http://u:canary@")

        for place in (location, wrong):
            with pytest.raises(RepositoryUnreachable, match="401") as caught:
                bench.repository(place).identity()
            assert "canary" not in str(caught.value)


def test_folder_that_is_no_repository_is_not_absence(bench: Bench) -> None:
    bench.tree()
    dangling = bench.folder / "dangling"
    dangling.symlink_to(bench.folder / "unmounted")

    with pytest.raises(RepositoryDamaged, match="there is something"):
        bench.repository(bench.folder / "documents").identity()
    with pytest.raises(RepositoryDamaged):
        bench.repository(dangling).identity()
    with pytest.raises(RepositoryUnreachable):
        bench.repository(bench.folder / "documents" / "a.pdf").identity()


def test_server_that_dies_ends_a_save_without_a_snapshot(bench: Bench) -> None:
    served = bench.folder / "served"
    served.mkdir()
    with rest_server(served) as location:
        repository = bench.repository(location, create=True)
        read_end, write_end = os.pipe()
        save = repository.save_stream(
            "x", read_end, tags={}, time=AS_OF, timeout=timedelta(seconds=20)
        )
        os.close(read_end)
        os.write(write_end, b"x" * 50_000)

    # The server is gone. The producer ends well, and restic cannot save.
    os.close(write_end)
    failures: list[Exception] = []

    def finish() -> None:
        try:
            save.finish()
        except Exception as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    waiting = threading.Thread(target=finish)
    waiting.start()
    waiting.join(60)

    assert len(failures) == 1
    assert bench.raw(served / "riverside").snapshots() == []
