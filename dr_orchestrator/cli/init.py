"""`dro init`: write a first plan and a key, with a word wherever a person must decide."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import whole_location
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import ExitCode, PasswordRefused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from dr_orchestrator.adopt.address import Named
    from dr_orchestrator.adopt.probe import Found
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.first import Draft

_MORE_TRIES = 2
"""For a password that a server refused: three in all, as elsewhere where people type one."""


@click.command(
    epilog="""\b
Examples:
  dro init riverside
  dro init riverside --from postgres://backup@10.0.0.5/emr
  dro init riverside --from sqlite:///srv/emr.db --files /srv/scans
"""
)
@click.argument("practice", metavar="ID")
@click.option(
    "--from",
    "urls",
    metavar="URL",
    multiple=True,
    help="a database to protect: postgres://USER@HOST/DATABASE, mariadb://…, mysql://…, "
    "sqlite:///PATH; may be given again",
)
@click.option(
    "--files",
    "folders",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="a folder to protect; may be given again",
)
@click.option("--to", "location", metavar="LOCATION", default="", help="where to keep the backups")
@click.option(
    "--password-env",
    metavar="NAME",
    help="the environment variable that the databases' password is in, here and whenever it is "
    "needed; else it is asked for, and kept in a file beside the key",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the plan there; into the plans folder unless stated",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str,
    *,
    urls: tuple[str, ...],
    folders: tuple[Path, ...],
    location: str,
    password_env: str | None,
    out: Path | None,
    _json: bool,
) -> ExitCode:
    """Write the least plan of the practice ID, and a random key for its repository.

    What `--from` and `--files` name is looked at, and nothing of it is changed or read: how much
    there is, whether all of it may be read, which EMR it is. Nothing that exists is ever written
    over.

    Exit codes: 0 done; 3 the plan is written, and something in it could not be backed up now; 2
    something is in the way.
    """
    from dr_orchestrator.adopt.address import named_assets
    from dr_orchestrator.plan.first import write_first_plan

    location = _whole(location)
    named = named_assets(urls, folders)
    called = str(out or practice)
    out = out or context.settings.plans / f"{practice}.yaml"
    passwords = {} if password_env else _asked_passwords(named)
    found: list[Found] = []

    def describe(files: Mapping[str, Path]) -> Draft:
        for each in named:
            context.say(f"looking at {each.name} …")
            asset = _with_password(each, files, password_env)
            found.append(_probed(context, practice, asset, files.get(each.name), out))
        return _draft(found, out, location)

    first = write_first_plan(practice, out, passwords=passwords, describe=describe)
    for each in found:
        _say_found(context, each)
    context.say(f"wrote {first.plan}: edit the lines marked DECIDE")
    for name, file in first.passwords.items():
        context.say(f"wrote {file}: the password of {name}")
    context.say(f"wrote {first.key}: without this key nobody can read the backups, you neither")
    context.say("print it or put a copy into a vault now, away from this machine")
    context.say(f"then: dro plan validate {first.plan}")
    context.say(f"      dro doctor {called}")
    context.say(f"      dro backup {called}")
    context.say(f"      dro test {called}")
    context.print_json_if_asked(
        {
            "plan": str(first.plan),
            "key": str(first.key),
            "passwords": {name: str(file) for name, file in first.passwords.items()},
            "assets": [_asset_json(each) for each in found],
        }
    )
    return ExitCode.PARTIAL if any(each.trouble for each in found) else ExitCode.OK


def _probed(context: Context, practice: str, named: Named, file: Path | None, plan: Path) -> Found:
    """Look at an asset; where its server refuses the password in `file`, a person at a terminal may
    type it again, and is told at last what to correct.
    """
    from dataclasses import replace

    found = context.app.probe(practice, named)
    for _ in range(_MORE_TRIES if file and sys.stdin.isatty() else 0):
        if not isinstance(found.trouble, PasswordRefused):
            break
        click.echo(f"{found.trouble.message}: type it again", err=True)
        if file and (typed := _typed(_password_words(named))):
            file.write_text(f"{typed}\n", encoding="utf-8")
        found = context.app.probe(practice, named)
    if isinstance(found.trouble, PasswordRefused):
        where = f"{file} or the plan" if file else "the plan"
        hint = f"correct {where}, then `dro plan validate {plan}`"
        return replace(found, trouble=PasswordRefused(found.trouble.message, hint=hint))
    return found


def _whole(location: str) -> str:
    """Return where the backups go; a folder's full path, while a scheme stays for the plan."""
    has_scheme = ":" in location.partition("/")[0]
    return whole_location(location) if location and not has_scheme else location


def _asked_passwords(named: tuple[Named, ...]) -> dict[str, Secret]:
    """Return the passwords that a person types, or one a line where there is no terminal."""
    passwords = {}
    for each in named:
        if each.asks_for_password:
            words = f"{_password_words(each)} (Enter: none is asked for)"
            if typed := _typed(words):
                passwords[each.name] = Secret(typed)
    return passwords


def _password_words(named: Named) -> str:
    asset = named.asset
    return f"password of {getattr(asset, 'user', '')} at {getattr(asset, 'host', '')}"


def _typed(words: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(words, default="", hide_input=True, show_default=False, err=True))
    return sys.stdin.readline().rstrip("\n")


def _with_password(named: Named, files: Mapping[str, Path], environment_name: str | None) -> Named:
    """Return the asset with the reference to its password, as the plan states it."""
    from dataclasses import replace

    from dr_orchestrator.plan.secret_reference import SecretReference

    if not named.asks_for_password:
        return named
    if environment_name is not None:
        reference = SecretReference(env=environment_name)
    elif named.name in files:
        reference = SecretReference(file=str(files[named.name]))
    else:
        return named
    return replace(named, asset=named.asset.model_copy(update={"password": reference}))


def _draft(found: list[Found], out: Path, location: str) -> Draft:
    from dr_orchestrator.adopt.first_draft import first_draft
    from dr_orchestrator.packs.load import find_packs, load_pack
    from dr_orchestrator.settings import machine_zone

    zone: ZoneInfo = machine_zone()
    files = find_packs(out.parent).values() if found else ()
    packs = [load_pack(file).pack for file in files]
    return first_draft(found, packs, zone=zone, zone_name=zone.key, location=location)


def _say_found(context: Context, found: Found) -> None:
    from dr_orchestrator.adopt.first_draft import outline_words
    from dr_orchestrator.cli.output import say_error

    if found.outline is not None:
        context.say(f"{found.named.name}: {outline_words(found.outline)}")
    for error in filter(None, (found.trouble, found.unloadable)):
        say_error(error)


def _asset_json(found: Found) -> dict[str, object]:
    trouble = found.trouble
    return {
        "name": found.named.name,
        "kind": found.named.asset.kind.value,
        "bytes": found.outline.bytes if found.outline else None,
        "trouble": trouble and {"message": trouble.message, "hint": trouble.hint},
    }
