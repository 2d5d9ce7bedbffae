"""A manifest survives the way to bytes and back, and nothing that is not one is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.baseline import (
    DatabaseBaseline,
    FileBaseline,
    FilesBaseline,
    Level,
    TableBaseline,
)
from dr_orchestrator.core.manifest_codec import decode_manifest, encode_manifest
from dr_orchestrator.core.point import AssetKind, AssetState, Manifest, Method, Recoverable
from dr_orchestrator.errors import ManifestInvalid

_AT = datetime(2026, 11, 21, 19, 15, tzinfo=UTC)


def manifest(**changes: Any) -> Manifest:
    database = AssetState(
        kind=AssetKind.POSTGRES,
        method=Method.LOGICAL,
        scope="database",
        snapshot="a" * 64,
        path="/database.pgdump",
        bytes=700_000_000,
        captured_at=_AT,
        tools={"pg_dump": "15.18"},
        server={"version": "15.18", "encoding": "UTF8"},
        baseline=DatabaseBaseline(
            level=Level.FULL,
            algorithm="hashtextextended/15",
            tables={"public.patient": TableBaseline(rows=3, checksum="-7", level=Level.FULL)},
            objects={"views": 1},
            sequences={"public.patient_id_seq": 3},
            queries={"select max(seen_at) from visit": _AT, "select count(*) from visit": 12},
            newest=_AT,
        ),
        sidecars=("globals.sql",),
    )
    documents = AssetState(
        kind=AssetKind.FILES,
        method=Method.TREE,
        scope="tree",
        snapshot="b" * 64,
        path="/srv/emr/documents",
        bytes=5,
        captured_at=_AT,
        baseline=FilesBaseline(
            level=Level.SAMPLED, files=1, bytes=5, listing="12", key="00", samples={"ab": "cd"}
        ),
    )
    fields: dict[str, Any] = {
        "point": "20261121-191500-4k7q2z",
        "practice": "riverside",
        "practice_name": "Riverside Family Practice",
        "system": "emr",
        "run": "20261121-191500-4k7q2z",
        "as_of": _AT,
        "finished": _AT,
        "skew_seconds": 0.5,
        "repository": "c" * 64,
        "assets": {"database": database, "documents": documents},
        "recoverable": Recoverable(start=_AT, end=_AT),
        "plan_sha256": "d" * 64,
        "made_by": "dr-orchestrator 0.1.0",
    }
    return Manifest(**{**fields, **changes})


def _changed(*path: str, to: object) -> bytes:
    raw = json.loads(encode_manifest(manifest()))
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return json.dumps(raw).encode()


def test_manifest_comes_back_equal() -> None:
    assert decode_manifest(encode_manifest(manifest())) == manifest()


def test_equal_manifests_are_equal_bytes() -> None:
    one = manifest()
    other = manifest(assets=dict(reversed(list(one.assets.items()))))
    assert encode_manifest(one) == encode_manifest(other)


def test_manifest_of_a_newer_schema_is_refused_with_what_to_do() -> None:
    raw = json.loads(_changed("schema", to=3)) | {"made_by": "dr-orchestrator 7.1\x1b[31m" * 9}
    with pytest.raises(ManifestInvalid, match=r"by dr-orchestrator 7\.1.* \(schema 3\)") as caught:
        decode_manifest(json.dumps(raw).encode())
    assert "\x1b" not in caught.value.message
    assert "reads up to 2" in caught.value.message
    assert "or a newer one" in caught.value.hint


def test_manifest_of_schema_1_is_read_without_what_it_could_not_say() -> None:
    raw = json.loads(encode_manifest(manifest(schema=1)))
    for state in raw["assets"].values():
        del state["data_as_of"]
    del raw["assets"]["documents"]["baseline"]["dump"]

    assert decode_manifest(json.dumps(raw).encode()) == manifest(schema=1)


def test_manifest_says_how_old_each_asset_s_data_was() -> None:
    whole = manifest()
    dumps = replace(
        whole.assets["documents"],
        kind=AssetKind.SMB,
        data_as_of=_AT,
        baseline=FilesBaseline(
            level=Level.COUNTS,
            files=1,
            bytes=5,
            listing="12",
            key="00",
            dump=FileBaseline(path="ab", bytes=5, sha256="cd"),
        ),
    )
    told = replace(whole, data_as_of=_AT, assets={**whole.assets, "dumps": dumps})

    assert decode_manifest(encode_manifest(told)) == told


@pytest.mark.parametrize(
    "content",
    [
        _changed("assets", "database", "snapshot", to="abc123"),
        _changed("assets", "database", "path", to="/srv/../etc"),
        _changed("assets", "database", "path", to="relative"),
        _changed("point", to="20261121\x1b[2J"),
        _changed("run", to="no\0name"),
        _changed("label", to="before\x008.1"),
        _changed("assets", "database", "sidecars", to=["../../etc/passwd"]),
        _changed("assets", to={}).replace(b'"assets": {}', b'"assets": []'),
        _changed("as_of", to="2026-11-21T19:15:00"),
        _changed("skew_seconds", to="much"),
        _changed("skew_seconds", to=-1),
        _changed("skew_seconds", to=float("nan")),
        _changed("skew_seconds", to=1e300),
        _changed("assets", "documents", "data_as_of", to="2026-11-21T19:15:00"),
        _changed("as_of", to="0001-01-01T00:00:00+09:00"),
        _changed("recoverable", "end", to="9999-12-31T23:59:59-09:00"),
        _changed("assets", "documents", "bytes", to=10**40),
        b'{"schema":' + b"[" * 100_000,
        encode_manifest(manifest())[:-200],
        b"",
        b"[]",
        b"\xff\xfe",
    ],
    ids=[
        "short-id",
        "path-that-climbs",
        "relative-path",
        "name-that-moves-a-cursor",
        "run-that-no-database-takes",
        "label-that-no-database-takes",
        "sidecar-that-is-a-path",
        "assets-not-an-object",
        "time-without-zone",
        "wrong-type",
        "before-itself",
        "not-a-number",
        "longer-than-time",
        "data-time-without-zone",
        "time-before-time",
        "time-after-time",
        "more-than-anything",
        "deeper-than-anything",
        "cut-off",
        "empty",
        "not-an-object",
        "not-text",
    ],
)
def test_what_is_not_a_sound_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        decode_manifest(content)


@given(st.binary(max_size=200))
def test_bytes_never_raise_anything_else(content: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        decode_manifest(content)
