from __future__ import annotations

from datetime import timedelta
from typing import Any

from dr_orchestrator.core.run import Operation, Outcome, Run
from dr_orchestrator.notify.channel import Channel
from dr_orchestrator.notify.pings import FRESH, pings
from dr_orchestrator.plan.notification import Notification
from tests.support.clock import START
from tests.support.evidence import make_run

MINUTE = timedelta(minutes=1)


def switch(**said: Any) -> Channel:
    spec = Notification.model_validate({"ping": {"env": "PING"}, **said})
    return Channel(name="ping", spec=spec, place="ping")


def ended(outcome: Outcome = Outcome.DONE, **more: Any) -> Run:
    return make_run(START - MINUTE, finished_at=START, outcome=outcome, **more)


def signs(
    *last: Run,
    running: tuple[Run, ...] = (),
    failing: frozenset[str] = frozenset(),
    channel: Channel | None = None,
    now: Any = START,
) -> list[str]:
    found = pings([channel or switch()], running=running, last=last, failing=failing, now=now)
    return [each.ending for each in found]


def test_ping_says_start_success_and_failure() -> None:
    assert signs(running=(make_run(START),)) == ["start"]
    assert signs(ended()) == [""]
    assert signs(ended(Outcome.FAILED), failing=frozenset({"emr"})) == ["fail"]


def test_ping_is_silent_of_what_is_tried_again() -> None:
    assert signs(ended(Outcome.FAILED)) == []


def test_ping_of_success_is_fresh_or_not_sent() -> None:
    assert signs(ended(), now=START + FRESH) == [""]
    assert signs(ended(), now=START + FRESH + MINUTE) == []


def test_ping_of_success_does_not_hide_another_system_that_fails() -> None:
    failing = frozenset({"files"})
    assert signs(ended(), failing=failing) == []
    assert signs(ended(), failing=failing, channel=switch(systems=["emr"])) == [""]


def test_ping_is_about_backups_of_its_systems() -> None:
    assert signs(ended(operation=Operation.CHECK)) == []
    assert signs(ended(), channel=switch(systems=["files"])) == []
