"""`dro ack`: the problems that are open, and the word that somebody looks after one of them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.options import person
from dr_orchestrator.cli.output import TITLE, Span, print_lines
from dr_orchestrator.core.record import ProblemAcknowledged
from dr_orchestrator.core.wording import count_words, instant_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.core.problem import OpenProblem


@click.command(
    epilog="""\b
Examples:
  dro ack
  dro ack 4k7q2z
  dro ack 4k7q2z --by "Jo of the helpdesk"
"""
)
@click.argument("problem_id", metavar="[ID]", required=False)
@click.option("--by", metavar="NAME", help="who looks after it; your login name unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(context: Context, problem_id: str | None, by: str | None, *, _json: bool) -> ExitCode:
    """Say that you look after the problem ID; its beginning will do. Without ID, list them.

    Nobody is reminded of it any more, and nobody further is told; that it is over is told to
    whoever was told of it.

    Exit codes: 0 said, or listed; 2 there is no such problem, or more than one.
    """
    problems = context.store().problems()
    if problem_id is None:
        if by is not None:
            raise UsageMistake("`--by` says who looks after a problem: which one?", hint="dro ack")
        print_lines(_lines(problems), err=context.json)
        context.print_json_if_asked({"problems": [problem_json(each) for each in problems]})
        return ExitCode.OK
    found = _one(problems, problem_id)
    name = person(by)
    if found.acknowledged_at is None:
        context.store().record(ProblemAcknowledged(id=found.id, at=context.clock.now(), by=name))
        context.say(f"{name} looks after {found.id}: {printable(found.problem.what)}")
    else:
        context.say(f"{found.acknowledged_by} looks after {found.id} already")
    known = {each.id: each for each in context.store().problems()}
    context.print_json_if_asked({"problems": [problem_json(known.get(found.id, found))]})
    return ExitCode.OK


def problem_json(known: OpenProblem) -> dict[str, object]:
    """Return a problem as other programs read it; times in UTC."""
    problem = known.problem
    return {
        "id": known.id,
        "practice": problem.practice or None,
        "system": problem.system or None,
        "kind": problem.kind.value,
        "key": problem.key,
        "what": problem.what,
        "next": problem.next,
        "since": problem.since,
        "opened_at": known.opened_at,
        "acknowledged_at": known.acknowledged_at,
        "acknowledged_by": known.acknowledged_by or None,
    }


def _one(problems: tuple[OpenProblem, ...], prefix: str) -> OpenProblem:
    found = [each for each in problems if each.id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageMistake(
            f"no open problem has an id that begins with {prefix}", hint="`dro ack` lists them"
        )
    named = ", ".join(each.id for each in found)
    raise UsageMistake(f"several problems have an id that begins with {prefix}", hint=named)


def _lines(problems: Iterable[OpenProblem]) -> Iterator[tuple[Span, ...]]:
    """Return each problem with what to do; times in UTC, since practices differ."""
    count = 0
    for count, known in enumerate(problems, 1):  # noqa: B007 - the last one is the number
        problem = known.problem
        where = " ".join(filter(None, (problem.practice or "this machine", problem.system)))
        yield Span(f"{known.id}  ", TITLE), Span(f"{where}: {printable(problem.what)}")
        yield (Span(f"        since {instant_words(problem.since or known.opened_at, UTC)}"),)
        if known.acknowledged_at is not None:
            since = instant_words(known.acknowledged_at, UTC)
            yield (
                Span(f"        {printable(known.acknowledged_by)} looks after it since {since}"),
            )
        else:
            yield (Span(f"        do now: {printable(problem.next)}"),)
    yield (Span(count_words(count, "open problem") if count else "no open problem"),)
