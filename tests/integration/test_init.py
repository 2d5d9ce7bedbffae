"""`dro init --from`: a first plan out of real servers, files and a SQLite database."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr_orchestrator.plan.load import load_plan
from tests.support import mariadb, postgres
from tests.support.site import Ended, Site, make_small_practice, new_site

_EMR_OF_OTHERS = """
create table patient_data (id int primary key, name text);
create table form_encounter (id int primary key, updated datetime, key (updated));
create table globals (gl_name varchar(63), gl_value text) engine=MyISAM;
insert into form_encounter select seq, now() from seq_1_to_50;
analyze table form_encounter;
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site(repository=False) as made:
        make_small_practice(made)
        made.plan.unlink()
        yield made


def _init(site: Site, *words: str, typed: str = "") -> Ended:
    done = subprocess.run(
        (*site.argv, "init", "riverside", *words),
        env=site.environment | {"EMR_DB_PASSWORD": mariadb.BACKUP_PASSWORD},
        cwd=site.folder,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_init_writes_a_plan_of_what_a_server_and_a_folder_hold(site: Site) -> None:
    with postgres.production() as server, server.database("emr", postgres.EMR):
        server.run("create unlogged table scratch (id int)", "emr")
        url = f"postgres://backup@/emr?host={server.host}&sslmode=disable"
        done = _init(
            site, "--from", url, "--files", str(site.documents), "--json",
            typed=postgres.BACKUP_PASSWORD + "\n",
        )  # fmt: skip
    assert done.code == 0, done.said
    plan = load_plan(site.plan)
    text = site.plan.read_text()
    (system,) = plan.plan.protected.values()
    password = Path(done.json["passwords"]["database"])

    assert (password.parent, password.stat().st_mode & 0o777) == (site.folder / "keys", 0o600)
    assert password.read_text() == postgres.BACKUP_PASSWORD + "\n"
    assert postgres.BACKUP_PASSWORD not in done.said + text
    assert postgres.PATIENT not in done.said + text
    assert {name: each.kind.value for name, each in system.assets.items()} == {
        "database": "postgres",
        "documents": "files",
    }
    assert "# PostgreSQL 15." in text
    assert "unlogged, so empty after a crash: public.scratch" in text
    assert "extensions, which restore tests need here too: pg_trgm" in text
    assert "# the first backup reads about" in text
    assert site.dro("plan", "validate", "riverside").code == 0


def test_init_knows_an_emr_by_its_tables_and_offers_its_newest_row(site: Site) -> None:
    with mariadb.production() as server, server.database("emr", _EMR_OF_OTHERS):
        url = f"mariadb://backup@127.0.0.1:{server.port}/emr"
        known = _init(
            site, "--from", url, "--files", str(site.documents),
            "--password-env", "EMR_DB_PASSWORD",
        )  # fmt: skip
        assert known.code == 0, known.said
        plan = load_plan(site.plan)
        (system,) = plan.plan.protected.values()
        assert [getattr(each, "pack", "") for each in system.verify] == ["", "openemr"]
        assert system.assets["database"].password.env == "EMR_DB_PASSWORD"  # type: ignore[union-attr]
        assert "1 table without transactions, locked while dumped: globals" in plan.text

        alone = _init(
            site, "--from", url, "--out", "alone.yaml", "--password-env", "EMR_DB_PASSWORD"
        )
    assert alone.code == 2  # the key of the first one is in the way
    assert "keys/riverside exists already" in alone.stderr


def test_init_writes_the_plan_of_what_it_could_not_reach_and_says_so(site: Site) -> None:
    done = _init(
        site,
        "--from", "mysql://backup@127.0.0.1:1/emr", "--from", f"sqlite://{site.database}",
        "--files", str(site.folder / "not-mounted"), "--to", "/mnt/backup/riverside", "--json",
        typed="\n",
    )  # fmt: skip
    assert done.code == 3, done.said
    plan = load_plan(site.plan)
    (system,) = plan.plan.protected.values()

    troubles = {each["name"]: each["trouble"] is not None for each in done.json["assets"]}
    assert troubles == {"emr": True, "emr-2": False, "documents": True}
    assert list(system.assets) == list(troubles)
    assert plan.plan.repositories["onsite"].location == "/mnt/backup/riverside"
    assert "cannot be reached" in done.stderr
    assert plan.text.count("# DECIDE: could not be backed up now") == 2
    assert "# SQLite, journal mode" in plan.text
