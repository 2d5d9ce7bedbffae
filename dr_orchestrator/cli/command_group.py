"""A group of commands, each imported only when it runs or is asked for help.

At 3 am nobody waits for what the others need. It must import nothing of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

import click


class CommandGroup(click.Group):
    """Commands that lie elsewhere, beside those that are added to it."""

    def __init__(
        self,
        *,
        beginning: str,
        elsewhere: Mapping[str, str],
        hidden: Collection[str] = (),
        **given: Any,
    ) -> None:
        """Take the names: `elsewhere` has the short help of each, and help says nothing of
        `hidden`. Each is `command` of the module whose name goes on after `beginning`.
        """
        super().__init__(**given)
        self._beginning = beginning
        self._elsewhere = elsewhere
        self._hidden = hidden

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names for help: those of our own first."""
        return [*super().list_commands(ctx), *self._elsewhere]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, importing no other; `None` where there is none."""
        if cmd_name not in {*self._elsewhere, *self._hidden}:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(f"{self._beginning}{cmd_name}").command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any of them."""
        own = [(name, each.get_short_help_str()) for name, each in sorted(self.commands.items())]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *self._elsewhere.items()])
