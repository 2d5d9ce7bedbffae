"""`dro repository rekey`: another repository in the place of one whose key somebody kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.copies import Copies
from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.test import prove_each
from dr_orchestrator.core.wording import count_words, date_words, printable
from dr_orchestrator.custody.key_groups import new_groups
from dr_orchestrator.custody.rekey import (
    Rekey,
    changes_to_make,
    copying_plan,
    key_file_beside,
    keys_to_replace,
    make_key_file,
    moved,
    repository_to_add,
    require_two,
    retire,
)
from dr_orchestrator.errors import ExitCode, UsageMistake, most_important

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.record import PracticeRecord, RepositoryRetired
    from dr_orchestrator.core.secret import Secret
    from dr_orchestrator.custody.rekey import Moved
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.restore.restore_test import RestoreTestRequest


@click.command(
    short_help="another repository in the place of one whose key somebody kept",
    epilog="""\b
Examples:
  dro repository rekey riverside --repository onsite --to onsite-2027 --make-key \\
      /etc/dro/keys/riverside-2027
  dro repository rekey riverside --repository onsite --to onsite-2027
""",
)
@click.argument("practice", required=False)
@click.option("--repository", "old", metavar="ID", required=True, help="the one to retire")
@click.option("--to", "new", metavar="ID", required=True, help="the one that is to stand for it")
@click.option(
    "--make-key",
    "key_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="make a key for it first; then the plan is to name it",
)
@click.option("--reason", metavar="TEXT", default="", help="why, for whoever reads the record")
@click.option("--accept-unproven", metavar="TEXT", help="why it may stand without a passed test")
@click.option("--by", metavar="NAME", help="who does this; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def rekey(
    context: Context,
    practice: str | None,
    *,
    old: str,
    new: str,
    key_file: Path | None,
    reason: str,
    accept_unproven: str | None,
    by: str | None,
    _json: bool,
) -> ExitCode:
    """Bring all of a repository of PRACTICE to another one that has a master key of its own.

    Revoking a key does not lock out who kept the master key. The new repository is made, every
    recovery point copied to it, and the newest of each system restored from it and proven; then
    the old one counts as retired. The plan has to name the new one: what to add is printed. Run
    again, it goes on.

    Exit codes: 0 retired; 4 a test could not be made, so it is not retired; 3 not all came over;
    1 it failed, or a test did; 2 the plan lacks the new one; 75 a repository is busy.
    """
    loaded = context.one_plan(practice)
    asked = Rekey(plan=loaded.plan, old=old, new=new)
    _require_planned(asked, key_file)
    app = context.app
    specs = loaded.plan.repositories

    def password(name: str) -> Secret:
        return app.secrets.read(specs[name].password)

    before = _record(context, asked)
    require_two(asked, before, password)
    if not any(point.copy_in(old) for point in before.points):
        raise UsageMistake(
            f"no recovery point is on record in {old}",
            hint=f"then there is nothing to bring over: save to {new} in the plan",
        )
    codes = list(context.sweep())
    app.note_promise(loaded)
    codes += _copy(context, asked)
    now_there = moved(asked, _record(context, asked))
    codes += _prove(context, loaded, asked, now_there)
    now_there = moved(asked, _record(context, asked))
    for line in _left_lines(asked, now_there):
        click.echo(line, err=True)
    retired, changes = None, changes_to_make(asked, loaded.places)
    if now_there.may_stand(unproven=accept_unproven is not None):
        why = "; ".join(filter(None, (printable(reason), printable(accept_unproven or ""))))
        retired = retire(asked, context.store(), context.clock, by=person(by), why=why)
        for line in _retired_lines(asked, retired, _record(context, asked), changes):
            context.say(line)
    context.print_json_if_asked(_json_of(asked, now_there, retired, changes))
    return _exit(codes, now_there, is_retired=retired is not None)


def _record(context: Context, asked: Rekey) -> PracticeRecord:
    return context.store().practice_record(asked.plan.practice.id)


def _require_planned(asked: Rekey, key_file: Path | None) -> None:
    """Say what the plan lacks, and make the key that was asked for.

    Raises:
        UsageMistake: it lacks a repository.
    """
    repositories = asked.plan.repositories
    if asked.old not in repositories:
        raise UsageMistake(
            f"the plan has no repository {asked.old}", hint=f"it has: {', '.join(repositories)}"
        )
    if asked.new in repositories:
        if key_file is not None:
            raise UsageMistake(
                f"the plan has {asked.new} already, and says where its key is",
                hint="leave --make-key away",
            )
        return
    key = (key_file or key_file_beside(asked)).absolute()
    if key_file is not None:
        make_key_file(key, new_groups())
        click.echo(f"wrote {key}: put a copy into a vault now, away from this machine", err=True)
    lines = repository_to_add(asked, key).splitlines()
    shown = "\n".join(f"  {line}" for line in lines)
    made = "" if key_file else "; --make-key FILE makes its key"
    raise UsageMistake(
        f"the plan has no repository {asked.new}",
        hint=f"add it, with a place that is really there{made}:\n{shown}",
    )


def _copy(context: Context, asked: Rekey) -> Iterator[ExitCode]:
    """Copy system by system. While that takes hours, backups go on: what they add comes too."""
    plan = copying_plan(asked)
    for _round in range(2):
        missing = moved(asked, _record(context, asked)).missing
        copies = Copies()
        for system in dict.fromkeys(point.system for point in missing):
            copies.make(context, plan, system, asked.new, everything=True)
        yield from copies.codes
        if any(code is not ExitCode.OK for code in copies.codes):
            return


def _prove(context: Context, loaded: LoadedPlan, asked: Rekey, there: Moved) -> list[ExitCode]:
    """Test the newest point of each system that has not passed from there yet."""
    if not there.is_whole:
        return []
    return prove_each(context, _requests(loaded, asked, there)).codes


def _requests(loaded: LoadedPlan, asked: Rekey, there: Moved) -> Iterator[RestoreTestRequest]:
    from dr_orchestrator.packs.choice import packs_of
    from dr_orchestrator.restore.restore_test import RestoreTestRequest

    packs = {name: each.pack for name, each in packs_of(loaded).items()}
    for system in there.untested:
        yield RestoreTestRequest(
            plan=asked.plan,
            system=system,
            repository=asked.new,
            point=there.newest[system].id,
            packs=packs,
        )


def _exit(codes: Iterable[ExitCode], there: Moved, *, is_retired: bool) -> ExitCode:
    if is_retired:
        return ExitCode.OK
    results = {there.result(system) for system in there.untested}
    unproven = ExitCode.UNPROVEN if there.is_whole and results else ExitCode.OK
    lacking = ExitCode.OK if there.is_whole and there.arrived else ExitCode.PARTIAL
    return most_important((*codes, unproven, lacking))


# --- what people see ------------------------------------------------------------------------------


def _left_lines(asked: Rekey, there: Moved) -> Iterator[str]:
    practice, old = asked.plan.practice.id, asked.old
    if there.missing:
        points = count_words(len(there.missing), "recovery point")
        yield f"error: {points} still to come over: run this again"
    if there.unseen:
        points = count_words(len(there.unseen), "recovery point")
        yield (
            f"error: {points} of which only {old} tells: look into it first\n"
            f"hint: dro retention show {practice} --repository {old}"
        )
    for point, why in there.left:
        yield f"{point.system}: point {point.id} stays in {old}: {why}"


def _retired_lines(
    asked: Rekey, retired: RepositoryRetired, record: PracticeRecord, changes: Collection[str]
) -> Iterator[str]:
    plan, old, new = asked.plan, asked.old, asked.new
    day = date_words(retired.at, plan.practice.timezone)
    yield f"{old} is retired since {day}: {new} stands for it, with a master key of its own"
    if changes:
        yield "change in the plan now, or whoever kept the old master key reads what is saved next:"
        yield from (f"  {each}" for each in changes)
        yield f"then run this again: it brings over what was saved to {old} meanwhile"
    for key in keys_to_replace(asked, record):
        yield (
            f"{key.holder} ({key.form}) needs a new key: dro key sheet {plan.practice.id} "
            f"--holder {key.holder} --repository {new}"
        )
    yield (
        f"keep {old} until a scheduled backup to {new} and its restore test have passed; then "
        "destroy it, for whoever kept its master key reads all that is in it"
    )


def _json_of(
    asked: Rekey, there: Moved, retired: RepositoryRetired | None, changes: Collection[str]
) -> dict[str, object]:
    return {
        "practice": asked.plan.practice.id,
        "repository": asked.old,
        "to": asked.new,
        "retired": retired.at if retired else None,
        "arrived": [point.id for point in there.arrived],
        "missing": [point.id for point in (*there.missing, *there.unseen)],
        "left": [{"point": point.id, "reason": why} for point, why in there.left],
        "tests": {
            system: result.value if (result := there.result(system)) else None
            for system in there.newest
        },
        "changes": list(changes),
    }
