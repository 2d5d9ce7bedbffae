"""`dro takeover`: go on with a practice that another machine handed over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.evidence_verify import key_option
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.would_run import read_by_a_person, would_read, would_run
from dr_orchestrator.core.wording import instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.takeover.commands import locations_that_run
from dr_orchestrator.takeover.folder import ANOTHER_MAY_HAVE_IT, read_handed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.takeover.folder import Handed
    from dr_orchestrator.takeover.take_over import Taken


@click.command(
    epilog="""\b
Examples:
  dro takeover /media/usb/riverside --key FINGERPRINT
  dro takeover /media/usb/riverside --key FINGERPRINT --plans /srv/plans
"""
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--plans",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="where plan and runbooks go; the plans folder of the settings unless stated",
)
@key_option
@click.option(
    "--trust-commands",
    is_flag=True,
    help="let commands run and secrets be read: you have read the list",
)
@click.option("--by", metavar="NAME", help="who does this; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context,
    folder: Path,
    plans: Path | None,
    keys: tuple[str, ...],
    *,
    trust_commands: bool,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Verify what `dro handover` wrote to DIR, and go on with that practice on this machine.

    Record and evidence come along, so nothing begins anew and no proof is lost. The plan goes into
    the plans folder once somebody has read what it runs, and which secrets it reads; nothing there
    is written over. Stopped in between, the same command goes on. On the machine that gave it away,
    it takes it back.

    Exit codes: 0 done; 3 done, and something is left to do: a secret is missing, or a repository
    did not answer; 1 what is in DIR is not as it was handed over, or another key signed it; 2 the
    practice is known here already, or nobody read what it runs and reads.
    """
    handed = read_handed(folder.absolute(), keys=keys)
    for line in _found_lines(handed):
        context.say(line)
    commands = (
        *would_run(handed.loaded.plan, handed.runbooks),
        *map(printable, locations_that_run(handed.loaded.plan)),
    )
    reads = would_read(handed.loaded.plan)
    if (commands or reads) and not trust_commands and not read_by_a_person(commands, reads):
        raise UsageMistake(
            "nobody has read what it runs and reads: nothing was taken over",
            hint="read it above; if all that may be on this machine: --trust-commands",
        )
    context.sweep()
    where = (plans or context.settings.plans).absolute()
    taken = context.app.take_over(handed, plans=where, by=person(by))
    for line in _taken_lines(handed, taken):
        context.say(line)
    context.print_json_if_asked(_taken_json(handed, taken))
    is_left = taken.missing or any(taken.retention.values())
    return ExitCode.PARTIAL if is_left else ExitCode.OK


def _found_lines(handed: Handed) -> Iterator[str]:
    giver, zone = handed.giver, handed.loaded.plan.practice.timezone
    name = printable(handed.loaded.plan.practice.name)
    yield f"{handed.practice}: {name}, from {printable(giver.host)}"
    at = instant_words(giver.at, zone)
    yield f"  handed over {at} by {printable(giver.by)} to {printable(giver.to)}"
    yield f"  head {giver.head} (entry {giver.number:,})"
    yield f"  key  {giver.fingerprint}"
    if not handed.is_vouched:
        yield (
            "  NOBODY VOUCHES for that key: whoever made this folder signed it. Compare it with "
            "the page that the other side signed, or have it compared: --key FINGERPRINT"
        )


def _taken_lines(handed: Handed, taken: Taken) -> Iterator[str]:
    practice = handed.practice
    before = "was taken over before" if taken.again else "taken over"
    yield f"{practice}: {before}; this machine goes on with it"
    if taken.is_back:
        yield f"  {ANOTHER_MAY_HAVE_IT}"
    for path in taken.written:
        yield f"  wrote {printable(str(path))}"
    for name, why in taken.retention.items():
        if why:
            yield f"  points in {name} are not let go of from here yet: {why}"
            yield f"    once it answers: dro retention take {practice} --repository {name} --reason"
        else:
            yield f"  points in {name} are let go of from here from now on"
    for field, why in taken.missing.items():
        yield f"  missing: {field}: {printable(why)}"
    yield "next:"
    yield f"  dro doctor {practice}"
    yield f"  dro test {practice}"
    yield f"  dro key sheet {practice} --holder ID"
    yield "and what the page lists under what to change and to take back"


def _taken_json(handed: Handed, taken: Taken) -> dict[str, object]:
    return {
        "practice": handed.practice,
        "vouched": handed.is_vouched,
        "key": handed.giver.fingerprint,
        "head": handed.giver.head,
        "again": taken.again,
        "back": taken.is_back,
        "plan": str(taken.loaded.path),
        "written": [str(path) for path in taken.written],
        "retention": {name: why or None for name, why in taken.retention.items()},
        "missing": dict(taken.missing),
    }
