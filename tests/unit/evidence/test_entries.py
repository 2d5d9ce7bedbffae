"""What a line says is read back as it was recorded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dr_orchestrator.core.record import Restored
from dr_orchestrator.evidence.entries import entries_in
from dr_orchestrator.evidence.facts import facts_of
from dr_orchestrator.evidence.line import NOTHING_BEFORE, EvidenceLine, text_of


@pytest.mark.parametrize("why", ["a note was lost", ""])
@pytest.mark.parametrize("assets", [("database", "documents"), ()])
def test_entries_in_gives_back_what_was_recorded(why: str, assets: tuple[str, ...]) -> None:
    restored = Restored(
        practice="riverside",
        run="20261121-140000-aaaaaa",
        at=datetime(2026, 11, 21, 14, tzinfo=UTC),
        system="emr",
        point="20261121-133000-aaaaaa",
        repository="onsite",
        assets=assets,
        place="/srv/back on box",
        by="msp",
        why=why,
    )
    said = facts_of(restored)
    assert said is not None
    kind, about = said
    line = EvidenceLine(
        practice="riverside",
        chain="c",
        number=1,
        at="2026-11-21T14:00:00.000000Z",
        kind=kind,
        about=about,
        record="",
        previous=NOTHING_BEFORE,
    )
    assert tuple(entries_in((text_of(line),), Restored)) == (restored,)
