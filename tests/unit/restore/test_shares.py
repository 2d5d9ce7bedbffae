"""Which assets come back in part, and what of them always comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.assets.files_share import FilesShare
from dr_orchestrator.core.baseline import Baseline, FilesBaseline, Level
from dr_orchestrator.core.point import AssetKind, Manifest
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.share import ALL_FILES, Listed, Share
from dr_orchestrator.core.verification import Depth, Result
from dr_orchestrator.repositories.restic import ResticRepository
from dr_orchestrator.restore.shares import list_shares
from dr_orchestrator.restore.verify import Verifier
from tests.support.clock import FakeClock
from tests.support.launcher import Answer, ScriptedLauncher
from tests.support.pack_point import PLAN, LivingFolder, manifest_with, plan_of

_BASELINE = FilesBaseline(level=Level.COUNTS, files=2, bytes=2, listing="", key="00" * 16)
_KEY = "default/documents/logs_and_misc/methods/six"
_NONE_OF_IT = next(
    share for part in range(1, 257) if not (share := Share(part, 256)).holds(_KEY.encode())
)


def _manifest(baseline: Baseline | None, kind: AssetKind = AssetKind.FILES) -> Manifest:
    manifest = manifest_with({})
    state = replace(manifest.assets["documents"], kind=kind, baseline=baseline, path="/x")
    return replace(manifest, assets={**manifest.assets, "documents": state})


def _repository(folder: Path, *names: str) -> ResticRepository:
    nodes = ({"path": f"/x/{name}", "type": "file", "size": 1} for name in names)
    printed = b"".join(json.dumps(node).encode() + b"\n" for node in nodes)
    version = Answer(("restic", "version"), stdout=b"restic 0.14.0 compiled with go\n")
    return ResticRepository(
        "offsite",
        "rest:https://host/x",
        Secret("key"),
        launcher=ScriptedLauncher(version, Answer(("ls",), stdout=printed)),
        clock=FakeClock(),
        cache=folder / "cache",
        tmp=folder / "tmp",
        hostname="riverside",
        lock_wait=timedelta(0),
    )


def _listed(
    folder: Path, share: Share, manifest: Manifest, *names: str, plan: str = PLAN
) -> dict[str, FilesShare]:
    loaded, packs = plan_of(plan)
    system = loaded.plan.protected["emr"]
    return list_shares(share, manifest, _repository(folder, *names), system, packs)


@pytest.mark.parametrize("kind", [AssetKind.FILES, AssetKind.SMB])
def test_list_shares_takes_part_of_folders_and_of_no_database(
    tmp_path: Path, kind: AssetKind
) -> None:
    names = [f"{number}.pdf" for number in range(40)]
    share = Share(1, 4)
    found = _listed(tmp_path, share, _manifest(_BASELINE, kind), *names)
    assert list(found) == ["documents"]
    wanted = sorted(f"/x/{name}" for name in names if share.holds(name.encode()))
    assert list(found["documents"].paths) == wanted


@pytest.mark.parametrize(
    ("share", "manifest"),
    [
        (ALL_FILES, _manifest(_BASELINE)),
        (Share(1, 4), _manifest(None)),
        (Share(1, 4), _manifest(replace(_BASELINE, key="no key"))),
        (Share(1, 4), _manifest(None, AssetKind.COMMAND)),
    ],
    ids=["all files", "no baseline", "baseline that cannot be read", "a dump"],
)
def test_list_shares_leaves_out_what_must_come_back_whole(
    tmp_path: Path, share: Share, manifest: Manifest
) -> None:
    assert _listed(tmp_path, share, manifest, "a.pdf") == {}


def test_list_shares_brings_back_the_keys_that_a_pack_needs(tmp_path: Path) -> None:
    """Without them all that OpenEMR encrypted would seem lost."""
    found = _listed(tmp_path, _NONE_OF_IT, _manifest(_BASELINE), _KEY, "a.pdf")["documents"]
    assert f"/x/{_KEY}" in found.paths
    assert not found.holds_folder((b"default",))


def _at_least(wanted: int, root: Path, share: FilesShare) -> tuple[Result, Depth, str]:
    text = PLAN.replace(
        "[{pack: openemr}]",
        f"[{{title: scans, files: {{asset: documents, at_least: {wanted}}}}}]",
    )
    loaded, packs = plan_of(text.replace("    max_data_age: 4h\n", ""))
    system = loaded.plan.protected["emr"]
    living = {"documents": LivingFolder(folder=root)}
    verifier = Verifier(
        loaded.plan, system, _manifest(_BASELINE), living, packs, {"documents": share}
    )
    (found,) = verifier.proof()
    return found.result, found.proves, f"{found.actual} {found.reason}".strip()


def test_a_check_of_the_number_counts_what_is_listed_and_says_so(tmp_path: Path) -> None:
    share = FilesShare(Share(1, 4), "/x", _BASELINE)
    for number in range(40):
        share.take(Listed(f"/x/{number}.pdf", is_link=False, size=1))
    share.finish()
    assert _at_least(40, tmp_path, share) == (Result.PASSED, Depth.L1, "40 files listed")
    assert _at_least(41, tmp_path, share) == (
        Result.FAILED,
        Depth.L1,
        "40 files listed only 40 files came back or are listed in the repository",
    )
