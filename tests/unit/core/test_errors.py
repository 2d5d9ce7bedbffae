"""Exit codes: one meaning each, and one for several."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator import errors
from dr_orchestrator.errors import DroError, ExitCode, most_important

_ORDER = (130, 75, 2, 1, 5, 4, 3)


@given(st.lists(st.sampled_from(list(ExitCode))))
def test_most_important_is_the_first_of_the_order_that_applies(codes: list[ExitCode]) -> None:
    expected = next((code for code in _ORDER if code in codes), 0)
    assert most_important(codes) == expected


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", " ").replace("└──", " ").split()
        if len(words) > 1 and words[1].isdigit():
            drawn[words[0]] = int(words[1])
    real = {
        name: int(kind.exit_code)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, DroError) and kind is not DroError
    }
    drawn.pop("Interrupted")
    assert drawn == real


def test_an_error_prints_its_hint_on_a_line_of_its_own() -> None:
    assert str(errors.CaptureFailed("the share is gone", hint="mount it")) == (
        "the share is gone\nhint: mount it"
    )
