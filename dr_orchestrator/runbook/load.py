"""From a file to a valid runbook, or to every mistake in it at once.

A mistake here is one of the file alone. Whether it fits a plan is `fit.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from dr_orchestrator.core.wording import count_words
from dr_orchestrator.errors import RunbookInvalid
from dr_orchestrator.plan.document import (
    Document,
    Unusable,
    plain_data,
    read_document,
    read_file,
    writable_by_others,
)
from dr_orchestrator.plan.problem import Problem, report
from dr_orchestrator.runbook.consistency import consistency_mistakes
from dr_orchestrator.runbook.model import Runbook

SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_ELSEWHERE = "it is no file of this machine"


@dataclass(frozen=True, kw_only=True)
class LoadedRunbook:
    """A valid runbook, and what is known of where it came from."""

    name: str
    """That of its file, without the suffix."""
    runbook: Runbook
    origin: str
    """The file; of one out of a repository or a handed-over run only a name for messages."""
    text: str
    sha256: str
    """Of the file's bytes, hex."""
    trusted: bool
    """Whether its commands may run unasked: only out of a file that nobody else can write."""
    why_not: str = ""
    """Why they may not, as a clause."""


def load_runbook(path: Path) -> LoadedRunbook:
    """Return the runbook in a file of this machine.

    Raises:
        RunbookInvalid: it must not be used; `problems` is every mistake found, in file order.
    """
    content, trouble = read_file(path)
    if trouble:
        refuse([Problem(str(path), 1, 1, "", trouble)])
    return _loaded(content, path.stem, str(path), why_not=writable_by_others(path))


def read_runbook(content: bytes, name: str, origin: str) -> LoadedRunbook:
    """Return the runbook that `content` is, wherever it came from. It is data: never trusted.

    Raises:
        RunbookInvalid: it must not be used.
    """
    return _loaded(content, name, origin, why_not=_ELSEWHERE)


def refuse(problems: list[Problem], *, hint: str = "") -> NoReturn:
    """Raise RunbookInvalid of all these problems, in file order."""
    found = tuple(sorted(set(problems)))
    mistakes = count_words(len(found), "mistake")
    raise RunbookInvalid(f"{found[0].file}: {mistakes}\n{report(found)}", problems=found, hint=hint)


def _loaded(content: bytes, name: str, origin: str, *, why_not: str) -> LoadedRunbook:
    document = read_document(content, origin)
    if isinstance(document.root, Unusable):
        refuse(document.problems)
    runbook, problems = _validated(document)
    problems = [*document.problems, *problems, *consistency_mistakes(document)]
    if not _NAME.fullmatch(name):
        hint = "lower-case letters, digits, - and _, beginning with a letter, 40 at most"
        problems.append(Problem(origin, 1, 1, "", "the file's name is not an id", hint))
    if runbook is None or problems:
        refuse(problems)
    return LoadedRunbook(
        name=name,
        runbook=runbook,
        origin=origin,
        text=content.decode(),
        sha256=hashlib.sha256(content).hexdigest(),
        trusted=not why_not,
        why_not=why_not,
    )


def _validated(document: Document) -> tuple[Runbook | None, list[Problem]]:
    # JSON, since in its strict mode text is never taken for a number, nor a number for text
    data = json.dumps(plain_data(document.root))
    try:
        return Runbook.model_validate_json(data, strict=True), []
    except ValidationError as error:
        from dr_orchestrator.plan.explain import explain

        return None, explain(error, document, Runbook)
