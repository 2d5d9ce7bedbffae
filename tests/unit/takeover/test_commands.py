"""Every program that a plan names is shown to a person, and a location that is one is found."""

from __future__ import annotations

import pytest

from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.plan.model import CommandAsset, Plan, RunCheck
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.takeover.commands import commands_in, locations_that_run

PLAN = """\
version: 1
practice: {id: riverside, name: Riverside}
repositories:
  onsite: {location: LOCATION, password: {command: [vault, read, onsite]}}
systems:
  erp:
    rto: 4h
    rpo: 1h
    assets:
      dump:
        kind: command
        dump: [/bin/erpdump, --all]
        restore: [/bin/erpload, "{dump}"]
        secrets: {ERP: {command: [vault, read, erp]}}
    verify:
      - {title: rows, asset: dump, run: [/bin/erpcount, "{folder}"],
         at_capture: [/bin/erpcount, live], expect: baseline}
notify: [{url: {command: [vault, hook]}, on: [failure]}]
"""


def plan(location: str = "/srv/restic") -> Plan:
    return read_plan(PLAN.replace("LOCATION", location).encode(), "plan").plan


def test_commands_in_shows_every_program_with_its_place() -> None:
    assert commands_in(plan()) == (
        "repositories.onsite.password.command: vault read onsite",
        "systems.erp.assets.dump.dump: /bin/erpdump --all",
        "systems.erp.assets.dump.secrets.ERP.command: vault read erp",
        "systems.erp.assets.dump.restore: /bin/erpload '{dump}'",
        "systems.erp.verify[0].run: /bin/erpcount '{folder}'",
        "systems.erp.verify[0].at_capture: /bin/erpcount live",
        "notify[0].url.command: vault hook",
    )


def test_commands_in_knows_every_field_of_program_and_arguments() -> None:
    """Whoever adds one to the plan adds it there, too."""
    argv = [
        name
        for model in (CommandAsset, RunCheck, SecretReference)
        for name, field in model.model_fields.items()
        if "tuple[str" in str(field.annotation)
    ]
    assert sorted(argv) == ["at_capture", "command", "dump", "restore", "run"]


@pytest.mark.parametrize(
    "location",
    [
        "rclone::sftp,ssh=program:/x",
        "rclone:remote,ssh=program:/x",
        "rclone:--sftp-ssh=program",
        "sftp:-oProxyCommand=program:/x",
        "sftp:backup@-oProxyCommand=program:/x",
        "sftp://-oProxyCommand=program/x",
    ],
)
def test_location_that_is_an_option_of_a_program_is_found(location: str) -> None:
    assert locations_that_run(plan(f'"{location}"')) == (f"repositories.onsite: {location}",)


@pytest.mark.parametrize(
    "location",
    [
        "/srv/a,b",
        "rclone:remote:folder/a,b",
        "sftp:backup@host-a:/x",
        "sftp://backup@host/-x",
        "s3:https://s3.amazonaws.com/a-b",
        "rest:https://host/a,b",
    ],
)
def test_location_of_a_place_is_no_program(location: str) -> None:
    assert locations_that_run(plan(f'"{location}"')) == ()
