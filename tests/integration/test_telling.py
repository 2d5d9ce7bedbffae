"""What is told to whom over a scripted history, with a real store, mail server and web server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dr_orchestrator.core.problem import site_problem
from dr_orchestrator.core.record import (
    Entry,
    PointRecorded,
    ProblemAcknowledged,
    RunClosed,
    RunOpened,
    SystemPaused,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.notify.deliver import Post
from dr_orchestrator.notify.tell import Teller, TellTools
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.settings import MailServer
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import make_plan, make_point, make_run
from tests.support.servers import free_port
from tests.support.sinks import HttpSink, MailSink, http_sink, mail_sink

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NIGHT = datetime(2026, 11, 18, 6, 0, tzinfo=UTC)
TOKEN = "token-canary-91c2"
GONE = "onsite: the repository does not answer"


@dataclass
class Town:
    """One practice, its record, and everybody who may be told."""

    store: Store
    clock: FakeClock
    mail: MailSink
    web: HttpSink
    secrets: dict[str, str]
    teller: Teller
    plan: Plan
    numbers: Iterator[int] = field(default_factory=count)

    def record(self, *entries: Entry) -> None:
        self.store.record(*entries)

    def backup(self, outcome: Outcome = Outcome.DONE, reason: str = "", **more: Any) -> None:
        """Run a backup of a minute, which ends now."""
        self.record(*self.entries(self.clock.now(), outcome, reason, **more))

    def entries(
        self, end: datetime, outcome: Outcome = Outcome.DONE, reason: str = "", **more: Any
    ) -> list[Entry]:
        start = end - MINUTE
        run = make_run(start, **({"id": f"run-{next(self.numbers)}"} | more))
        closed = RunClosed(run=run.id, finished_at=end, outcome=outcome, reason=reason)
        made = outcome is Outcome.DONE and run.operation is Operation.BACKUP
        point = [PointRecorded(point=make_point(start))] if made else []
        return [RunOpened(run=run), *point, closed]

    def minutes(self, many: int) -> None:
        """Let time pass, and tell after the first minute, every ten, and at the end."""
        for minute in range(1, many + 1):
            self.clock.advance(MINUTE)
            if minute in {1, many} or minute % 10 == 0:
                self.teller.tell([self.plan])

    def subjects(self, to: str = "manager@riverside.example") -> list[str]:
        return [each.subject for each in self.mail.mails if each.to == [to]]

    def posted(self) -> list[tuple[str, str]]:
        """Return occasion and key of all that the webhook got."""
        return [
            (each.json["occasion"], each.json["problem"]["key"])
            for each in self.web.requests
            if each.path == f"/hook/{TOKEN}"
        ]


def plan_of(*notify: dict[str, Any]) -> Plan:
    plain = make_plan(restore_tests=[{"schedule": "Sun 03:30", "from": "onsite"}])
    content = plain.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["systems"]["emr"]["title"] = "Electronic medical record"
    content["contacts"] = {
        "manager": {"role": "practice manager", "email": "manager@riverside.example"},
        "owner": {"role": "owner", "email": "owner@riverside.example"},
    }
    return with_defaults(Plan.model_validate(content | {"notify": list(notify)}))


@pytest.fixture(scope="module")
def sinks() -> Iterator[tuple[MailSink, HttpSink]]:
    with mail_sink() as mail, http_sink() as web:
        yield mail, web


@pytest.fixture
def town(tmp_path: Path, sinks: tuple[MailSink, HttpSink]) -> Iterator[Town]:
    mail, web = sinks
    mail.mails.clear()
    mail.refuses.clear()
    web.requests.clear()
    web.status = 200
    clock = FakeClock(NIGHT)
    secrets = {"HOOK": web.url(f"/hook/{TOKEN}"), "PING": web.url(f"/ping/{TOKEN}?create=1")}

    def read(reference: SecretReference) -> Secret:
        return Secret(secrets[reference.env or ""])

    with open_store(tmp_path / "state", clock) as store:
        tools = TellTools(
            store=store,
            clock=clock,
            post=Post(
                mail=MailServer.model_validate(
                    {
                        "host": "127.0.0.1",
                        "port": mail.port,
                        "encryption": "none",
                        "from": "dro@msp.example",
                    }
                ),
                read_secret=read,
                timeout_seconds=2,
            ),
            notify=(Notification.model_validate({"webhook": {"env": "HOOK"}}),),
            site="box-1",
        )
        plan = plan_of({"to": "manager", "on": ["breach", "recovery"]})
        yield Town(store, clock, mail, web, secrets, Teller(tools), plan)


def quiet(town: Town, stretch: timedelta) -> None:
    """Let time pass in which all goes well, and nobody is to be told of anything."""
    start = town.clock.now()
    town.clock.advance(stretch)
    ends = (start + number * HOUR / 2 for number in range(1, stretch // (HOUR / 2) + 1))
    town.record(*(entry for end in ends for entry in town.entries(end)))


def test_telling_is_silent_in_quiet_first_days(town: Town) -> None:
    town.minutes(3)  # nothing was ever run
    for _ in range(8):
        town.backup()
        town.minutes(30)

    assert town.posted() == []
    assert town.mail.mails == []
    assert town.store.problems() == ()


def test_telling_says_it_once_each_when_a_server_is_down_for_three_hours(town: Town) -> None:
    quiet(town, DAY)
    town.minutes(29)
    for _ in range(6):
        town.backup(Outcome.FAILED, GONE)
        town.minutes(30)

    assert town.posted() == [("opened", "failure/emr/backup"), ("opened", "breach/emr/rpo")]
    assert town.subjects() == [
        "Riverside Family Practice: Electronic medical record: promise not kept"
    ]
    text = town.mail.mails[0].text
    assert f"the backup failed: {GONE}" in text
    assert "dro ack " in text

    for _ in range(4):
        town.backup()
        town.minutes(30)
    assert town.posted()[2:] == [("recovered", "failure/emr/backup")]

    quiet(town, 20 * HOUR)
    for _ in range(9):
        town.minutes(30)
        town.backup()
    # a day after, the gap is out of the window; once before, a reminder was due
    assert town.posted()[3:] == [("reminder", "breach/emr/rpo"), ("recovered", "breach/emr/rpo")]
    assert [each.split(":")[0] for each in town.subjects()[1:]] == ["still", "over"]


def test_telling_makes_one_trouble_of_backups_that_fail_every_other_time(town: Town) -> None:
    quiet(town, DAY)
    for _ in range(6):
        town.minutes(29)
        town.backup(Outcome.FAILED, GONE)
        town.minutes(30)
        town.backup()
    failures = [each for each in town.posted() if each[1] == "failure/emr/backup"]
    assert failures == [("opened", "failure/emr/backup")]

    town.minutes(30)
    town.backup()
    town.minutes(32)
    assert town.posted()[-1] == ("recovered", "failure/emr/backup")


def test_telling_goes_on_to_the_next_contact_until_somebody_acknowledges(town: Town) -> None:
    town.plan = plan_of(
        {"to": "manager", "on": ["failure"], "remind_every": "2h"},
        {"to": "owner", "after": "4h"},
    )
    quiet(town, DAY)
    town.backup(Outcome.FAILED, GONE, operation=Operation.CHECK, system="", repository="onsite")
    for _ in range(9):
        town.backup()
        town.minutes(30)
    assert [each.split(":")[0] for each in town.subjects()] == [
        *("Riverside Family Practice", "still", "still")
    ]
    assert [each.split(":")[0] for each in town.subjects("owner@riverside.example")] == [
        "nobody answered"
    ]

    (known,) = town.store.problems("riverside")
    town.record(ProblemAcknowledged(id=known.id, at=town.clock.now(), by="Jo"))
    for _ in range(10):
        town.backup()
        town.minutes(30)
    assert len(town.subjects()) == 3

    town.backup(operation=Operation.CHECK, system="", repository="onsite", id="mended")
    for _ in range(3):
        town.backup()
        town.minutes(30)
    # the manager asked for no recoveries; the owner was told, and is told that it is over
    assert len(town.subjects()) == 3
    assert town.subjects("owner@riverside.example")[1:] == [
        "over: Riverside Family Practice: failed"
    ]


def test_telling_says_of_a_paused_system_only_what_it_costs(town: Town) -> None:
    quiet(town, DAY)
    now = town.clock.now()
    town.record(
        SystemPaused(
            practice="riverside",
            system="emr",
            at=now,
            until=now + 4 * HOUR,
            by="Jo",
            why="a new server is set up",
        )
    )
    town.backup(Outcome.FAILED, GONE)
    town.minutes(90)

    assert town.posted() == [("opened", "breach/emr/rpo")]
    said = town.web.requests[0].json["problem"]["what"]
    assert "paused by Jo until 2026-11-19 04:00 CST: a new server is set up" in said
    assert "the RPO clock keeps running" in said


def test_telling_uses_the_others_when_a_server_is_dead(town: Town) -> None:
    alive = town.secrets["HOOK"]
    town.secrets["HOOK"] = f"http://127.0.0.1:{free_port()}/hook/{TOKEN}"
    town.plan = plan_of({"to": "manager"})
    quiet(town, DAY)
    town.backup(Outcome.FAILED, GONE)
    town.minutes(30)

    assert [each.split(": ", 1)[1] for each in town.subjects()] == [
        "Electronic medical record: failed",
        "somebody cannot be told",
    ]
    assert "its server refused the connection" in town.mail.mails[1].text
    tried = [
        each
        for known in town.store.problems()
        for each in town.store.tellings(known.id)
        if not each.delivered
    ]
    assert len(tried) == 1  # however often it was tried

    town.secrets["HOOK"] = alive
    town.backup()
    for _ in range(4):
        town.minutes(30)
        town.backup()
    # what was over before it could be told is not told; that it was cut off, it hears itself
    assert town.posted()[:1] == [("opened", "undelivered/webhook (environment variable HOOK)")]
    assert ("opened", "failure/emr/backup") not in town.posted()
    assert town.subjects()[2:] == [
        "over: Riverside Family Practice: Electronic medical record: failed",
        "over: Riverside Family Practice: somebody cannot be told",
    ]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_telling_holds_no_secret_and_nothing_of_another_practice(
    town: Town, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.CRITICAL, "mail.log")  # of the sink
    dead = free_port()
    town.secrets |= {
        "CHAT": f"json://u:{TOKEN}@127.0.0.1:{town.web.port}/chat",
        "DEAD": f"json://u:{TOKEN}@127.0.0.1:{dead}/{TOKEN}",
        "GONE": f"http://127.0.0.1:{dead}/{TOKEN}",
        "WRONG": f"nothing://{TOKEN}",
    }
    urls = [{"url": {"env": name}} for name in ("CHAT", "DEAD", "WRONG")]
    town.plan = plan_of({"to": "manager"}, {"webhook": {"env": "GONE"}}, *urls)
    quiet(town, DAY)
    town.backup(Outcome.FAILED, "of lakeside", practice="lakeside", id="other")
    town.backup(Outcome.FAILED, GONE)
    town.minutes(20)

    assert any(each.path == "/chat" for each in town.web.requests)
    told = [each.text + each.subject for each in town.mail.mails]
    told += [each.body.decode() for each in town.web.requests]
    told += [repr(town.store.journal()), caplog.text, *capfd.readouterr()]
    assert any("does not answer" in each for each in told)
    assert not any(TOKEN in each for each in told)
    assert not any("lakeside" in each for each in told[: len(town.mail.mails)])


def test_telling_of_the_machine_reaches_those_in_its_settings(town: Town) -> None:
    broken = site_problem(
        "plan/lakeside.yaml", "a plan cannot be used", advice="mend it", practice="lakeside"
    )
    town.teller.tell([], [broken])
    town.teller.tell([], [broken])
    town.clock.advance(2 * MINUTE)
    town.teller.tell([])
    town.clock.advance(HOUR)
    town.teller.tell([])

    assert town.posted() == [
        ("opened", "site/plan/lakeside.yaml"),
        ("recovered", "site/plan/lakeside.yaml"),
    ]
    assert town.mail.mails == []


def test_telling_opens_a_ticket_by_the_template_of_the_plan(town: Town) -> None:
    ticket = '{"subject": {{ subject|tojson }}, "priority": {{ 1 if problem.system else 2 }}}'
    town.secrets["DESK"] = f"http://key:s%40crt@127.0.0.1:{town.web.port}/api/tickets"
    town.plan = plan_of({"webhook": {"env": "DESK"}, "ticket": ticket})
    quiet(town, DAY)
    town.backup(Outcome.FAILED, GONE)
    town.minutes(1)

    (asked,) = [each for each in town.web.requests if each.path == "/api/tickets"]
    assert asked.json == {
        "subject": "Riverside Family Practice: Electronic medical record: failed",
        "priority": 1,
    }
    assert asked.headers["Authorization"] == "Basic a2V5OnNAY3J0"
    assert asked.headers["Content-Type"] == "application/json"


def test_telling_takes_no_redirect_for_an_answer(town: Town) -> None:
    town.web.status = 302
    quiet(town, DAY)
    town.backup(Outcome.FAILED, GONE)
    town.minutes(1)

    assert [each.method for each in town.web.requests] == ["POST"]
    (known,) = town.store.problems()
    (told,) = town.store.tellings(known.id)
    assert (told.delivered, told.reason) == (False, "its server answered 302")


def test_ping_follows_each_backup(town: Town) -> None:
    town.plan = plan_of({"ping": {"env": "PING"}, "systems": ["emr"]})
    run = make_run(town.clock.now())
    town.record(RunOpened(run=run))
    town.minutes(2)
    town.record(PointRecorded(point=make_point(run.started_at)))
    town.record(RunClosed(run=run.id, finished_at=town.clock.now(), outcome=Outcome.DONE))
    town.minutes(20)
    town.backup(Outcome.FAILED, GONE)
    town.minutes(20)

    pings = [each.path for each in town.web.requests if each.path.startswith("/ping")]
    assert pings == [
        f"/ping/{TOKEN}/start?create=1",
        f"/ping/{TOKEN}?create=1",
        f"/ping/{TOKEN}/fail?create=1",
    ]


def test_one_of_two_schedulers_tells(town: Town) -> None:
    quiet(town, DAY)
    town.backup(Outcome.FAILED, GONE)
    other = replace(town, teller=Teller(town.teller._tools))
    for _ in range(3):
        town.minutes(1)
        other.minutes(1)

    assert town.posted() == [("opened", "failure/emr/backup")]
