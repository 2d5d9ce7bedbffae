"""What a dump of MariaDB says of itself, and what of it the client gets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.assets.mariadb_script import pieces, survey
from dr_orchestrator.servers.mariadb_programs import Vendor, Version
from tests.support.dumps import MARIADB

ALL = r"""-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for Win64 (AMD64)
-- Host: localhost    Database:
-- Server version	10.6.12-MariaDB
CHANGE MASTER TO MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=4;
/*!40000 DROP DATABASE IF EXISTS `emr`*/;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `emr` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;
USE `emr`;
CREATE TABLE `a` (`x` int);
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`o``x`@`localhost`*/ /*!50003 TRIGGER tt before insert on a
for each row set new.x=1 */;;
CREATE DEFINER=`r`@`%` PROCEDURE `p`() select 1;;
DELIMITER ;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;
USE `mysql`;
DROP TABLE IF EXISTS `user`;
INSERT INTO `user` VALUES ('root');
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `billing``s` /*!40100 DEFAULT CHARACTER SET latin1 */;
USE `billing``s`;
CREATE TABLE `b` (`x` int);
USE `emr`;
/*!50013 DEFINER=`v`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select 1 */;
-- Dump completed on 2026-11-22 15:06:55
"""


def fed(script: str, *, in_place: bool, block: int = 1_000_000) -> str:
    return b"".join(pieces(blocks(script, block), in_place=in_place)).decode()


def blocks(script: str, block: int) -> list[bytes]:
    content = script.encode()
    return [content[at : at + block] for at in range(0, len(content), block)]


def test_survey_tells_server_and_database() -> None:
    found = survey((MARIADB.encode(),))
    assert found.version == Version(Vendor.MARIADB, (10, 11, 19))
    assert (found.database, found.databases, found.of_the_server) == ("emr", (), False)
    assert found.is_whole
    assert not found.on_windows


def test_survey_tells_all_databases_and_whom_things_run_as() -> None:
    found = survey((ALL.encode(),))
    assert found.version == Version(Vendor.MARIADB, (10, 6, 12))
    assert (found.database, found.databases) == ("", ("emr", "billing`s"))
    assert found.of_the_server
    assert found.on_windows
    assert found.definers == ("o`x@localhost", "r@%", "v@localhost")


@pytest.mark.parametrize(
    ("stated", "vendor"),
    [
        ("8.0.36-0ubuntu0.22.04.1", Vendor.MYSQL),
        ("5.7.44-log", Vendor.MYSQL),
        ("5.5.5-10.3.39-MariaDB", Vendor.MARIADB),
    ],
)
def test_survey_goes_by_the_server_and_not_by_the_program_that_dumped(
    stated: str, vendor: Vendor
) -> None:
    found = survey((MARIADB.replace("10.11.19-MariaDB-0+deb12u1", stated).encode(),))
    assert found.version is not None
    assert found.version.vendor is vendor


@given(cut=st.integers(MARIADB.index("dump 10"), MARIADB.index("completed") + len("completed") - 1))
@settings(max_examples=60)
def test_no_beginning_of_a_dump_passes_for_all_of_it(cut: int) -> None:
    assert survey((MARIADB[:cut].encode(),)).is_whole is not True


def test_a_dump_without_comments_ends_where_it_gives_the_settings_back() -> None:
    without = "".join(line for line in MARIADB.splitlines(True) if not line.startswith("--"))
    assert survey((without.encode(),)).is_whole is True
    assert survey((without.partition("/*!40111 SET SQL_NOTES")[0].encode(),)).is_whole is False
    compact = without.replace("/*!40111", "/*!99999")
    assert survey((compact.encode(),)).is_whole is None


@pytest.mark.parametrize("script", [MARIADB, ALL, MARIADB.replace("\n", "\r\n")])
@given(block=st.integers(1, 400), in_place=st.booleans())
@settings(max_examples=40)
def test_it_makes_no_difference_how_a_dump_is_read(script: str, block: int, in_place: bool) -> None:
    assert survey(blocks(script, block)) == survey((script.encode(),))
    assert fed(script, in_place=in_place, block=block) == fed(script, in_place=in_place)


def test_the_client_gets_a_dump_as_it_is_but_for_the_line_that_refuses_commands() -> None:
    assert fed(MARIADB, in_place=True) == MARIADB.partition("\n")[2]


def test_the_client_gets_neither_the_servers_own_databases_nor_a_master() -> None:
    script = fed(ALL, in_place=True)
    assert "mysql" not in script
    assert "root" not in script
    assert "CHANGE MASTER" not in script
    head, _, tail = ALL.partition("CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql`")
    kept = head + tail[tail.index("CREATE DATABASE") :]
    assert script.split() == [
        word for line in kept.splitlines() if not line.startswith("CHANGE") for word in line.split()
    ]


def test_the_client_is_led_nowhere_else_where_it_is_to_stay() -> None:
    script = fed(ALL.replace("`billing``s`", "`emr`"), in_place=False)
    for elsewhere in ("USE ", "CREATE DATABASE", "DROP DATABASE"):
        assert elsewhere not in script
    assert "CREATE TABLE `a`" in script
