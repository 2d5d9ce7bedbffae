"""Commands for psql are found wherever psql would find one, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets.postgres_commands import without_commands
from dr_orchestrator.assets.postgres_script import parts
from dr_orchestrator.errors import LoadFailed
from tests.support.dumps import POSTGRES
from tests.unit.assets.test_postgres_script import CLEAN, CLUSTER

HONEST = r"""SET standard_conforming_strings = on;
CREATE VIEW v AS SELECT 'C:\' AS a, E'it''s \' \\' AS b, "odd\name" AS c, a$b$ AS d -- \d
 /* \x /* \y */ \z */ WHERE t ~ '^\d+$' AND (x = $1);
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$
COPY public.patient FROM stdin;
\set inside
$$ \x $$
$_$;
INSERT INTO t VALUES (1, 'a
\connect elsewhere
''b\');
COPY public."a;b" (id, "FROM stdin;") FROM stdin;
1	\N
\\.
it's
\.
SELECT 1;
"""
COMMANDS = (
    "\\set ON_ERROR_STOP off\n",
    "SELECT 1 \\g /tmp/x\n",
    "SELECT 1; \\! id\n",
    "SELECT 'a' AS\nCOPY, 2 FROM stdin;\n\\set x\n",
    "SELECT (;\nCOPY x FROM stdin;\n\\set x\n",
    "SELECT $$\nCOPY x FROM stdin;\n$$;\n\\! id\n\\.\n",
    "-- '\n\\! id\n",
    "/* /* */ */ \\! id",
    "SELECT name$$ \\! $$;\n",
    "SET standard_conforming_strings = off;\nSELECT '\\' ';\n\\set x\n--'\n",
    "COPY t FROM stdin;\n\\.\n\\! id\n",
)


def read(script: str, block: int) -> bytes:
    content = script.encode()
    pieces = [content[at : at + block] for at in range(0, len(content), block)]
    return b"".join(without_commands(pieces))


@given(block=st.integers(1, 400))
def test_honest_script_passes_as_it_is_however_it_is_read(block: int) -> None:
    assert read(HONEST, block) == HONEST.encode()


@pytest.mark.parametrize("script", [POSTGRES, CLUSTER, CLEAN, POSTGRES.replace("\n", "\r\n")])
def test_dump_passes_once_what_is_said_otherwise_was_left_out(script: str) -> None:
    for _, pieces in parts((script.encode(),)):
        assert list(without_commands(pieces))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("block", [3, 10_000])
def test_command_is_refused_wherever_psql_would_obey_it(command: str, block: int) -> None:
    for before in ("", HONEST):
        with pytest.raises(LoadFailed, match="commands for psql"):
            read(before + command, block)
