"""Dumps as other people's jobs leave them in a repository."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from dr_orchestrator.core.point import AssetKind, AssetState, Method
from tests.support import mariadb, postgres
from tests.support.tools import require_tool

POSTGRES = r"""--
-- PostgreSQL database dump
--

\restrict hNQPgWt4

-- Dumped from database version 15.4 (Debian 15.4-1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET default_tablespace = fast;

CREATE TABLE public.patient (
    id integer NOT NULL,
    name text
);


ALTER TABLE public.patient OWNER TO "Dr. O";

COPY public.patient (id, name) FROM stdin;
1	Zebedee Canaryson
2	\N
\.


CREATE TABLE public.note (
    text text
);


ALTER TABLE public.note OWNER TO postgres;

COPY public.note (text) FROM stdin;
-- PostgreSQL database dump
\\connect elsewhere
GRANT SELECT ON TABLE public.patient TO nobody_at_all;
DROP DATABASE emr;
\.


GRANT SELECT ON TABLE public.patient TO emr_reader;


--
-- PostgreSQL database dump complete
--

\unrestrict hNQPgWt4

"""
"""What pg_dump writes of a table, and of another, whose rows look like a script."""

MARIADB = r"""/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: emr
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1

/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

DROP TABLE IF EXISTS `patient`;
CREATE TABLE `patient` (
  `id` int(11) NOT NULL,
  `name` text DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO `patient` VALUES
(1,'Zebedee Canaryson'),
(2,'\nUSE `mysql`;\n');

/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-22 15:06:55
"""
"""What mariadb-dump writes of one table."""


def dump_state(kind: AssetKind, dump: Path) -> AssetState:
    """Return all that a manifest says of a dump that somebody else made."""
    return AssetState(
        kind=kind,
        method=Method.DUMP,
        scope="file",
        snapshot="0" * 64,
        path=f"/{dump.name}",
        bytes=dump.stat().st_size,
        captured_at=datetime(2026, 11, 21, tzinfo=UTC),
    )


def pg_dump(server: postgres.Production, *options: str, program: str = "pg_dump") -> bytes:
    """Return what pg_dump, or pg_dumpall, writes."""
    login = (f"--host={server.host}", f"--port={server.port}", f"--username={postgres.SUPERUSER}")
    return _output(str(require_tool(program)), *login, *options)


def mariadb_dump(server: mariadb.Production, *options: str) -> bytes:
    """Return what mariadb-dump writes."""
    login = (f"--socket={server.host}", "--user=root")
    return _output("mariadb-dump", "--no-defaults", *login, *options)


def _output(*argv: str) -> bytes:
    return subprocess.run(argv, check=True, capture_output=True).stdout
