"""A source that cannot be read completely is no capture, whatever restic's snapshot says."""

from __future__ import annotations

import pytest

from dr_orchestrator.errors import CaptureFailed
from tests.support.mounts import unreadable_file
from tests.support.restic import AS_OF, MINUTES, Bench, bench

__all__ = ["bench"]


def test_save_fails_when_a_file_cannot_be_read(bench: Bench) -> None:
    repository = bench.repository(create=True)
    tree = bench.tree()
    with unreadable_file(tree / "letters" / "Roe_Jane.pdf"):
        with pytest.raises(CaptureFailed) as caught:
            repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)

        assert f"1 item under {tree} could not be read (input/output error)" in str(caught.value)
        assert "Roe" not in str(caught.value)
        # even when it was not read again, as restic thinks it knows it
        with pytest.raises(CaptureFailed):
            repository.save_tree(tree, tags={}, time=AS_OF, timeout=MINUTES)
