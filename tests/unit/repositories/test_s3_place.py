"""Where restic finds a repository in a bucket, read as restic reads it."""

from __future__ import annotations

import pytest

from dr_orchestrator.errors import UsageMistake
from dr_orchestrator.repositories.s3_place import s3_location


@pytest.mark.parametrize(
    ("written", "prefix"),
    [
        ("http://localhost:9000/bucket", ""),
        ("http://localhost:9000/bucket/", ""),
        ("http://localhost:9000/bucket/.", ""),
        ("localhost:9000/bucket/dro/", "dro/"),
        ("//localhost:9000/bucket/dro//", "dro/"),
        ("http://localhost:9000/bucket/a//b", "a/b/"),
        ("http://localhost:9000/bucket/a/../b", "b/"),
        ("http://localhost:9000/bucket//b", "/b/"),
        ("http://localhost:9000/bucket/a%20b", "a b/"),
        ("localhost:9000/bucket/a%20b?c", "a%20b?c/"),
    ],
)
def test_s3_location_has_the_prefix_of_restic(written: str, prefix: str) -> None:
    """Each but the last tried with restic 0.14: its keys began so."""
    found = s3_location(f"s3:{written}")

    assert (found.bucket, found.prefix) == ("bucket", prefix)


@pytest.mark.parametrize("written", ["s3:", "s3:https://host", "s3:https://host//bucket"])
def test_s3_location_refuses_what_names_no_bucket(written: str) -> None:
    with pytest.raises(UsageMistake, match="names no bucket"):
        s3_location(written)
