"""Sites that publish, and somebody who looks after them: `dro publish`, and what takes `--from`."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from dr_orchestrator.app import App
from dr_orchestrator.cli import publish, report, status
from dr_orchestrator.cli.main import Context
from dr_orchestrator.clock import SystemClock
from dr_orchestrator.core.problem import Problem, ProblemKind
from dr_orchestrator.core.record import (
    Entry,
    HoldPlaced,
    PointRecorded,
    ProblemAcknowledged,
    ProblemSeen,
    RepositorySeen,
    RestoreTestRecorded,
    RunClosed,
    RunOpened,
    SystemPaused,
)
from dr_orchestrator.core.run import Outcome
from dr_orchestrator.core.verification import Result, Verification
from dr_orchestrator.errors import DroError, ExitCode
from dr_orchestrator.plan.load import load_plan
from dr_orchestrator.schedule.inline import InlineDispatcher
from dr_orchestrator.schedule.log import scheduler_log
from dr_orchestrator.schedule.trouble import Troubles
from dr_orchestrator.store.sqlite import open_store
from dr_orchestrator.unattended import Unattended
from tests.support.clock import FakeClock
from tests.support.evidence import make_point, make_run, make_test
from tests.support.s3 import BUCKET, PROFILE, S3, s3_server

HOUR = timedelta(hours=1)
PLAN = """\
version: 1
practice: {{id: {practice}, name: {practice}, timezone: America/Chicago}}
contacts:
  manager: {{role: manager, email: canary@contact.example, phone: "+1 555 canary"}}
custody:
  - {{holder: manager, form: canary in the safe}}
repositories:
  onsite:
    location: /srv/canary/repository
    password: {{file: /etc/canary/key, obtain: "canary vault"}}
systems:
  emr:
    title: Electronic medical record
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: postgres, host: canary.internal, database: canary, user: canary,
                  password: {{env: CANARY_PASSWORD}}}}
      documents: {{kind: files, path: /srv/canary/documents}}
    verify:
      - baseline
      - {{title: canary question, asset: database, sql: "select 'canary'", expect: 1}}
"""
NO_CANARY = "nothing but numbers"


@dataclass(frozen=True)
class Machine:
    """A machine with settings of its own."""

    folder: Path

    def settings(self, **stated: object) -> None:
        paths = {name: str(self.folder / name) for name in ("plans", "state", "cache")}
        self.file.write_text(json.dumps({**paths, **stated}))

    @property
    def file(self) -> Path:
        return self.folder / "dro.yaml"

    def plan(self, practice: str) -> None:
        folder = self.folder / "plans"
        folder.mkdir(exist_ok=True)
        (folder / f"{practice}.yaml").write_text(PLAN.format(practice=practice))

    def record(self, *entries: Entry) -> None:
        """Write entries down in this machine's record."""
        with open_store(self.folder / "state", SystemClock()) as store:
            store.record(*entries)

    def run(
        self, command: click.Command, *words: str, clock: FakeClock | None = None
    ) -> tuple[int, str]:
        """Run a command here; return how it ended and what stdout took."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DRO_SETTINGS", str(self.file))
            context = Context(json="--json" in words)
            if clock is not None:
                context.clock = clock
            try:
                result = CliRunner().invoke(
                    command, words, obj=context, standalone_mode=False, catch_exceptions=True
                )
            finally:
                context.close()
        if isinstance(result.exception, DroError):
            return result.exception.exit_code, result.exception.message
        if result.exception is not None:
            raise result.exception
        return result.return_value, result.stdout

    def fingerprint(self) -> str:
        _, said = self.run(publish.command, "--json")
        return str(json.loads(said)["fingerprint"])


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def post(tmp_path: Path) -> Path:
    folder = tmp_path / "post"
    folder.mkdir()
    return folder


def machine(folder: Path, practice: str, to: Path | str, **publishing: str) -> Machine:
    """Return a machine that looks after one practice, and publishes."""
    folder.mkdir()
    made = Machine(folder)
    made.plan(practice)
    made.settings(
        site=f"{practice}-box",
        publish={"to": str(to), **publishing},
        metrics=str(folder / "dro.prom"),
    )
    made.record(*first_hour(practice))
    return made


def first_hour(practice: str) -> tuple[Entry, ...]:
    """Return what is on record after one backup, just now: nothing else is due yet."""
    began = SystemClock().now() - HOUR / 6
    run = make_run(began, id="first", practice=practice)
    seen = RepositorySeen(practice=practice, repository="onsite", restic_id="0a" * 32, at=began)
    point = make_point(began, practice=practice)
    return (
        RunOpened(run=run),
        seen,
        PointRecorded(point=point),
        RunClosed(run="first", finished_at=began, outcome=Outcome.DONE),
    )


def reader(folder: Path, *sites: Machine, **more: str) -> Machine:
    """Return a machine that has no plan, and knows the keys of these sites."""
    folder.mkdir()
    made = Machine(folder)
    keys = {f"{each.folder.name}-box": each.fingerprint() for each in sites}
    made.settings(fleet={"sites": keys, **more})
    return made


def said_of(told: str) -> dict[str, Any]:
    return {each["site"]: each for each in json.loads(told)["sites"]}


def test_sites_are_read_from_a_folder_and_a_bucket_without_any_plan(
    tmp_path: Path, post: Path, s3: S3
) -> None:
    near = machine(tmp_path / "riverside", "riverside", post)
    far = machine(
        tmp_path / "lakeside",
        "lakeside",
        f"s3://{BUCKET}/dro",
        aws_profile=PROFILE,
        endpoint=s3.endpoint,
    )
    msp = reader(tmp_path / "msp", near, far, aws_profile=PROFILE, endpoint=s3.endpoint)

    places = ("--from", str(post), "--from", f"s3://{BUCKET}/dro")
    code, told = msp.run(status.command, *places, "--json")
    sites = said_of(told)
    assert {name: each["standing"] for name, each in sites.items()} == {
        "riverside-box": "heard",
        "lakeside-box": "heard",
    }
    assert sites["lakeside-box"]["practices"][0]["practice"] == "lakeside"
    assert code == ExitCode.OK  # nothing is due in the first days

    code, line = msp.run(status.command, *places, "--nagios")
    assert (code, line.partition(" - ")[0]) == (0, "DRO OK")


def test_publishing_prints_what_the_reader_has_to_write(tmp_path: Path, post: Path) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    code, told = site.run(publish.command)
    assert code == ExitCode.OK
    line = f"  fleet: {{sites: {{riverside-box: {site.fingerprint()}}}}}\n"
    assert told.endswith(line)
    msp = Machine(tmp_path)
    msp.file.write_text(f"state: {tmp_path}/state\n{line.strip()}\n")
    assert msp.run(status.command, "--from", str(post))[0] == ExitCode.OK


def test_key_is_made_once_and_is_its_owner_s_alone(tmp_path: Path, post: Path) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    assert site.fingerprint() == site.fingerprint()
    key = tmp_path / "riverside" / "state" / "keys" / "site"
    assert (stat.S_IMODE(key.stat().st_mode), key.stat().st_size) == (0o600, 32)


def test_tampered_file_is_not_believed(tmp_path: Path, post: Path) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    msp = reader(tmp_path / "msp", site)
    file = post / "riverside-box.json"
    file.write_bytes(file.read_bytes().replace(b'"verdict":"unproven"', b'"verdict":"met"'))

    code, told = msp.run(status.command, "--from", str(post), "--json")
    seen = said_of(told)["riverside-box"]
    assert (code, seen["standing"]) == (ExitCode.UNPROVEN, "not believed")
    assert "practices" not in seen
    assert msp.run(status.command, "--from", str(post), "--nagios")[0] == 2


def test_site_with_a_new_key_is_not_believed_until_somebody_says_so(
    tmp_path: Path, post: Path
) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    msp = reader(tmp_path / "msp", site)
    (tmp_path / "riverside" / "state" / "keys" / "site").unlink()
    found = site.fingerprint()

    code, told = msp.run(status.command, "--from", str(post))
    assert code == ExitCode.UNPROVEN
    assert "riverside-box: NOT BELIEVED" in told
    assert f"signed with the key {found}, which is not that of the site" in told


def test_silent_site_is_red_and_a_replayed_file_is_no_word_of_it(
    tmp_path: Path, post: Path
) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    msp = reader(tmp_path / "msp", site)
    file = post / "riverside-box.json"
    old = file.read_bytes()
    file.unlink()
    file.write_bytes(old)  # as new as a file can be
    later = FakeClock(SystemClock().now() + HOUR)

    code, told = msp.run(status.command, "--from", str(post), clock=later)
    assert code == ExitCode.UNPROVEN
    assert told.startswith("1 site: 1 unheard\n\nriverside-box: SILENT  (heard ")
    assert "it should be heard every 15 min" in told


def test_page_of_two_sites_is_written_without_any_plan(tmp_path: Path, post: Path) -> None:
    near = machine(tmp_path / "riverside", "riverside", post)
    far = machine(tmp_path / "lakeside", "lakeside", post)
    msp = reader(tmp_path / "msp", near, far)
    forged = post / "lakeside-box.json"
    forged.write_bytes(forged.read_bytes().replace(b'"unproven"', b'"met"'))
    clock = FakeClock(SystemClock().now())

    out = tmp_path / "pages"
    said = msp.run(status.command, "--from", str(post), "--json", clock=clock)
    for words, path in (
        (str(out), out / "sites.html"),
        (str(out / "morning.html"), out / "morning.html"),
    ):
        asked = ("--from", str(post), "--out", words)
        assert msp.run(report.command, *asked, clock=clock) == (ExitCode.UNPROVEN, f"{path}\n")
        code, told = msp.run(report.command, *asked, "--json", clock=clock)
        assert (code, json.loads(told)) == (said[0], {**json.loads(said[1]), "path": str(path)})
    first, second = (each.read_text() for each in sorted(out.iterdir()))
    assert first == second
    assert first.index("lakeside-box") < first.index("riverside-box")
    assert "1 site needs somebody now: lakeside-box; 1 of 2 sites need nobody." in first
    assert "riverside (riverside)" in first
    assert "lakeside (lakeside)" not in first


def test_place_that_cannot_be_read_hides_no_site(tmp_path: Path, post: Path) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    msp = reader(tmp_path / "msp", site)
    lost = str(tmp_path / "unmounted")
    code, told = msp.run(status.command, "--from", lost, "--from", str(post))
    assert code == ExitCode.FAILED
    assert f"cannot be read: the folder {lost} cannot be used" in told
    assert "riverside-box: not proven yet" in told
    assert msp.run(status.command, "--from", lost, "--from", str(post), "--nagios")[0] == 3


def test_publishing_to_a_folder_that_is_not_mounted_fails_and_writes_metrics_all_the_same(
    tmp_path: Path, post: Path
) -> None:
    site = machine(tmp_path / "riverside", "riverside", tmp_path / "unmounted")
    code, told = site.run(publish.command, "--json")
    assert code == ExitCode.FAILED
    assert "unmounted cannot be used" in json.loads(told)["mistakes"][0]
    assert (tmp_path / "riverside" / "dro.prom").exists()


def test_publishing_is_not_kept_back_by_a_missing_metrics_folder_or_a_plan_with_a_mistake(
    tmp_path: Path, post: Path
) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    site.settings(
        site="riverside-box", publish={"to": str(post)}, metrics=str(tmp_path / "away" / "m.prom")
    )
    (tmp_path / "riverside" / "plans" / "hill.yaml").write_text("version: 1\n")
    code, told = site.run(publish.command, "--json")
    mistakes = json.loads(told)["mistakes"]
    assert code == ExitCode.USAGE
    assert ["nothing of it runs" in mistakes[0], "m.prom cannot be written" in mistakes[1]] == [
        True,
        True,
    ]
    assert "riverside" in (post / "riverside-box.json").read_text()


def test_publishing_needs_to_be_told_where_to(tmp_path: Path) -> None:
    site = Machine(tmp_path)
    site.plan("riverside")
    site.settings()
    assert site.run(publish.command)[0] == ExitCode.USAGE


def test_scheduler_publishes_and_goes_on_with_a_plan_that_became_invalid(
    tmp_path: Path, post: Path
) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    plan = tmp_path / "riverside" / "plans" / "riverside.yaml"
    metrics = tmp_path / "riverside" / "dro.prom"
    for _ in range(2):
        do_chores(site)
        (file,) = post.iterdir()
        assert '"practice":"riverside"' in file.read_text()
        assert 'practice="riverside"' in metrics.read_text()
        file.unlink()
        metrics.unlink()
        plan.write_text("version: 1\n")


def do_chores(site: Machine) -> None:
    """Do once, as a scheduler that was just started, what stands beside the operations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRO_SETTINGS", str(site.file))
        context = Context()
        assert context.settings.site == "riverside-box"  # read once, here
    app, log = context.app, scheduler_log(sys.stderr, context.clock)
    unattended = Unattended(app)
    dispatcher = InlineDispatcher(app.store.ledger, unattended.child_worker(log), slots=1)
    try:
        planning = unattended.planning(dispatcher, Troubles(context.clock, log), log)
        planning.tick()
        for chore in unattended.chores(planning):
            if chore.name.startswith(("publishing", "writing")):
                chore.do()
    finally:
        context.close()


def test_no_canary_gets_out(tmp_path: Path, post: Path) -> None:
    site = machine(tmp_path / "riverside", "riverside", post)
    plan = load_plan(tmp_path / "riverside" / "plans" / "riverside.yaml").plan
    now = SystemClock().now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRO_SETTINGS", str(site.file))
        patch.setenv("CANARY_PASSWORD", "canary")
        context = Context()
        app: App = context.app
        app.store.record(*canaries(now))
        app.publish([plan])
        app.write_metrics([plan])
        context.close()
    _, line = site.run(status.command, "--nagios")

    published = (post / "riverside-box.json").read_text()
    measured = (tmp_path / "riverside" / "dro.prom").read_text()
    assert '"outcome":"failed"' in published  # what the canaries were on did get in
    assert '"paused":{"emr":' in published
    assert '"failed":1' in published
    assert "p1" in published
    for told in (published, measured, line):
        assert "canary" not in told.lower()
        assert str(os.getpid()) not in told


def canaries(now: Any) -> Iterator[Entry]:
    """Yield a record with canaries wherever a person or another program has its say."""
    run = make_run(now - HOUR, id="run1", host="canary.internal", pid=os.getpid())
    yield RunOpened(run=run)
    yield RunClosed(
        run="run1", finished_at=now, outcome=Outcome.FAILED, reason="canary in a reason"
    )
    point = make_point(now - HOUR / 12, label="canary label", repositories=("onsite",))
    yield PointRecorded(point=point)
    yield HoldPlaced(
        practice="riverside", point=point.id, at=now, until=None, by="canary", why="canary"
    )
    test = make_test(now - HOUR, Result.FAILED)
    check = Verification(
        title="canary title",
        asset="database",
        result=Result.FAILED,
        expected="canary",
        actual="canary",
        reason="canary",
    )
    yield RestoreTestRecorded(
        test=replace(test, verifications=(check,), sandbox="canary", conditions=("canary",))
    )
    yield SystemPaused(
        practice="riverside", system="emr", at=now, until=now + HOUR, by="canary", why="canary"
    )
    problem = Problem(
        key="canary", kind=ProblemKind.FAILURE, practice="riverside", system="emr",
        what=NO_CANARY, next=NO_CANARY, since=now,
    )  # fmt: skip
    yield ProblemSeen(id="p1", problem=problem, at=now)
    yield ProblemAcknowledged(id="p1", at=now, by="canary")
