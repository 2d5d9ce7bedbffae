"""A responder before a runbook: what it is followed with, in memory, and a desk that answers."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import yaml

from dr_orchestrator.core.record import Entry, RunbookMoved
from dr_orchestrator.core.runbook import Event, Mode, Move, RunbookRun
from dr_orchestrator.core.verification import Result
from dr_orchestrator.errors import Busy, Interrupted, NotDelivered
from dr_orchestrator.runbook.follow import Followed, Following, follow
from dr_orchestrator.runbook.model import Runbook
from dr_orchestrator.runbook.order import waits_for
from dr_orchestrator.runbook.progress import Progress, progress_of
from dr_orchestrator.runbook.tools import (
    CommandEnded,
    InSandboxes,
    RestoredSystem,
    RunbookTools,
    ToNewDirectories,
)
from tests.support.clock import START, FakeClock
from tests.support.practices import plan, system

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Contact, Plan
    from dr_orchestrator.runbook.desk import Doing, PointLine, Question, Report, View

CONTACTS = {
    "manager": {"role": "practice manager", "email": "m@example.org", "phone": "555-0100"},
    "office": {"role": "front office", "email": "o@example.org", "phone": "555-0101"},
    "insurer": {"role": "insurer", "email": "i@example.org"},
}
PLAN = plan(
    {
        "directory": system("Directory", rto="2h"),
        "emr": system("Medical record", depends_on=["directory"]),
    },
    contacts=CONTACTS,
)


def runbook_of(*steps: dict[str, Any], **more: Any) -> Runbook:
    """Return a runbook with one lane; each step does what its id says unless stated."""
    content = {
        "version": 1,
        "title": "Medical record lost",
        "when": "nobody can open the medical record",
        "lanes": {"it": {"title": "Responder"}},
        "steps": [{"lane": "it", "do": f"Do {each['id']}", **each} for each in steps],
        **more,
    }
    return Runbook.model_validate_json(yaml_as_json(content), strict=True)


def yaml_as_json(content: Any) -> str:
    """Return what a runbook file holds as JSON."""
    import json

    return json.dumps(yaml.safe_load(yaml.safe_dump(content)))


def run_of(mode: Mode = Mode.INCIDENT, **changes: Any) -> RunbookRun:
    """Return a run about the medical record that was opened when the fake clock starts."""
    text = "steps: {}\n"
    plain = RunbookRun(
        id="20261118-120000-run001",
        practice="riverside",
        runbook="emr-server-lost",
        mode=mode,
        system="emr",
        lane="",
        incident="20261118-120000-run001",
        outage_at=START - timedelta(minutes=30),
        opened_at=START,
        opened_by="Ada",
        host="desk-1",
        runbook_text=text,
        runbook_sha256=hashlib.sha256(text.encode()).hexdigest(),
        plan_text="version: 1\n",
        plan_sha256="b" * 64,
        trusted=True,
        folder="/srv/restored" if mode is Mode.INCIDENT else "",
    )
    return replace(plain, **changes)


class Killed(BaseException):
    """The process that followed a run is gone."""


class Silence:
    """A desk that nobody sits at: asking there is a mistake."""

    def ask(self, view: View, question: Question) -> str:
        raise AssertionError(f"nobody is to be asked: {question.text}")

    @contextlib.contextmanager
    def working(self, view: View, doing: str) -> Iterator[Report]:
        def report(_doing: Doing) -> None: ...

        yield report

    def output(self, view: View, lines: tuple[str, ...]) -> None:
        raise AssertionError("nobody is to be shown anything")

    def over(self, view: View, words: tuple[str, ...]) -> None:
        raise AssertionError("nobody is to be told anything")


class Answers(Silence):
    """A desk where these answers are given, one after another; then the person leaves."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[View, Question]] = []
        self.shown: list[str] = []
        self.words: tuple[str, ...] = ()

    def ask(self, view: View, question: Question) -> str:
        self.asked.append((view, question))
        if not self._answers:
            raise Interrupted
        answer = self._answers.pop(0)
        keys = [each.key for each in question.choices]
        assert not keys or answer in keys or question.until, f"{answer!r} for {question}"
        return answer

    def output(self, view: View, lines: tuple[str, ...]) -> None:
        self.shown += lines

    def over(self, view: View, words: tuple[str, ...]) -> None:
        assert not self._answers, f"never asked for: {self._answers}"
        self.words = words

    @property
    def questions(self) -> list[str]:
        """The texts of all questions so far."""
        return [question.text for _, question in self.asked]


@dataclass
class Scene:
    """A run, all that happens in it, and the tools that make it happen."""

    runbook: Runbook
    run: RunbookRun = field(default_factory=run_of)
    plan: Plan = PLAN
    trusted: bool = True
    by: str = "Ada"
    host: str = "desk-1"
    clock: FakeClock = field(default_factory=FakeClock)
    moves: list[Move] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    """What was done, a line each: `run dro status`, `tell office`, `restore emr`."""
    exits: list[int | None] = field(default_factory=list)
    """Exit codes of the commands to come; then 0."""
    unreachable: set[str] = field(default_factory=set)
    """E-mail addresses that nothing is delivered to."""
    lost: set[str] = field(default_factory=set)
    """Systems that do not come back."""
    exported: list[int] = field(default_factory=list)
    points: Callable[[tuple[str, ...], datetime | None], tuple[PointLine, ...]] = (
        lambda _systems, _before: ()
    )
    sent: list[tuple[str, str]] = field(default_factory=list)
    killed_after: int = -1
    """Instants until the process is gone: each record has one before it and one after it."""
    is_done: bool = False
    """Whether what was started last came to a good end."""

    def follow(self, desk: Silence) -> Followed:
        """Follow the run from where it stands."""
        following = Following(
            run=self.run,
            runbook=self.runbook,
            plan=self.plan,
            moves=tuple(self.moves),
            trusted=self.trusted,
        )
        return follow(following, self.tools, desk)

    def answer(self, *answers: str) -> Answers:
        """Follow the run with these answers, until it is over or the person leaves."""
        desk = Answers(*answers)
        with contextlib.suppress(Interrupted):
            self.follow(desk)
        return desk

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        return progress_of(self.run, self.runbook, self.moves)

    @property
    def events(self) -> list[str]:
        """What was recorded, a word each."""
        return [each.event.name for each in self.moves]

    def ended(self) -> list[tuple[str, str]]:
        """Return which steps ended, and how."""
        ended = (each for each in self.moves if each.event is Event.ENDED)
        return [(each.step, str(each.result)) for each in ended]

    @property
    def tools(self) -> RunbookTools:
        """What the run is followed with."""
        way = ToNewDirectories if self.run.mode is Mode.INCIDENT else InSandboxes
        return RunbookTools(
            clock=self.clock,
            by=self.by,
            host=self.host,
            record=self._record,
            export=lambda _run, moves: self.exported.append(len(moves)),
            run_command=self._run_command,
            tell=self._tell,
            restoring=way(self._restore),
            points=self.points,
            waits_for=lambda systems: waits_for(self.plan, systems),
            at_once=2,
        )

    def _record(self, entry: Entry) -> None:
        assert isinstance(entry, RunbookMoved)
        self._pass_instant()
        if entry.move.number != len(self.moves) + 1:
            raise Busy("somebody else has gone on in this runbook meanwhile")
        self.moves.append(entry.move)
        if entry.move.event is Event.STARTED:
            self.is_done = False
        self._pass_instant()

    def _pass_instant(self) -> None:
        if self.killed_after == 0:
            raise Killed
        self.killed_after -= 1

    def _run_command(self, argv: tuple[str, ...], limit: timedelta) -> CommandEnded:
        self.effects.append(f"run {' '.join(argv)}")
        code = self.exits.pop(0) if self.exits else 0
        self.is_done = code == 0
        self.clock.sleep(3)
        return CommandEnded(
            exit_code=code,
            reason="" if code == 0 else f"exit code {code}",
            output_sha256="c" * 64,
            seconds=3.0,
            output=("what it printed",),
        )

    def _tell(self, contact: Contact, subject: str, text: str) -> None:
        self.effects.append(f"tell {contact.email}")
        self.sent.append((subject, text))
        if contact.email in self.unreachable:
            raise NotDelivered("the mail server refused it")
        self.is_done = True

    def _restore(self, system: str, report: Report, before: datetime | None) -> RestoredSystem:
        then = f" before {before:%Y-%m-%dT%H:%MZ}" if before else ""
        self.effects.append(f"restore {system}{then}")
        is_live = self.run.mode is Mode.INCIDENT
        failed = system in self.lost
        return RestoredSystem(
            system=system,
            result=Result.FAILED if failed else Result.PASSED,
            reason="it is damaged" if failed else "",
            point=f"point-of-{system}",
            repository="onsite",
            seconds=60.0,
            place=f"{self.run.folder}/{system}" if is_live else "",
            next_steps=(f"pg_restore {system}", "start it") if is_live and not failed else (),
        )


def of_event(moves: Sequence[Move], event: Event) -> list[Move]:
    """Return the moves of one kind."""
    return [each for each in moves if each.event is event]


class Whoever(Silence):
    """A desk at which the same is answered to the same, whoever sits there; drawn from a seed.

    Asked whether something was done, they look at what happened, and say so. Who comes to a step
    for the third time makes an end of it.
    """

    def __init__(self, seed: int, scene: Scene) -> None:
        self._seed = seed
        self._scene = scene

    def _draw(self, *about: object) -> int:
        return hashlib.sha256(repr((self._seed, *about)).encode()).digest()[0]

    def _is_well(self, *about: object) -> bool:
        return self._scene.progress.visit > 2 or self._draw(*about) > 60

    def output(self, view: View, lines: tuple[str, ...]) -> None: ...

    def over(self, view: View, words: tuple[str, ...]) -> None: ...

    def ask(self, view: View, question: Question) -> str:
        keys = [each.key for each in question.choices]
        if not keys:
            return self._typed(question.text)
        visit = self._scene.progress.visit
        if "LOOK" in question.text:
            expected = self._is_well(view.step, visit) or not view.expect
            return "d" if self._scene.is_done and expected else "n"
        if question.until:
            self._scene.clock.set(question.until)
            return ""
        if keys[0].isdigit():
            return keys[self._draw(view.step, visit) % keys.index("w")] if visit < 3 else "1"
        if keys[0] == "y" and "n" in keys:
            return "yb"[self._draw(view.step, visit, "alone") % 2]
        if "s" in keys and (visit > 2 or self._draw(view.step, visit, "skip") < 20):
            return "s"
        if "n" in keys and not self._is_well(view.step, visit):
            return "n"
        return "p" if "p" in keys and visit > 1 else keys[0]

    def _typed(self, text: str) -> str:
        answers = {"practice's id": "riverside", "second person": "Bob", "Type `": "no"}
        return next((each for part, each in answers.items() if part in text), "because")
