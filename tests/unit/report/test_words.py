"""All that reports say lies in `words/`, is used, is whole, and can be read by those it is for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

import dr_orchestrator
from dr_orchestrator.report.html import render_html
from dr_orchestrator.report.manager import build_page
from dr_orchestrator.report.say import all_texts, count, places_in, say
from tests.support import practices
from tests.support.reading import grade, sentences

PACKAGE = Path(dr_orchestrator.__file__).parent
REPORT = PACKAGE / "report"
TEXTS = all_texts()
PLURAL = ("one", "other")
FOR_THE_MANAGER = ("manager.", "sign.")
ACRONYMS = {"NOT", "IT", "US", "CFR", "OVERDUE", "FAILED"}
"""Capitals on the manager's page: words she knows, or that stand there in full; and emphasis."""
GRADE, HARDEST, LONGEST = 9.0, 12.0, 25


@dataclass(frozen=True)
class Use:
    """One place that says something."""

    where: str
    key: str
    """What varies in it is `*`."""
    is_count: bool
    names: frozenset[str] | None
    """Of the values given; `None` where that cannot be told from the text."""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """All texts it may be of; what varies is one part of a key, at its beginning several."""
        return self._like(".+" if self.key.startswith("*") else "[^.]+")

    def _like(self, varies: str) -> tuple[str, ...]:
        pattern = re.escape(self.key).replace(r"\*", varies)
        forms = rf"\.(?:{'|'.join(PLURAL)})" if self.is_count else ""
        return tuple(key for key in TEXTS if re.fullmatch(pattern + forms, key))


def _in_python() -> Iterator[Use]:
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "report.say import" in text:
            for call in ast.walk(ast.parse(text)):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") in {"say", "count"}:
                    yield from _python_use(path, call)


def _python_use(path: Path, call: ast.Call) -> Iterator[Use]:
    for key in _keys(call.args[0]):
        yield Use(
            f"{path.relative_to(PACKAGE)}:{call.lineno}",
            key,
            getattr(call.func, "id", "") == "count",
            _given(call),
        )


def _keys(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as key):
            yield key
        case ast.JoinedStr(values=values):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "*" for v in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _keys(body)
            yield from _keys(orelse)
        case _:
            raise AssertionError(f"say() is given no literal: {ast.unparse(node)}")


def _given(call: ast.Call) -> frozenset[str] | None:
    names = [keyword.arg for keyword in call.keywords]
    return None if None in names else frozenset(name for name in names if name)


def _in_templates() -> Iterator[Use]:
    for path in sorted(REPORT.glob("templates/*.html")):
        tree = Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in {"say", "count"}:
                for key in call.args[0].find_all(nodes.Const):
                    if "." in str(key.value):
                        yield _template_use(path, call, key.value)
                if isinstance(call.args[0], nodes.Const):
                    yield _template_use(path, call, call.args[0].value)


def _template_use(path: Path, call: nodes.Call, key: str) -> Use:
    names = frozenset(each.key for each in call.kwargs)
    is_count = isinstance(call.node, nodes.Name) and call.node.name == "count"
    return Use(f"{path.name}:{call.lineno}", key, is_count, names)


USES = (*_in_python(), *_in_templates())
SAID_BY_CONTROLS = "controls.*"
"""What a control says is a word of its own, which is looked up when its report is made."""


def _said_by_controls() -> set[str]:
    literals = {
        _literal(each)
        for path in (PACKAGE / "policies").glob("*.py")
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    }
    any_of = "|".join(re.escape(each).replace(r"\{\}", "[^.]+") for each in literals if each)
    said = re.compile(rf"controls\.(?:{any_of})(?:\.one|\.other)?")
    return {key for key in TEXTS if said.fullmatch(key)}


def test_every_key_that_is_said_has_a_text() -> None:
    missing = [f"{use.where}: {use.key}" for use in USES if not use.keys]
    assert [each for each in missing if not each.endswith(SAID_BY_CONTROLS)] == []


def test_every_text_is_said_somewhere() -> None:
    said = {key for use in USES for key in use.keys} | _said_by_controls()
    assert sorted(TEXTS.keys() - said) == []


def test_every_text_gets_what_it_has_places_for() -> None:
    fits = {key for use in USES if use.names is None for key in use.keys}
    asked, wrong = set(fits), []
    for use in USES:
        if use.names is not None and not use.key.startswith("*"):
            given = use.names | ({"n"} if use.is_count else set())
            places = {key: places_in(TEXTS[key]) for key in use.keys}
            asked.update(places)
            fits.update(key for key, wanted in places.items() if wanted <= given)
            if "*" not in use.key and any(wanted - given for wanted in places.values()):
                wrong.append(f"{use.where}: {use.key} lacks a value")
            if use.names - frozenset().union(*places.values()):
                wrong.append(f"{use.where}: {use.key} is given what it has no place for")
    assert wrong == []
    assert sorted(asked - fits) == []


def test_what_is_counted_has_one_and_other() -> None:
    counted = {key.rpartition(".")[0] for use in USES if use.is_count for key in use.keys}
    forms = {f"{group}.{form}" for group in counted for form in PLURAL}
    assert sorted(forms - TEXTS.keys()) == []


def test_say_refuses_a_key_or_a_value_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        say("manager.nothing_of_the_kind")
    with pytest.raises(KeyError):
        say("manager.summary")
    with pytest.raises(KeyError):
        say("manager.need.today")


def test_count_says_one_or_other() -> None:
    assert count("manager.trend.checks", 1) == "1 check"
    assert count("manager.trend.checks", 1204) == "1,204 checks"


# No sentence elsewhere

WORDS = re.compile(r"[A-Za-z]{2,}[,;:]? +[a-z]{2,}|(?<=\}) [a-z]{2,}|[a-z]{2,} (?=\{)")
MARKUP = re.compile(r"<[^>]*>?")
ATTRIBUTE = re.compile(r'[\w-]+="[^"]*"?')
COMMAND = re.compile(r"(?:dro|python3) ")
NOT_FOR_READERS = {"deliver.py": "the reports of {} are being delivered"}
"""Whoever starts a second delivery meanwhile sees it in a terminal."""


def _sentences_in(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(each) for each in _not_for_readers(tree)}
    for node in ast.walk(tree):
        text = "" if id(node) in told else _literal(node)
        if text == NOT_FOR_READERS.get(path.name) or COMMAND.match(text):
            continue
        if WORDS.search(MARKUP.sub("", text)):
            yield f"{path.name}:{getattr(node, 'lineno', 0)}: {text}"


def _literal(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in values)
        case _:
            return ""


def _not_for_readers(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what a reader never sees: docstrings, errors for whoever runs the program, the parts of
    an f-string, which are looked at together.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as documentation):
                yield documentation
            case ast.Raise():
                yield from ast.walk(node)
            case ast.JoinedStr(values=values):
                yield from values


def test_no_sentence_for_people_stands_in_the_code() -> None:
    found = [text for path in sorted(REPORT.glob("*.py")) for text in _sentences_in(path)]
    assert found == []


def test_no_sentence_for_people_stands_in_a_template() -> None:
    for path in sorted(REPORT.glob("templates/*.html")):
        tree = Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
        text = "*".join(each.data for each in tree.find_all(nodes.TemplateData))
        words = re.findall(r"[A-Za-z]{2,}", ATTRIBUTE.sub("", MARKUP.sub("", text)))
        assert words == [], path.name


# Plain language


def _manager_texts() -> list[str]:
    return [text for key, text in TEXTS.items() if key.startswith(FOR_THE_MANAGER)]


def test_what_the_manager_reads_is_plain() -> None:
    told = sentences(_manager_texts())
    assert grade(told) <= GRADE
    hard = [each for each in told if grade([each]) > HARDEST]
    assert hard == [say("manager.footer.rule_text")]


def test_no_sentence_for_the_manager_is_long() -> None:
    long = [each for each in sentences(_manager_texts()) if len(each.split()) > LONGEST]
    assert long == []


@pytest.mark.parametrize(
    "make",
    [practices.one_system, practices.worst, practices.first_day, practices.loosened],
)
def test_the_page_itself_is_plain_and_explains_its_capitals(make: object) -> None:
    assert callable(make)
    html = render_html(build_page(make().subject())).decode()
    text = re.sub(r"<(style|title).*?</\1>", "", html, flags=re.DOTALL)
    blocks = [re.sub(r"<[^>]+>", " ", each) for each in re.split(r"</(?:p|dd|li|h\d|td|dt)>", text)]
    told = [" ".join(each.replace("\N{NO-BREAK SPACE}", " ").split()) for each in blocks]
    assert set(re.findall(r"\b[A-Z]{2,}\b", " ".join(told))) <= ACRONYMS | {"EMR"}
    assert grade(sentences(told)) <= GRADE


def test_grade_tells_plain_from_learned_language() -> None:
    plain = "We made a copy of your files. It was opened and it was whole."
    learned = "Organisational resilience necessitates comprehensive restoration verification."
    assert grade(sentences([plain])) < 4
    assert grade(sentences([learned])) > 15
