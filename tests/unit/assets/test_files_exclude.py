"""Patterns that are matched as restic matches them, and those that are refused.

What restic really does with them is asked in tests/integration/test_files.py.
"""

from __future__ import annotations

import pytest

from dr_orchestrator.assets.files_exclude import Exclusion
from dr_orchestrator.errors import CaptureFailed


def _covers(pattern: str, path: str) -> bool:
    return Exclusion((pattern,)).covers(tuple(path.encode().split(b"/")[1:]))


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("*.tmp", "/srv/a.tmp", True),
        ("*.tmp", "/srv/a.tmp.pdf", False),
        ("*.tmp", "/srv/a.tmp/inside", True),
        ("cache", "/srv/x/cache", True),
        ("cache", "/srv/x/cached", False),
        ("srv", "/srv/x", True),
        ("x/cache", "/srv/x/cache", True),
        ("x/cache", "/srv/x/y/cache", False),
        ("cache/", "/srv/cache", True),
        ("/srv/x", "/srv/x/y", True),
        ("/srv/x", "/data/srv/x", False),
        ("/srv/*/x", "/srv/a/x", True),
        ("/srv/*/x", "/srv/a/b/x", False),
        ("/srv/**/x", "/srv/a/b/x", True),
        ("/srv/**/x", "/srv/x", True),
        ("x/**", "/srv/x", True),
        ("?.pdf", "/srv/ab.pdf", False),
        ("a.pdf", "/srv/axpdf", False),
        ("a*c", "/srv/a\nc", True),
    ],
)
def test_exclusion_covers_what_restic_leaves_out(pattern: str, path: str, covered: bool) -> None:
    assert _covers(pattern, path) is covered


def test_exclusion_takes_a_byte_that_is_no_text_for_one_character() -> None:
    assert Exclusion(("n?me",)).covers((b"srv", b"n\xe9me"))


@pytest.mark.parametrize(
    "pattern", ["[ab].tmp", "!keep", "a\\*", "../x", "/srv/./x", "**", "/", "/**", "", "a\nb"]
)
def test_exclusion_refuses_what_it_cannot_match_exactly(pattern: str) -> None:
    with pytest.raises(CaptureFailed, match="exclude pattern"):
        Exclusion((pattern,))
