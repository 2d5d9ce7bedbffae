"""`dro runbook`: what there is to follow when something has happened.

A sub-command's module is imported only when it runs or is asked for help: at 3 am nobody waits for
the others.
"""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "list": "say which runbooks there are, for which systems, and what was rehearsed",
    "show": "show the steps of a runbook, with the values of a practice filled in",
    "start": "follow a runbook, as a rehearsal or because it happened",
    "resume": "go on where somebody left, here or on another machine",
    "status": "say which runbooks are being followed, and where each stands",
    "timeline": "print all that was done in an incident, by whom and when",
    "kit": "make the packet for when everything of ours is gone",
}
"""Name -> short help, of `command` in `cli/runbook_NAME.py`."""


class _Commands(click.Group):
    """The sub-commands by name, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"dr_orchestrator.cli.runbook_{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    epilog="""\b
Examples:
  dro runbook list riverside
  dro runbook show emr-server-lost riverside --system emr
""",
)
def command() -> None:
    """Read and follow the steps for when something has happened."""
