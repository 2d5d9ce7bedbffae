"""From the name of a practice to its validated plan, or to every mistake in it at once.

A file counts by the `practice.id` in it, not by its name, and one with mistakes can still be found:
they are reported when it is loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import PlanInvalid, UsageMistake
from dr_orchestrator.plan.consistency import consistency_problems
from dr_orchestrator.plan.document import (
    Document,
    Unusable,
    child,
    plain_data,
    read_document,
    read_file,
    text_of,
)
from dr_orchestrator.plan.effective import (
    leaves,
    origins_of,
    places_of,
    plan_data,
    with_defaults,
    written,
    written_data,
)
from dr_orchestrator.plan.extend import Source, with_templates
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.problem import Problem, did_you_mean, report

_SUFFIXES = (".yaml", ".yml")
_WIDEST = 72


@dataclass(frozen=True, kw_only=True)
class LoadedPlan:
    """A valid plan, and what is known of where it came from."""

    plan: Plan
    """Complete: every default has its value."""
    path: Path
    """The file; of a plan out of a repository only a name for messages."""
    text: str
    """As it stands in the file; of one with templates, what they come to together."""
    sha256: str
    """Of the text, hex."""
    sources: tuple[Source, ...] = field(repr=False)
    """The files it was made of: its own first, then its templates."""
    document: Document = field(repr=False, compare=False)
    """Where each value stands."""
    warnings: tuple[Problem, ...]
    """What is allowed and likely not meant, in file order."""
    commands_allowed: bool
    """Whether `{command:}` references may run: only out of a file of this machine."""

    @cached_property
    def origins(self) -> Mapping[str, str]:
        """Field path -> `riverside.yaml:12` or `default: …`, of every single value."""
        return origins_of(self.plan, self.places)

    @cached_property
    def places(self) -> Mapping[str, str]:
        """Field path -> `riverside.yaml:12`, of what is stated in the plan or its templates."""
        return dict(places_of(self.document.root, self.path.name))


def load_plan(path: Path) -> LoadedPlan:
    """Return the plan in a file of this machine.

    Raises:
        PlanInvalid: it must not be used; `problems` is every mistake found, in file order.
    """
    content, trouble = read_file(path)
    if trouble:
        _refuse([Problem(str(path), 1, 1, "", trouble)])
    return _loaded(content, str(path), path)


def read_plan(content: bytes, name: str) -> LoadedPlan:
    """Return the plan that `content` is, wherever it came from: out of a repository, for example.

    It is data: its commands do not run, and nothing of this machine is looked at.

    Raises:
        PlanInvalid: it must not be used.
    """
    return _loaded(content, name, None)


def effective_yaml(loaded: LoadedPlan) -> str:
    """Return the complete plan as text that `read_plan` reads back to an equal one.

    The same plan gives the same text, byte for byte. It goes into every repository.
    """
    return written(loaded.plan)


def origin_lines(loaded: LoadedPlan) -> Iterator[str]:
    """Yield each value with its origin: `systems.emr.rto: "4h"  # riverside.yaml:12`."""
    shown = [
        (f"{path}: {json.dumps(value, ensure_ascii=False)}", loaded.origins[path])
        for path, value in leaves(plan_data(loaded.plan))
    ]
    width = min(max(len(text) for text, _ in shown), _WIDEST)
    for text, origin in shown:
        yield f"{text:<{width}}  # {origin}"


def find_plans(folder: Path) -> tuple[Path, ...]:
    """Return every plan file that lies in `folder` itself, by name.

    Raises:
        UsageMistake: there is no such folder, or it cannot be listed.
    """
    try:
        names = sorted(
            entry
            for entry in folder.iterdir()
            if entry.suffix in _SUFFIXES and not entry.name.startswith(".")
        )
    except OSError as error:
        raise UsageMistake(
            f"the plans folder {folder} cannot be read: {(error.strerror or 'unknown').lower()}",
            hint="name a plan file, or set `plans` in the machine's settings",
        ) from None
    return tuple(names)


def find_plan(practice: str | None, folder: Path) -> Path:
    """Return the plan file of a practice: of its id, or of the path of a file.

    A word with `/` in it, or ending `.yaml` or `.yml`, is a path. `None` means the only plan in
    the folder.

    Raises:
        UsageMistake: there is none, or more than one.
    """
    if practice is not None and ("/" in practice or practice.endswith(_SUFFIXES)):
        return Path(practice)
    plans = find_plans(folder)
    if practice is None:
        return _the_only(plans, folder)
    named = {path: practice_id(path) for path in plans}
    found = [path for path, name in named.items() if name == practice]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageMistake(
            f"{len(found)} plans have the practice id {practice}: "
            + ", ".join(path.name for path in found),
            hint="name the file itself, and give one of them another id",
        )
    known = sorted({name for name in named.values() if name})
    listed = f"{folder} has {', '.join(known)}" if known else f"{folder} has no plan"
    raise UsageMistake(
        f"there is no plan of a practice {practice}", hint=did_you_mean(practice, known) or listed
    )


def practice_id(path: Path) -> str | None:
    """Return the practice id that a plan file states, `None` where it states none."""
    content, trouble = read_file(path)
    if trouble:
        return None
    return text_of(child(read_document(content, str(path)).root, "practice", "id"))


def _loaded(content: bytes, name: str, place: Path | None) -> LoadedPlan:
    document, sources = with_templates(read_document(content, name), content, place)
    if isinstance(document.root, Unusable):
        _refuse(document.problems)
    plan, problems = _validated(document)
    mistakes, warnings = consistency_problems(
        document, files=tuple(each.path for each in sources) if place else ()
    )
    problems = [*document.problems, *problems, *mistakes]
    if plan is None or problems:
        _refuse(problems)
    is_alone = len(sources) == 1
    text = content.decode() if is_alone else written_data(plain_data(document.root))
    return LoadedPlan(
        plan=with_defaults(plan),
        path=place or Path(name),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        sources=sources,
        document=document,
        warnings=tuple(sorted(warnings)),
        commands_allowed=place is not None,
    )


def _validated(document: Document) -> tuple[Plan | None, list[Problem]]:
    # JSON, since in its strict mode text is never taken for a number, nor a number for text
    data = json.dumps(plain_data(document.root))
    try:
        return Plan.model_validate_json(data, strict=True), []
    except ValidationError as error:
        from dr_orchestrator.plan.explain import explain

        return None, explain(error, document, Plan, _without_tags)


def _without_tags(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Take out the tags of the unions: of systems, of assets and of checks."""
    steps = list(location)
    for collections, index in ((("systems",), 2), (("assets", "verify"), 4)):
        has_tag = len(steps) > index and steps[index] != "[key]"
        if has_tag and steps[0] == "systems" and steps[index - 2] in collections:
            del steps[index]
    return tuple(steps)


def _refuse(problems: list[Problem]) -> NoReturn:
    found = tuple(sorted(set(problems)))
    mistakes = count_words(len(found), "mistake")
    raise PlanInvalid(f"{found[0].file}: {mistakes}\n{report(found)}", problems=found)


def _the_only(plans: tuple[Path, ...], folder: Path) -> Path:
    if len(plans) == 1:
        return plans[0]
    if not plans:
        raise UsageMistake(f"there is no plan in {folder}", hint="dro init ID makes one")
    raise UsageMistake(
        f"there are {len(plans)} plans in {folder}: which one is meant?",
        hint=f"name one of {', '.join(practice_id(path) or path.name for path in plans)}",
    )
