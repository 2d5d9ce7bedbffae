"""An incident as it went, in sentences: the report of it. Pure.

Every move of every run that belongs to it, in the order of time; nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dr_orchestrator.cli.runbook_words import MODES, RESULTS
from dr_orchestrator.core.runbook import Ending, Event, Move
from dr_orchestrator.core.wording import (
    date_words,
    duration_words,
    instant_words,
    moment_words,
    printable,
)
from dr_orchestrator.runbook.model import Kind
from dr_orchestrator.runbook.progress import BREAK_GLASS, TO_RUNBOOK, chosen_before

if TYPE_CHECKING:
    from datetime import tzinfo

    from dr_orchestrator.cli.runbook_standing import Standing

_HASH = 12
"""Signs of a SHA-256 in a sentence; all of it is in the JSON."""
_WORDS = {
    Event.FOUND: "looked how {subject} had ended, which nobody wrote down: {result}{why}",
    Event.COMMANDS_CONFIRMED: "read the commands of this runbook, and let them run here",
    Event.CONFIRMED: "typed the practice's id, before something is lost",
    Event.SECONDED: "second person: {said} agreed",
    Event.BROKE_GLASS: "went on without a second person: {said}",
    Event.NOTED: "noted{of}: {said}",
    Event.CLOCK: "time runs, {lasts}: {said}",
    Event.TAKEN_OVER: "took this up again",
}
_ENDINGS = {
    Ending.COMPLETED: "the last step was reached",
    Ending.WENT_ON: "went on to the runbook",
    Ending.ABANDONED: "ended before its last step",
}


def story(standings: Sequence[Standing]) -> Iterator[str]:
    """Yield the report of an incident, rehearsal or drill, line by line.

    `standings` are all its runs, oldest first.
    """
    first = standings[0]
    zone = first.plan.practice.timezone
    yield f"# {MODES[first.run.mode].capitalize()} at {printable(first.plan.practice.name)}"
    yield ""
    yield f"- outage declared: {instant_words(first.run.outage_at, zone)}"
    for each in standings:
        yield f"- {_run_line(each, zone)}"
        yield from (f"  - {line}" for line in _came_of(each, zone))
    people = dict.fromkeys(move.by for each in standings for move in each.moves)
    yield f"- people: {', '.join(printable(each) for each in people) or 'none'}"
    day = ""
    for standing, move in in_order(standings):
        if (today := date_words(move.at, zone)) != day:
            day = today
            yield ""
            yield f"## {day}, {move.at.astimezone(zone):%Z}"
            yield ""
        yield f"- {_line(standing, move, zone)}"


def in_order(standings: Sequence[Standing]) -> list[tuple[Standing, Move]]:
    """Return the moves of all runs as they followed each other; those of one run stay in order.
    What a run has in common with the one that it parted from is told once.
    """
    order = {each.run.id: number for number, each in enumerate(standings)}
    latest: dict[str, Any] = {}
    told: set[Move] = set()
    keyed = []
    for standing in standings:
        same = {move: replace(move, run="", number=0) for move in standing.moves}
        for move in standing.moves:
            # a clock that was set back must not put a move before the one that led to it
            latest[move.run] = max(latest.get(move.run, move.at), move.at)
            if same[move] not in told:
                keyed.append(((latest[move.run], order[move.run], move.number), standing, move))
        told.update(same.values())
    return [(standing, move) for _, standing, move in sorted(keyed, key=lambda each: each[0])]


def _run_line(standing: Standing, zone: tzinfo) -> str:
    run = standing.run
    opened = f"opened {moment_words(run.opened_at, zone)} by {printable(run.opened_by)}"
    which = f"{standing.name} (`{run.runbook}`, run {run.id})"
    return f"{which}: {opened} on {printable(run.host)}; {standing.place}"


def _came_of(standing: Standing, zone: tzinfo) -> Iterator[str]:
    """Yield what a run led to: who works again, what came back, what is due."""
    progress, run = standing.progress, standing.run
    lasted = progress.rta_drill(run.outage_at)
    if lasted is not None and progress.people_at is not None:
        at, against = moment_words(progress.people_at, zone), _against(lasted, standing)
        yield f"people confirmed: {at}; RTA-drill {duration_words(lasted)}{against}"
    for move in progress.restored:
        came = f"{printable(move.subject)}: {RESULTS[move.result] if move.result else 'ended'}"
        yield f"restored: {came}{_evidence(move)}"
    for limit in progress.limits:
        yield f"due: {printable(limit.of)}, by {moment_words(limit.until, zone)}"


def _against(lasted: timedelta, standing: Standing) -> str:
    if standing.rto is None:
        return ""
    kept = "within" if lasted <= standing.rto else "OVER"
    return f", {kept} the RTO of {duration_words(standing.rto)}"


def _line(standing: Standing, move: Move, zone: tzinfo) -> str:
    """Return one move: when, who, where, of what, and what happened."""
    run = standing.run
    about = run.system or run.lane
    runbook = f"{run.runbook} ({about})" if about else run.runbook
    at = f"{move.at.astimezone(zone):%H:%M:%S}"
    where = f"{runbook}, `{move.step}`" if move.step else runbook
    again = f" (time {move.visit})" if move.visit > 1 else ""
    who = f"{printable(move.by)} on {printable(move.host)}"
    return f"{at} {who}, {where}{again}: {sentence_of(standing, move)}"


def sentence_of(standing: Standing, move: Move) -> str:
    """Return what a move says."""
    said, subject = printable(move.text), printable(move.subject)
    kind = standing.runbook.step(move.step).kind if move.step else None
    restores = kind is Kind.RESTORE and move.subject != BREAK_GLASS
    match move.event:
        case Event.BEGUN:
            return f"came to: {printable(standing.filled(move.step).do)}"
        case Event.STARTED if not subject:
            return "ran its command"
        case Event.STARTED:
            return f"began {'to restore' if restores else 'to tell'} {subject}"
        case Event.FINISHED:
            what = f"{'restore of' if restores else 'telling'} {subject}" if subject else "command"
            return f"{what}: {_result(move)}{_evidence(move)}{_said(said)}"
        case Event.ENDED:
            return _step_ended(move, said)
        case Event.CHOSEN:
            before = chosen_before(move)
            then = instant_words(before, standing.plan.practice.timezone) if before else ""
            return f"chose the newest points{f' made before {then}' if then else ''}"
        case Event.CLOSED:
            return _closed(move, said)
    return _WORDS[move.event].format(
        said=said,
        why=f"; {said}" if said else "",
        subject=subject or "its command",
        of=f" of {subject}" if subject else "",
        result=_result(move),
        lasts=duration_words(timedelta(seconds=move.seconds or 0)),
    )


def _step_ended(move: Move, said: str) -> str:
    took = f", after {duration_words(timedelta(seconds=move.seconds))}" if move.seconds else ""
    on = ""
    if move.goes_to.startswith(TO_RUNBOOK):
        on = f"; on to the runbook {move.goes_to.removeprefix(TO_RUNBOOK)}"
    elif move.goes_to:
        on = f"; on to `{move.goes_to}`"
    return f"{_result(move)}{took}{_said(said)}{on}"


def _closed(move: Move, said: str) -> str:
    words = _ENDINGS[move.ending] if move.ending else "closed"
    to = f" {move.goes_to.removeprefix(TO_RUNBOOK)}" if move.ending is Ending.WENT_ON else ""
    return f"{words}{to}{_said(said)}"


def _result(move: Move) -> str:
    return RESULTS[move.result] if move.result else "ended"


def _said(text: str) -> str:
    return f": {text}" if text else ""


def _evidence(move: Move) -> str:
    """Return what a move has to show for it: point, place, exit code, and hash of the output."""
    parts = []
    if move.point:
        parts.append(f"point {printable(move.point)} from {printable(move.repository)}")
    if move.place:
        parts.append(f"to {printable(move.place)}")
    if move.restore_test:
        parts.append(f"restore test {printable(move.restore_test)}")
    if move.exit_code is not None:
        parts.append(f"exit code {move.exit_code}")
    if move.output_sha256:
        parts.append(f"output sha256 {move.output_sha256[:_HASH]}")
    if move.seconds is not None:
        parts.append(f"took {duration_words(timedelta(seconds=move.seconds))}")
    return f", {', '.join(parts)}" if parts else ""


def move_json(standing: Standing, move: Move) -> dict[str, object]:
    """Return a move for programs: every field, and the sentence."""
    return {
        "at": move.at,
        "run": move.run,
        "number": move.number,
        "runbook": standing.run.runbook,
        "system": standing.run.system or None,
        "lane": standing.run.lane or None,
        "by": move.by,
        "host": move.host,
        "event": move.event.value,
        "step": move.step or None,
        "visit": move.visit or None,
        "subject": move.subject or None,
        "result": move.result.value if move.result else None,
        "goes_to": move.goes_to or None,
        "text": move.text,
        "says": sentence_of(standing, move),
        "output_sha256": move.output_sha256 or None,
        "exit_code": move.exit_code,
        "seconds": move.seconds,
        "point": move.point or None,
        "repository": move.repository or None,
        "place": move.place or None,
        "restore_test": move.restore_test or None,
        "ending": move.ending.value if move.ending else None,
    }
