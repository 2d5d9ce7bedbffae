"""`dro publish`: publish this site's status now, and say what makes it believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import say_error
from dr_orchestrator.errors import DroError, ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Callable

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan


@click.command(
    epilog="""\b
Examples:
  dro publish
  dro publish --json
"""
)
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, *, _json: bool) -> ExitCode:
    """Publish this machine's status where `publish` and `metrics` in its settings say.

    Prints the line that whoever looks after many sites needs in the settings of their machine. A
    scheduler publishes by itself.

    A plan with a mistake keeps no other from being published; where a scheduler keeps the version
    before, that one is. Exit codes: 0 published; 1 something could not be; 2 the settings do not
    say where to, or a plan has a mistake.
    """
    settings, app = context.settings, context.app
    if settings.publish is None and settings.metrics is None:
        raise UsageMistake(
            "the machine's settings do not say where to publish",
            hint="add `publish: {to: DIR}` or `metrics: FILE`",
        )
    read = app.plans_and_mistakes()
    away = context.store().handed_over()
    plans = [each.plan for each in read.plans if each.plan.practice.id not in away]
    not_written = _failure(app.write_metrics, plans)
    not_published = _failure(app.publish, plans)
    wrong = [each for each in (*read.mistakes, not_written, not_published) if each is not None]
    if settings.metrics is not None and not_written is None:
        context.say(f"metrics: {settings.metrics}")
    if settings.publish is not None and not_published is None:
        context.say(f"published: {settings.publish.to}")
        context.say("whoever reads it there believes it with this in their settings:")
        context.say(f"  fleet: {{sites: {{{settings.site}: {app.site_fingerprint()}}}}}")
    context.print_json_if_asked(
        {
            "site": settings.site,
            "fingerprint": app.site_fingerprint(),
            "to": settings.publish and settings.publish.to,
            "metrics": settings.metrics and str(settings.metrics),
            "mistakes": [each.message for each in wrong],
        }
    )
    for each in wrong:
        say_error(each)
    return most_important(each.exit_code for each in wrong)


def _failure(do: Callable[[list[Plan]], None], plans: list[Plan]) -> DroError | None:
    """Return what went wrong: it keeps nothing else from being published."""
    try:
        do(plans)
    except DroError as error:
        return error
    return None
