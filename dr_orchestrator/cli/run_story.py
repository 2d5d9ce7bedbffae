"""All that is known of one run, and what to do next: what `dro runs show` says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dr_orchestrator.cli.backup import point_json
from dr_orchestrator.cli.output import TITLE, Span
from dr_orchestrator.cli.run_fold import held_back, next_words
from dr_orchestrator.cli.run_seen import Seen, State, process_of, run_json, see
from dr_orchestrator.cli.test import test_json
from dr_orchestrator.compliance.advice import advise
from dr_orchestrator.core.occurrence import OccurrenceState, Progress
from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import instant_words, printable, size_words
from dr_orchestrator.errors import PointNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, tzinfo

    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.verification import Verification
    from dr_orchestrator.store.base import Store

_NEAR = timedelta(days=1)
"""How far from a run its neighbours are looked for, to either side."""
_NEIGHBOURS = 1000
"""More than two days' runs of one system: one every five minutes makes 576."""
_INTERRUPTED_MEANS = {
    Operation.BACKUP: "no recovery point came of it unless one is named here; those made before "
    "are as good as they were",
    Operation.RESTORE_TEST: "it says nothing about the backup, neither good nor bad",
    Operation.RESTORE: "what it left in its directory may not be complete: do not use it",
    Operation.OPEN: "the server ended with it, and what was restored is removed",
    Operation.FIND: "nobody was shown what it had found; it changes nothing",
    Operation.REBUILD: "the points it had read until then are recorded, the others are not",
    Operation.CHECK: "what it had read until then counts for nothing; the repository is as it was",
    Operation.FORGET: "what it had let go of until then is gone, and recorded; the rest is kept",
    Operation.PRUNE: "no recovery point is harmed, and some space was not freed",
    Operation.COPY: "the points it had copied until then are whole and recorded, the others are "
    "not there; the next one goes on",
    Operation.EXTEND: "the locks it had renewed until then are renewed, and it counts for nothing",
    Operation.IMMUTABILITY: "it says nothing about who could destroy the repository",
    Operation.UNDELETE: "part of the repository may be as it was at that time, and the rest not",
    Operation.REPORT: "the page of before is still there",
    Operation.KIT: "the kit of before is still there, in each place that did not get this one",
    Operation.EVIDENCE: "nothing of the evidence is lost; the places that did not get it yet are "
    "as they were",
    Operation.DRILL: "no drill is recorded; the restore tests it had made until then are",
}
_TESTED_BEFORE = "its result was recorded before, and counts"
_WHEN_KILLED = "where its process was killed, `ended` is when that was found"

Line = tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class Story:
    """All that is known of one run."""

    seen: Seen
    point: RecoveryPoint | None
    """What a backup made."""
    test: RestoreTest | None
    follow_ups: tuple[RestoreTest, ...]
    before: Seen | None
    """The nearest attempt at the same, where there is one within a day."""
    after: Seen | None
    occurrence: OccurrenceState | None
    """What it serves, and how far that is; `None` where a person started it."""
    attempts: tuple[Seen, ...]
    """Every attempt at that, this one included, oldest first."""
    paused: str
    """Until when a pause keeps the next attempt from being made, and why; empty: none does."""

    @property
    def is_tried_again(self) -> bool:
        """Whether another attempt is still to come."""
        return self.occurrence is not None and self.occurrence.progress is Progress.WAITING


def story_of(store: Store, run: Run, now: datetime, zones: Mapping[str, tzinfo]) -> Story:
    """Return all that the record knows of `run`, as it looks at `now`."""
    tests = store.tests_by(run)
    test = next((each for each in tests if each.id == run.id), None)
    follow_ups = tuple(each for each in tests if each.id != run.id)
    if test is not None:
        points = store.points(run.practice, system=run.system)
        advice = advise(test, follow_ups, points)  # it was recorded before they were made
        test = replace(test, next=advice)
    before, after = _neighbours(store, run)
    attempts = store.attempts_beside(run)
    seen, waits = see(run, now, zones), attempts.occurrence
    pauses = store.pauses([run.practice])
    return Story(
        seen=seen,
        point=_point_of(store, run),
        test=test,
        follow_ups=follow_ups,
        before=see(before, now, zones) if before else None,
        after=see(after, now, zones) if after else None,
        occurrence=attempts.occurrence,
        attempts=tuple(see(each, now, zones) for each in attempts.runs),
        paused=held_back(waits, now, seen.zone, pauses) if waits else "",
    )


def _point_of(store: Store, run: Run) -> RecoveryPoint | None:
    if run.operation is not Operation.BACKUP:
        return None
    try:
        return store.find_point(run.practice, run.id)  # a point has the id of its run
    except PointNotFound:
        return None


def _neighbours(store: Store, run: Run) -> tuple[Run | None, Run | None]:
    """Return the attempts at the same right before and right after `run`."""
    at = run.started_at
    history = store.runs(
        (run.practice,), run.system, since=at - _NEAR, until=at + _NEAR, limit=_NEIGHBOURS
    )
    same = {
        (each.started_at, each.id): each
        for each in (*history.open, *history.closed)
        if (each.operation, each.repository) == (run.operation, run.repository)
        and abs(each.started_at - at) <= _NEAR  # open ones come however old they are
    }
    before = max((place for place in same if place < (at, run.id)), default=None)
    after = min((place for place in same if place > (at, run.id)), default=None)
    return (same[before] if before else None, same[after] if after else None)


def _next_steps(story: Story) -> tuple[str, ...]:
    """Return what a person does now; nothing for a run that is done or still at it."""
    run, state, after = story.seen.run, story.seen.state, story.after
    if state is State.RUNNING or run.outcome is Outcome.DONE:
        return ()
    if state is State.UNKNOWN:
        return (f"look on {run.host}",)
    if story.test is not None:
        return (story.test.next,)
    closes = "; that also closes this run and removes what it left" if state is State.GONE else ""
    if after is not None and after.run.outcome is Outcome.DONE:
        return (f"nothing: it was done since, by {after.run.id}",)
    if story.occurrence is not None and story.is_tried_again:
        begins = next_words(story.occurrence, story.seen.now, story.seen.zone)
        return (f"nothing yet: {story.paused or f'it is tried again {begins}'}{closes}",)
    cause = "run it" if run.outcome in {None, Outcome.INTERRUPTED} else "remove the cause, run it"
    return (f"{cause} again: `{_command_of(run)}`{closes}",)


def _command_of(run: Run) -> str:
    system = f" --system {run.system}" if run.system else ""
    repository = f" --repository {run.repository}" if run.repository else ""
    return {
        Operation.BACKUP: f"dro backup {run.practice}{system}",
        Operation.RESTORE_TEST: f"dro test {run.practice}{system}{repository}",
        Operation.RESTORE: f"dro restore {run.practice}{system}{repository} --to DIR",
        Operation.OPEN: f"dro open {run.practice}{system}{repository}",
        Operation.FIND: f"dro find {run.practice}{system}{repository}",
        Operation.REBUILD: f"dro points rebuild {run.practice}{repository}",
        Operation.CHECK: f"dro repository check {run.practice}{repository}",
        Operation.FORGET: f"dro retention apply {run.practice}{repository}",
        Operation.PRUNE: f"dro repository prune {run.practice}{repository}",
        Operation.COPY: f"dro repository copy {run.practice}{system}{repository}",
        Operation.EXTEND: f"dro repository extend {run.practice}{repository}",
        Operation.IMMUTABILITY: f"dro repository immutability {run.practice}{repository}",
        Operation.UNDELETE: f"dro repository undelete {run.practice}{repository} --before TIME",
        Operation.REPORT: f"dro report {run.practice} --out DIR",
        Operation.KIT: f"dro runbook kit {run.practice}",
        Operation.EVIDENCE: f"dro evidence anchor {run.practice}",
        Operation.DRILL: f"dro drill {run.practice}",
    }[run.operation]


def _meaning(story: Story) -> str:
    """Return what it means that a run was interrupted; nothing for any other."""
    seen = story.seen
    means = _INTERRUPTED_MEANS[seen.run.operation] if story.test is None else _TESTED_BEFORE
    if seen.state is State.GONE:
        return means
    return f"{means}; {_WHEN_KILLED}" if seen.run.outcome is Outcome.INTERRUPTED else ""


def story_lines(story: Story) -> Iterator[Line]:
    """Return what people read of a run: on one screen, unless much did not pass."""
    seen, run = story.seen, story.seen.run
    what = " ".join(each for each in (run.practice, run.system) if each)
    yield (Span(f"{printable(what)}: {run.operation.value} ", TITLE), seen.mark)
    for name, text in _facts(story):
        if text:
            yield (Span(f"  {name:12}{printable(text)}"),)
    for test in (story.test, *story.follow_ups):
        if test is not None:
            yield from _test_lines(test, seen.zone)
    for name, other in (("before", story.before), ("after", story.after)):
        if other is not None:
            yield (Span(f"  {name:12}{other.when}  "), other.mark, Span(f"  {other.run.id}"))
    for step in _next_steps(story):
        yield (Span(f"  {'next':12}{printable(step)}", TITLE),)


def _facts(story: Story) -> Iterator[tuple[str, str]]:
    seen, run = story.seen, story.seen.run
    yield "id", run.id
    yield "started", seen.when
    if run.finished_at is not None:
        yield "ended", f"{instant_words(run.finished_at, seen.zone)}, after {seen.took}"
    elif seen.state is State.RUNNING:
        yield "running for", seen.took
    yield "process", f"{run.pid} on {run.host}{_process_words(seen)}"
    yield "repository", run.repository or ""
    if run.schedule_id and run.due_at:
        due = instant_words(run.due_at, seen.zone)
        yield "occurrence", f"{run.schedule_id}, due {due}, attempt {run.attempt}"
        yield "attempts", _attempts_words(story)
    told = [_told(each) for each in _not_passed(story.test)]
    if not any(each in run.reason for each in told):
        yield "because", seen.reason
    yield "that means", _meaning(story)
    if run.operation is Operation.BACKUP and seen.state is not State.RUNNING:
        yield "point", _point_words(story.point) if story.point else "none"


def _attempts_words(story: Story) -> str:
    """Return how each attempt ended, and when the next one begins; nothing where there was one."""
    told = [f"{each.run.attempt} {each.mark.text}" for each in story.attempts]
    if story.occurrence is not None and story.is_tried_again:
        begins = next_words(story.occurrence, story.seen.now, story.seen.zone)
        told.append(story.paused or f"the next one {begins}")
    return ", ".join(told) if len(told) > 1 else ""


def _process_words(seen: Seen) -> str:
    """Return what became of a process, where that says anything of the run."""
    if process_of(seen.run).alive is None:
        return ", which is not this machine"
    return {State.RUNNING: ", running", State.GONE: ", gone"}.get(seen.state, "")


def _point_words(point: RecoveryPoint) -> str:
    size = size_words(sum(asset.bytes for asset in point.assets.values()))
    where = ", ".join(copy.repository for copy in point.copies)
    return f"{point.id}, {', '.join(point.assets)}: {size} in {where}"


def _test_lines(test: RestoreTest, zone: tzinfo) -> Iterator[Line]:
    name = "follow-up" if test.follow_up_of else "test"
    mark = test.result.value if test.result is Result.PASSED else test.result.value.upper()
    point = f"point {test.point} ({instant_words(test.point_as_of, zone)}) from {test.repository}"
    rest = f"depth {test.depth.name}, sandbox: {test.sandbox}"
    yield (Span(f"  {name:12}{mark}: {printable(f'{point}, {rest}')}"),)
    if test.follow_up_of:
        yield (Span(f"  {'':12}to locate the damage that {test.follow_up_of} found"),)
    for each in _not_passed(test):
        yield (Span(f"  {'':12}{each.result.value.upper():10}{printable(_told(each))}"),)


def _not_passed(test: RestoreTest | None) -> tuple[Verification, ...]:
    verifications = test.verifications if test else ()
    return tuple(each for each in verifications if each.result is not Result.PASSED)


def _told(verification: Verification) -> str:
    return f"{verification.title}: {verification.reason}"


def story_json(story: Story) -> dict[str, object]:
    """Return what other programs read of a run; times in UTC."""
    tests = [each for each in (story.test, *story.follow_ups) if each is not None]
    return {
        "run": run_json(story.seen),
        "process_alive": process_of(story.seen.run).alive,
        "meaning": _meaning(story),
        "point": point_json(story.point) if story.point else None,
        "tests": [test_json(each) for each in tests],
        "occurrence": _occurrence_json(story.occurrence) if story.occurrence else None,
        "attempts": [run_json(each) for each in story.attempts],
        "before": run_json(story.before) if story.before else None,
        "after": run_json(story.after) if story.after else None,
        "next": list(_next_steps(story)),
    }


def _occurrence_json(state: OccurrenceState) -> dict[str, object]:
    return {
        "id": state.occurrence.id,
        "schedule_id": state.occurrence.schedule_id,
        "due_at": state.occurrence.due_at,
        "progress": state.progress.value,
        "attempt": state.attempt,
        "not_before": state.not_before,
        "reason": state.reason,
    }
