from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.sheet.write import write_sheet


def test_sheet_is_written_into_a_folder_made_for_it(tmp_path: Path) -> None:
    write_sheet(tmp_path / "new" / "sites.html", b"page")
    assert [each.read_bytes() for each in (tmp_path / "new").iterdir()] == [b"page"]


def test_sheet_that_cannot_be_written_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageMistake, match=r"taken/sites\.html cannot be written"):
        write_sheet(tmp_path / "taken" / "sites.html", b"page")
