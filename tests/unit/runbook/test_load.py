"""Each mistake a runbook can have: at its line and column, with words of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import ExitCode, RunbookInvalid
from dr_orchestrator.plan.problem import Problem
from dr_orchestrator.runbook.load import load_runbook, read_runbook

_HEAD = """\
version: 1
title: Server lost
when: the server is gone
lanes: {it: {title: IT}, desk: {title: Front desk}}
steps:
  - {id: look, lane: it, kind: check, do: look at it, if_not: {say: look again, go_to: look}}
  - {id: phone, lane: desk, kind: manual, do: answer the phone}
"""
_SIDE_BY_SIDE = _HEAD.replace("steps:", "side_by_side: true\nsteps:")
_PRACTICE = _HEAD.replace("steps:", "about: practice\nsteps:")


def _with(*fields: str, head: str = _HEAD) -> str:
    return head + "".join(f"  - {{{each}}}\n" for each in fields)


def _last(fields: str, head: str = _HEAD) -> str:
    return _with(f"id: last, lane: it, do: it, {fields}", head=head)


_ENDS = "decide: [{answer: a, runbook: x}, {answer: b, runbook: x}]"

# what is wrong stands behind `‸`; path, and how the message begins
_MISTAKES = [
    (_HEAD.replace("version: 1", "version: ‸2"), "version", "must be 1"),
    ("‸" + _HEAD.replace("when: the server is gone\n", ""), "when", "is missing"),
    (_HEAD.replace("steps:", "about: ‸server\nsteps:"), "about", "must be one of system, practice"),
    (_HEAD.replace("title: Server lost", "title: ‸Server of {{ practice.name }}"), "title",
     "no value is filled in here"),
    (_HEAD.replace("title: IT", 'title: ‸"{{ x }}"'), "lanes.it.title", "no value is filled in"),
    (_HEAD.replace("lane: desk", "lane: it").replace("desk: {", "desk: ‸{"), "lanes.desk",
     "has no step"),
    (_with("id: ‸look, lane: it, kind: manual, do: it"), "steps[2].id",
     "is the id of a step before it too"),
    (_with("id: ‸Last, lane: it, kind: manual, do: it"), "steps[2].id", "is not an id"),
    (_with("id: last, lane: ‸itt, kind: manual, do: it"), "steps[2].lane", "there is no such lane"),
    (_last("kind: ‸manuel"), "steps[2].kind", "must be one of manual, command, check"),
    (_last("kind: manual, if_not: {say: wait, go_to: ‸lok}"), "steps[2].if_not.go_to",
     "there is no such step"),
    (_last("kind: decide, decide: [{answer: a, go_to: ‸nowhere}, {answer: b}]"),
     "steps[2].decide[0].go_to", "there is no such step"),
    (_last("kind: decide, decide: ‸[{answer: a, go_to: look}]"), "steps[2].decide",
     "has fewer than 2 answers"),
    (_last("kind: decide, decide: [{answer: a}, {answer: ‸a, go_to: look}]"),
     "steps[2].decide[1].answer", "is an answer before it too"),
    (_last("kind: decide, decide: [{answer: a, go_to: ‸look, runbook: x}, {answer: b}]"),
     "steps[2].decide[0].go_to", "has no effect"),
    (_last(f"kind: manual, {_ENDS.replace('[', '‸[', 1)}"), "steps[2].decide", "has no effect"),
    (_with("‸id: last, lane: it, do: it, kind: decide").replace("{‸", "‸{"), "steps[2].decide",
     "is missing"),
    (_with("‸id: last, lane: it, do: it, kind: command").replace("{‸", "‸{"), "steps[2].command",
     "is missing"),
    (_with("‸id: last, lane: it, do: it, kind: command, command: []").replace("{‸", "‸{"),
     "steps[2].command", "is missing"),
    (_with("‸id: last, lane: it, do: it, kind: notify, notify: ~").replace("{‸", "‸{"),
     "steps[2].notify", "is missing"),
    (_with("‸id: last, lane: it, do: it, kind: restore").replace("{‸", "‸{"), "steps[2].restore",
     "is missing"),
    (_with("‸id: last, lane: it, do: it, kind: timer").replace("{‸", "‸{"), "steps[2].timer",
     "is missing"),
    (_last("kind: manual, command: ‸[ls]"), "steps[2].command", "has no effect"),
    (_last("kind: check, restore: ‸{}"), "steps[2].restore", "has no effect"),
    (_last("kind: manual, timer: ‸{wait: 5m}"), "steps[2].timer", "has no effect"),
    (_last("kind: approval, notify: ‸{to: [a], subject: a, text: a}"), "steps[2].notify",
     "has no effect"),
    (_last("kind: check, retries: ‸2"), "steps[2].retries", "has no effect"),
    (_last("kind: timer, timer: {wait: 5m}, timeout: ‸1h"), "steps[2].timeout", "has no effect"),
    (_last("kind: restore, restore: {}, timeout: ‸1h"), "steps[2].timeout", "has no effect"),
    (_last("kind: manual, repeatable: ‸true"), "steps[2].repeatable", "has no effect"),
    (_last("kind: command, command: [ls], destructive: true, undo: no, repeatable: ‸true").replace(
        "undo: no", 'undo: "no"'), "steps[2].repeatable", "has no effect"),
    (_last("kind: timer, timer: {wait: 5m}, if_not: ‸{say: wait}"), "steps[2].if_not",
     "has no effect"),
    (_last("kind: timer, timer: ‸{}"), "steps[2].timer", "says neither how long nor until when"),
    (_last("kind: timer, timer: ‸{wait: 5m, limit: 5m, of: x}"), "steps[2].timer", "says both"),
    (_last("kind: timer, timer: ‸{limit: 5m}"), "steps[2].timer.of", "is missing"),
    (_last("kind: timer, timer: {wait: 5m, of: ‸x}"), "steps[2].timer.of", "has no effect"),
    (_last("kind: timer, timer: {wait: ‸5}"), "steps[2].timer.wait", "a number without its unit"),
    (_last("kind: restore, restore: {systems: [emr, ‸all]}"), "steps[2].restore.systems[1]",
     "makes the others needless"),
    (_last("kind: restore, restore: {systems: [‸this]}", _PRACTICE), "steps[2].restore.systems[0]",
     "there is no such system"),
    (_last("kind: restore, restore: ‸{}", _PRACTICE), "steps[2].restore.systems", "is missing"),
    (_with("‸id: last, lane: it, do: it, kind: manual, destructive: true").replace("{‸", "‸{"),
     "steps[2].undo", "is missing"),
    (_last("kind: manual, destructive: true, undo: x, rehearsal: ‸run"), "steps[2].rehearsal",
     "a rehearsal never does what is destructive"),
    (_last('kind: manual, expect: ‸"see {{ it"'), "steps[2].expect", "`{{` without a name and"),
    (_last('kind: command, command: [call, ‸"{{ contacts.it.phone? }}"]'), "steps[2].command[1]",
     "`?` in a command"),
    (_last("kind: manual, if_not: {say: x, go_to: ‸phone}", _SIDE_BY_SIDE),
     "steps[2].if_not.go_to", "leads to the lane desk"),
    (_last(f"kind: decide, {_ENDS}") + "  - ‸{id: after, lane: it, kind: manual, do: it}\n",
     "steps[3]", "nothing leads to this step"),
    (_last(f"kind: decide, {_ENDS}", _SIDE_BY_SIDE)
     + "  - ‸{id: after, lane: it, kind: manual, do: it, if_not: {say: again, go_to: after}}\n"
     + "  - {id: talk, lane: desk, kind: manual, do: it}\n",
     "steps[3]", "nothing leads to this step"),
    (_last("kind: manual, contacts: [‸Insurer]"), "steps[2].contacts[0]", "is not an id"),
    (_last("kind: manual, sudo: ‸yes"), "steps[2].sudo", "an unquoted word that YAML 1.1 reads as"),
    (_last("kind: notify, notify: {to: ‸[], subject: a, text: a}"), "steps[2].notify.to",
     "must not be empty"),
]  # fmt: skip


def _found(text: str) -> tuple[Problem, ...]:
    with pytest.raises(RunbookInvalid) as caught:
        read_runbook(text.encode(), "lost", "lost.yaml")
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value.problems  # type: ignore[return-value]  # objects, to the errors' layer


@pytest.mark.parametrize(("text", "path", "message"), _MISTAKES)
def test_each_mistake_is_found_where_it_stands_and_no_other(
    text: str, path: str, message: str
) -> None:
    before = text.partition("‸")[0]
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    (problem, *others) = _found(text.replace("‸", ""))
    # an unusable value has a place of its own, and may leave its key unknown
    assert [each for each in others if each.message != "unknown key"] == []
    assert (problem.line, problem.column, problem.path) == (*place, path)
    assert problem.message.startswith(message)


def test_all_mistakes_of_a_file_are_told_at_once_in_file_order() -> None:
    text = _with(
        "id: a, lane: itt, kind: command, do: it",
        "id: b, lane: it, kind: manual, do: it, retries: 3, destructive: true",
        "id: b, lane: it, kind: timer, do: it, timer: {limit: 1}",
    )
    places = [(each.line, each.path) for each in _found(text.replace("title: IT", "titel: IT"))]
    assert places == [
        (4, "lanes.it.titel"),
        (8, "steps[2].command"),
        (8, "steps[2].lane"),
        (9, "steps[3].undo"),
        (9, "steps[3].retries"),
        (10, "steps[4].id"),
        (10, "steps[4].timer.of"),
        (10, "steps[4].timer.limit"),
    ]


def test_hint_says_what_was_probably_meant() -> None:
    text = _last("kind: manual, if_not: {say: wait, go_to: lok}")
    (problem,) = _found(text)
    assert problem.hint == "did you mean `look`?"


@pytest.mark.parametrize(
    "text",
    [
        _HEAD,
        _SIDE_BY_SIDE,
        _last("kind: check, command: [ls, -l], retries: 2, timeout: 5m"),
        _last("kind: command, command: [ls], repeatable: true, rehearsal: run"),
        _last("kind: command, command: [rm], destructive: true, undo: restore it"),
        _last("kind: restore, restore: {}, normal: 4h"),
        _last("kind: restore, restore: {systems: [all]}", _PRACTICE),
        _last("kind: timer, timer: {wait: 5m}"),
        _last("kind: timer, timer: {limit: 24h, of: the notice}"),
        _last("kind: decide, decide: [{answer: a}, {answer: b, go_to: last}]"),
        _last("kind: notify, notify: {to: [manager, it?], subject: a, text: b}"),
        _with(
            "id: a, lane: it, kind: approval, do: it, people_confirm: true, two_persons: true",
            "id: b, lane: desk, kind: manual, do: it, people_confirm: true",
        ),
        _last(f"kind: decide, {_ENDS.replace('runbook: x', 'go_to: b', 1)}")
        + "  - {id: a, lane: it, kind: manual, do: it}\n".replace("id: a", "id: b"),
    ],
)
def test_what_means_something_is_no_mistake(text: str) -> None:
    assert read_runbook(text.encode(), "lost", "x").runbook.steps


# --- what is known of a file ----------------------------------------------------------------------


def write(folder: Path, text: str = _HEAD, name: str = "lost.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_load_runbook_trusts_a_file_that_nobody_else_can_write(tmp_path: Path) -> None:
    loaded = load_runbook(write(tmp_path))
    assert (loaded.name, loaded.trusted, loaded.why_not) == ("lost", True, "")
    assert (loaded.text, loaded.origin) == (_HEAD, str(tmp_path / "lost.yaml"))
    assert len(loaded.sha256) == 64


def test_load_runbook_does_not_trust_a_file_that_others_can_write(tmp_path: Path) -> None:
    path = write(tmp_path, _last("kind: command, command: [ls]"))
    path.chmod(0o666)
    loaded = load_runbook(path)
    assert (loaded.trusted, loaded.why_not) == (False, "others may write to it")


def test_read_runbook_trusts_nothing_that_is_no_file_of_this_machine() -> None:
    loaded = read_runbook(_HEAD.encode(), "lost", "onsite/runbooks/lost.yaml")
    assert (loaded.trusted, loaded.why_not) == (False, "it is no file of this machine")


@pytest.mark.parametrize("name", ["Lost.yaml", "server lost.yaml", f"{'a' * 41}.yaml"])
def test_load_runbook_wants_a_name_that_can_be_typed(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunbookInvalid, match="the file's name is not an id"):
        load_runbook(write(tmp_path, name=name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe", "is UTF-16"),
        (b"a: [", "not valid YAML"),
        (b"- a", "must be a mapping"),
        (b"steps: 7", "must be a list"),
        (b"lanes: 7\nsteps: [7, [], {lane: []}, ~]", "must be a mapping"),
    ],
)
def test_read_runbook_explains_what_is_no_runbook(content: bytes, message: str) -> None:
    with pytest.raises(RunbookInvalid, match=message):
        read_runbook(content, "lost", "lost.yaml")


def test_load_runbook_says_that_a_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunbookInvalid, match="cannot be read: no such file"):
        load_runbook(tmp_path / "none.yaml")
