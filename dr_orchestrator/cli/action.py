"""`dro action`: what failed and missed tests ask for, and what was done about it."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.output import STYLES, TITLE, Span, print_lines
from dr_orchestrator.compliance.corrective import newest_advice
from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.identity import new_id
from dr_orchestrator.core.record import ActionClosed, ActionOpened
from dr_orchestrator.core.sign_off import CorrectiveAction
from dr_orchestrator.core.wording import count_words, day_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.plan.quantity import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan

_BY_HAND = "said by"
_json_option = click.option("--json", "_json", is_flag=True, help="print one JSON object")
_by = click.option("--by", metavar="NAME", help="who says so; your login name unless stated")


@click.group()
def command() -> None:
    """List what failed and missed tests ask for, and say what was done about it."""


@command.command(
    "list",
    short_help="list what is to be put right, by whom and until when",
    epilog="""\b
Examples:
  dro action list
  dro action list riverside --all --json
""",
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--all", "closed_too", is_flag=True, help="those that are done too")
@_json_option
@click.pass_obj
def list_actions(
    context: Context, practices: tuple[str, ...], *, closed_too: bool, _json: bool
) -> ExitCode:
    """List the corrective actions of PRACTICE, of all where none is named; what is late first.

    Exit code 0, also where one is late: `dro status` says so with 5.
    """
    now, found = context.clock.now(), []
    for loaded in context.plans(practices):
        record = context.store().practice_record(loaded.plan.practice.id)
        actions = record.actions
        wanted = [each for each in actions if closed_too or each.is_open]
        wanted.sort(key=lambda each: (not each.is_open, each.due, each.id))
        newest = {each.id: newest_advice(each, record) for each in wanted}
        print_lines(_lines(loaded.plan, wanted, now, newest), err=context.json)
        found += [{**_json_of(each, now), "newest": newest[each.id] or None} for each in wanted]
    context.print_json_if_asked({"actions": found})
    return ExitCode.OK


@command.command(
    "open",
    short_help="have something put right that no test asked for",
    epilog="""\b
Examples:
  dro action open riverside --system emr --what "write down where the licence key lies" --due 14d
""",
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="what it is about; the whole practice unless stated")
@click.option("--what", metavar="TEXT", required=True, help="one sentence: what is to be put right")
@click.option("--owner", metavar="WHO", help="who does it; as the plan says unless stated")
@click.option("--due", metavar="DURATION", help="in what time, as 7d; as the plan says else")
@_by
@_json_option
@click.pass_obj
def open_action(
    context: Context,
    practice: str | None,
    *,
    system: str | None,
    what: str,
    owner: str | None,
    due: str | None,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Write down that something of PRACTICE is to be put right, by whom and until when.

    Exit codes: 0 written down; 2 the plan has no such system, or it is written down already.
    """
    plan = context.one_plan(practice).plan
    if system is not None and system not in plan.protected:
        raise UsageMistake(
            f"the plan protects no system {system}", hint=f"one of: {', '.join(plan.protected)}"
        )
    now, who = context.clock.now(), person(by)
    action = CorrectiveAction(
        id=new_id(now),
        practice=plan.practice.id,
        system=system or "",
        repository="",
        cause=f"{_BY_HAND} {who}: {printable(what)}",
        test="",
        what=printable(what),
        owner=printable(owner or plan.corrective_actions.owner),
        opened_at=now,
        due=now + _time_for(due, plan.corrective_actions.due),
        opened_by=who,
    )
    context.store().record(ActionOpened(action=action))
    known = context.store().practice_record(plan.practice.id).actions
    if action.id not in {each.id for each in known}:
        raise UsageMistake("this very thing is to be put right already", hint="dro action list")
    context.say(f"{action.id}: {action.owner}, until {_day(plan, action.due, now)}")
    context.print_json_if_asked({"actions": [_json_of(action, now)]})
    return ExitCode.OK


@command.command(
    "close",
    short_help="say what was done about it",
    epilog="""\b
Examples:
  dro action close riverside failed-20261121 --done "disk replaced, new backup made and tested"
""",
)
@click.argument("practice")
@click.argument("action_id", metavar="ID")
@click.option("--done", metavar="TEXT", help="what was done; asked for on a terminal")
@_by
@_json_option
@click.pass_obj
def close_action(
    context: Context,
    practice: str,
    action_id: str,
    *,
    done: str | None,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Say that what ID asks for (its beginning will do) is put right, and what was done.

    Exit codes: 0 written down; 2 there is no such action that is open, or more than one.
    """
    loaded = context.one_plan(practice)
    plan = loaded.plan
    found = _one(context, plan, action_id)
    said = printable(done or _asked(context)).strip()
    if not said:
        raise UsageMistake("what was done is not said", hint='--done "…"')
    now = context.clock.now()
    context.store().record(
        ActionClosed(practice=plan.practice.id, id=found.id, at=now, by=person(by), done=said)
    )
    context.app.note_standing(loaded)
    known = context.store().practice_record(plan.practice.id).actions
    closed = next(each for each in known if each.id == found.id)
    context.say(f"{closed.id}: closed by {closed.closed_by}: {closed.done}")
    context.print_json_if_asked({"actions": [_json_of(closed, now)]})
    return ExitCode.OK


def _asked(context: Context) -> str:
    if context.json or not sys.stdin.isatty():
        raise UsageMistake("what was done is not said", hint='add --done "…"')
    return str(click.prompt("what was done", err=True))


def _time_for(due: str | None, usual: timedelta) -> timedelta:
    if due is None:
        return usual
    try:
        return parse_duration(due)
    except ValueError as error:
        raise UsageMistake(f"--due {due!r} {error}", hint="as 7d") from None


def _one(context: Context, plan: Plan, prefix: str) -> CorrectiveAction:
    actions = context.store().practice_record(plan.practice.id).actions
    still_open = [each for each in actions if each.is_open and each.id.startswith(prefix)]
    exact = [each for each in still_open if each.id == prefix]
    if len(exact or still_open) == 1:
        return (exact or still_open)[0]
    if still_open:
        names = ", ".join(each.id for each in still_open)
        raise UsageMistake(f"several actions have an id that begins with {prefix}", hint=names)
    raise UsageMistake(
        f"no open action of {plan.practice.id} has an id that begins with {prefix}",
        hint="`dro action list --all` lists them",
    )


def _lines(
    plan: Plan, actions: list[CorrectiveAction], now: datetime, newest: dict[str, str]
) -> Iterator[tuple[Span, ...]]:
    for each in actions:
        yield Span(f"{each.id}  ", TITLE), Span(f"{plan.practice.id}: {printable(each.what)}")
        if newest[each.id]:
            yield (Span(f"    the newest test says: {printable(newest[each.id])}"),)
        day = _day(plan, each.due, now)
        if each.closed_at is not None:
            by = each.closed_by or "itself"
            when = _day(plan, each.closed_at, now)
            yield (Span(f"    closed on {when} by {by}: {printable(each.done)}"),)
        elif each.due <= now:
            yield Span("    OVERDUE ", STYLES[Verdict.BREACHED]), Span(f"since {day}: {each.owner}")
        else:
            yield (Span(f"    until {day}: {each.owner}"),)
    if not any(each.is_open for each in actions):
        yield (Span(f"{plan.practice.id}: nothing is to be put right"),)
    else:
        number = sum(1 for each in actions if each.is_open)
        yield (Span(f"{plan.practice.id}: {count_words(number, 'open action')}"),)


def _day(plan: Plan, instant: datetime, now: datetime) -> str:
    zone = plan.practice.timezone
    return day_words(instant.astimezone(zone).date(), beside=now.astimezone(zone).date())


def _json_of(action: CorrectiveAction, now: datetime) -> dict[str, object]:
    return {
        "id": action.id,
        "practice": action.practice,
        "system": action.system or None,
        "repository": action.repository or None,
        "cause": action.cause,
        "test": action.test or None,
        "what": action.what,
        "owner": action.owner,
        "opened_at": action.opened_at,
        "opened_by": action.opened_by or None,
        "due": action.due,
        "overdue": action.is_open and action.due <= now,
        "closed_at": action.closed_at,
        "closed_by": action.closed_by or None,
        "done": action.done or None,
    }
