"""A record that a newer version wrote: every command says so, and leaves it as it is."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.store.sqlite import FILE_NAME, open_store
from tests.support.site import Site, make_small_practice, new_site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with new_site() as made:
        make_small_practice(made)
        open_store(made.state, SystemClock()).close()
        with closing(sqlite3.connect(made.state / FILE_NAME)) as store, store:
            store.execute("UPDATE alembic_version SET version_num = '0999'")
            store.execute("UPDATE written_by SET version = '7.1'")
        yield made


@pytest.mark.parametrize("words", ["status", "backup riverside", "schedule run --once", "doctor"])
def test_command_refuses_a_record_of_a_newer_version_and_touches_nothing(
    site: Site, words: str
) -> None:
    before = _content(site.state)

    done = site.dro(*words.split())

    assert done.code in {1, 4}, done.said
    assert "was written by dro 7.1 (store 0999), and this is dro" in done.said
    assert "install that version or a newer one here" in done.said
    assert _content(site.state) == before
    assert [path.name for path in site.repository.glob("snapshots/*")] == []


def _content(state: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in state.glob(f"{FILE_NAME}*")
    }
