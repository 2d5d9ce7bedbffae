"""From the name of a pack to the validated pack, or to every mistake in it at once.

Built-in packs lie beside this module, an MSP's own in `packs/` beside the plan. None takes the
place of another: the same name twice is a mistake, so that nobody believes that our checks ran
where others did.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import PlanInvalid, UsageMistake
from dr_orchestrator.packs.model import Pack
from dr_orchestrator.plan.document import (
    Document,
    Mapping,
    Node,
    Sequence,
    Unusable,
    child,
    children,
    elements,
    plain_data,
    read_document,
    read_file,
    text_of,
)
from dr_orchestrator.plan.problem import Problem, did_you_mean, report

_BUILT_IN = Path(__file__).parent
_OWN = "packs"
_ASKED = "sql"


@dataclass(frozen=True, kw_only=True)
class LoadedPack:
    """A valid pack, and where it came from."""

    pack: Pack
    path: Path
    text: str
    """As it stands in the file."""
    built_in: bool


def load_pack(path: Path) -> LoadedPack:
    """Return the pack in a file.

    Raises:
        PlanInvalid: it must not be used; `problems` is every mistake found, in file order.
    """
    content, trouble = read_file(path)
    if trouble:
        _refuse([Problem(str(path), 1, 1, "", trouble)])
    document = read_document(content, str(path))
    if isinstance(document.root, Unusable):
        _refuse(document.problems)
    pack, problems = _validated(document)
    problems = [*document.problems, *problems, *_contradictions(document, path)]
    if pack is None or problems:
        _refuse(problems)
    return LoadedPack(
        pack=pack, path=path, text=content.decode(), built_in=path.parent == _BUILT_IN
    )


def find_packs(plans: Path | None) -> dict[str, Path]:
    """Return the file of each pack there is by name: built-in ones, and those beside the plans.

    Raises:
        PlanInvalid: one beside the plans has the name of a built-in one.
    """
    found = {file.stem: file for file in sorted(_BUILT_IN.glob("*.yaml"))}
    own = sorted((plans / _OWN).glob("*.yaml")) if plans is not None else []
    taken = [
        Problem(
            str(file), 1, 1, "", f"there is a built-in pack {file.stem}", "give it another name"
        )
        for file in own
        if file.stem in found
    ]
    if taken:
        _refuse(taken)
    return found | {file.stem: file for file in own}


def find_pack(name: str, plans: Path | None) -> LoadedPack:
    """Return the pack of that name.

    Raises:
        UsageMistake: there is none.
        PlanInvalid: it must not be used.
    """
    packs = find_packs(plans)
    if name not in packs:
        known = list(packs)
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        raise UsageMistake(f"there is no pack {name}", hint=hint)
    return load_pack(packs[name])


def _validated(document: Document) -> tuple[Pack | None, list[Problem]]:
    data = json.dumps(plain_data(document.root))
    try:
        return Pack.model_validate_json(data, strict=True), []
    except ValidationError as error:
        from dr_orchestrator.plan.explain import explain

        return None, explain(error, document, Pack, _without_tags)


def _without_tags(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Take out the tag of the union: of kinds of facts."""
    tagged = len(location) > 2 and location[0] == "checks"  # noqa: PLR2004 - checks, index, tag
    return (*location[:2], *location[3:]) if tagged else location


def _contradictions(document: Document, path: Path) -> Iterator[Problem]:
    """Yield what a pack says in one place and contradicts in another."""
    root = document.root
    name = child(root, "name")
    if name is not None and text_of(name) not in {None, path.stem}:
        yield document.problem(
            name.position, name.path, "is not the name of its file", f"write {path.stem}"
        )
    roles = {
        role: [text_of(kind) for kind in elements(child(entry.node, "kinds"))]
        for role, entry in children(child(root, "roles"))
    }
    for asker in _mappings(root):
        yield from _role_problems(document, asker, roles)
    yield from _fact_problems(document)


def _role_problems(
    document: Document, asker: Mapping, roles: dict[str, list[str | None]]
) -> Iterator[Problem]:
    node = child(asker, "asset")
    role = text_of(node)
    if node is None or role is None:
        return
    if role not in roles:
        hint = did_you_mean(role, list(roles)) or f"this pack has {', '.join(roles)}"
        yield document.problem(node.position, node.path, "there is no such role", hint)
        return
    of_files = [kind in {"files", "smb"} for kind in roles[role]]
    if _ASKED in asker.entries and any(of_files):
        yield document.problem(node.position, node.path, "is not always a database")
    elif _ASKED not in asker.entries and not all(of_files):
        yield document.problem(node.position, node.path, "is not always a folder of files")


def _fact_problems(document: Document) -> Iterator[Problem]:
    titles: set[str] = set()
    seal = child(document.root, "seal")
    for fact in elements(child(document.root, "checks")):
        title = child(fact, "title")
        text = text_of(title)
        if title is not None and text is not None and text in titles:
            yield document.problem(title.position, title.path, "another check has this title")
        titles.add(text or "")
        sealed = child(fact, "sealed")
        if sealed is not None and seal is None:
            yield document.problem(sealed.position, sealed.path, "needs `seal`")
        condition = child(fact, "only_if")
        if condition is not None and text_of(child(fact, "expect")) == "baseline":
            yield document.problem(
                condition.position, condition.path, "has no effect at capture", "expect a value"
            )


def _mappings(node: Node) -> Iterator[Mapping]:
    if isinstance(node, Mapping):
        yield node
        for entry in node.entries.values():
            yield from _mappings(entry.node)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _mappings(item)


def _refuse(problems: list[Problem]) -> NoReturn:
    found = tuple(sorted(set(problems)))
    mistakes = count_words(len(found), "mistake")
    raise PlanInvalid(f"{found[0].file}: {mistakes}\n{report(found)}", problems=found)
