"""What holds for every test: the guards, and hypothesis without a stopwatch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support.guards import guard_home, guard_network

if TYPE_CHECKING:
    from collections.abc import Iterator

hypothesis.settings.register_profile("ours", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ours")


@pytest.fixture(scope="session", autouse=True)
def _guards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        guard_home(patch, tmp_path_factory.mktemp("home"))
        guard_network(patch)
        yield
