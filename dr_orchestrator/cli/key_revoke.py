"""`dro key revoke`: take keys back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import confirm, person
from dr_orchestrator.compliance.custody import repositories_of_keys
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context


@click.command(
    epilog="""\b
Examples:
  dro key revoke riverside --holder manager --but-newest --why "the sheet was opened"
  dro key revoke riverside --key 23e673c3 --why "nobody knows whose it is" --yes riverside
"""
)
@click.argument("practice", required=False)
@click.option("--holder", metavar="ID", help="the keys that were made for this holder")
@click.option("--but-newest", is_flag=True, help="with --holder: leave the newest in place")
@click.option("--key", metavar="ID", help="this key, whoever made it")
@click.option("--why", metavar="TEXT", required=True, help="why, for the record")
@click.option("--by", metavar="NAME", help="who revokes it; your login name unless stated")
@click.option("--yes", metavar="PRACTICE", help="go on without asking: the practice's id, again")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    *,
    holder: str | None,
    but_newest: bool,
    key: str | None,
    why: str,
    by: str | None,
    yes: str | None,
    _json: bool,
) -> ExitCode:
    """Let keys open the repositories of PRACTICE no more; never the one that the plan refers to.

    It says first which ones, and asks. This shuts out whoever finds the key from now on. Whoever
    opened a repository with it before may have kept its master key, and still reads all that is
    saved there: `dro repository rekey` makes a repository that they cannot read.

    Exit codes: 0 revoked; 3 some of them; 1 none; 2 there is no such key, or it was not confirmed.
    """
    from dr_orchestrator.custody.list import list_keys
    from dr_orchestrator.custody.revoke import keys_by_id, keys_of_holder, revoke_keys

    if (holder is None) == (key is None) or (but_newest and holder is None):
        raise UsageMistake("which keys: not said", hint="--holder ID [--but-newest], or --key ID")
    loaded = context.one_plan(practice)
    plan, tools = loaded.plan, context.app.custody
    record = context.store().practice_record(plan.practice.id)
    swept = context.sweep()
    held = (each.repository for each in record.keys if not each.is_revoked)
    names = dict.fromkeys((*repositories_of_keys(plan, record), *held))  # a retired one opens too
    there = [name for name in names if name in plan.repositories]
    seen = list_keys(plan, record, there, tools)
    unseen = [each for each in seen if each.error]
    for each in unseen:
        click.echo(f"error: {each.repository}: no key there is taken back: {each.error}", err=True)
    if holder is not None:
        keys = keys_of_holder(seen, holder, but_newest=but_newest)
    else:
        keys = keys_by_id(seen, key or "")
    for one in keys:
        whose = ", ".join(one.holders) or "nobody we know"
        context.say(f"{one.repository}: key {one.key} of {whose}")
    confirm(plan.practice.id, yes)
    done = revoke_keys(plan, keys, tools, by=person(by), why=printable(why))
    context.app.note_standing(loaded)
    gone = [each for each in done if each.error is None]
    for revoked in done:
        if revoked.error is None:
            context.say(f"{revoked.asked.repository}: {revoked.asked.key} opens it no more")
        else:
            click.echo(f"error: {revoked.asked.repository}: {revoked.error}", err=True)
    if gone:
        context.say("whoever opened a repository with it before may have kept the master key,")
        context.say("and can still read it: `dro repository rekey` makes one they cannot read")
    context.print_json_if_asked(
        {
            "revoked": [
                {"repository": each.asked.repository, "key": each.asked.key} for each in gone
            ],
            "failures": [
                *(
                    {"repository": each.asked.repository, "reason": each.error.message}
                    for each in done
                    if each.error
                ),
                *(
                    {"repository": each.repository, "reason": each.error.message}
                    for each in unseen
                    if each.error
                ),
            ],
        }
    )
    if len(gone) == len(done) and not unseen:
        return most_important(swept)
    return most_important((*swept, ExitCode.PARTIAL if gone else ExitCode.FAILED))
