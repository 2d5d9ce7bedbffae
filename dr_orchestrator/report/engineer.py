"""The report for whoever looks after the machines: what to do first, with the command to type, then
how everything runs. Pure; what is wrong with the machine itself is for `dro doctor` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from dr_orchestrator import __version__
from dr_orchestrator.compliance.advice import advise, follow_ups_of, what_to_do
from dr_orchestrator.compliance.corrective import newest_advice
from dr_orchestrator.compliance.forecast import forecasts
from dr_orchestrator.compliance.verdict import is_overdue
from dr_orchestrator.compliance.vouched import is_doubted
from dr_orchestrator.core.finding import Finding, Objective, Verdict
from dr_orchestrator.core.run import Outcome, Run
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import (
    day_words,
    duration_words,
    objective_words,
    result_words,
    size_words,
    verdict_words,
)
from dr_orchestrator.report.calendar import calendar_entries
from dr_orchestrator.report.document import (
    Cell,
    Commands,
    Document,
    Fact,
    Facts,
    Paragraph,
    Section,
    Table,
    Tone,
)
from dr_orchestrator.report.exact import RESULT_TONES, TONES, Exact, columns
from dr_orchestrator.report.pictures import CalendarLine, calendar, growth, recovery_times
from dr_orchestrator.report.places import custody_section
from dr_orchestrator.report.say import count, say
from dr_orchestrator.report.subject import HEAD_SHOWN
from dr_orchestrator.sheet.html import printable_parts

if TYPE_CHECKING:
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.record import RepositoryChecked
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.sign_off import CorrectiveAction
    from dr_orchestrator.report.document import Block
    from dr_orchestrator.report.subject import Subject

_OUTCOMES = {Outcome.DONE: Tone.GOOD, Outcome.FAILED: Tone.BAD}
_LAST_TESTS = 12
_LATELY = timedelta(days=30)

_Head = str | tuple[str, int]


def engineer_document(subject: Subject) -> Document:
    """Return the engineer's report on one practice."""
    return printable_parts(_Report(subject).document())


class _Report:
    """One making of the report."""

    def __init__(self, subject: Subject) -> None:
        self._at = subject
        self._exact = Exact(subject)
        self._view = self._exact.view
        self._zone = subject.plan.practice.timezone
        self._practice = subject.plan.practice.id

    def document(self) -> Document:
        at, verdict = self._at, self._exact.verdict
        return Document(
            reader="engineer",
            practice=self._practice,
            name=at.plan.practice.name,
            title=say("engineer.title", name=at.plan.practice.name),
            made=self._exact.at(at.now),
            verdict=verdict,
            verdict_words=verdict_words(verdict),
            summary=self._summary(),
            sections=tuple(self._sections()),
            footer=footer(at, self._exact.at(at.now)),
            head=at.evidence.head_shown,
            notice=self._view.notice,
        )

    def _summary(self) -> str:
        """Return how much is left to do: never "nothing" where something is open or went wrong."""
        findings = [each for each in self._view.findings if each.verdict is not Verdict.MET]
        if urgent := sum(map(self._is_urgent, findings)):
            return count("engineer.summary", urgent)
        if findings:
            return count("engineer.waiting", len(findings))
        if self._exact.verdict is not Verdict.MET:
            return say("engineer.summary.not_judged")
        ended = [each for each in self._at.record.last_runs if each.finished_at]
        if bad := sum(1 for each in ended if each.outcome is not Outcome.DONE):
            return count("engineer.unhappy", bad)
        return say("engineer.summary.none")

    def _sections(self) -> Iterator[Section]:
        yield _section("todo", *self._todo())
        yield _section("actions", *self._actions())
        for system in self._view.systems:
            title = self._view.title(system)
            yield Section(id=f"system-{system}", title=title, blocks=tuple(self._system(system)))
        yield _section("tests", self._newest_tests(), self._calendar())
        yield _section("runs", *self._runs())
        yield _section("growth", *self._growth())
        yield _section("repositories", self._repositories())
        yield custody_section(self._exact)
        yield _section("steps", self._steps())

    # --- what to do -----------------------------------------------------------------------------

    def _is_urgent(self, finding: Finding) -> bool:
        is_late = is_overdue(finding, self._at.now) and not is_doubted(finding)
        return finding.verdict is Verdict.BREACHED or is_late

    def _todo(self) -> Iterator[Block]:
        open_now = [
            each
            for each in self._view.findings
            if each.verdict is not Verdict.MET and not is_doubted(each)
        ]
        order = sorted(
            open_now,
            key=lambda each: (each.verdict is not Verdict.BREACHED, not self._is_urgent(each)),
        )
        heads = ("system", "promise", ("state", 2), ("do", 2))
        yield _table("todo", heads, map(self._to_do, order))
        urgent = filter(self._is_urgent, order)
        advice = map(self._advice, urgent)
        if commands := _commands_in(advice):
            yield Paragraph(text=say("engineer.todo.type"))
            yield Commands(lines=commands)

    def _to_do(self, finding: Finding) -> tuple[Cell, ...]:
        parts = [finding.reason]
        if finding.since is not None:
            parts.append(say("engineer.todo.since", moment=self._exact.at(finding.since)))
        if finding.due is not None and finding.verdict is Verdict.UNPROVEN:
            parts.append(say("engineer.todo.due", moment=self._exact.at(finding.due)))
        return (
            Cell(text=self._view.title(finding.system)),
            Cell(text=promise_words(finding)),
            self._state(finding, detail="; ".join(part for part in parts if part)),
            Cell(text=_without_commands(self._advice(finding))),
        )

    def _advice(self, finding: Finding) -> str:
        """Return what to do; after a test that failed what that test asks for, for another one
        would fail too.
        """
        failed = self._view.failures(finding.system)
        test = next((each for each in failed if each.repository == finding.repository), None)
        if test is None or finding.objective not in {Objective.RESTORE_TEST, Objective.RTO}:
            return what_to_do(finding, self._practice)
        return advise(test, follow_ups_of(test, self._view.all_tests), self._view.record.points)

    def _state(self, finding: Finding, detail: str = "") -> Cell:
        words = verdict_words(finding.verdict)
        if finding.verdict is Verdict.UNPROVEN:
            is_late = is_overdue(finding, self._at.now)
            words = say(f"engineer.state.{'overdue' if is_late else 'quiet'}")
        return Cell(text=words, tone=TONES[finding.verdict], detail=detail)

    def _actions(self) -> Iterator[Block]:
        still_open = [each for each in self._at.record.actions if each.is_open]
        rows = [
            (
                Cell(text=each.what, detail=self._newest(each)),
                Cell(text=self._view.title(each.system)),
                Cell(text=self._view.person(each.owner)),
                Cell(
                    text=self._exact.at(each.due),
                    tone=Tone.BAD if each.due <= self._at.now else Tone.OPEN,
                    detail=say(
                        f"engineer.actions.{'overdue' if each.due <= self._at.now else 'open'}"
                    ),
                ),
            )
            for each in sorted(still_open, key=lambda each: each.due)
        ]
        yield _table("actions", (("what", 2), "system", "owner", "due"), rows)
        if still_open:
            yield Paragraph(text=say("engineer.actions.close"))
            yield Commands(
                lines=tuple(
                    f"dro action close {self._practice} {each.id} --done TEXT"
                    for each in still_open
                )
            )

    def _newest(self, action: CorrectiveAction) -> str:
        advice = newest_advice(action, self._at.record)
        return say("engineer.actions.newest", advice=advice) if advice else ""

    # --- system by system -----------------------------------------------------------------------

    def _system(self, system: str) -> Iterator[Block]:
        rows = [
            (
                Cell(text=promise_words(finding)),
                Cell(text=finding.promised),
                Cell(text=finding.achieved or say("engineer.nothing")),
                self._state(finding),
            )
            for finding in self._view.findings_of(system)
        ]
        spec = self._at.plan.protected.get(system)
        tests = [each for each in self._at.tests if each.system == system]
        points = [each for each in self._at.record.points if each.system == system]
        yield Facts(facts=tuple(self._facts(tests, points)))
        yield Table(
            caption=say("engineer.system.promises"),
            columns=columns("engineer.system", "promise", "promised", "achieved", "state"),
            rows=tuple(rows),
            empty=say("engineer.system.empty"),
        )
        if spec is not None and tests:
            yield recovery_times(
                self._view.title(system),
                tests,
                limit=spec.rto,
                allowed=sum((step.allow for step in spec.recovery), timedelta(0)),
                now=self._at.now,
                zone=self._zone,
            )
        if points:
            yield growth(self._view.title(system), points, now=self._at.now, zone=self._zone)

    def _facts(self, tests: list[RestoreTest], points: list[RecoveryPoint]) -> Iterator[Fact]:
        newest = say("engineer.system.no_point")
        if points:
            held = sum(asset.bytes for asset in points[-1].assets.values())
            newest = f"{points[-1].id}, {self._exact.at(points[-1].as_of)}, {size_words(held)}"
        yield Fact(label=say("engineer.system.points"), text=newest)
        for repository in dict.fromkeys(each.repository for each in tests):
            timed = [
                each.rta_service_seconds
                for each in tests
                if each.repository == repository
                and each.result is Result.PASSED
                and each.rta_service_seconds is not None
            ][-_LAST_TESTS:]
            words = say("engineer.system.no_time")
            if timed:
                words = say(
                    "engineer.system.times",
                    median=duration_words(timedelta(seconds=median(timed))),
                    slowest=duration_words(timedelta(seconds=max(timed))),
                )
            yield Fact(label=say("engineer.system.time_from", repository=repository), text=words)

    # --- how everything runs --------------------------------------------------------------------

    def _newest_tests(self) -> Table:
        newest = {
            (each.system, each.repository): each
            for each in self._at.tests
            if each.follow_up_of is None
        }
        rows = [
            (
                Cell(text=self._view.title(test.system)),
                Cell(text=test.repository),
                Cell(text=self._exact.at(test.started_at)),
                Cell(
                    text=result_words(test.result),
                    tone=RESULT_TONES[test.result],
                    detail=test.reason,
                ),
                Cell(text=_seconds_words(test.rta_service_seconds)),
                Cell(text=test.depth.name),
            )
            for _, test in sorted(newest.items())
        ]
        return _table("tests", ("system", "from", "begun", ("result", 2), "took", "depth"), rows)

    def _calendar(self) -> Block:
        entries = calendar_entries(self._at.tests, self._at.due)
        lines = [
            CalendarLine(
                title=say(
                    "engineer.tests.line", title=self._view.title(system), repository=repository
                ),
                entries=tuple(
                    each
                    for each in entries
                    if (each.system, each.repository) == (system, repository)
                ),
            )
            for system, repository in sorted({(each.system, each.repository) for each in entries})
        ]
        return calendar(lines, now=self._at.now, zone=self._zone)

    def _runs(self) -> Iterator[Block]:
        ended = [each for each in self._at.record.last_runs if each.finished_at and each.outcome]
        order = sorted(ended, key=lambda each: each.outcome is Outcome.DONE)
        heads = ("what", "on", "ended", "took", ("outcome", 2))
        yield _table("runs", heads, map(self._run, order))
        if unhappy := [each for each in order if each.outcome is not Outcome.DONE]:
            yield Paragraph(text=say("engineer.runs.more"))
            yield Commands(lines=tuple(f"dro runs show {each.id}" for each in unhappy))

    def _run(self, run: Run) -> tuple[Cell, ...]:
        finished = run.finished_at or run.started_at
        outcome = run.outcome or Outcome.INTERRUPTED
        on = [self._view.title(run.system) if run.system else "", run.repository or ""]
        return (
            Cell(text=run.operation.value),
            Cell(text=", ".join(filter(None, on)) or say("engineer.nothing")),
            Cell(text=self._exact.at(finished)),
            Cell(text=duration_words(finished - run.started_at)),
            Cell(
                text=say(f"engineer.runs.outcome.{outcome.value}"),
                tone=_OUTCOMES.get(outcome, Tone.OPEN),
                detail=run.reason,
            ),
        )

    def _growth(self) -> Iterator[Block]:
        at = self._at
        ahead = forecasts(at.plan, at.record, at.disks, at.now)
        rows = [(Cell(text=day_words(each.on)), Cell(text=each.sentence)) for each in ahead]
        yield _table("growth", ("on", ("what", 4)), rows)

    def _repositories(self) -> Table:
        heads = ("repository", ("points", 2), "added", "room", ("read", 2), "locks")
        return _table("repositories", heads, map(self._repository, self._at.plan.repositories))

    def _repository(self, name: str) -> tuple[Cell, ...]:
        record, now = self._at.record, self._at.now
        held = [
            point
            for point in record.points
            if any(copy.repository == name for copy in point.copies)
        ]
        added = sum(
            asset.added_bytes or 0
            for point in held
            if now - point.as_of <= _LATELY
            for asset in point.assets.values()
        )
        points = say("engineer.repositories.no_point")
        if held:
            newest = self._exact.at(held[-1].as_of)
            points = count("engineer.repositories.points", len(held), moment=newest)
        frozen = record.frozen.get(name)
        words = (
            say("engineer.repositories.frozen", moment=self._exact.at(frozen.at), why=frozen.why)
            if frozen
            else ""
        )
        return (
            Cell(text=name, tone=Tone.BAD if frozen else Tone.PLAIN, detail=words),
            Cell(text=points),
            Cell(text=size_words(added)),
            Cell(text=self._room(name)),
            self._read_back([each for each in record.checks if each.repository == name]),
            Cell(text=self._locks(name)),
        )

    def _room(self, name: str) -> str:
        room = self._at.disks.get(name)
        if room is None:
            return say("engineer.nothing")
        free, total = map(size_words, room)
        return say("engineer.repositories.free", free=free, total=total)

    def _read_back(self, checks: list[RepositoryChecked]) -> Cell:
        if not checks:
            return Cell(text=say("engineer.repositories.unread"), tone=Tone.OPEN)
        newest = checks[-1]
        same = [each for each in checks if each.parts == newest.parts]
        damaged = next((each for each in reversed(checks) if not each.sound), None)
        return Cell(
            text=say(
                "engineer.repositories.read",
                done=len(same),
                parts=newest.parts,
                moment=self._exact.at(newest.at),
            ),
            tone=Tone.BAD if damaged else Tone.PLAIN,
            detail=say("engineer.repositories.damaged", reason=damaged.reason) if damaged else "",
        )

    def _locks(self, name: str) -> str:
        extended = self._at.record.locks.get(name)
        if extended is None or extended.until is None:
            return say("engineer.repositories.unlocked")
        return say("engineer.repositories.until", moment=self._exact.at(extended.until))

    def _steps(self) -> Table:
        rows = [
            (
                Cell(text=each.runbook),
                Cell(
                    text=self._view.title(each.system)
                    if each.system
                    else say("engineer.steps.practice")
                ),
                Cell(
                    text=say("engineer.steps.share", done=each.done, steps=each.steps),
                    tone=Tone.GOOD if each.done == each.steps else Tone.OPEN,
                ),
            )
            for each in self._at.steps
        ]
        return _table("steps", ("runbook", "of", "done"), rows)


def footer(subject: Subject, made: str) -> tuple[Fact, ...]:
    """Return which plan and which evidence a report was made of, when and by what."""
    seen = subject.evidence
    evidence = say("engineer.footer.no_evidence")
    if seen.chain:
        evidence = say("engineer.footer.at", number=f"{seen.number:,}", head=seen.head_shown)
    return (
        Fact(label=say("engineer.footer.plan"), text=subject.plan_sha256[:HEAD_SHOWN]),
        Fact(label=say("engineer.footer.evidence"), text=evidence),
        Fact(
            label=say("engineer.footer.made"),
            text=say("engineer.footer.made_by", moment=made, version=__version__),
        ),
    )


def _section(name: str, *blocks: Block) -> Section:
    return Section(id=name, title=say(f"engineer.{name}.title"), blocks=blocks)


def _table(name: str, heads: tuple[_Head, ...], rows: Iterable[tuple[Cell, ...]]) -> Table:
    return Table(
        caption=say(f"engineer.{name}.caption"),
        columns=columns(f"engineer.{name}", *heads),
        rows=tuple(rows),
        empty=say(f"engineer.{name}.empty"),
    )


def advice_words(finding: Finding, practice: str) -> str:
    """Return what to do about a finding that is not met, without the commands: within a line of
    text nobody can copy them, and they break at their hyphens.
    """
    return _without_commands(what_to_do(finding, practice))


def _without_commands(advice: str) -> str:
    return advice.split("`", maxsplit=1)[0].rstrip(": ")


def commands_for(findings: Iterable[Finding], practice: str) -> tuple[str, ...]:
    """Return the commands that help with findings, each once."""
    return _commands_in(what_to_do(each, practice) for each in findings)


def _commands_in(advice: Iterable[str]) -> tuple[str, ...]:
    found = (each.split("`")[1::2] for each in advice)
    return tuple(dict.fromkeys(command for commands in found for command in commands))


def promise_words(finding: Finding) -> str:
    """Return what was promised, and of which repository where it is about one."""
    words = objective_words(finding.objective)
    return f"{words}, {finding.repository}" if finding.repository else words


def _seconds_words(seconds: float | None) -> str:
    return (
        say("engineer.nothing") if seconds is None else duration_words(timedelta(seconds=seconds))
    )
