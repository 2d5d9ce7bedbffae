"""A page as one HTML file: no script, no address, nothing loaded from anywhere.

It opens from a USB stick, a mail or a burnt-down network, on a telephone and on paper. The same
page gives the same bytes.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import TypeVar, cast

from jinja2 import ChoiceLoader, PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from dr_orchestrator.core.wording import printable

_UNIT = r"(?:s|min|h|d|B|[KMGT]iB|(?:second|minute|hour|day|system|check)s?)"
_NUMBER_AND_UNIT = re.compile(rf"(?:\byour )?\d+(?: of \d+)? {_UNIT}\b(?: \d+ {_UNIT}\b)?")
_DAY_AND_MONTH = re.compile(r"(?<=\b\d) (?=[A-Z][a-z]{2,8}\b)|(?<=\b\d\d) (?=[A-Z][a-z]{2,8}\b)")
_NO_BREAK = "\N{NO-BREAK SPACE}"

_Part = TypeVar("_Part")


def render(package: str, template: str, page: object, **names: object) -> bytes:
    """Return `page` as a self-contained HTML document in UTF-8.

    `template`, and what it includes, lie in the folder `templates` of `package` or of this one. It
    knows `names` too: where its words come from.
    """
    return _environment(package).get_template(template).render(page=page, **names).encode()


@cache
def _environment(package: str) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("dr_orchestrator.sheet")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["tied"] = tied
    return environment


def tied(text: str) -> str:
    """Return `text` with numbers tied to their units, so that no line ends between them."""
    quantities = _NUMBER_AND_UNIT.sub(lambda found: found[0].replace(" ", _NO_BREAK), text)
    return _DAY_AND_MONTH.sub(_NO_BREAK, quantities)


def printable_parts(part: _Part) -> _Part:
    """Return `part` with every text in it made safe to show: names come from files of others."""
    if isinstance(part, str) and not isinstance(part, Enum):
        return cast("_Part", printable(part))
    if isinstance(part, tuple):
        return cast("_Part", tuple(printable_parts(item) for item in part))
    if is_dataclass(part) and not isinstance(part, type):
        cleaned = {field.name: printable_parts(getattr(part, field.name)) for field in fields(part)}
        return cast("_Part", replace(part, **cleaned))
    return part
