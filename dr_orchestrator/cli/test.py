"""`dro test`: restore a recovery point to a sandbox, and prove it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.backup import systems_of
from dr_orchestrator.cli.progress import ProgressLine
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.restore.restore_test import RestoreTestRequest

EXIT = {
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
@click.option("--sample", is_flag=True, help="a share of the files only, where the plan says so")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    system: str | None,
    repository: str | None,
    point: str | None,
    *,
    sample: bool,
    _json: bool,
) -> ExitCode:
    """Restore a recovery point of each system of PRACTICE to a sandbox, and prove it.

    All files come back, also where the plan's own tests restore a share of them each; with
    --sample these tests are made as planned: of the share that was restored least recently.

    Where a test fails, the same point from the other repositories and the point before it are
    tested too, to find out where the damage is.

    Exit codes: 0 passed; 1 failed: this backup does not restore right; 4 could not be verified.
    """
    loaded = context.one_plan(practice)
    requests = _requests(loaded, system, repository, point, sample=sample)
    context.app.repositories.look_ahead(loaded.plan, (request.repository for request in requests))
    swept = context.sweep()
    context.app.note_promise(loaded)
    proven = prove_each(context, requests)
    context.app.note_standing(loaded)
    context.print_json_if_asked(proven.json)
    return most_important((*swept, *proven.codes))


@dataclass
class Proven:
    """What restore tests came to."""

    tests: list[RestoreTest] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)
    """Those that could not be made."""
    codes: list[ExitCode] = field(default_factory=list)

    @property
    def json(self) -> dict[str, object]:
        """As other programs read it."""
        return {"tests": [test_json(test) for test in self.tests], "failures": self.failures}


def prove_each(context: Context, requests: Iterable[RestoreTestRequest]) -> Proven:
    """Make restore tests one after the other, and say what each came to."""
    proven = Proven()
    for request in requests:
        try:
            with ProgressLine(f"{request.system}: restoring from {request.repository}") as line:
                made = context.app.prove(request, line.update)
        except DroError as error:
            proven.codes.append(error.exit_code)
            proven.failures.append({"system": request.system, "reason": error.message})
            named = error.message.startswith(f"{request.system}: ")
            what = "" if named else f"{request.system}: "
            click.echo(f"error: {what}{error}", err=True)
            continue
        proven.codes.append(EXIT[made[0].result])
        proven.tests += made
        for test in made:
            _say_test(context, test)
    return proven


def _requests(
    loaded: LoadedPlan,
    system: str | None,
    repository: str | None,
    point: str | None,
    *,
    sample: bool,
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
    wanted: list[tuple[str, str, str, int]] = []
    for name in systems_of(loaded, system):
        spec = plan.protected[name]
        if sample:
            wanted += [
                (name, test.from_, point or test.point, test.parts)
                for test in spec.restore_tests
                if test.files and repository in {None, test.from_}
            ]
            continue
        asked: list[tuple[str, str]] = [(test.from_, test.point) for test in spec.restore_tests]
        wanted += [
            (name, repository or place, point or which, 1)
            for place, which in asked or [(spec.backup.to[0], LATEST)]
        ]
    if not wanted and sample:
        raise UsageMistake(
            f"no restore test{f' from {repository}' if repository else ''} in the plan of "
            f"{plan.practice.id} restores a share of the files",
            hint="`restore_tests: [{.., files: {sample: 5%}}]` makes one that does",
        )
    if not wanted:
        raise UsageMistake(f"{plan.practice.id} protects no system, so there is nothing to test")
    packs = {name: each.pack for name, each in packs_of(loaded).items()}
    return [
        RestoreTestRequest(
            plan=plan, system=name, repository=place, point=which, packs=packs, parts=parts
        )
        for name, place, which, parts in dict.fromkeys(wanted)
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
        "part": test.part,
        "parts": test.parts,
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
