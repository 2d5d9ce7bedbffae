"""One person at one terminal, for as long as an incident takes: runbook after runbook.

Asks for what a runbook needs before it can be opened, and says at the end where things stand. What
is done in between is the engine's.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.runbook_lines import PlainDesk, TypedLines
from dr_orchestrator.cli.runbook_standing import Standing, standing_of
from dr_orchestrator.cli.runbook_words import calm_words, wrapped_words
from dr_orchestrator.core.identity import short_id
from dr_orchestrator.core.local_time import typed_instant
from dr_orchestrator.core.runbook import Ending, Mode
from dr_orchestrator.core.wording import moment_words, printable
from dr_orchestrator.errors import ExitCode, Interrupted, PlanInvalid, UsageMistake
from dr_orchestrator.responder import Responder
from dr_orchestrator.runbook.carried import plan_of
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.shelf import shelf_of

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.runbook import RunbookRun
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.desk import Desk
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.shelf import Shelf

_by = click.option("--by", metavar="NAME", help="who you are; your login name unless stated")
_export = click.option(
    "--export",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="keep the state in this file too, for `dro runbook resume FILE` on another machine",
)
_plain = click.option(
    "--plain", is_flag=True, help="plain lines; so it is too where there is no terminal"
)
_folder = click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="where an incident restores to, each system into a new directory below",
)
_outage = click.option(
    "--outage",
    metavar="TIME",
    help="when it began, by the practice's clock: 02:14 or 2026-11-21 02:14; now unless stated",
)

_Command = TypeVar("_Command", bound=Callable[..., ExitCode])
_NO_SCREEN = frozenset({"dumb", "unknown"})
"""Terminals that can move no cursor, by `TERM`."""
_WITHOUT_PLAN = (
    "the recovery kit needs no plan: its START-HERE.html says what to do, and its dro-kit.py "
    "restores"
)


def following_options(command: _Command) -> _Command:
    """Add what every command asks that follows a run: `by`, `export` and `plain`."""
    return _by(_export(_plain(command)))


def opening_options(command: _Command) -> _Command:
    """Add what a command asks that opens a run before it follows it: `outage` and `folder` too."""
    return _outage(_folder(following_options(command)))


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What is asked for when a run is opened."""

    loaded: LoadedPlan
    runbook: LoadedRunbook
    mode: Mode
    outage_at: datetime
    system: str = ""
    lane: str = ""
    incident: str = ""


@dataclass(kw_only=True)
class Sitting:
    """A person before a terminal."""

    context: Context
    plain: bool
    by: str
    export: Path | None = None
    folder: Path | None = None
    _lines: TypedLines = field(default_factory=TypedLines)

    # --- asking before there is a step ----------------------------------------------------------

    def ask(self, text: str, default: str = "") -> str:
        """Return what is typed; `default` where that is nothing.

        Raises:
            UsageMistake: nobody is there to type.
            Interrupted: nobody types any more.
        """
        shown = f"{text} [{printable(default)}]: " if default else f"{text}: "
        click.echo(shown, nl=self.plain)
        try:
            return (self._lines.next() or "").strip() or default
        except Interrupted:
            if sys.stdin.isatty():
                raise
            raise UsageMistake(
                "nobody is there to answer: this needs a terminal, or answers on standard input",
                hint="run it where somebody can type",
            ) from None

    def choose(self, text: str, choices: Sequence[tuple[str, str]]) -> str:
        """Return the key of one of the choices (key, label)."""
        while True:
            for key, label in choices:
                click.echo(f"  {key}  {printable(label)}")
            typed = self.ask(text).casefold()
            if typed in {key for key, _ in choices}:
                return typed
            click.echo("that is none of the answers")

    # --- what there is to follow ----------------------------------------------------------------

    def tell(self, *lines: str) -> None:
        """Say something before there is a step; a full screen waits until it was read."""
        for line in lines:
            click.echo(printable(line))
        if lines and not self.plain:
            self.ask("Enter: go on")

    def plan(self, practice: str, mode: Mode) -> LoadedPlan:
        """Return the plan of a practice: in an incident the version before where its file cannot
        be used, and that is told.

        Raises:
            UsageMistake, PlanInvalid: there is none to follow anything by.
        """
        if mode is not Mode.INCIDENT:
            return self.context.one_plan(practice)
        try:
            loaded, trouble = self.context.app.plan_at_hand(practice)
        except (UsageMistake, PlanInvalid) as error:
            error.hint = "; ".join(each for each in (error.hint, _WITHOUT_PLAN) if each)
            raise
        self.tell(*((trouble,) if trouble else ()))
        return loaded

    def runbook(self, shelf: Shelf, name: str, mode: Mode) -> LoadedRunbook:
        """Return the runbook to follow; in an incident as far as it can be, and that is told.

        Raises:
            UsageMistake: there is none of this name.
            RunbookInvalid: it cannot be followed; in a rehearsal, also that it does not fit.
        """
        if mode is not Mode.INCIDENT:
            return shelf.named(name)
        runbook, troubles = shelf.for_incident(name)
        self.tell(*troubles)
        return runbook

    # --- one runbook after another --------------------------------------------------------------

    def open(self, opening: Opening) -> RunbookRun:
        """Open a run of a runbook, asking for what is still needed: which system, and where to."""
        runbook, plan = opening.runbook.runbook, opening.loaded.plan
        system = opening.system
        if runbook.about == "system" and not system:
            system = self._system(plan, opening.runbook.name)
        restores = any(each.kind is Kind.RESTORE for each in runbook.of_lane(opening.lane))
        if restores and opening.mode is Mode.INCIDENT and self.folder is None:
            self.folder = self._folder(plan.practice.timezone)
        return Responder(self.context.app).open(
            opening.loaded,
            opening.runbook,
            mode=opening.mode,
            by=self.by,
            outage_at=opening.outage_at,
            system=system,
            lane=opening.lane,
            incident=opening.incident,
            folder=self.folder,
        )

    def _system(self, plan: Plan, runbook: str) -> str:
        """Ask which system it is; those that are recovered by this runbook come first."""
        if len(plan.protected) == 1:
            return next(iter(plan.protected))
        ids = sorted(plan.protected, key=lambda each: plan.protected[each].runbook != runbook)
        number = self.choose(
            "Which system is it",
            [(str(at), _system_words(plan, each, runbook)) for at, each in enumerate(ids, 1)],
        )
        return ids[int(number) - 1]

    def _folder(self, zone: ZoneInfo) -> Path:
        """Ask where restores go: a folder that is there, so that nothing is spelled wrong; only the
        one that we propose is made.
        """
        now = self.context.clock.now().astimezone(zone)
        ours = Path.cwd() / f"restored-{now:%Y%m%d}-{short_id()}"
        while True:
            typed = self.ask("Folder to restore to, with room for all of it", str(ours))
            folder = Path(typed).expanduser().absolute()
            if folder == ours:
                try:
                    ours.mkdir(mode=0o700)
                except OSError as error:
                    click.echo(f"{ours} cannot be made: {os.strerror(error.errno or 0)}")
                    continue
            if folder.is_dir():
                return folder
            quoted = printable(shlex.quote(str(folder)))
            click.echo(f"there is no folder {printable(typed)}: mkdir -p {quoted}")

    def walk(self, run: RunbookRun) -> ExitCode:
        """Follow a run, and the runbooks it leads to, until there is no more or the person leaves.

        Raises:
            Busy: somebody else has gone on.
        """
        self.context.sweep()
        while True:
            standing = self._standing(run)
            if standing.progress.ending is None:
                try:
                    with self._desk() as desk:
                        Responder(self.context.app).follow(
                            run, desk, by=self.by, export=self.export
                        )
                except Interrupted:
                    with contextlib.suppress(OSError):  # the terminal is gone
                        self._say_how_to_go_on(self._standing(run))
                    return ExitCode.INTERRUPTED
                standing = self._standing(run)
            if standing.progress.ending is not Ending.WENT_ON:
                return self._ended(standing)
            try:
                run = self._open_next(standing)
            except KeyboardInterrupt:
                with contextlib.suppress(OSError):  # the terminal is gone
                    click.echo()
                    self._say_how_to_go_on(standing)
                return ExitCode.INTERRUPTED

    def _open_next(self, standing: Standing) -> RunbookRun:
        before = standing.run
        loaded = self._plan_for(before)
        if self.folder is None and before.folder and Path(before.folder).is_dir():
            self.folder = Path(before.folder)
        return self.open(
            Opening(
                loaded=loaded,
                runbook=self.runbook(shelf_of(loaded), standing.progress.goes_on, before.mode),
                mode=before.mode,
                outage_at=before.outage_at,
                system=before.system,
                incident=before.incident,
            )
        )

    def _plan_for(self, run: RunbookRun) -> LoadedPlan:
        """Return the plan as it is now; on a machine that has none, as it was."""
        try:
            return self.plan(run.practice, run.mode)
        except (UsageMistake, PlanInvalid):
            return plan_of(run)

    def _standing(self, run: RunbookRun) -> Standing:
        return standing_of(run, self.context.store())

    @contextlib.contextmanager
    def _desk(self) -> Iterator[Desk]:
        if self.plain:
            yield PlainDesk(self.context.clock, self._lines, click.echo)
            return
        from dr_orchestrator.cli.runbook_screen import Screen

        with Screen(self.context.clock) as screen:
            yield screen

    # --- the last words -------------------------------------------------------------------------

    def _say_how_to_go_on(self, standing: Standing) -> None:
        _echo(f"{standing.title}: {standing.here}")
        click.echo(f"go on with: dro runbook resume {standing.run.id}")
        if self.export is not None:
            click.echo(f"on another machine: dro runbook resume {self.export}")

    def _ended(self, standing: Standing) -> ExitCode:
        _echo(f"{standing.title}: {standing.place}")
        click.echo(f"all that was done: dro runbook timeline {standing.run.id}")
        done = standing.progress.ending is Ending.COMPLETED
        return ExitCode.OK if done else ExitCode.FAILED


def _echo(text: str) -> None:
    for line in wrapped_words(text, hanging="  "):
        click.echo(line)


def _system_words(plan: Plan, system: str, runbook: str) -> str:
    """Return a system to choose, and which runbook the plan has for it where that is another."""
    spec = plan.protected[system]
    title = spec.title or system
    return title if spec.runbook == runbook else f"{title} (the plan recovers it by {spec.runbook})"


def sit_down(
    context: Context,
    *,
    by: str | None,
    plain: bool,
    export: Path | None = None,
    folder: Path | None = None,
) -> Sitting:
    """Return a sitting: on a full screen, or in plain lines where there is none."""
    return Sitting(
        context=context,
        plain=plain or not _has_screen(context),
        by=person(by),
        export=export,
        folder=folder,
    )


def _has_screen(context: Context) -> bool:
    terminal = context.settings.environment_value("TERM") or "unknown"
    return sys.stdin.isatty() and sys.stdout.isatty() and terminal not in _NO_SCREEN


def outage_time(text: str | None, now: datetime, zone: ZoneInfo) -> datetime:
    """Return when an outage began; a time of day alone is the last one that was.

    Raises:
        UsageMistake: it cannot be read, or has not come yet.
    """
    return now if not text or text == "now" else typed_instant(text, now, zone)


def outage_words(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return when the outage began, to be read back by whoever typed it."""
    day = "" if at.astimezone(zone).date() == now.astimezone(zone).date() else "NOT TODAY, "
    return f"outage: since {moment_words(at, zone)} ({day}{calm_words(now - at)} ago)"
