"""Each reference of a runbook that a plan leaves broken is found, where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.plan.load import load_plan, read_plan
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.problem import Problem
from dr_orchestrator.runbook.fit import blanks_of, problems_with
from dr_orchestrator.runbook.load import load_runbook, read_runbook
from dr_orchestrator.runbook.shelf import shipped_folder

_ROOT = Path(__file__).parents[3]
_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
contacts:
  manager: {role: manager, email: m@x.example}
  vendor: {role: support, phone: "7"}
repositories: {onsite: {location: /srv/r, password: {file: /etc/dro/key}}}
systems:
  emr: {rto: 4h, rpo: 1h, assets: {database: {kind: sqlite, path: /srv/emr.db}}}
  files: {rto: 4h, rpo: 1h, assets: {share: {kind: files, path: /srv/files, marker: m}}}
  labs: {rto: 4h, rpo: 1h, runbook: labs-lost, assets: {db: {kind: sqlite, path: /srv/l.db}}}
  portal: {protected_by: its vendor}
"""
_HEAD = """\
version: 1
title: Server lost
when: the server is gone
lanes: {it: {title: IT}}
steps:
"""
_NAMES = frozenset({"lost", "downtime"})


def plan(text: str = _PLAN) -> Plan:
    return read_plan(text.encode(), "riverside.yaml").plan


def problems(text: str, name: str = "lost", *, of: Plan | None = None) -> tuple[Problem, ...]:
    loaded = read_runbook(text.replace("‸", "").encode(), name, f"{name}.yaml")
    return problems_with(loaded, of or plan(), names=_NAMES)


def _step(fields: str, head: str = _HEAD) -> str:
    return f"{head}  - {{id: a, lane: it, {fields}}}\n"


def _do(text: str, head: str = _HEAD) -> str:
    return _step(f'kind: manual, do: ‸"{text}"', head)


_PRACTICE = _HEAD.replace("steps:", "about: practice\nsteps:")

# what is broken stands behind `‸`
_BROKEN = [
    (_do("in {{ practice.nmae }}"), "there is no value `practice.nmae`", "did you mean `name`?"),
    (_do("{{ practise.name }}"), "there is no value `practise.name`", "did you mean `practice`?"),
    (_do("{{ system }}"), "there is no value `system`", "there are behind `system.` assets, dep"),
    (_do("{{ 7 * 7 }}"), "there is no value `7 * 7`", "there are contacts, point, practice, rep"),
    (_do("{{ contacts.insurer.phone }}"), "there is no value `contacts.insurer.phone`",
     "add it to the plan, or write {{ contacts.insurer.phone? }} for a blank"),
    (_do("{{ contacts.manger.email }}"), "there is no value `contacts.manger.email`",
     "did you mean `manager`?"),
    (_do("{{ contacts.manager.phone }}"), "there is no value `contacts.manager.phone`", "add it"),
    (_do("{{ custody }}"), "there is no value `custody`", "add it to the plan"),
    (_do("{{ repositories.offsite.key }}"), "there is no value `repositories.offsite.key`",
     "did you mean `onsite`?"),
    (_do("{{ systems.portal.rto }}"), "there is no value `systems.portal.rto`",
     "there are behind `systems.portal.` title"),
    (_do("{{ system.assets.database.path }}"),
     "there is no value `system.assets.database.path` of files, labs", "add it to the plan, or"),
    (_do("{{ run.mod }}"), "there is no value `run.mod`", "did you mean `mode`?"),
    (_do("{{ run.id? }}"), "`{{ run.id? }}` cannot be left blank", "only what a plan may leave"),
    (_do("{{ practice.nmae? }}"), "`{{ practice.nmae? }}` cannot be left blank", "only what"),
    (_do("{{ system.title }}", _PRACTICE), "there is no value `system.title` here", "the runbook"),
    (_do("{{ point.id }}", _PRACTICE), "there is no value `point.id` here", "the runbook is"),
    (_do("{{ restored.place }}", _PRACTICE), "there is no value `restored.place` here", "the"),
    (_step('kind: command, do: x, command: [ls, ‸"{{ x }}"]'), "there is no value `x`", "there"),
    (_step('kind: manual, do: x, expect: ‸"{{ x }}"'), "there is no value `x`", "there are"),
    (_step('kind: manual, do: x, undo: ‸"{{ x }}"'), "there is no value `x`", "there are"),
    (_step('kind: manual, do: x, cite: ‸"{{ x }}"'), "there is no value `x`", "there are"),
    (_step('kind: manual, do: x, if_not: {say: ‸"{{ x }}"}'), "there is no value `x`", "there"),
    (_step('kind: timer, do: x, timer: {limit: 1h, of: ‸"{{ x }}"}'), "there is no value", "the"),
    (_step('kind: decide, do: x, decide: [{answer: ‸"{{ x }}"}, {answer: b}]'),
     "there is no value `x`", "there are"),
    (_step('kind: notify, do: x, notify: {to: [manager], subject: ‸"{{ x }}", text: x}'),
     "there is no value `x`", "there are"),
    (_step('kind: notify, do: x, notify: {to: [manager], subject: x, text: ‸"{{ x }}"}'),
     "there is no value `x`", "there are"),
    (_step("kind: notify, do: x, notify: {to: [‸insurer], subject: x, text: x}"),
     "there is no contact `insurer`", "add it to the plan, or put `?` behind it"),
    (_step("kind: notify, do: x, notify: {to: [‸vendor], subject: x, text: x}"),
     "the plan has no e-mail address of this contact", "add its `email`"),
    (_step("kind: manual, do: x, contacts: [manager, ‸vendr]"), "there is no contact `vendr`",
     "did you mean `vendor`?"),
    (_step("kind: manual, do: x", _HEAD.replace("{title: IT}", "{title: IT, contact: ‸insurer}")),
     "there is no contact `insurer`", "add it"),
    (_step("kind: restore, do: x, restore: {systems: [‸files2]}"),
     "there is no protected system `files2`", "did you mean `files`?"),
    (_step("kind: restore, do: x, restore: {systems: [this, ‸portal]}"),
     "there is no protected system `portal`", "there are emr, files, labs"),
    (_step("kind: manual, do: x", _HEAD.replace("steps:", "opens: [‸downtme]\nsteps:")),
     "there is no runbook `downtme`", "did you mean `downtime`?"),
    (_step("kind: decide, do: x, decide: [{answer: a, runbook: ‸fire}, {answer: b}]"),
     "there is no runbook `fire`", "there are downtime, lost"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), _BROKEN)
def test_each_broken_reference_is_found_where_it_stands_and_no_other(
    text: str, message: str, hint: str
) -> None:
    before = text.partition("‸")[0]
    (problem,) = problems(text)
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert (problem.line, problem.column) == place
    assert problem.message.startswith(message)
    assert problem.hint.startswith(hint)


@pytest.mark.parametrize(
    "text",
    [
        _do("{{ system.title }} {{ system.rto }} {{ run.folder }} {{ point.id }}"),
        _do("{{ contacts.insurer.phone? }} {{ custody? }} {{ system.assets.database.path? }}"),
        _do("{{ practice.systems }} {{ run.outage }}", _PRACTICE),
        _step("kind: manual, do: x, contacts: [manager, insurer?]"),
        _step("kind: notify, do: x, notify: {to: ['vendor?', 'a?'], subject: x, text: x}").replace(
            "'", '"'
        ),
        _step("kind: restore, do: x, restore: {systems: [this, files]}"),
        _step("kind: restore, do: x, restore: {systems: [all]}"),
    ],
)
def test_what_the_plan_has_or_may_leave_blank_is_no_problem(text: str) -> None:
    assert problems(text) == ()


def test_runbook_is_held_against_the_systems_that_are_recovered_by_it() -> None:
    text = _do("{{ system.assets.db.path }}")
    assert problems(text, "labs-lost") == ()
    (problem,) = problems(text, "emr-server-lost")
    assert problem.message == "there is no value `system.assets.db.path`"
    (problem,) = problems(text, "lost")
    assert problem.message == "there is no value `system.assets.db.path` of emr, files"


def test_one_place_with_two_broken_names_has_two_problems_and_one_twice_has_one() -> None:
    assert len(problems(_do("{{ x }} {{ y }} {{ x }}"))) == 2


def test_blanks_are_what_is_left_to_fill_in_by_hand() -> None:
    text = _step(
        'kind: notify, contacts: [insurer?, manager?], do: "{{ contacts.vendor.email? }} '
        '{{ contacts.manager.email? }} {{ contacts.insurer.phone? }} {{ custody? }}", '
        "notify: {to: [vendor?], subject: x, text: x}"
    )
    loaded = read_runbook(text.encode(), "lost", "lost.yaml")
    assert set(blanks_of(loaded, plan())) == {
        "contacts.insurer",
        "contacts.vendor.email",
        "custody",
    }


@pytest.mark.parametrize(
    "path", sorted((_ROOT / "plans").glob("*.yaml")), ids=lambda each: each.stem
)
def test_each_runbook_we_ship_fits_each_plan_we_ship(path: Path) -> None:
    shipped = sorted(shipped_folder().glob("*.yaml"))
    names = frozenset(each.stem for each in shipped)
    found = [
        problem.text()
        for each in shipped
        for problem in problems_with(load_runbook(each), load_plan(path).plan, names=names)
    ]
    assert (found, len(shipped) >= 7) == ([], True)
