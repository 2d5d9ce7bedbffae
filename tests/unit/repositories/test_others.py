"""Which snapshots may hold what another tool saves: by path, tag and host, and none of ours."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dr_orchestrator.plan.model import Existing
from dr_orchestrator.repositories.base import Snapshot
from dr_orchestrator.repositories.manifests import asset_tags
from dr_orchestrator.repositories.others import candidates
from tests.support.clock import START
from tests.support.evidence import full_id


def saved(*paths: str, tags: tuple[str, ...] = (), host: str = "vm", hours: int = 0) -> Snapshot:
    """Return a snapshot as restic lists it."""
    return Snapshot(
        id=full_id(paths, tags, host, hours),
        time=START + timedelta(hours=hours),
        hostname=host,
        tags=frozenset(tags),
        paths=paths,
        original=None,
    )


def test_candidates_are_those_saved_under_the_path_oldest_first() -> None:
    newer, older = saved("/srv", hours=2), saved("/srv/emr", "/etc", hours=1)
    listed = [newer, older, saved("/home"), saved("/srv/emr2")]

    assert candidates(Existing(path="/srv/emr/dump.sql"), listed) == (older, newer)


@pytest.mark.parametrize("existing", [{"tag": "nightly"}, {"host": "emr-server"}])
def test_candidates_have_the_tag_and_the_host(existing: dict[str, str]) -> None:
    meant = saved("/srv", tags=("nightly", "full"), host="emr-server")

    found = candidates(Existing(path="/srv", **existing), [meant, saved("/srv", hours=1)])

    assert found == (meant,)


def test_candidates_are_never_ours() -> None:
    ours = saved("/srv", tags=tuple(f"{k}={v}" for k, v in asset_tags("p", "s", "1", "a").items()))

    assert candidates(Existing(path="/srv"), [ours]) == ()


def test_candidates_end_like_the_path_when_restic_was_given_a_relative_one() -> None:
    # reproduced with 0.14: `cd /srv && restic backup emr` lists /srv/emr and holds /emr
    relative = saved("/srv/emr")

    assert candidates(Existing(path="/emr/dump.sql"), [relative, saved("/etc")]) == (relative,)


def test_candidates_saved_under_the_path_go_before_those_that_end_like_it() -> None:
    stream, file = saved("/emr.sql"), saved("/srv/emr.sql")

    assert candidates(Existing(path="/emr.sql"), [stream, file]) == (stream,)


def test_candidates_are_all_when_nothing_is_left_of_the_path() -> None:
    # `cd /srv && restic backup .` lists /srv and holds what lies in it
    here = saved("/srv")

    assert candidates(Existing(path="/documents"), [here]) == (here,)
