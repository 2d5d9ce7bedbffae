"""What the documents say is so."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from dr_orchestrator.cli.main import dro
from dr_orchestrator.core.manifest_codec import decode_manifest, encode_manifest
from dr_orchestrator.core.point import MANIFEST_SCHEMA
from dr_orchestrator.errors import ExitCode, most_important
from dr_orchestrator.plan.load import load_plan

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "command-line.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")))
PLANS = sorted((ROOT / "plans").glob("*.yaml"))


def commands() -> Iterator[tuple[str, click.Command]]:
    """Return every command by what a person types, groups too."""
    with click.Context(dro) as context:
        for name in dro.list_commands(context):
            command = dro.get_command(context, name)
            assert command is not None
            yield f"dro {name}", command
            if isinstance(command, click.Group):
                for below in command.list_commands(context):
                    each = command.get_command(context, below)
                    assert each is not None
                    yield f"dro {name} {below}", each


COMMANDS = dict(commands())


def options(command: click.Command) -> list[click.Option]:
    """Return what a person may be told of."""
    return [each for each in command.params if isinstance(each, click.Option) and not each.hidden]


@cache
def section(command: str) -> str:
    """Return what the reference says of a command, its heading included."""
    parts = re.split(r"^(?=##)", REFERENCE, flags=re.MULTILINE)
    found = [each for each in parts if re.match(rf"#+ {command}(?: `|\n)", each)]
    assert len(found) == 1, f"the reference has {len(found)} headings for {command}"
    return found[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_and_stands_in_the_reference(name: str) -> None:
    command = COMMANDS[name]
    assert command.help, name
    assert [each.opts for each in options(command) if not each.help] == []
    heading = section(name).partition("\n")[0]
    stated = set(re.findall(r"--[a-z-]+", heading))
    assert {each.opts[0] for each in options(command)} == stated


def test_reference_has_no_command_that_does_not_exist() -> None:
    assert set(re.findall(r"^#+ (dro[a-z -]*?)(?: `|\n)", REFERENCE, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_only_exit_codes_that_exist(name: str) -> None:
    said = (COMMANDS[name].help or "").partition("Exit codes:")[2]
    assert {int(each) for each in re.findall(r"\b\d+\b", said)} <= set(ExitCode)


def test_exit_codes_of_the_reference_are_those_of_the_program() -> None:
    table = re.findall(r"^\| (\d+) \|", REFERENCE, re.MULTILINE)
    assert table == [str(code.value) for code in ExitCode]


def test_exit_codes_take_precedence_as_the_reference_says() -> None:
    stated = re.search(r"the first of ([\d, ]+) that applies", REFERENCE)
    assert stated is not None
    order = [ExitCode(int(each)) for each in stated[1].split(",")]
    assert {*order, ExitCode.OK} == set(ExitCode)
    for position, code in enumerate(order):
        assert most_important(order[position:]) is code


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_plan_is_valid(plan: Path) -> None:
    load_plan(plan)


def test_readme_shows_a_plan_that_is_valid(tmp_path: Path) -> None:
    plan = re.search(r"```yaml\n(version: 1\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert plan is not None
    path = tmp_path / "riverside.yaml"
    path.write_text(plan[1])
    load_plan(path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    lost = [each for each in links if "://" not in each and not _exists(page, each)]
    assert lost == []


def _exists(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return False
    return not anchor or anchor in _anchors(path)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", each.lower()) for each in headings)
    return {each.strip().replace(" ", "-") for each in plain}


def test_help_uses_no_word_that_the_glossary_rules_out() -> None:
    stated = re.search(r"^Words we do not use: (.+)\.$", GLOSSARY, re.MULTILINE)
    assert stated is not None
    # what is ruled out in one sense only is left to a reader
    words = [each for each in stated[1].split(", ") if "(for " not in each]
    words = [re.sub(r" \(.*", "", each) for each in words]
    assert "job" in words
    ruled_out = re.compile(rf"\b({'|'.join(words)})s?\b", re.IGNORECASE)
    for name, command in COMMANDS.items():
        texts = [
            command.help or "",
            command.epilog or "",
            *(each.help or "" for each in options(command)),
        ]
        assert ruled_out.findall(" ".join(texts)) == [], name


def test_examples_of_a_manifest_are_read_and_the_newest_is_written_so() -> None:
    page = (ROOT / "docs" / "reference" / "manifest.md").read_text()
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    manifests = [decode_manifest(example.encode()) for example in examples]

    assert [each.schema for each in manifests] == list(range(1, MANIFEST_SCHEMA + 1))[::-1]
    assert encode_manifest(manifests[0]).decode() == examples[0]
    assert all(
        state.data_as_of is None and getattr(state.baseline, "dump", None) is None
        for state in manifests[1].assets.values()
    )


def test_pages_draw_the_layers_that_import_linter_enforces() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = [each["layers"] for each in contracts if each["type"] == "layers"]
    drawn = " > ".join(each for each in layers if not each.startswith("("))
    for page in ("CONTRIBUTING.md", "docs/architecture.md"):
        assert drawn in " ".join((ROOT / page).read_text().split()), page


def test_architecture_names_every_folder_and_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "dr_orchestrator"
    folders = {f"  {each.parent.name}/ " for each in package.glob("*/__init__.py")}
    modules = {each.name for each in package.glob("*.py") if not each.name.startswith("__")}
    assert {each for each in folders | modules if each not in page} == set()
