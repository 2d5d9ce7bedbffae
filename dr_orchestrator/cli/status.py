"""`dro status`: which promises are kept, not kept or not proven, here or at many sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import from_places
from dr_orchestrator.cli.output import print_lines, say_error
from dr_orchestrator.cli.status_text import PracticeShown, fleet_lines, machine_lines
from dr_orchestrator.compliance.retired import retired_in_use
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important
from dr_orchestrator.fleet.need import Need, practice_need, site_need, sites_in_order
from dr_orchestrator.fleet.site import look_at, site_status
from dr_orchestrator.fleet.status import pauses_in_force

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.finding import Finding
    from dr_orchestrator.core.record import HandedOver, RepositoryRetired, SystemPaused
    from dr_orchestrator.fleet.nagios import Answer
    from dr_orchestrator.fleet.read import Fleet, SiteSeen
    from dr_orchestrator.fleet.status import PracticeStatus, SiteProblem, SiteStatus
    from dr_orchestrator.plan.load import LoadedPlan

_CODES = {
    Need.NOT_BELIEVED: ExitCode.UNPROVEN,
    Need.UNHEARD: ExitCode.UNPROVEN,
    Need.BREACHED: ExitCode.BREACHED,
    Need.OVERDUE: ExitCode.UNPROVEN,
}
"""What the other needs say is neither a broken promise nor a proof that should be there."""


@click.command(
    epilog="""\b
Examples:
  dro status
  dro status riverside --json
  dro status --from /srv/fleet --from s3://msp-status/dro
  dro status --nagios
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@from_places
@click.option("--nagios", is_flag=True, help="print one line as a Nagios plugin, with its codes")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practices: tuple[str, ...],
    places: tuple[str, ...],
    *,
    nagios: bool,
    _json: bool,
) -> int:
    """Say which promises to each PRACTICE are kept, not kept or not proven; all, if none is named.

    With --from, of every site that publishes there: no plan and no key of a repository is needed.

    Exit codes: 0 every promise is kept, or its proof is not due yet; 4 a proof is overdue, or a
    site is silent or not believed; 5 a promise is not kept; 1 a place cannot be read. With
    --nagios: 0 OK, 1 warning, 2 critical, 3 unknown. A plan with a mistake (2, or 3) hides no
    other practice: where the version before goes on, that one is shown.
    """
    if practices and places:
        raise UsageMistake("--from shows every site", hint="leave the practices out")
    if nagios and context.json:
        raise UsageMistake("--nagios and --json both say what is printed", hint="leave one out")
    if nagios:
        return _nagios(context, practices, places)
    return _many_sites(context, places) if places else _this_machine(context, practices)


def _this_machine(context: Context, practices: tuple[str, ...]) -> ExitCode:
    now = context.clock.now()
    read = context.plans_and_mistakes(practices)
    ours, away = _ours_and_others(context, read.plans)
    shown = _look(context, ours, now)
    site = _site(context, shown, now)
    print_lines(machine_lines(shown, site, now, away), err=context.json)
    for mistake in read.mistakes:
        say_error(mistake)
    context.print_json_if_asked(
        {
            "practices": [practice_json(each.status, each.pauses, each.retired) for each in shown],
            "handed_over": [
                {"practice": each.practice, "to": each.to, "at": each.at} for each in away
            ],
            "problems": [_problem_json(each) for each in site.problems],
            "scheduler_seen_at": site.scheduler_seen_at,
            "mistakes": [mistake.message for mistake in read.mistakes],
        }
    )
    code = exit_code((each.status for each in shown), now)
    return most_important((code, *(mistake.exit_code for mistake in read.mistakes)))


def _many_sites(context: Context, places: tuple[str, ...]) -> ExitCode:
    now = context.clock.now()
    fleet = read_sites(context, places, now)
    print_lines(fleet_lines(fleet, now), err=context.json)
    context.print_json_if_asked(sites_json(fleet, now))
    return sites_exit_code(fleet, now)


def _nagios(context: Context, practices: tuple[str, ...], places: tuple[str, ...]) -> int:
    """Print one line whatever happens: a plugin that says nothing is taken for one that is well."""
    from dr_orchestrator.fleet.nagios import (
        answer_for_fleet,
        answer_for_machine,
        nothing_left,
        unknown,
    )

    now = context.clock.now()
    answer: Answer
    try:
        if places:
            answer = answer_for_fleet(read_sites(context, places, now), now)
        else:
            read = context.plans_and_mistakes(practices)
            ours, away = _ours_and_others(context, read.plans)
            site = _site(context, _look(context, ours, now), now)
            answer = answer_for_machine(site, now, read.mistakes)
            if away and not ours and not read.mistakes:
                answer = nothing_left()
    except DroError as error:
        answer = unknown(error)
    except Exception as error:  # noqa: BLE001 - its text may hold patient data: never shown
        answer = unknown(DroError(f"internal error ({type(error).__name__})"))
    click.echo(answer.line)
    return answer.state


def _ours_and_others(
    context: Context, plans: Iterable[LoadedPlan]
) -> tuple[tuple[LoadedPlan, ...], tuple[HandedOver, ...]]:
    """Return the plans of practices that this machine looks after, and the practices that another
    one has now: nothing that is known here says how those stand.
    """
    away, plans = context.store().handed_over(), tuple(plans)
    named = [each.plan.practice.id for each in plans]
    return (
        tuple(each for each in plans if each.plan.practice.id not in away),
        tuple(away[practice] for practice in named if practice in away),
    )


def _look(
    context: Context, plans: Iterable[LoadedPlan], now: datetime
) -> tuple[PracticeShown, ...]:
    """Return the practices by what needs a person first."""
    from dr_orchestrator.maintenance.standing import as_promised_at_hand

    store = context.store()
    shown = []
    for loaded in plans:
        record = store.practice_record(loaded.plan.practice.id)
        record = as_promised_at_hand(loaded, record, now)
        shown.append(
            PracticeShown(
                status=look_at(loaded.plan, record, context.settings, now),
                zone=loaded.plan.practice.timezone,
                pauses=pauses_in_force(record, now),
                retired=retired_in_use(loaded.plan, record),
            )
        )
    return tuple(sorted(shown, key=lambda each: practice_need(each.status, now)))


def _site(context: Context, shown: Iterable[PracticeShown], now: datetime) -> SiteStatus:
    statuses = (each.status for each in shown)
    return site_status(context.settings.site, statuses, context.store(), now)


def read_sites(context: Context, places: tuple[str, ...], now: datetime) -> Fleet:
    """Return what many sites published in `places`, as far as the settings believe it."""
    from dr_orchestrator.fleet.place import place_at
    from dr_orchestrator.fleet.read import read_fleet

    known = context.settings.fleet
    return read_fleet(
        [place_at(place, known.aws_profile, known.endpoint) for place in places], known.sites, now
    )


def sites_exit_code(fleet: Fleet, now: datetime) -> ExitCode:
    """Return what `exit_code` does, 4 for a site that is not heard, 1 for a place not read."""
    codes = {_CODES.get(site_need(each, now), ExitCode.OK) for each in fleet.sites}
    known = (practice for each in fleet.sites if each.status for practice in each.status.practices)
    codes.add(exit_code(known, now))
    codes.update(error.exit_code for error in fleet.unread)
    return most_important(codes if fleet.sites else {*codes, ExitCode.UNPROVEN})


def exit_code(statuses: Iterable[PracticeStatus], now: datetime) -> ExitCode:
    """Return 5 for a broken promise, 4 for one that is unproven and not merely not due yet.

    A finding without a date by which it is due does not wait for anything, so it counts as overdue.
    """
    return most_important(
        _CODES.get(practice_need(status, now), ExitCode.OK) for status in statuses
    )


def sites_json(fleet: Fleet, now: datetime) -> dict[str, object]:
    """Return many sites as other programs read them, what needs a person first."""
    return {
        "sites": [_site_json(each, now) for each in sites_in_order(fleet.sites, now)],
        "unread": [error.message for error in fleet.unread],
    }


def practice_json(
    status: PracticeStatus,
    pauses: Iterable[SystemPaused] = (),
    retired: Iterable[RepositoryRetired] = (),
) -> dict[str, object]:
    """Return one practice as other programs read it; times in UTC."""
    said = {pause.system: pause for pause in pauses}
    return {
        "practice": status.practice,
        "verdict": status.verdict.value,
        "findings": [_finding_json(finding) for finding in status.findings],
        "pauses": [
            {
                "system": system or None,
                "until": until.isoformat(),
                "by": said[system].by if system in said else None,
                "why": said[system].why if system in said else None,
            }
            for system, until in status.paused.items()
        ],
        "retired": [
            {"repository": each.repository, "replaced_by": each.replaced_by, "at": each.at}
            for each in retired
        ],
        "forecasts": list(status.forecasts),
        "protected": [
            {
                "system": each.system,
                "repository": each.repository,
                "until": each.until.isoformat(),
            }
            for each in status.protected
        ],
    }


def _finding_json(finding: Finding) -> dict[str, object]:
    return {
        "system": finding.system,
        "objective": finding.objective.value,
        "repository": finding.repository,
        "verdict": finding.verdict.value,
        "promised": finding.promised,
        "achieved": finding.achieved,
        "reason": finding.reason,
        "since": finding.since.isoformat() if finding.since else None,
        "due": finding.due.isoformat() if finding.due else None,
    }


def _problem_json(problem: SiteProblem) -> dict[str, object]:
    return {
        "id": problem.id,
        "kind": problem.kind.value,
        "practice": problem.practice or None,
        "system": problem.system or None,
        "what": problem.what,
        "next": problem.next,
        "since": problem.since,
        "opened_at": problem.opened_at,
        "acknowledged": problem.acknowledged,
    }


def _site_json(seen: SiteSeen, now: datetime) -> dict[str, object]:
    status = seen.status
    said: dict[str, object] = {
        "site": seen.site,
        "standing": seen.standing.value,
        "why": seen.why,
        "need": site_need(seen, now).name.lower(),
    }
    if status is not None:
        said |= {
            "made_at": status.made_at,
            "version": status.version,
            "scheduler_seen_at": status.scheduler_seen_at,
            "practices": [practice_json(each) for each in status.practices],
            "problems": [_problem_json(each) for each in status.problems],
        }
    return said
