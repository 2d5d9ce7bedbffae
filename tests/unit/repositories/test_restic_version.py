from __future__ import annotations

import pytest

from dr_orchestrator.errors import ProgramFailed
from dr_orchestrator.repositories.restic_version import Feature, ResticVersion


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("restic 0.14.0 compiled with go1.19.8 on linux/amd64\n", (0, 14, 0)),
        ("restic 0.19.1-dev (compiled manually) compiled with go1.24 on linux/amd64", (0, 19, 1)),
        ("warning: something\nrestic 1.2.3\n", (1, 2, 3)),
    ],
)
def test_version_is_read_from_what_restic_prints(printed: str, expected: tuple[int, ...]) -> None:
    assert expected == ResticVersion.parse(printed)


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("restic 0.13.1 compiled with go1.18", "restic 0.13.1 is too old"),
        ("busybox", "does not say its version"),
        ("", "does not say its version"),
    ],
)
def test_version_is_refused_when_it_is_too_old_or_not_one(printed: str, message: str) -> None:
    with pytest.raises(ProgramFailed, match=message):
        ResticVersion.parse(printed)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((0, 14, 0), set()),
        ((0, 15, 2), {Feature.NO_SCAN}),
        ((0, 17, 0), {Feature.NO_SCAN, Feature.RESTORE_JSON, Feature.EXIT_CODES}),
        ((0, 19, 0), set(Feature)),
        ((1, 0, 0), set(Feature)),
    ],
)
def test_version_has_what_came_with_it_or_before(
    version: tuple[int, int, int], expected: set[Feature]
) -> None:
    restic = ResticVersion(*version)

    assert expected == {feature for feature in Feature if restic.has(feature)}
