"""`dro schedule install`: what makes this machine run the scheduler; printed, or written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.schedule.service import CRON_FILE, UNIT, cron_line, service_unit
from dr_orchestrator.whole_file import write_whole

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context

_SYSTEMD, _CRON = Path("/etc/systemd/system"), Path("/etc/cron.d")


@click.command(
    epilog="""\b
Examples:
  dro schedule install
  dro schedule install --write
  dro schedule install --crontab --write
"""
)
@click.option("--crontab", is_flag=True, help="for cron, where there is no systemd")
@click.option("--write", is_flag=True, help="write it, instead of printing it")
@click.option("--force", is_flag=True, help="also over a file that is another")
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help=f"where to write; {_SYSTEMD}, or {_CRON} with --crontab",
)
@click.pass_obj
def command(
    context: Context, *, crontab: bool, write: bool, force: bool, folder: Path | None
) -> ExitCode:
    """Print a hardened systemd unit for the scheduler, or a line for cron.

    The unit may write to our own folders, and to the local folders that the plans name; run this
    again when they name others.

    Exit codes: 0 printed or written; 2 another file is there, or this user may not write it.
    """
    settings, program = context.settings, _program()
    text = (
        cron_line(settings, program=program)
        if crontab
        else service_unit(
            settings,
            (loaded.plan for loaded in context.plans(())),
            program=program,
        )
    )
    if not write:
        click.echo(text, nl=False)
        return ExitCode.OK
    path = (folder or (_CRON if crontab else _SYSTEMD)) / (CRON_FILE if crontab else UNIT)
    _write(path, text, force=force)
    context.say(f"{path}: written")
    if not crontab:
        context.say("now:")
        context.say("  systemctl daemon-reload")
        context.say(f"  systemctl enable --now {UNIT}")
        context.say(f"  journalctl -f -u {UNIT}")
    return ExitCode.OK


def _program() -> tuple[str, ...]:
    """Return how `dro` is started here, whoever starts it."""
    beside = Path(sys.executable).with_name("dro")
    return (str(beside),) if beside.exists() else (sys.executable, "-P", "-m", "dr_orchestrator")


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        if path.exists() and path.read_text(errors="replace") != text and not force:
            raise UsageMistake(
                f"{path} is there already, and is another", hint="compare them, then add --force"
            )
        write_whole(path, text.encode())
    except OSError as error:
        raise UsageMistake(
            f"{path} cannot be written: {error.strerror}",
            hint="run it as root" if path.parent.is_dir() else f"make {path.parent} first",
        ) from None
