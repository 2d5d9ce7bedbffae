"""What is asked of a repository when a point comes back."""

from __future__ import annotations

import contextlib
from typing import Any, cast

import pytest

from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.errors import RepositoryError
from dr_orchestrator.repositories.manifests import FoundManifest
from dr_orchestrator.restore.bring_back import bring_back
from tests.support.clock import START, FakeClock

MANIFEST = Manifest(
    point="p",
    practice="riverside",
    practice_name="Riverside",
    system="emr",
    run="p",
    as_of=START,
    finished=START,
    skew_seconds=0.0,
    repository="r",
    assets={
        "documents": AssetState(
            kind=AssetKind.FILES,
            method=Method.TREE,
            scope="tree",
            snapshot="a" * 64,
            path="/srv/documents",
            bytes=1,
            captured_at=START,
        )
    },
    recoverable=Recoverable(start=START, end=START),
    plan_sha256="c",
    made_by="a test",
)


class _Asked(contextlib.nullcontext["_Asked"]):
    """Stands for repository, sandbox and driver: it notes what comes back, and brings nothing."""

    def __init__(self) -> None:
        super().__init__(self)
        self.target = None
        self.paths: tuple[str, ...] | None = None

    def restoration(self, request: object) -> _Asked:
        del request
        return self

    def prepare(self) -> None:
        pass

    def restore(self, *_: object, paths: tuple[str, ...], **__: object) -> None:
        self.paths = paths
        raise RepositoryError("nothing is here")


@pytest.mark.parametrize(
    ("manifest_snapshot", "paths"),
    [("b" * 64, ()), ("", ("/srv/documents",))],
    ids=["ours", "of another tool"],
)
def test_all_of_our_snapshots_comes_back_and_of_another_tools_the_asset_alone(
    manifest_snapshot: str, paths: tuple[str, ...]
) -> None:
    asked = _Asked()
    stand_in = cast("Any", asked)
    found = FoundManifest(MANIFEST, manifest_snapshot, "c", "")

    with (
        pytest.raises(RepositoryError),
        bring_back(
            found,
            stand_in,
            stand_in,
            {AssetKind.FILES: stand_in},
            clock=FakeClock(),
            jobs=1,
            on_progress=lambda _asset, _progress: None,
            planned={},
            labs={},
            shares={},
        ),
    ):
        pass

    assert asked.paths == paths
