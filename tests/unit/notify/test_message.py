from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.core.problem import Occasion, OpenProblem, Problem, ProblemKind
from dr_orchestrator.notify.channel import Channel
from dr_orchestrator.notify.decision import Duty
from dr_orchestrator.notify.message import Message, Sender, messages
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.plan.ticket import SAMPLE, ticket_body
from tests.support.clock import START
from tests.support.evidence import make_plan

HOUR = timedelta(hours=1)
SENDER = Sender.of(make_plan(title="Electronic medical record"), "box-1")
MANAGER = Channel(
    name="manager", spec=Notification.model_validate({"email": "a@b.example"}), place="a"
)
HOOK = Channel(name="hook", spec=Notification.model_validate({"webhook": {"env": "A"}}), place="h")


def duty(number: int = 0, channel: Channel = MANAGER, **more: Any) -> Duty:
    problem = Problem(
        key=f"failure/emr/{number}",
        kind=ProblemKind.FAILURE if number == 0 else ProblemKind.BREACH,
        practice="riverside",
        system=more.pop("system", "emr"),
        what=more.pop("what", "the backup failed: onsite does not answer"),
        next="see that onsite runs",
        since=START - HOUR,
    )
    known = OpenProblem(id=f"4k7q2{number}", problem=problem, opened_at=START - HOUR)
    fields: dict[str, Any] = {"occasion": Occasion.OPENED, "number": 1, **more}
    return Duty(channel=channel, problem=known, **fields)


def told(*duties: Duty) -> list[Message]:
    return [message for _, message in messages(duties, SENDER, START)]


def test_message_says_what_since_when_and_what_to_do() -> None:
    (message,) = told(duty())
    assert message.subject == ("Riverside Family Practice: Electronic medical record: failed")
    assert message.text == (
        "The backup failed: onsite does not answer.\n"
        "Since 2026-11-18 05:00 CST.\n"
        "Do now: see that onsite runs.\n"
        "Say that you look after it: dro ack 4k7q20\n"
        "\n"
        "Riverside Family Practice (riverside), from box-1\n"
    )


def test_message_says_that_nobody_answered() -> None:
    (message,) = told(duty(occasion=Occasion.ESCALATION))
    assert message.subject.startswith("nobody answered: ")
    assert "Nobody acknowledged it for 1 h." in message.text


def test_message_says_that_it_is_over() -> None:
    over = duty(occasion=Occasion.RECOVERED)
    over = replace(over, problem=replace(over.problem, closed_at=START))
    (message,) = told(over)
    assert message.subject.startswith("over: ")
    assert "Over since 2026-11-18 06:00 CST." in message.text
    assert "dro ack" not in message.text


def test_people_get_one_message_a_system_and_programs_one_a_problem() -> None:
    (message,) = told(duty(0), duty(1))
    assert message.subject.endswith(": failed and promise not kept")
    assert message.text.count("dro ack ") == 2
    assert len(told(duty(0), duty(1, system="files"))) == 2
    assert len(told(duty(0, HOOK), duty(1, HOOK))) == 2


def test_facts_have_the_documented_fields_and_make_json() -> None:
    (message,) = told(duty())
    assert message.facts.keys() == SAMPLE.keys()
    assert message.facts["problem"].keys() == SAMPLE["problem"].keys()
    assert json.loads(json.dumps(message.facts)) == message.facts
    assert message.facts["message"] == "4k7q20-opened-1"


def test_facts_fill_a_ticket_in() -> None:
    (message,) = told(duty())
    body = ticket_body('{"t": {{ subject|tojson }}, "d": {{ text|tojson }}}', message.facts)
    assert json.loads(body) == {"t": message.subject, "d": message.text}


@given(st.text())
def test_subject_is_one_line_whatever_names_hold(text: str) -> None:
    sender = replace(SENDER, titles={"emr": text})
    ((_, message),) = messages([duty(what=f"it failed: {text}")], sender, START)
    assert not any(
        unicodedata.category(sign).startswith(("Cc", "Z"))
        for sign in message.subject.replace(" ", "")
    )
