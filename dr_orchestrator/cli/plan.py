"""`dro plan`: validate, show and describe plans. Runs nothing and reads no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from dr_orchestrator.core.wording import count_words, duration_words, printable
from dr_orchestrator.errors import ExitCode, PlanInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.plan.problem import Problem


@click.group(
    epilog="""\b
Examples:
  dro plan validate riverside
  dro plan show plans/riverside.yaml --origin
  dro plan changes
"""
)
def command() -> None:
    """Validate, show and describe plans."""


@command.command(
    epilog="""\b
Examples:
  dro plan validate
  dro plan validate riverside plans/lakeside.yaml --json
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def validate(context: Context, practices: tuple[str, ...], *, _json: bool) -> ExitCode:
    """Say everything that is wrong with plans and their runbooks: with all of the plans folder
    where none is named.

    Exit codes: 0 all are valid (there may be warnings); 2 at least one is not.
    """
    from dr_orchestrator.plan.load import find_plan, find_plans

    folder = context.settings.plans
    paths = [find_plan(each, folder) for each in practices] or list(find_plans(folder))
    if not paths:
        find_plan(None, folder)  # says that there is none
    results = [_validated(path) for path in paths]
    valid = all(result["valid"] for result in results)
    if context.json:
        context.print_json({"valid": valid, "plans": results})
    return ExitCode.OK if valid else ExitCode.USAGE


def _validated(path: Path) -> dict[str, Any]:
    """Say on stderr what is wrong with one plan, and return the same as JSON has it."""
    from dr_orchestrator.packs.choice import packs_of
    from dr_orchestrator.plan.load import load_plan
    from dr_orchestrator.plan.problem import report
    from dr_orchestrator.runbook.shelf import blanks_on, plan_problems, shelf_of

    try:
        loaded = load_plan(path)
        packs_of(loaded)
    except PlanInvalid as error:
        problems = cast("tuple[Problem, ...]", error.problems)
        click.echo(report(problems), err=True)
        return _result(path, None, [problem.as_dict() for problem in problems], [])
    shelf = shelf_of(loaded)
    problems = (*plan_problems(loaded, shelf), *shelf.problems)
    notes = (*_notes(loaded.plan), *_blanks(blanks_on(shelf, loaded.plan)))
    for warning in loaded.warnings:
        click.echo(f"warning: {warning.text()}", err=True)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if problems:
        click.echo(report(problems), err=True)
        click.echo(f"{path}: valid; not all of its runbooks are", err=True)
    else:
        click.echo(f"{path}: valid", err=True)
    warnings = [warning.as_dict() for warning in loaded.warnings]
    practice = loaded.plan.practice.id
    return _result(path, practice, [each.as_dict() for each in problems], warnings, notes)


def _blanks(blanks: Sequence[str]) -> list[str]:
    """Return what runbooks ask for and the plan does not say."""
    if not blanks:
        return []
    count = count_words(len(blanks), "blank")
    return [f"runbooks: {count} to fill in by hand, which the plan may say: {', '.join(blanks)}"]


def _result(
    path: Path,
    practice: str | None,
    problems: list[Any],
    warnings: list[Any],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "file": str(path),
        "practice": practice,
        "valid": not problems,
        "problems": problems,
        "warnings": warnings,
        "notes": list(notes),
    }


@command.command(
    epilog="""\b
Examples:
  dro plan show riverside
  dro plan show riverside --origin
"""
)
@click.argument("practice", required=False)
@click.option("--origin", is_flag=True, help="say of each value which line or default it is from")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def show(context: Context, practice: str | None, *, origin: bool, _json: bool) -> ExitCode:
    """Show the complete plan of PRACTICE, every default written out.

    Without --origin the output is a plan itself.
    """
    from dr_orchestrator.plan.load import effective_yaml, find_plan, load_plan

    loaded = load_plan(find_plan(practice, context.settings.plans))
    for note in _notes(loaded.plan):
        click.echo(f"note: {note}", err=True)
    if context.json:
        context.print_json(_shown(loaded, origin=origin))
    elif origin:
        _show_origins(loaded)
    else:
        click.echo(effective_yaml(loaded), nl=False)
    return ExitCode.OK


def _shown(loaded: LoadedPlan, *, origin: bool) -> dict[str, Any]:
    from dr_orchestrator.plan.effective import plan_data

    content: dict[str, Any] = {
        "file": str(loaded.path),
        "sha256": loaded.sha256,
        "plan": plan_data(loaded.plan),
        "warnings": [warning.as_dict() for warning in loaded.warnings],
        "notes": _notes(loaded.plan),
    }
    return content | ({"origins": dict(loaded.origins)} if origin else {})


def _notes(plan: Plan) -> list[str]:
    """Return what follows from the plan and does not stand in it."""
    return [
        f"systems.{name}.restore_tests[{index}].files: every file comes back once in "
        f"{test.parts} tests, {duration_words(test.all_files_every)}"
        for name, system in plan.protected.items()
        for index, test in enumerate(system.restore_tests)
        if test.files
    ]


def _show_origins(loaded: LoadedPlan) -> None:
    from dr_orchestrator.plan.load import origin_lines

    for line in origin_lines(loaded):
        click.echo(line)


@command.command(
    epilog="""\b
Examples:
  dro plan changes
  dro plan changes --before ../plans-as-deployed --json
"""
)
@click.argument("practices", nargs=-1, metavar="[PRACTICE]...")
@click.option(
    "--before",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="hold them against the plans in this folder, and not against the record",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def changes(
    context: Context, practices: tuple[str, ...], *, before: Path | None, _json: bool
) -> ExitCode:
    """Show what plans promise else than before: what an edited template does to each of them.

    Exit codes: 0 nothing is loosened; 4 something is, and counts as not proven until the practice
    accepts it, or a plan is gone; 2 a plan is not valid.
    """
    from dr_orchestrator.compliance.promise import changes as changes_between
    from dr_orchestrator.core.promise import Direction
    from dr_orchestrator.maintenance.standing import promised_by

    told: list[dict[str, Any]] = []
    loosened = 0
    now = context.plans(practices)
    gone = [] if practices else _gone(before, {each.plan.practice.id for each in now})
    for practice in gone:
        context.say(f"{practice}: has no plan any more")
    for loaded in now:
        practice = loaded.plan.practice.id
        known = _promised_before(context, practice, before)
        found = changes_between(known, promised_by(loaded)) if known else ()
        less = sum(1 for each in found if each.direction is Direction.LOOSENED)
        loosened += less
        context.say(_change_line(practice, len(found), less, is_known=bool(known)))
        for each in found:
            was, is_now = (printable(value) or "-" for value in (each.before, each.after))
            context.say(f"  {each.direction.value:<9}  {each.field}: {was} -> {is_now}")
        said = [{**vars(each), "direction": each.direction.value} for each in found]
        told.append({"practice": practice, "known": bool(known), "changes": said})
    context.print_json_if_asked({"plans": told, "gone": gone, "loosened": loosened})
    return ExitCode.UNPROVEN if loosened or gone else ExitCode.OK


def _gone(folder: Path | None, practices: Collection[str]) -> list[str]:
    """Return the practices that only the folder of before has a plan for."""
    from dr_orchestrator.plan.load import find_plans, practice_id

    before = (practice_id(each) for each in find_plans(folder)) if folder else ()
    return sorted({each for each in before if each} - set(practices))


def _promised_before(context: Context, practice: str, folder: Path | None) -> Mapping[str, str]:
    """Return what was promised to a practice before; nothing where nobody knows."""
    from dr_orchestrator.maintenance.standing import promised_by
    from dr_orchestrator.plan.load import find_plans, load_plan, practice_id

    if folder is None:
        newest = context.store().newest_promise(practice)
        return newest.fields if newest else {}
    files = [each for each in find_plans(folder) if practice_id(each) == practice]
    return promised_by(load_plan(files[0])) if files else {}


def _change_line(practice: str, found: int, loosened: int, *, is_known: bool) -> str:
    if not is_known:
        return f"{practice}: no promise is known from before"
    if not found:
        return f"{practice}: promises what it did"
    less = f", {loosened} of them loosened" if loosened else ""
    return f"{practice}: {count_words(found, 'change')}{less}"


@command.command(
    epilog="""\b
Examples:
  dro plan schema > plan.schema.json
  dro plan schema --runbook > runbook.schema.json
"""
)
@click.option("--runbook", is_flag=True, help="that of runbooks")
@click.option("--json", "_json", is_flag=True, hidden=True, help="the schema is JSON anyway")
def schema(*, runbook: bool, _json: bool) -> ExitCode:
    """Print the JSON Schema of plans, for editors; with --runbook that of runbooks."""
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.plan.reference import schema_of
    from dr_orchestrator.runbook.model import Runbook

    described = schema_of(Runbook if runbook else Plan)
    click.echo(json.dumps(described, indent=2, ensure_ascii=False))
    return ExitCode.OK
