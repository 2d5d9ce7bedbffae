"""The full screen as a person sees it: no server, no backup, only steps that people do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.site import Site, new_site
from tests.support.terminal import HEIGHT, terminal

RUNBOOK = """\
version: 1
title: The office moves
when: it does
about: practice
lanes: {responder: {title: Responder}}
steps:
  - id: boxes
    lane: responder
    kind: manual
    do: Count the boxes.
    expect: There are seven.
    if_not: {say: Look under the desk.}
  - id: which
    lane: responder
    kind: decide
    do: Which way does the van go?
    decide: [{answer: North}, {answer: South}]
  - {id: number, lane: responder, kind: check, do: Read the number plate., expect: It is ours.}
  - {id: burn, lane: responder, kind: manual, do: Burn the old labels., destructive: true,
     undo: "There is none."}
"""
SYSTEMS = "  emr: {rto: 4h, rpo: 1h, assets: {db: {kind: sqlite, path: /srv/emr.db}}}\n"
START = ("runbook", "start", "move", "riverside", "--incident", "--by=Ada")


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site(repository=False) as site:
        site.write_plan(SYSTEMS)
        runbooks = site.plan.parent / "runbooks"
        runbooks.mkdir()
        (runbooks / "move.yaml").write_text(RUNBOOK)
        yield site


def test_a_screen_shows_one_step_at_a_time_and_a_kill_loses_none(site: Site) -> None:
    place = (site.environment, site.folder)
    with terminal(site.folder / "tmux", (*site.argv, *START), *place) as it:
        rows = it.see("STEP 1 of 4", "do this by hand").splitlines()
        assert rows[0].startswith(" INCIDENT · Riverside · The office moves")
        assert rows[1].startswith(" outage ")
        assert "RTO 4 h" in rows[1]
        assert len(rows) <= HEIGHT
        it.press("d")
        it.see("boxes", "STEP 2 of 4", "1 North", "2 South")
        it.press("w")
        it.see("note for the timeline")
        it.type("the café is dark")
        it.see("Ada noted: the café is dark", "which is it?")
        it.kill()

    with terminal(
        site.folder / "tmux2", (*site.argv, "runbook", "resume", "--by=Bo"), *place
    ) as it:
        it.see("STEP 2 of 4", "the café is dark", "which is it?")
        it.press("m")
        it.see("any other key: to the step")
        it.press("x")
        it.see("which is it?")
        it.press("1")
        it.see("done which: North", "STEP 3 of 4")
        it.press("d")
        it.see("STEP 4 of 4", "DESTRUCTIVE", "PRACTICE: riverside", "Undo There is none.")
        it.press("q")
        assert it.wait() == 130
        left = it.see("go on with: dro runbook resume")
        assert "STEP 4" not in left

    (run,) = site.dro("runbook", "status", "--json").json["runs"]
    assert (run["step"], run["by"]) == ("burn", "Bo")
    story = site.dro("runbook", "timeline", run["run"], "--json").json["moves"]
    assert [each["step"] for each in story if each["event"] == "ended"] == [
        "boxes",
        "which",
        "number",
    ]
    assert site.leftovers() == []


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(site: Site) -> None:
    argv = ("env", "TERM=dumb", *site.argv, *START)
    with terminal(site.folder / "tmux", argv, site.environment, site.folder) as it:
        it.see("DO: Count the boxes.", "? do this by hand", "d done")
        it.type("q")
        assert it.wait() == 130
