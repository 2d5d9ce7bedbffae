"""`dro test`: restore a recovery point to a sandbox, and prove it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.backup import systems_of
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.restore.restore_test import RestoreTestRequest

_EXIT = {
    Result.PASSED: ExitCode.OK,
    Result.FAILED: ExitCode.FAILED,
    Result.UNPROVEN: ExitCode.UNPROVEN,
}


@click.command(
    epilog="""\b
Examples:
  dro test riverside
  dro test riverside --system emr --repository offsite --point random
"""
)
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="only this system")
@click.option("--repository", metavar="ID", help="from this repository, not those of the plan")
@click.option("--point", metavar="ID", help="`latest`, `random`, or the beginning of an id")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    system: str | None,
    repository: str | None,
    point: str | None,
    *,
    _json: bool,
) -> ExitCode:
    """Restore a recovery point of each system of PRACTICE to a sandbox, and prove it.

    Where a test fails, the same point from the other repositories and the point before it are
    tested too, to find out where the damage is.

    Exit codes: 0 passed; 1 failed: this backup does not restore right; 4 could not be verified.
    """
    loaded = context.one_plan(practice)
    requests = _requests(loaded, system, repository, point)
    context.app.look_ahead(loaded.plan, (request.repository for request in requests))
    codes = list(context.sweep())
    tests: list[RestoreTest] = []
    failures: list[dict[str, object]] = []
    for request in requests:
        try:
            with ProgressLine(f"{request.system}: restoring from {request.repository}") as line:
                made = context.app.prove(request, line.update)
        except DroError as error:
            codes.append(error.exit_code)
            failures.append({"system": request.system, "reason": error.message})
            named = error.message.startswith(f"{request.system}: ")
            what = "" if named else f"{request.system}: "
            click.echo(f"error: {what}{error}", err=True)
            continue
        codes.append(_EXIT[made[0].result])
        tests += made
        for test in made:
            _say_test(context, test)
    context.print_json_if_asked(
        {"tests": [test_json(test) for test in tests], "failures": failures}
    )
    return most_important(codes)


def _requests(
    loaded: LoadedPlan, system: str | None, repository: str | None, point: str | None
) -> list[RestoreTestRequest]:
    """Return what the plan asks for, or what the command line asks for instead.

    A system that the plan asks no test of is tested all the same: who asks for a test and gets none
    would take the exit code 0 for a proof.
    """
    from dr_orchestrator.packs.choice import packs_of
    from dr_orchestrator.restore.choose import LATEST
    from dr_orchestrator.restore.restore_test import RestoreTestRequest

    plan = loaded.plan
    if repository is not None and repository not in plan.repositories:
        raise UsageMistake(
            f"the plan has no repository {repository}",
            hint=f"it has: {', '.join(plan.repositories)}",
        )
    wanted = []
    for name in systems_of(loaded, system):
        spec = plan.protected[name]
        asked: list[tuple[str, str]] = [(test.from_, test.point) for test in spec.restore_tests]
        wanted += [
            (name, repository or place, point or which)
            for place, which in asked or [(spec.backup.to[0], LATEST)]
        ]
    if not wanted:
        raise UsageMistake(f"{plan.practice.id} protects no system, so there is nothing to test")
    packs = {name: each.pack for name, each in packs_of(loaded).items()}
    return [
        RestoreTestRequest(plan=plan, system=name, repository=place, point=which, packs=packs)
        for name, place, which in dict.fromkeys(wanted)
    ]


def _say_test(context: Context, test: RestoreTest) -> None:
    follow_up = "  (to locate the damage) " if test.follow_up_of else ""
    context.say(
        f"{follow_up}{test.system}: {_mark(test.result)}: point {test.point} from "
        f"{test.repository}, depth {test.depth.name}, sandbox: {test.sandbox}"
    )
    for name, seconds in (
        ("data back in", test.rta_data_seconds),
        ("service back in", test.rta_service_seconds),
        ("proof took", test.proof_seconds),
    ):
        if seconds:
            context.say(f"  {name:16} {duration_words(timedelta(seconds=seconds))}")
    for verification in test.verifications:
        told = f" ({verification.actual})" if isinstance(verification.actual, str) else ""
        context.say(f"  {verification.result.value:9} {verification.title}{told}")
        if verification.reason:
            context.say(f"            {verification.reason}")
    for condition in test.conditions:
        context.say(f"  note      {condition}")
    if test.result is not Result.PASSED:
        context.say(f"  because   {test.reason}")
        context.say(f"  next      {test.next}")


def _mark(result: Result) -> str:
    return result.value if result is Result.PASSED else result.value.upper()


def test_json(test: RestoreTest) -> dict[str, object]:
    """Return a restore test as other programs read it."""
    return {
        "id": test.id,
        "system": test.system,
        "repository": test.repository,
        "point": test.point,
        "result": test.result.value,
        "reason": test.reason,
        "rta_data_seconds": test.rta_data_seconds,
        "rta_service_seconds": test.rta_service_seconds,
        "proof_seconds": test.proof_seconds,
        "rpa_seconds": test.rpa_seconds,
        "data_age_seconds": test.data_age_seconds,
        "depth": test.depth.name,
        "sandbox": test.sandbox,
        "verifications": [_verification_json(each) for each in test.verifications],
        "conditions": list(test.conditions),
        "follow_up_of": test.follow_up_of,
        "next": test.next,
    }


def _verification_json(verification: Verification) -> dict[str, object]:
    return {
        "title": verification.title,
        "asset": verification.asset,
        "result": verification.result.value,
        "expected": verification.expected,
        "actual": verification.actual,
        "reason": verification.reason,
    }
