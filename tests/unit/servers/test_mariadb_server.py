from __future__ import annotations

import pytest

from dr_orchestrator.errors import CouldNotVerify, DroError, LoadFailed, SpaceExhausted
from dr_orchestrator.servers.mariadb_server import unusable


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("0 [ERROR] InnoDB: Database page corruption on disk or a failed read", LoadFailed),
        ("0 [ERROR] InnoDB: Invalid log block checksum. block: 8 checkpoint no: 1", LoadFailed),
        ("0 [ERROR] Fatal error: Can't open and lock privilege tables", LoadFailed),
        ("0 [Warning] InnoDB: checksum\n0 [ERROR] Can't start server: Bind", CouldNotVerify),
        ("0 [ERROR] InnoDB: Unsupported redo log format; corrupt?", CouldNotVerify),
        ("0 [ERROR] mariadbd: Disk full (/x); No space left on device", SpaceExhausted),
        ("", CouldNotVerify),
    ],
)
def test_unusable_tells_damage_from_what_this_machine_lacks(log: str, kind: type[DroError]) -> None:
    assert type(unusable(log, "it did not start")) is kind
