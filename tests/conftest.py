"""What holds for every test: the guards, and hypothesis without a stopwatch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support.guards import guard_home, guard_network
from tests.support.site import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `scripts/check` runs, so that `scripts/test` need not run it again."""
    for item in items:
        folder = Path(item.path).relative_to(ROOT).parts[1]
        if folder in {"unit", "contracts"} and item.get_closest_marker("server") is None:
            item.add_marker(pytest.mark.checked)


hypothesis.settings.register_profile("ours", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ours")


@pytest.fixture(scope="session", autouse=True)
def _guards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        guard_home(patch, tmp_path_factory.mktemp("home"))
        guard_network(patch)
        yield
