"""`dro key`: who can open the backups, and when that was tried."""

from __future__ import annotations

import click

from dr_orchestrator.cli.command_group import CommandGroup

_COMMANDS = {
    "sheet": "make a key for somebody, on a sheet to be sealed",
    "prove": "try a key that somebody holds, and record how that went",
    "list": "list who can open what",
    "revoke": "take keys back",
}


@click.command(cls=CommandGroup, beginning="dr_orchestrator.cli.key_", elsewhere=_COMMANDS)
def command() -> None:
    """Make, try, list and revoke the keys that people hold."""
