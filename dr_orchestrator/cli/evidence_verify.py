"""`dro evidence verify`: whether the evidence is what was once written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import repositories_of
from dr_orchestrator.core.wording import count_words, printable, some_names
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.evidence.chain import VerifiedChain
    from dr_orchestrator.maintenance.verify_evidence import EvidenceVerified
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan

_HEAD = re.compile(r"[0-9a-fA-F]{12,64}")
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_KEY_WANTED = (
    "all 64 digits of a fingerprint are wanted: they stand at the end of the practice's page, and "
    "in its mails `please keep this e-mail`"
)
_NO_KEY = "nobody said whose key it is to be signed with, so anybody could have made it: --key"


def digits(
    _context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return what an option `keys` or `expect` was given: fingerprints, or beginnings of heads.

    Raises:
        click.BadParameter: one is no such thing.
    """
    wanted, words = (
        (_KEY, _KEY_WANTED) if option.name == "keys" else (_HEAD, "12 to 64 digits are wanted")
    )
    for each in values:
        if not wanted.fullmatch(each):
            raise click.BadParameter(f"{words}: {printable(each)}")
    return tuple(each.lower() for each in values)


key_option = click.option(
    "--key",
    "keys",
    metavar="FINGERPRINT",
    multiple=True,
    callback=digits,
    help="the key it is to be signed with, known from outside; may be given again",
)


@click.command(
    short_help="say whether it is what was once written",
    epilog="""\b
Examples:
  dro evidence verify
  dro evidence verify riverside --expect 3f2a9c0b17d4
  dro evidence verify riverside --repository offsite
  dro evidence verify --file riverside.zip --key FINGERPRINT
""",
)
@click.argument("practice", required=False)
@click.option(
    "--file",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="an export, instead of what this machine has",
)
@key_option
@click.option(
    "--expect",
    metavar="HEAD",
    multiple=True,
    callback=digits,
    help="a head that was noted elsewhere (12 digits are enough); may be given again",
)
@click.option(
    "--repository",
    "repositories",
    metavar="ID",
    multiple=True,
    help="compare with the copies in this repository too; may be given again",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def verify(
    context: Context,
    practice: str | None,
    *,
    file: Path | None,
    keys: tuple[str, ...],
    expect: tuple[str, ...],
    repositories: tuple[str, ...],
    _json: bool,
) -> ExitCode:
    """Verify the evidence of PRACTICE, of all where none is named: each entry, each signature, our
    own record against it, and heads that are kept elsewhere against it. Changes nothing.

    The bucket that the plan names is looked into where that is possible.

    Exit codes: 0 all is as it was written; 1 something is not, and what; 4 it could not be
    verified: there is no evidence yet, or a chain is signed with a key that was not named; of a
    file also where no key was named, or no head of each chain, so that its end may be missing.
    """
    if file is not None:
        if practice or repositories:
            raise UsageMistake("--file is verified by itself", hint="leave the rest away")
        found, code = _verify_file(context, file, keys, expect)
        context.print_json_if_asked({"evidence": [found]})
        return code
    plans = context.plans((practice,) if practice else ())
    if (expect or keys) and len(plans) != 1:
        raise UsageMistake(
            "a head, and a key, is of one practice",
            hint=f"name one of: {', '.join(each.plan.practice.id for each in plans)}",
        )
    done = [_verify_practice(context, each, keys, expect, repositories) for each in plans]
    context.print_json_if_asked({"evidence": [found for found, _ in done]})
    return most_important(code for _, code in done)


def _verify_file(
    context: Context, file: Path, keys: tuple[str, ...], expect: tuple[str, ...]
) -> tuple[dict[str, object], ExitCode]:
    from dr_orchestrator.evidence.bundle import lines_in
    from dr_orchestrator.evidence.chain import verify as verify_lines

    found = verify_lines(lines_in(file), fingerprints=keys, expect=expect)
    faults = [f"{each.where}: {each.what}" for each in found.faults if each.is_altered]
    faults += [f"no entry has the hash {each}" for each in found.missing]
    unproven = [] if keys else [_NO_KEY]
    unproven += [f"{each.where}: {each.what}" for each in found.faults if not each.is_altered]
    unproven += [
        f"whether the end of chain {each.chain} is missing is not known: --expect HEAD"
        for each in found.chains
        if not each.complete_to
    ]
    _say(context, str(file), found.chains, faults, unproven)
    code = ExitCode.FAILED if faults else ExitCode.UNPROVEN if unproven else ExitCode.OK
    return {
        "file": str(file),
        "sound": code is ExitCode.OK,
        "chains": [_chain_json(each) for each in found.chains],
        "faults": faults,
        "unproven": unproven,
        "notes": [],
    }, code


def _verify_practice(
    context: Context,
    loaded: LoadedPlan,
    keys: tuple[str, ...],
    expect: tuple[str, ...],
    repositories: tuple[str, ...],
) -> tuple[dict[str, object], ExitCode]:
    plan, practice = loaded.plan, loaded.plan.practice.id
    for name in repositories:
        repositories_of(plan, name)
    found = context.app.look_at_evidence(
        plan, repositories=repositories, expect=expect, fingerprints=keys
    )
    if found is None:
        context.say(f"{practice}: there is no evidence yet: it begins with the first run")
        nothing: dict[str, object] = {"practice": practice, "sound": False, "chains": []}
        return {**nothing, "faults": [], "unproven": [], "notes": []}, ExitCode.UNPROVEN
    beside = unseen(plan, found, repositories=repositories, is_expecting=bool(expect))
    chains, notes = found.verification.chains, (*found.notes, *beside)
    _say(context, practice, chains, found.faults, found.unnamed)
    _say_notes(context, notes)
    code = ExitCode.OK if found.is_sound else ExitCode.FAILED
    if found.is_sound and found.unnamed:
        code = ExitCode.UNPROVEN
    if found.matched:
        heads = count_words(
            found.matched, "head that is kept elsewhere", "heads that are kept elsewhere"
        )
        context.say(f"  {'compared':12}with {heads}: found")
    return {
        "practice": practice,
        "sound": code is ExitCode.OK,
        "chains": [_chain_json(each) for each in chains],
        "faults": list(found.faults),
        "unproven": list(found.unnamed),
        "notes": list(notes),
        "compared": found.matched,
    }, code


def unseen(
    plan: Plan,
    found: EvidenceVerified,
    *,
    repositories: Collection[str] = (),
    is_expecting: bool = False,
) -> Iterator[str]:
    """Yield what a verification on this machine cannot tell."""
    if found.recorded_before:
        entries = count_words(found.recorded_before, "entry", "entries")
        yield f"not vouched for: {entries} of the record from before there was evidence"
    others = [name for name in plan.used_repositories if name not in repositories]
    copies = f"with the copies in {some_names(others)} (--repository ID)" if others else ""
    heads = "" if is_expecting else "with a head from a mailbox (--expect HEAD)"
    if not_with := " nor ".join(filter(None, (copies, heads))):
        yield f"not compared {not_with}: a record set back to an earlier day looks whole by itself"


def _say(
    context: Context,
    what: str,
    chains: tuple[VerifiedChain, ...],
    faults: Collection[str],
    unproven: Collection[str],
) -> None:
    entries = count_words(sum(each.lines for each in chains), "entry", "entries")
    said = f"{entries}, all as they were written"
    if unproven:
        said = f"NOT PROVEN: nothing is wrong with these {entries}, as far as they go"
    if faults:
        said = "NOT as it was written"
    context.say(f"{printable(what)}: {said}")
    for fault in faults:
        context.say(f"  {'FAULT':12}{printable(fault)}")
    for each in unproven:
        context.say(f"  {'NOT PROVEN':12}{printable(each)}")
    for chain in chains:
        _say_chain(context, chain)


def _say_notes(context: Context, notes: Iterable[str]) -> None:
    for note in notes:
        context.say(f"  {'note':12}{printable(note)}")


def _say_chain(context: Context, each: VerifiedChain) -> None:
    length = count_words(each.lines, "entry", "entries")
    context.say(f"  {'chain':12}{each.chain} of {printable(each.practice)}, {length}")
    context.say(f"  {'head':12}{each.head}")
    for number, key in enumerate(each.keys):
        context.say(f"  {'then by' if number else 'signed by':12}{key}")
    if each.unsigned:
        context.say(f"  {'not signed':12}the last {each.unsigned:,}: they are chained only")
    if each.complete_to:
        context.say(f"  {'complete':12}up to entry {each.complete_to:,}: there may have been more")


def _chain_json(each: VerifiedChain) -> dict[str, object]:
    return {
        "practice": each.practice,
        "chain": each.chain,
        "lines": each.lines,
        "head": each.head,
        "first_at": each.first_at,
        "last_at": each.last_at,
        "keys": list(each.keys),
        "unsigned": each.unsigned,
        "complete_to": each.complete_to,
    }
