"""`dro runbook`: what there is to follow when something has happened."""

from __future__ import annotations

import click

from dr_orchestrator.cli.command_group import CommandGroup

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


@click.group(
    cls=CommandGroup,
    beginning="dr_orchestrator.cli.runbook_",
    elsewhere=_COMMANDS,
    epilog="""\b
Examples:
  dro runbook list riverside
  dro runbook show emr-server-lost riverside --system emr
""",
)
def command() -> None:
    """Read and follow the steps for when something has happened."""
