"""`dro key list`: who can open what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import STYLES, TITLE, Span, print_lines
from dr_orchestrator.compliance.custody import custody_standings, repositories_of_keys
from dr_orchestrator.core.finding import Verdict
from dr_orchestrator.core.wording import day_words, instant_words, printable
from dr_orchestrator.errors import ExitCode, most_important

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.custody import CustodyStanding
    from dr_orchestrator.custody.list import KeysOfRepository, KnownKey
    from dr_orchestrator.plan.model import Plan

_LONGEST = 60


@click.command(
    epilog="""\b
Examples:
  dro key list
  dro key list riverside --json
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, practices: tuple[str, ...], *, _json: bool) -> ExitCode:
    """List the keys of each repository of PRACTICE, of all where none is named, and their holders.

    A key that nobody here made is said to be so. Whom the plan names in `custody` is listed with
    when their key was last proven.

    Exit codes: 0 listed; 3 some repository does not answer.
    """
    from dr_orchestrator.custody.list import list_keys

    codes, found = [], []
    now = context.clock.now()
    for loaded in context.plans(practices):
        plan = loaded.plan
        record = context.store().practice_record(plan.practice.id)
        seen = list_keys(plan, record, repositories_of_keys(plan, record), context.app.custody)
        standings = custody_standings(plan, record, now)
        print_lines(_lines(plan, seen, standings, now), err=context.json)
        for each in seen:
            if each.error is not None:
                codes.append(ExitCode.PARTIAL)
                click.echo(f"error: {each.repository}: {each.error}", err=True)
        found.append(_json_of(plan, seen, standings, now))
    context.print_json_if_asked({"practices": found})
    return most_important(codes)


def _lines(
    plan: Plan,
    seen: tuple[KeysOfRepository, ...],
    standings: tuple[CustodyStanding, ...],
    now: datetime,
) -> Iterator[tuple[Span, ...]]:
    yield (Span(f"{plan.practice.name} ({plan.practice.id})", TITLE),)
    for each in seen:
        yield (Span(f"  {each.repository}{': does not answer' if each.error else ''}"),)
        tells = any(key.is_plans_own for key in each.keys)
        for key in each.keys:
            style = "" if key.is_known or not tells else STYLES[Verdict.UNPROVEN]
            words = _words(plan, key, tells_plans_own=tells)
            yield (Span(f"    {key.listed.id}  {words}", style),)
        for gone in each.gone:
            yield (
                Span(
                    f"    {gone.key}  of {gone.holder}: was there, and is NOT any more",
                    STYLES[Verdict.UNPROVEN],
                ),
            )
        for holder in each.without:
            yield (Span(f"    --------  {holder}: no key is known"),)
    for standing in standings:
        verdict = standing.verdict(now)
        yield (Span(f"  {_standing_words(plan, standing)}", STYLES[verdict]),)
    if not standings:
        yield (Span("  the plan's `custody` names nobody"),)


def _words(plan: Plan, key: KnownKey, *, tells_plans_own: bool) -> str:
    zone, made = plan.practice.timezone, key.listed.made_at
    since = day_words(made.astimezone(zone).date()) if made else "nobody knows when"
    label = "" if key.made else f", {_label(key)}"
    holders = ", ".join(key.holders)
    whose = f"{holders} ({key.made.form})" if key.made else holders
    if key.is_plans_own:
        whose = f"the plan's own{f', held by {holders}' if holders else ''}"
    tried = f"; proven {instant_words(key.proven, zone)}" if key.proven else ""
    unknown = "made by NOBODY WE KNOW" if tells_plans_own else "of another tool, or the plan's own"
    return f"{whose or unknown}, {since}{label}{tried}"


def _label(key: KnownKey) -> str:
    """Return what was said when it was made, by whoever made it."""
    return printable(f"{key.listed.user}@{key.listed.host}")[:_LONGEST]


def _standing_words(plan: Plan, each: CustodyStanding) -> str:
    zone = plan.practice.timezone
    whose = f"{each.holder}, {printable(each.form)}:"
    due = f"; due {instant_words(each.due, zone)}" if each.due else ""
    if each.failed:
        names = ", ".join(proof.repository for proof in each.failed)
        return f"{whose} did NOT open {names} when last tried"
    if each.proven is None:
        return f"{whose} never proven for {', '.join(each.unproven)}{due}"
    return f"{whose} proven {instant_words(each.proven, zone)}{due}"


def _json_of(
    plan: Plan,
    seen: tuple[KeysOfRepository, ...],
    standings: tuple[CustodyStanding, ...],
    now: datetime,
) -> dict[str, object]:
    return {
        "practice": plan.practice.id,
        "repositories": [
            {
                "repository": each.repository,
                "reason": each.error.message if each.error else None,
                "keys": [
                    {
                        "key": key.listed.id,
                        "plans_own": key.is_plans_own,
                        "known": key.is_known,
                        "holders": list(key.holders),
                        "form": key.made.form if key.made else None,
                        "label": _label(key),
                        "made_at": key.listed.made_at,
                        "made_by": key.made.made_by if key.made else None,
                        "proven": key.proven,
                    }
                    for key in each.keys
                ],
                "gone": [{"key": gone.key, "holder": gone.holder} for gone in each.gone],
                "holders_without_a_key": list(each.without),
            }
            for each in seen
        ],
        "custody": [
            {
                "holder": each.holder,
                "form": each.form,
                "verdict": each.verdict(now).value,
                "proven": each.proven,
                "unproven": list(each.unproven),
                "failed": [proof.repository for proof in each.failed],
                "due": each.due,
            }
            for each in standings
        ],
    }
