"""What a script of pg_dump says of itself, and what of it psql gets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.assets.postgres_script import parts, survey
from tests.support.dumps import POSTGRES

CLUSTER = r"""--
-- PostgreSQL database cluster dump
--
\restrict Qx1
SET client_encoding = 'UTF8';
DROP DATABASE "dr. who's";
DROP ROLE emr_owner;
CREATE ROLE emr_owner;
ALTER ROLE emr_owner WITH NOSUPERUSER INHERIT LOGIN;
CREATE TABLESPACE fast OWNER postgres LOCATION '/mnt/fast';
GRANT CREATE ON TABLESPACE fast TO emr_owner;
\unrestrict Qx1
--
-- PostgreSQL database dump
--
-- Dumped from database version 14.9
-- Dumped by pg_dump version 17.6
UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'template1';
DROP DATABASE template1;
CREATE DATABASE template1 WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C';
\connect template1
COMMENT ON DATABASE template1 IS 'default template for new databases';
--
-- PostgreSQL database dump complete
--
--
-- PostgreSQL database dump
--
CREATE DATABASE "dr. who's" WITH TEMPLATE = template0 ENCODING = 'LATIN1' LOCALE_PROVIDER = icu LC_COLLATE = 'de_DE' LC_CTYPE = 'de_AT' ICU_LOCALE = 'de-x' TABLESPACE = fast;
ALTER DATABASE "dr. who's" OWNER TO emr_owner;
\encoding SQL_ASCII
\connect -reuse-previous=on "dbname='dr. who\'s'"
CREATE TABLE public.patient (id integer);
ALTER TABLE public.patient OWNER TO emr_owner;
--
-- PostgreSQL database dump complete
--
--
-- PostgreSQL database cluster dump complete
--
"""  # noqa: E501 - as pg_dumpall writes it
CLEAN = r"""
-- PostgreSQL database dump
DROP POLICY seen ON s.t;
ALTER TABLE ONLY s.t DROP CONSTRAINT t_pkey;
SELECT pg_catalog.lo_unlink('77');
DROP TABLE s.t;
DROP SCHEMA s;
DROP SCHEMA IF EXISTS public;
CREATE SCHEMA public;
CREATE TABLE s.t (id integer);
CREATE FUNCTION s.f() RETURNS void LANGUAGE sql AS $$
DROP TABLE s.t;
$$;
-- PostgreSQL database dump complete
"""


def fed(script: str, block: int = 1_000_000) -> list[tuple[str | None, str]]:
    return [(name, b"".join(pieces).decode()) for name, pieces in parts(blocks(script, block))]


def blocks(script: str, block: int) -> list[bytes]:
    content = script.encode()
    return [content[at : at + block] for at in range(0, len(content), block)]


def test_survey_tells_versions_roles_and_encoding_and_looks_into_no_row() -> None:
    found = survey((POSTGRES.encode(),))
    assert (found.server_major, found.major, found.encoding) == (15, 15, "UTF8")
    assert found.roles == ("Dr. O", "postgres", "emr_reader")
    assert (found.begun, found.ended, found.is_whole) == (1, 1, True)
    assert found.databases == {}
    assert not found.is_of_a_cluster


def test_survey_tells_the_databases_of_a_cluster_and_how_they_are_made() -> None:
    found = survey((CLUSTER.encode(),))
    assert found.is_of_a_cluster
    assert found.is_whole
    assert (found.server_major, found.major) == (14, 17)
    assert found.roles == ()
    assert found.databases == {
        "template1": {"encoding": "UTF8", "collate": "C", "ctype": "C"},
        "dr. who's": {
            "encoding": "LATIN1",
            "collate": "de_DE",
            "ctype": "de_AT",
            "locale_provider": "i",
            "locale": "de-x",
        },
    }


@pytest.mark.parametrize(
    ("line", "roles"),
    [
        ('ALTER FUNCTION s.f(a integer, b text) OWNER TO "a""b";', ('a"b',)),
        ("GRANT SELECT,INSERT ON TABLE s.t TO reader WITH GRANT OPTION;", ("reader",)),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC;", ()),
        ("GRANT pg_read_all_data TO reader;", ("reader",)),
        ("ALTER TABLE s.t OWNER TO pg_database_owner;", ()),
        ("SET SESSION AUTHORIZATION 'Dr. O';", ("Dr. O",)),
        ("SET SESSION AUTHORIZATION DEFAULT;", ()),
        ("CREATE SCHEMA s AUTHORIZATION owner;", ("owner",)),
        ("CREATE USER MAPPING FOR reader SERVER far OPTIONS (x 'y');", ("reader",)),
        ('CREATE POLICY p ON s.t FOR SELECT TO a, "b c" USING ((id > 1));', ("a", "b c")),
        ("CREATE POLICY p ON s.t TO PUBLIC WITH CHECK (true);", ()),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE o IN SCHEMA s GRANT SELECT ON TABLES  TO r;",
            ("o", "r"),
        ),
        ("CREATE ROLE o;\nALTER TABLE t OWNER TO o;", ()),
        ("COPY s.t (a) FROM stdin;\nGRANT x TO nobody_there;\n\\.", ()),
    ],
)
def test_survey_finds_every_role_that_a_script_needs_and_does_not_make(
    line: str, roles: tuple[str, ...]
) -> None:
    for end in ("\n", "\r\n", ""):
        assert survey((line.replace("\n", end or "\n").encode() + end.encode(),)).roles == roles


@pytest.mark.parametrize("script", [POSTGRES, CLUSTER, CLEAN])
@given(data=st.data())
@settings(max_examples=40)
def test_no_beginning_of_a_script_passes_for_all_of_it(script: str, data: st.DataObject) -> None:
    end = script.rindex("dump complete") + len("dump complete")
    begin = script.index("dump\n") + len("dump\n")
    cut = data.draw(st.integers(begin, end - 1))
    assert survey((script[:cut].encode(),)).is_whole is False


def test_a_script_that_does_not_say_where_it_ends_is_neither_whole_nor_cut_off() -> None:
    without = "".join(line for line in POSTGRES.splitlines(True) if not line.startswith("--"))
    assert survey((without.encode(),)).is_whole is None


@pytest.mark.parametrize("script", [POSTGRES, CLUSTER, CLEAN, POSTGRES.replace("\n", "\r\n")])
@given(block=st.integers(1, 400))
@settings(max_examples=40)
def test_it_makes_no_difference_how_a_script_is_read(script: str, block: int) -> None:
    assert survey(blocks(script, block)) == survey((script.encode(),))
    assert fed(script, block) == fed(script)


def test_psql_gets_a_dump_as_it_is_but_for_places_and_commands() -> None:
    ((database, script),) = fed(POSTGRES)
    assert database is None
    for left_out in ("\\restrict hNQPgWt4", "\\unrestrict hNQPgWt4"):
        assert left_out not in script
    assert "default_tablespace" not in script
    gone = ("\\restrict", "\\unrestrict", "SET default_tablespace")
    kept = [line for line in POSTGRES.splitlines() if line and not line.startswith(gone)]
    assert [line for line in script.splitlines() if line] == kept


def test_psql_gets_each_database_by_itself_and_no_command() -> None:
    names = [name for name, _ in fed(CLUSTER)]
    assert names == [None, "template1", "dr. who's"]
    for _, script in fed(CLUSTER):
        assert "\\" not in script
        assert "CREATE DATABASE" not in script
        assert "DROP" not in script
        assert "TABLESPACE" not in script
    assert "CREATE ROLE emr_owner;" in fed(CLUSTER)[0][1]
    assert "CREATE TABLE public.patient" in fed(CLUSTER)[2][1]


def test_what_clean_removes_is_left_out_until_something_is_made() -> None:
    ((_, script),) = fed(CLEAN)
    before, _, after = script.partition("CREATE SCHEMA public")
    statements = [line for line in before.splitlines() if line and not line.startswith("--")]
    assert statements == ["DROP SCHEMA IF EXISTS s;", "DROP SCHEMA IF EXISTS public;"]
    assert after == CLEAN.partition("CREATE SCHEMA public")[2]
