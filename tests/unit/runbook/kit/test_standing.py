from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from dr_orchestrator.runbook.kit.build import Kit, build_kit, sums_of
from dr_orchestrator.runbook.kit.look import look_at_kit
from dr_orchestrator.runbook.kit.place import in_folder, write_kit
from dr_orchestrator.runbook.kit.standing import Expected, KitStanding, KitState, standing
from tests.support.kits import MADE, PLAN, make_input, no_paper, plan_of

_KIT = build_kit(make_input(), no_paper)


def expected(kit: Kit = _KIT, after: timedelta = timedelta(days=1)) -> Expected:
    zone = plan_of().plan.practice.timezone
    return Expected(practice="riverside", inputs=kit.inputs, now=MADE + after, zone=zone)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_kit(_KIT, tmp_path / "riverside")
    return tmp_path / "riverside"


def judged(folder: Path, against: Expected | None = None) -> KitStanding:
    return standing(in_folder(folder), against or expected())


def test_kit_is_current_until_its_time_is_over(folder: Path) -> None:
    found = judged(folder)
    assert (found.state, found.reasons, found.made) == (KitState.CURRENT, (), MADE)
    over = judged(folder, expected(after=timedelta(days=30)))
    assert (over.state, over.reasons) == (
        KitState.STALE,
        ("it was current until 21 December 2026",),
    )


def test_kit_is_stale_once_the_plan_changed(folder: Path) -> None:
    found = look_at_kit(plan_of(f"{PLAN}# edited\n"), str(folder), MADE)
    assert found.state is KitState.STALE
    assert "the plan or a runbook changed since" in found.reasons


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "restore.sh").unlink(), "missing: restore.sh"),
        (lambda folder: (folder / "kit.json").write_text("{}"), "changed: kit.json"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "there is no kit: SHA256SUMS is missing"),
        (lambda folder: (folder / "SHA256SUMS").write_text("cut o"), "SHA256SUMS is damaged"),
        (
            lambda folder: (folder / "SHA256SUMS").write_bytes(
                sums_of({"kit.json": _KIT.files["kit.json"]})
            ),
            "SHA256SUMS is damaged",
        ),
        (
            lambda folder: (folder / "SHA256SUMS").write_text(
                _KIT.files["SHA256SUMS"].decode() + f"{'0' * 64}  ../../secret\n"
            ),
            "SHA256SUMS names a file that is outside of the kit",
        ),
    ],
)
def test_kit_is_damaged_where_a_file_is_not_as_it_was_made(
    folder: Path, damage: Callable[[Path], object], reason: str
) -> None:
    damage(folder)
    found = judged(folder)
    assert (found.state, found.reasons) == (KitState.DAMAGED, (reason,))


@pytest.mark.parametrize(
    "changes",
    [{"practice": "lakeside"}, {"schema": 2}, {"made": "yesterday"}, {"expires": None}],
)
def test_kit_is_damaged_where_it_is_none_of_this_practice(
    folder: Path, changes: dict[str, object]
) -> None:
    content = json.dumps(json.loads(_KIT.files["kit.json"]) | changes).encode()
    (folder / "kit.json").write_bytes(content)
    files = {name: each for name, each in _KIT.files.items() if name != "SHA256SUMS"}
    (folder / "SHA256SUMS").write_bytes(sums_of(files | {"kit.json": content}))
    assert judged(folder).state is KitState.DAMAGED
