"""Whether this machine has the programs that a recovery point takes to be loaded.

A point stays as old as it is when production's server is upgraded: a dump loads with programs of
its server's version or newer ones, copied files start under that version alone.
"""

from __future__ import annotations

from dr_orchestrator.assets import mariadb_lab_restoration, postgres_lab_restoration
from dr_orchestrator.assets import mariadb_logical_restoration as mariadb_logical
from dr_orchestrator.assets import mariadb_physical_restoration as mariadb_physical
from dr_orchestrator.assets import postgres_logical_restoration as postgres_logical
from dr_orchestrator.assets import postgres_physical_restoration as postgres_physical
from dr_orchestrator.core.point import AssetSummary, Method
from dr_orchestrator.errors import ProgramMissing
from dr_orchestrator.servers.mariadb_programs import MariadbPrograms, Vendor, Version
from dr_orchestrator.servers.postgres_programs import PostgresPrograms


class LoadingPrograms:
    """The programs of this machine that load what comes back."""

    def __init__(self, postgres: PostgresPrograms, mariadb: MariadbPrograms) -> None:
        self._postgres = postgres
        self._mariadb = mariadb

    def missing_for(self, summary: AssetSummary, has_lab: bool) -> ProgramMissing | None:  # noqa: FBT001 - as the doctor asks
        """Return what is missing to load an asset of a point; `None` where nothing is, or where
        nobody knows what served it. With a lab server of the plan's only clients are needed.
        """
        vendor, _, text = summary.server.partition(" ")
        numbers = tuple(int(each) for each in text.split(".") if each.isdigit())
        try:
            if vendor == "postgres":
                self._require_postgres(numbers[0], summary.method, has_lab=has_lab)
            elif vendor in set(Vendor):
                version = Version(Vendor(vendor), numbers)
                self._require_mariadb(version, summary.method, has_lab=has_lab)
        except ProgramMissing as error:
            return error
        return None

    def _require_postgres(self, major: int, method: Method, *, has_lab: bool) -> None:
        if method is Method.PHYSICAL:
            self._postgres.exactly(major, *postgres_physical.PROGRAMS)
        elif has_lab:
            self._postgres.at_least(major, *postgres_lab_restoration.LabRestoration.programs)
        else:
            self._postgres.at_least(major, *postgres_logical.LogicalRestoration.programs)

    def _require_mariadb(self, version: Version, method: Method, *, has_lab: bool) -> None:
        if method is Method.PHYSICAL:
            self._mariadb.same_series(version, *mariadb_physical.PROGRAMS)
        elif has_lab:
            self._mariadb.at_least(version, *mariadb_lab_restoration.LabRestoration.programs)
        else:
            self._mariadb.at_least(version, *mariadb_logical.LogicalRestoration.programs)
