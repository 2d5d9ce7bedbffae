"""The command line: which commands there are, and what becomes of an error.

A command's module is imported only when that command runs, so that `dro --version` costs next to
nothing. Exit codes are the table in `errors.py`; every error that is meant for a person is printed
as `error: …` and `hint: …` on stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dr_orchestrator import __version__
from dr_orchestrator.cli.command_group import CommandGroup
from dr_orchestrator.errors import DroError, ExitCode, Interrupted, UsageMistake

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from dr_orchestrator.app import App
    from dr_orchestrator.clock import Clock
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.report.subject import Subject
    from dr_orchestrator.schedule.plan_shelf import PlansRead
    from dr_orchestrator.settings import Settings
    from dr_orchestrator.store.base import Store

_COMMANDS = {
    "demo": "see it work in under a minute, on a made-up practice",
    "init": "write a first plan",
    "adopt": "write a plan that tests what another tool saves already",
    "plan": "validate, show or describe plans",
    "backup": "make a recovery point of a practice's systems",
    "points": "list recovery points, or read them back from a repository",
    "test": "restore a recovery point to a sandbox and prove it",
    "restore": "restore a recovery point to a new directory",
    "find": "find files by name in all recovery points, and bring a version back",
    "open": "serve a database of a recovery point read-only on this machine, for a while",
    "recover": "on an empty machine: go on from nothing but a repository and its key",
    "drill": "bring all systems of a practice back in sandboxes, under one clock",
    "incident": "find out what has happened, and follow what helps",
    "runbook": "read and follow the steps for when something has happened",
    "doctor": "say what would make tonight's run fail, and what to do",
    "status": "say which promises are kept, not kept or not proven",
    "publish": "publish this site's status for whoever looks after many",
    "repository": "read back what a repository holds, or free space in it",
    "key": "make, try, list and revoke the keys that people hold",
    "retention": "say which recovery points are kept and why, hold or release some",
    "runs": "say what was attempted, how it ended, and why it failed",
    "report": "write the practice manager's page, or that of many sites",
    "sign": "record that the practice's management read a page and accepts it",
    "action": "list what failed tests ask for, and say what was done about it",
    "evidence": "show, verify or hand out the record that cannot be edited",
    "schedule": "show what happens when, and have it happen",
    "ack": "list what needs a person, and say that you look after it",
    "pause": "start nothing for a system for a while, and say why",
    "pack": "list and show what is known about EMRs",
    "handover": "give a practice to another machine, with all it takes to go on",
    "takeover": "go on with a practice that another machine handed over",
}
_MEANT = {
    "check": "`dro doctor`, `dro test` (prove a backup) or `dro repository check`",
    "prune": "`dro repository prune`",
    "forget": "`dro retention apply`",
    "verify": "`dro test`",
    "list": "`dro points`",
    "snapshots": "`dro points`",
    "run": "`dro backup` or `dro test`",
}


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))


class Context:
    """What a command works with, made when it is first asked for."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        """Whether stdout takes exactly one JSON object, also on failure."""
        self.printed = False
        """Whether that object was printed."""
        self._app: App | None = None

    def print_json(self, content: Mapping[str, object]) -> None:
        """Print the one JSON object of this command; `schema` is added."""
        self.printed = True
        click.echo(json.dumps({"schema": 1, **content}, ensure_ascii=False, default=_json_value))

    def print_json_if_asked(self, content: Mapping[str, object]) -> None:
        """Print the one JSON object of this command where `--json` was given."""
        if self.json:
            self.print_json(content)

    def say(self, text: str) -> None:
        """Print text for people: to stdout, or to stderr where stdout takes JSON."""
        click.echo(text, err=self.json)

    @cached_property
    def settings(self) -> Settings:
        """The machine's settings."""
        from dr_orchestrator.settings import load_settings

        return load_settings()

    @cached_property
    def clock(self) -> Clock:
        """The source of time."""
        from dr_orchestrator.clock import SystemClock

        return SystemClock()

    @property
    def app(self) -> App:
        """The object graph."""
        if self._app is None:
            from dr_orchestrator.app import App

            self._app = App(self.settings, self.clock)
        return self._app

    def work_with(self, settings: Settings) -> App:
        """Work with other settings than this machine's from now on."""
        self.close()
        self._app = None
        self.settings = settings
        return self.app

    def store(self) -> Store:
        """Our own record."""
        return self.app.store

    def subject(self, loaded: LoadedPlan) -> Subject:
        """Return what reports on a practice are made of."""
        return self.app.subject(loaded)

    def plans(self, practices: tuple[str, ...]) -> tuple[LoadedPlan, ...]:
        """Return the plans of these practices; all where none is named."""
        return self.app.plans(practices)

    def plans_and_mistakes(self, practices: tuple[str, ...]) -> PlansRead:
        """Return the plans of these practices, all where none is named, and those with mistakes."""
        return self.app.plans_and_mistakes(practices)

    def one_plan(self, practice: str | None) -> LoadedPlan:
        """Return the plan of one practice, which is never guessed among several."""
        plans = self.app.plans((practice,) if practice else ())
        if len(plans) != 1:
            names = ", ".join(each.plan.practice.id for each in plans)
            raise UsageMistake(
                "there are several practices, and this command writes",
                hint=f"name one of: {names}",
            )
        return plans[0]

    def sweep(self) -> tuple[ExitCode, ...]:
        """Remove what killed runs left; return what that does to the exit code.

        What cannot be removed is said, and keeps nothing from being backed up or restored.
        """
        left = self.app.sweep().left
        if left is None:
            return ()
        click.echo(f"error: {left}", err=True)
        return (ExitCode.PARTIAL,)

    def close(self, *, stopped: bool = False) -> None:
        """Clean up; with `stopped` also what a signal kept from being cleaned up."""
        if self._app is not None:
            self._app.close(stopped=stopped)

    def stop_programs(self) -> None:
        """End every program that runs, so that whoever waits for one goes on."""
        if self._app is not None:
            self._app.stop()


_STOPPED = Interrupted().message
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Commands(CommandGroup):
    """The commands, and what is said to whoever knows them by another name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in _MEANT and name not in _COMMANDS:
            raise click.UsageError(f"there is no command {name}: did you mean {_MEANT[name]}?", ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=_Commands,
    beginning="dr_orchestrator.cli.",
    elsewhere=_COMMANDS,
    hidden=("open_watch",),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="dro", message="%(prog)s %(version)s")
@click.pass_context
def dro(ctx: click.Context) -> None:
    """Backups that are proven: declare what must come back, and how fast; see it happen."""


def main() -> None:
    """Run the command line and exit with one of `errors.ExitCode`."""
    context = Context(json="--json" in sys.argv[1:])
    _stop_on_signals(context)
    try:
        code = _closed(context, _run(context))
    except Interrupted:  # stopped while it cleaned up: that is begun again, and nobody stops it now
        code = _closed(context, _fail(context, _STOPPED, "", ExitCode.INTERRUPTED))
    for number in _STOP_SIGNALS:  # all is done: nothing is left to be stopped
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _closed(context: Context, code: ExitCode) -> ExitCode:
    try:
        context.close(stopped=code is ExitCode.INTERRUPTED)
    except DroError as error:
        return _fail(context, error.message, error.hint, error.exit_code)
    return code


def _run(context: Context) -> ExitCode:
    try:
        code: Any = dro.main(obj=context, standalone_mode=False)
        return ExitCode(code or 0)
    except click.exceptions.Exit as ended:
        return ExitCode(ended.exit_code)
    except click.ClickException as error:
        error.show()
        _print_failure(context, error.format_message(), "")
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return _fail(context, _STOPPED, "", ExitCode.INTERRUPTED)
    except DroError as error:
        return _fail(context, error.message, error.hint, error.exit_code)
    except Exception as error:  # noqa: BLE001 - its text may hold patient data: never shown
        where = " < ".join(_our_frames(error))
        message = f"internal error: {type(error).__name__} in {where}"
        return _fail(context, message, "a mistake of ours: please report it", ExitCode.FAILED)


def _our_frames(error: BaseException) -> list[str]:
    """Return where it happened in our own code, innermost first, without any value."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if "dr_orchestrator" in each.filename]
    return [f"{Path(each.filename).name}:{each.lineno}" for each in reversed(ours[-5:])]


def _fail(context: Context, message: str, hint: str, code: ExitCode) -> ExitCode:
    with contextlib.suppress(OSError):  # the terminal may be gone, and what is left be cleaned up
        click.echo(f"error: {message}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)
        _print_failure(context, message, hint)
    return code


def _print_failure(context: Context, message: str, hint: str) -> None:
    """Keep the promise of one JSON object on stdout, where a command could not print its own."""
    if context.json and not context.printed:
        failure = {"schema": 1, "error": {"message": message, "hint": hint}}
        click.echo(json.dumps(failure, ensure_ascii=False))


def _stop_on_signals(context: Context) -> None:
    """Make signals end everything in order; a second one ends us at once, but for SIGHUP: a
    terminal that closes sends it more than once, and nobody waits there any more.

    Programs are ended from another thread: the handler may have interrupted the very code that
    holds the lock this needs.
    """
    stopping = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        if stopping.is_set() and number == signal.SIGHUP:
            return
        if stopping.is_set():
            os._exit(ExitCode.INTERRUPTED)  # children die with us
        stopping.set()
        threading.Thread(target=context.stop_programs, daemon=True).start()
        raise Interrupted

    for number in _STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # by nohup
            signal.signal(number, stop)
