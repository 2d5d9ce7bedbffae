"""What is fine is not called damaged: nobody looks at an alarm that cries every night."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from tests.support.site import Site, make_small_practice, new_site

_NEWEST = """\
      - title: the newest visit is the one of capture
        asset: database
        sql: select max(seen_at) from visit
        expect: baseline
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        make_small_practice(site)
        yield site
        assert site.leftovers() == []


def test_a_time_zone_that_changed_in_the_plan_is_no_damage(site: Site) -> None:
    text = site.plan.read_text().replace("    verify:\n", f"    verify:\n{_NEWEST}")
    site.plan.write_text(text)
    assert site.dro("backup", "riverside").code == 0
    site.plan.write_text(
        text.replace("America/Chicago", "Europe/Berlin").replace(", timezone: UTC}", "}")
    )

    ended = site.dro("test", "riverside", "--json")

    assert ended.code == 0, ended.said
    checks = ended.json["tests"][0]["verifications"]
    assert "the newest visit is the one of capture" in {each["title"] for each in checks}


def test_a_damaged_page_in_production_does_not_keep_the_rest_from_being_backed_up(
    site: Site,
) -> None:
    with contextlib.closing(sqlite3.connect(site.database)) as database:
        with database:
            database.execute("create table numbered (id integer primary key autoincrement)")
            database.execute("insert into numbered values (null)")
        (page,) = database.execute(
            "select rootpage from sqlite_master where name = 'sqlite_sequence'"
        ).fetchone()
        (size,) = database.execute("pragma page_size").fetchone()
    with site.database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    backup = site.dro("backup", "riverside", "--json")

    assert backup.code == 0, backup.said
    assert set(backup.json["points"][0]["assets"]) == {"database", "documents"}
    tested = site.dro("test", "riverside", "--json")
    assert tested.code == 1, tested.said
    assert "damaged already when it was captured" in tested.json["tests"][0]["reason"]
