"""`dro evidence`: look at what cannot be edited, check it, hand it out, put its head elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli import evidence_export, evidence_verify
from dr_orchestrator.cli.each_repository import EXIT
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.wording import count_words, instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.record import Anchored
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.store.base import ChainHead

_json_option = click.option("--json", "_json", is_flag=True, help="print one JSON object")


@click.group()
def command() -> None:
    """Look at the evidence, verify it, hand it out, and put its head where nobody can edit it."""


command.add_command(evidence_verify.verify)
command.add_command(evidence_export.export)


@command.command(
    short_help="say how far it has come, who signs it, and where it is kept",
    epilog="""\b
Examples:
  dro evidence show
  dro evidence show riverside --json
""",
)
@click.argument("practice", required=False)
@_json_option
@click.pass_obj
def show(context: Context, practice: str | None, *, _json: bool) -> ExitCode:
    """Show the head of the evidence of PRACTICE, of all where none is named: its number, the
    fingerprint of the key that signs it, and where it was last put.

    Exit codes: 0 shown; 4 there is none yet.
    """
    shown = [
        _show_one(context, loaded) for loaded in context.plans((practice,) if practice else ())
    ]
    context.print_json_if_asked({"evidence": [found for found, _ in shown]})
    return most_important(code for _, code in shown)


def _show_one(context: Context, loaded: LoadedPlan) -> tuple[dict[str, object], ExitCode]:
    from dr_orchestrator.maintenance.evidence_tools import anchored_on_record

    practice, zone = loaded.plan.practice.id, loaded.plan.practice.timezone
    chains = context.store().evidence.chains(practice)
    if not chains:
        context.say(f"{practice}: there is no evidence yet: it begins with the first run")
        return {"practice": practice, "chains": [], "kept": []}, ExitCode.UNPROVEN
    for head in chains:
        for line in _chain_lines(head, zone):
            context.say(line)
    newest: dict[str, Anchored] = {}
    for each in anchored_on_record(context.store(), practice):
        newest[each.place] = each
    for each in newest.values():
        context.say(f"  {_anchor_words(each, zone)}")
    if not newest:
        context.say(f"  kept nowhere else yet: `dro evidence anchor {practice}`")
    return {
        "practice": practice,
        "chains": [_chain_json(head) for head in chains],
        "kept": [_anchor_json(each) for each in newest.values()],
    }, ExitCode.OK


def _chain_lines(head: ChainHead, zone: tzinfo) -> Iterator[str]:
    from dr_orchestrator.evidence.signing import fingerprint

    whose = "" if head.ours else ", not gone on with here"
    yield (
        f"{head.practice}: {count_words(head.number, 'entry', 'entries')}, the last one "
        f"{instant_words(head.at, zone)}{whose}"
    )
    yield f"  {'head':12}{head.head}"
    yield f"  {'chain':12}{head.chain}"
    yield f"  {'signed by':12}{fingerprint(head.key)}"
    if head.unsigned:
        yield f"  {'not signed':12}the last {head.unsigned:,}: they are when it is next saved"


def _anchor_words(each: Anchored, zone: tzinfo) -> str:
    what = f"entry {each.number:,}" if not each.reason else f"FAILED: {printable(each.reason)}"
    return f"{printable(each.place)}: {instant_words(each.at, zone)}, {what}"


def _chain_json(head: ChainHead) -> dict[str, object]:
    from dr_orchestrator.evidence.signing import fingerprint

    return {
        "chain": head.chain,
        "ours": head.ours,
        "number": head.number,
        "head": head.head,
        "at": head.at,
        "key": fingerprint(head.key),
        "unsigned": head.unsigned,
    }


def _anchor_json(each: Anchored) -> dict[str, object]:
    return {
        "place": each.place,
        "at": each.at,
        "chain": each.chain,
        "number": each.number,
        "head": each.head,
        "reason": each.reason,
    }


@command.command(
    short_help="save it into every repository, and put its head where the plan says",
    epilog="""\b
Examples:
  dro evidence anchor riverside
""",
)
@click.argument("practice", required=False)
@_json_option
@click.pass_obj
def anchor(context: Context, practice: str | None, *, _json: bool) -> ExitCode:
    """Verify the evidence of PRACTICE, sign it, save all of it into every repository, and put its
    head where `evidence.anchor` of the plan says: mailboxes, a bucket.

    A scheduler does the same each night, and puts the head elsewhere each week, unless the plan
    says otherwise.

    Exit codes: 0 done; 3 some place did not get it; 1 none did, or it is not as it was written;
    75 another process does it just now.
    """
    loaded = context.one_plan(practice)
    swept = context.sweep()
    kept = context.app.keep_evidence(loaded, anchor_now=True)
    for place in kept.places:
        context.say(f"kept: {printable(place)}")
    if kept.head is not None:
        context.say(f"head: {kept.head.hash}")
        context.say(f"that is entry {kept.head.number:,}")
    for note in kept.notes:
        context.say(f"note: {printable(note)}")
    if kept.outcome is not Outcome.DONE:
        click.echo(f"error: {kept.reason}", err=True)
    context.print_json_if_asked(
        {
            "practice": loaded.plan.practice.id,
            "outcome": kept.outcome.value,
            "reason": kept.reason,
            "places": list(kept.places),
            "notes": list(kept.notes),
            "head": kept.head.hash if kept.head else None,
            "number": kept.head.number if kept.head else None,
        }
    )
    return most_important((*swept, EXIT[kept.outcome]))


@command.command("renew-key", short_help="let a new key sign it from now on")
@_json_option
@click.pass_obj
def renew_key(context: Context, *, _json: bool) -> ExitCode:
    """Draw a new key for this machine's evidence, of all its practices. The old one vouches for the
    new one in each chain, so whoever knows the fingerprint of the old one can go on checking by it.

    Where the old key is lost, see `dro evidence begin-anew`.
    """
    renewed = context.app.renew_evidence_key()
    context.say(f"before: {renewed.before}")
    context.say(f"now:    {renewed.now}")
    context.say(f"named in {count_words(renewed.chains, 'chain')}")
    context.print_json_if_asked(
        {"before": renewed.before, "now": renewed.now, "chains": renewed.chains}
    )
    return ExitCode.OK


@command.command(
    "begin-anew", short_help="begin another chain, where the key of the old one is lost"
)
@click.argument("practice")
@click.option("--yes", is_flag=True, help="do it: it cannot be undone")
@_json_option
@click.pass_obj
def begin_anew(context: Context, practice: str, *, yes: bool, _json: bool) -> ExitCode:
    """Begin another chain of evidence of PRACTICE, signed with the key that this machine has now.

    For where the one before cannot be gone on with: its key is lost, or the state folder was set
    back to an earlier day, so that copies elsewhere say something else. The old chain is kept and
    handed out as it is; what stands after its last signature is only vouched for by the first line
    of the new one. Whoever checks the evidence has to be told the new fingerprint.
    """
    from dr_orchestrator.evidence.signing import fingerprint

    loaded = context.one_plan(practice)
    if not yes:
        raise UsageMistake(
            f"this ends the chain of evidence of {loaded.plan.practice.id} for good",
            hint="is the old key in no backup of the state folder? then add --yes",
        )
    log, signer = context.store().evidence, context.app.evidence_signer
    head = log.begin_anew(loaded.plan.practice.id, signer)
    if head is None:
        raise UsageMistake(f"there is no evidence of {loaded.plan.practice.id} yet")
    context.say(f"chain: {head.chain}")
    context.say(f"key:   {fingerprint(head.key)}")
    context.print_json_if_asked({"chain": head.chain, "key": fingerprint(head.key)})
    return ExitCode.OK
