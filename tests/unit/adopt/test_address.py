"""What a person names to be protected; never a password, and never repeated where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.adopt.address import named_assets
from dr_orchestrator.errors import UsageMistake


def _stated(url: str) -> dict[str, Any]:
    ((named,)) = named_assets((url,), ())
    return named.asset.model_dump(mode="json", exclude_unset=True)


@pytest.mark.parametrize(
    ("url", "stated"),
    [
        (
            "postgres://backup@10.0.0.5/emr",
            {"kind": "postgres", "host": "10.0.0.5", "database": "emr", "user": "backup"},
        ),
        (
            "postgresql://b%40ckup@[::1]:5433/my%20emr?sslmode=verify-full",
            {
                "kind": "postgres", "host": "::1", "port": 5433, "database": "my emr",
                "user": "b@ckup", "sslmode": "verify-full",
            },
        ),
        (
            "postgres://backup@/emr",
            {"kind": "postgres", "host": "/run/postgresql", "database": "emr", "user": "backup"},
        ),
        (
            "mysql://backup@/openemr?host=/run/m.sock",
            {"kind": "mariadb", "host": "/run/m.sock", "database": "openemr", "user": "backup"},
        ),
        ("sqlite:///srv/my%20emr.db", {"kind": "sqlite", "path": "/srv/my emr.db"}),
    ],
)  # fmt: skip
def test_named_assets_are_what_a_plan_would_state(url: str, stated: dict[str, Any]) -> None:
    assert _stated(url) == stated


def test_named_assets_have_ids_of_their_own() -> None:
    names = [
        each.name
        for each in named_assets(
            ("sqlite:///a/EMR.db", "postgres://u@h/emr", "mysql://u@h/2025"),
            (Path("/srv/Scans"), Path("/mnt/scans"), Path("/")),
        )
    ]

    assert names == ["emr", "emr-2", "database", "scans", "scans-2", "documents"]


@pytest.mark.parametrize(
    "url",
    [
        "postgres://backup:canary@10.0.0.5/emr",
        "postgres://backup:@10.0.0.5/emr",
        "mysql://backup@h/emr?password=canary",
    ],
)
def test_password_in_an_address_is_refused_and_said_to_be_known_now(url: str) -> None:
    with pytest.raises(UsageMistake, match="in the history of this shell") as refused:
        named_assets((url,), ())

    assert "--password-env" in refused.value.hint
    assert "canary" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "", "emr", "oracle://canary@h/emr", "postgres://canary@h", "postgres://h/canary",
        "postgres://u@h/a/canary", "postgres://u@h:99999/emr", "postgres://u@h:0/canary",
        "mysql://u@h/emr?charset=canary", "postgres://u@h/emr?sslmode=canary",
        "sqlite://canary/emr.db", "postgres://[canary/emr",
    ],
)  # fmt: skip
def test_address_that_means_nothing_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(UsageMistake) as refused:
        named_assets((url,), ())

    assert "canary" not in str(refused.value) + refused.value.hint


@given(st.text())
def test_any_text_is_an_asset_or_a_mistake(text: str) -> None:
    for url in (text, f"postgres://{text}", f"sqlite:///{text}"):
        try:
            (named,) = named_assets((url,), ())
        except UsageMistake:
            continue
        assert named.name
