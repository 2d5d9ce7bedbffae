"""Which promise stood on the page of a check code."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.evidence.line import hash_of
from dr_orchestrator.maintenance.plan_author import Author
from dr_orchestrator.maintenance.standing import record_promise
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.report.sign_off import find_page
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import PRACTICE

SAM = Author(name="Sam", known_by="git commit 1a2b3c4")
PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories: {onsite: {location: /srv/restic, password: {env: KEY}}}
systems:
  files: {rto: %s, rpo: 1h, assets: {documents: {kind: files, path: /srv/documents}}}
"""


def _store(folder: Path, rto: str = "4h") -> Store:
    folder.mkdir()
    clock = FakeClock()
    store = open_store(folder, clock)
    record_promise(
        read_plan((PLAN % rto).encode(), "riverside.yaml"), store, clock, lambda _loaded: SAM
    )
    return store


def test_find_page_refuses_one_whose_promise_is_not_on_record_here(tmp_path: Path) -> None:
    with (
        _store(tmp_path / "site") as site,
        _store(tmp_path / "responder", "24h") as other,
    ):
        lines = tuple(other.evidence.lines(PRACTICE))
        site.evidence.take_in(PRACTICE, lines)

        for line in lines:
            with pytest.raises(UsageMistake, match="no promise that is on record here"):
                find_page(site, PRACTICE, hash_of(line)[:12])


def test_find_page_knows_the_promise_when_the_chain_was_begun_anew(tmp_path: Path) -> None:
    with _store(tmp_path / "site") as site:
        (version,) = site.practice_record(PRACTICE).promises
        made = site.evidence.begin_anew(PRACTICE, StateFolder(tmp_path / "site").evidence_signer())
        assert made is not None

        assert find_page(site, PRACTICE, made.head[:12]).promise == version.id
