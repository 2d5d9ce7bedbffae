"""The page as one HTML file: no script, no address, nothing loaded from anywhere.

It opens from a USB stick, a mail or a burnt-down network, on a telephone and on paper. The same
page gives the same bytes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

if TYPE_CHECKING:
    from dr_orchestrator.report.model import Page

_UNIT = r"(?:s|min|h|d|B|[KMGT]iB|(?:second|minute|hour|day|system|check)s?)"
_NUMBER_AND_UNIT = re.compile(rf"(?:\byour )?\d+(?: of \d+)? {_UNIT}\b(?: \d+ {_UNIT}\b)?")
_DAY_AND_MONTH = re.compile(r"(?<=\b\d) (?=[A-Z][a-z]{2,8}\b)|(?<=\b\d\d) (?=[A-Z][a-z]{2,8}\b)")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def render_html(page: Page) -> bytes:
    """Return `page` as a self-contained HTML document in UTF-8."""
    template = _environment().get_template("page.html")
    return template.render(page=page).encode()


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=PackageLoader("dr_orchestrator.report"),
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
