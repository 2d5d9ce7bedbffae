"""The practice's word, taken down by the command as people use it."""

from __future__ import annotations

import json
import subprocess
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
repositories:
  onsite: {{location: /srv/restic/riverside, password: {{file: /etc/dro/keys/riverside}}}}
systems:
  files: {{rto: {rto}, rpo: 1h, assets: {{documents: {{kind: files, path: /srv/documents}}}}}}
"""


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
    page = site.dro("sign", "--write-statement", "before.txt", *named)
    site.promise("24h")
    loosened = site.dro("sign", "--write-statement", "after.txt", *named)
    assert site.acceptance()["verdict"] == "unproven"
    on_paper = ("sign", "--how", "paper", *named, "--head")
    site.dro(*on_paper, page["head"][:12])
    assert site.acceptance()["verdict"] == "unproven"
    signed = site.dro(*on_paper, loosened["head"][:12])["sign_off"]
    assert (signed["how"], signed["name"]) == ("paper", "Ann Lee")
    assert signed["recorded_by"] != "Ann Lee"
    assert site.acceptance()["verdict"] == "met"
    site.dro("evidence", "verify", "riverside")


def test_own_key_signs_the_statement_and_no_other(site: Site) -> None:
    named = ("--name", "Zoë Lee")
    head = site.dro("sign", "--write-statement", "statement.txt", *named)["head"]
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "dr-orchestrator", "-f", "hers"]
    subprocess.run([*command, "statement.txt"], cwd=site.folder, check=True)
    handed_in = ("sign", "--how", "own-key", "--head", head[:12], "--document")
    signature, statement = "statement.txt.sig", ("--statement", "statement.txt")
    refused = site.dro(*handed_in, signature, *statement, "--name", "Bob Lee", expect=2)
    assert "not the one about this page" in refused
    signed = site.dro(*handed_in, signature, *statement, *named)["sign_off"]
    assert signed["how"] == "own key"
    assert signed["key"]


def test_code_that_stood_on_no_page_is_refused(site: Site) -> None:
    site.dro("sign", "--write-statement", "statement.txt", "--name", "Ann Lee")
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
