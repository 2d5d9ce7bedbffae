"""What every place of published status promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.errors import StorageUnusable
from dr_orchestrator.fleet.place import Place, place_at
from tests.support.s3 import BUCKET, PROFILE, S3, s3_server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=["folder", "bucket", "bucket without prefix"])
def place(request: pytest.FixtureRequest, s3: S3, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield place_at(str(tmp_path), None, None)
        return
    prefix = "/dro/status/" if request.param == "bucket" else ""
    yield place_at(f"s3://{BUCKET}{prefix}", PROFILE, s3.endpoint)
    s3.empty()


def test_place_is_empty_at_first(place: Place) -> None:
    assert place.sites() == ()


def test_place_returns_what_was_written(place: Place) -> None:
    place.write("riverside-box", b"one")
    place.write("lakeside-box", b"two")
    assert place.sites() == ("lakeside-box", "riverside-box")
    assert place.read("riverside-box") == b"one"


def test_place_holds_the_newest_file_of_a_site(place: Place) -> None:
    place.write("riverside-box", b"one")
    place.write("riverside-box", b"two")
    assert (place.sites(), place.read("riverside-box")) == (("riverside-box",), b"two")


def test_place_refuses_to_read_what_is_not_there(place: Place) -> None:
    with pytest.raises(StorageUnusable):
        place.read("lakeside-box")


def test_bucket_lists_nothing_below_or_beside_its_prefix(s3: S3) -> None:
    for key in ("dro/a.json", "dro/deeper/b.json", "dro-other/c.json", "d.json", "dro/e.txt"):
        s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    assert place_at(f"s3://{BUCKET}/dro", PROFILE, s3.endpoint).sites() == ("a",)


def test_bucket_that_is_not_there_is_an_error_of_ours(s3: S3) -> None:
    place = place_at("s3://nobody-made-this/dro", PROFILE, s3.endpoint)
    with pytest.raises(StorageUnusable, match="cannot be used: NoSuchBucket") as raised:
        place.write("riverside-box", b"{}")
    assert "make the bucket" in raised.value.hint


def test_bucket_that_nobody_serves_is_an_error_of_ours(s3: S3) -> None:
    place = place_at(f"s3://{BUCKET}", PROFILE, "http://127.0.0.1:9")
    with pytest.raises(StorageUnusable, match="cannot be used: "):
        place.sites()


def test_profile_that_is_not_there_is_an_error_of_ours() -> None:
    with pytest.raises(StorageUnusable, match="S3 cannot be used: ProfileNotFound") as raised:
        place_at(f"s3://{BUCKET}", "nobody", None)
    assert "credentials" in raised.value.hint


def test_endpoint_that_is_no_url_is_an_error_of_ours(s3: S3) -> None:
    with pytest.raises(StorageUnusable, match="S3 cannot be used: ValueError"):
        place_at(f"s3://{BUCKET}", PROFILE, "not a url")


def test_bucket_without_any_key_to_it_is_an_error_of_ours(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageUnusable, match="NoCredentialsError") as raised:
        place_at(f"s3://{BUCKET}", None, s3.endpoint).sites()
    assert "aws_profile" in raised.value.hint
