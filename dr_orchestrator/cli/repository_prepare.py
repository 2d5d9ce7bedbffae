"""`dro repository prepare`: make the bucket of a repository, or bring it to what the plan says."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import ExitCode, UsageMistake

if TYPE_CHECKING:
    from datetime import date

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.repositories.bucket import Drift, Judgement, Stricter


@click.command(
    short_help="make a bucket in S3 what the plan says, print its policies",
    epilog="""\b
Examples:
  dro repository prepare riverside --policy
  dro repository prepare riverside --repository offsite
  dro repository prepare riverside --yes-until 2026-12-22
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="which, where several are in S3")
@click.option(
    "--policy", is_flag=True, help="print what the two credentials must be allowed; change nothing"
)
@click.option("--yes-until", metavar="DATE", help="the date that would be asked for, for scripts")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def prepare(
    context: Context,
    practice: str | None,
    *,
    repository: str | None,
    policy: bool,
    yes_until: str | None,
    _json: bool,
) -> ExitCode:
    """Make the bucket of a repository of PRACTICE in S3, or bring it to what the plan says.

    Says what is to change, then changes it; what is stricter than the plan stays so. Compliance
    mode cannot be undone: then the date is asked for until which it binds. Uses the maintenance
    credential of the repository. The repository itself is made by the first backup.

    Exit codes: 0 the bucket is as the plan says; 3 something is left that a person must see to;
    1 a change was refused; 2 it was not the date.
    """
    plan = context.one_plan(practice).plan
    name = _in_s3(plan, repository)
    if policy:
        _print_policies(context, plan, name)
        return ExitCode.OK
    return _prepare(context, plan, name, yes_until)


def _in_s3(plan: Plan, wanted: str | None) -> str:
    names = [name for name, spec in plan.repositories.items() if spec.is_s3]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    if not names:
        raise UsageMistake(
            "no repository of the plan is in S3, so there is no bucket to prepare",
            hint="one is where its `location` begins with s3:",
        )
    raise UsageMistake(
        f"{wanted} is no repository in S3" if wanted else "which repository is meant?",
        hint=f"in S3 are: {', '.join(names)}; name one: --repository ID",
    )


def _print_policies(context: Context, plan: Plan, name: str) -> None:
    from dr_orchestrator.repositories.bucket_policy import backup_policy, maintenance_policy
    from dr_orchestrator.repositories.s3_place import s3_location

    spec = plan.repositories[name]
    location, key = s3_location(spec.location), spec.bucket.kms_key
    policies = {
        "backup": backup_policy(location, key),
        "maintenance": maintenance_policy(location, key),
    }
    if context.json:
        context.print_json({"policies": policies})
        return
    for credential, may in policies.items():
        click.echo(f"{name}: the {credential} credential", err=True)
        click.echo(json.dumps(may, indent=2))


def _prepare(context: Context, plan: Plan, name: str, yes_until: str | None) -> ExitCode:
    from dr_orchestrator.repositories.bucket import judge_bucket, wanted_bucket
    from dr_orchestrator.repositories.bucket_settings import (
        NOTHING,
        look_at_bucket,
        make_bucket,
        mend_bucket,
        require_all_seen,
    )

    place = context.app.repositories.place(plan, name, directly=True)
    wanted = wanted_bucket(plan.repositories[name], place.location)
    found = look_at_bucket(place)
    judgement = judge_bucket(wanted, NOTHING if found is None else found)
    require_all_seen(place, judgement)
    context.say(f"{name}: the bucket {place.bucket}{' is made' if found is None else ''}")
    for line in _lines(judgement):
        context.say(f"  {line}")
    until = _bound_until(context, plan, judgement)
    if until is not None:
        _ask_for(until, judgement.binding_days or 0, yes_until)
    if found is None:
        make_bucket(place, wanted)
    changed: list[Drift] = []

    def on_change(drift: Drift) -> None:
        changed.append(drift)
        context.say(f"  done: {drift.fix}")

    after = mend_bucket(place, wanted, context.clock, on_change=on_change)
    if found is not None and not changed:
        context.say("  nothing to change")
    context.print_json_if_asked(
        {
            "bucket": {
                "repository": name,
                "bucket": place.bucket,
                "made": found is None,
                "changed": [_json(each) for each in changed],
                "bound_until": until and until.isoformat(),
                "left": [{**_json(each), "fix": each.fix} for each in after.drifts],
                "stricter": [_json(each) for each in after.stricter],
                "not_known": list(after.unseen),
            }
        }
    )
    return ExitCode.PARTIAL if after.drifts else ExitCode.OK


def _lines(judgement: Judgement) -> list[str]:
    """Return what is to change, what is not, and why not."""
    lines = []
    for each in judgement.drifts:
        todo = "to be" if each.change is not None else "for a person to see to; to be"
        lines.append(f"{each.setting.words}: {each.found}; {todo}: {each.wanted}")
    lines += [
        f"{each.setting.words}: {each.found}; stays so, though the plan says: {each.wanted}"
        for each in judgement.stricter
    ]
    lines += [f"{each.words}: this storage does not know it" for each in judgement.unseen]
    return lines


def _bound_until(context: Context, plan: Plan, judgement: Judgement) -> date | None:
    """Return until when what is saved today cannot be removed by anybody; `None` if it is not
    now that this begins.
    """
    if judgement.binding_days is None:
        return None
    today = context.clock.now().astimezone(plan.practice.timezone).date()
    return today + timedelta(days=judgement.binding_days)


def _ask_for(until: date, days: int, given: str | None) -> None:
    """Go on only if somebody names the date.

    Raises:
        UsageMistake: it was another one, or none.
    """
    if given is None:
        click.echo(
            f"compliance mode cannot be undone: what is saved stays for "
            f"{count_words(days, 'day')}, today's backup until {until}, and nobody can remove it, "
            "not even the owner of the account",
            err=True,
        )
        if sys.stdin.isatty():
            click.echo(f"type that date ({until}) to go on: ", nl=False, err=True)
        given = sys.stdin.readline().strip()
    if given != until.isoformat():
        raise UsageMistake(
            f"that is not the date: it binds until {until}; nothing was changed",
            hint=f"type {until} when asked, or say `--yes-until {until}`",
        )


def _json(each: Drift | Stricter) -> dict[str, object]:
    return {"setting": each.setting, "found": each.found, "wanted": each.wanted}
