"""A night at Riverside: rehearsed, then real, and the machine dies in the middle of the restore.

Whoever follows here answers what is asked, by the words of the question, and knows nothing else.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr_orchestrator.clock import SystemClock
from dr_orchestrator.runbook.shelf import shipped_folder
from dr_orchestrator.store.base import Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.postgres import (
    BACKUP_PASSWORD,
    BACKUP_USER,
    EMR,
    PATIENT,
    Production,
    production,
)
from tests.support.site import Site, new_site
from tests.support.terminal import Terminal, terminal
from tests.support.tools import require_tool

RUNBOOK = "emr-server-lost"
ELSEWHERE = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "-")
"""Before a program: it runs on a machine of another name."""
ENOUGH = 99
"""Questions; whoever is asked more goes round in circles."""
FIRST, SECOND = "Ada Early", "Grace Second"
ANSWERS = {
    "say what you would do": "d",
    "do this by hand": "d",
    "this runbook is no file of this machine: do it by hand": "c",
    "this runbook is no file of this machine. Type": "run these commands",
    "run it?": "g",
    "it failed": "n",
    "is it as expected?": "d",
    "restore from the chosen points?": "g",
    "is it approved?": "d",
    "who approved it?": "Max Manager",
    "begin with it?": "g",
    "a second person has to agree": "y",
    "the second person's name": "Linus Neighbour",
    "something is lost by this": "riverside",
    "failed": "p",
}
_SLOW_RESTIC = """\
#!/bin/sh
case " $* " in *" restore "*)
    if [ -e {folder}/hold ]; then touch {folder}/held; fi
    while [ -e {folder}/hold ]; do sleep 0.05; done
esac
exec {restic} "$@"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Production]:
    with production() as server, server.database("emr", EMR):
        yield server


@pytest.fixture(scope="module")
def site(server: Production) -> Iterator[Site]:
    """Make a practice with a record on PostgreSQL and a portal that needs it, backed up once."""
    with new_site() as site:
        site.documents.mkdir()
        (site.documents / f"{PATIENT}.pdf").write_bytes(b"a scan")
        password = site.folder / "db-password"
        password.touch(mode=0o600)
        password.write_text(BACKUP_PASSWORD)
        site.write_plan(
            f"""\
  emr:
    title: Electronic medical record
    rto: 4h
    rpo: 1h
    assets:
      database: {{kind: postgres, host: {server.host}, port: {server.port}, database: emr,
                 user: {BACKUP_USER}, password: {{file: {password}}}}}
      documents: {{kind: files, path: {site.documents}}}
  portal:
    title: Patient portal
    rto: 24h
    rpo: 1h
    depends_on: [emr]
    assets: {{pages: {{kind: files, path: {site.documents}}}}}
"""
        )
        (site.folder / "restored").mkdir()
        backup = site.dro("backup", "riverside")
        assert backup.code == 0, backup.said
        yield site


def store_of(site: Site) -> Store:
    return open_store(site.state, SystemClock())


def answer_to(question: str) -> str:
    """Return what is pressed or typed."""
    return next(answer for words, answer in ANSWERS.items() if question.startswith(words))


def timeline(site: Site, run: str) -> dict[str, Any]:
    story = site.dro("runbook", "timeline", run, "--json")
    assert story.code == 0, story.said
    return dict(story.json)


def ended_steps(moves: list[dict[str, Any]], runbook: str = RUNBOOK) -> list[tuple[str, str]]:
    """Return the steps that ended, in order, and how."""
    ended = (each for each in moves if each["event"] == "ended" and each["runbook"] == runbook)
    return [(each["step"], each["result"]) for each in ended]


def steps_of_the_runbook() -> list[str]:
    content = yaml.safe_load((shipped_folder() / f"{RUNBOOK}.yaml").read_text())
    return [each["id"] for each in content["steps"]]


# --- plain lines ---------------------------------------------------------------------------------


def follow_in_lines(
    site: Site, *words: str, answer: Callable[[str], str] = answer_to
) -> tuple[int, str]:
    """Follow a runbook in plain lines; return the exit code, and all that was said."""
    dro = subprocess.Popen(
        (*site.argv, *f"runbook start {RUNBOOK} riverside --system emr".split(), *words),
        env=site.environment,
        cwd=site.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert dro.stdin is not None
    assert dro.stdout is not None
    said, asked = "", 0
    with dro:
        for line in dro.stdout:
            said += line
            if line.startswith("? "):
                asked += 1
                assert asked < ENOUGH, said
                dro.stdin.write(f"{answer(line.removeprefix('? ').strip())}\n")
                dro.stdin.flush()
    return dro.returncode, said


def test_a_rehearsal_in_plain_lines_goes_from_the_first_step_to_people_confirmed(
    site: Site, server: Production
) -> None:
    before = sorted(site.documents.iterdir())

    code, said = follow_in_lines(site, f"--by={FIRST}", "--rehearse", "--plain")

    assert code == 0, said
    with store_of(site) as store:
        (run,) = store.followed.runs("riverside")
        moves = store.followed.moves(run.id)
        (test,) = store.tests("riverside", system="emr")
        assert [each.restore_test for each in moves if each.restore_test] == [test.id]
        assert test.result.value == "passed", test
        exercised = {each.step for each in store.followed.exercised("riverside")}
        pauses = store.pauses(["riverside"])
    story = timeline(site, run.id)
    assert [step for step, _ in ended_steps(story["moves"])] == steps_of_the_runbook()
    results = dict(ended_steps(story["moves"]))
    assert results["restore"] == results["people"] == "done"
    assert results["pause"] == results["cut-over"] == "simulated"
    assert {"restore", "people"} <= exercised
    assert {"pause", "cut-over"}.isdisjoint(exercised)
    assert story["runs"][0]["rta_drill_seconds"] > 0
    assert pauses == ()
    assert sorted(site.documents.iterdir()) == before
    assert list((site.folder / "restored").iterdir()) == []
    assert site.leftovers() == []
    listed = site.dro("runbook", "list", "riverside", "--json")
    assert listed.code == 0, listed.said
    assert run.id in listed.stdout or "restore" in listed.stdout


def test_a_runbook_out_of_the_repository_runs_no_command_until_it_is_confirmed(site: Site) -> None:
    pauses: list[int] = []
    special = {
        "this runbook is no file of this machine. Type": ["yes", "run these commands"],
        "run it?": ["x"],
        "why does this run end": ["seen enough"],
    }

    def answer(question: str) -> str:
        with store_of(site) as store:
            pauses.append(len(store.pauses(["riverside"])))
        left = next((given for words, given in special.items() if question.startswith(words)), [])
        return left.pop(0) if left else answer_to(question)

    folder = site.folder / "elsewhere"
    folder.mkdir()
    code, said = follow_in_lines(
        site, "--incident", "--plain", "--from-repository=onsite", f"--to={folder}", answer=answer
    )

    assert code == 1, said
    assert said.count("? this runbook is no file of this machine. Type") == 2
    assert "| pause: dro pause riverside --system emr" in said
    assert set(pauses) == {0}


# --- full screen, two machines -------------------------------------------------------------------


def foot_of(screen: str) -> str:
    """Return what is asked at the foot of a screen; empty while something runs."""
    asked = screen.rpartition("─" * 20)[2].strip().splitlines()
    return "" if not asked or " · " in asked[0] else asked[0].strip()


def at_step(screen: str) -> str:
    found = re.search(r"STEP \d+ of \d+", screen)
    return found[0] if found else ""


def follow_on_screen(it: Terminal, *, until: str) -> str:
    """Answer what is asked, until these words are seen; return the screen."""
    answered = ("", "")
    while until not in " ".join((screen := it.screen()).split()):
        now = (at_step(screen), foot_of(screen))
        if not all(now) or now == answered:
            it.see("")
            continue
        key = answer_to(now[1])
        it.press(key) if len(key) == 1 else it.type(key)
        answered = now
    return screen


@pytest.fixture(scope="module")
def story(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Follow an incident on a machine that dies during the restore, and go on with it on another
    one; return its timeline as the second machine has it.
    """
    state = tmp_path_factory.mktemp("stick") / "state.json"
    _hold_restores(site)
    words = (f"--by={FIRST}", f"--to={site.folder}/restored", f"--export={state}")
    with terminal(
        site.folder / "tmux",
        (*site.argv, "incident", "riverside", *words),
        site.environment,
        site.folder,
    ) as it:
        it.see("When did the outage begin")
        it.press("Enter")
        it.see("dro runbook start downtime riverside", "Enter: begin")
        it.press("Enter")
        for question in ("fire, smoke", "ask for money", "Whose outage", "What is gone"):
            it.see(question)
            it.press("1")
        it.see("on to the runbook emr-server-lost?")
        it.press("y")
        it.see("1 Electronic medical record", "Which system is it")
        it.type("1")
        follow_on_screen(it, until="restoring ·")
        while not (site.folder / "held").exists():
            it.see("restoring ·")
        it.kill()
    (site.folder / "hold").unlink()
    require_tool("unshare")
    with new_site(repository=False) as other:
        other.key.unlink()  # no plan, no key, no memory
        with terminal(
            other.folder / "tmux",
            (*ELSEWHERE, *other.argv, "runbook", "resume", str(state), f"--by={SECOND}"),
            other.environment,
            other.folder,
        ) as it:
            it.see("Restore Electronic medical record", "restore from the chosen points?")
            follow_on_screen(it, until="people work again")
            assert it.wait() == 0, it.screen()
        return timeline(other, json.loads(state.read_text())["run"]["id"])


def _hold_restores(site: Site) -> None:
    """Have each restore of restic's wait as long as a file is there."""
    programs = site.folder / "programs"
    programs.mkdir()
    slow = programs / "restic"
    slow.write_text(_SLOW_RESTIC.format(folder=site.folder, restic=shutil.which("restic")))
    slow.chmod(0o755)
    with (site.folder / "dro.yaml").open("a") as settings:
        settings.write(f"path: {programs}:{site.environment['PATH']}\n")
    (site.folder / "hold").touch()


def test_an_incident_goes_on_where_another_machine_died(story: dict[str, Any]) -> None:
    moves = story["moves"]
    assert [step for step, _ in ended_steps(moves)] == steps_of_the_runbook()
    results = dict(ended_steps(moves))
    assert results["restore"] == results["cut-over"] == results["people"] == "done"
    begun = [each for each in moves if each["event"] == "started" and each["subject"] == "emr"]
    assert [each["by"] for each in begun] == [FIRST, SECOND]
    of_runbook = story["runs"][1]
    assert of_runbook["people_at"] is not None
    assert of_runbook["rta_drill_seconds"] > 0


def test_the_timeline_of_an_incident_is_complete_and_in_order(story: dict[str, Any]) -> None:
    moves = story["moves"]
    assert [each["runbook"] for each in story["runs"]] == ["triage", RUNBOOK]
    assert [each["at"] for each in moves] == sorted(each["at"] for each in moves)
    for each in story["runs"]:
        numbers = [move["number"] for move in moves if move["run"] == each["run"]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert each["ending"] is not None
    who = [(each["by"], each["host"]) for each in moves]
    assert who == sorted(who)  # Ada until she was cut off, and Grace from then on
    assert set(who) == {(FIRST, os.uname().nodename), (SECOND, "elsewhere")}


def test_no_command_of_a_run_that_was_handed_over_runs_before_it_is_confirmed(
    story: dict[str, Any],
) -> None:
    moves = [each for each in story["moves"] if each["by"] == SECOND]
    confirmed = [at for at, each in enumerate(moves) if each["event"] == "commands confirmed"]
    commands = [
        at
        for at, each in enumerate(moves)
        if each["event"] == "started" and each["subject"] != "emr"
    ]
    assert [moves[at]["step"] for at in commands] == ["end-pause"]
    assert confirmed[0] < commands[0]


def test_what_an_incident_restored_is_the_record(site: Site, story: dict[str, Any]) -> None:
    """Load it into a new server by the very lines that the responder was shown."""
    (back,) = story["runs"][1]["restored"]
    assert back["result"] == "done"
    place = Path(back["place"])
    assert place.parent == site.folder / "restored"
    assert next((place / "documents").rglob("*.pdf")).read_bytes() == b"a scan"
    (steps,) = (each["text"] for each in story["moves"] if each["event"] == "noted")
    with production() as replacement:
        for line in steps.split("\n"):
            command = line.removeprefix("database: ")
            if "--dbname=postgres" in command:
                argv = shlex.split(command.replace("HOST", replacement.host))
                subprocess.run(argv, check="pg_restore" in argv[0], capture_output=True)
        with replacement.connect("emr") as connection:
            patients = connection.execute("select count(*) from emr.patient").fetchone()
    assert patients is not None
    assert patients[0] > 0
