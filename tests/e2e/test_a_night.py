"""A night in an MSP's life: three practices on real servers, things that go wrong, and who is told.

The clock runs fast, everything else is real: the scheduler, the servers, restic, sandboxes, a mail
and a web server. What is told to whom must be exactly right: nothing is left out, and nobody is
told twice, or of what is not theirs.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr_orchestrator.app import App
from dr_orchestrator.core.record import ProblemAcknowledged
from dr_orchestrator.core.verification import Result
from dr_orchestrator.schedule.embedded import EmbeddedDispatcher
from dr_orchestrator.schedule.log import scheduler_log
from dr_orchestrator.schedule.loop import Scheduler
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.schedule.worker import InProcessWorker
from dr_orchestrator.settings import load_settings
from dr_orchestrator.store.base import Limits
from dr_orchestrator.store.sqlite import open_store
from dr_orchestrator.unattended import Unattended
from tests.support import mariadb, postgres
from tests.support.fast_clock import FastClock
from tests.support.quick_repository import put_quick_repository
from tests.support.sandbox import is_root
from tests.support.sinks import HttpSink, MailSink, http_sink, mail_sink
from tests.support.site import Site, new_site

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not is_root(), reason="only root can mount a small disk"),
]

EVENING = datetime(2026, 11, 18, 17, 0, tzinfo=UTC)
FACTOR = 240
"""A quarter of a minute is an hour: about what three backups, side by side with others, take."""
_LONGEST_WAIT = 150.0
_KEY = "a key of the tests, 7f3a9c\n"
_PLAN = """\
version: 1
practice: {{id: {id}, name: {name}, timezone: America/Chicago}}
contacts:
  manager: {{role: practice manager, email: manager@{id}.example}}
repositories:
  onsite:
    location: {folder}/{id}-repository/r
    password: {{file: {folder}/key}}
    maintenance: {{check: never, forget: never, prune: never}}
systems:
  emr:
    title: Records of {name}
    rto: 8h
    rpo: {rpo}
    assets:
      data: {asset}
    backup: {{schedule: every 1h}}
    restore_tests: [{{schedule: "22:00", prove_every: 7d}}]
notify:
  - {{to: manager, on: [breach, recovery]}}
  - {{webhook: {{file: {folder}/desk-{id}}}, on: [failure, recovery]}}
  - {{email: boss@{id}.example, on: [failure], after: 2h}}
"""


@dataclass
class Night:
    """What runs, and what may be done to it."""

    app: App
    clock: FastClock
    web: HttpSink
    mail: MailSink

    def desk(self, practice: str) -> list[tuple[str, str]]:
        """Return what a practice's own helpdesk was told: kind and occasion, in order."""
        told = (each.json for each in self.web.requests if each.path == f"/desk/{practice}")
        return [(each["problem"]["kind"], each["occasion"]) for each in told]

    def msp(self) -> list[tuple[str, str, str]]:
        """Return what the MSP was told: practice, kind and occasion, in order."""
        told = (each.json for each in self.web.requests if each.path == "/msp")
        return [
            (each["practice"]["id"], each["problem"]["kind"], each["occasion"]) for each in told
        ]

    def mails(self) -> list[tuple[str, str]]:
        """Return who got mail, and its subject, in order."""
        return [(each.to[0], each.subject) for each in self.mail.mails]

    def points(self, practice: str) -> int:
        return len(self.app.store.points(practice))

    def is_proven(self, practice: str) -> bool:
        """Return whether a restore test of a practice passed this night."""
        tests = self.app.store.practice_record(practice).tests
        return any(test.result is Result.PASSED for test in tests)

    def history(self) -> str:
        """Return every run, for whoever has to find out what this test saw."""
        return "\n".join(
            f"{run.started_at:%d %H:%M} {run.practice} {run.operation} {run.outcome} {run.reason}"
            for run in reversed(self.app.store.runs(since=EVENING, limit=1000).closed)
        )

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait for something to be so."""
        last = time.monotonic() + _LONGEST_WAIT
        while not holds():
            assert time.monotonic() < last, f"never: {what}\n{self.msp()}\n{self.history()}"
            time.sleep(0.05)

    def acknowledge(self, practice: str) -> None:
        """Say that somebody looks after what is wrong with a practice, as `dro ack` does."""
        for each in self.app.store.problems(practice):
            entry = ProblemAcknowledged(id=each.id, at=self.clock.now(), by="night shift")
            self.app.store.record(entry)


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o711)
    mount = ("mount", "-t", "tmpfs", "-o", "size=24m,mode=0711", "dro-test", str(folder))
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=False)


def _secret(site: Site, name: str, content: str) -> Path:
    file = site.folder / name
    file.touch(mode=0o600)
    file.write_text(content)
    return file


def _prepare(
    site: Site, pg: postgres.Production, my: mariadb.Production, web: HttpSink, mail: MailSink
) -> None:
    """Write the plans of three practices, and the machine's settings."""
    site.documents.mkdir()
    for number in range(40):
        (site.documents / f"scan-{number}.pdf").write_bytes(os.urandom(4000))
    site.key.write_text(_KEY)
    login = "host: {}, database: emr, user: backup, password: {{file: {}}}, baseline: {}"
    counts = "{level: counts, budget: 1m}"
    assets = {
        "oaks": "{kind: postgres, sslmode: disable, "
        + login.format(pg.host, _secret(site, "pg", postgres.BACKUP_PASSWORD), counts)
        + "}",
        "elms": "{kind: mariadb, sslmode: disable, "
        + login.format(my.host, _secret(site, "my", mariadb.BACKUP_PASSWORD), counts)
        + "}",
        "pines": f"{{kind: files, path: {site.documents}}}",
    }
    for practice, asset in assets.items():
        (site.folder / f"{practice}-repository").mkdir(mode=0o711, exist_ok=True)
        put_quick_repository(site.folder / f"{practice}-repository" / "r", _KEY.strip())
        _secret(site, f"desk-{practice}", web.url(f"/desk/{practice}"))
        plan = _PLAN.format(
            id=practice,
            name=practice.capitalize(),
            folder=site.folder,
            asset=asset,
            rpo="3h" if practice == "oaks" else "12h",
        )
        (site.folder / "plans" / f"{practice}.yaml").write_text(plan)
    _secret(site, "msp", web.url("/msp"))
    settings = site.folder / "dro.yaml"
    settings.write_text(
        f"{settings.read_text()}site: box\n"
        f"mail: {{host: 127.0.0.1, port: {mail.port}, encryption: none, from: dro@msp.example}}\n"
        f"notify: [{{webhook: {{file: {site.folder}/msp}}}}]\n"
    )


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Night, Faults]]:
    """Run the scheduler over three practices from the evening on."""
    with ExitStack() as stack:
        pg = stack.enter_context(postgres.production())
        my = stack.enter_context(mariadb.production())
        stack.enter_context(pg.database("emr", postgres.EMR))
        stack.enter_context(my.database("emr", mariadb.EMR))
        web, mail = stack.enter_context(http_sink()), stack.enter_context(mail_sink())
        site = stack.enter_context(new_site(repository=False))
        stack.enter_context(_small_disk(site.folder / "pines-repository"))
        _prepare(site, pg, my, web, mail)
        for name, value in site.environment.items():
            monkeypatch.setenv(name, value)
        yield _started(stack, site, web, mail), Faults(site, pg, my)


@dataclass(frozen=True)
class Faults:
    """What goes wrong in this night, and how it is put right."""

    site: Site
    pg: postgres.Production
    my: mariadb.Production

    def server_down(self, *, down: bool) -> None:
        socket, away = (Path(self.pg.host) / name for name in (f".s.PGSQL.{self.pg.port}", "away"))
        (socket.rename(away) if down else away.rename(socket))

    def password(self, value: str) -> None:
        quoted = value.replace("\\", "\\\\").replace("'", "''")
        self.my.run(f"alter user backup identified by '{quoted}'")

    def disk_full(self, *, full: bool) -> None:
        filler = self.site.folder / "pines-repository" / "filler"
        if not full:
            filler.unlink()
            return
        with filler.open("wb") as file:
            try:
                while file.write(bytes(65536)):
                    file.flush()
            except OSError:
                pass

    def unreachable(self, *, gone: bool) -> None:
        here, away = (self.site.folder / "elms-repository" / name for name in ("r", "away"))
        if gone:
            here.rename(away)
            return
        # what restic was writing just then makes folders anew; a repository nobody may make there
        assert not (here / "config").exists()
        shutil.rmtree(here, ignore_errors=True)
        away.rename(here)


def _started(stack: ExitStack, site: Site, web: HttpSink, mail: MailSink) -> Night:
    clock = FastClock(EVENING, FACTOR)
    app = App(load_settings(), clock)
    stack.callback(app.close)
    limits = Limits(claim=timedelta(days=2), renew=timedelta(seconds=5))
    unattended = Unattended(app)
    app.__dict__["store"] = open_store(site.state, clock, limits)
    log = scheduler_log(io.StringIO(), clock)
    troubles = Troubles(clock, log)
    worker = InProcessWorker(
        app.store.ledger,
        unattended.carry_out,
        clock=clock,
        give_up=lambda _occurrence: None,
        renew_every=limits.renew,
    )
    dispatcher = EmbeddedDispatcher(
        app.store.ledger, worker, slots=2, troubles=troubles, look_every=timedelta(seconds=0.2)
    )
    planning = unattended.planning(dispatcher, troubles, log)
    often = timedelta(seconds=0.5)
    scheduler = Scheduler(
        planning,
        [replace(each, every=often) for each in unattended.chores(planning)],
        store=app.store,
        dispatcher=dispatcher,
        clock=clock,
        troubles=troubles,
        log=log,
        tick=often,
    )
    stop, hurry = threading.Event(), threading.Event()
    running = threading.Thread(target=scheduler.run, args=(stop, hurry))
    running.start()

    def end() -> None:
        stop.set()
        running.join(60)

    stack.callback(end)
    return Night(app, clock, web, mail)


def test_a_night_tells_exactly_what_went_wrong(night: tuple[Night, Faults]) -> None:
    at, fault = night
    practices = ("oaks", "elms", "pines")
    at.until(lambda: all(at.points(each) for each in practices), "a first point of each")
    assert at.msp() == []

    fault.server_down(down=True)
    fault.password("changed")
    fault.disk_full(full=True)
    at.until(lambda: ("elms", "failure", "opened") in at.msp(), "a changed password told")
    at.acknowledge("elms")
    fault.password(mariadb.BACKUP_PASSWORD)
    at.until(lambda: ("elms", "failure", "recovered") in at.msp(), "its recovery told")
    fault.unreachable(gone=True)
    at.until(lambda: at.msp().count(("elms", "failure", "opened")) == 2, "a lost repository told")
    at.acknowledge("elms")
    fault.unreachable(gone=False)

    at.until(lambda: ("oaks", "breach", "opened") in at.msp(), "a broken RPO told")
    fault.server_down(down=False)
    at.until(lambda: ("pines", "failure", "opened") in at.msp(), "a full disk told")
    fault.disk_full(full=False)
    at.until(
        lambda: (
            all((each, "failure", "recovered") in at.msp() for each in practices)
            and at.msp().count(("elms", "failure", "recovered")) == 2
        ),
        "every recovery told",
    )

    quiet = at.msp()
    at.clock.jump(timedelta(minutes=70))
    before = at.points("oaks")
    at.until(lambda: at.points("oaks") > before, "a backup after the clock was put forward")
    at.clock.jump(-timedelta(minutes=50))
    before = at.points("oaks")
    at.until(lambda: at.points("oaks") > before, "a backup after the clock was put back")
    at.until(lambda: all(at.is_proven(each) for each in practices), "a restore test of each")
    assert at.msp() == quiet

    assert at.desk("oaks") == [("failure", "opened"), ("failure", "recovered")]
    assert at.desk("pines") == [("failure", "opened"), ("failure", "recovered")]
    assert at.desk("elms") == [("failure", "opened"), ("failure", "recovered")] * 2
    assert [each for each in at.msp() if each[1] != "failure"] == [("oaks", "breach", "opened")]
    told = [who for who, _subject in at.mails()]
    assert "manager@oaks.example" in told
    assert "boss@oaks.example" in told
    assert not {"manager@elms.example", "boss@elms.example"} & set(told)
    words = json.dumps([each.json for each in at.web.requests]) + "".join(
        each.text for each in at.mail.mails
    )
    for canary in (postgres.PATIENT, postgres.BACKUP_PASSWORD, mariadb.BACKUP_PASSWORD, "scan-"):
        assert canary not in words
    for practice in practices:
        others = set(practices) - {practice}
        for each in at.web.requests:
            if each.path == f"/desk/{practice}":
                assert not any(other in each.body.decode().lower() for other in others)
