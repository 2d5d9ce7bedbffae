"""From nothing but a repository and its key to restored, proven and told, on an empty machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.in_process import run_dro
from tests.support.site import Ended, Site, make_small_practice, new_site
from tests.support.terminal import terminal

RUNBOOK = """\
version: 1
title: What only we know
when: nobody remembers
about: practice
lanes: {it: {title: Responder}}
steps:
  - {id: look, lane: it, kind: check, do: Look., command: [dro, points, "{{ practice.id }}"],
     expect: A list.}
"""


@dataclass(frozen=True)
class Burnt:
    """A machine of which only the repository is left, and the key that somebody holds."""

    site: Site
    scanned: dict[str, bytes]
    point: str

    @property
    def folder(self) -> Path:
        return self.site.folder / "recovered"

    def recover(self, *words: str) -> Ended:
        repository, key = str(self.site.repository), str(self.site.key)
        return self.site.dro(
            *("recover", repository, "--password-file", key, *words), DRO_SETTINGS=""
        )

    def dro(self, *words: str) -> Ended:
        """Run `dro` as the recovery says."""
        return self.site.dro(*words, DRO_SETTINGS=str(self.folder / "dro.yaml"))

    def repository_files(self) -> dict[str, int]:
        files = self.site.repository.rglob("*")
        return {str(each): each.stat().st_mtime_ns for each in files}


@pytest.fixture(scope="module")
def burnt() -> Iterator[Burnt]:
    with new_site() as site:
        make_small_practice(site, patients=5, documents=3)
        runbooks = site.folder / "runbooks"
        runbooks.mkdir()
        (runbooks / "ours.yaml").write_text(RUNBOOK)
        (point,) = run_dro(site, "backup", "riverside", "--json").json["points"]
        assert run_dro(site, "evidence", "anchor", "riverside").code == 0
        scanned = {each.name: each.read_bytes() for each in site.documents.glob("*.pdf")}
        for place in ("state", "cache", "plans", "runbooks", "documents"):
            shutil.rmtree(site.folder / place)
        for place in ("dro.yaml", "emr.sqlite3"):
            (site.folder / place).unlink()
        yield Burnt(site, scanned, point["id"])


@pytest.fixture(scope="module")
def recovered(burnt: Burnt) -> Ended:
    before = burnt.repository_files()
    ended = burnt.recover("--to", str(burnt.folder), "--by", "Ada", "--json")
    assert burnt.repository_files() == before
    return ended


def test_recover_says_what_there_is_and_what_comes_next(burnt: Burnt, recovered: Ended) -> None:
    assert recovered.code == 0, recovered.said
    said = recovered.json
    assert (said["practice"], said["repository"], said["point"]) == (
        "riverside",
        "onsite",
        burnt.point,
    )
    assert [each["id"] for each in said["points"]] == [burnt.point]
    assert (said["doubts"], said["failures"]) == ([], [])
    assert said["evidence"] == {"sound": True, "faults": []}
    told = recovered.stderr
    assert "emr         1 recovery point, newest" in told
    assert "is its key the one on paper?" in told
    assert f"export DRO_SETTINGS={burnt.folder}/dro.yaml" in told
    assert "dro incident riverside" in told
    assert burnt.site.key.read_text().strip() not in recovered.said


def test_commands_that_nobody_read_do_not_run(burnt: Burnt, recovered: Ended) -> None:
    shown = "runbooks/ours.yaml, step look: dro points '{{ practice.id }}'"
    assert recovered.json["commands"] == [shown]
    assert not recovered.json["commands_allowed"]
    assert "none of the commands runs" in recovered.stderr
    assert "\ncommands: refused\n" in (burnt.folder / "dro.yaml").read_text()


def test_everything_goes_on_from_there(burnt: Burnt, recovered: Ended) -> None:
    back = burnt.site.folder / "back"
    restored = burnt.dro("restore", "riverside", "--system", "emr", "--to", str(back))
    assert restored.code == 0, restored.said
    assert "only a repository tells of this point" in restored.stdout
    documents = back / "documents" / "documents"
    assert {each.name: each.read_bytes() for each in documents.glob("*.pdf")} == burnt.scanned

    settings = str(burnt.folder / "dro.yaml")

    def dro(*words: str) -> Ended:
        return run_dro(burnt.site, *words, DRO_SETTINGS=settings)

    tested = dro("test", "riverside", "--json")
    assert [each["result"] for each in tested.json["tests"]] == ["passed"], tested.said

    status = dro("status", "riverside", "--json")
    (practice,) = status.json["practices"]
    assert {each["verdict"] for each in practice["findings"]} == {"unproven"}
    assert all("read back from a repository" in each["reason"] for each in practice["findings"])

    listed = dro("runbook", "list", "riverside", "--json")
    (practice,) = listed.json["practices"]
    names = {each["name"] for each in practice["runbooks"]}
    assert {"ours", "triage", "emr-server-lost"} <= names

    verified = dro("evidence", "verify", "riverside", "--repository", "onsite", "--json")
    (found,) = verified.json["evidence"]
    assert (verified.code, len(found["chains"]), found["sound"]) == (0, 2, True)


def test_recover_without_a_folder_only_lists(burnt: Burnt) -> None:
    words = ("recover", str(burnt.site.repository), "--password-file", str(burnt.site.key))

    listed = run_dro(burnt.site, *words, "--json", DRO_SETTINGS="")

    assert listed.code == 0, listed.said
    (point,) = listed.json["practices"]["riverside"]
    assert (point["id"], point["system"]) == (burnt.point, "emr")


def test_person_types_the_key_of_a_sheet_and_reads_the_commands(burnt: Burnt) -> None:
    sheet = "0000R-0000Q-0000T-0000S-0000V-0000W-0000Y-0000X"
    site, folder = burnt.site, burnt.site.folder / "typed"
    argv = (*site.argv, "recover", str(site.repository), "--to", str(folder))
    environment = site.environment | {"DRO_SETTINGS": ""}
    with terminal(site.folder / "tmux", argv, environment, site.folder) as it:
        it.see("the key (it is not shown)")
        it.type(sheet)
        it.see("is not as it was printed")
        it.type(site.key.read_text().strip())
        it.see("step look: dro points", "type yes once you have read them")
        it.type("yes")
        screen = it.see("find out what has happened now")
        it.type("n")
        assert it.wait() == 0
    assert "commands: refused" not in screen
    assert "commands: refused" not in (folder / "dro.yaml").read_text()
