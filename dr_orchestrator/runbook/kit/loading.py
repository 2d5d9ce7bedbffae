"""How what came back is put to use: the lines of `dro-kit.py`, by its own function.

The kit's script stands alone, so nothing can be shared with it but what it holds itself. It is read
here for that one function, so that the page, `restore.sh` and the script say the same.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.wording import printable

if TYPE_CHECKING:
    from dr_orchestrator.core.point import AssetState, Manifest
    from dr_orchestrator.runbook.kit.given import Held, KitInput

SCRIPT_FILE = Path(__file__).parent / "script" / "dro-kit.py"
COMMAND = "$ "
"""A line that begins with it is typed, without it; every other is read."""

_NextSteps = Callable[[Mapping[str, Any], Path, Path], list[str]]


def load_lines(given: KitInput, system: str, each: Held) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each asset of a point, and how it is put to use once restic brought it to the folder of
    its name, with its small files beside it. Paths are relative to the folder above.
    """
    manifest = _manifest(given, system, each)
    for asset in each.copy.snapshots:
        state = manifest.assets.get(asset) if manifest else None
        yield asset, tuple(_lines(asset, state, system))


def _manifest(given: KitInput, system: str, each: Held) -> Manifest | None:
    """Return that of the point, else of another one of its system: what loads one loads the other,
    as long as nobody changed what it is.
    """
    same = (known for known in given.manifests.values() if known.system == system)
    return given.manifests.get(each.point.id) or next(same, None)


def _lines(asset: str, state: AssetState | None, system: str) -> Iterator[str]:
    if state is None:
        yield "what it takes could not be read when this kit was made. This reads it, and says so:"
        yield f"{COMMAND}python3 dro-kit.py restore {system} --to NEW-FOLDER"
        return
    said = {
        "kind": state.kind.value,
        "method": state.method.value,
        "server": dict(state.server),
        "path": state.path,
    }
    place = Path(asset, state.path.lstrip("/"))
    yield from map(printable, _next_steps()(said, place, Path(asset)))


@cache
def _next_steps() -> _NextSteps:
    found: _NextSteps = runpy.run_path(str(SCRIPT_FILE))["next_steps"]
    return found
