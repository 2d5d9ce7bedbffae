from __future__ import annotations

import json
from pathlib import Path

import pytest

from dr_orchestrator.errors import PlanInvalid, SettingsInvalid
from dr_orchestrator.plan.load import effective_yaml, load_plan, read_plan
from dr_orchestrator.plan.problem import Problem
from dr_orchestrator.plan.ticket import SAMPLE, ticket_body
from dr_orchestrator.settings import load_settings

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
contacts:
  manager: {role: practice manager, email: manager@riverside.example}
  vendor: {role: EMR vendor, phone: "+1 555 0199"}
repositories:
  onsite: {location: /srv/restic, password: {env: KEY}}
systems:
  emr: {rto: 4h, rpo: 1h, assets: {files: {kind: files, path: /srv/emr}}}
notify:
"""


def plan_file(tmp_path: Path, *entries: str) -> Path:
    path = tmp_path / "riverside.yaml"
    path.write_text(_PLAN + "".join(f"  - {each}\n" for each in entries))
    return path


def the_mistake(path: Path) -> Problem:
    with pytest.raises(PlanInvalid) as caught:
        load_plan(path)
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    return problem


@pytest.mark.parametrize(
    ("entry", "path", "message", "hint"),
    [
        ("{on: [breach]}", "notify[0]", "names nobody", "write one of to"),
        (
            "{to: manager, url: {env: OPS}}",
            *("notify[0]", "names 2 ways: one is meant", "write one of to"),
        ),
        ("{to: manger}", "notify[0].to", "there is no such contact", "did you mean `manager`?"),
        (
            "{to: vendor}",
            *("notify[0].to", "has no e-mail address", "write one in `contacts.vendor.email`"),
        ),
        (
            "{to: manager, systems: [erm]}",
            *("notify[0].systems[0]", "there is no such system", "did you mean `emr`?"),
        ),
        ("{to: manager, on: []}", "notify[0].on", "must not be empty", ""),
        ("{to: manager, on: [braech]}", "notify[0].on[0]", "must be one of", "did you mean"),
        ("{email: nobody}", "notify[0].email", "is no e-mail address", "write it as"),
        (
            "{webhook: https://example/hook}",
            *("notify[0].webhook", "must be a reference: a password never stands in a plan", ""),
        ),
        ('{to: manager, ticket: "{}"}', "notify[0]", "`ticket` has no effect", "body of a"),
        ("{ping: {env: P}, after: 4h}", "notify[0]", "`after` has no effect", "each backup's"),
        ("{ping: {env: P}, on: [breach]}", "notify[0]", "`on` has no effect", "each backup's"),
        ("{sns: {topic: dro}}", "notify[0].sns.topic", "is no ARN of a topic", "write it as arn:"),
        (
            "{ses: {to: ops@msp.example, from: nobody}}",
            *("notify[0].ses.from", "is no e-mail address", "write it as"),
        ),
        ("{ses: {to: a@b.example}}", "notify[0].ses.from", "is missing", "verified in SES"),
        (
            '{webhook: {env: W}, ticket: "{% if %}"}',
            *("notify[0].ticket", "is no template: see its line 1", "notifications.md"),
        ),
        (
            '{webhook: {env: W}, ticket: "{{ patient }}"}',
            *("notify[0].ticket", "there is no `patient` to put in", "notifications.md"),
        ),
        (
            '{webhook: {env: W}, ticket: \'{"a": "{{ problem.what }}"}\'}',
            *("notify[0].ticket", "does not make JSON", "tojson"),
        ),
        (
            '{webhook: {env: W}, ticket: "{{ problem.nothing }}"}',
            *("notify[0].ticket", "cannot be filled in (UndefinedError)", "tojson"),
        ),
    ],
)
def test_notify_mistake_has_its_place(
    tmp_path: Path, entry: str, path: str, message: str, hint: str
) -> None:
    problem = the_mistake(plan_file(tmp_path, entry))
    assert (problem.path, problem.line) == (path, 11)
    assert message in problem.message
    assert hint in problem.hint


def test_notify_reads_back_as_it_was_written(tmp_path: Path) -> None:
    entries = (
        "{to: manager, on: [breach, recovery], systems: [emr], remind_every: 12h}",
        "{email: ops@msp.example, after: 4h}",
        "{url: {env: OPS}}",
        "{webhook: {file: /etc/dro/keys/hook}, ticket: '{\"a\": {{ subject|tojson }}}'}",
        "{ping: {env: PING}, systems: [emr]}",
        "{sns: {topic: 'arn:aws:sns:us-east-2:123456789012:dro', aws_profile: msp}}",
        "{ses: {to: ops@msp.example, from: dro@msp.example, region: us-east-2}}",
    )
    loaded = load_plan(plan_file(tmp_path, *entries))
    assert read_plan(effective_yaml(loaded).encode(), "out of a repository").plan == loaded.plan


def test_notify_keys_are_kept_out_of_git(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    problem = the_mistake(plan_file(tmp_path, f"{{url: {{file: {tmp_path}/ops}}}}"))
    assert problem.path == "notify[0].url.file"
    assert "lies in the git work tree" in problem.message


def test_ticket_out_of_a_repository_is_not_filled_in(tmp_path: Path) -> None:
    endless = "{% for a in text %}{% for b in text %}{{ a }}{% endfor %}{% endfor %}"
    content = plan_file(tmp_path, f"{{webhook: {{env: W}}, ticket: '{endless}'}}").read_bytes()
    assert read_plan(content, "out of a repository").plan.notify[0].ticket == endless


def test_ticket_reaches_nothing_but_its_facts() -> None:
    for hostile in ("{{ ''.__class__.__mro__|tojson }}", "{{ subject.__init__.__globals__ }}"):
        with pytest.raises(ValueError, match="cannot be filled in"):
            ticket_body(hostile, SAMPLE)


def test_ticket_of_the_guide_makes_json() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "howto" / "notifications.md").read_text()
    template = guide.split("ticket: |\n")[1].split("\n```")[0]
    made = json.loads(ticket_body(template, SAMPLE))
    assert made["subject"] == SAMPLE["subject"]


def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notify: str) -> None:
    path = tmp_path / "dro.yaml"
    path.write_text(f"notify:\n  - {notify}\n")
    monkeypatch.setenv("DRO_SETTINGS", str(path))


def test_settings_name_addresses_and_no_contacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file(tmp_path, monkeypatch, "{email: ops@msp.example}")
    assert load_settings().notify[0].email == "ops@msp.example"


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ("{to: manager}", "notify[0].to: contacts stand in plans"),
        ("{url: {env: A}, systems: [emr]}", "notify[0].systems: systems stand in plans"),
        ("{on: [breach]}", "notify[0]: names nobody"),
        ("{webhook: {env: A}, ticket: '{'}", "notify[0].ticket: does not make JSON"),
    ],
)
def test_settings_mistake_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notify: str, message: str
) -> None:
    settings_file(tmp_path, monkeypatch, notify)
    with pytest.raises(SettingsInvalid, match=r"dro\.yaml:2:") as caught:
        load_settings()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("mail", "message"),
    [
        ("host: a, password: {env: P}", "mail: `password` has no effect"),
        ("host: a, user: u, encryption: none", "mail: would send the password unencrypted"),
    ],
)
def test_mail_server_keeps_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mail: str, message: str
) -> None:
    path = tmp_path / "dro.yaml"
    path.write_text(f"mail: {{from: a@b.example, {mail}}}\n")
    monkeypatch.setenv("DRO_SETTINGS", str(path))
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert message in str(caught.value)
