"""`dro runbook show`: the steps of a runbook to read, with the values of a practice filled in."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from dr_orchestrator.cli.output import TITLE, Span, print_lines
from dr_orchestrator.cli.runbook_words import command_words
from dr_orchestrator.core.wording import duration_words, printable
from dr_orchestrator.errors import ExitCode, UsageMistake
from dr_orchestrator.plan.model import IMPORTANCES
from dr_orchestrator.plan.problem import did_you_mean
from dr_orchestrator.runbook.coverage import followed_for
from dr_orchestrator.runbook.model import ALL, THIS
from dr_orchestrator.runbook.order import recovery_order
from dr_orchestrator.runbook.shelf import shelf_of
from dr_orchestrator.runbook.values import BLANK, WHILE_FOLLOWED, fill_step, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from dr_orchestrator.cli.main import Context
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.runbook.load import LoadedRunbook
    from dr_orchestrator.runbook.model import Answer, ContactName, Step

_WIDTH = 79
_INDENT, _LABEL = 4, 9


Line = tuple[Span, ...]


@click.command(
    epilog="""\b
Examples:
  dro runbook show triage
  dro runbook show emr-server-lost riverside --system emr
"""
)
@click.argument("name")
@click.argument("practice", required=False)
@click.option("--system", metavar="ID", help="of which it is; the most urgent one unless stated")
@click.option("--json", "_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def command(
    context: Context, name: str, practice: str | None, *, system: str | None, _json: bool
) -> ExitCode:
    """Show the steps of the runbook NAME, with the values of PRACTICE filled in.

    What the plan does not say is a blank, to be filled in by hand; so is what is known only while
    the runbook is followed, as the chosen recovery point.

    Exit codes: 0 shown; 2 there is no such runbook, or it is not valid.
    """
    loaded = context.one_plan(practice)
    text = _Text(shelf_of(loaded).named(name), loaded.plan, system)
    print_lines(text.lines(), err=context.json)
    context.print_json_if_asked(text.as_json())
    return ExitCode.OK


class _Text:
    """One runbook, for one system where it is about one."""

    def __init__(self, runbook: LoadedRunbook, plan: Plan, system: str | None) -> None:
        self._loaded, self._plan = runbook, plan
        self._system = _system(runbook, plan, system)
        self._values = {**dict.fromkeys(WHILE_FOLLOWED, BLANK), **values_of(plan, self._system)}
        self._steps = [fill_step(each, self._values) for each in runbook.runbook.steps]
        self._numbers = {each.id: number for number, each in enumerate(self._steps, start=1)}

    def lines(self) -> Iterator[Line]:
        yield from self._head()
        lane = ""
        for step in self._steps:
            if self._loaded.runbook.side_by_side and step.lane != lane:
                lane = step.lane
                yield ()
                yield (Span(f"{self._lane(step)}:", TITLE),)
            yield ()
            yield from self._step(step)

    def _head(self) -> Iterator[Line]:
        runbook, practice = self._loaded.runbook, self._plan.practice
        title = self._values.get("system.title", "")
        of = f": {title}" if title else ""
        yield from _paragraph(f"{runbook.title}{of}", style=TITLE)
        yield from _paragraph(f"{practice.name} ({practice.id})")
        yield from _labelled("when", runbook.when, indent=0)
        if runbook.opens:
            yield from _labelled("beside it", f"others follow {', '.join(runbook.opens)}", indent=0)
        others = [each for each in followed_for(self._loaded, self._plan) if each != self._system]
        if others:
            yield from _labelled("also for", f"{', '.join(others)} (--system ID)", indent=0)
        if not self._loaded.trusted:
            why = f"are run only once a person has read them: {self._loaded.why_not}"
            yield from _labelled("commands", why, indent=0)

    def _step(self, step: Step) -> Iterator[Line]:
        number = f"{self._numbers[step.id]:>2}  "
        yield from _paragraph(step.do, first=number, style=TITLE)
        yield from _paragraph(self._who(step), indent=_INDENT)
        for label, text in self._parts(step):
            yield from _labelled(label, text, indent=_INDENT)

    def _who(self, step: Step) -> str:
        words = [self._lane(step)]
        if step.normal is not None:
            words.append(duration_words(step.normal))
        if step.critical:
            words.append("must be done")
        if step.two_persons:
            words.append("two persons")
        if step.destructive:
            words.append(f"SOMETHING IS LOST BY IT: type {self._plan.practice.id} first")
        return ", ".join(words)

    def _parts(self, step: Step) -> Iterator[tuple[str, str]]:
        if step.command:
            yield "runs", command_words(step.command)
        if step.restore is not None:
            yield "restores", ", ".join(self._restored(step.restore.systems))
            if step.restore.point == "ask":
                yield "from", "the newest points, or the newest from before a time: you are asked"
        if step.notify is not None:
            yield "tells", f"{', '.join(step.notify.to)}: {step.notify.subject}"
            yield "text", step.notify.text
        if step.timer is not None and step.timer.limit is not None:
            yield "within", f"{duration_words(step.timer.limit)}: {step.timer.of}"
        if step.timer is not None and step.timer.wait is not None:
            yield "waits", duration_words(step.timer.wait)
        for answer in step.decide:
            yield "answer", f"{answer.answer}: {self._leads(step, answer)}"
        yield "expect", step.expect
        if step.if_not is not None:
            go_to = step.if_not.go_to
            say = step.if_not.say.rstrip()
            then = f" Go to step {self._numbers[go_to]}." if go_to else ""
            stop = "." if then and say and say[-1] not in ".!?:;" else ""
            yield "if not", f"{say}{stop}{then}"
        yield "undo", step.undo
        for contact in step.contacts:
            yield "call", self._contact(contact)
        yield "rule", step.cite

    def _leads(self, step: Step, answer: Answer) -> str:
        if answer.runbook is not None:
            return f"go on with the runbook {answer.runbook}"
        number = self._numbers[step.id] + 1 if answer.go_to is None else self._numbers[answer.go_to]
        return f"go to step {number}"

    def _restored(self, systems: tuple[str, ...]) -> Iterator[str]:
        for each in systems:
            if each == ALL:
                yield from recovery_order(self._plan, self._plan.protected)
            else:
                yield self._system if each == THIS else each

    def _lane(self, step: Step) -> str:
        return self._loaded.runbook.lanes[step.lane].title

    def _contact(self, asked: ContactName) -> str:
        name = asked.removesuffix("?")
        contact = self._plan.contacts.get(name)
        if contact is None:
            return f"{name} (not in the plan): {BLANK}"
        tried = f" (last tried {contact.verified})" if contact.verified else ""
        return f"{contact.role}: {contact.phone or contact.email or BLANK}{tried}"

    def as_json(self) -> dict[str, object]:
        """Return it as other programs read it, values filled in."""
        runbook = self._loaded.runbook
        return {
            "practice": self._plan.practice.id,
            "system": self._system or None,
            "name": self._loaded.name,
            "origin": self._loaded.origin,
            "sha256": self._loaded.sha256,
            "trusted": self._loaded.trusted,
            "runbook": {
                **runbook.model_dump(mode="json", exclude={"steps"}),
                "steps": [each.model_dump(mode="json") for each in self._steps],
            },
        }


def _system(runbook: LoadedRunbook, plan: Plan, system: str | None) -> str:
    if system is None:
        systems = followed_for(runbook, plan)
        return min(systems, key=lambda each: _urgency(plan, each)) if systems[0] else ""
    if runbook.runbook.about == "practice":
        raise UsageMistake(
            f"{runbook.name} is about the practice, not about a system",
            hint="leave --system out",
        )
    if system not in plan.protected:
        known = tuple(plan.protected)
        raise UsageMistake(
            f"{plan.practice.id} has no system {system} that this plan protects",
            hint=did_you_mean(system, known) or f"there are {', '.join(known)}",
        )
    return system


def _urgency(plan: Plan, system: str) -> tuple[int, timedelta]:
    spec = plan.protected[system]
    return IMPORTANCES.index(spec.importance), spec.rto


def _paragraph(text: str, *, first: str = "", indent: int = 0, style: str = "") -> Iterator[Line]:
    margin = " " * (len(first) or indent)
    lines = textwrap.wrap(
        printable(text),
        _WIDTH,
        initial_indent=first or margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    )
    for line in lines:
        yield (Span(line, style),)


def _labelled(label: str, text: str, *, indent: int) -> Iterator[Line]:
    """Yield a text behind its label; nothing where there is no text."""
    if text:
        yield from _paragraph(text, first=f"{' ' * indent}{label:<{_LABEL}} ")
