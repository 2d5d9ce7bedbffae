"""Where a person may have a database restored to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dr_orchestrator.core.point import AssetKind, AssetState, Method
from dr_orchestrator.core.target import LiveTarget, confirm_live_target
from dr_orchestrator.errors import TargetRefused, UsageMistake
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.sandbox.live import LiveAddress, open_live, require_loadable

_STATE = AssetState(
    kind=AssetKind.POSTGRES,
    method=Method.LOGICAL,
    scope="database",
    snapshot="0" * 64,
    path="/database.pgdump",
    bytes=1,
    captured_at=datetime(2026, 11, 21, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("url", "kind", "host", "port", "user", "database"),
    [
        ("postgres://me@db/emr_friday", AssetKind.POSTGRES, "db", 5432, "me", "emr_friday"),
        ("postgresql://me@10.0.0.5:5433/x", AssetKind.POSTGRES, "10.0.0.5", 5433, "me", "x"),
        ("mariadb://me@[::1]:3307/x", AssetKind.MARIADB, "::1", 3307, "me", "x"),
        ("mysql://a%40b@db/x%20y", AssetKind.MARIADB, "db", 3306, "a@b", "x y"),
        ("postgres://me@%2Frun%2FPG/x", AssetKind.POSTGRES, "/run/PG", 5432, "me", "x"),
    ],
)
def test_live_address_reads_a_url(  # noqa: PLR0917 - the parts of one
    url: str, kind: AssetKind, host: str, port: int, user: str, database: str
) -> None:
    expected = LiveAddress(kind=kind, host=host, port=port, user=user, database=database)
    assert LiveAddress.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "emr",
        "postgres://db/x",
        "postgres://me@db",
        "sqlite://me@db/x",
        "postgres://me@db/x?a=b",
    ],
)
def test_live_address_is_refused_when_it_names_no_new_database(url: str) -> None:
    with pytest.raises(UsageMistake, match="no address of a new database"):
        LiveAddress.parse(url)


@pytest.mark.parametrize("password", [":s3cret", ":"])
def test_live_address_is_refused_with_a_password_and_does_not_repeat_it(password: str) -> None:
    with pytest.raises(UsageMistake, match="a password in --into") as refused:
        LiveAddress.parse(f"postgres://me{password}@db/x")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("database", ["a%00b", "a%0Ab", "%1B[2Jx", "y" * 64])
def test_live_address_is_refused_with_a_name_that_is_not_kept_as_it_is(database: str) -> None:
    with pytest.raises(UsageMistake, match=r"nobody can see|63 bytes at most"):
        LiveAddress.parse(f"postgres://me@db/{database}")


def test_live_target_takes_a_person_who_types_the_practice() -> None:
    with pytest.raises(UsageMistake, match="not confirmed"):
        confirm_live_target("x", practice="riverside", typed="riversid")
    with pytest.raises(TypeError):
        LiveTarget("x", seal=object())
    assert confirm_live_target("x", practice="riverside", typed="riverside").database == "x"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("database", ["emr", "EMR"])
def test_open_live_refuses_what_a_plan_protects_before_anything_is_said_to_it(
    host: str, database: str
) -> None:
    plan = Plan.model_validate(
        {
            "version": 1,
            "practice": {"id": "riverside", "name": "Riverside", "timezone": "UTC"},
            "repositories": {"onsite": {"location": "/srv/x", "password": {"env": "X"}}},
            "systems": {
                "emr": {
                    "title": "EMR",
                    "rto": "4h",
                    "rpo": "1h",
                    "assets": {
                        "database": {
                            "kind": "postgres",
                            "host": "127.0.0.1",
                            "port": 1,
                            "database": "emr",
                            "user": "backup",
                        }
                    },
                }
            },
        }
    )
    address = LiveAddress.parse(f"postgres://me@{host}:1/{database}")
    target = confirm_live_target(database, practice="riverside", typed="riverside")

    with (
        pytest.raises(TargetRefused, match="riverside/emr/database, which a plan protects"),
        open_live(address, None, target, _STATE, (plan,)),
    ):
        pass


def test_a_copy_of_a_whole_server_is_loaded_into_no_other() -> None:
    address = LiveAddress.parse("postgres://me@db/x")
    require_loadable("database", _STATE, address)
    for state in (
        replace(_STATE, method=Method.PHYSICAL),
        replace(_STATE, method=Method.DUMP),
        replace(_STATE, kind=AssetKind.MARIADB),
        replace(_STATE, kind=AssetKind.SQLITE, method=Method.COPY),
    ):
        with pytest.raises(TargetRefused):
            require_loadable("database", state, address)
