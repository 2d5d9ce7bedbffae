"""`dro key sheet`: a key for somebody, on a sheet to be printed and sealed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.each_repository import repositories_of
from dr_orchestrator.cli.options import person
from dr_orchestrator.compliance.custody import repositories_of_keys
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.custody.make import MadeKey
    from dr_orchestrator.plan.model import Plan


@click.command(
    epilog="""\b
Examples:
  dro key sheet riverside --holder manager
  dro key sheet riverside --holder manager --repository offsite --out /run/user/1000
"""
)
@click.argument("practice", required=False)
@click.option("--holder", metavar="ID", required=True, help="who is to hold it: as in `custody`")
@click.option("--repository", metavar="ID", help="only of this repository")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="where its files go; the current folder unless stated",
)
@click.option("--by", metavar="NAME", help="who makes it; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object: no key is in it")
@click.pass_obj
def command(
    context: Context,
    practice: str | None,
    *,
    holder: str,
    repository: str | None,
    out: Path,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Make a key that opens the repositories of PRACTICE, and the sheet that it stands on.

    The sheet is one page, as HTML and PDF, that only you can read: print it, delete the files, have
    it tried (`dro key prove`), then seal it. The key is nowhere else; a sheet that is lost is
    replaced by a new one, and its key revoked.

    Exit codes: 0 made; 3 made, and some repository does not open with it; 1 none does; 2 the plan
    names no such holder, or there is such a sheet already.
    """
    from dr_orchestrator.custody.make import SheetRequest, make_sheet

    loaded = context.one_plan(practice)
    plan = loaded.plan
    require_holder(plan, holder)
    record = context.store().practice_record(plan.practice.id)
    swept = context.sweep()
    request = SheetRequest(
        plan=plan,
        holder=holder,
        repositories=wanted_repositories(plan, record, repository),
        out=out.absolute(),
        site=context.settings.site,
        by=person(by),
    )
    made = make_sheet(request, context.app.custody, context.app.secrets.read)
    for name, key in made.opens.items():
        context.say(f"{name}: the new key of {holder} opens it ({key.key})")
    for name, error in made.failures.items():
        click.echo(f"error: {name}: {error.message}", err=True)
    if made.files:
        _say_next(context, plan, record, holder, made)
    context.print_json_if_asked(
        {
            "holder": holder,
            "files": [str(file) for file in made.files],
            "keys": [{"repository": name, "key": key.key} for name, key in made.opens.items()],
            "failures": [
                {"repository": name, "reason": error.message}
                for name, error in made.failures.items()
            ],
        }
    )
    if not made.failures:
        return most_important(swept)
    failed = ExitCode.PARTIAL if made.opens else ExitCode.FAILED
    return most_important((*swept, failed))


def require_holder(plan: Plan, holder: str) -> None:
    """Refuse a holder whom the plan does not name.

    Raises:
        UsageMistake: it does not.
    """
    holders = tuple(dict.fromkeys(each.holder for each in plan.custody))
    if holder not in holders:
        entry = f"{{holder: {printable(holder)}, form: sealed sheet, prove_every: 180d}}"
        named = f"it names: {', '.join(holders)}; or " if holders else ""
        raise UsageMistake(
            f"`custody` of the plan names no holder {printable(holder)}",
            hint=f"{named}add to it: {entry}",
        )


def wanted_repositories(plan: Plan, record: PracticeRecord, wanted: str | None) -> tuple[str, ...]:
    """Return the repository that was named, or all that a key is to open.

    Raises:
        UsageMistake: the plan has no such repository.
    """
    return repositories_of(plan, wanted) if wanted else repositories_of_keys(plan, record)


def _say_next(
    context: Context, plan: Plan, record: PracticeRecord, holder: str, made: MadeKey
) -> None:
    practice = plan.practice.id
    for file in made.files:
        context.say(str(file))
    if len(made.files) == 1:
        context.say("no PDF: WeasyPrint or Pango is not installed; print the HTML file")
    context.say("print it, delete the files, and have it tried before it is sealed:")
    context.say(f"  dro key prove {practice} --holder {holder}")
    older = {
        each.repository
        for each in record.keys
        if each.holder == holder and not each.is_revoked and each.repository in made.opens
    }
    if older:
        context.say(f"an older key of {holder} still opens {', '.join(sorted(older))}:")
        context.say(f"  dro key revoke {practice} --holder {holder} --but-newest --why TEXT")
