"""The template of a ticket: what may stand in it, and the JSON it makes for a helpdesk.

A plan can come out of a repository, and then it is data: `ticket_mistake` only reads a template.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

SAMPLE: Mapping[str, Any] = {
    "schema": 1,
    "message": "4k7q2z-opened-1",
    "occasion": "opened",
    "site": "riverside-box",
    "practice": {"id": "riverside", "name": 'Riverside "Family"\nPractice'},
    "problem": {
        "id": "4k7q2z",
        "key": "failure/emr/backup",
        "kind": "failure",
        "system": "emr",
        "title": "Electronic medical record",
        "what": 'the backup failed: "onsite" \\ does not answer',
        "next": "see what `dro runs show` says",
        "since": "2026-11-21T19:15:00+00:00",
        "opened_at": "2026-11-21T19:16:00+00:00",
        "acknowledged_at": None,
        "closed_at": None,
    },
    "subject": "Riverside Family Practice: the backup failed",
    "text": "two\nlines",
}
"""What a template is given, with values that only make JSON where they are escaped."""


def ticket_mistake(template: str) -> str:
    """Return what keeps a text from being a template of ours; empty where nothing does."""
    from jinja2 import TemplateSyntaxError
    from jinja2.meta import find_undeclared_variables

    try:
        parsed = _environment().parse(template)
    except TemplateSyntaxError as error:
        return f"is no template: see its line {error.lineno}"
    unknown = sorted(find_undeclared_variables(parsed) - set(SAMPLE))
    return f"there is no `{unknown[0]}` to put in" if unknown else ""


def ticket_body(template: str, facts: Mapping[str, Any]) -> bytes:
    """Return the JSON that a template makes of what is to be told.

    Raises:
        ValueError: it makes none. The text says why, in our words.
    """
    from jinja2 import TemplateError

    try:
        made = _environment().from_string(template).render(facts)
    except (TemplateError, ArithmeticError, LookupError, TypeError) as error:
        raise ValueError(f"cannot be filled in ({type(error).__name__})") from None
    try:
        json.loads(made)
    except ValueError:
        raise ValueError("does not make JSON") from None
    return made.encode()


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
