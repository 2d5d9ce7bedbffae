from __future__ import annotations

import re
from pathlib import Path

from dr_orchestrator.doctor.complaint import Complaint, Kind, Severity, worst_first

_PAGE = Path(__file__).parents[3] / "docs" / "reference" / "doctor.md"


def test_page_lists_every_kind_with_its_severity_and_reason_and_no_other() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (\w+) \| .+ \| (.+) \|$", _PAGE.read_text(), re.MULTILINE
    )

    assert sorted(rows) == sorted((kind.slug, kind.severity.value, kind.so_what) for kind in Kind)


def test_worst_first_begins_with_what_fails_and_says_nothing_twice() -> None:
    note = Complaint(kind=Kind.CLOCK_ALONE, what="b", do="c")
    fails = Complaint(kind=Kind.NO_SANDBOX, what="b", do="c", practice="riverside")
    unknown = Complaint(kind=Kind.COULD_NOT_LOOK, what="b", do="c")

    assert worst_first([note, unknown, fails, note]) == (fails, unknown, note)
    assert [each.value for each in Severity] == ["fails", "unknown", "soon", "note"]
