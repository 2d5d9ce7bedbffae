"""The practice's word, taken down by the command as people use it."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dr_orchestrator.cli.main import Context, dro
from dr_orchestrator.errors import DroError
from tests.support.tools import require_tool

if TYPE_CHECKING:
    from pathlib import Path

PLAN = """\
version: 1
practice: {{id: riverside, name: Riverside Family Practice}}
contacts:
  manager: {{role: practice manager, email: ann@riverside.example, signing_key: "{key}"}}
  msp: {{role: on-call engineer}}
repositories:
  onsite: {{location: /srv/restic/riverside, password: {{file: /etc/dro/keys/riverside}}}}
systems:
  files: {{rto: {rto}, rpo: 1h, assets: {{documents: {{kind: files, path: /srv/documents}}}}}}
"""


MSP = "  msp: {role: on-call engineer}\n"


class Site:
    """A machine with one practice, and the manager's own key."""

    def __init__(self, folder: Path) -> None:
        require_tool("ssh-keygen")
        self.folder = folder
        (folder / "plans").mkdir()
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "hers"]
        subprocess.run(command, cwd=folder, check=True)
        settings = {"plans": str(folder / "plans"), "state": str(folder / "state")}
        (folder / "dro.yaml").write_text(json.dumps(settings))
        self.promise("4h")

    def promise(self, rto: str) -> None:
        key = (self.folder / "hers.pub").read_text().strip()
        (self.folder / "plans" / "riverside.yaml").write_text(PLAN.format(key=key, rto=rto))

    def dro(self, *arguments: str, expect: int = 0) -> Any:
        """Run a command in this process, as `main` does."""
        context = Context(json=True)
        try:
            ended = CliRunner().invoke(
                dro, (*arguments, "--json"), obj=context, standalone_mode=False
            )
        finally:
            context.close()
        if isinstance(ended.exception, DroError):
            assert ended.exception.exit_code == expect, ended.exception
            return f"{ended.exception.message} {ended.exception.hint}"
        assert ended.exception is None, ended.exception
        assert (ended.return_value or 0) == expect, ended.output
        return json.loads(ended.stdout)

    def edit(self, before: str, after: str) -> None:
        """Change the plan as whoever may write there does."""
        plan = self.folder / "plans" / "riverside.yaml"
        text = plan.read_text()
        assert before in text
        plan.write_text(text.replace(before, after))

    def head(self) -> str:
        """Return the check code of a page made now."""
        return str(self.dro("report", "riverside")["pages"][0]["signature"]["code"])

    def acceptance(self) -> dict[str, Any]:
        status = self.dro("status", "riverside", expect=4)
        findings = status["practices"][0]["findings"]
        found = [each for each in findings if each["objective"] == "acceptance"]
        return found[0] if found else {}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("DRO_SETTINGS", str(tmp_path / "dro.yaml"))
    monkeypatch.chdir(tmp_path)
    return Site(tmp_path)


def test_what_was_loosened_after_the_page_is_not_accepted_by_its_signature(site: Site) -> None:
    named = ("--name", "Ann Lee")
    page = site.head()
    site.promise("24h")
    assert "4 h became 24 h, which is not on record yet" in site.acceptance()["reason"]
    loosened = site.head()
    assert "not on record" not in site.acceptance()["reason"]
    assert site.acceptance()["verdict"] == "unproven"
    on_paper = ("sign", "--how", "paper", *named, "--head")
    site.dro(*on_paper, page)
    assert site.acceptance()["verdict"] == "unproven"
    assert "before this check code" in site.dro(*on_paper, loosened, "--at", "2026-01-20", expect=2)
    assert "not said" in site.dro("sign", "--how", "paper", "--name", " ", "--head", page, expect=2)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    signed = site.dro(*on_paper, loosened, "--at", today)["sign_off"]
    assert (signed["how"], signed["name"]) == ("paper", "Ann Lee")
    assert signed["recorded_by"] != "Ann Lee"
    assert site.acceptance()["verdict"] == "met"
    site.dro("evidence", "verify", "riverside")


def test_own_key_signs_the_statement_and_no_other(site: Site) -> None:
    named = ("--name", "Zoë Lee")
    write = ("sign", "--write-statement", "statement.txt", *named)
    assert "check code" in site.dro(*write, expect=2)
    head = site.head()
    site.dro(*write, "--head", head)
    site.dro("action", "open", "--system", "files", "--what", "go on", "--due", "14d")
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "dr-orchestrator", "-f", "hers"]
    subprocess.run([*command, "statement.txt"], cwd=site.folder, check=True)
    handed_in = ("sign", "--how", "own-key", "--head", head, "--document")
    signature, statement = "statement.txt.sig", ("--statement", "statement.txt")
    refused = site.dro(*handed_in, signature, *statement, "--name", "Bob Lee", expect=2)
    assert "not the one about this page" in refused
    signed = site.dro(*handed_in, signature, *statement, *named)["sign_off"]
    assert signed["how"] == "own key"
    assert signed["key"]


def test_only_who_speaks_for_the_practice_signs(site: Site) -> None:
    paper = ("sign", "--how", "paper", "--name", "Sam", "--contact", "msp", "--head")
    head = site.head()
    assert "msp does not sign" in site.dro(*paper, head, expect=2)
    site.edit(MSP, MSP[:-2] + ", signs: true}\n")
    assert "that msp signs for the practice was added" in site.acceptance()["reason"]
    head = site.head()
    assert "has not accepted that msp signs" in site.dro(*paper, head, expect=2)
    site.dro("sign", "--how", "paper", "--contact", "manager", "--name", "Ann Lee", "--head", head)
    site.dro(*paper, head)
    assert site.acceptance()["verdict"] == "met"


def test_key_or_address_that_somebody_else_wrote_signs_nothing(site: Site) -> None:
    site.head()
    site.edit("ann@riverside.example", "sam@msp.example")
    head = site.head()
    reply = "I have read this page and accept what it promises."
    for name, sender in (("old", "ann@riverside.example"), ("new", "sam@msp.example")):
        (site.folder / name).write_text(f"From: {sender}\n\n{reply} {head}\n")
    by_mail = ("sign", "--how", "email", "--name", "Ann Lee", "--head", head, "--document")
    assert "has not accepted `contacts.manager.email`" in site.dro(*by_mail, "new", expect=2)
    site.dro("sign", "--how", "paper", "--name", "Ann Lee", "--head", head)
    assert "is from ann@" in site.dro(*by_mail, "old", expect=2)
    site.dro(*by_mail, "new")
    (site.folder / "more").write_text(f"From: {sender}\n\nHi Sam,\n\n{reply} {head}\n")
    assert "says more" in site.dro(*by_mail, "more", expect=2)
    site.dro(*by_mail, "more", "--confirm")


def test_code_that_stood_on_no_page_is_refused(site: Site) -> None:
    site.head()
    for code, says in (("0" * 12, "no line of the evidence"), ("3f2a", "has 12 digits")):
        arguments = ("sign", "--how", "paper", "--name", "Ann Lee", "--head", code)
        assert says in site.dro(*arguments, expect=2)


def test_action_of_a_person_is_opened_listed_and_closed_with_what_was_done(site: Site) -> None:
    wanted = ("action", "open", "riverside", "--system", "files", "--what", "label the disk")
    opened = site.dro(*wanted, "--due", "14d")["actions"][0]
    assert "already" in site.dro(*wanted, expect=2)
    assert [each["id"] for each in site.dro("action", "list")["actions"]] == [opened["id"]]
    close = ("action", "close", "riverside", opened["id"][:15])
    assert "not said" in site.dro(*close, expect=2)
    closed = site.dro(*close, "--done", "labelled")["actions"][0]
    assert (closed["done"], closed["overdue"]) == ("labelled", False)
    assert site.dro("action", "list")["actions"] == []
    assert len(site.dro("action", "list", "--all")["actions"]) == 1
