"""`dro pause`: start nothing for a system for a while, and say why."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import person
from dr_orchestrator.core.record import PauseEnded, SystemPaused
from dr_orchestrator.core.wording import instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.plan.problem import did_you_mean
from dr_orchestrator.plan.quantity import parse_duration

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan

_LONGEST = timedelta(days=31)
"""Whoever pauses for longer means another plan, and a forgotten pause is a missing backup."""


@click.command(
    epilog="""\b
Examples:
  dro pause riverside --system emr --until 4h --reason "the vendor updates the server"
  dro pause riverside --until "2026-11-23 06:00" --reason "the office moves"
  dro pause riverside --system emr --end
"""
)
@click.argument("practice")
@click.option("--system", metavar="ID", help="only this system; all of them unless stated")
@click.option(
    "--until", metavar="TIME", help="the practice's wall clock, as 2026-11-23 06:00, or 4h from now"
)
@click.option("--reason", metavar="TEXT", help="why, for whoever reads the status")
@click.option("--by", metavar="NAME", help="who pauses it; your login name unless stated")
@click.option("--end", is_flag=True, help="end the pause before its time")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str,
    *,
    system: str | None,
    until: str | None,
    reason: str | None,
    by: str | None,
    end: bool,
    _json: bool,
) -> ExitCode:
    """Start nothing that is scheduled for PRACTICE, or one of its systems, for a while.

    What is promised goes on counting: a pause longer than the RPO breaks it, and that is told.
    What runs is not stopped, and by hand everything can be started.

    Exit codes: 0 paused, or the pause ended; 2 there is no such system, or no pause to end.
    """
    (loaded,) = context.plans((practice,))
    plan = loaded.plan
    name = _system(plan, system)
    who = person(by)
    if end:
        _refuse_with_end(until, reason)
        _end(context, plan, name, who)
        return ExitCode.OK
    if until is None or reason is None or not reason.strip():
        raise UsageMistake(
            "a pause needs `--until` and `--reason`",
            hint='--until 4h --reason "the vendor updates the server"',
        )
    now, zone = context.clock.now(), plan.practice.timezone
    pause = SystemPaused(
        practice=plan.practice.id,
        system=name,
        at=now,
        until=_instant(until, now, zone),
        by=who,
        why=printable(reason),
    )
    context.store().record(pause)
    context.say(
        f"{_words(plan, name)} is paused until {instant_words(pause.until, zone)}: "
        "the RPO clock keeps running"
    )
    context.print_json_if_asked({"pause": pause_json(pause)})
    return ExitCode.OK


def pause_json(pause: SystemPaused) -> dict[str, object]:
    """Return a pause as other programs read it; times in UTC."""
    return {
        "practice": pause.practice,
        "system": pause.system or None,
        "at": pause.at,
        "until": pause.until,
        "by": pause.by,
        "reason": pause.why,
    }


def _refuse_with_end(until: str | None, reason: str | None) -> None:
    if until is not None or reason is not None:
        raise UsageMistake("`--end` ends a pause now", hint="leave --until and --reason out")


def _end(context: Context, plan: Plan, system: str, who: str) -> None:
    now, practice = context.clock.now(), plan.practice.id
    pause = context.store().practice_record(practice).pauses.get(system)
    if pause is None or pause.is_over(now):
        raise UsageMistake(
            f"{_words(plan, system)} is not paused", hint="`dro status` shows every pause"
        )
    context.store().record(PauseEnded(practice=practice, system=system, at=now, by=who))
    context.say(f"{_words(plan, system)} is no longer paused")
    context.print_json_if_asked({"pause": None})


def _system(plan: Plan, system: str | None) -> str:
    if system is None or system in plan.protected:
        return system or ""
    known = tuple(plan.protected)
    raise UsageMistake(
        f"{plan.practice.id} has no system {system} that this plan protects",
        hint=did_you_mean(system, known) or f"there are {', '.join(known)}",
    )


def _words(plan: Plan, system: str) -> str:
    return f"{plan.practice.id}, {system}" if system else f"all of {plan.practice.id}"


def _instant(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant that a duration from now, or the practice's wall clock, stands for."""
    try:
        until = now + parse_duration(text)
    except ValueError:
        until = _wall_clock(text, zone)
    if until <= now:
        raise UsageMistake(f"{instant_words(until, zone)} is over already")
    if until - now > _LONGEST:
        raise UsageMistake(
            "a pause lasts 31 days at most",
            hint="what is to rest for longer is changed in the plan",
        )
    return until


def _wall_clock(text: str, zone: ZoneInfo) -> datetime:
    try:
        stated = datetime.fromisoformat(text)
    except ValueError:
        raise UsageMistake(f"{text} is no time", hint='write "2026-11-23 06:00", or 4h') from None
    return stated if stated.tzinfo else stated.replace(tzinfo=zone)
