from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dr_orchestrator.doctor.certificates import remaining
from dr_orchestrator.doctor.complaint import Kind
from dr_orchestrator.doctor.repositories import https_place
from tests.support.certificate import make_certificate

_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "kind", "words"),
    [
        (15, None, ""),
        (13, Kind.CERTIFICATE_ENDS, "it ends on 5 December 2026, in 13 d"),
        (-1, Kind.CERTIFICATE_OVER, "it ended on 21 November 2026"),
    ],
)
def test_certificate_is_complained_of_two_weeks_before_it_ends(
    days: int, kind: Kind | None, words: str
) -> None:
    certificate = make_certificate(_NOW + timedelta(days=days)).der

    found = [each[:2] for each in remaining(certificate, "it", _NOW, UTC)]

    assert found == ([] if kind is None else [(kind, words)])


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("/srv/restic", None),
        ("sftp:backup@nas:/restic", None),
        ("rest:http://nas:8000/", None),
        ("rest:https://user@nas:8443/riverside", ("nas", 8443)),
        ("s3:https://s3.us-east-2.amazonaws.com/bucket", ("s3.us-east-2.amazonaws.com", None)),
        ("s3:minio.example:9000/bucket", ("minio.example", 9000)),
        ("s3:http://minio.example:9000/bucket", None),
    ],
)
def test_https_place_is_where_restic_connects_to(
    location: str, place: tuple[str, int | None] | None
) -> None:
    assert https_place(location) == place
