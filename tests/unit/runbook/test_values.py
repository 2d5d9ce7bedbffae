from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.runbook.model import Step
from dr_orchestrator.runbook.values import (
    BLANK,
    FROM_THE_PLAN,
    WHILE_FOLLOWED,
    fill,
    fill_step,
    fingerprint,
    may_be_blank,
    names_in,
    values_of,
)

_ROOT = Path(__file__).parents[3]
_PLAN = read_plan((_ROOT / "plans" / "example.yaml").read_bytes(), "example.yaml").plan
_NAMES = st.sampled_from(["a", "b.c", "contacts.it.phone", "systems.emr-2.rto"])
_TEXT = st.text(st.sampled_from("ab {}%$.?-\n'\"`;|") | st.characters(codec="utf-8"), max_size=40)
_VALUES = st.dictionaries(_NAMES, _TEXT | st.just("{{ a }}{{ b.c }}"))


def step(**fields: Any) -> Step:
    return Step.model_validate({"id": "look", "lane": "it", "kind": "manual", "do": "x"} | fields)


# --- what a plan gives ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("practice.id", "riverside"),
        ("practice.name", "Riverside Family Practice"),
        ("practice.timezone", "America/Chicago"),
        ("practice.systems", "directory, emr, scheduling, imaging, billing"),
        ("contacts.manager.role", "practice manager"),
        ("contacts.manager.phone", "+1 555 0100"),
        ("contacts.manager.email", "manager@riverside.example"),
        ("custody", "manager: sealed sheet, msp: vault"),
        ("repositories.onsite.location", "/srv/restic/riverside"),
        ("repositories.offsite.key", "sealed sheet, practice safe"),
        ("systems.emr.title", "Electronic medical record"),
        ("systems.phones.title", "Telephones"),
        ("systems.emr.rto", "4h"),
        ("systems.emr.rpo", "1h"),
        ("systems.emr.importance", "critical"),
        ("systems.emr.depends_on", "directory"),
        ("systems.imaging.depends_on", "nothing"),
        ("systems.emr.runbook", "emr-server-lost"),
        ("systems.emr.assets.database.kind", "postgres"),
        ("systems.emr.assets.database.host", "10.0.0.5"),
        ("systems.emr.assets.database.port", "5432"),
        ("systems.emr.assets.database.database", "emr"),
        ("systems.emr.assets.database.user", "backup"),
        ("systems.emr.assets.documents.path", "/srv/emr/documents"),
        ("systems.imaging.assets.images.share", "imaging"),
        ("system.id", "emr"),
        ("system.title", "Electronic medical record"),
        ("system.assets.database.host", "10.0.0.5"),
    ],
)
def test_values_of_gives_what_the_plan_says(name: str, value: str) -> None:
    assert values_of(_PLAN, "emr")[name] == value


def test_values_of_has_no_name_for_what_the_plan_leaves_out() -> None:
    values = values_of(_PLAN, "emr")
    assert "contacts.emr_vendor.email" not in values
    assert "system.assets.documents.host" not in values
    assert "systems.phones.rto" not in values


def test_values_of_has_no_system_where_a_runbook_is_about_the_practice() -> None:
    assert not [name for name in values_of(_PLAN, "") if name.startswith("system.")]


def test_values_of_says_where_a_key_is_and_never_more() -> None:
    text = (_ROOT / "plans" / "example.yaml").read_text()
    plan = text.replace('{file: /etc/dro/keys/riverside, obtain: "MSP vault, entry riverside"}',
                        "{command: [vault, read, --token, s3cret]}")  # fmt: skip
    values = values_of(read_plan(plan.encode(), "x").plan, "emr")
    assert values["repositories.onsite.key"] == "command vault"
    assert not [each for each in values.values() if "s3cret" in each]


def test_every_value_is_of_a_shape_the_reference_names_and_every_shape_occurs() -> None:
    part = {"ID": "[a-z0-9_-]+", "ASSET": "[a-z0-9_-]+"}
    shapes = {
        shape: ".".join(part.get(each, re.escape(each)) for each in shape.split("."))
        for shape in FROM_THE_PLAN
    }
    names = values_of(_PLAN, "emr")
    own = {re.sub(r"^system\.(?!id$)", "systems.emr.", name) for name in names}
    assert not [n for n in own if not any(re.fullmatch(each, n) for each in shapes.values())]
    assert not [s for s, each in shapes.items() if not any(re.fullmatch(each, n) for n in own)]


# --- filling in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("call {{ contacts.it.phone }} now", "call 555 now"),
        ("{{contacts.it.phone}}{{  contacts.it.phone\t}}", "555555"),
        ("{{ contacts.it.phone? }}", "555"),
        ("{{ contacts.insurer.phone? }}", BLANK),
        ("{{ custody? }}", BLANK),
        ("{{ contacts.insurer.phone }}", "{{ contacts.insurer.phone }}"),
        ("{{ run.id }} {{ run.id? }}", "{{ run.id }} {{ run.id? }}"),
        ("{{ practice.nmae? }}", "{{ practice.nmae? }}"),
        ("{{ 7 * 7 }} {{ a|upper }} {% if a %}", "{{ 7 * 7 }} {{ a|upper }} {% if a %}"),
        ("{{ open", "{{ open"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
    ],
)
def test_fill_fills_in_names_and_nothing_else(text: str, filled: str) -> None:
    assert fill(text, {"contacts.it.phone": "555", "a": "x", "7": "y"}) == filled


def test_fill_never_fills_in_what_a_value_says() -> None:
    values = {"practice.name": "{{ repositories.onsite.key }}", "repositories.onsite.key": "vault"}
    assert fill("{{ practice.name }}", values) == "{{ repositories.onsite.key }}"


@given(_TEXT.filter(lambda text: "{{" not in text), _VALUES)
def test_fill_leaves_text_without_braces_as_it_is(text: str, values: dict[str, str]) -> None:
    assert fill(text, values) == text


@given(st.lists(_NAMES | _TEXT.filter(lambda text: not set("{}") & set(text))), _VALUES)
def test_fill_puts_each_known_name_in_once_and_as_it_is(
    parts: list[str], values: dict[str, str]
) -> None:
    def is_name(part: str) -> bool:
        return part in {"a", "b.c", "contacts.it.phone", "systems.emr-2.rto"}

    text = "".join(f"{{{{ {part} }}}}" if is_name(part) else part for part in parts)
    expected = "".join(
        values.get(part, f"{{{{ {part} }}}}") if is_name(part) else part for part in parts
    )
    assert fill(text, values) == expected


@given(st.lists(_TEXT | _NAMES.map(lambda name: f"{{{{ {name} }}}}"), max_size=6), _VALUES)
def test_fill_step_keeps_each_word_of_a_command_one_word(
    command: list[str], values: dict[str, str]
) -> None:
    filled = fill_step(step(kind="command", command=tuple(command)), values)
    assert filled.command == tuple(fill(word, values) for word in command)
    assert len(filled.command) == len(command)


def test_fill_step_fills_in_every_text_and_no_id() -> None:
    texts = {key: f"{key} {{{{ a }}}}" for key in ("do", "expect", "undo", "cite")}
    before = step(
        **texts,
        command=("run", "{{ a }}"),
        if_not={"say": "{{ a }}", "go_to": "look"},
        notify={"to": ("manager",), "subject": "{{ a }}", "text": "{{ a }}"},
        timer={"limit": "24h", "of": "{{ a }}"},
        decide=({"answer": "{{ a }}"}, {"answer": "no", "runbook": "downtime"}),
    )
    after = fill_step(before, {"a": "42"})
    assert "{{" not in after.model_dump_json()
    assert after.model_dump_json().count("42") == 10
    assert (after.if_not, after.timer) != (None, None)
    assert after.decide[1].runbook == "downtime"


def test_names_in_says_where_braces_begin_and_which_are_not_closed() -> None:
    assert names_in("a {{ b.c }} {{d?}} {{ e") == (("b.c", 2), ("d?", 12), ("", 19))
    assert names_in("{{ }} {{{ a }}}") == (("", 0), ("", 6))


@pytest.mark.parametrize("name", [*WHILE_FOLLOWED, "practice.id", "system.id", "contacts.it.fax"])
def test_may_be_blank_is_not_said_of_what_every_plan_has(name: str) -> None:
    assert not may_be_blank(name)


# --- fingerprints ---------------------------------------------------------------------------------


def test_fingerprint_changes_with_the_step_and_with_the_values_in_it() -> None:
    asks = step(do="call {{ contacts.manager.phone }} as {{ run.by }}")
    values = dict(values_of(_PLAN, "emr"))
    before = fingerprint(asks, values)
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert before == fingerprint(asks, values | {"run.by": "Ana", "practice.name": "other"})
    assert before != fingerprint(asks, values | {"contacts.manager.phone": "7"})
    assert before != fingerprint(asks.model_copy(update={"critical": True}), values)


def test_fingerprint_of_a_step_that_restores_all_changes_with_the_systems() -> None:
    values = dict(values_of(_PLAN, ""))
    everything = step(kind="restore", restore={"systems": ("all",)})
    one = step(kind="restore", restore={"systems": ("emr",)})
    more = values | {"practice.systems": "emr, labs"}
    assert fingerprint(everything, values) != fingerprint(everything, more)
    assert fingerprint(one, values) == fingerprint(one, more)


def test_fingerprint_says_a_blank_is_not_what_fills_it() -> None:
    asks = step(do="call {{ contacts.insurer.phone? }}")
    values = dict(values_of(_PLAN, ""))
    assert fingerprint(asks, values) != fingerprint(asks, values | {"contacts.insurer.phone": "5"})
