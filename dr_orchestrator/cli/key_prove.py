"""`dro key prove`: somebody types in the key they hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.key_sheet import require_holder, wanted_repositories
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.output import say_error
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.custody.prove import Trial

_TRIES = 3
_LONGEST = 4096
_NOTHING = "no key was typed"


@click.command(
    epilog="""\b
Examples:
  dro key prove riverside --holder manager
  pass show riverside/restic | dro key prove riverside --holder msp --as-typed
"""
)
@click.argument("practice", required=False)
@click.option("--holder", metavar="ID", required=True, help="who holds it: as in `custody`")
@click.option("--repository", metavar="ID", help="only of this repository")
@click.option(
    "--as-typed", is_flag=True, help="it stands on no key sheet: take it sign by sign as it comes"
)
@click.option("--by", metavar="NAME", help="who has it tried; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    *,
    holder: str,
    repository: str | None,
    as_typed: bool,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Try a key on the repositories of PRACTICE: it is to open them and bring a file back.

    The key is asked for and not shown; without a terminal it is read from standard input. One from
    a key sheet is looked over first, and the group that was mistyped is named. A wrong key locks
    nobody out. How it went is recorded as evidence; a repository that does not answer is not.

    Exit codes: 0 it opens all; 3 some; 1 none; 2 it is not as it was printed, so nothing was tried,
    or it is somebody else's; 4 there is no recovery point yet that a file could come back from; 75
    all are busy.
    """
    from dr_orchestrator.custody.prove import prove_key

    loaded = context.one_plan(practice)
    plan = loaded.plan
    require_holder(plan, holder)
    record = context.store().practice_record(plan.practice.id)
    names = wanted_repositories(plan, record, repository)
    swept = context.sweep()
    key = _typed_key(as_typed=as_typed)
    trials = prove_key(plan, holder, key, names, context.app.custody, by=person(by))
    context.app.note_standing(loaded)
    for each in trials:
        _say(context, each)
    context.print_json_if_asked(
        {"holder": holder, "repositories": [_json_of(each) for each in trials]}
    )
    return most_important((*swept, _code(trials)))


def _typed_key(*, as_typed: bool) -> Secret:
    """Return what was typed: at a terminal again where it is not as it was printed, and twice where
    nothing in it would show a mistake.
    """
    if not sys.stdin.isatty():
        return _looked_over(sys.stdin.read(_LONGEST).strip("\r\n"), as_typed=as_typed)
    for _ in range(_TRIES - 1):
        try:
            return _asked(as_typed=as_typed)
        except UsageMistake as error:
            say_error(error)
    return _asked(as_typed=as_typed)


def _asked(*, as_typed: bool) -> Secret:
    typed = _prompt("key (nothing is shown)")
    key = _looked_over(typed, as_typed=as_typed)
    if _is_unchecked(typed, as_typed=as_typed) and _prompt("the same once more") != typed:
        raise UsageMistake("the two are not the same", hint="type the key again")
    return key


def _prompt(words: str) -> str:
    return str(click.prompt(words, hide_input=True, default="", show_default=False, err=True))


def _looked_over(typed: str, *, as_typed: bool) -> Secret:
    from dr_orchestrator.custody.key_groups import read_groups

    if not typed.strip():
        raise UsageMistake(_NOTHING, hint="type it when asked, or hand it in on standard input")
    if _is_unchecked(typed, as_typed=as_typed):
        return Secret(typed)
    try:
        return read_groups(typed)
    except UsageMistake as error:
        hint = f"{error.hint}; a key that stands on no key sheet: --as-typed"
        raise UsageMistake(error.message, hint=hint) from None


def _is_unchecked(typed: str, *, as_typed: bool) -> bool:
    from dr_orchestrator.custody.key_groups import looks_like_groups

    return as_typed or not looks_like_groups(typed)


def _say(context: Context, each: Trial) -> None:
    name, proof = each.repository, each.proof
    if proof is None:
        click.echo(f"error: {name}: not tried: {each.error}", err=True)
    elif proof.opened:
        by = f"by key {proof.key}" if proof.key else "with it"
        context.say(f"{name}: opened {by}, and a file of each system came back")
        if each.remark:
            context.say(f"{name}: {each.remark}")
    else:
        context.say(f"{name}: NOT opened: {proof.reason}")


def _json_of(each: Trial) -> dict[str, object]:
    proof = each.proof
    return {
        "repository": each.repository,
        "tried": proof is not None,
        "opened": proof is not None and proof.opened,
        "key": (proof.key if proof else "") or None,
        "remark": each.remark,
        "reason": proof.reason if proof else each.error.message if each.error else "",
    }


def _code(trials: Sequence[Trial]) -> ExitCode:
    opened = [each for each in trials if each.proof and each.proof.opened]
    if len(opened) == len(trials):
        return ExitCode.OK
    if opened:
        return ExitCode.PARTIAL
    untried = [each.error.exit_code for each in trials if each.error]
    return most_important(untried) if len(untried) == len(trials) else ExitCode.FAILED
