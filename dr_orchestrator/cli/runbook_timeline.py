"""`dro runbook timeline`: all that was done in an incident, by whom and when: the report of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.runbook_standing import standing_json, standing_of
from dr_orchestrator.cli.runbook_story import in_order, move_json, story
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.cli.runbook_standing import Standing


@click.command(
    epilog="""\b
Examples:
  dro runbook timeline 20261121-0214
  dro runbook timeline 20261121-0214 --out incident.md
"""
)
@click.argument("run")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="write it to a file instead, as Markdown",
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, run: str, *, out: Path | None, _json: bool) -> ExitCode:
    """Print every move of the incident, rehearsal or drill that RUN belongs to, in order of time.

    All its runs are in it: triage, what it led to, and what was followed beside it. Times are the
    practice's own. It holds what people typed, and no output of any program.

    Exit codes: 0 printed; 2 there is no such run.
    """
    followed = context.store().followed
    runs = followed.of_incident(followed.find(run).incident)
    standings = [standing_of(each, context.store()) for each in runs]
    text = "".join(f"{line}\n" for line in story(standings))
    if out is not None:
        _write(out, text)
        context.say(f"written to {out}")
    elif not context.json:
        click.echo(text, nl=False)
    context.print_json_if_asked(_json_of(standings))
    return ExitCode.OK


def _write(out: Path, text: str) -> None:
    try:
        write_whole(out, text.encode(), mode=0o600)
    except OSError as error:
        raise UsageMistake(
            f"{out} cannot be written: {(error.strerror or 'unknown reason').lower()}"
        ) from None


def _json_of(standings: Sequence[Standing]) -> dict[str, object]:
    first = standings[0].run
    return {
        "incident": first.incident,
        "practice": first.practice,
        "mode": first.mode.value,
        "outage_at": first.outage_at,
        "runs": [_run_json(each) for each in standings],
        "moves": [move_json(standing, move) for standing, move in in_order(standings)],
    }


def _run_json(standing: Standing) -> dict[str, object]:
    run, progress = standing.run, standing.progress
    return {
        **standing_json(standing),
        "runbook_sha256": run.runbook_sha256,
        "plan_sha256": run.plan_sha256,
        "opened_at": run.opened_at,
        "opened_by": run.opened_by,
        "host": run.host,
        "restored": [
            {
                "system": each.subject,
                "result": each.result.value if each.result else None,
                "point": each.point or None,
                "repository": each.repository or None,
                "place": each.place or None,
                "restore_test": each.restore_test or None,
                "seconds": each.seconds,
            }
            for each in progress.restored
        ],
    }
