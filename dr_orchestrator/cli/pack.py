"""`dro pack`: list and show what is known about EMRs. Runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dr_orchestrator.errors import ExitCode

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.packs.load import LoadedPack


@click.group(
    epilog="""\b
Examples:
  dro pack list
  dro pack show openemr
"""
)
def command() -> None:
    """List and show packs: the checks that know an EMR.

    Built-in packs, and those in `packs/` beside the plans.
    """


@command.command(
    name="list",
    epilog="""\b
Example:
  dro pack list --json
""",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def list_(context: Context, *, _json: bool) -> ExitCode:
    """List the packs there are, and what each was tried on."""
    from dr_orchestrator.packs.load import find_packs, load_pack

    packs = [load_pack(path) for path in find_packs(context.settings.plans).values()]
    for loaded in packs:
        pack = loaded.pack
        context.say(f"{pack.name:14} {pack.title:14} {_origin(loaded)}")
        context.say(f"{'':14} tried on {_tried(loaded)}")
    context.print_json_if_asked({"packs": [_summary(each) for each in packs]})
    return ExitCode.OK


@command.command(
    epilog="""\b
Example:
  dro pack show openemr
"""
)
@click.argument("name")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def show(context: Context, name: str, *, _json: bool) -> ExitCode:
    """Show the pack NAME, as its file has it: every query that it asks."""
    from dr_orchestrator.packs.load import find_pack

    loaded = find_pack(name, context.settings.plans)
    if context.json:
        content = loaded.pack.model_dump(mode="json", exclude_none=True)
        context.print_json({**_summary(loaded), "pack": content})
    else:
        click.echo(loaded.text, nl=False)
    return ExitCode.OK


def _summary(loaded: LoadedPack) -> dict[str, Any]:
    pack = loaded.pack
    return {
        "name": pack.name,
        "title": pack.title,
        "file": str(loaded.path),
        "built_in": loaded.built_in,
        "versions": list(pack.emr_version.tried) if pack.emr_version else [],
        "tried_on": pack.tried_on,
        "roles": {role: [kind.value for kind in each.kinds] for role, each in pack.roles.items()},
        "checks": [fact.title for fact in pack.checks],
    }


def _origin(loaded: LoadedPack) -> str:
    return "built in" if loaded.built_in else str(loaded.path)


def _tried(loaded: LoadedPack) -> str:
    version = loaded.pack.emr_version
    return (f"version {', '.join(version.tried)}: " if version else "") + loaded.pack.tried_on
