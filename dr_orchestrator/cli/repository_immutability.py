"""`dro repository immutability`: try to destroy what a repository holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import EXIT, Done, each_repository, repositories_of
from dr_orchestrator.core.immutability import Answer
from dr_orchestrator.errors import ExitCode, UsageMistake

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.immutability import Attempt
    from dr_orchestrator.plan.model import Plan, RepositorySpec

_WORDS = {Answer.REFUSED: "refused", Answer.DONE: "SUCCEEDED", Answer.UNKNOWN: "not known"}


@click.command(
    short_help="try to destroy what nobody may destroy",
    epilog="""\b
Examples:
  dro repository immutability riverside
  dro repository immutability riverside --repository offsite --json
""",
)
@click.argument("practice", required=False)
@click.option("--repository", metavar="ID", help="only this repository")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def immutability(
    context: Context, practice: str | None, repository: str | None, *, _json: bool
) -> ExitCode:
    """Try to destroy what each repository of PRACTICE with `object_lock` or `append_only` holds.

    It is done with the keys of a backup. What is tried on is made for it, or is put back at once
    should an attempt succeed.

    Exit codes: 0 all was refused; 1 something succeeded, or it cannot be reached; 4 it could not be
    found out; 75 a repository is busy.
    """
    plan = context.one_plan(practice).plan
    if not any(_is_safe(plan.repositories[each]) for each in repositories_of(plan, repository)):
        raise UsageMistake(
            f"the plan does not say of {repository or 'any repository'} that nobody can destroy "
            "what it holds",
            hint="`object_lock` or `append_only` says so",
        )

    def attack_one(name: str) -> Done:
        result = context.app.try_to_destroy(plan, name)
        attempts = result.tested.attempts if result.tested else ()
        nothing = "all was refused" if attempts else "nothing was ever saved there"
        context.say(f"{name}: {result.reason or nothing}")
        for each in attempts:
            context.say(f"  {_WORDS[each.answer]:9}  {_attempt_words(each)}")
        if any(each.answer is Answer.DONE for each in attempts):
            mend = _mend_words(plan, name)
            click.echo(f"hint: {mend}; then run this test again", err=True)
        found: dict[str, object] = {
            "repository": name,
            "outcome": result.outcome.value,
            "reason": result.reason,
            "attempts": [
                {"deed": each.deed.name.lower(), "answer": each.answer.value, "said": each.said}
                for each in attempts
            ],
        }
        return found, EXIT[result.outcome]

    return each_repository(context, plan, repository, "immutability", attack_one, among=_is_safe)


def _is_safe(spec: RepositorySpec) -> bool:
    return spec.keeps_attackers_out


def _mend_words(plan: Plan, name: str) -> str:
    """Return what lets a backup destroy what is there, as a rule, and what to do about it."""
    practice = plan.practice.id
    if plan.repositories[name].is_s3:
        return (
            "give the backup credential what `dro repository prepare "
            f"{practice} --repository {name} --policy` prints, and no more; "
            f"`dro doctor {practice}` says what the bucket lacks"
        )
    return "start the server so that it lets nothing be removed, as with `--append-only`"


def _attempt_words(attempt: Attempt) -> str:
    return f"{attempt.deed.value}{f' ({attempt.said})' if attempt.said else ''}"
