"""From the name of a policy pack to the pack. They are ours and lie beside this module."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.document import (
    Document,
    Unusable,
    child,
    elements,
    plain_data,
    read_document,
    read_file,
    text_of,
)
from dr_orchestrator.plan.problem import Problem, did_you_mean, report
from dr_orchestrator.policies.controls import JUDGEMENTS
from dr_orchestrator.policies.model import Policy

_FOLDER = Path(__file__).parent


@cache
def load_policy(name: str) -> Policy:
    """Return the pack of that name, which a valid plan may hold (`PolicyName` of the plan).

    Raises:
        PlanInvalid: its file must not be used.
    """
    return read_policy(_FOLDER / f"{name}.yaml")


def read_policy(path: Path) -> Policy:
    """Return the pack in a file.

    Raises:
        PlanInvalid: it must not be used; `problems` is every mistake found, in file order.
    """
    content, trouble = read_file(path)
    if trouble:
        raise _refusal([Problem(str(path), 1, 1, "", trouble)])
    document = read_document(content, str(path))
    problems = list(document.problems)
    policy = None
    if not isinstance(document.root, Unusable):
        try:
            data = json.dumps(plain_data(document.root))
            policy = Policy.model_validate_json(data, strict=True)
        except ValidationError as error:
            from dr_orchestrator.plan.explain import explain

            problems.extend(explain(error, document, Policy))
        problems.extend(_contradictions(document, path.stem))
    if policy is None or problems:
        raise _refusal(problems)
    return policy


def _contradictions(document: Document, name: str) -> Iterator[Problem]:
    """Yield judgements that there are none of, and ids that are not one thing's alone."""
    own = child(document.root, "id")
    if own is not None and text_of(own) not in {None, name}:
        yield document.problem(own.position, own.path, "is not the name of its file")
    seen = set()
    for control in elements(child(document.root, "controls")):
        asks, identifier = child(control, "asks"), child(control, "id")
        word = text_of(asks)
        if asks is not None and word and word not in JUDGEMENTS:
            near = did_you_mean(word, list(JUDGEMENTS)) or f"there are {', '.join(JUDGEMENTS)}"
            yield document.problem(asks.position, asks.path, "there is no such judgement", near)
        if identifier is not None and text_of(identifier) in seen:
            yield document.problem(
                identifier.position, identifier.path, "another control has this id"
            )
        seen.add(text_of(identifier))


def _refusal(problems: list[Problem]) -> PlanInvalid:
    found = tuple(sorted(set(problems)))
    mistakes = count_words(len(found), "mistake")
    return PlanInvalid(f"{found[0].file}: {mistakes}\n{report(found)}", problems=found)
