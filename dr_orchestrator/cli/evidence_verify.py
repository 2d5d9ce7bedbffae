"""`dro evidence verify`: whether the evidence is what was once written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.core.wording import count_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.evidence.chain import VerifiedChain
    from dr_orchestrator.plan.load import LoadedPlan

_HEAD = re.compile(r"[0-9a-fA-F]{12,64}")
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_NO_KEY = "nobody said whose key it is to be signed with, so it proves nothing"


def _digits(
    _context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    wanted, words = (
        (_KEY, "64 hexadecimal digits") if option.name == "keys" else (_HEAD, "12 to 64 digits")
    )
    for each in values:
        if not wanted.fullmatch(each):
            raise click.BadParameter(f"{words} are wanted: {printable(each)}")
    return tuple(each.lower() for each in values)


key_option = click.option(
    "--key",
    "keys",
    metavar="FINGERPRINT",
    multiple=True,
    callback=_digits,
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
    callback=_digits,
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
    verified: there is no evidence yet, or a file was given without --key.
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
    faults = [f"{each.where}: {each.what}" for each in found.faults]
    faults += [f"no entry has the hash {each}" for each in found.missing]
    notes = [] if keys else [_NO_KEY]
    _say(context, str(file), found.chains, faults, notes)
    code = ExitCode.FAILED if faults else ExitCode.OK if keys else ExitCode.UNPROVEN
    return {
        "file": str(file),
        "sound": not faults and bool(keys),
        "chains": [_chain_json(each) for each in found.chains],
        "faults": faults,
        "notes": notes,
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
        if name not in plan.repositories:
            raise UsageMistake(
                f"the plan has no repository {name}", hint=f"it has: {', '.join(plan.repositories)}"
            )
    found = context.app.look_at_evidence(
        plan, repositories=repositories, expect=expect, fingerprints=keys
    )
    if found is None:
        context.say(f"{practice}: there is no evidence yet: it begins with the first run")
        return {"practice": practice, "sound": False, "chains": [], "faults": [], "notes": []}, (
            ExitCode.UNPROVEN
        )
    chains = found.verification.chains
    _say(context, practice, chains, found.faults, found.notes)
    if found.matched:
        heads = count_words(
            found.matched, "head that is kept elsewhere", "heads that are kept elsewhere"
        )
        context.say(f"  {'compared':12}with {heads}: found")
    return {
        "practice": practice,
        "sound": found.is_sound,
        "chains": [_chain_json(each) for each in chains],
        "faults": list(found.faults),
        "notes": list(found.notes),
        "compared": found.matched,
    }, ExitCode.OK if found.is_sound else ExitCode.FAILED


def _say(
    context: Context,
    what: str,
    chains: tuple[VerifiedChain, ...],
    faults: Iterable[str],
    notes: Iterable[str],
) -> None:
    wrong = list(faults)
    entries = count_words(sum(each.lines for each in chains), "entry", "entries")
    said = "NOT as it was written" if wrong else f"{entries}, all as they were written"
    context.say(f"{printable(what)}: {said}")
    for fault in wrong:
        context.say(f"  {'FAULT':12}{printable(fault)}")
    for each in chains:
        context.say(f"  {'chain':12}{each.chain}, {count_words(each.lines, 'entry', 'entries')}")
        context.say(f"  {'head':12}{each.head}")
        for number, key in enumerate(each.keys):
            context.say(f"  {'then by' if number else 'signed by':12}{key}")
        if each.unsigned:
            context.say(f"  {'not signed':12}the last {each.unsigned:,}: they are chained only")
    for note in notes:
        context.say(f"  {'note':12}{printable(note)}")


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
    }
